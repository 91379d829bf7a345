//! Events that nobody listened to, and where they and the missed ones go.

use std::fmt;

use super::core::Core;
use super::error::PublisherError;
use super::publish::{self, Announce, Patience, Refusal, Writer};
use super::publisher::try_ambient;
use super::topic::Topic;
use crate::ring::{Leftovers, Replaced};
use crate::sync::{Arc, Counter, Mutex, OnceCell};

/// An event that did not reach whom it might have; see [`Topic::dead_letters_to`] and
/// [`TopicBuilder::missed_letters_to`](crate::TopicBuilder::missed_letters_to).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter<T> {
    /// The event.
    pub event: T,
    /// What became of it.
    pub cause: LetterCause,
    /// The name of its topic; `None` for the one found by its type alone.
    pub topic: Option<std::sync::Arc<str>>,
    /// Its sequence in its topic.
    pub sequence: u64,
}

/// Why an event is a [`DeadLetter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LetterCause {
    /// It was published while its topic had no subscriber.
    Unheard,
    /// It was overwritten before every [`DropOldest`](crate::Overflow::DropOldest) subscriber had taken it.
    Missed,
}

/// Where a topic's dead letters go, and what became of them.
pub(crate) struct DeadLetters<T> {
    /// Never locked while user code runs.
    sink: Mutex<Option<Arc<Sink<T>>>>,
    /// Where events go that were missed; set before anybody else has the topic.
    missed: OnceCell<(Arc<Sink<T>>, Leftovers<T>)>,
    /// Room for what a batch replaces; kept, so that the next one allocates nothing.
    spare: Mutex<Vec<Replaced<T>>>,
    delivered: Counter,
    lost: Counter,
    /// Sequences of the ring that carry no event, as it went here.
    in_ring: Counter,
}

/// Takes an event and its sequence; tells whether there was room. Its type says nothing of the topic behind
/// it, whose dead letters would be of yet another type, and so on.
pub(super) struct Sink<T>(Box<dyn Fn(T, u64, LetterCause) -> bool + Send + Sync>);

impl<T: Send + Sync + 'static> Sink<T> {
    /// Into `letters`, of which the bus is a publisher from then on.
    pub(super) fn of(
        topic: Option<&str>,
        letters: &Topic<DeadLetter<T>>,
    ) -> Result<Self, PublisherError> {
        let to = Arc::clone(letters.core());
        to.register_ambient()?;
        let topic = topic.map(std::sync::Arc::from);
        Ok(Self(Box::new(move |event, sequence, cause| {
            let letter = DeadLetter {
                event,
                cause,
                topic: topic.clone(),
                sequence,
            };
            // A letter that is refused is dropped here.
            try_ambient(&to, letter).is_ok()
        })))
    }
}

impl<T> Sink<T> {
    pub(super) fn send(&self, event: T, sequence: u64, cause: LetterCause) -> bool {
        (self.0)(event, sequence, cause)
    }
}

impl<T> DeadLetters<T> {
    pub(crate) fn new() -> Self {
        Self {
            sink: Mutex::new(None),
            missed: OnceCell::new(),
            spare: Mutex::new(Vec::new()),
            delivered: Counter::default(),
            lost: Counter::default(),
            in_ring: Counter::default(),
        }
    }

    /// Events that went to the other topic.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.get()
    }

    /// Events that the other topic did not take.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.get()
    }

    /// Events that count as published, while their sequences in the ring are holes.
    pub(crate) fn in_ring(&self) -> u64 {
        self.in_ring.get()
    }

    fn deliver(&self, event: T, sequence: u64) {
        let sink = self.sink.lock().clone();
        let delivered = sink.is_some_and(|sink| sink.send(event, sequence, LetterCause::Unheard));
        self.count(delivered);
    }

    /// Sets where events go that were missed, and what the ring does with those that it has at its end.
    pub(super) fn set_missed(&self, sink: Arc<Sink<T>>, left: Leftovers<T>) {
        if self.missed.set((sink, left)).is_err() {
            unreachable!("it is set when the topic is opened");
        }
    }

    pub(super) fn left(&self) -> Option<&Leftovers<T>> {
        self.missed.get().map(|(_, left)| left)
    }

    pub(super) fn deliver_missed(&self, event: T, sequence: u64) {
        let missed = self.missed.get();
        let delivered =
            missed.is_some_and(|(sink, _)| sink.send(event, sequence, LetterCause::Missed));
        self.count(delivered);
    }

    pub(super) fn spare(&self) -> Vec<Replaced<T>> {
        std::mem::take(&mut *self.spare.lock())
    }

    /// `spare` is empty.
    pub(super) fn set_spare(&self, spare: Vec<Replaced<T>>) {
        let before = std::mem::replace(&mut *self.spare.lock(), spare);
        drop(before);
    }

    fn count(&self, delivered: bool) {
        let count = if delivered {
            &self.delivered
        } else {
            &self.lost
        };
        count.add(1);
    }
}

