//! What can go wrong with a publisher or a subscriber: one small type per operation, the event inside.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

use super::observers::MAX_OBSERVER_DEPTH;
use super::overflow::Start;
use super::settings::MAX_NAME;
use crate::ring::RefusedJoin;

/// Why [`publish`](crate::Publisher::publish) refused an event, with the event.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishError<T> {
    /// The topic takes no more events.
    #[error("topic closed")]
    Closed(T),
    /// The ring is full, and only the calling thread reads the subscriber that is in the way.
    #[error("ring full of events that only this thread reads: waiting would deadlock")]
    WouldDeadlock(T),
    /// The topic has an exclusive publisher; said by [`Bus::publish`](crate::Bus::publish) and
    /// [`Topic::publish`](crate::Topic::publish).
    #[error("topic has an exclusive publisher")]
    Exclusive(T),
    /// An observer vetoed it; see [`Observer`](crate::Observer).
    #[error("vetoed by an observer")]
    Vetoed(T),
    /// It was published inside of too many observers.
    #[error("published {MAX_OBSERVER_DEPTH} observers deep")]
    TooDeep(T),
}

/// Why [`try_publish`](crate::Publisher::try_publish) refused an event, with the event.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TryPublishError<T> {
    /// A lossless subscriber is a full ring behind, or another publisher has been in the middle of a
    /// publish for a whole lap of the ring.
    #[error("ring full")]
    Full(T),
    /// The topic takes no more events.
    #[error("topic closed")]
    Closed(T),
    /// An observer vetoed it; see [`Observer`](crate::Observer).
    #[error("vetoed by an observer")]
    Vetoed(T),
    /// It was published inside of too many observers.
    #[error("published {MAX_OBSERVER_DEPTH} observers deep")]
    TooDeep(T),
}

/// Why [`publish_timeout`](crate::Publisher::publish_timeout) refused an event, with the event.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishTimeoutError<T> {
    /// The ring was still full at the deadline.
    #[error("ring full until the deadline")]
    Timeout(T),
    /// The topic takes no more events.
    #[error("topic closed")]
    Closed(T),
    /// The ring is full, and only the calling thread reads the subscriber that is in the way.
    #[error("ring full of events that only this thread reads: waiting would deadlock")]
    WouldDeadlock(T),
    /// An observer vetoed it; see [`Observer`](crate::Observer).
    #[error("vetoed by an observer")]
    Vetoed(T),
    /// It was published inside of too many observers.
    #[error("published {MAX_OBSERVER_DEPTH} observers deep")]
    TooDeep(T),
}

/// Why a batch was refused, with its events.
///
/// `E` is what holds them: a `Vec` for shared publishers, an iterator for exclusive ones.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishBatchError<E> {
    /// The batch is larger than the ring.
    #[error("batch of {length} events is larger than the ring's capacity, {capacity}")]
    #[non_exhaustive]
    TooLarge {
        /// The batch.
        events: E,
        /// Its length.
        length: usize,
        /// The ring's capacity.
        capacity: usize,
    },
    /// There is no room for the whole batch; said by `try_publish_batch` only.
    #[error("ring full")]
    Full(E),
    /// The topic takes no more events.
    #[error("topic closed")]
    Closed(E),
    /// The ring is full, and only the calling thread reads the subscriber that is in the way.
    #[error("ring full of events that only this thread reads: waiting would deadlock")]
    WouldDeadlock(E),
    /// Observers vetoed these events; see [`Observer`](crate::Observer). The others were published.
    #[error("events vetoed by observers")]
    #[non_exhaustive]
    Vetoed {
        /// The vetoed events.
        events: E,
        /// The sequences of the others, from the first to the last.
        published: Range<u64>,
    },
    /// It was published inside of too many observers.
    #[error("published {MAX_OBSERVER_DEPTH} observers deep")]
    TooDeep(E),
}

