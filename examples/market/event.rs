//! The events on the bus.

use std::fmt;
use std::time::Instant;

use crate::fixed::Fixed;

/// One level of a book: a price and the quantity offered there. Quantity 0 in a [`Depth`] removes
/// the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) price: Fixed,
    pub(crate) quantity: Fixed,
}

/// The best of both sides of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quote {
    pub(crate) bid: Level,
    pub(crate) ask: Level,
}

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bid, ask } = self;
        write!(
            f,
            "{} x {} / {} x {}",
            bid.price, bid.quantity, ask.price, ask.quantity
        )
    }
}

/// The top of a book, as the exchange saw it at one update id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Top {
    pub(crate) update: u64,
    pub(crate) quote: Quote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trade {
    pub(crate) price: Fixed,
    pub(crate) quantity: Fixed,
    pub(crate) buyer_is_maker: bool,
}

/// What the tape of an instrument carries: who traded, and the best that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tick {
    Trade(Trade),
    Top(Top),
}

/// Levels of a book. It owns heap memory: subscribers read it in place, by reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Depth {
    pub(crate) ids: Ids,
    pub(crate) bids: Vec<Level>,
    pub(crate) asks: Vec<Level>,
}

/// Which updates a [`Depth`] stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    /// The whole book after update `last`.
    Snapshot { last: u64 },
    /// What updates `first..=last` changed. Only futures name the message before, by its `last`.
    Diff {
        first: u64,
        last: u64,
        previous: Option<u64>,
    },
}

impl Ids {
    /// The update after which the book stands as told.
    pub(crate) fn last(self) -> u64 {
        match self {
            Self::Snapshot { last } | Self::Diff { last, .. } => last,
        }
    }
}

/// An event with where it comes from and when it was handed to the bus.
#[derive(Debug, Clone)]
pub(crate) struct Stamped<T> {
    /// Index of the instrument: topics that carry the whole market are shared by all feeds.
    pub(crate) instrument: usize,
    /// When the capture received it, in nanoseconds since 1970.
    pub(crate) received: i64,
    pub(crate) published: Instant,
    pub(crate) event: T,
}
