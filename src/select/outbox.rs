//! Events that handlers publish and that find no room yet.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;

use thiserror::Error;

use crate::channel::{MAX_OBSERVER_DEPTH, Publisher, Refusal};
use crate::sync::{Arc, Barrier, Bell, ReadySet, Waiter};

/// Why [`Context::publish`](crate::Context::publish) refused an event, with the event.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OutboxError<T> {
    /// The topic takes no more events.
    #[error("topic closed")]
    Closed(T),
    /// The topic's ring is full, and so is the reactor's outbox.
    #[error("outbox full")]
    Full(T),
    /// The topic's ring is full, so is the reactor's outbox, and the subscriber in the way is read by this
    /// very thread.
    #[error("outbox full, and the topic's ring is full of events that only this thread reads")]
    WouldDeadlock(T),
    /// An observer vetoed it; see [`Observer`](crate::Observer).
    #[error("vetoed by an observer")]
    Vetoed(T),
    /// It was published inside of too many observers.
    #[error("published {MAX_OBSERVER_DEPTH} observers deep")]
    TooDeep(T),
}

impl<T> OutboxError<T> {
    /// The event that was refused.
    pub fn into_event(self) -> T {
        match self {
            Self::Closed(event)
            | Self::Full(event)
            | Self::WouldDeadlock(event)
            | Self::Vetoed(event)
            | Self::TooDeep(event) => event,
        }
    }
}

/// Names the condition and leaves the event out, so that events need not be `Debug`.
impl<T> fmt::Debug for OutboxError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutboxError({self})")
    }
}

/// What became of a queue's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flushed {
    pub(crate) published: usize,
    /// Events whose topic had closed.
    pub(crate) lost: usize,
}

/// The events of one topic that wait, oldest first.
struct Queue<T: Send + Sync + 'static> {
    /// There while something waits, so that the topic stays open for it.
    publisher: Option<Publisher<T>>,
    events: VecDeque<T>,
    bell: Waiter,
    /// Why the first of them was refused last.
    refusal: Refusal,
}

trait AnyQueue: Send {
    fn len(&self) -> usize;
    /// Publishes what there is room for. Counts before it drops anything, which may panic.
    fn flush(&mut self, flushed: &mut Flushed);
    fn enlist(&self);
    fn refusal(&self) -> Refusal;
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<T: Send + Sync + 'static> Queue<T> {
    fn bell(&self) -> &Bell {
        match &self.bell {
            Waiter::Bell(bell) => bell,
            _ => unreachable!("a queue waits by a bell"),
        }
    }
}

