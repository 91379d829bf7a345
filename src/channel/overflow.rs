//! Who loses when the ring is full, and where a subscriber starts.

use crate::ring::Policy;

/// What happens to a subscriber that is a full ring behind.
///
/// | overflow     | who waits or loses                                                       |
/// |--------------|--------------------------------------------------------------------------|
/// | `Block`      | publishers wait for it                                                   |
/// | `DropOldest` | it misses the oldest events, and is told how many before the next one    |
/// | `Latest`     | it always takes the newest event; the older ones are skipped and counted |
/// | `Disconnect` | it is taken out of the topic, and is told so                             |
///
/// Subscribers of all four kinds share one ring. Of them only those with `Block` ever make a publisher wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// Lossless: publishers wait.
    #[default]
    Block,
    /// Lossy: the oldest unread events are given up, up to a sixteenth of the capacity at a time. They are dropped,
    /// or [moved to another topic](crate::TopicBuilder::missed_letters_to).
    ///
    /// [`recv`](crate::Subscriber::recv) tells a loss as an error, which is not the end: a loop
    /// `while let Ok(event) = subscriber.recv()` ends at the first one. [`iter`](crate::Subscriber::iter) and
    /// [`poll`](crate::Subscriber::poll) go on.
    DropOldest,
    /// Conflating: only the newest event is ever read.
    Latest,
    /// Lossless or nothing: the subscription ends.
    Disconnect,
}

impl Overflow {
    pub(crate) fn policy(self) -> Policy {
        match self {
            Self::Block => Policy::Lossless,
            Self::DropOldest => Policy::Lossy,
            Self::Latest => Policy::Newest,
            Self::Disconnect => Policy::Expendable,
        }
    }
}

/// Which event a new subscriber sees first.
///
/// Between what the ring holds already and what comes there is neither a gap nor a duplicate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Start {
    /// The first one published after the subscription.
    #[default]
    Now,
    /// The newest one in the ring, or the next one if there is none.
    Latest,
    /// The oldest one in the ring, but not more than the topic's `retain`, if that is set. Without
    /// `retain` it is whatever has not been given up for overwriting: at most the capacity, at least half
    /// of it, once so many have been published to the ring.
    Oldest,
    /// The event of this sequence.
    From(u64),
}
