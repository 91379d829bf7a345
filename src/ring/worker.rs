//! One worker of a group: takes portions, shows their events, hands back what is left.
#![expect(
    unsafe_code,
    reason = "a worker reads slots that its portion's post or the group's cursor protects"
)]

use super::gate::Whose;
use super::group::{Group, Portion, Post, Tally};
use super::member::{Cursor, Pin};
use super::reader::RefusedJoin;
use super::routes::{Hint, Route, Routes, Run};
use super::upstream::{EVERYTHING, Upstreams};
use crate::sync::{Arc, thread_id};

/// One worker of a group.
///
/// Between two calls of [`take`](Self::take) it has no portion, but for one case: a worker of a lossy group
/// that unwound, in a ring without a seat to spare, goes on with what is left.
#[derive(Debug)]
pub(crate) struct Worker<T> {
    group: Arc<Group<T>>,
    tally: Arc<Tally>,
    /// Not here while it protects a portion.
    post: Option<Post>,
    portion: Option<Portion>,
    run: Run,
    /// The event passed last is being shown; so also after user code unwound.
    showing: bool,
    /// Events of the portion that were shown and are done with.
    handled: u64,
    /// Lost events to be told with the next event.
    missed: u64,
    /// Lost events of which nobody outside was told yet.
    untold: u64,
    /// Nothing at or behind this sequence is shown.
    fence: u64,
    /// Nothing at or behind this sequence is claimed or looked up: what the upstreams have not passed. What was
    /// claimed or looked up they have, and whoever goes on with it learns so from whoever did it (R7).
    limit: u64,
    upstreams: Upstreams,
    /// Whether it waits for upstreams.
    behind: bool,
    thread: u64,
    /// A post was lifted since the last news.
    lifted: bool,
    news: News,
}

/// What a worker found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Events to show.
    Portion,
    /// Keys to look up: the worker is the router now, see [`Worker::route`].
    Keys,
    /// Nothing now.
    Empty,
    /// Nothing now or later: the ring is closed and everything before its end is handled.
    Closed,
}

/// What a worker is told with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handed {
    pub(crate) sequence: u64,
    /// Events lost since a worker was last told.
    pub(crate) missed: u64,
    /// A worker unwound at it before.
    pub(crate) again: bool,
}

/// Whom to notify of what a worker did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Publishers: there may be room.
    pub(crate) room: bool,
    /// Workers: there is something to take, or the end.
    pub(crate) work: bool,
}

/// Keys that one router looks up before it routes.
const KEYS: usize = 64;

/// Ends the routing, also when user code unwinds.
struct Routing<'a, T> {
    worker: &'a mut Worker<T>,
    looked_up: [Route; KEYS],
    length: usize,
}

impl<T> Worker<T> {
    /// A worker more.
    pub(crate) fn join(group: &Arc<Group<T>>) -> Result<Self, RefusedJoin> {
        let (tally, post) = group
            .enroll(thread_id())
            .map_err(RefusedJoin::TooManyLossy)?;
        let listed = match group.routes {
            Some(_) => group.terms.batch,
            None => 0,
        };
        let upstreams = group.upstreams();
        Ok(Self {
            group: Arc::clone(group),
            tally,
            post: Some(post),
            portion: None,
            run: Run::with_capacity(listed),
            showing: false,
            handled: 0,
            missed: 0,
            untold: 0,
            fence: u64::MAX,
            limit: match upstreams.is_empty() {
                true => EVERYTHING,
                false => 0,
            },
            behind: !upstreams.is_empty(),
            upstreams,
            thread: 0,
            lifted: false,
            news: News::default(),
        })
    }

    /// Notes which thread reads, for publishers that would wait for themselves.
    #[inline]
    pub(crate) fn note_thread(&mut self) {
        let me = thread_id();
        if self.thread != me {
            self.thread = me;
            self.group.note_reader(&self.tally, me);
        }
    }

    /// Puts a fence behind what has been published by now: nothing later is shown until it is taken away.
    pub(crate) fn fence(&mut self) {
        self.fence = self.group.ring.next_sequence();
    }

    pub(crate) fn take_fence_away(&mut self) {
        self.fence = u64::MAX;
    }

    /// Sees how far the upstreams are.
    #[inline]
    fn look_upstream(&mut self) {
        if !self.upstreams.is_empty() {
            self.limit = self.upstreams.look();
        }
    }

