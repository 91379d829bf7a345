//! The handlers of a reactor, by their ids.

use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use super::context::Context;
use super::handler::HandlerId;
use super::source::Source;
use super::timeline::Merge;
use super::timers::MissedTicks;
use crate::sync::{Arc, Calls};

/// A handler that is given no event.
pub(crate) type Callback<S> = Box<dyn FnMut(&mut S, &mut Context<S>) + Send>;

/// A handler that is told of a loss.
pub(crate) type LagCallback<S> = Box<dyn FnMut(&mut S, u64, &mut Context<S>) + Send>;

/// A handler without a source.
pub(crate) enum Other<S> {
    Timer {
        callback: Callback<S>,
        every: Option<(Duration, MissedTicks)>,
    },
    Idle(Callback<S>),
    /// A handler of a timeline; its source has it, and this is its place in the table.
    Branch {
        merge: HandlerId,
    },
}

/// What a slot holds.
///
/// Two words, as it is moved out and back for every call: that must stay in registers.
pub(crate) enum Body<S> {
    Source(Box<dyn Source<S>>),
    Other(Box<Other<S>>),
}

/// A deadline that moves with the events of a source.
pub(crate) struct Expectation<S> {
    pub(crate) within: Duration,
    /// The last event, or the beginning.
    pub(crate) since: Instant,
    /// A time is set for it. Not so between its firing and the next event.
    pub(crate) is_set: bool,
    pub(crate) callback: Option<Callback<S>>,
}

/// What few handlers have.
pub(crate) struct Extras<S> {
    pub(crate) lag: Option<LagCallback<S>>,
    pub(crate) closed: Option<Callback<S>>,
    pub(crate) expectation: Option<Expectation<S>>,
    pub(crate) calls: Option<Arc<Calls>>,
}

impl<S> Default for Extras<S> {
    fn default() -> Self {
        Self {
            lag: None,
            closed: None,
            expectation: None,
            calls: None,
        }
    }
}

/// What is left of a handler, for its last owner to drop.
pub(crate) type Removed<S> = (Body<S>, Option<Box<Extras<S>>>);

