//! A request on its way, and the promise of one answer.

use super::request::Request;
use crate::ring::{Awaited, Idle, Promise};
use crate::sync::{Mutex, contain};

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
}

/// The promise of an answer; dropped without one, it answers that the call was cancelled.
pub(crate) struct Promised<R: Request>(Option<Promise<Answer<R>>>);

impl<R: Request> Promised<R> {
    pub(crate) fn new(promise: Promise<Answer<R>>) -> Self {
        Self(Some(promise))
    }

    /// Answers, unless that was done; an answer that nobody awaits comes back.
    #[inline(always)]
    pub(crate) fn answer(&mut self, answer: Answer<R>) -> Result<(), Answer<R>> {
        match self.0.take() {
            Some(promise) => promise.keep(answer),
            None => Ok(()),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the caller has gone.
    #[inline]
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.as_ref().is_some_and(Promise::is_abandoned)
    }

    /// Takes the promise back, of a request that was not sent.
    pub(crate) fn into_promise(mut self) -> Promise<Answer<R>> {
        self.0.take().expect("it was not answered")
    }
}

impl<R: Request> Drop for Promised<R> {
    fn drop(&mut self) {
        if self.0.is_some() {
            let unheard = self.answer(Err(Fault::Cancelled));
            contain(|| drop(unheard));
        }
    }
}

/// Places for answers that are not in use.
pub(crate) struct Pool<R: Request>(Mutex<Vec<Idle<Answer<R>>>>);

impl<R: Request> Pool<R> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    pub(crate) fn take(&self) -> Idle<Answer<R>> {
        let idle = self.0.lock().pop();
        idle.unwrap_or_else(Idle::new)
    }

    pub(crate) fn put(&self, idle: Idle<Answer<R>>) {
        self.0.lock().push(idle);
    }

    /// Awaits an answer no longer; one that is there is dropped, by the caller.
    pub(crate) fn abandon(&self, awaited: Awaited<Answer<R>>) -> Option<Answer<R>> {
        let (answer, idle) = awaited.abandon()?;
        self.put(idle);
        Some(answer)
    }
}
