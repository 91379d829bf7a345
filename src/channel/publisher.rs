//! One of several publishers.

use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::core::{Core, Role};
use super::error::{
    PublishBatchError, PublishError, PublishTimeoutError, PublisherError, TryPublishError,
};
use super::publish::{self, Announce, Patience, Refusal};
use crate::ring::Ring;
use crate::sync::Arc;

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
pub struct Publisher<T: Send + Sync + 'static> {
    core: Arc<Core<T>>,
    /// Batches are collected here before they are claimed, so that no user code runs under a claim that
    /// others wait for; and what they replace is kept here until they are done.
    batch: Cell<Vec<T>>,
    replaced: Cell<Vec<T>>,
}

impl<T: Send + Sync + 'static> Publisher<T> {
    pub(crate) fn new(core: &Arc<Core<T>>) -> Result<Self, PublisherError> {
        core.register(Role::Shared)?;
        Ok(Self {
            core: Arc::clone(core),
            batch: Cell::default(),
            replaced: Cell::default(),
        })
    }

    /// Publishes an event and returns its sequence.
    ///
    /// Sequences grow, and may have gaps. Without a subscriber the event is dropped at once.
    ///
    /// # Errors
    ///
    /// Gives the event back when the topic is closed, and when the ring is full and only the calling thread
    /// reads the lossless subscriber in the way. A thread reads a subscriber if it was the last to do so;
    /// for one that it opened and nobody has read yet, the answer comes after a second.
    ///
    /// # Blocking
    ///
    /// Waits while a lossless subscriber is a full ring behind, by the topic's
    /// [`WaitStrategy`](crate::WaitStrategy). Lossy subscribers are never waited for.
    #[inline]
    pub fn publish(&self, event: T) -> Result<u64, PublishError<T>> {
        one_shared(&self.core, Patience::Until(None), event)
            .map_err(|(refusal, event)| refusal.of_publish(event))
    }

    /// Publishes an event if there is room for it now.
    ///
    /// # Errors
    ///
    /// Gives the event back when the topic is closed, when a lossless subscriber is a full ring behind, or
    /// when another publisher is in the middle of a publish a full ring ago.
    #[inline]
    pub fn try_publish(&self, event: T) -> Result<u64, TryPublishError<T>> {
        one_shared(&self.core, Patience::Try, event)
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

    /// As `try_publish`, telling also whether only the calling thread could make room.
    pub(crate) fn offer(&self, event: T) -> Result<u64, (Refusal, T)> {
        one_shared(&self.core, Patience::Offer, event)
    }

    pub(crate) fn core(&self) -> &Arc<Core<T>> {
        &self.core
    }

    fn publish_until(
        &self,
        event: T,
        deadline: Option<Instant>,
    ) -> Result<u64, PublishTimeoutError<T>> {
        one_shared(&self.core, Patience::Until(deadline), event)
            .map_err(|(refusal, event)| refusal.of_timeout(event))
    }

    /// Publishes several events with one claim and one wake-up.
    ///
    /// The events are taken from the iterator before anything is claimed. They get adjacent places in the
    /// order, unless lossy subscribers hold so many slots that the batch has to go in parts. Returns the
    /// sequences from the first to the last, an empty range for an empty batch.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and when there are more events than the topic's capacity. The error
    /// holds the events that were not published, which is all of them unless the batch went in parts.
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
        let capacity = self.core.settings().capacity;
        if length > capacity {
            return Err(PublishBatchError::TooLarge {
                events: batch,
                length,
                capacity,
            });
        }
        let range = match self.core.ring() {
            Some(ring) => self.batch_to(ring, &mut batch, patience),
            None => match self.core.publish_unheard(length as u64) {
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
            Ok(range) => {
                self.batch.set(batch);
                Ok(range)
            }
            Err(Refusal::Closed) => Err(PublishBatchError::Closed(batch)),
            Err(Refusal::WouldDeadlock) => Err(PublishBatchError::WouldDeadlock(batch)),
            Err(Refusal::Full | Refusal::Timeout | Refusal::Unread) => {
                Err(PublishBatchError::Full(batch))
            }
        }
    }

    /// Publishes what is in `batch` and takes it out.
    fn batch_to(
        &self,
        mut ring: &Ring<T>,
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
            let announce = Announce::new::<&Ring<T>>(&self.core);
            let count = claimed.room();
            let mut events = batch.drain(..count);
            let part = ring.write_all(claimed, &mut events, |old| replaced.push(old));
            drop(announce);
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
    let ring = match core.ring() {
        Some(ring) => ring,
        None => match unheard(core) {
            Ok(Some(sequence)) => return Ok(sequence),
            Ok(None) => core.ring().expect("there is a ring now"),
            Err(refusal) => return Err((refusal, event)),
        },
    };
    publish::one(core, &mut &**ring, patience, event)
}

/// The sequence of an event that nobody listens to; `None` when there is a ring now.
#[cold]
#[inline(never)]
fn unheard<T>(core: &Core<T>) -> Result<Option<u64>, Refusal> {
    core.publish_unheard(1)
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
