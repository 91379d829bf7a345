//! A request on its way, and the promise of one answer.

use std::sync::Arc;

use super::permits::Permit;
use super::request::Request;
use crate::ring::{Awaited, Idle, Promise};
use crate::sync::{CachePadded, Counter, Mutex, contain};

/// Why there is no reply.
pub(crate) enum Fault<R> {
    /// Nobody has taken the request.
    Closed(R),
    Cancelled,
    Panicked,
}

/// What a caller gets, once.
pub(crate) type Answer<R> = Result<<R as Request>::Reply, Fault<R>>;

/// A request as it lies in a mailbox.
pub(crate) struct Asked<R: Request> {
    pub(crate) request: R,
    pub(crate) promised: Promised<R>,
    /// The thread that has sent it, and may wait for it: it is not handed on to that one.
    pub(crate) caller: u64,
}

/// The promise of an answer; dropped without one, it answers that the call was cancelled.
pub(crate) struct Promised<R: Request> {
    promise: Option<Promise<Answer<R>>>,
    /// Its place among the calls that may be outstanding, if that is limited.
    permit: Option<Permit>,
}

impl<R: Request> Promised<R> {
    pub(crate) fn new(promise: Promise<Answer<R>>, permit: Option<Permit>) -> Self {
        Self {
            promise: Some(promise),
            permit,
        }
    }

    /// Answers, unless that was done; an answer that nobody awaits comes back.
    #[inline(always)]
    pub(crate) fn answer(&mut self, answer: Answer<R>) -> Result<(), Answer<R>> {
        // First: whoever has the answer may call again.
        self.permit = None;
        match self.promise.take() {
            Some(promise) => promise.keep(answer),
            None => Ok(()),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.promise.is_some()
    }

    /// Whether the caller has gone.
    #[inline]
    pub(crate) fn is_abandoned(&self) -> bool {
        self.promise.as_ref().is_some_and(Promise::is_abandoned)
    }

    /// Takes the promise back, of a request that was not sent.
    pub(crate) fn into_promise(mut self) -> Promise<Answer<R>> {
        self.promise.take().expect("it was not answered")
    }
}

impl<R: Request> Drop for Promised<R> {
    fn drop(&mut self) {
        if self.promise.is_some() {
            let unheard = self.answer(Err(Fault::Cancelled));
            contain(|| drop(unheard));
        }
    }
}

/// Requests of one service whose callers have gone: whether there may be any in a mailbox.
///
/// To ask a promise whether it is abandoned takes the line that its caller looks at away from there, which costs
/// as much as a message. So it is asked only while more callers have gone than were missed. Relaxed: who serves
/// a request of a caller that goes just then answers it in vain.
#[derive(Debug, Default)]
pub(crate) struct Absences {
    /// Callers that have gone.
    gone: CachePadded<Counter>,
    /// Those that were missed since.
    missed: CachePadded<Counter>,
}

impl Absences {
    /// Whether a promise may be abandoned.
    #[inline(always)]
    pub(crate) fn may_be(&self) -> bool {
        self.gone.get() != self.missed.get()
    }

    /// Notes that a promise was found abandoned.
    pub(crate) fn miss(&self) {
        self.missed.add(1);
    }
}

/// Places for answers that are not in use.
pub(crate) struct Pool<R: Request> {
    free: Mutex<Vec<Idle<Answer<R>>>>,
    absences: Arc<Absences>,
}

impl<R: Request> Pool<R> {
    pub(crate) fn new(absences: &Arc<Absences>) -> Self {
        Self {
            free: Mutex::new(Vec::new()),
            absences: Arc::clone(absences),
        }
    }

    pub(crate) fn take(&self) -> Idle<Answer<R>> {
        let idle = self.free.lock().pop();
        idle.unwrap_or_else(Idle::new)
    }

    pub(crate) fn put(&self, idle: Idle<Answer<R>>) {
        self.free.lock().push(idle);
    }

    /// Awaits an answer no longer; gives out one that is there.
    pub(crate) fn abandon(&self, awaited: Awaited<Answer<R>>) -> Option<Answer<R>> {
        // Before it is, so that it is found.
        self.absences.gone.add(1);
        let (answer, idle) = awaited.abandon()?;
        self.absences.miss();
        self.put(idle);
        Some(answer)
    }
}
