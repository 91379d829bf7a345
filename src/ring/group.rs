//! Work sharing: one cursor that several workers move, each event to one of them.

use super::Ring;
use super::member::{Cursor, Member, Pin, Standing};
use super::members::Seat;
use super::reader::{Origin, RefusedJoin};
use super::routes::Routes;
use super::upstream::{Upstream, Upstreams};
use crate::sync::{Arc, AtomicU64, Backoff, CachePadded, Counter, Mutex, Ordering};

/// How a group takes and hands out events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Publishers push its cursor instead of waiting.
    pub(crate) lossy: bool,
    /// The most events that a worker takes at once, 1 to 64.
    pub(crate) batch: u64,
    /// Events of one key are handled one after the other. Not for lossy groups.
    pub(crate) by_key: bool,
}

/// A group of workers.
///
/// ```text
/// worker                                       publisher's plan
/// next = cursor; the stamps from there on      cursors of all seats, then once more all seats
/// post at next (lossy: pin)                        so: cursor of the group, then the posts
/// cursor: next -> end, or try again            may overwrite what is before all of them
/// show the events
/// post rests, or goes with what is left
/// ```
///
/// A post stays with its portion when a worker hands back what it has not handled, so between the claim and
/// the last event a portion is protected by one and the same word (R12). With keys the cursor itself stays
/// before everything that is not handled, and is moved under the lock of the [`Routes`]; posts then only
/// tell who is at it.
#[derive(Debug)]
pub(crate) struct Group<T> {
    pub(super) ring: Arc<Ring<T>>,
    seat: Seat,
    pub(super) terms: Terms,
    pub(super) routes: Option<Routes>,
    /// Whom its workers come after: the ring's editors, and whoever else it was to.
    after: Box<[Upstream]>,
    /// The number of portions that were handed back and wait; written under the lock of the desk.
    waiting: AtomicU64,
    /// For a lossy group: the end of the last claim, and the lost events that were told to a worker.
    claimed_to: CachePadded<AtomicU64>,
    told: CachePadded<AtomicU64>,
    desk: Mutex<Desk>,
    workers: Counter,
    /// What became of events, of workers that have left; and of all of them.
    delivered: Counter,
    holes: Counter,
    returned: Counter,
    redelivered: Counter,
    abandoned: Counter,
}

/// The cold state of a group.
#[derive(Debug, Default)]
struct Desk {
    workers: Vec<Arc<Tally>>,
    /// The seats of all posts, of workers and of portions that wait.
    posts: Vec<Seat>,
    /// Portions that wait, the oldest last.
    portions: Vec<Portion>,
}

/// What protects a portion.
#[derive(Debug)]
pub(crate) struct Post {
    seat: Seat,
    /// Slots it may pin; 0 in a lossless group.
    pub(super) max_claim: u64,
    /// The thread that last took a portion with it.
    thread: u64,
}

/// Events that one worker has taken and not handled.
#[derive(Debug)]
pub(crate) struct Portion {
    pub(super) post: Post,
    /// Its sequences are `base..base + length`; with keys they are on the worker's list.
    pub(super) base: u64,
    pub(super) length: u64,
    /// How many of them were passed.
    pub(super) passed: u64,
    /// Bit `i` says that the `i`th is a hole, or that it was shown before.
    pub(super) holes: u64,
    pub(super) shown: u64,
}

/// One worker's numbers.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    opener: Counter,
    pub(super) reader: Counter,
    pub(super) delivered: Counter,
    pub(super) holes: Counter,
    /// Events of the portion that it is at.
    pub(super) at: Counter,
}

/// A group's numbers. As for [`Standings`](super::standings::Standings), and `published = delivered + missed + pending +
/// abandoned`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupStandings {
    pub(crate) workers: usize,
    pub(crate) next: u64,
    pub(crate) lag: u64,
    pub(crate) published: u64,
    pub(crate) pending: u64,
    pub(crate) delivered: u64,
    pub(crate) missed: u64,
    pub(crate) returned: u64,
    pub(crate) redelivered: u64,
    pub(crate) abandoned: u64,
}

/// The reader of a group's seat when several threads could read it.
const SEVERAL: u64 = u64::MAX;

