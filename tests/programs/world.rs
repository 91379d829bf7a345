//! Running a program, and writing down what is seen.

use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringbus::{
    Bus, DeadLetter, ExclusivePublisher, LetterCause, MAX_SEQUENCE, Meta, Observer, Overflow,
    PollError, PublishBatchError, PublishError, PublishTimeoutError, Publisher, RecvError,
    RecvTimeoutError, Start, SubscribeError, Subscriber, Topic, TryPublishError, TryRecvError,
};

use super::event::{Event, Planned, Yard, blow, caught};
use super::program::{Extra, Filter, From, How, Nature, Op, Open, Program, Then, Way};
use super::record::{
    Attempt, Facts, Letter, MAIN, Membership, Numbers, Outcome, Record, Sighting, Span, Told, Why,
};
use super::threads;

/// An event's number tells its thread, modulo this.
const MOST_THREADS: u64 = 16;

/// What the threads of a program share.
struct Common {
    topic: Topic<Event>,
    yard: Arc<Yard>,
    clock: Option<AtomicU64>,
    /// Subscribers that are on their way from one thread to another.
    handed: Mutex<Vec<Member>>,
    names: AtomicU64,
    leaked: AtomicBool,
    /// Batches are taken out of their iterators before any of them is published.
    watched: bool,
    closes: Mutex<Vec<Span>>,
    /// What each thread waits for, if it does.
    waits: Vec<Mutex<Option<Wait>>>,
}

#[derive(Clone, Debug)]
enum Wait {
    /// For an event, with this subscriber.
    Event(String),
    /// For room for so many events.
    Room(usize),
}

/// A subscriber, and what it has seen.
struct Member {
    name: String,
    subscriber: Subscriber<Event>,
    log: Log,
    membership: Membership,
}

/// With a filter, which sees events too, the log is behind a lock; without, no lock hides a missing barrier.
#[derive(Default)]
struct Log {
    seen: Vec<Sighting>,
    filtered: Option<Arc<Mutex<Vec<Sighting>>>>,
}

enum AnyPublisher {
    Shared(Publisher<Event>),
    Exclusive(ExclusivePublisher<Event>),
}

/// An event's number, and the count of its drops.
type Born = (u64, Arc<AtomicU32>);

/// One thread of a program.
struct Worker {
    thread: usize,
    common: Arc<Common>,
    publisher: Option<AnyPublisher>,
    members: Vec<Member>,
    record: Record,
    born: Vec<Born>,
    index: usize,
    begin: u64,
    /// What the clock says on the main thread: before, or after the others.
    moment: u64,
    last_sequence: u64,
}

impl Log {
    fn push(&mut self, sighting: Sighting) {
        match &self.filtered {
            None => self.seen.push(sighting),
            Some(seen) => lock(seen).push(sighting),
        }
    }

