//! Reading as one of several.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ringbus::{
    GroupBuilder, GroupError, GroupMember, GroupMeta, Overflow, PollError, RecvError,
    RecvTimeoutError, Stage, SubscribeError, Topic, TryRecvError,
};

use super::event::{Event, Planned, blow, caught};
use super::program::{Keys, Terms, Then, Way};
use super::record::{Answer, Call, Colleague, Group, GroupNumbers, Showing, Sight};
use super::stage::{sight, turn};
use super::threads;
use super::worker::Worker;
use super::world::{MOST_THREADS, after_all, lock};

pub(crate) const KEYS: u64 = 3;

/// What a program knows of one of its groups.
pub(crate) struct Crew {
    pub(crate) name: String,
    pub(crate) terms: Terms,
    pub(crate) stage: Option<Arc<Stage<Event>>>,
    pub(crate) after: Vec<usize>,
    pub(crate) ahead: Vec<Arc<AtomicU64>>,
    /// For each key how often a handler began or ended.
    turns: [AtomicU64; KEYS as usize],
    reports: Arc<Mutex<Vec<u64>>>,
}

/// One member of a group, and what it has seen.
pub(crate) struct GroupReader {
    pub(crate) group: usize,
    pub(crate) after: Vec<usize>,
    member: GroupMember<Event>,
    colleague: Colleague,
}

/// The key of an event; the function that tells it panics at some, if it is a touchy one.
pub(crate) fn key(id: u64) -> u64 {
    id / MOST_THREADS % KEYS
}

pub(crate) fn is_touchy(id: u64) -> bool {
    id / MOST_THREADS % 7 == 6
}

impl Crew {
    pub(crate) fn new(
        name: String,
        terms: Terms,
        stage: Option<Arc<Stage<Event>>>,
        after: Vec<usize>,
        ahead: Vec<Arc<AtomicU64>>,
    ) -> Self {
        Self {
            name,
            terms,
            stage,
            after,
            ahead,
            turns: Default::default(),
            reports: Arc::default(),
        }
    }

    fn join(&self, topic: &Topic<Event>) -> Result<GroupMember<Event>, GroupError> {
        let Terms {
            lossy,
            batch,
            redeliver,
            keys,
            ..
        } = self.terms;
        let reports = Arc::clone(&self.reports);
        let mut builder: GroupBuilder<'_, Event> = topic
            .group(&self.name)
            .batch(batch)
            .redeliver(redeliver)
            .on_abandoned(move |event: &Event, _| lock(&reports).push(event.id()));
        if lossy {
            builder = builder.overflow(Overflow::DropOldest);
        }
        builder = match keys {
            Keys::None => builder,
            Keys::Few => builder.by_key(|event: &Event| key(event.id())),
            Keys::Touchy => builder.by_key(|event: &Event| {
                if is_touchy(event.id()) {
                    blow(Planned::Key);
                }
                key(event.id())
            }),
        };
        if let Some(stage) = &self.stage {
            builder = builder.after(&**stage);
        }
        builder.join()
    }

    /// What there is to say of the group in the end.
    pub(crate) fn into_record(self, numbers: Vec<GroupNumbers>) -> Group {
        let reports = std::mem::take(&mut *lock(&self.reports));
        Group {
            terms: self.terms,
            after: self.after,
            reports,
            numbers,
        }
    }

    pub(crate) fn numbers(&self, topic: &Topic<Event>) -> Option<GroupNumbers> {
        let snapshot = topic.snapshot();
        let numbers = snapshot
            .groups
            .iter()
            .find(|group| group.name == self.name)?;
        Some(GroupNumbers {
            published: numbers.published,
            delivered: numbers.delivered,
            missed: numbers.missed,
            pending: numbers.pending,
            redelivered: numbers.redelivered,
            abandoned: numbers.abandoned,
        })
    }
}

impl Worker {
    /// Becomes a member of a group; tells whether it did.
    pub(crate) fn enrol(&mut self, group: usize) -> Option<GroupReader> {
        let common = Arc::clone(&self.common);
        let crew = &common.crews()[group];
        match crew.join(&common.topic) {
            Ok(member) => Some(GroupReader {
                group,
                after: crew.after.clone(),
                member,
                colleague: Colleague {
                    group,
                    opened: self.span(),
                    left: after_all(),
                    calls: Vec::new(),
                },
            }),
            Err(error) => {
                let full = matches!(
                    error,
                    GroupError::Subscribe(SubscribeError::TooManyLossy(_))
                );
                let fair = full && crew.terms.lossy;
                self.record
                    .check(fair, &format!("a group refuses a member: {error}"));
                let span = self.span();
                self.record.refused_joins.push(span);
                None
            }
        }
    }
}

impl GroupReader {
    pub(crate) fn is_told_closed(&self) -> bool {
        let last = self.colleague.calls.last();
        last.is_some_and(|call| call.answer == Answer::Closed)
    }

    pub(crate) fn read(&mut self, way: Way, worker: &mut Worker) {
        let common = Arc::clone(&worker.common);
        let crew = &common.crews()[self.group];
        let mut shown = Vec::new();
        let (most, answer) = match way {
            Way::TryRecv | Way::Recv | Way::RecvWithin(_) => {
                (1, self.receive(way, crew, &mut shown, worker))
            }
            _ => self.poll(way, crew, &mut shown, worker),
        };
        if answer == Answer::WouldDeadlock {
            worker.note_own_wait(&self.after);
        }
        self.colleague.calls.push(Call {
            span: worker.span(),
            most,
            shown,
            answer,
        });
    }

