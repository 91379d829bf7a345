//! One thread of a program.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::handle::Handle;
use super::program::{Op, Then, Way};
use super::publishing::AnyPublisher;
use super::record::{MAIN, Record, Sighting, Span};
use super::threads;
use super::world::{Common, Wait, lock, message};

/// An event's number, and the count of its drops.
pub(crate) type Born = (u64, Arc<AtomicU32>);

/// One thread of a program.
pub(crate) struct Worker {
    pub(crate) thread: usize,
    pub(crate) common: Arc<Common>,
    pub(crate) publisher: Option<AnyPublisher>,
    pub(crate) handles: Vec<Handle>,
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
            handles: Vec::new(),
            record: Record::default(),
            born: Vec::new(),
            index: 0,
            begin: 0,
            moment: 0,
            last_sequence: 0,
        }
    }

    pub(crate) fn into_parts(self) -> (Record, Vec<Handle>, Vec<Born>) {
        (self.record, self.handles, self.born)
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
        if self.common.staged {
            // Or others would wait for what nobody reads.
            let handles = std::mem::take(&mut self.handles);
            lock(&self.common.handed).extend(handles);
        }
        self
    }

    /// Whether nobody publishes or reads any more.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.moment == u64::MAX
    }

    pub(crate) fn begin(&mut self) {
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
            Op::Enrol(group) => {
                let reader = match self.common.crews().len() {
                    0 => None,
                    groups => self.enrol(group % groups),
                };
                self.handles.extend(reader.map(Handle::Grouped));
            }
            Op::Read(who, way) => {
                if let Some(mut handle) = self.pick(who) {
                    let way = self.give_way(&handle, way);
                    let waits = way.waits().then(|| handle.wait());
                    let common = Arc::clone(&self.common);
                    *lock(&common.waits[self.thread]) = waits;
                    handle.read(way, self);
                    *lock(&common.waits[self.thread]) = None;
                    self.handles.push(handle);
                }
            }
            Op::Hand(who) => {
                if let Some(handle) = self.pick(who) {
                    lock(&self.common.handed).push(handle);
                }
            }
            Op::Take => {
                let taken = lock(&self.common.handed).pop();
                self.handles.extend(taken);
            }
            Op::Leave(who) => {
                if let Some(handle) = self.pick(who) {
                    handle.leave(self);
                }
            }
            Op::Forget(who) => match self.pick(who) {
                Some(Handle::Subscriber(member)) => self.forget(member),
                Some(Handle::Grouped(reader)) => reader.forget(self),
                Some(handle) => handle.leave(self),
                None => {}
            },
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

    /// Before it waits for others, it lets go of what others may wait for; and if it may be the one that it
    /// waits for, without having read it, it waits for a while only: it would be told after a second.
    fn give_way(&mut self, handle: &Handle, way: Way) -> Way {
        if !self.common.staged {
            return way;
        }
        if let Some(number) = handle.number() {
            self.common.standings.note_reader(number, self.thread);
        }
        let is_follower = !handle.after().is_empty() || matches!(handle, Handle::Grouped(_));
        if !way.waits() || !is_follower {
            return way;
        }
        if self
            .common
            .standings
            .is_unread_by_its_opener(handle.after(), self.thread)
        {
            return way.bounded();
        }
        let handles = std::mem::take(&mut self.handles);
        let (away, kept) = handles.into_iter().partition(Handle::holds_up);
        self.handles = kept;
        let away: Vec<_> = away;
        lock(&self.common.handed).extend(away);
        way
    }

    /// It was told that it would wait for itself.
    pub(crate) fn note_own_wait(&mut self, after: &[usize]) {
        let fair = self.common.standings.is_of(after, self.thread);
        self.record.check(
            fair,
            "who would wait for itself has read or opened what is in the way",
        );
    }

    fn pick(&mut self, who: usize) -> Option<Handle> {
        match self.handles.len() {
            0 => None,
            handles => Some(self.handles.remove(who % handles)),
        }
    }
    /// Looks at the numbers of those that are left, and reads them to their end.
    pub(crate) fn finish(&mut self, mut handles: Vec<Handle>) -> Vec<Handle> {
        self.moment = u64::MAX;
        self.begin();
        let common = Arc::clone(&self.common);
        for handle in &mut handles {
            match handle {
                Handle::Subscriber(member) => match common.numbers(&member.name) {
                    Some((numbers, _)) => member.log.push(Sighting::Numbers {
                        numbers,
                        at_rest: true,
                    }),
                    None => self.record.check(false, "a subscriber is on the list"),
                },
                Handle::Editor(_) | Handle::Grouped(_) => {}
            }
        }
        self.common.topic.close();
        // In different ways and by turns, as some come after others. None of them waits, and each ends.
        let ways = [
            Way::Poll(usize::MAX, None),
            Way::TryRecv,
            Way::Poll(2, None),
            Way::Batch(8, 4, Then::Return),
        ];
        for turn in 0.. {
            let mut open = false;
            for (number, handle) in handles.iter_mut().enumerate() {
                if !handle.is_told_closed() {
                    open = true;
                    handle.read(ways[(number + turn / 4) % ways.len()], self);
                }
            }
            if !open {
                break;
            }
            if turn == 4000 {
                self.record
                    .check(false, "a closed topic tells its subscribers so");
                break;
            }
        }
        handles
    }
}