macro_rules! gives_back {
    ($error:ident, $method:ident: $doc:literal, $($pattern:pat => $event:ident),+ $(,)?) => {
        impl<T> $error<T> {
            #[doc = $doc]
            pub fn $method(self) -> T {
                match self {
                    $($pattern => $event,)+
                }
            }
        }

        /// Names the condition and leaves the event out, so that events need not be `Debug`.
        impl<T> fmt::Debug for $error<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($error), "({})"), self)
            }
        }
    };
}

gives_back!(PublishError, into_event: "The event that was refused.",
    Self::Closed(event) | Self::WouldDeadlock(event) | Self::Exclusive(event) | Self::Vetoed(event)
        | Self::TooDeep(event) => event);
gives_back!(TryPublishError, into_event: "The event that was refused.",
    Self::Full(event) | Self::Closed(event) | Self::Vetoed(event) | Self::TooDeep(event) => event);
gives_back!(PublishTimeoutError, into_event: "The event that was refused.",
    Self::Timeout(event) | Self::Closed(event) | Self::WouldDeadlock(event) | Self::Vetoed(event)
        | Self::TooDeep(event) => event);
gives_back!(PublishBatchError, into_events: "The events that were not published.",
    Self::TooLarge { events, .. } | Self::Full(events) | Self::Closed(events)
        | Self::WouldDeadlock(events) | Self::Vetoed { events, .. } | Self::TooDeep(events) => events);

/// Why a topic gave out no publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublisherError {
    /// An exclusive publisher was asked for, and this many other publishers exist; the bus counts as one
    /// once it has published to the topic.
    #[error("topic has {} already, an exclusive one must be the only one", counted(*.0 as u64, "publisher"))]
    NotAlone(usize),
    /// The topic has an exclusive publisher.
    #[error("topic has an exclusive publisher")]
    Exclusive,
    /// The topic takes no more events.
    #[error("topic closed")]
    Closed,
    /// More lossy subscribers read the lanes than the ring of a new lane has room for; said by
    /// [`Lanes::publisher`](crate::Lanes::publisher).
    #[error("lane takes at most {0} lossy subscribers; a larger capacity takes more")]
    TooManyLossy(u64),
}

/// Why a subscriber could not join.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The name is empty or longer than [`MAX_NAME`] bytes.
    #[error("subscriber name must have 1 to {MAX_NAME} bytes, got {0}")]
    Name(usize),
    /// Every lossy subscriber may hold a slot of the ring, so a ring takes no more than this many.
    #[error("topic takes at most {0} lossy subscribers; a larger capacity takes more")]
    TooManyLossy(u64),
    /// The wanted sequence may have been overwritten.
    #[error("sequence {wanted} is no longer retained, the oldest is {oldest}")]
    #[non_exhaustive]
    NotRetained {
        /// The sequence that was asked for.
        wanted: u64,
        /// The oldest one that can be joined.
        oldest: u64,
    },
    /// The wanted sequence is not the next one, nor an earlier one.
    #[error("sequence {wanted} is not published yet, the next is {next}")]
    #[non_exhaustive]
    NotYet {
        /// The sequence that was asked for.
        wanted: u64,
        /// The next sequence to be published.
        next: u64,
    },
    /// It is to come after a subscriber of another topic.
    #[error("a subscriber can only come after others of the same topic")]
    OtherTopic,
    /// It is to come after a lossy subscriber, which is never done with an event that it may yet lose.
    #[error("a subscriber can only come after lossless ones")]
    AfterLossy,
    /// It is to come after another one of a topic that [grows](crate::TopicBuilder::grow_to).
    #[error("a subscriber of a topic that grows can come after no other")]
    AfterGrowing,
}

impl SubscribeError {
    /// What a lossless subscription to what comes is refused for: nothing.
    pub(crate) fn of_a_plain_subscription(&self) -> ! {
        // Each, so that another one is thought of.
        match self {
            Self::Name(_)
            | Self::TooManyLossy(_)
            | Self::NotRetained { .. }
            | Self::NotYet { .. }
            | Self::OtherTopic
            | Self::AfterLossy
            | Self::AfterGrowing => unreachable!("it is never refused"),
        }
    }

