//! Reading as a subscriber in all ways.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ringbus::{
    Meta, Overflow, PollError, RecvError, RecvTimeoutError, Start, SubscribeError, Subscriber,
    TryRecvError,
};

use super::event::{Event, Planned, blow, caught};
use super::handle::Handle;
use super::program::{Filter, From, Open, Then, Way};
use super::record::{Glance, Membership, Place, Sighting, Told};
use super::stage::Eyes;
use super::threads;
use super::worker::Worker;
use super::world::{MOST_THREADS, after_all, lock};

/// A subscriber, and what it has seen.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) subscriber: Subscriber<Event>,
    pub(crate) log: Log,
    pub(crate) membership: Membership,
}

/// With a filter, which sees events too, the log is behind a lock; without, no lock hides a missing barrier.
#[derive(Default)]
pub(crate) struct Log {
    seen: Seen,
    filtered: Option<Arc<Mutex<Seen>>>,
    eyes: Option<Eyes>,
}

#[derive(Default)]
struct Seen {
    sightings: Vec<Sighting>,
    glances: Vec<Glance>,
}

impl Seen {
    fn note(&mut self, sighting: Sighting, glance: Option<Glance>) {
        self.sightings.push(sighting);
        self.glances.extend(glance);
    }
}

impl Log {
    pub(crate) fn push(&mut self, sighting: Sighting) {
        self.note(sighting, None);
    }

    fn note(&mut self, sighting: Sighting, glance: Option<Glance>) {
        match &self.filtered {
            None => self.seen.note(sighting, glance),
            Some(seen) => lock(seen).note(sighting, glance),
        }
    }

    /// Notes an event that is being shown.
    fn see(&mut self, event: &Event, meta: Meta) {
        let glance = self.eyes.as_ref().map(|eyes| eyes.glance(event));
        self.note(Sighting::seen(event.id(), meta), glance);
    }

    /// Notes a clone that was received.
    fn receive(&mut self, event: &Event, sighting: Sighting) {
        let glance = self.eyes.as_ref().map(|eyes| eyes.glance_late(event));
        self.note(sighting, glance);
    }

    /// Hands over what was seen.
    fn end(self, membership: &mut Membership) {
        let seen = match self.filtered {
            None => self.seen,
            Some(seen) => std::mem::take(&mut *lock(&seen)),
        };
        membership.sightings = seen.sightings;
        membership.place.glances = seen.glances;
    }
}

impl Worker {
    pub(crate) fn join(&mut self, open: Open) {
        let topic = self.common.topic.clone();
        let number = self.common.names.fetch_add(1, Ordering::Relaxed);
        let name = format!("s{number}");
        let start = match open.from {
            From::Now => Start::Now,
            From::Latest => Start::Latest,
            From::Oldest => Start::Oldest,
            From::Behind(events) => Start::From(self.last_sequence.saturating_sub(events)),
        };
        let mut log = Log::default();
        let mut place = Place::default();
        let mut stages = Vec::new();
        if self.common.staged {
            let before = self.common.standings.before(&open.after);
            place.number = self
                .common
                .standings
                .add(&name, before.after.clone(), self.thread);
            place.after = before.after;
            stages = before.stages;
            log.eyes = Some(Eyes::new(
                self.common.standings.turns(place.number),
                before.ahead,
            ));
        }
        let mut builder = topic
            .subscriber()
            .name(&name)
            .overflow(open.overflow)
            .start(start);
        if open.filter != Filter::None {
            let seen = Arc::default();
            log.filtered = Some(Arc::clone(&seen));
            let eyes = log.eyes.clone();
            builder = builder
                .filter(move |event: &Event| passes(open.filter, event, &seen, eyes.as_ref()));
        }
        for stage in &stages {
            builder = builder.after(&**stage);
        }
        let subscriber = match builder.open() {
            Ok(subscriber) => subscriber,
            Err(error) => {
                let is_fair = match error {
                    SubscribeError::NotRetained { wanted, oldest, .. } => wanted < oldest,
                    SubscribeError::NotYet { wanted, next, .. } => wanted > next,
                    SubscribeError::TooManyLossy(_) => open.overflow != Overflow::Block,
                    _ => false,
                };
                self.record
                    .check(is_fair, &format!("{start:?} is refused: {error}"));
                let span = self.span();
                self.record.refused_joins.push(span);
                return;
            }
        };
        let opened = self.span();
        let (_, position) = self
            .common
            .numbers(&name)
            .expect("a subscriber is on the list");
        if self.common.staged && open.overflow == Overflow::Block {
            self.common
                .standings
                .offer(place.number, subscriber.stage());
        }
        self.handles.push(Handle::Subscriber(Member {
            name,
            subscriber,
            log,
            membership: Membership {
                overflow: open.overflow,
                opened,
                from_now: start == Start::Now,
                position,
                left: after_all(),
                sightings: Vec::new(),
                place,
            },
        }));
    }