impl Portion {
    /// Events that are left.
    pub(super) fn left(&self) -> u64 {
        (self.passed..self.length)
            .filter(|index| (self.holes >> index) & 1 == 0)
            .count() as u64
    }
}

impl Post {
    pub(super) fn member(&self) -> &Member {
        self.seat.member()
    }

    /// Notes who takes a portion, for publishers that would wait for themselves.
    pub(super) fn note_thread(&mut self, thread: u64) {
        if self.thread != thread {
            self.thread = thread;
            self.member().note_reader(thread);
        }
    }

    fn is_idle(seat: &Seat) -> bool {
        let member = seat.member();
        member.cursor() == Cursor::NOBODY && member.pin() == Pin::NONE
    }
}

impl<T> Group<T> {
    /// A group without workers, which comes after some that are there.
    pub(crate) fn form(
        ring: &Arc<Ring<T>>,
        terms: Terms,
        origin: Origin,
        after: &[Upstream],
    ) -> Result<Arc<Self>, RefusedJoin> {
        debug_assert!((1..=u64::from(u64::BITS)).contains(&terms.batch));
        debug_assert!(!(terms.lossy && terms.by_key));
        ring.members.add_group();
        let seat = ring.members.seat();
        let standing = match terms.lossy {
            true => Standing::Pushable,
            false => Standing::Gating,
        };
        let (anchor, start) = ring.enter(seat.member(), standing, terms.lossy, origin);
        let start = match start {
            Ok(start) => start,
            Err(refused) => {
                let pushed_to = seat.leave(anchor);
                ring.members.give_back(seat, None, pushed_to);
                ring.members.remove_group();
                return Err(refused);
            }
        };
        let group = Self {
            ring: Arc::clone(ring),
            seat,
            terms,
            routes: terms.by_key.then(|| Routes::new(ring.shape.slots, start)),
            after: ring.editors.iter().chain(after).cloned().collect(),
            waiting: AtomicU64::new(0),
            claimed_to: CachePadded::new(AtomicU64::new(anchor)),
            told: CachePadded::new(AtomicU64::new(0)),
            desk: Mutex::new(Desk::default()),
            workers: Counter::default(),
            delivered: Counter::default(),
            holes: Counter::default(),
            returned: Counter::default(),
            redelivered: Counter::default(),
            abandoned: Counter::default(),
        };
        group.start_at(start, standing);
        Ok(Arc::new(group))
    }

    /// Moves the cursor from the anchor to where the group starts. Publishers may push that of a lossy group
    /// at the same time; what was lost on the way is not the group's.
    fn start_at(&self, start: u64, standing: Standing) {
        let member = self.member();
        let (start, lost) = if standing == Standing::Gating {
            member.advance(start);
            (start, 0)
        } else {
            loop {
                let cursor = member.cursor();
                let lost = self.lost_before(cursor.next());
                let start = start.max(cursor.next());
                if member.try_move(cursor, Cursor::new(start, standing)) {
                    break (start, lost);
                }
            }
        };
        self.note_claim(start);
        self.told.store(lost, Ordering::Relaxed);
        member.joined.set(start);
        member.lost_before_joining.set(lost);
        member
            .pushed_over_before_joining
            .set(member.pushed_over.get());
    }

    /// The group's own seat.
    pub(super) fn member(&self) -> &Member {
        self.seat.member()
    }

    /// The lanes of a group with keys.
    pub(super) fn routes(&self) -> &Routes {
        self.routes.as_ref().expect("a group with keys has routes")
    }

    /// Whom a worker comes after.
    pub(super) fn upstreams(&self) -> Upstreams {
        let mut upstreams = Upstreams::default();
        self.after
            .iter()
            .for_each(|upstream| upstreams.add(upstream));
        upstreams
    }

    /// Workers that there are; a hint for those who share.
    pub(super) fn workers(&self) -> u64 {
        self.workers.get()
    }

    /// Adds a worker: its numbers and its post; or how many lossy members there may be.
    pub(super) fn enroll(&self, opener: u64) -> Result<(Arc<Tally>, Post), u64> {
        let post = self.post()?;
        let tally = Arc::new(Tally::default());
        tally.opener.set(opener);
        let mut desk = self.desk.lock();
        desk.workers.push(Arc::clone(&tally));
        self.note_readers(&desk);
        Ok((tally, post))
    }

