//! One of several publishers.

use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::core::{Core, Role};
use super::dead_letters;
use super::error::{
    PublishBatchError, PublishError, PublishTimeoutError, PublisherError, TryPublishError,
};
use super::missed;
use super::observers::Walker;
use super::publish::{self, Announce, HELD, Patience, Refusal};
use crate::ring::Ring;
use crate::sync::{Arc, LocalCell};

/// Publishes to a topic, beside other publishers.
///
/// All publishers of a topic together make one order, the ring's sequence; the events of one publisher keep
/// their order in it. A publisher is [`Clone`] and [`Send`]; it is not `Sync`: each thread has its own.
/// When the last publisher of a topic is dropped the topic closes, unless it was opened with
/// [`keep_open`](crate::TopicBuilder::keep_open).
///
/// Publishing costs one compare-and-swap on a word that all publishers of the topic share.
///
/// ```
/// use ringbus::Bus;
///
/// let bus = Bus::new();
/// let topic = bus.topic::<u32>();
/// let mut subscriber = topic.subscribe();
///
/// let one = topic.publisher()?;
/// let other = one.clone();
/// let thread = std::thread::spawn(move || other.publish(1).map(drop));
/// thread.join().unwrap()?;
/// one.publish(2)?;
///
/// assert_eq!(subscriber.recv(), Ok(1));
/// assert_eq!(subscriber.recv(), Ok(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a topic closes when its last publisher is dropped"]
pub struct Publisher<T: Send + Sync + 'static> {
    core: Arc<Core<T>>,
    /// Batches are collected here before they are claimed, so that no user code runs under a claim that
    /// others wait for; and what they replace is kept here until they are done.
    batch: Cell<Vec<T>>,
    replaced: Cell<Vec<T>>,
    /// Made when there are observers.
    walker: LocalCell<Walker<T>>,
}