    /// As `limit` will be when the upstreams have been looked at.
    fn limit_now(&self) -> u64 {
        match self.upstreams.is_empty() {
            true => self.limit,
            false => self.upstreams.peek(),
        }
    }

    /// Whether its group comes after others, or did.
    #[inline]
    pub(crate) fn comes_after_others(&self) -> bool {
        !self.upstreams.is_empty()
    }

    /// Whether it waits for upstreams rather than for publishers; as [`Reader::is_behind`].
    ///
    /// [`Reader::is_behind`]: super::Reader::is_behind
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Whether the upstreams have left since, so that from now on it would wait for publishers.
    pub(crate) fn is_set_free(&self) -> bool {
        self.behind && self.upstreams.peek() == EVERYTHING
    }

    /// Waits for publishers from now on; all upstreams have left.
    pub(crate) fn forget_upstreams(&mut self) {
        debug_assert!(self.is_set_free());
        self.behind = false;
    }

    /// Who could let the group's next event through, for the calling thread; `None` when no event is there but
    /// for the upstreams.
    pub(crate) fn held_by(&self) -> Option<Whose> {
        let ring = &self.group.ring;
        let mut next = match self.group.routes.as_ref().map(Routes::hint) {
            None => self.group.member().cursor().next(),
            Some(Hint::Next(next)) => next,
            Some(_) => return None,
        };
        while ring.is_done(next) {
            if ring.slot(next).stamp().is_event(next) {
                return self.upstreams.in_the_way(next, thread_id());
            }
            next += 1;
        }
        None
    }

    /// Whether only the calling thread could let through what comes next, whether it is there or not.
    pub(crate) fn may_hold_itself(&self) -> bool {
        let held = self.upstreams.in_the_way(EVERYTHING - 1, thread_id());
        matches!(held, Some(Whose::OpenedHere | Whose::ReadHere))
    }

    #[cold]
    fn note_missed(&mut self, missed: u64) {
        self.missed += missed;
        self.untold += missed;
        // So that whoever tells the news looks at this too.
        self.news.work = true;
    }

    /// Lost events that were not told outside; to be asked when there is news.
    pub(crate) fn take_untold(&mut self) -> u64 {
        std::mem::take(&mut self.untold)
    }

    /// Whom to notify, since the last call.
    #[inline]
    pub(crate) fn take_news(&mut self) -> News {
        if std::mem::take(&mut self.lifted) {
            // ORDERING: edge `wake`. Pairs with the barrier in `join_all` and its like: a worker that has seen
            // the close may wait for this.
            self.group.ring.barrier.light();
            self.news.work |= self.group.ring.is_closed();
        }
        std::mem::take(&mut self.news)
    }

    #[inline]
    fn is_done(&self, sequence: u64) -> bool {
        self.is_done_before(sequence, self.limit)
    }

    #[inline]
    fn is_done_before(&self, sequence: u64, limit: u64) -> bool {
        sequence < self.fence && sequence < limit && self.group.ring.is_done(sequence)
    }

    /// Whether `take` has something to tell. Takes nothing; whoever changes the answer notifies afterwards.
    ///
    /// That nobody is before it any more is a reason to look too: it changes what the worker waits for.
    pub(crate) fn is_ready(&self) -> bool {
        let group = &*self.group;
        if self.behind && self.is_set_free() {
            return true;
        }
        let next = match &group.routes {
            None if self.portion.is_some() || group.has_waiting(self.fence) => return true,
            None => group.member().cursor().next(),
            Some(routes) => match routes.hint() {
                Hint::Ready => return self.fence == u64::MAX || routes.has_ready(self.fence),
                Hint::Routing => return false,
                Hint::Next(next) => next,
            },
        };
        if self.is_done_before(next, self.limit_now()) {
            return true;
        }
        next >= group.ring.end() && group.is_drained()
    }

    /// About how many of the group's events wait before the fence.
    pub(crate) fn left(&self) -> u64 {
        let standings = self.group.standings();
        let behind_fence = match standings.lag {
            0 => 0,
            lag => {
                let until = self.fence.min(self.limit_now());
                (standings.next + lag).saturating_sub(until.max(standings.next))
            }
        };
        standings.pending.saturating_sub(behind_fence)
    }

