//! Claiming with patience: what shared and exclusive publishers have in common.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::core::Core;
use super::error::{PublishBatchError, PublishError, PublishTimeoutError, TryPublishError};
use super::growth;
use crate::ring::{Claimed, Obstacle, Ring, SoleWriter, Turn, Whose};
use crate::sync::Arc;

/// How long a publisher stands in front of a ring whose only obstacle is a subscriber that this thread
/// opened and that nobody has read yet. The subscriber may be on its way to another thread, which will
/// read it; after this time the answer is that waiting would deadlock.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// An event that is shown to observers lies in an option: it is not moved again before it is published.
pub(crate) const HELD: &str = "the event is held until it is published";

/// Tells the compiler that the branch it stands in is not the usual one; what the branch calls is not cold for
/// that, and is compiled as well as anything.
#[cold]
#[inline]
pub(crate) fn aside() {}

/// How long to wait for room.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Not at all.
    Try,
    /// Not at all, and the refusal tells whether waiting would deadlock.
    Offer,
    /// Until the deadline; without one, until there is room.
    Until(Option<Instant>),
}

/// Why there was no claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Full,
    Closed,
    Timeout,
    WouldDeadlock,
    /// Full, and nobody has read yet the subscriber in the way, which this thread has opened; told by
    /// [`Patience::Offer`] only.
    Unread,
    Vetoed,
    TooDeep,
}

impl Refusal {
    pub(crate) fn of_offer(whose: Whose) -> Self {
        match whose {
            Whose::ReadHere => Self::WouldDeadlock,
            Whose::OpenedHere => Self::Unread,
            Whose::Others => Self::Full,
        }
    }

    pub(crate) fn of_publish<T>(self, event: T) -> PublishError<T> {
        match self {
            Self::WouldDeadlock => PublishError::WouldDeadlock(event),
            Self::Vetoed => PublishError::Vetoed(event),
            Self::TooDeep => PublishError::TooDeep(event),
            _ => PublishError::Closed(event),
        }
    }

    pub(crate) fn of_try<T>(self, event: T) -> TryPublishError<T> {
        match self {
            Self::Closed => TryPublishError::Closed(event),
            Self::Vetoed => TryPublishError::Vetoed(event),
            Self::TooDeep => TryPublishError::TooDeep(event),
            _ => TryPublishError::Full(event),
        }
    }

    pub(crate) fn of_timeout<T>(self, event: T) -> PublishTimeoutError<T> {
        match self {
            Self::Closed => PublishTimeoutError::Closed(event),
            Self::WouldDeadlock => PublishTimeoutError::WouldDeadlock(event),
            Self::Vetoed => PublishTimeoutError::Vetoed(event),
            Self::TooDeep => PublishTimeoutError::TooDeep(event),
            _ => PublishTimeoutError::Timeout(event),
        }
    }

    pub(crate) fn of_batch<E>(self, events: E) -> PublishBatchError<E> {
        match self {
            Self::Closed => PublishBatchError::Closed(events),
            Self::WouldDeadlock => PublishBatchError::WouldDeadlock(events),
            Self::TooDeep => PublishBatchError::TooDeep(events),
            _ => PublishBatchError::Full(events),
        }
    }
}

/// One of the two ways to claim.
pub(crate) trait Writer<'a, T> {
    /// Whether other publishers may wait for this one to finish.
    const SHARED: bool;

    fn ring(&self) -> &Ring<T>;
    /// Claims one sequence, if that needs no plan and the ring is open.
    fn claim_now(&mut self) -> Option<Turn>;
    fn claim(&mut self, events: u64) -> Result<Claimed, Obstacle>;
    /// Goes on in the topic's newest ring.
    fn follow(&mut self, newest: &'a Arc<Ring<T>>);
}

impl<'a, T> Writer<'a, T> for SoleWriter<T> {
    const SHARED: bool = false;

    #[inline(always)]
    fn ring(&self) -> &Ring<T> {
        self.ring()
    }