/// What a removal came to.
pub(crate) enum Removal<S> {
    Unknown,
    /// It is being called, and goes when that is over.
    Called,
    Done(Removed<S>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Vacant,
    /// One of `source` and `other` is there, unless it is out, being called.
    Live,
    /// It is out, and was removed meanwhile.
    Doomed,
}

struct Slot<S> {
    generation: u32,
    state: State,
    /// Where it was added, or the one before it if it is vacant.
    location: &'static Location<'static>,
    /// Apart from `other`, so that it is moved by two plain words.
    source: Option<Box<dyn Source<S>>>,
    other: Option<Box<Other<S>>>,
    extras: Option<Box<Extras<S>>>,
}

/// A table of handlers.
///
/// A body is taken out while it is called, so that the call may use the table: add, remove, even remove
/// itself.
pub(crate) struct Slots<S> {
    slots: Vec<Slot<S>>,
    free: Vec<u32>,
}

impl<S> Slots<S> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    #[track_caller]
    pub(crate) fn add(&mut self, body: Body<S>) -> HandlerId {
        let location = Location::caller();
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                state: State::Vacant,
                location,
                source: None,
                other: None,
                extras: None,
            });
            u32::try_from(self.slots.len() - 1).expect("a reactor has fewer than 2^32 handlers")
        });
        let slot = &mut self.slots[index as usize];
        slot.state = State::Live;
        slot.location = location;
        match body {
            Body::Source(source) => slot.source = Some(source),
            Body::Other(other) => slot.other = Some(other),
        }
        HandlerId {
            index,
            generation: slot.generation,
        }
    }

    /// One more than the highest index there was.
    #[cfg(feature = "services")]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The id of whoever is at an index.
    #[cfg(feature = "services")]
    pub(crate) fn id(&self, index: usize) -> HandlerId {
        HandlerId {
            index: index as u32,
            generation: self.slots[index].generation,
        }
    }

    #[inline]
    pub(crate) fn is_live(&self, id: HandlerId) -> bool {
        self.slots
            .get(id.index())
            .is_some_and(|slot| slot.generation == id.generation && slot.state == State::Live)
    }

    /// Whether a handler may still be called: it is there, and no guard has severed it, which then goes when the
    /// reactor comes to it.
    pub(crate) fn is_callable(&self, id: HandlerId) -> bool {
        self.is_live(id)
            && self.slots[id.index()]
                .extras
                .as_ref()
                .and_then(|extras| extras.calls.as_ref())
                .is_none_or(|calls| !calls.is_severed())
    }

    /// Where a handler was added, also if it has gone, unless another one has its place.
    pub(crate) fn location(&self, id: HandlerId) -> Option<&'static Location<'static>> {
        let slot = self.slots.get(id.index())?;
        let gone = slot.state == State::Vacant && slot.generation.wrapping_sub(1) == id.generation;
        (slot.generation == id.generation || gone).then_some(slot.location)
    }

    /// Whether it is one of a timeline's.
    pub(crate) fn is_branch(&self, id: HandlerId) -> bool {
        matches!(
            self.slots[id.index()].other.as_deref(),
            Some(Other::Branch { .. })
        )
    }

    #[inline]
    pub(crate) fn source(&self, index: usize) -> Option<&dyn Source<S>> {
        self.slots[index].source.as_deref()
    }

    #[inline]
    pub(crate) fn source_mut(&mut self, index: usize) -> Option<&mut (dyn Source<S> + 'static)> {
        self.slots[index].source.as_deref_mut()
    }

    /// The source of a timeline, unless it is out.
    pub(crate) fn merge(&mut self, id: HandlerId) -> Option<&mut Merge<S>> {
        self.source_mut(id.index())?.merge()
    }

    /// The source that serves a handler: of one of a timeline's, that of the timeline.
    pub(crate) fn served_by(&self, id: HandlerId) -> HandlerId {
        match self.slots.get(id.index()).map(|slot| slot.other.as_deref()) {
            Some(Some(Other::Branch { merge })) if self.is_live(id) => *merge,
            _ => id,
        }
    }

    pub(crate) fn extras(&mut self, id: HandlerId) -> &mut Extras<S> {
        self.slots[id.index()].extras.get_or_insert_default()
    }

    #[inline]
    pub(crate) fn known_extras(&mut self, id: HandlerId) -> Option<&mut Extras<S>> {
        let slot = self.slots.get_mut(id.index())?;
        if slot.generation != id.generation {
            return None;
        }
        slot.extras.as_deref_mut()
    }

    /// Takes a source out to serve it.
    #[inline]
    pub(crate) fn take_source(&mut self, id: HandlerId) -> Option<Box<dyn Source<S>>> {
        let slot = self.slots.get_mut(id.index())?;
        if slot.generation != id.generation {
            return None;
        }
        slot.source.take()
    }

    /// Takes whichever source is at an index out to serve it; tells its id, and whether it has extras.
    #[inline]
    pub(crate) fn take_source_at(
        &mut self,
        index: usize,
    ) -> Option<(HandlerId, bool, Box<dyn Source<S>>)> {
        let slot = self.slots.get_mut(index)?;
        let id = HandlerId {
            index: index as u32,
            generation: slot.generation,
        };
        Some((id, slot.extras.is_some(), slot.source.take()?))
    }

    /// Whether the source that was taken from an index is to come back: it was not removed meanwhile.
    #[inline]
    pub(crate) fn awaits_source(&self, index: usize) -> bool {
        let slot = self.slots.get(index);
        slot.is_some_and(|slot| slot.state == State::Live)
    }

    /// Puts a source back that is awaited.
    #[inline(always)]
    pub(crate) fn put_awaited(&mut self, index: usize, source: Box<dyn Source<S>>) {
        let nothing = self.slots[index].source.replace(source);
        debug_assert!(nothing.is_none(), "it is out");
        // So that no drop is called for it.
        std::mem::forget(nothing);
    }

    /// Puts a source back after it was served; gives it back again if it was removed meanwhile.
    #[inline]
    pub(crate) fn put_source_back(
        &mut self,
        id: HandlerId,
        source: Box<dyn Source<S>>,
    ) -> Option<Removed<S>> {
        let slot = &mut self.slots[id.index()];
        if slot.state == State::Live {
            slot.source = Some(source);
            return None;
        }
        Some((Body::Source(source), self.vacate(id)))
    }

    /// Takes a handler without a source out to call it.
    pub(crate) fn take_other(&mut self, id: HandlerId) -> Option<Box<Other<S>>> {
        let slot = self.slots.get_mut(id.index())?;
        if slot.generation != id.generation {
            return None;
        }
        slot.other.take()
    }

    /// As [`put_source_back`](Self::put_source_back).
    pub(crate) fn put_other_back(
        &mut self,
        id: HandlerId,
        other: Box<Other<S>>,
    ) -> Option<Removed<S>> {
        let slot = &mut self.slots[id.index()];
        if slot.state == State::Live {
            slot.other = Some(other);
            return None;
        }
        Some((Body::Other(other), self.vacate(id)))
    }

    /// Removes a handler; one that is being called is given back when it is put back.
    pub(crate) fn remove(&mut self, id: HandlerId) -> Removal<S> {
        if !self.is_live(id) {
            return Removal::Unknown;
        }
        let slot = &mut self.slots[id.index()];
        let source = slot.source.take().map(Body::Source);
        match source.or_else(|| slot.other.take().map(Body::Other)) {
            Some(body) => Removal::Done((body, self.vacate(id))),
            None => {
                slot.state = State::Doomed;
                Removal::Called
            }
        }
    }

    #[cold]
    fn vacate(&mut self, id: HandlerId) -> Option<Box<Extras<S>>> {
        let slot = &mut self.slots[id.index()];
        slot.state = State::Vacant;
        // After 2^32 uses a slot is given up, so that no id comes twice.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(id.index);
        }
        slot.extras.take()
    }
}

impl<S> fmt::Debug for Slots<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("handlers", &(self.slots.len() - self.free.len()))
            .finish_non_exhaustive()
    }
}