    pub(crate) fn leave(&mut self, member: Member) {
        let Member {
            name,
            subscriber,
            mut log,
            mut membership,
        } = member;
        let at_rest = self.is_at_rest();
        match self.common.numbers(&name) {
            Some((numbers, _)) => log.push(Sighting::Numbers { numbers, at_rest }),
            // One that was disconnected goes from the list.
            None => self.record.check(at_rest, "a subscriber is on the list"),
        }
        drop(subscriber);
        if !at_rest {
            membership.left = self.span();
        }
        log.end(&mut membership);
        self.record.members.push(membership);
    }

    /// Leaks a subscriber, unless others come after it.
    pub(crate) fn forget(&mut self, member: Member) {
        if self.common.staged
            && !self
                .common
                .standings
                .withdraw(member.membership.place.number)
        {
            return self.leave(member);
        }
        self.common.leaked.store(true, Ordering::Relaxed);
        let mut membership = member.membership;
        std::mem::forget(member.subscriber);
        member.log.end(&mut membership);
        self.record.members.push(membership);
    }
}

/// What a filter says of an event. A refusal and a panic are written down; what passes is shown next.
fn passes(filter: Filter, event: &Event, seen: &Mutex<Seen>, eyes: Option<&Eyes>) -> bool {
    let id = event.id();
    let number = id / MOST_THREADS;
    let blows = filter == Filter::Touchy && number % 5 == 4;
    let passes = number % 3 != 2;
    if blows || !passes {
        let sighting = match blows {
            true => Sighting::FilterBlew(id),
            false => Sighting::Refused(id),
        };
        let glance = eyes.map(|eyes| eyes.glance(event));
        lock(seen).note(sighting, glance);
    }
    if blows {
        blow(Planned::Filter);
    }
    passes
}

impl Member {
    pub(crate) fn is_told_closed(&self) -> bool {
        let last = match &self.log.filtered {
            None => self.log.seen.sightings.last().copied(),
            Some(seen) => lock(seen).sightings.last().copied(),
        };
        last == Some(Sighting::Closed)
    }

    fn end(&mut self, error: PollError, worker: &mut Worker) {
        match error {
            PollError::Closed => self.log.push(Sighting::Closed),
            PollError::Disconnected(missed) => self.log.push(Sighting::Disconnected(missed)),
            _ => self.waited_for_itself(worker),
        }
    }

    fn waited_for_itself(&mut self, worker: &mut Worker) {
        worker.note_own_wait(&self.membership.place.after);
        self.log.push(Sighting::WouldDeadlock);
    }

    fn nothing(&mut self, worker: &Worker) {
        self.log.push(Sighting::Nothing(worker.span()));
    }