    fn take(self) -> Vec<Sighting> {
        match self.filtered {
            None => self.seen,
            Some(seen) => std::mem::take(&mut lock(&seen)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a program on real threads, or on the scheduler's, and tells what was seen.
pub(crate) fn run(program: &Program) -> Record {
    let setup = &program.setup;
    let bus = Bus::new();
    let letters = bus.topic::<DeadLetter<Event>>();
    let mut dead = letters.subscribe();
    let mut builder = bus
        .topic_builder::<Event>()
        .capacity(setup.capacity)
        .first_sequence(setup.first_sequence);
    if setup.keep_open {
        builder = builder.keep_open();
    }
    builder = match setup.extra {
        Extra::Retain(events) => builder.retain(events),
        Extra::GrowTo(events) => builder.grow_to(events),
        Extra::MissedLetters => builder.missed_letters_to(&letters),
        Extra::Nothing | Extra::UnheardLetters => builder,
    };
    let topic = builder.open().expect("the setup is within its bounds");
    if setup.extra == Extra::UnheardLetters {
        topic.dead_letters_to(&letters).expect("letters are open");
    }
    let shown = Arc::new(Mutex::new(Vec::new()));
    let observer = setup.observed.then(|| observe(&topic, &shown));

    let common = Arc::new(Common {
        topic: topic.clone(),
        yard: Yard::new(),
        clock: setup.stamped.then(|| AtomicU64::new(1)),
        handed: Mutex::default(),
        names: AtomicU64::new(0),
        leaked: AtomicBool::new(false),
        watched: setup.observed
            || matches!(setup.extra, Extra::MissedLetters | Extra::UnheardLetters),
        closes: Mutex::default(),
        waits: program.threads.iter().map(|_| Mutex::default()).collect(),
    });
    let mut main = Worker::new(MAIN, &common, None);
    let mut workers: Vec<_> = (0..program.threads.len())
        .map(|thread| {
            let publisher = match setup.exclusive {
                true if thread > 0 => None,
                true => topic
                    .exclusive_publisher()
                    .ok()
                    .map(AnyPublisher::Exclusive),
                false => topic.publisher().ok().map(AnyPublisher::Shared),
            };
            Worker::new(thread, &common, publisher)
        })
        .collect();
    for (number, &open) in program.before.iter().enumerate() {
        main.join(open);
        let opened = std::mem::take(&mut main.members);
        let to = number % workers.len();
        workers[to].members.extend(opened);
    }

    let works = workers
        .into_iter()
        .zip(&program.threads)
        .map(|(worker, ops)| {
            let ops = ops.clone();
            let work: Box<dyn FnOnce() -> Worker + Send> = Box::new(move || worker.run(ops));
            work
        })
        .collect();
    let slept = Arc::new(Mutex::new(None));
    let rescue = {
        let common = Arc::clone(&common);
        let slept = Arc::clone(&slept);
        move || {
            *lock(&slept) = common.sleeper();
            let begin = common.now(1);
            common.topic.close();
            lock(&common.closes).push(Span {
                thread: MAIN - 1,
                index: 0,
                begin,
                end: common.now(u64::MAX - 1),
            });
        }
    };
    let mut born = Vec::new();
    let mut left = Vec::new();
    for answer in threads::run(works, setup.patience, rescue) {
        match answer {
            Ok(worker) => {
                let (record, members, events) = worker.into_parts();
                main.record.add(record);
                left.extend(members);
                born.extend(events);
            }
            Err(payload) => main.record.failures.push(message(&*payload)),
        }
    }
    left.append(&mut lock(&common.handed));
    main.record.failures.extend(lock(&slept).take());

    // Nobody publishes or reads now.
    common.yard.disarm();
    main.finish(left);
    let (mut record, _, _) = main.into_parts();
    record.published = topic.snapshot().published;
    record.closes = std::mem::take(&mut lock(&common.closes));
    record.facts = Facts {
        first_sequence: setup.first_sequence,
        capacity: topic.max_capacity() as u64,
        stays_open: setup.keep_open && setup.first_sequence < MAX_SEQUENCE / 2,
        observed: setup.observed,
        leaked: common.leaked.load(Ordering::Relaxed),
    };
    drop(observer);
    record.shown = std::mem::take(&mut lock(&shown));
    record.letters = read_letters(&mut dead);
    let yard = Arc::clone(&common.yard);
    drop((topic, common));
    // The ring gives up what was missed and still lay in it.
    record.letters.extend(read_letters(&mut dead));
    drop((dead, letters, bus));
    record.drops = born
        .into_iter()
        .map(|(id, dropped)| (id, dropped.load(Ordering::Relaxed)))
        .collect();
    record.clones = yard.clones();
    record
}

fn observe(topic: &Topic<Event>, shown: &Arc<Mutex<Vec<u64>>>) -> Observer {
    let shown = Arc::clone(shown);
    topic.observe_with(0, move |event| {
        lock(&shown).push(event.id());
        match event.nature() {
            Nature::Unwelcome => ControlFlow::Break(()),
            Nature::Shocking => blow(Planned::Observer),
            _ => ControlFlow::Continue(()),
        }
    })
}

fn read_letters(dead: &mut Subscriber<DeadLetter<Event>>) -> Vec<Letter> {
    let mut letters = Vec::new();
    while dead.poll(64, |letter, _| {
        letters.push(Letter {
            id: letter.event.id(),
            sequence: letter.sequence,
            missed: letter.cause == LetterCause::Missed,
        });
    }) != Ok(0)
    {}
    letters
}

pub(crate) fn message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied());
    match (text, payload.downcast_ref::<Planned>()) {
        (Some(text), _) => text.to_string(),
        (None, Some(planned)) => format!("{planned:?} panicked where it must not reach"),
        (None, None) => "a panic without a message".to_string(),
    }
}

impl Common {
    /// A stamp, or `unstamped`.
    fn now(&self, unstamped: u64) -> u64 {
        match &self.clock {
            Some(clock) => clock.fetch_add(1, Ordering::SeqCst),
            None => unstamped,
        }
    }

    /// What some thread sleeps over that it should have been woken for.
    fn sleeper(&self) -> Option<String> {
        (0..self.waits.len()).find_map(|thread| {
            threads::persists(|| self.sleeps_in_vain(thread)).then(|| {
                let wait = lock(&self.waits[thread]).clone();
                let snapshot = self.topic.snapshot();
                format!("thread {thread} sleeps over what it waits for: {wait:?}, {snapshot:#?}")
            })
        })
    }

    /// Whether a thread waits for what is there, as it looks now.
    fn sleeps_in_vain(&self, thread: usize) -> bool {
        let wait = lock(&self.waits[thread]).clone();
        match wait {
            None => false,
            Some(Wait::Event(name)) => {
                self.numbers(&name)
                    .is_some_and(|(numbers, _)| numbers.pending > 0)
                    || self.topic.is_closed()
            }
            Some(Wait::Room(events)) => {
                let snapshot = self.topic.snapshot();
                let mut lossless = snapshot
                    .subscribers
                    .iter()
                    .filter(|numbers| numbers.overflow == Overflow::Block);
                // What a lossy one holds is stepped over, which takes room; how far its slots reach is not told.
                let held = snapshot.subscribers.iter().any(|numbers| {
                    numbers.overflow != Overflow::Block && numbers.pending > numbers.lag
                });
                // In a ring without slots to spare gaps take room as events do.
                let room = snapshot.max_capacity.saturating_sub(events) as u64;
                snapshot.closed || !held && lossless.all(|numbers| numbers.lag <= room)
            }
        }
    }

    fn numbers(&self, name: &str) -> Option<(Numbers, u64)> {
        let snapshot = self.topic.snapshot();
        let numbers = snapshot
            .subscribers
            .iter()
            .find(|numbers| numbers.name.as_deref() == Some(name))?;
        Some((
            Numbers {
                published: numbers.published,
                delivered: numbers.delivered,
                filtered: numbers.filtered,
                missed: numbers.missed,
                pending: numbers.pending,
            },
            numbers.position,
        ))
    }
}

impl Record {
    fn add(&mut self, mut other: Self) {
        self.attempts.append(&mut other.attempts);
        self.members.append(&mut other.members);
        self.refused_joins.append(&mut other.refused_joins);
        self.failures.append(&mut other.failures);
    }

    fn check(&mut self, holds: bool, claim: &str) {
        if !holds {
            self.failures.push(claim.to_string());
        }
    }
}

impl Worker {
    fn new(thread: usize, common: &Arc<Common>, publisher: Option<AnyPublisher>) -> Self {
        Self {
            thread,
            common: Arc::clone(common),
            publisher,
            members: Vec::new(),
            record: Record::default(),
            born: Vec::new(),
            index: 0,
            begin: 0,
            moment: 0,
            last_sequence: 0,
        }
    }

    fn into_parts(self) -> (Record, Vec<Member>, Vec<Born>) {
        (self.record, self.members, self.born)
    }

    fn run(mut self, ops: Vec<Op>) -> Self {
        for op in ops {
            // What a panic that nobody planned has cut off is not in the record; it is one by itself.
            let done = catch_unwind(AssertUnwindSafe(|| self.act(op)));
            if let Err(payload) = done {
                self.record.failures.push(message(&*payload));
                break;
            }
        }
        self.publisher = None;
        self
    }

    fn begin(&mut self) {
        self.index += 1;
        self.begin = match self.thread {
            MAIN => self.moment,
            _ => self.common.now(1),
        };
    }

    fn span(&self) -> Span {
        Span {
            thread: self.thread,
            index: self.index,
            begin: self.begin,
            end: match self.thread {
                MAIN => self.moment,
                _ => self.common.now(u64::MAX - 1),
            },
        }
    }

    fn act(&mut self, op: Op) {
        self.begin();
        match op {
            Op::Publish(nature, how) => self.publish(nature, how),
            Op::Batch(natures, how, panics_at) => self.publish_batch(&natures, how, panics_at),
            Op::Build(nature, panics) => self.build(nature, panics),
            Op::Join(open) => self.join(open),
            Op::Read(who, way) => {
                if let Some(mut member) = self.pick(who) {
                    let waits = matches!(
                        way,
                        Way::PollWait(_) | Way::Recv | Way::Iter(_) | Way::BatchWait(..)
                    );
                    let waits = waits.then(|| Wait::Event(member.name.clone()));
                    let common = Arc::clone(&self.common);
                    *lock(&common.waits[self.thread]) = waits;
                    member.read(way, self);
                    *lock(&common.waits[self.thread]) = None;
                    self.members.push(member);
                }
            }
            Op::Hand(who) => {
                if let Some(member) = self.pick(who) {
                    lock(&self.common.handed).push(member);
                }
            }
            Op::Take => {
                let taken = lock(&self.common.handed).pop();
                self.members.extend(taken);
            }
            Op::Leave(who) => {
                if let Some(member) = self.pick(who) {
                    self.leave(member);
                }
            }
            Op::Forget(who) => {
                if let Some(member) = self.pick(who) {
                    self.common.leaked.store(true, Ordering::Relaxed);
                    let mut membership = member.membership;
                    std::mem::forget(member.subscriber);
                    membership.sightings = member.log.take();
                    self.record.members.push(membership);
                }
            }
            Op::Retire => self.publisher = None,
            Op::Enlist(exclusive) => {
                // Or an exclusive one would be refused for this very one.
                self.publisher = None;
                self.publisher = match exclusive {
                    true => self
                        .common
                        .topic
                        .exclusive_publisher()
                        .ok()
                        .map(AnyPublisher::Exclusive),
                    false => self.common.topic.publisher().ok().map(AnyPublisher::Shared),
                };
            }
            Op::Close => {
                self.common.topic.close();
                let span = self.span();
                lock(&self.common.closes).push(span);
            }
            Op::Pause => threads::yield_now(),
        }
    }

    /// Runs what may wait.
    fn waiting<R>(&self, wait: impl FnOnce() -> Option<Wait>, work: impl FnOnce() -> R) -> R {
        let place = self.common.waits.get(self.thread);
        let wait = place.and_then(|place| Some((place, wait()?)));
        let Some((place, wait)) = wait else {
            return work();
        };
        *lock(place) = Some(wait);
        let answer = work();
        *lock(place) = None;
        answer
    }

    fn pick(&mut self, who: usize) -> Option<Member> {
        match self.members.len() {
            0 => None,
            members => Some(self.members.remove(who % members)),
        }
    }

    // Publishing.

    fn event(&mut self, nature: Nature) -> Event {
        let id = self.born.len() as u64 * MOST_THREADS + self.thread as u64;
        let (event, dropped) = Event::new(id, nature, &self.common.yard);
        self.born.push((id, dropped));
        event
    }

    fn note(&mut self, events: Vec<u64>, outcome: Outcome) {
        if let Outcome::Published { range, .. } = &outcome {
            self.last_sequence = range.end;
        }
        let span = self.span();
        self.record.attempts.push(Attempt {
            span,
            events,
            outcome,
        });
    }

    fn publish(&mut self, nature: Nature, how: How) {
        let Some(mut publisher) = self.publisher.take() else {
            return;
        };
        let event = self.event(nature);
        let id = event.id();
        let wait = || (how == How::Block).then_some(Wait::Room(1));
        let outcome = match self.waiting(wait, || caught(|| publisher.publish(event, how))) {
            Ok(Ok(sequence)) => Outcome::Published {
                range: sequence..sequence + 1,
                vetoed: Vec::new(),
            },
            Ok(Err((why, event))) => Outcome::Refused {
                why,
                back: vec![event.dispose()],
            },
            // Of the event whose place it took, or of its own, as nobody listens.
            Err(planned) => {
                self.record
                    .check(planned == Planned::Drop, "only a drop panics in a publish");
                Outcome::Blew { sure: 1, most: 1 }
            }
        };
        self.publisher = Some(publisher);
        self.note(vec![id], outcome);
    }

    fn build(&mut self, nature: Nature, panics: bool) {
        let Some(AnyPublisher::Exclusive(mut publisher)) = self
            .publisher
            .take_if(|publisher| matches!(publisher, AnyPublisher::Exclusive(_)))
        else {
            return;
        };
        let mut held = Some(self.event(nature));
        let id = held.as_ref().expect("it is there").id();
        let outcome = self.waiting(
            || Some(Wait::Room(1)),
            || {
                caught(|| {
                    publisher.publish_with(|| {
                        if panics {
                            blow(Planned::Build);
                        }
                        held.take().expect("an event is built once")
                    })
                })
            },
        );
        let outcome = match outcome {
            Ok(Ok(sequence)) => Outcome::Published {
                range: sequence..sequence + 1,
                vetoed: Vec::new(),
            },
            Ok(Err(error)) => {
                let why = match &error {
                    PublishError::Closed(_) => Why::Closed,
                    PublishError::WouldDeadlock(_) => Why::WouldDeadlock,
                    PublishError::Vetoed(_) => Why::Vetoed,
                    _ => Why::TooLarge,
                };
                let id = match error.into_event() {
                    ringbus::Draft::Event(event) => event.dispose(),
                    ringbus::Draft::Build(_) => id,
                };
                Outcome::Refused {
                    why,
                    back: vec![id],
                }
            }
            Err(Planned::Build) => Outcome::Blew { sure: 0, most: 0 },
            Err(_) => Outcome::Blew { sure: 1, most: 1 },
        };
        if let Some(event) = held {
            event.dispose();
        }
        self.publisher = Some(AnyPublisher::Exclusive(publisher));
        self.note(vec![id], outcome);
    }

    fn publish_batch(&mut self, natures: &[Nature], how: How, panics_at: Option<usize>) {
        let Some(mut publisher) = self.publisher.take() else {
            return;
        };
        let events: Vec<_> = natures.iter().map(|&nature| self.event(nature)).collect();
        let ids: Vec<_> = events.iter().map(Event::id).collect();
        let mut given = 0;
        let mut left = events.into_iter();
        let outcome = {
            let iterator = Given {
                events: &mut left,
                given: &mut given,
                panics_at,
            };
            let wait = || (how == How::Block).then_some(Wait::Room(ids.len()));
            self.waiting(wait, || caught(|| publisher.publish_batch(iterator, how)))
        };
        let back: Vec<_> = left.map(Event::dispose).collect();
        let outcome = match outcome {
            Ok(Ok(range)) => Outcome::Published {
                range,
                vetoed: Vec::new(),
            },
            Ok(Err((None, _, published, vetoed))) => Outcome::Published {
                range: published,
                vetoed,
            },
            Ok(Err((Some(why), ..))) if why == Why::TooLarge => Outcome::Refused {
                why,
                back: ids.clone(),
            },
            Ok(Err((Some(why), refused, ..))) => Outcome::Refused {
                why,
                back: refused.into_iter().chain(back).collect(),
            },
            Err(planned) => {
                let exclusive = matches!(publisher, AnyPublisher::Exclusive(_));
                let observed = self.common.watched;
                match planned {
                    // A shared publisher takes all events out of the iterator first, and so do both if they
                    // are to be shown to somebody.
                    Planned::Iterator if !exclusive || observed => {
                        Outcome::Blew { sure: 0, most: 0 }
                    }
                    Planned::Iterator => Outcome::Blew {
                        sure: given,
                        most: given,
                    },
                    Planned::Drop if !exclusive && !observed => Outcome::Blew {
                        sure: ids.len(),
                        most: ids.len(),
                    },
                    Planned::Drop => Outcome::Blew {
                        sure: 0,
                        most: given,
                    },
                    planned => {
                        let claim = format!("{planned:?} does not panic in a batch");
                        self.record.check(false, &claim);
                        Outcome::Blew {
                            sure: 0,
                            most: ids.len(),
                        }
                    }
                }
            }
        };
        self.publisher = Some(publisher);
        self.note(ids, outcome);
    }

    // Membership.

    fn join(&mut self, open: Open) {
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
        let mut builder = topic
            .subscriber()
            .name(&name)
            .overflow(open.overflow)
            .start(start);
        if open.filter != Filter::None {
            let seen = Arc::default();
            log.filtered = Some(Arc::clone(&seen));
            builder = builder.filter(move |event: &Event| passes(open.filter, event, &seen));
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
        self.members.push(Member {
            name,
            subscriber,
            log,
            membership: Membership {
                overflow: open.overflow,
                opened,
                from_now: start == Start::Now,
                position,
                left: Span {
                    thread: MAIN,
                    index: usize::MAX,
                    begin: u64::MAX,
                    end: u64::MAX,
                },
                sightings: Vec::new(),
            },
        });
    }

    fn leave(&mut self, member: Member) {
        let Member {
            name,
            subscriber,
            mut log,
            mut membership,
        } = member;
        match self.common.numbers(&name) {
            Some((numbers, _)) => log.push(Sighting::Numbers {
                numbers,
                at_rest: false,
            }),
            None => self.record.check(false, "a subscriber is on the list"),
        }
        drop(subscriber);
        membership.left = self.span();
        membership.sightings = log.take();
        self.record.members.push(membership);
    }

    /// Looks at the numbers of those that are left, and reads them to their end.
    fn finish(&mut self, mut members: Vec<Member>) {
        self.moment = u64::MAX;
        self.begin();
        for member in &mut members {
            match self.common.numbers(&member.name) {
                Some((numbers, _)) => member.log.push(Sighting::Numbers {
                    numbers,
                    at_rest: true,
                }),
                None => self.record.check(false, "a subscriber is on the list"),
            }
        }
        self.common.topic.close();
        for (number, mut member) in members.into_iter().enumerate() {
            // In different ways. None of them waits, and each ends.
            let ways = [
                Way::Poll(usize::MAX, None),
                Way::TryRecv,
                Way::Poll(2, None),
                Way::Batch(8, 4, Then::Return),
            ];
            for turn in 0.. {
                member.read(ways[(number + turn / 4) % ways.len()], self);
                if member.is_told_closed() {
                    break;
                }
                if turn == 2000 {
                    self.record
                        .check(false, "a closed topic tells its subscribers so");
                    break;
                }
            }
            if let Some((numbers, _)) = self.common.numbers(&member.name) {
                member.log.push(Sighting::Numbers {
                    numbers,
                    at_rest: true,
                });
            }
            let mut membership = member.membership;
            membership.sightings = member.log.take();
            self.record.members.push(membership);
        }
    }
}

/// What a filter says of an event. A refusal and a panic are written down; what passes is shown next.
fn passes(filter: Filter, event: &Event, seen: &Mutex<Vec<Sighting>>) -> bool {
    let id = event.id();
    let number = id / MOST_THREADS;
    if filter == Filter::Touchy && number % 5 == 4 {
        lock(seen).push(Sighting::FilterBlew(id));
        blow(Planned::Filter);
    }
    let passes = number % 3 != 2;
    if !passes {
        lock(seen).push(Sighting::Refused(id));
    }
    passes
}

/// The events of a batch, as they are given.
struct Given<'a> {
    events: &'a mut std::vec::IntoIter<Event>,
    given: &'a mut usize,
    panics_at: Option<usize>,
}

impl Iterator for Given<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.panics_at == Some(*self.given) && self.events.len() > 0 {
            blow(Planned::Iterator);
        }
        let event = self.events.next()?;
        *self.given += 1;
        Some(event)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.events.size_hint()
    }
}