    /// Events lost that are still to be told with the event that comes next.
    pub(crate) fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    /// Events lost that no event will follow, after the end was found.
    pub(crate) fn take_last_missed(&mut self) -> u64 {
        if !self.group.terms.lossy {
            return 0;
        }
        let next = self.group.member().cursor().next();
        let lost = self.group.lost_before(next);
        self.take_missed() + self.group.take_missed(lost)
    }

    /// Takes up to `max` events to be shown, or finds out why there are none.
    #[inline]
    pub(crate) fn take(&mut self, max: u64) -> Taken {
        debug_assert!(max > 0);
        if self.group.routes.is_some() {
            return self.take_keyed(max);
        }
        if self.portion.is_some() {
            return Taken::Portion;
        }
        if let Some(mut portion) = self.group.take_waiting(self.fence) {
            portion.post.note_thread(self.thread);
            self.tally.at.set(portion.left());
            self.portion = Some(portion);
            return Taken::Portion;
        }
        self.claim(max)
    }

    /// Claims what comes next.
    fn claim(&mut self, max: u64) -> Taken {
        self.look_upstream();
        let mut post = self.lay_hold();
        let lossy = self.group.terms.lossy;
        let most = match lossy {
            true => max.min(self.group.terms.batch).min(post.max_claim),
            false => max.min(self.group.terms.batch),
        };
        post.note_thread(self.thread);
        let mut protects = false;
        loop {
            let cursor = self.group.member().cursor();
            let from = cursor.next();
            let lost = if lossy {
                self.group.lost_before(from)
            } else {
                0
            };
            let (length, holes) = self.look(from, most);
            if length == 0 {
                if self.group.member().cursor() != cursor {
                    continue;
                }
                if protects {
                    self.lift(&post);
                }
                self.post = Some(post);
                return self.found_nothing(from);
            }
            // Protected first, claimed second (R12). When the claim fails another worker was faster, or a
            // publisher has pushed the cursor; the protection then is stale until the next turn of this loop.
            if lossy {
                let index = self.group.ring.index(from);
                post.member().set_pin(Pin::new(index, length));
            } else {
                post.member().advance(from);
            }
            let end = from + length;
            if !self
                .group
                .member()
                .try_move(cursor, Cursor::new(end, cursor.standing()))
            {
                protects = true;
                continue;
            }
            let passed = u64::from(holes.count_ones());
            if lossy {
                self.group.note_claim(end);
                // Holes alone bring no event that the loss could be told with.
                if passed < length {
                    let missed = self.group.take_missed(lost);
                    if missed > 0 {
                        self.note_missed(missed);
                    }
                }
            }
            self.tally.holes.set(self.tally.holes.get() + passed);
            self.tally.at.set(length - passed);
            self.portion = Some(Portion {
                post,
                base: from,
                length,
                passed: 0,
                holes,
                shown: 0,
            });
            return Taken::Portion;
        }
    }

    fn lay_hold(&mut self) -> Post {
        let post = self.post.take();
        post.expect("a worker without a portion has its post")
    }

    /// How many sequences from `from` on are done and this worker's fair share, at most `most`, and which of
    /// them are holes.
    ///
    /// The share is that of guided self-scheduling (Polychronopoulos and Kuck, 1987): what is there divided by
    /// twice the workers, so that the last events of a burst are spread. How much is there is felt for in
    /// doubling steps, so that little is looked at which publishers are about to write.
    #[inline]
    fn look(&self, from: u64, most: u64) -> (u64, u64) {
        let sharers = 2 * self.group.workers();
        let mut share = 1;
        while share < most && self.is_done(from + sharers * share * 2 - 1) {
            share = (share * 2).min(most);
        }
        let mut length = 0;
        let mut holes = 0;
        while length < share {
            let sequence = from + length;
            let stamp = self.group.ring.slot(sequence).stamp();
            if sequence >= self.fence || sequence >= self.limit || !stamp.is_done(sequence) {
                break;
            }
            holes |= u64::from(stamp.is_hole(sequence)) << length;
            length += 1;
        }
        (length, holes)
    }

    #[cold]
    fn found_nothing(&self, next: u64) -> Taken {
        if next >= self.group.ring.end() && self.group.is_drained() {
            Taken::Closed
        } else {
            Taken::Empty
        }
    }

