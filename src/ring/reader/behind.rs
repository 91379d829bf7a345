//! Readers that come after others.

use super::{Policy, Reader};
use crate::ring::gate::Whose;
use crate::ring::upstream::{EVERYTHING, Upstream};
use crate::sync::thread_id;

impl<T> Reader<T> {
    /// This reader, which must be lossless, and all that it comes after.
    pub(crate) fn lineage(&self) -> Vec<Upstream> {
        let itself = Upstream::of(&self.seat);
        std::iter::once(itself)
            .chain(self.upstreams.iter().cloned())
            .collect()
    }

    /// Takes nothing from here on that not all of `upstreams` are done with.
    pub(crate) fn come_after<'a>(&mut self, upstreams: impl IntoIterator<Item = &'a Upstream>) {
        for upstream in upstreams {
            self.upstreams.add(upstream);
        }
        self.behind = !self.upstreams.is_empty();
        self.set_limit();
    }

    /// Whether it comes after others, or did.
    pub(crate) fn comes_after_others(&self) -> bool {
        !self.upstreams.is_empty()
    }

    /// Sees how far the upstreams are.
    #[inline(always)]
    pub(crate) fn look_upstream(&mut self) {
        if !self.upstreams.is_empty() {
            self.limit_by_upstreams();
        }
    }

    /// Whether the next sequence is before the limit.
    #[inline(always)]
    pub(crate) fn is_let_through(&self) -> bool {
        self.next < self.limit
    }

    /// Sets the limit when the fence has moved.
    #[inline(always)]
    pub(super) fn set_limit(&mut self) {
        if self.upstreams.is_empty() {
            self.limit = self.fence;
        } else {
            self.limit_by_upstreams();
        }
    }

    #[inline(never)]
    fn limit_by_upstreams(&mut self) {
        let passed = self.upstreams.look();
        self.limit = self.fence.min(passed);
        // Asked after the look, which shows the holes that the upstreams have passed (R13).
        let only_events = self.ring.holes() == 0;
        self.vouched_from = match passed {
            EVERYTHING => u64::MAX,
            _ if only_events => self.upstreams.vouched_from(),
            _ => u64::MAX,
        };
    }

    /// As `limit` will be when the upstreams have been looked at.
    pub(super) fn limit_now(&self) -> u64 {
        if self.upstreams.is_empty() {
            self.limit
        } else {
            self.fence.min(self.upstreams.peek())
        }
    }

    /// As `is_ready`. That nobody is before it any more is a reason to look too: it changes what the reader
    /// waits for.
    #[inline(never)]
    pub(super) fn is_ready_behind(&self) -> bool {
        let limit = self.limit_now();
        let ready = if self.policy == Policy::Lossless {
            self.next < limit && self.is_done(self.next) || self.next >= self.ring.end()
        } else {
            self.is_ready_lossy(limit)
        };
        ready || self.is_set_free()
    }

    /// Whether the reader waits for upstreams rather than for publishers: an event that is published is not
    /// there for it yet. That changes only by [`forget_upstreams`](Self::forget_upstreams).
    #[inline(always)]
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

    /// Who could let the next event through to this reader, for the calling thread; `None` when no event is
    /// there but for the upstreams.
    pub(crate) fn held_by(&self) -> Option<Whose> {
        let mut next = self.member().cursor().next().max(self.next);
        while self.is_done(next) {
            if self.ring.slot(next).stamp().is_event(next) {
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
}