impl<T> fmt::Debug for DeadLetters<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").finish_non_exhaustive()
    }
}

/// Publishes the event that is held, if nobody listens; `None` leaves it to be published as any other.
#[inline(always)]
pub(crate) fn publish_unheard<'a, T, W: Writer<'a, T>>(
    core: &'a Core<T>,
    writer: Option<&mut W>,
    held: &mut Option<T>,
) -> Option<Result<u64, Refusal>> {
    if let Some(writer) = writer {
        return if core.is_deaf() {
            publish_deaf(core, writer, held)
        } else {
            None
        };
    }
    let taken = if W::SHARED {
        core.publish_unheard::<true>(1)?
    } else {
        core.publish_unheard::<false>(1)?
    };
    let Ok(sequence) = taken else {
        return Some(Err(Refusal::Closed));
    };
    if core.observers.has_dead_letters() {
        deliver(core, held, sequence);
    }
    Some(Ok(sequence))
}

/// Publishes the event that is held beside the ring, to which nobody listens.
#[cold]
#[inline(never)]
fn publish_deaf<'a, T, W: Writer<'a, T>>(
    core: &'a Core<T>,
    writer: &mut W,
    held: &mut Option<T>,
) -> Option<Result<u64, Refusal>> {
    // A claim that is refused is refused again where its reason is told.
    let turn = publish::turn(core, writer, Patience::Try).ok()?;
    let sequence = writer.ring().waste(turn);
    // Somebody who has just joined may wait for the event that is not coming.
    drop(Announce::new::<W>(core));
    core.dead_letters.in_ring.add(1);
    deliver(core, held, sequence);
    Some(Ok(sequence))
}

#[cold]
#[inline(never)]
fn deliver<T>(core: &Core<T>, held: &mut Option<T>, sequence: u64) {
    if let Some(event) = held.take() {
        core.dead_letters.deliver(event, sequence);
    }
}

impl<T: Send + Sync + 'static> Topic<T> {
    /// Whether the topic has subscribers, groups or editors: whether a publish now would be heard.
    #[must_use]
    pub fn has_subscribers(&self) -> bool {
        self.core().has_listeners()
    }

    /// Moves every event that is published while the topic has no subscriber and no group to `letters`, from
    /// now on, in place of a topic that was named here before.
    ///
    /// Such an event counts as published, is shown to the observers first, and never enters the ring. A topic
    /// that [retains](crate::TopicBuilder::retain) events for later subscribers has no dead letters. Nor is it
    /// one for [`has_subscribers`](Self::has_subscribers) if a subscriber exists that does not read, or that
    /// was disconnected.
    ///
    /// It is moved by the publisher, which never waits for it: what `letters` has no room for, or refuses, is
    /// dropped, and [counted](crate::TopicSnapshot::dead_letters_lost). A bus counts as a publisher of
    /// `letters` from now on, so that it stays open and gives out no exclusive publisher.
    ///
    /// ```
    /// use ringbus::{Bus, DeadLetter};
    ///
    /// let bus = Bus::new();
    /// let orders = bus.topic::<String>();
    /// let letters = bus.topic::<DeadLetter<String>>();
    /// orders.dead_letters_to(&letters)?;
    /// let mut unheard = letters.subscribe();
    ///
    /// orders.publish("nobody is there".to_string())?;
    /// assert!(!orders.has_subscribers());
    /// let subscriber = orders.subscribe();
    /// orders.publish("somebody is there".to_string())?;
    /// drop(subscriber);
    /// orders.publish("nobody is left".to_string())?;
    ///
    /// assert_eq!(unheard.recv()?.event, "nobody is there");
    /// assert_eq!(unheard.recv()?.event, "nobody is left");
    /// assert!(unheard.try_recv().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When `letters` is closed or has an exclusive publisher.
    pub fn dead_letters_to(&self, letters: &Topic<DeadLetter<T>>) -> Result<(), PublisherError> {
        let sink = Sink::of(self.name(), letters)?;
        let before = self.core().dead_letters.sink.lock().replace(Arc::new(sink));
        self.core().observers.set_dead_letters();
        drop(before);
        Ok(())
    }
}
