//! A request as its server sees it.

use std::fmt;
use std::sync::Arc;

use super::answer::{Asked, Promised};
use super::instance::Instance;
use super::request::Request;
use crate::sync::panicking;

/// A request that was taken by a server, to be answered once.
///
/// It may go to another thread and be answered there. Whoever drops it without a reply answers `Cancelled`;
/// when that is because its thread panics, `Panicked`.
#[must_use = "a call that is dropped is answered with `Cancelled`"]
pub struct Call<R: Request> {
    request: R,
    responder: Responder<R>,
}

/// Answers one call; made by [`Call::into_parts`].
#[must_use = "a responder that is dropped answers `Cancelled`"]
pub struct Responder<R: Request> {
    promised: Promised<R>,
    instance: Arc<Instance<R>>,
}

impl<R: Request> Call<R> {
    pub(crate) fn new(asked: Asked<R>, instance: Arc<Instance<R>>) -> Self {
        let Asked {
            request, promised, ..
        } = asked;
        Self {
            request,
            responder: Responder { promised, instance },
        }
    }

    /// The request.
    pub fn request(&self) -> &R {
        &self.request
    }

    /// The request, by value, and what answers it.
    pub fn into_parts(self) -> (R, Responder<R>) {
        (self.request, self.responder)
    }

    /// Whether the caller has gone: it has dropped its ticket, or its call has timed out.
    pub fn is_abandoned(&self) -> bool {
        self.responder.is_abandoned()
    }

    /// Answers the call, and drops the request. `false` if the caller has gone: the reply is dropped and
    /// counted as late.
    pub fn reply(self, reply: R::Reply) -> bool {
        let Self { request, responder } = self;
        let heard = responder.reply(reply);
        drop(request);
        heard
    }
}

impl<R: Request> Responder<R> {
    /// As [`Call::is_abandoned`].
    pub fn is_abandoned(&self) -> bool {
        self.promised.is_abandoned()
    }

    /// As [`Call::reply`].
    pub fn reply(mut self, reply: R::Reply) -> bool {
        self.instance.reply(&mut self.promised, reply)
    }
}

impl<R: Request> Drop for Responder<R> {
    fn drop(&mut self) {
        if self.promised.is_open() {
            self.instance.fail(&mut self.promised, panicking());
        }
    }
}

impl<R: Request + fmt::Debug> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

impl<R: Request> fmt::Debug for Responder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").finish_non_exhaustive()
    }
}
