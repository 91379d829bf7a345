//! One thread of a program.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::program::{Op, Then, Way};
use super::publishing::AnyPublisher;
use super::record::{MAIN, Record, Sighting, Span};
use super::subscriber::Member;
use super::threads;
use super::world::{Common, Wait, lock, message};

/// An event's number, and the count of its drops.
pub(crate) type Born = (u64, Arc<AtomicU32>);

/// One thread of a program.
pub(crate) struct Worker {
    pub(crate) thread: usize,
    pub(crate) common: Arc<Common>,
    pub(crate) publisher: Option<AnyPublisher>,
    pub(crate) members: Vec<Member>,
    pub(crate) record: Record,
    pub(crate) born: Vec<Born>,
    index: usize,
    begin: u64,
    /// What the clock says on the main thread: before, or after the others.
    moment: u64,
    pub(crate) last_sequence: u64,
}

impl Worker {
    pub(crate) fn new(
        thread: usize,
        common: &Arc<Common>,
        publisher: Option<AnyPublisher>,
    ) -> Self {
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

    pub(crate) fn into_parts(self) -> (Record, Vec<Member>, Vec<Born>) {
        (self.record, self.members, self.born)
    }

    pub(crate) fn run(mut self, ops: Vec<Op>) -> Self {
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

    pub(crate) fn span(&self) -> Span {
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
    pub(crate) fn waiting<R>(
        &self,
        wait: impl FnOnce() -> Option<Wait>,
        work: impl FnOnce() -> R,
    ) -> R {
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
    /// Looks at the numbers of those that are left, and reads them to their end.
    pub(crate) fn finish(&mut self, mut members: Vec<Member>) {
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