    #[inline(always)]
    fn claim_now(&mut self) -> Option<Turn> {
        self.claim_now()
    }

    #[inline(always)]
    fn claim(&mut self, events: u64) -> Result<Claimed, Obstacle> {
        self.claim(events)
    }

    fn follow(&mut self, newest: &'a Arc<Ring<T>>) {
        if !std::ptr::eq(self.ring(), &**newest) {
            self.follow(newest);
        }
    }
}

impl<'a, T> Writer<'a, T> for &'a Ring<T> {
    const SHARED: bool = true;

    #[inline(always)]
    fn ring(&self) -> &Ring<T> {
        self
    }

    #[inline(always)]
    fn claim_now(&mut self) -> Option<Turn> {
        self.claim_shared_now()
    }

    #[inline(always)]
    fn claim(&mut self, events: u64) -> Result<Claimed, Obstacle> {
        self.claim_shared(events)
    }

    fn follow(&mut self, newest: &'a Arc<Ring<T>>) {
        *self = newest;
    }
}

/// Wakes whoever waits for what a claim has brought, when it is dropped; so also when user code unwinds.
pub(crate) struct Announce<'a, T> {
    core: &'a Core<T>,
    shared: bool,
}

impl<'a, T> Announce<'a, T> {
    #[inline(always)]
    pub(crate) fn new<W: Writer<'a, T>>(core: &'a Core<T>) -> Self {
        Self {
            core,
            shared: W::SHARED,
        }
    }
}

impl<T> Drop for Announce<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.core.events.notify();
        if self.shared {
            // A publisher a lap ahead may wait for this one's slot.
            self.core.room.notify();
        }
    }
}

/// Publishes one event; a refusal gives it back.
///
/// No function that is called on the way, also on a cold one, takes the event: it would be put together in
/// memory for that, and the copy from there to the slot would wait until the store buffer has drained, as
/// its loads are wider than the stores before them. That was measured to cost as much as a fence per event.
#[inline(always)]
pub(crate) fn one<'a, T, W: Writer<'a, T>>(
    core: &'a Core<T>,
    writer: &mut W,
    patience: Patience,
    event: T,
) -> Result<u64, (Refusal, T)> {
    let turn = match turn(core, writer, patience) {
        Ok(turn) => turn,
        Err(refusal) => return Err((refusal, event)),
    };
    let (sequence, old) = writer.ring().write(turn, event);
    drop(Announce::new::<W>(core));
    // User code, so last.
    drop(old);
    Ok(sequence)
}

/// Whether events may be shown to observers: not if the topic would refuse them anyway, as far as a look
/// can tell. `full` tells whether there is no room, to those who will not wait.
pub(crate) fn may_be_shown<T>(
    core: &Core<T>,
    patience: Patience,
    full: impl FnOnce() -> bool,
) -> Result<(), Refusal> {
    if core.looks_closed() {
        return Err(Refusal::Closed);
    }
    match patience {
        Patience::Try if full() => Err(Refusal::Full),
        _ => Ok(()),
    }
}

/// Claims one sequence.
#[inline(always)]
pub(crate) fn turn<'a, T, W: Writer<'a, T>>(
    core: &'a Core<T>,
    writer: &mut W,
    patience: Patience,
) -> Result<Turn, Refusal> {
    match writer.claim_now() {
        Some(turn) => Ok(turn),
        None => turn_slow(core, writer, patience),
    }
}

#[cold]
#[inline(never)]
fn turn_slow<'a, T, W: Writer<'a, T>>(
    core: &'a Core<T>,
    writer: &mut W,
    patience: Patience,
) -> Result<Turn, Refusal> {
    // A shared publisher comes by here for every event once its topic has grown.
    if let Some(newest) = core.grown.get() {
        writer.follow(newest);
        if let Some(turn) = writer.claim_now() {
            return Ok(turn);
        }
    }
    claim(core, writer, patience, 1).map(Claimed::into_turn)
}

