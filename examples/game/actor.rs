//! Who an event is about.

/// A thing in the match. Replays use the numbers of actors again, these are not: events of one actor travel on
/// several topics, between which there is no order, and must not be taken for those of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Actor(pub(crate) u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Ball,
    Car,
}