impl<T: Send + Sync + 'static> Publisher<T> {
    pub(crate) fn new(core: &Arc<Core<T>>) -> Result<Self, PublisherError> {
        core.register(Role::Shared)?;
        Ok(Self {
            core: Arc::clone(core),
            batch: Cell::default(),
            replaced: Cell::default(),
            walker: LocalCell::new(),
        })
    }

    /// Publishes an event and returns its sequence.
    ///
    /// Sequences grow, and may have gaps. Without a subscriber the event is dropped at once.
    ///
    /// # Errors
    ///
    /// Gives the event back when the topic is closed, when an [observer](crate::Observer) vetoes it, when it is published
    /// inside of [`MAX_OBSERVER_DEPTH`](crate::MAX_OBSERVER_DEPTH) observers, and when the ring is full and only the
    /// calling thread reads the lossless subscriber in the way. A thread reads a subscriber if it was the last to do so;
    /// for one that it opened and nobody has read yet, the answer comes after a second.
    ///
    /// # Blocking
    ///
    /// Waits while a lossless subscriber is a full ring behind, and while another publisher has been in the middle of a
    /// publish for a full ring, by the topic's [`WaitStrategy`](crate::WaitStrategy). Lossy subscribers are never
    /// waited for, but what one is handling may take from the room of a lossless one; see
    /// [`capacity`](crate::TopicBuilder::capacity).
    #[inline]
    pub fn publish(&self, event: T) -> Result<u64, PublishError<T>> {
        self.one(Patience::Until(None), event)
            .map_err(|(refusal, event)| refusal.of_publish(event))
    }

    /// Publishes an event if there is room for it now.
    ///
    /// # Errors
    ///
    /// Gives the event back when the topic is closed, when an [observer](crate::Observer) vetoes it, when it is published
    /// inside of [`MAX_OBSERVER_DEPTH`](crate::MAX_OBSERVER_DEPTH) observers, when a lossless subscriber is a full ring
    /// behind, or when another publisher has been in the middle of a publish for a full ring.
    #[inline]
    pub fn try_publish(&self, event: T) -> Result<u64, TryPublishError<T>> {
        self.one(Patience::Try, event)
            .map_err(|(refusal, event)| refusal.of_try(event))
    }

    /// Publishes an event, waiting for room for `timeout` at most.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and when there was no room in time.
    ///
    /// # Blocking
    ///
    /// Waits as [`publish`](Self::publish) does, until the timeout.
    pub fn publish_timeout(
        &self,
        event: T,
        timeout: Duration,
    ) -> Result<u64, PublishTimeoutError<T>> {
        self.publish_until(event, Core::<T>::deadline(timeout))
    }

    /// Publishes an event, waiting for room until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`publish_timeout`](Self::publish_timeout).
    ///
    /// # Blocking
    ///
    /// Waits as [`publish`](Self::publish) does, until the deadline.
    pub fn publish_deadline(
        &self,
        event: T,
        deadline: Instant,
    ) -> Result<u64, PublishTimeoutError<T>> {
        self.publish_until(event, Some(deadline))
    }

    /// The name of its topic; `None` for the one found by its type alone.
    pub fn topic_name(&self) -> Option<&str> {
        self.core.name()
    }

    /// How many events a subscriber may be behind now, as [`Topic::capacity`](crate::Topic::capacity).
    pub fn capacity(&self) -> usize {
        self.core.capacity()
    }

    /// Whether anybody listens, as [`Topic::has_subscribers`](crate::Topic::has_subscribers).
    #[must_use]
    pub fn has_subscribers(&self) -> bool {
        self.core.has_listeners()
    }

    /// Whether the topic takes no more events.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    /// As `try_publish`, telling also whether only the calling thread could make room, and without showing
    /// the event to observers: it may be offered several times.
    pub(crate) fn offer(&self, event: T) -> Result<u64, (Refusal, T)> {
        one_watched(&self.core, Patience::Offer, event)
    }

    /// As `offer`, for an event that was shown to the observers, or kept since: it may be a dead letter.
    pub(crate) fn offer_shown(&self, event: T) -> Result<u64, (Refusal, T)> {
        let mut held = Some(event);
        if self.core.is_deaf()
            && let Some(Ok(sequence)) = self.publish_unheard(&mut held)
        {
            return Ok(sequence);
        }
        self.offer(held.expect(HELD))
    }

    /// Shows an event that will be offered to the observers.
    pub(crate) fn show(&self, event: &T) -> Result<(), Refusal> {
        self.show_with(Patience::Offer, event)
    }

    /// What an offer would be refused for now, for want of room.
    pub(crate) fn crowd(&self) -> Option<Refusal> {
        let whose = self.core.crowd_before(1)?;
        Some(Refusal::of_offer(whose))
    }

    #[inline(always)]
    fn one(&self, patience: Patience, event: T) -> Result<u64, (Refusal, T)> {
        if self.core.observers.is_watched() {
            // In another place, as what is shown is in memory: without observers it stays in registers.
            publish::aside();
            let mut held = Some(event);
            return self
                .one_observed(patience, &mut held)
                .map_err(|refusal| (refusal, held.take().expect(HELD)));
        }
        one_shared(&self.core, patience, event)
    }

    #[inline(never)]
    fn one_observed(&self, patience: Patience, held: &mut Option<T>) -> Result<u64, Refusal> {
        let event = held.as_ref().expect(HELD);
        self.show_with(patience, event)?;
        if let Some(published) = self.publish_unheard(held) {
            return published;
        }
        one_watched(&self.core, patience, held.take().expect(HELD)).map_err(|(refusal, event)| {
            *held = Some(event);
            refusal
        })
    }

    /// Publishes the event that is held, if nobody listens; it may stay where it is then, to be dropped.
    #[inline(always)]
    pub(crate) fn publish_unheard(&self, held: &mut Option<T>) -> Option<Result<u64, Refusal>> {
        let mut ring = self.core.ring().map(|ring| &**ring);
        dead_letters::publish_unheard(&self.core, ring.as_mut(), held)
    }

    fn show_with(&self, patience: Patience, event: &T) -> Result<(), Refusal> {
        self.may_be_shown(patience, 1)?;
        self.core.observers.show(self.walker(), event)
    }

    fn may_be_shown(&self, patience: Patience, events: u64) -> Result<(), Refusal> {
        publish::may_be_shown(&self.core, patience, || self.core.looks_full(events))
    }

    fn walker(&self) -> &Walker<T> {
        self.walker.get_or_init(|| self.core.observers.walker())
    }

    pub(crate) fn core(&self) -> &Arc<Core<T>> {
        &self.core
    }

    fn publish_until(
        &self,
        event: T,
        deadline: Option<Instant>,
    ) -> Result<u64, PublishTimeoutError<T>> {
        self.one(Patience::Until(deadline), event)
            .map_err(|(refusal, event)| refusal.of_timeout(event))
    }

    /// Publishes several events with one claim and one wake-up.
    ///
    /// The events are taken from the iterator, and shown to the observers in order, before anything is
    /// claimed. They get adjacent places in the order, unless lossy subscribers hold so many slots that the
    /// batch has to go in parts. Returns the sequences from the first to the last, an empty range for an
    /// empty batch.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and when there are more events than the topic's
    /// [`max_capacity`](crate::Topic::max_capacity). The error
    /// holds the events that were not published, which is all of them unless the batch went in parts.
    ///
    /// When observers veto some of the events, the others are published, and the error is `Vetoed` with
    /// those that were vetoed. If there is no room for the others, the error says so and holds both, the
    /// vetoed ones first.
    ///
    /// # Panics
    ///
    /// When the iterator does; then nothing is published.
    ///
    /// # Blocking
    ///
    /// As [`publish`](Self::publish); the batch waits until there is room for all of it.
    pub fn publish_batch<I>(&self, events: I) -> Result<Range<u64>, PublishBatchError<Vec<T>>>
    where
        I: IntoIterator<Item = T>,
    {
        self.batch(events, Patience::Until(None))
    }

    /// Publishes several events if there is room for all of them now.
    ///
    /// # Errors
    ///
    /// As [`publish_batch`](Self::publish_batch), and when there is no room.
    ///
    /// # Panics
    ///
    /// When the iterator does; then nothing is published.
    pub fn try_publish_batch<I>(&self, events: I) -> Result<Range<u64>, PublishBatchError<Vec<T>>>
    where
        I: IntoIterator<Item = T>,
    {
        self.batch(events, Patience::Try)
    }

    fn batch<I>(
        &self,
        events: I,
        patience: Patience,
    ) -> Result<Range<u64>, PublishBatchError<Vec<T>>>
    where
        I: IntoIterator<Item = T>,
    {
        // Out of the cell, as the iterator may publish with this very publisher.
        let mut batch = self.batch.take();
        batch.extend(events);
        let length = batch.len();
        let settings = self.core.settings();
        if length > settings.capacity && length > settings.max_capacity() {
            let capacity = settings.max_capacity();
            return Err(PublishBatchError::TooLarge {
                events: batch,
                length,
                capacity,
            });
        }
        let mut vetoed = Vec::new();
        if self.core.observers.is_watched() {
            let shown = self
                .may_be_shown(patience, length as u64)
                .and_then(|()| self.core.observers.show_all(self.walker(), &mut batch));
            match shown {
                Ok(taken_out) => vetoed = taken_out,
                Err(refusal) => return Err(refusal.of_batch(batch)),
            }
        }
        let buried = self.bury(&mut batch);
        let length = batch.len();
        let range = match self.core.ring() {
            // A close since then is not this batch's affair.
            _ if buried.is_some() && batch.is_empty() => Ok(0..0),
            Some(ring) => self.batch_to(ring, &mut batch, patience),
            None => match self.core.publish_unheard::<true>(length as u64) {
                Some(Ok(first)) => {
                    batch.clear();
                    Ok(first..first + length as u64)
                }
                Some(Err(_)) => Err(Refusal::Closed),
                None => {
                    let ring = self.core.ring().expect("there is a ring now");
                    self.batch_to(ring, &mut batch, patience)
                }
            },
        };
        match range {
            Ok(published) => {
                self.batch.set(batch);
                let published = publish::behind(buried, published);
                if vetoed.is_empty() {
                    return Ok(published);
                }
                Err(PublishBatchError::Vetoed {
                    events: vetoed,
                    published,
                })
            }
            Err(refusal) => {
                batch.splice(..0, vetoed);
                Err(refusal.of_batch(batch))
            }
        }
    }

    /// Publishes the first events of a batch as dead letters, as long as nobody listens.
    fn bury(&self, batch: &mut Vec<T>) -> Option<Range<u64>> {
        if !self.core.is_deaf() {
            return None;
        }
        let mut range = None;
        batch.reverse();
        while let Some(event) = batch.pop() {
            let mut held = Some(event);
            let published = self.core.is_deaf().then(|| self.publish_unheard(&mut held));
            match published.flatten() {
                Some(Ok(sequence)) => {
                    range = publish::join(range, Some(sequence..sequence + 1));
                }
                None | Some(Err(_)) => {
                    batch.extend(held);
                    break;
                }
            }
        }
        batch.reverse();
        range
    }

    /// Publishes what is in `batch` and takes it out.
    fn batch_to<'a>(
        &'a self,
        mut ring: &'a Ring<T>,
        batch: &mut Vec<T>,
        patience: Patience,
    ) -> Result<Range<u64>, Refusal> {
        let mut replaced = self.replaced.take();
        let mut range: Option<Range<u64>> = None;
        let mut outcome = Ok(());
        while !batch.is_empty() {
            let claimed = match publish::claim(&self.core, &mut ring, patience, batch.len() as u64)
            {
                Ok(claimed) => claimed,
                Err(refusal) => {
                    outcome = Err(refusal);
                    break;
                }
            };
            let count = claimed.room();
            let mut events = batch.drain(..count);
            let part = if self.core.observers.has_missed_letters() {
                missed::fill(&self.core, &ring, claimed, &mut events)
            } else {
                let _announce = Announce::new::<&Ring<T>>(&self.core);
                ring.write_all(claimed, &mut events, |old| replaced.push(old))
            };
            range = publish::join(range, part);
        }
        // User code, so last.
        replaced.clear();
        self.replaced.set(replaced);
        let next = ring.next_sequence();
        outcome.map(|()| range.unwrap_or(next..next))
    }
}

