//! How many calls of a service may be outstanding.

use std::sync::Arc;

use crate::sync::{AtomicUsize, Ordering};

/// The calls of a service that are outstanding while there is a limit, and the limit.
///
/// Relaxed: the number carries nothing. A caller that calls again after an answer finds its permit given back, as
/// that happens before the answer is handed over.
#[derive(Debug)]
pub(crate) struct Permits {
    /// `usize::MAX` when there is none.
    limit: AtomicUsize,
    taken: AtomicUsize,
}

/// The right to be outstanding; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Permits>);

impl Permits {
    pub(crate) fn new() -> Self {
        Self {
            limit: AtomicUsize::new(usize::MAX),
            taken: AtomicUsize::new(0),
        }
    }

    pub(crate) fn limit_to(&self, calls: usize) {
        self.limit.store(calls, Ordering::Relaxed);
    }

    /// A permit, which nobody needs when there is no limit; `None` when the limit is reached.
    #[inline(always)]
    pub(crate) fn take(permits: &Arc<Self>) -> Option<Option<Permit>> {
        match permits.limit.load(Ordering::Relaxed) {
            usize::MAX => Some(None),
            limit => Self::take_of(permits, limit).map(Some),
        }
    }

    #[inline(never)]
    fn take_of(permits: &Arc<Self>, limit: usize) -> Option<Permit> {
        let grant = |taken| (taken < limit).then_some(taken + 1);
        let granted = permits
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grant);
        granted.is_ok().then(|| Permit(Arc::clone(permits)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