    /// Takes a worker out, with its post if that has not gone with a portion.
    pub(super) fn discharge(&self, tally: &Arc<Tally>, post: Option<Post>) {
        if let Some(post) = post {
            self.retire(post);
        }
        let mut desk = self.desk.lock();
        desk.workers.retain(|other| !Arc::ptr_eq(other, tally));
        self.delivered.add(tally.delivered.get());
        self.holes.add(tally.holes.get());
        self.note_readers(&desk);
    }

    /// A new post; or how many lossy members there may be.
    pub(super) fn post(&self) -> Result<Post, u64> {
        let members = &self.ring.members;
        let (seat, max_claim) = match self.terms.lossy {
            true => members.lossy_seat(self.terms.batch)?,
            false => (members.seat(), 0),
        };
        seat.member().enter(Cursor::NOBODY, 0);
        self.desk.lock().posts.push(seat.clone());
        Ok(Post {
            seat,
            max_claim,
            thread: 0,
        })
    }

    /// Gives up a post that protects nothing any more.
    pub(super) fn retire(&self, post: Post) {
        self.give_back(&mut self.desk.lock(), post);
    }

    fn give_back(&self, desk: &mut Desk, post: Post) {
        desk.posts.retain(|seat| !seat.is(&post.seat));
        post.seat.member().leave();
        let claim = self.terms.lossy.then_some(post.max_claim);
        self.ring.members.give_back(post.seat, claim, None);
    }

    /// Notes that a worker is read by another thread than before.
    pub(super) fn note_reader(&self, tally: &Tally, thread: u64) {
        tally.reader.set(thread);
        self.note_readers(&self.desk.lock());
    }

    /// Says on the seats for which nobody is responsible whether one thread alone could read them: one that
    /// reads all workers, or has opened those that nobody has read yet.
    fn note_readers(&self, desk: &Desk) {
        self.workers.set(desk.workers.len() as u64);
        let mut unread = false;
        let mut thread = 0;
        for worker in &desk.workers {
            let responsible = match worker.reader.get() {
                0 => {
                    unread = true;
                    worker.opener.get()
                }
                reader => reader,
            };
            thread = match thread {
                0 => responsible,
                other if other == responsible => other,
                _ => SEVERAL,
            };
        }
        let (reader, opener) = match (thread, unread) {
            (0 | SEVERAL, _) => (SEVERAL, 0),
            (thread, true) => (0, thread),
            (thread, false) => (thread, 0),
        };
        let waiting = desk.portions.iter().map(|portion| portion.post.member());
        for member in waiting.chain([self.member()]) {
            member.opener.set(opener);
            member.note_reader(reader);
        }
    }

    /// Hands back what a worker has not handled, which keeps its post.
    pub(super) fn put_back(&self, mut portion: Portion) {
        if !self.terms.lossy {
            portion.post.member().advance(portion.base + portion.passed);
        }
        portion.post.thread = 0;
        self.returned.add(portion.left());
        let mut desk = self.desk.lock();
        let older = |other: &Portion| other.base > portion.base;
        let at = desk.portions.partition_point(older);
        desk.portions.insert(at, portion);
        self.waiting
            .store(desk.portions.len() as u64, Ordering::Relaxed);
        self.note_readers(&desk);
    }

    /// Whether a portion waits that begins before `limit`.
    #[inline]
    pub(super) fn has_waiting(&self, limit: u64) -> bool {
        self.waiting.load(Ordering::Relaxed) != 0
            && self
                .desk
                .lock()
                .portions
                .last()
                .is_some_and(|portion| portion.base + portion.passed < limit)
    }

    /// The oldest portion that waits.
    #[inline]
    pub(super) fn take_waiting(&self, limit: u64) -> Option<Portion> {
        match self.waiting.load(Ordering::Relaxed) {
            0 => None,
            _ => self.take_waiting_slow(limit),
        }
    }