/// Claims room for up to `events` events, which is fewer only if lossy readers hold too many slots.
#[inline(always)]
pub(crate) fn claim<'a, T, W: Writer<'a, T>>(
    core: &'a Core<T>,
    writer: &mut W,
    patience: Patience,
    events: u64,
) -> Result<Claimed, Refusal> {
    match writer.claim(events) {
        Ok(claimed) => Ok(claimed),
        Err(obstacle) => claim_slow(core, writer, patience, events, obstacle),
    }
}

/// A refusal for good closes the topic: the sequences may have run out. And it wakes whoever waits, as the
/// refused claim may have become holes that a reader waits for.
#[cold]
#[inline(never)]
fn claim_slow<'a, T, W: Writer<'a, T>>(
    core: &'a Core<T>,
    writer: &mut W,
    patience: Patience,
    events: u64,
    obstacle: Obstacle,
) -> Result<Claimed, Refusal> {
    let outcome = match growth::claim_after(core, writer, events, obstacle) {
        Ok(claimed) => return Ok(claimed),
        Err(obstacle) => claim_patiently(core, writer, patience, events, obstacle),
    };
    if matches!(outcome, Err(Refusal::Closed)) {
        core.close();
    }
    outcome
}

fn claim_patiently<'a, T, W: Writer<'a, T>>(
    core: &'a Core<T>,
    writer: &mut W,
    patience: Patience,
    events: u64,
    obstacle: Obstacle,
) -> Result<Claimed, Refusal> {
    let deadline = match (obstacle, patience) {
        (Obstacle::Closed, _) => return Err(Refusal::Closed),
        (Obstacle::Full(whose), Patience::Offer) => return Err(Refusal::of_offer(whose)),
        (_, Patience::Try | Patience::Offer) => return Err(Refusal::Full),
        (Obstacle::Full(Whose::ReadHere), _) => return Err(Refusal::WouldDeadlock),
        (_, Patience::Until(deadline)) => deadline,
    };
    core.tell_blocked();
    let since = Instant::now();
    // Set while the obstacle is a subscriber that perhaps only this thread can read.
    let mut grace = (obstacle == Obstacle::Full(Whose::OpenedHere)).then(|| since + GRACE);
    let outcome = loop {
        let waited_for_itself = grace.is_some();
        let until = deadline.into_iter().chain(grace).min();
        let answer = core.settings().wait.wait(&core.room, None, until, || {
            match growth::claim(core, writer, events) {
                Ok(claimed) => Some(Ok(Some(claimed))),
                Err(Obstacle::Closed) => Some(Err(Refusal::Closed)),
                Err(Obstacle::Full(Whose::ReadHere)) => Some(Err(Refusal::WouldDeadlock)),
                // The obstacle has changed, and with it the time to wait.
                Err(Obstacle::Full(Whose::OpenedHere)) if !waited_for_itself => Some(Ok(None)),
                Err(Obstacle::Full(Whose::Others) | Obstacle::Unfinished) if waited_for_itself => {
                    Some(Ok(None))
                }
                Err(_) => None,
            }
        });
        match answer {
            Some(Ok(Some(claimed))) => break Ok(claimed),
            Some(Ok(None)) => {
                grace = (!waited_for_itself).then(|| Instant::now() + GRACE);
            }
            Some(Err(refusal)) => break Err(refusal),
            None if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                break Err(Refusal::Timeout);
            }
            None => break Err(Refusal::WouldDeadlock),
        }
    };
    core.blocked.note(since);
    outcome
}

/// The sequences of a batch of which a part went before the ring.
pub(crate) fn behind(before: Option<Range<u64>>, rest: Range<u64>) -> Range<u64> {
    match before {
        Some(before) if rest.is_empty() => before,
        Some(before) => before.start..rest.end,
        None => rest,
    }
}

/// The sequences of a batch that went in parts, from the first to the last.
pub(crate) fn join(before: Option<Range<u64>>, part: Option<Range<u64>>) -> Option<Range<u64>> {
    match (before, part) {
        (Some(before), Some(part)) => Some(before.start..part.end),
        (before, part) => before.or(part),
    }
}