impl ExactSizeIterator for Given<'_> {}

/// Why a batch was refused and the events that came back, or of which sequences it is but for what was vetoed.
type BatchRefusal = (Option<Why>, Vec<u64>, Range<u64>, Vec<u64>);

/// The events that came back, without touching the iterator of a batch that has not been touched.
fn refused_batch<E>(error: PublishBatchError<E>, ids: impl FnOnce(E) -> Vec<u64>) -> BatchRefusal {
    let why = match &error {
        PublishBatchError::Full(_) => Why::Full,
        PublishBatchError::Closed(_) => Why::Closed,
        PublishBatchError::WouldDeadlock(_) => Why::WouldDeadlock,
        PublishBatchError::Vetoed { published, .. } => {
            let published = published.clone();
            return (None, Vec::new(), published, ids(error.into_events()));
        }
        _ => Why::TooLarge,
    };
    (Some(why), ids(error.into_events()), 0..0, Vec::new())
}

impl AnyPublisher {
    fn publish(&mut self, event: Event, how: How) -> Result<u64, (Why, Event)> {
        let timeout = |micros| Duration::from_micros(if threads::TIME_PASSES { micros } else { 0 });
        match (self, how) {
            (Self::Shared(publisher), How::Try) => publisher.try_publish(event).map_err(of_try),
            (Self::Exclusive(publisher), How::Try) => publisher.try_publish(event).map_err(of_try),
            (Self::Shared(publisher), How::Block) => publisher.publish(event).map_err(of_publish),
            (Self::Exclusive(publisher), How::Block) => {
                publisher.publish(event).map_err(of_publish)
            }
            (Self::Shared(publisher), How::Within(micros)) => publisher
                .publish_timeout(event, timeout(micros))
                .map_err(of_timeout),
            (Self::Exclusive(publisher), How::Within(micros)) => publisher
                .publish_timeout(event, timeout(micros))
                .map_err(of_timeout),
        }
    }

