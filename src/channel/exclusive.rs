//! The only publisher of its topic.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::core::{Core, Role};
use super::error::{
    PublishBatchError, PublishError, PublishTimeoutError, PublisherError, TryPublishError,
};
use super::publish::{self, Announce, Patience, Refusal};
use crate::ring::SoleWriter;
use crate::sync::Arc;

/// Publishes to a topic of which it is the only publisher.
///
/// It claims with plain stores: publishing takes no locked instruction, and where the system has
/// `membarrier` no fence. While it exists the topic gives out no other publisher; when it is dropped the
/// topic closes, unless it was opened with [`keep_open`](crate::TopicBuilder::keep_open).
///
/// ```
/// use ringbus::{Bus, PublisherError};
///
/// let bus = Bus::new();
/// let topic = bus.topic::<[u64; 8]>();
/// let mut subscriber = topic.subscribe();
///
/// let mut publisher = topic.exclusive_publisher()?;
/// assert_eq!(topic.publisher().unwrap_err(), PublisherError::Exclusive);
///
/// publisher.publish([7; 8])?;
/// publisher.publish_batch([[8; 8], [9; 8]])?;
/// publisher.publish_with(|| [10; 8])?;
///
/// let mut firsts = vec![];
/// subscriber.poll(64, |event, _| firsts.push(event[0]))?;
/// assert_eq!(firsts, [7, 8, 9, 10]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ExclusivePublisher<T: Send + Sync + 'static> {
    core: Arc<Core<T>>,
    /// Made when there is a ring. `Option`, as it gives the ring back before the publisher is signed off.
    writer: Option<SoleWriter<T>>,
}