impl<T: Send + Sync + 'static> AnyQueue for Queue<T> {
    fn len(&self) -> usize {
        self.events.len()
    }

    fn flush(&mut self, flushed: &mut Flushed) {
        let tidy = Tidy(self);
        let Queue {
            publisher: Some(publisher),
            events,
            refusal,
            ..
        } = &mut *tidy.0
        else {
            return;
        };
        while let Some(event) = events.pop_front() {
            // Counted first, as publishing drops what it overwrites.
            flushed.published += 1;
            match publisher.offer_shown(event) {
                Ok(_) => {}
                Err((Refusal::Closed, event)) => {
                    flushed.published -= 1;
                    flushed.lost += 1;
                    drop(event);
                }
                Err((why, event)) => {
                    flushed.published -= 1;
                    events.push_front(event);
                    *refusal = why;
                    return;
                }
            }
        }
    }

    fn enlist(&self) {
        if let Some(publisher) = &self.publisher
            && self.bell().arm()
        {
            publisher.core().room.enlist(&self.bell);
        }
    }

    fn refusal(&self) -> Refusal {
        self.refusal
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// Lets go of the topic when nothing waits any more, also when an event's drop unwinds.
struct Tidy<'a, T: Send + Sync + 'static>(&'a mut Queue<T>);

impl<T: Send + Sync + 'static> Drop for Tidy<'_, T> {
    fn drop(&mut self) {
        let queue = &mut *self.0;
        if queue.events.is_empty()
            && let Some(publisher) = queue.publisher.take()
        {
            publisher.core().room.leave(&queue.bell);
            queue.bell().disarm();
        }
    }
}

impl<T: Send + Sync + 'static> Drop for Queue<T> {
    fn drop(&mut self) {
        if let Some(publisher) = &self.publisher {
            publisher.core().room.leave(&self.bell);
        }
    }
}

/// The queues of one reactor.
pub(crate) struct Outbox {
    set: Arc<ReadySet>,
    capacity: usize,
    /// Events that were ever put here.
    kept: usize,
    /// What became of those that waited.
    flushed: Flushed,
    /// By the address of the topic's core, in the order of their first use: few, and only looked at while
    /// something waits. A queue that is empty holds nothing of its topic, so it serves whichever topic comes
    /// to be at the address; of another type, it is replaced.
    queues: Vec<(usize, Box<dyn AnyQueue>)>,
}

impl Outbox {
    pub(crate) fn new(set: &Arc<ReadySet>, capacity: usize) -> Self {
        Self {
            set: Arc::clone(set),
            capacity,
            kept: 0,
            flushed: Flushed::default(),
            queues: Vec::new(),
        }
    }

    /// Events that wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.kept - self.flushed.published - self.flushed.lost
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Publishes an event, or keeps it until there is room.
    #[inline]
    pub(crate) fn publish<T: Send + Sync + 'static>(
        &mut self,
        publisher: &Publisher<T>,
        event: T,
    ) -> Result<(), OutboxError<T>> {
        if publisher.core().observers.is_watched() {
            // In another place, as what is shown is in memory: without observers it stays in registers.
            return self.publish_observed(publisher, Some(event));
        }
        self.publish_unobserved(publisher, event)
    }

    /// Shows an event to the observers once, here, and then publishes or keeps it: what is kept is offered
    /// again and again.
    #[cold]
    #[inline(never)]
    fn publish_observed<T: Send + Sync + 'static>(
        &mut self,
        publisher: &Publisher<T>,
        held: Option<T>,
    ) -> Result<(), OutboxError<T>> {
        let event = held.expect("there is an event to publish");
        if self.len() == self.capacity
            && let Some(refusal) = publisher.crowd()
        {
            return self.keep(publisher, refusal, event);
        }
        match publisher.show(&event) {
            Ok(()) if self.len() > 0 => self.publish_behind(publisher, event),
            Ok(()) => match publisher.offer_shown(event) {
                Ok(_) => Ok(()),
                Err((refusal, event)) => self.keep(publisher, refusal, event),
            },
            Err(Refusal::Vetoed) => Err(OutboxError::Vetoed(event)),
            Err(Refusal::TooDeep) => Err(OutboxError::TooDeep(event)),
            Err(_) => Err(OutboxError::Closed(event)),
        }
    }

    #[inline(always)]
    fn publish_unobserved<T: Send + Sync + 'static>(
        &mut self,
        publisher: &Publisher<T>,
        event: T,
    ) -> Result<(), OutboxError<T>> {
        if self.len() > 0 {
            return self.publish_behind(publisher, event);
        }
        match publisher.offer(event) {
            Ok(_) => Ok(()),
            Err((refusal, event)) => self.keep(publisher, refusal, event),
        }
    }

    /// Publishes an event, if nothing waits for its topic.
    #[cold]
    fn publish_behind<T: Send + Sync + 'static>(
        &mut self,
        publisher: &Publisher<T>,
        event: T,
    ) -> Result<(), OutboxError<T>> {
        let index = self.queue_index(publisher);
        // There may be room by now, and those that wait go first.
        self.queues[index].1.flush(&mut self.flushed);
        let queue = self.queue(publisher);
        let refusal = if queue.events.is_empty() {
            match publisher.offer_shown(event) {
                Ok(_) => return Ok(()),
                Err(refused) => refused,
            }
        } else {
            (queue.refusal, event)
        };
        self.keep(publisher, refusal.0, refusal.1)
    }

    #[cold]
    fn keep<T: Send + Sync + 'static>(
        &mut self,
        publisher: &Publisher<T>,
        refusal: Refusal,
        event: T,
    ) -> Result<(), OutboxError<T>> {
        if refusal == Refusal::Closed {
            return Err(OutboxError::Closed(event));
        }
        if self.len() == self.capacity {
            return Err(match refusal {
                Refusal::WouldDeadlock => OutboxError::WouldDeadlock(event),
                _ => OutboxError::Full(event),
            });
        }
        self.kept += 1;
        let queue = self.queue(publisher);
        queue.publisher.get_or_insert_with(|| publisher.clone());
        queue.refusal = refusal;
        queue.events.push_back(event);
        Ok(())
    }

    fn queue<T: Send + Sync + 'static>(&mut self, publisher: &Publisher<T>) -> &mut Queue<T> {
        let index = self.queue_index(publisher);
        self.queues[index]
            .1
            .as_any()
            .downcast_mut()
            .expect("a queue of another type was replaced")
    }

    fn queue_index<T: Send + Sync + 'static>(&mut self, publisher: &Publisher<T>) -> usize {
        let address = Arc::as_ptr(publisher.core()).addr();
        let position = self.queues.iter().position(|(of, _)| *of == address);
        let index = position.unwrap_or(self.queues.len());
        let fits = |(_, queue): &mut (usize, Box<dyn AnyQueue>)| queue.as_any().is::<Queue<T>>();
        if !self.queues.get_mut(index).is_some_and(fits) {
            let queue = Queue::<T> {
                publisher: None,
                events: VecDeque::new(),
                bell: Waiter::Bell(Bell::new(&self.set, None)),
                refusal: Refusal::Full,
            };
            match position {
                Some(index) => self.queues[index].1 = Box::new(queue),
                None => self.queues.push((address, Box::new(queue))),
            }
        }
        index
    }

    /// Publishes what there is room for; tells whether there was for anything.
    pub(crate) fn flush(&mut self) -> bool {
        let before = self.len();
        if before == 0 {
            return false;
        }
        for (_, queue) in self.queues.iter_mut().filter(|(_, queue)| queue.len() > 0) {
            queue.flush(&mut self.flushed);
        }
        self.len() < before
    }

    /// Events whose topic closed while they waited.
    pub(crate) fn lost(&self) -> u64 {
        self.flushed.lost as u64
    }

    /// Whether something waits for this reason.
    pub(crate) fn waits_for(&self, refusal: Refusal) -> bool {
        self.queues
            .iter()
            .any(|(_, queue)| queue.len() > 0 && queue.refusal() == refusal)
    }

    /// Has the reactor called when there is room; then flushes once more, and tells what `flush` does.
    pub(crate) fn arm(&mut self) -> bool {
        if self.len() == 0 {
            return false;
        }
        for (_, queue) in self.queues.iter().filter(|(_, queue)| queue.len() > 0) {
            queue.enlist();
        }
        // ORDERING: edge `wake`. As in `join_all`.
        Barrier::of_process().heavy();
        self.flush()
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("waiting", &self.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