/// Publishes one event as one of several publishers.
#[inline(always)]
pub(crate) fn one_shared<T>(
    core: &Core<T>,
    patience: Patience,
    event: T,
) -> Result<u64, (Refusal, T)> {
    one_by::<T, false>(core, patience, event)
}

/// As `one_shared`, where what was missed may be wanted.
fn one_watched<T>(core: &Core<T>, patience: Patience, event: T) -> Result<u64, (Refusal, T)> {
    if core.observers.has_missed_letters() {
        one_by::<T, true>(core, patience, event)
    } else {
        one_by::<T, false>(core, patience, event)
    }
}

#[inline(always)]
fn one_by<T, const MISSED: bool>(
    core: &Core<T>,
    patience: Patience,
    event: T,
) -> Result<u64, (Refusal, T)> {
    let ring = match core.ring() {
        Some(ring) => ring,
        None => match unheard(core) {
            Ok(Some(sequence)) => return Ok(sequence),
            Ok(None) => core.ring().expect("there is a ring now"),
            Err(refusal) => return Err((refusal, event)),
        },
    };
    if MISSED {
        missed::one(core, &mut &**ring, patience, event)
    } else {
        publish::one(core, &mut &**ring, patience, event)
    }
}

/// Publishes one event for somebody who has no publisher.
pub(crate) fn one_ambient<T>(core: &Core<T>, event: T) -> Result<u64, (Refusal, T)> {
    one_without_publisher(core, Patience::Until(None), event)
}