impl<T: Send + Sync + 'static> ExclusivePublisher<T> {
    pub(crate) fn new(core: &Arc<Core<T>>) -> Result<Self, PublisherError> {
        core.register(Role::Exclusive)?;
        Ok(Self {
            core: Arc::clone(core),
            writer: None,
        })
    }

    /// Publishes an event and returns its sequence.
    ///
    /// Sequences grow, and may have gaps. Without a subscriber the event is dropped at once.
    ///
    /// # Errors
    ///
    /// As [`Publisher::publish`](crate::Publisher::publish).
    ///
    /// # Blocking
    ///
    /// As [`Publisher::publish`](crate::Publisher::publish).
    #[inline]
    pub fn publish(&mut self, event: T) -> Result<u64, PublishError<T>> {
        self.one(Patience::Until(None), event)
            .map_err(|(refusal, event)| refusal.of_publish(event))
    }

    /// Publishes an event if there is room for it now.
    ///
    /// # Errors
    ///
    /// Gives the event back when the topic is closed, or when a lossless subscriber is a full ring behind.
    #[inline]
    pub fn try_publish(&mut self, event: T) -> Result<u64, TryPublishError<T>> {
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
        &mut self,
        event: T,
        timeout: Duration,
    ) -> Result<u64, PublishTimeoutError<T>> {
        self.one(Patience::Until(Core::<T>::deadline(timeout)), event)
            .map_err(|(refusal, event)| refusal.of_timeout(event))
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
        &mut self,
        event: T,
        deadline: Instant,
    ) -> Result<u64, PublishTimeoutError<T>> {
        self.one(Patience::Until(Some(deadline)), event)
            .map_err(|(refusal, event)| refusal.of_timeout(event))
    }

    /// Publishes an event that is built in its place in the ring, which saves a move of large events.
    ///
    /// `build` runs when there is room. An event with drop glue is built beside the ring and moved in.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); the error gives `build` back.
    ///
    /// # Panics
    ///
    /// When `build` does; its sequence is then one of the gaps.
    ///
    /// # Blocking
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_with<F>(&mut self, build: F) -> Result<u64, PublishError<F>>
    where
        F: FnOnce() -> T,
    {
        let Some((core, writer)) = self.heard() else {
            return match self.unheard(1) {
                Some(Ok(sequence)) => {
                    drop(build());
                    Ok(sequence)
                }
                Some(Err(refusal)) => Err(refusal.of_publish(build)),
                None => self.publish_with(build),
            };
        };
        match publish::turn(core, writer, Patience::Until(None)) {
            Ok(turn) => {
                let announce = Announce::new::<SoleWriter<T>>(core);
                let (sequence, old) = writer.ring().build(turn, build);
                drop(announce);
                drop(old);
                Ok(sequence)
            }
            Err(refusal) => Err(refusal.of_publish(build)),
        }
    }

    /// Publishes several events with one claim and one wake-up.
    ///
    /// Subscribers see each event as soon as the iterator has given it; sleeping ones are woken at the end.
    /// The batch has as many events as the iterator's length says; if the iterator ends before, the rest
    /// of its sequences are gaps. Returns the sequences from the first to the last event, an empty range
    /// for an empty batch.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and when there are more events than the topic's capacity. The error
    /// gives the iterator back, with all events still in it, unless lossy subscribers held so many slots
    /// that the batch had to go in parts.
    ///
    /// # Panics
    ///
    /// When the iterator does; the events that it had given are published, and the rest of the batch's
    /// sequences are gaps.
    ///
    /// # Blocking
    ///
    /// As [`publish`](Self::publish); the batch waits until there is room for all of it.
    #[inline]
    pub fn publish_batch<I>(
        &mut self,
        events: I,
    ) -> Result<Range<u64>, PublishBatchError<I::IntoIter>>
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: ExactSizeIterator,
    {
        self.batch(events.into_iter(), Patience::Until(None))
    }

    /// Publishes several events if there is room for all of them now.
    ///
    /// # Errors
    ///
    /// As [`publish_batch`](Self::publish_batch), and when there is no room.
    ///
    /// # Panics
    ///
    /// As [`publish_batch`](Self::publish_batch).
    #[inline]
    pub fn try_publish_batch<I>(
        &mut self,
        events: I,
    ) -> Result<Range<u64>, PublishBatchError<I::IntoIter>>
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: ExactSizeIterator,
    {
        self.batch(events.into_iter(), Patience::Try)
    }

    #[inline(always)]
    fn one(&mut self, patience: Patience, event: T) -> Result<u64, (Refusal, T)> {
        if self.writer.is_none() {
            match self.unheard(1) {
                Some(Ok(sequence)) => return Ok(sequence),
                Some(Err(refusal)) => return Err((refusal, event)),
                None => {}
            }
        }
        let (core, writer) = self.heard().expect("there is a writer now");
        publish::one(core, writer, patience, event)
    }

    #[inline(always)]
    fn batch<I>(
        &mut self,
        mut events: I,
        patience: Patience,
    ) -> Result<Range<u64>, PublishBatchError<I>>
    where
        I: ExactSizeIterator<Item = T>,
    {
        let length = events.len();
        let capacity = self.core.settings().capacity;
        if length > capacity {
            return Err(PublishBatchError::TooLarge {
                events,
                length,
                capacity,
            });
        }
        let Some((core, writer)) = self.heard() else {
            return match self.unheard(length as u64) {
                Some(Ok(first)) => {
                    events.take(length).for_each(drop);
                    Ok(first..first + length as u64)
                }
                Some(Err(_)) => Err(PublishBatchError::Closed(events)),
                None => self.batch(events, patience),
            };
        };
        let mut range: Option<Range<u64>> = None;
        let mut left = length;
        while left > 0 {
            let claimed = match publish::claim(core, writer, patience, left as u64) {
                Ok(claimed) => claimed,
                Err(Refusal::Closed) => return Err(PublishBatchError::Closed(events)),
                Err(Refusal::WouldDeadlock) => {
                    return Err(PublishBatchError::WouldDeadlock(events));
                }
                Err(Refusal::Full | Refusal::Timeout | Refusal::Unread) => {
                    return Err(PublishBatchError::Full(events));
                }
            };
            let count = claimed.room();
            let announce = Announce::new::<SoleWriter<T>>(core);
            let part = writer.ring().write_all(claimed, &mut events, drop);
            drop(announce);
            range = publish::join(range, part);
            // An iterator that ends early ends the batch.
            left = left.min(events.len()).min(left - count);
        }
        let next = writer.ring().next_sequence();
        Ok(range.unwrap_or(next..next))
    }

    #[inline(always)]
    fn heard(&mut self) -> Option<(&Core<T>, &mut SoleWriter<T>)> {
        Some((&self.core, self.writer.as_mut()?))
    }

    /// Takes sequences for events that nobody listens to; `None` when there is a writer now.
    #[cold]
    #[inline(never)]
    fn unheard(&mut self, events: u64) -> Option<Result<u64, Refusal>> {
        if let Some(taken) = self.core.publish_unheard(events) {
            return Some(taken.map_err(|_| Refusal::Closed));
        }
        let ring = self.core.ring().expect("there is a ring now");
        self.writer = Some(SoleWriter::new(Arc::clone(ring)));
        None
    }
}

impl<T: Send + Sync + 'static> Drop for ExclusivePublisher<T> {
    fn drop(&mut self) {
        // Before others may publish.
        self.writer = None;
        self.core.deregister(Role::Exclusive);
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for ExclusivePublisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExclusivePublisher")
            .field("topic", &self.core.name())
            .finish_non_exhaustive()
    }
}