    pub(crate) fn read(&mut self, way: Way, worker: &mut Worker) {
        let within = |micros| {
            let timeout = Duration::from_micros(if threads::TIME_PASSES { micros } else { 0 });
            Instant::now() + timeout
        };
        let itself = Cell::new(false);
        let Self {
            subscriber, log, ..
        } = self;
        match way {
            Way::Poll(max, panics_at) => {
                let mut shown = 0;
                let result = caught(|| {
                    subscriber.poll(max, |event, meta| {
                        log.see(event, meta);
                        shown += 1;
                        if panics_at == Some(shown) {
                            blow(Planned::Handler);
                        }
                    })
                });
                self.after_poll(result, shown, max > 0, worker);
            }
            Way::PollWait(max) => {
                let mut shown = 0;
                let result = caught(|| {
                    subscriber.poll_wait(max, |event, meta| {
                        log.see(event, meta);
                        shown += 1;
                    })
                });
                worker
                    .record
                    .check(result != Ok(Ok(0)), "a poll that waits shows an event");
                self.after_poll(result, shown, false, worker);
            }
            Way::PollWithin(max, micros) => {
                let mut shown = 0;
                let result = caught(|| {
                    subscriber.poll_deadline(max, within(micros), |event, meta| {
                        log.see(event, meta);
                        shown += 1;
                    })
                });
                self.after_poll(result, shown, true, worker);
            }
            Way::TryRecv => {
                let answer = caught(|| subscriber.try_recv());
                self.after_recv(answer, worker);
            }
            Way::Recv => {
                let answer = caught(|| {
                    subscriber.recv().map_err(|error| match error {
                        RecvError::Closed => TryRecvError::Closed,
                        RecvError::Missed(missed) => TryRecvError::Missed(missed),
                        RecvError::Disconnected(missed) => TryRecvError::Disconnected(missed),
                        _ => {
                            itself.set(true);
                            TryRecvError::Empty
                        }
                    })
                });
                if itself.get() {
                    self.waited_for_itself(worker);
                    return self.end_call(worker);
                }
                worker.record.check(
                    !matches!(answer, Ok(Err(TryRecvError::Empty))),
                    "a recv has an event or a reason",
                );
                self.after_recv(answer, worker);
            }
            Way::RecvWithin(micros) => {
                let answer = caught(|| {
                    subscriber
                        .recv_deadline(within(micros))
                        .map_err(|error| match error {
                            RecvTimeoutError::Timeout => TryRecvError::Empty,
                            RecvTimeoutError::Closed => TryRecvError::Closed,
                            RecvTimeoutError::Missed(missed) => TryRecvError::Missed(missed),
                            RecvTimeoutError::Disconnected(missed) => {
                                TryRecvError::Disconnected(missed)
                            }
                            _ => {
                                itself.set(true);
                                TryRecvError::Empty
                            }
                        })
                });
                if itself.get() {
                    self.waited_for_itself(worker);
                    return self.end_call(worker);
                }
                self.after_recv(answer, worker);
            }
            Way::Iter(max) => {
                for _ in 0..max {
                    let answer = caught(|| self.subscriber.iter().next());
                    let goes_on = self.after_next(answer);
                    self.end_call(worker);
                    if !goes_on {
                        return;
                    }
                }
            }
            Way::TryIter(max) => {
                for _ in 0..max {
                    let answer = caught(|| self.subscriber.try_iter().next());
                    let goes_on = self.after_next(answer);
                    self.end_call(worker);
                    if !goes_on {
                        return;
                    }
                }
            }
            Way::Batch(max, take, then) => {
                // What a lossy subscriber was told with an event that nobody saw would not be known.
                let lossless = subscriber.overflow() == Overflow::Block;
                let take = match then {
                    Then::Leak if !lossless => take.max(1),
                    _ => take,
                };
                let before = subscriber.snapshot().delivered;
                let result = caught(|| {
                    subscriber.poll_batch(max, |mut batch| {
                        for (event, meta) in batch.by_ref().take(take) {
                            log.see(event, meta);
                        }
                        match then {
                            Then::Return => {}
                            Then::Panic => blow(Planned::Handler),
                            Then::Leak => std::mem::forget(batch),
                        }
                    })
                });
                // One that a filter was asked about, or that was behind a gap, is lost with a leaked batch.
                let leaked = then == Then::Leak && matches!(result, Ok(Ok(Some(()))));
                if leaked && take == 0 && subscriber.snapshot().delivered > before {
                    log.push(Sighting::Slipped);
                }
                match result {
                    Ok(Ok(Some(()))) | Err(_) => {}
                    Ok(Ok(None)) => self.nothing(worker),
                    Ok(Err(error)) => self.end(error, worker),
                }
            }
            Way::BatchWait(max, take) => {
                let result = caught(|| {
                    subscriber.poll_batch_wait(max, |mut batch| {
                        for (event, meta) in batch.by_ref().take(take) {
                            log.see(event, meta);
                        }
                    })
                });
                if let Ok(Err(error)) = result {
                    self.end(error, worker);
                }
            }
        }
        self.end_call(worker);
    }

