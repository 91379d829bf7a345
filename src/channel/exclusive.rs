//! The only publisher of its topic.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::core::{Core, Role};
use super::dead_letters;
use super::error::{
    PublishBatchError, PublishError, PublishTimeoutError, PublisherError, TryPublishError,
};
use super::given_back::{BatchRest, Draft};
use super::missed;
use super::observers::Walker;
use super::publish::{self, Announce, HELD, Patience, Refusal};
use crate::ring::SoleWriter;
use crate::sync::{Arc, LocalCell};

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
#[must_use = "a topic closes when its last publisher is dropped"]
pub struct ExclusivePublisher<T: Send + Sync + 'static> {
    core: Arc<Core<T>>,
    /// Made when there is a ring. `Option`, as it gives the ring back before the publisher is signed off.
    writer: Option<SoleWriter<T>>,
    /// Made when there are observers.
    walker: LocalCell<Walker<T>>,
    /// Batches are collected here to be shown to them.
    batch: Vec<T>,
}

impl<T: Send + Sync + 'static> ExclusivePublisher<T> {
    pub(crate) fn new(core: &Arc<Core<T>>) -> Result<Self, PublisherError> {
        core.register(Role::Exclusive)?;
        Ok(Self {
            core: Arc::clone(core),
            writer: None,
            walker: LocalCell::new(),
            batch: Vec::new(),
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
    /// Gives the event back when the topic is closed, when an [observer](crate::Observer) vetoes it, when it is published
    /// inside of [`MAX_OBSERVER_DEPTH`](crate::MAX_OBSERVER_DEPTH) observers, or when a lossless subscriber is a full
    /// ring behind.
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
    /// `build` runs when there is room. An event with drop glue is built beside the ring and moved in; so is
    /// any event when the topic has observers, and then before there is room, as they come first.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); the error gives `build` back, or the event if it was built already.
    ///
    /// # Panics
    ///
    /// When `build` does; its sequence is then one of the gaps.
    ///
    /// # Blocking
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_with<F>(&mut self, build: F) -> Result<u64, PublishError<Draft<T, F>>>
    where
        F: FnOnce() -> T,
    {
        if self.core.observers.is_watched() {
            return self.publish_built(build);
        }
        let Some((core, writer)) = self.heard() else {
            return match self.unheard(1) {
                Some(Ok(sequence)) => {
                    let mut unfilled = Unfilled::new(&self.core, 1);
                    let event = build();
                    unfilled.fill();
                    drop(event);
                    Ok(sequence)
                }
                Some(Err(refusal)) => Err(refusal.of_publish(Draft::Build(build))),
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
            Err(refusal) => Err(refusal.of_publish(Draft::Build(build))),
        }
    }

    #[cold]
    fn publish_built<F>(&mut self, build: F) -> Result<u64, PublishError<Draft<T, F>>>
    where
        F: FnOnce() -> T,
    {
        let patience = Patience::Until(None);
        if let Err(refusal) = self.may_be_shown(patience, 1) {
            return Err(refusal.of_publish(Draft::Build(build)));
        }
        self.one(patience, build())
            .map_err(|(refusal, event)| refusal.of_publish(Draft::Event(event)))
    }

    /// Publishes several events with one claim and one wake-up.
    ///
    /// Subscribers see each event as soon as the iterator has given it; sleeping ones are woken at the end.
    /// The batch has as many events as the iterator's length says; if the iterator ends before, the rest
    /// of its sequences are gaps. Returns the sequences from the first to the last event, an empty range
    /// for an empty batch.
    ///
    /// When the topic has observers, all events are taken from the iterator first, then all are shown to them
    /// in order, then those that were not vetoed are published.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and when there are more events than the topic's
    /// [`max_capacity`](crate::Topic::max_capacity). The error
    /// gives the iterator back, with all events still in it, unless lossy subscribers held so many slots
    /// that the batch had to go in parts.
    ///
    /// When observers veto some of the events, the others are published, and the error is `Vetoed` with
    /// those that were vetoed. If there is no room for the others, the error says so and gives back both, the
    /// vetoed ones first.
    ///
    /// # Panics
    ///
    /// When the iterator does; the events that it had given are published, and the rest of the batch's
    /// sequences are gaps. On a topic with observers nothing is published then.
    ///
    /// # Blocking
    ///
    /// As [`publish`](Self::publish); the batch waits until there is room for all of it.
    #[inline]
    pub fn publish_batch<I>(
        &mut self,
        events: I,
    ) -> Result<Range<u64>, PublishBatchError<BatchRest<I::IntoIter>>>
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
    ) -> Result<Range<u64>, PublishBatchError<BatchRest<I::IntoIter>>>
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: ExactSizeIterator,
    {
        self.batch(events.into_iter(), Patience::Try)
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

    #[inline(always)]
    fn one(&mut self, patience: Patience, event: T) -> Result<u64, (Refusal, T)> {
        if self.core.observers.is_watched() {
            // In another place, as what is shown is in memory: without observers it stays in registers.
            publish::aside();
            let mut held = Some(event);
            return self
                .one_observed(patience, &mut held)
                .map_err(|refusal| (refusal, held.take().expect(HELD)));
        }
        self.one_unobserved::<false>(patience, event)
    }

    #[inline(never)]
    fn one_observed(&mut self, patience: Patience, held: &mut Option<T>) -> Result<u64, Refusal> {
        let event = held.as_ref().expect(HELD);
        self.may_be_shown(patience, 1)?;
        self.core.observers.show(self.walker(), event)?;
        if let Some(published) = self.publish_unheard(held) {
            return published;
        }
        let event = held.take().expect(HELD);
        let published = if self.core.observers.has_missed_letters() {
            self.one_unobserved::<true>(patience, event)
        } else {
            self.one_unobserved::<false>(patience, event)
        };
        published.map_err(|(refusal, event)| {
            *held = Some(event);
            refusal
        })
    }

    /// Publishes the event that is held, if nobody listens; it may stay where it is then, to be dropped.
    #[inline(always)]
    fn publish_unheard(&mut self, held: &mut Option<T>) -> Option<Result<u64, Refusal>> {
        if self.writer.is_none()
            && let Some(ring) = self.core.ring()
        {
            self.writer = Some(SoleWriter::new(Arc::clone(ring)));
        }
        dead_letters::publish_unheard(&self.core, self.writer.as_mut(), held)
    }

    fn may_be_shown(&self, patience: Patience, events: u64) -> Result<(), Refusal> {
        publish::may_be_shown(&self.core, patience, || {
            match &self.writer {
                // It is in the newest ring, or in one that is smaller.
                Some(writer) => {
                    let most = self.core.settings().max_capacity() as u64;
                    writer.ring().capacity() == most && writer.crowd_before(events).is_some()
                }
                None => self.core.looks_full(events),
            }
        })
    }

    fn walker(&self) -> &Walker<T> {
        self.walker.get_or_init(|| self.core.observers.walker())
    }

    #[inline(always)]
    fn one_unobserved<const MISSED: bool>(
        &mut self,
        patience: Patience,
        event: T,
    ) -> Result<u64, (Refusal, T)> {
        if self.writer.is_none() {
            match self.unheard(1) {
                Some(Ok(sequence)) => return Ok(sequence),
                Some(Err(refusal)) => return Err((refusal, event)),
                None => {}
            }
        }
        let (core, writer) = self.heard().expect("there is a writer now");
        if MISSED {
            missed::one(core, writer, patience, event)
        } else {
            publish::one(core, writer, patience, event)
        }
    }

    #[inline(always)]
    fn batch<I>(
        &mut self,
        mut events: I,
        patience: Patience,
    ) -> Result<Range<u64>, PublishBatchError<BatchRest<I>>>
    where
        I: ExactSizeIterator<Item = T>,
    {
        let length = events.len();
        let settings = self.core.settings();
        if length > settings.capacity && length > settings.max_capacity() {
            let capacity = settings.max_capacity();
            return Err(PublishBatchError::TooLarge {
                events: BatchRest::untouched(events),
                length,
                capacity,
            });
        }
        if self.core.observers.is_watched() {
            return self.batch_observed(events, length, patience);
        }
        if length > 0
            && let Some((core, writer)) = self.heard()
            && let Some(turns) = writer.claim_turns_now(length as u64)
        {
            // Its own, as the one below is lent to a call: here its state may stay in registers.
            let mut events = events;
            let announce = Announce::new::<SoleWriter<T>>(core);
            let range = writer.ring().write_turns(turns, &mut events, drop);
            drop(announce);
            writer.filled();
            let next = writer.ring().next_sequence();
            return Ok(range.unwrap_or(next..next));
        }
        self.batch_unobserved::<I, false>(&mut events, length, patience)
            .map_err(|refusal| refusal.of_batch(BatchRest::untouched(events)))
    }

    #[cold]
    fn batch_observed<I>(
        &mut self,
        mut events: I,
        length: usize,
        patience: Patience,
    ) -> Result<Range<u64>, PublishBatchError<BatchRest<I>>>
    where
        I: ExactSizeIterator<Item = T>,
    {
        if let Err(refusal) = self.may_be_shown(patience, length as u64) {
            return Err(refusal.of_batch(BatchRest::untouched(events)));
        }
        let mut batch = std::mem::take(&mut self.batch);
        batch.extend(events.by_ref().take(length));
        let mut vetoed = match self.core.observers.show_all(self.walker(), &mut batch) {
            Ok(vetoed) => vetoed,
            Err(refusal) => return Err(refusal.of_batch(BatchRest::new(batch, events))),
        };
        let buried = self.bury(&mut batch);
        let mut passed = batch.drain(..);
        let length = passed.len();
        let published = if buried.is_some() && length == 0 {
            // A close since then is not this batch's affair.
            Ok(0..0)
        } else if self.core.observers.has_missed_letters() {
            self.batch_unobserved::<_, true>(&mut passed, length, patience)
        } else {
            self.batch_unobserved::<_, false>(&mut passed, length, patience)
        };
        match published {
            Ok(published) => {
                drop(passed);
                self.batch = batch;
                let published = publish::behind(buried, published);
                if vetoed.is_empty() {
                    return Ok(published);
                }
                Err(PublishBatchError::Vetoed {
                    events: BatchRest::new(vetoed, events),
                    published,
                })
            }
            Err(refusal) => {
                vetoed.extend(passed);
                Err(refusal.of_batch(BatchRest::new(vetoed, events)))
            }
        }
    }

    /// Publishes the first events of a batch as dead letters, as long as nobody listens.
    fn bury(&mut self, batch: &mut Vec<T>) -> Option<Range<u64>> {
        if !self.core.is_deaf() {
            return None;
        }
        let mut range = None;
        batch.reverse();
        while let Some(event) = batch.pop() {
            let mut held = Some(event);
            let published = match self.core.is_deaf() {
                true => self.publish_unheard(&mut held),
                false => None,
            };
            match published {
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

    /// Publishes `length` events, or as many as there are, where that may need a plan, or parts.
    #[cold]
    #[inline(never)]
    fn batch_unobserved<I, const MISSED: bool>(
        &mut self,
        events: &mut I,
        length: usize,
        patience: Patience,
    ) -> Result<Range<u64>, Refusal>
    where
        I: ExactSizeIterator<Item = T>,
    {
        let Some((core, writer)) = self.heard() else {
            return match self.unheard(length as u64) {
                Some(Ok(first)) => {
                    let mut unfilled = Unfilled::new(&self.core, length as u64);
                    for event in events.take(length) {
                        unfilled.fill();
                        drop(event);
                    }
                    Ok(first..first + length as u64 - unfilled.left)
                }
                Some(Err(refusal)) => Err(refusal),
                None => self.batch_unobserved::<I, MISSED>(events, length, patience),
            };
        };
        let mut range: Option<Range<u64>> = None;
        let mut left = length;
        while left > 0 {
            let claimed = publish::claim(core, writer, patience, left as u64)?;
            let count = claimed.room();
            let part = if MISSED {
                missed::fill(core, writer, claimed, events)
            } else {
                let _announce = Announce::new::<SoleWriter<T>>(core);
                writer.ring().write_all(claimed, events, drop)
            };
            writer.filled();
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
        if let Some(taken) = self.core.publish_unheard::<false>(events) {
            return Some(taken.map_err(|_| Refusal::Closed));
        }
        let ring = self.core.ring().expect("there is a ring now");
        self.writer = Some(SoleWriter::new(Arc::clone(ring)));
        None
    }
}

/// Sequences of an unheard claim that have no event yet; what is left when this is dropped counts as nothing, so also
/// when user code unwinds.
struct Unfilled<'a, T> {
    core: &'a Core<T>,
    left: u64,
}

impl<'a, T> Unfilled<'a, T> {
    fn new(core: &'a Core<T>, left: u64) -> Self {
        Self { core, left }
    }

    fn fill(&mut self) {
        self.left -= 1;
    }
}

impl<T> Drop for Unfilled<'_, T> {
    fn drop(&mut self) {
        if self.left > 0 {
            self.core.give_up_unheard(self.left);
        }
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