    /// What the ring's refusal means to whoever wanted to start so.
    pub(crate) fn of(refused: RefusedJoin, start: Start) -> Self {
        match (refused, start) {
            (RefusedJoin::TooManyLossy(limit), _) => Self::TooManyLossy(limit),
            (RefusedJoin::Overwritten(oldest), Start::From(wanted)) => {
                Self::NotRetained { wanted, oldest }
            }
            (RefusedJoin::NotYet(next), Start::From(wanted)) => Self::NotYet { wanted, next },
            _ => unreachable!("only a start at a sequence depends on it"),
        }
    }
}

/// Why [`recv`](crate::Subscriber::recv) has no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The topic is closed, and everything before the close has been read.
    #[error("topic closed")]
    Closed,
    /// This many events were overwritten before they were read; the next call goes on behind them. Said
    /// by [`Overflow::DropOldest`](crate::Overflow::DropOldest).
    #[error("missed {}", counted(*.0, "event"))]
    Missed(u64),
    /// The subscriber was a full ring behind and has been taken out; this many events were not read. Said
    /// once by [`Overflow::Disconnect`](crate::Overflow::Disconnect), then `Closed`.
    #[error("disconnected a full ring behind, missed {}", counted(*.0, "event"))]
    Disconnected(u64),
    /// The next event is there, and only the calling thread reads a subscriber or an editor before this one
    /// that has not passed it yet.
    #[error("next event held up by what only this thread reads: waiting would deadlock")]
    WouldDeadlock,
}

/// Why [`try_recv`](crate::Subscriber::try_recv) has no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TryRecvError {
    /// There is no event now.
    #[error("no event")]
    Empty,
    /// As [`RecvError::Closed`].
    #[error("topic closed")]
    Closed,
    /// As [`RecvError::Missed`].
    #[error("missed {}", counted(*.0, "event"))]
    Missed(u64),
    /// As [`RecvError::Disconnected`].
    #[error("disconnected a full ring behind, missed {}", counted(*.0, "event"))]
    Disconnected(u64),
}

/// Why [`recv_timeout`](crate::Subscriber::recv_timeout) has no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// No event came before the deadline.
    #[error("no event until the deadline")]
    Timeout,
    /// As [`RecvError::Closed`].
    #[error("topic closed")]
    Closed,
    /// As [`RecvError::Missed`].
    #[error("missed {}", counted(*.0, "event"))]
    Missed(u64),
    /// As [`RecvError::Disconnected`].
    #[error("disconnected a full ring behind, missed {}", counted(*.0, "event"))]
    Disconnected(u64),
    /// As [`RecvError::WouldDeadlock`].
    #[error("next event held up by what only this thread reads: waiting would deadlock")]
    WouldDeadlock,
}

impl From<RecvError> for RecvTimeoutError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Closed => Self::Closed,
            RecvError::Missed(missed) => Self::Missed(missed),
            RecvError::Disconnected(missed) => Self::Disconnected(missed),
            RecvError::WouldDeadlock => Self::WouldDeadlock,
        }
    }
}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Closed => Self::Closed,
            RecvError::Missed(missed) => Self::Missed(missed),
            RecvError::Disconnected(missed) => Self::Disconnected(missed),
            // Who does not wait has no event now.
            RecvError::WouldDeadlock => Self::Empty,
        }
    }
}

/// Why [`poll`](crate::Subscriber::poll) and its kin will never find an event again, or must not wait for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PollError {
    /// As [`RecvError::Closed`].
    #[error("topic closed")]
    Closed,
    /// As [`RecvError::Disconnected`].
    #[error("disconnected a full ring behind, missed {}", counted(*.0, "event"))]
    Disconnected(u64),
    /// As [`RecvError::WouldDeadlock`]; said by the methods that wait.
    #[error("next event held up by what only this thread reads: waiting would deadlock")]
    WouldDeadlock,
}

impl From<PollError> for RecvError {
    fn from(error: PollError) -> Self {
        match error {
            PollError::Closed => Self::Closed,
            PollError::Disconnected(missed) => Self::Disconnected(missed),
            PollError::WouldDeadlock => Self::WouldDeadlock,
        }
    }
}

/// A number of things, in words.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}
