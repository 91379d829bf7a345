//! What can go wrong with a request: one small type per operation, the request inside where there is one.

use std::fmt;

use thiserror::Error;

use super::answer::Fault;
use crate::channel::MAX_NAME;

/// Why [`start`](crate::Client::start) refused a request, with the request.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError<R> {
    /// Nobody serves it; or all that do are [ejected](crate::ServerBuilder::eject_after).
    #[error("no instance serves this request")]
    NoResponder(R),
    /// The mailboxes of all that serve it are full, or as many calls are outstanding as [may
    /// be](crate::Bus::limit_calls).
    #[error("mailbox full, or limit of outstanding calls reached")]
    Overloaded(R),
    /// The bus is closed.
    #[error("bus closed")]
    Closed(R),
}

/// Why a [`call`](crate::Client::call) has no reply; with the request, unless an instance has taken it.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError<R> {
    /// Nobody serves it; or all that do are [ejected](crate::ServerBuilder::eject_after).
    #[error("no instance serves this request")]
    NoResponder(R),
    /// The mailboxes of all that serve it are full, or as many calls are outstanding as [may
    /// be](crate::Bus::limit_calls).
    #[error("mailbox full, or limit of outstanding calls reached")]
    Overloaded(R),
    /// The bus is closed, or the instance has left before it took the request and nobody else serves it.
    #[error("service closed")]
    Closed(R),
    /// Only the calling thread serves it, and would wait for itself.
    #[error("only this thread serves this request: waiting would deadlock")]
    WouldDeadlock(R),
    /// There was no reply in time. The request is cancelled: dropped unserved if no instance has taken it.
    #[error("no reply in time")]
    Timeout,
    /// The instance dropped the call without a reply.
    #[error("call dropped without a reply")]
    Cancelled,
    /// The instance panicked in this call.
    #[error("instance panicked in the call")]
    Panicked,
}

/// Why a [`Ticket`](crate::Ticket) has no reply.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplyError<R> {
    /// The bus is closed, or the instance has left before it took the request and nobody else serves it.
    #[error("service closed")]
    Closed(R),
    /// The request lies where only the calling thread would take it, and would wait for itself; said by what
    /// waits.
    #[error("only this thread serves this request: waiting would deadlock")]
    WouldDeadlock,
    /// The instance dropped the call without a reply.
    #[error("call dropped without a reply")]
    Cancelled,
    /// The instance panicked in this call.
    #[error("instance panicked in the call")]
    Panicked,
    /// The ticket has given out its answer before.
    #[error("answer taken already")]
    Taken,
}

/// Why [`send`](crate::StreamSender::send) refused an item, with the item.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError<T> {
    /// The receiver has gone.
    #[error("receiver of the stream has gone")]
    Closed(T),
    /// The stream is full, and only the calling thread receives.
    #[error("stream full of items that only this thread receives: waiting would deadlock")]
    WouldDeadlock(T),
}

/// Why [`try_send`](crate::StreamSender::try_send) refused an item, with the item.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrySendError<T> {
    /// There is no room now.
    #[error("stream full")]
    Full(T),
    /// The receiver has gone.
    #[error("receiver of the stream has gone")]
    Closed(T),
}

/// Why [`send_timeout`](crate::StreamSender::send_timeout) refused an item, with the item.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendTimeoutError<T> {
    /// There was no room in time.
    #[error("stream full until the deadline")]
    Timeout(T),
    /// The receiver has gone.
    #[error("receiver of the stream has gone")]
    Closed(T),
    /// The stream is full, and only the calling thread receives.
    #[error("stream full of items that only this thread receives: waiting would deadlock")]
    WouldDeadlock(T),
}

/// Why a server or a client was not opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The name of the service or of the instance is empty or longer than [`MAX_NAME`] bytes.
    #[error("service and instance names must have 1 to {MAX_NAME} bytes, got {0}")]
    Name(usize),
    /// The capacity of the mailbox is 0 or beyond [`MAX_CAPACITY`](crate::MAX_CAPACITY).
    #[error("a mailbox must have room for 1 to {max} requests, got {0}", max = crate::channel::MAX_CAPACITY)]
    Capacity(usize),
}

impl<R> StartError<R> {
    /// The request.
    pub fn into_request(self) -> R {
        match self {
            Self::NoResponder(request) | Self::Overloaded(request) | Self::Closed(request) => {
                request
            }
        }
    }
}

impl<R> CallError<R> {
    /// The request, if no instance has taken it.
    pub fn into_request(self) -> Option<R> {
        match self {
            Self::NoResponder(request)
            | Self::Overloaded(request)
            | Self::Closed(request)
            | Self::WouldDeadlock(request) => Some(request),
            Self::Timeout | Self::Cancelled | Self::Panicked => None,
        }
    }
}

impl<R> ReplyError<R> {
    /// The request, if no instance has taken it.
    pub fn into_request(self) -> Option<R> {
        match self {
            Self::Closed(request) => Some(request),
            Self::WouldDeadlock | Self::Cancelled | Self::Panicked | Self::Taken => None,
        }
    }
}

impl<T> SendError<T> {
    /// The item.
    pub fn into_item(self) -> T {
        match self {
            Self::Closed(item) | Self::WouldDeadlock(item) => item,
        }
    }
}

impl<T> TrySendError<T> {
    /// The item.
    pub fn into_item(self) -> T {
        match self {
            Self::Full(item) | Self::Closed(item) => item,
        }
    }
}

impl<T> SendTimeoutError<T> {
    /// The item.
    pub fn into_item(self) -> T {
        match self {
            Self::Timeout(item) | Self::Closed(item) | Self::WouldDeadlock(item) => item,
        }
    }
}

impl<R> From<StartError<R>> for CallError<R> {
    fn from(error: StartError<R>) -> Self {
        match error {
            StartError::NoResponder(request) => Self::NoResponder(request),
            StartError::Overloaded(request) => Self::Overloaded(request),
            StartError::Closed(request) => Self::Closed(request),
        }
    }
}

impl<R> From<Fault<R>> for CallError<R> {
    fn from(fault: Fault<R>) -> Self {
        match fault {
            Fault::Closed(request) => Self::Closed(request),
            Fault::Cancelled => Self::Cancelled,
            Fault::Panicked => Self::Panicked,
        }
    }
}

impl<R> From<Fault<R>> for ReplyError<R> {
    fn from(fault: Fault<R>) -> Self {
        match fault {
            Fault::Closed(request) => Self::Closed(request),
            Fault::Cancelled => Self::Cancelled,
            Fault::Panicked => Self::Panicked,
        }
    }
}

/// An error is printed by its variant, as it is shown with requests that cannot be.
macro_rules! debug_by_variant {
    ($($error:ident: $($variant:ident)* $(, $bare:ident)*;)+) => {$(
        impl<R> fmt::Debug for $error<R> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant(_) => f.write_str(concat!(stringify!($variant), "(..)")),)*
                    $(Self::$bare => f.write_str(stringify!($bare)),)*
                }
            }
        }
    )+};
}

debug_by_variant! {
    StartError: NoResponder Overloaded Closed;
    CallError: NoResponder Overloaded Closed WouldDeadlock, Timeout, Cancelled, Panicked;
    SendError: Closed WouldDeadlock;
    TrySendError: Full Closed;
    SendTimeoutError: Timeout Closed WouldDeadlock;
    ReplyError: Closed, WouldDeadlock, Cancelled, Panicked, Taken;
}