    /// Ends the protection of a post.
    fn lift(&mut self, post: &Post) {
        if self.group.terms.lossy {
            post.member().set_pin(Pin::NONE);
        } else {
            post.member().rest();
        }
        self.news.room = true;
        self.lifted = true;
    }

    #[inline(never)]
    fn take_keyed(&mut self, max: u64) -> Taken {
        // Without the lock, which others need to get on.
        if !self.is_ready() {
            return Taken::Empty;
        }
        self.look_upstream();
        let mut post = self.lay_hold();
        post.note_thread(self.thread);
        let Self {
            group,
            run,
            fence,
            limit,
            ..
        } = self;
        let until = *limit.min(fence);
        let is_done = |sequence| sequence < until && group.ring.is_done(sequence);
        let most = max.min(group.terms.batch);
        let routes = group.routes();
        let mut table = routes.lock();
        if let Some((first, shown)) = table.take(run, most, *fence, 2 * group.workers()) {
            post.member().advance(first);
            routes.tell(&table);
            self.news.work |= table.has_ready();
            drop(table);
            self.portion = Some(Portion {
                post,
                base: first,
                length: run.sequences.len() as u64,
                passed: 0,
                holes: 0,
                shown,
            });
            return Taken::Portion;
        }
        let routed = table.routed();
        let taken = if is_done(routed) && table.begin_routing() {
            post.member().advance(routed);
            routes.tell(&table);
            Taken::Keys
        } else if table.handled() >= group.ring.end() {
            Taken::Closed
        } else {
            Taken::Empty
        };
        drop(table);
        self.post = Some(post);
        taken
    }

    /// Looks up keys, after `take` said so, by the hash that `key` makes of one; an event without one is
    /// abandoned.
    pub(crate) fn route(&mut self, mut key: impl FnMut(&T, u64) -> Option<u64>) {
        let first = self.group.routes().lock().routed();
        let mut routing = Routing {
            worker: self,
            looked_up: [Route::Skip; KEYS],
            length: 0,
        };
        let mut holes = 0;
        while routing.length < KEYS && routing.worker.is_done(first + routing.length as u64) {
            let sequence = first + routing.length as u64;
            let group = &routing.worker.group;
            let slot = group.ring.slot(sequence);
            let route = if slot.stamp().is_hole(sequence) {
                holes += 1;
                Route::Skip
            } else {
                // SAFETY: the stamp is that of an event (R2), and is before the limit (R7). This worker is the
                // only router, and the group's cursor stays at or before what is not routed until the routing
                // ends (R4, R12).
                let hash = unsafe { slot.read(|event| key(event, sequence)) };
                if hash.is_none() {
                    group.count_abandoned();
                }
                hash.map_or(Route::Skip, Route::Key)
            };
            routing.looked_up[routing.length] = route;
            routing.length += 1;
        }
        drop(routing);
        self.tally.holes.set(self.tally.holes.get() + holes);
    }

    /// After routing up to `next`: whoever was woken meanwhile for what comes there saw that a worker was
    /// routing, and sleeps again. This worker may not even take it, behind its fence.
    fn look_behind(&mut self, next: u64) {
        let ring = &self.group.ring;
        // ORDERING: edge `wake`. Pairs with the barrier in `join_all` and its like: who slept again sees the
        // hint, or this sees what woke it.
        ring.barrier.light();
        self.news.work |= next < self.limit_now() && ring.is_done(next);
    }

    /// Shows the next event of the portion to `f`.
    #[inline(always)]
    pub(crate) fn next_with<R>(&mut self, f: impl FnOnce(&T, Handed) -> R) -> Option<R> {
        let portion = self.portion.as_mut()?;
        while portion.passed < portion.length && (portion.holes >> portion.passed) & 1 != 0 {
            portion.passed += 1;
        }
        let index = portion.passed;
        if index == portion.length {
            return None;
        }
        let sequence = match self.group.routes {
            None => portion.base + index,
            Some(_) => self.run.sequences[index as usize],
        };
        if sequence >= self.fence {
            return None;
        }
        let handed = Handed {
            sequence,
            missed: std::mem::take(&mut self.missed),
            again: (portion.shown >> index) & 1 != 0,
        };
        // Passed before user code may unwind.
        portion.passed = index + 1;
        self.showing = true;
        // SAFETY: the claim, or the router, saw the stamp of an event (R2) before its limit (R7); it was this
        // worker, or one that handed that on under a lock. The portion is this worker's until `finish`: until
        // then its post, or with keys the group's cursor, protects the slot (R12).
        let answer = unsafe {
            self.group
                .ring
                .slot(sequence)
                .read(|event| f(event, handed))
        };
        self.showing = false;
        self.handled += 1;
        Some(answer)
    }