/// As `one_ambient`, without waiting for room.
pub(crate) fn try_ambient<T>(core: &Core<T>, event: T) -> Result<u64, (Refusal, T)> {
    one_without_publisher(core, Patience::Try, event)
}

fn one_without_publisher<T>(
    core: &Core<T>,
    patience: Patience,
    event: T,
) -> Result<u64, (Refusal, T)> {
    if core.observers.is_watched() {
        let shown = publish::may_be_shown(core, patience, || core.looks_full(1))
            .and_then(|()| core.observers.show_without_walker(&event));
        if let Err(refusal) = shown {
            return Err((refusal, event));
        }
    }
    let mut held = Some(event);
    if core.observers.has_dead_letters() {
        let mut ring = core.ring().map(|ring| &**ring);
        match dead_letters::publish_unheard(core, ring.as_mut(), &mut held) {
            Some(Ok(sequence)) => return Ok(sequence),
            Some(Err(refusal)) => return Err((refusal, held.expect(HELD))),
            None => {}
        }
    }
    one_watched(core, patience, held.expect(HELD))
}

/// The sequence of an event that nobody listens to; `None` when there is a ring now.
#[cold]
#[inline(never)]
fn unheard<T>(core: &Core<T>) -> Result<Option<u64>, Refusal> {
    core.publish_unheard::<true>(1)
        .transpose()
        .map_err(|_| Refusal::Closed)
}

impl<T: Send + Sync + 'static> Clone for Publisher<T> {
    /// Another publisher of the same topic. It publishes nothing if the topic was closed, as this one.
    fn clone(&self) -> Self {
        self.core.register_beside();
        Self {
            core: Arc::clone(&self.core),
            batch: Cell::default(),
            replaced: Cell::default(),
            walker: LocalCell::new(),
        }
    }
}

impl<T: Send + Sync + 'static> Drop for Publisher<T> {
    fn drop(&mut self) {
        self.core.deregister(Role::Shared);
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("topic", &self.core.name())
            .finish_non_exhaustive()
    }
}