    #[cold]
    fn take_waiting_slow(&self, limit: u64) -> Option<Portion> {
        let mut desk = self.desk.lock();
        let portion = desk
            .portions
            .pop_if(|portion| portion.base + portion.passed < limit);
        self.waiting
            .store(desk.portions.len() as u64, Ordering::Relaxed);
        portion
    }

    /// Whether everything before the ring's end is handled, when the cursor is there. A portion that a worker
    /// is at may still come back.
    #[cold]
    pub(super) fn is_drained(&self) -> bool {
        match &self.routes {
            Some(_) => self.member().cursor().next() >= self.ring.end(),
            None => self.desk.lock().posts.iter().all(Post::is_idle),
        }
    }

    /// Notes where a claim of a lossy group ended, after it was made.
    pub(super) fn note_claim(&self, end: u64) {
        self.claimed_to.fetch_max(end, Ordering::Relaxed);
    }

    /// Events that publishers took before `next`, where the cursor is. Whoever moved it there says so a store
    /// or two later; until then this waits.
    pub(super) fn lost_before(&self, next: u64) -> u64 {
        let backoff = Backoff::new();
        loop {
            // Relaxed: who claimed up to `next` had seen the count before, and edge `claim` hands that on.
            if self.claimed_to.load(Ordering::Relaxed) >= next {
                return self.member().lost();
            }
            if let Some(lost) = self.member().lost_before(next) {
                return lost;
            }
            backoff.snooze();
        }
    }

    /// Events lost that no worker has been told of; they are told now.
    pub(super) fn take_missed(&self, lost: u64) -> u64 {
        if self.told.load(Ordering::Relaxed) >= lost {
            return 0;
        }
        let told = self.told.fetch_max(lost, Ordering::Relaxed);
        lost.saturating_sub(told)
    }

    pub(super) fn count_redelivered(&self) {
        self.redelivered.add(1);
    }

    pub(super) fn count_abandoned(&self) {
        self.abandoned.add(1);
    }

    pub(super) fn count_returned(&self, events: u64) {
        self.returned.add(events);
    }

    pub(crate) fn standings(&self) -> GroupStandings {
        let desk = self.desk.lock();
        let sum = |of: fn(&Tally) -> &Counter| {
            let workers = desk.workers.iter();
            workers.map(|worker| of(worker).get()).sum::<u64>()
        };
        let member = self.member();
        let ring = &self.ring;
        let (next, routed) = match &self.routes {
            Some(routes) => routes.standings(),
            None => (member.cursor().next(), 0),
        };
        let tail = ring.tail.claimed().min(ring.end()).max(next);
        let unclaimed = ring.events_between(next, tail);
        let waiting = desk.portions.iter().map(Portion::left).sum::<u64>();
        let claimed = waiting + routed + sum(|worker| &worker.at);
        let holes = (self.holes.get() + sum(|worker| &worker.holes) + member.pushed_over.get())
            .saturating_sub(member.pushed_over_before_joining.get())
            + (tail - next - unclaimed);
        GroupStandings {
            workers: desk.workers.len(),
            next,
            lag: tail - next,
            published: tail
                .saturating_sub(member.joined.get())
                .saturating_sub(holes),
            pending: unclaimed + claimed,
            delivered: self.delivered.get() + sum(|worker| &worker.delivered),
            missed: member
                .lost()
                .saturating_sub(member.lost_before_joining.get()),
            returned: self.returned.get(),
            redelivered: self.redelivered.get(),
            abandoned: self.abandoned.get(),
        }
    }
}

impl<T> Drop for Group<T> {
    fn drop(&mut self) {
        // Nobody is left: what was claimed is handled or given up, and the cursor stays where the last claim or
        // push left it.
        let claimed_to = self.claimed_to.load(Ordering::Relaxed);
        let pushed_to = self.seat.leave(claimed_to);
        // Without a push the cursor of a lossless group is where claims have left it.
        let pushed_to = pushed_to.filter(|_| self.terms.lossy);
        let mut desk = std::mem::take(&mut *self.desk.lock());
        while let Some(portion) = desk.portions.pop() {
            self.give_back(&mut desk, portion.post);
        }
        self.ring
            .members
            .give_back(self.seat.clone(), None, pushed_to);
        self.ring.members.remove_group();
    }
}