    fn publish_batch(&mut self, events: Given<'_>, how: How) -> Result<Range<u64>, BatchRefusal> {
        let blocks = how == How::Block;
        match self {
            Self::Shared(publisher) => match blocks {
                true => publisher.publish_batch(events),
                false => publisher.try_publish_batch(events),
            }
            .map_err(|error| {
                refused_batch(error, |events| {
                    events.into_iter().map(Event::dispose).collect()
                })
            }),
            Self::Exclusive(publisher) => match blocks {
                true => publisher.publish_batch(events),
                false => publisher.try_publish_batch(events),
            }
            .map_err(|error| {
                refused_batch(error, |rest| {
                    // An iterator that panics would do so here.
                    let mut ids = Vec::new();
                    let _ = caught(|| rest.map(Event::dispose).for_each(|id| ids.push(id)));
                    ids
                })
            }),
        }
    }
}

fn of_try(error: TryPublishError<Event>) -> (Why, Event) {
    let why = match &error {
        TryPublishError::Full(_) => Why::Full,
        TryPublishError::Closed(_) => Why::Closed,
        TryPublishError::Vetoed(_) => Why::Vetoed,
        _ => Why::TooLarge,
    };
    (why, error.into_event())
}

fn of_publish(error: PublishError<Event>) -> (Why, Event) {
    let why = match &error {
        PublishError::Closed(_) => Why::Closed,
        PublishError::WouldDeadlock(_) => Why::WouldDeadlock,
        PublishError::Vetoed(_) => Why::Vetoed,
        _ => Why::TooLarge,
    };
    (why, error.into_event())
}