    /// Takes the event that was shown last for not handled.
    pub(crate) fn refuse(&mut self) {
        if let Some(portion) = &mut self.portion {
            portion.passed -= 1;
            self.handled -= 1;
        }
    }

    /// After user code unwound: puts the event that it was shown back to be shown once more; `false` if it
    /// was already, or no event was being shown.
    pub(crate) fn retry(&mut self) -> bool {
        let Some(portion) = self.portion.as_mut().filter(|_| self.showing) else {
            return false;
        };
        let bit = 1 << (portion.passed - 1);
        if portion.shown & bit != 0 {
            return false;
        }
        portion.shown |= bit;
        portion.passed -= 1;
        self.showing = false;
        self.group.count_redelivered();
        true
    }

    /// After user code unwound: gives up the event that it was shown, showing it to `f`.
    pub(crate) fn abandon(&mut self, f: impl FnOnce(&T, Handed)) {
        let Some(portion) = self.portion.as_ref().filter(|_| self.showing) else {
            return;
        };
        let index = portion.passed - 1;
        let sequence = match self.group.routes {
            None => portion.base + index,
            Some(_) => self.run.sequences[index as usize],
        };
        let handed = Handed {
            sequence,
            missed: 0,
            again: (portion.shown >> index) & 1 != 0,
        };
        self.showing = false;
        self.group.count_abandoned();
        // SAFETY: as in `next_with`; the portion is still this worker's.
        unsafe {
            self.group
                .ring
                .slot(sequence)
                .read(|event| f(event, handed));
        }
    }

    /// Ends the portion: what was not shown is handed back.
    #[inline]
    pub(crate) fn finish(&mut self) {
        let Some(portion) = self.portion.take() else {
            return;
        };
        self.showing = false;
        let handled = std::mem::take(&mut self.handled);
        let tally = &self.tally;
        tally.delivered.set(tally.delivered.get() + handled);
        if self.group.routes.is_some() {
            self.finish_keyed(portion);
        } else if portion.passed < portion.length && portion.left() > 0 {
            self.hand_back(portion);
        } else {
            self.tally.at.set(0);
            self.lift(&portion.post);
            match self.post {
                None => self.post = Some(portion.post),
                Some(_) => self.group.retire(portion.post),
            }
        }
    }

    #[cold]
    fn hand_back(&mut self, portion: Portion) {
        if self.post.is_none() {
            match self.group.post() {
                Ok(post) => self.post = Some(post),
                Err(_) => {
                    self.tally.at.set(portion.left());
                    self.portion = Some(portion);
                    return;
                }
            }
        }
        self.tally.at.set(0);
        self.group.put_back(portion);
        self.news.room |= !self.group.terms.lossy;
        self.news.work = true;
    }

    fn finish_keyed(&mut self, portion: Portion) {
        let Portion {
            post,
            length,
            passed,
            shown,
            ..
        } = portion;
        let shown = passed < length && (shown >> passed) & 1 != 0;
        let Self { group, run, .. } = self;
        let routes = group.routes();
        let mut table = routes.lock();
        table.put_back(run, passed, shown);
        group.member().advance(table.handled());
        routes.tell(&table);
        self.news.work |= table.has_ready();
        drop(table);
        if length > passed {
            group.count_returned(length - passed);
        }
        self.lift(&post);
        self.post = Some(post);
    }
}

impl<T> Drop for Routing<'_, T> {
    fn drop(&mut self) {
        let Worker { group, post, .. } = &mut *self.worker;
        let routes = group.routes();
        let mut table = routes.lock();
        table.end_routing(&self.looked_up[..self.length]);
        group.member().advance(table.handled());
        routes.tell(&table);
        let routed = table.routed();
        drop(table);
        let post = post.take().expect("a router has its post");
        self.worker.lift(&post);
        self.worker.post = Some(post);
        self.worker.look_behind(routed);
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.finish();
        if let Some(portion) = self.portion.take() {
            self.group.put_back(portion);
        }
        self.group.discharge(&self.tally, self.post.take());
    }
}