    fn poll(
        &mut self,
        way: Way,
        crew: &Crew,
        shown: &mut Vec<Showing>,
        worker: &mut Worker,
    ) -> (usize, Answer) {
        let (max, panics_at) = match way {
            Way::Poll(max, panics_at) => (max, panics_at),
            Way::Batch(max, take, Then::Panic) => (max, Some(take + 1)),
            Way::PollWait(max)
            | Way::PollWithin(max, _)
            | Way::Batch(max, ..)
            | Way::BatchWait(max, _)
            | Way::Iter(max)
            | Way::TryIter(max) => (max, None),
            Way::TryRecv | Way::Recv | Way::RecvWithin(_) => (1, None),
        };
        let mut handle = |event: &Event, meta: GroupMeta| {
            let id = event.id();
            let turns = (crew.terms.keys != Keys::None).then(|| &crew.turns[key(id) as usize]);
            let began = turns.map(turn);
            shown.push(Showing {
                id,
                told: Some((meta.sequence, meta.redelivered)),
                missed: meta.missed,
                done: false,
                turns: None,
                sight: sight(&crew.ahead, event),
            });
            if (id / MOST_THREADS).is_multiple_of(4) {
                threads::yield_now();
            }
            let blows = panics_at == Some(shown.len());
            let showing = shown.last_mut().expect("it was just pushed");
            showing.turns = began.zip(turns.map(turn));
            if blows {
                blow(Planned::Handler);
            }
            showing.done = true;
        };
        let member = &mut self.member;
        let result = caught(|| match way {
            way if way.waits() => member.poll_wait(max, &mut handle),
            Way::PollWithin(_, micros) => {
                let micros = if threads::TIME_PASSES { micros } else { 0 };
                let deadline = Instant::now() + Duration::from_micros(micros);
                member.poll_deadline(max, deadline, &mut handle)
            }
            _ => member.poll(max, &mut handle),
        });
        let answer = match result {
            Ok(Ok(count)) => {
                worker.record.check(
                    count == shown.len(),
                    "a poll of a group tells how many it has shown",
                );
                match count {
                    0 if max > 0 => Answer::Nothing,
                    _ => Answer::Shown,
                }
            }
            Ok(Err(PollError::Closed)) => Answer::Closed,
            Ok(Err(PollError::WouldDeadlock)) => Answer::WouldDeadlock,
            Ok(Err(error)) => {
                worker.record.check(false, &format!("{error}, of a group"));
                Answer::Shown
            }
            Err(_) => Answer::Blew,
        };
        (max, answer)
    }

    fn receive(
        &mut self,
        way: Way,
        crew: &Crew,
        shown: &mut Vec<Showing>,
        worker: &mut Worker,
    ) -> Answer {
        let member = &mut self.member;
        let itself = Cell::new(false);
        let answer = caught(|| match way {
            Way::Recv => member.recv().map_err(|error| match error {
                RecvError::Closed => TryRecvError::Closed,
                RecvError::Missed(missed) => TryRecvError::Missed(missed),
                RecvError::Disconnected(missed) => TryRecvError::Disconnected(missed),
                _ => {
                    itself.set(true);
                    TryRecvError::Empty
                }
            }),
            Way::RecvWithin(micros) => {
                let micros = if threads::TIME_PASSES { micros } else { 0 };
                let timeout = Duration::from_micros(micros);
                member.recv_timeout(timeout).map_err(|error| match error {
                    RecvTimeoutError::Timeout => TryRecvError::Empty,
                    RecvTimeoutError::Closed => TryRecvError::Closed,
                    RecvTimeoutError::Missed(missed) => TryRecvError::Missed(missed),
                    RecvTimeoutError::Disconnected(missed) => TryRecvError::Disconnected(missed),
                    _ => {
                        itself.set(true);
                        TryRecvError::Empty
                    }
                })
            }
            _ => member.try_recv(),
        });
        let showing = |id, done, sight| Showing {
            id,
            told: None,
            missed: 0,
            done,
            turns: None,
            sight,
        };
        match answer {
            Ok(Ok(event)) => {
                shown.push(showing(event.id(), true, sight(&crew.ahead, &event)));
                Answer::Shown
            }
            Ok(Err(TryRecvError::Empty)) if itself.get() => Answer::WouldDeadlock,
            Ok(Err(TryRecvError::Empty)) => {
                worker
                    .record
                    .check(!way.waits(), "a recv of a group has an event or a reason");
                Answer::Nothing
            }
            Ok(Err(TryRecvError::Missed(missed))) => Answer::Missed(missed),
            Ok(Err(TryRecvError::Closed)) => Answer::Closed,
            Ok(Err(error)) => {
                worker.record.check(false, &format!("{error}, of a group"));
                Answer::Nothing
            }
            Err(Planned::Clone(id)) => {
                shown.push(showing(id, false, Sight::default()));
                Answer::Blew
            }
            Err(planned) => {
                worker.record.check(
                    false,
                    &format!("{planned:?} does not panic in a group's recv"),
                );
                Answer::Blew
            }
        }
    }

    pub(crate) fn leave(self, worker: &mut Worker) {
        let Self {
            member,
            mut colleague,
            ..
        } = self;
        drop(member);
        if !worker.is_at_rest() {
            colleague.left = worker.span();
        }
        worker.record.colleagues.push(colleague);
    }

    /// Is leaked, unless it may keep events to itself.
    pub(crate) fn forget(self, worker: &mut Worker) {
        if worker.common.crews()[self.group].terms.lossy {
            return self.leave(worker);
        }
        worker.common.leaked.store(true, Ordering::Relaxed);
        std::mem::forget(self.member);
        worker.record.colleagues.push(self.colleague);
    }
}