fn of_timeout(error: PublishTimeoutError<Event>) -> (Why, Event) {
    let why = match &error {
        PublishTimeoutError::Timeout(_) => Why::Full,
        PublishTimeoutError::Closed(_) => Why::Closed,
        PublishTimeoutError::WouldDeadlock(_) => Why::WouldDeadlock,
        PublishTimeoutError::Vetoed(_) => Why::Vetoed,
        _ => Why::TooLarge,
    };
    (why, error.into_event())
}

impl Member {
    fn is_told_closed(&self) -> bool {
        let last = match &self.log.filtered {
            None => self.log.seen.last().copied(),
            Some(seen) => lock(seen).last().copied(),
        };
        last == Some(Sighting::Closed)
    }

    fn see(log: &mut Log, event: &Event, meta: Meta) {
        log.push(Sighting::Seen {
            id: event.id(),
            sequence: Some(meta.sequence),
            missed: Told::Exactly(meta.missed),
        });
    }

    fn end(&mut self, error: PollError, worker: &mut Worker) {
        match error {
            PollError::Closed => self.log.push(Sighting::Closed),
            PollError::Disconnected(missed) => self.log.push(Sighting::Disconnected(missed)),
            error => worker
                .record
                .check(false, &format!("{error}, without stages")),
        }
    }