    fn end_call(&mut self, worker: &Worker) {
        if let Some(eyes) = &self.log.eyes {
            self.membership.place.calls.push(worker.span());
            eyes.next_call();
        }
    }

    pub(crate) fn is_lossless(&self) -> bool {
        self.membership.overflow == Overflow::Block
    }

    fn after_poll(
        &mut self,
        result: Result<Result<usize, PollError>, Planned>,
        shown: usize,
        may_be_nothing: bool,
        worker: &mut Worker,
    ) {
        match result {
            Ok(Ok(count)) => {
                worker
                    .record
                    .check(count == shown, "a poll tells how many it has shown");
                if count == 0 && may_be_nothing {
                    self.nothing(worker);
                }
            }
            Ok(Err(error)) => self.end(error, worker),
            Err(Planned::Handler | Planned::Filter) => {}
            Err(planned) => worker
                .record
                .check(false, &format!("{planned:?} does not panic in a poll")),
        }
    }

    fn after_recv(
        &mut self,
        answer: Result<Result<Event, TryRecvError>, Planned>,
        worker: &mut Worker,
    ) {
        let missed = match self.membership.overflow {
            Overflow::Latest => Told::Nothing,
            _ => Told::Exactly(0),
        };
        match answer {
            Ok(Ok(event)) => {
                let sighting = Sighting::Seen {
                    id: event.id(),
                    sequence: None,
                    missed,
                };
                self.log.receive(&event, sighting);
            }
            Ok(Err(TryRecvError::Empty)) => self.nothing(worker),
            Ok(Err(TryRecvError::Missed(missed))) => self.log.push(Sighting::Missed(missed)),
            Ok(Err(TryRecvError::Disconnected(missed))) => {
                self.log.push(Sighting::Disconnected(missed));
            }
            Ok(Err(TryRecvError::Closed)) => self.log.push(Sighting::Closed),
            Ok(Err(error)) => worker.record.check(false, &error.to_string()),
            Err(Planned::Clone(id)) => self.log.push(Sighting::CloneBlew { id, missed }),
            Err(Planned::Filter) => {}
            Err(planned) => worker
                .record
                .check(false, &format!("{planned:?} does not panic in a recv")),
        }
    }

    /// Tells whether to go on.
    fn after_next(&mut self, answer: Result<Option<(Event, Meta)>, Planned>) -> bool {
        match answer {
            Ok(Some((event, meta))) => {
                self.log.receive(&event, Sighting::seen(event.id(), meta));
                true
            }
            Ok(None) => {
                self.log.push(Sighting::Ended);
                false
            }
            Err(Planned::Clone(id)) => {
                self.log.push(Sighting::CloneBlew {
                    id,
                    missed: Told::Nothing,
                });
                false
            }
            Err(_) => false,
        }
    }
}