    fn nothing(&mut self, worker: &Worker) {
        self.log.push(Sighting::Nothing(worker.span()));
    }

    fn read(&mut self, way: Way, worker: &mut Worker) {
        let within = |micros| {
            let timeout = Duration::from_micros(if threads::TIME_PASSES { micros } else { 0 });
            Instant::now() + timeout
        };
        let Self {
            subscriber, log, ..
        } = self;
        match way {
            Way::Poll(max, panics_at) => {
                let mut shown = 0;
                let result = caught(|| {
                    subscriber.poll(max, |event, meta| {
                        Self::see(log, event, meta);
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
                        Self::see(log, event, meta);
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
                        Self::see(log, event, meta);
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
                        error => panic!("{error}, without stages"),
                    })
                });
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
                            error => panic!("{error}, without stages"),
                        })
                });
                self.after_recv(answer, worker);
            }
            Way::Iter(max) => {
                for _ in 0..max {
                    let answer = caught(|| self.subscriber.iter().next());
                    if !self.after_next(answer) {
                        break;
                    }
                }
            }
            Way::TryIter(max) => {
                for _ in 0..max {
                    let answer = caught(|| self.subscriber.try_iter().next());
                    if !self.after_next(answer) {
                        break;
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
                            Self::see(log, event, meta);
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
                            Self::see(log, event, meta);
                        }
                    })
                });
                if let Ok(Err(error)) = result {
                    self.end(error, worker);
                }
            }
        }
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
            Ok(Ok(event)) => self.log.push(Sighting::Seen {
                id: event.id(),
                sequence: None,
                missed,
            }),
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
                Self::see(&mut self.log, &event, meta);
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
