//! A subscriber's name, overflow, filter and start.

use std::fmt;
use std::panic::Location;

use super::batch::Filter;
use super::core::Core;
use super::error::SubscribeError;
use super::overflow::{Overflow, Start};
use super::settings::MAX_NAME;
use super::stage::Stage;
use super::subscriber::Subscriber;
use crate::sync::Arc;

/// Opens a [`Subscriber`] that differs from the plain one; made by [`Topic::subscriber`](crate::Topic::subscriber).
///
/// ```
/// use ringbus::{Bus, Overflow, RecvError, Start};
///
/// let bus = Bus::new();
/// let topic = bus.topic_builder::<u64>().capacity(4).retain(4).open()?;
/// let publisher = topic.publisher()?;
/// for event in 0..4 {
///     publisher.publish(event)?;
/// }
///
/// let mut screen = topic
///     .subscriber()
///     .name("screen")
///     .overflow(Overflow::DropOldest)
///     .filter(|event| event % 2 == 0)
///     .start(Start::From(2))
///     .open()?;
/// for event in 4..8 {
///     publisher.publish(event)?;
/// }
///
/// assert_eq!(screen.recv(), Err(RecvError::Missed(2)));
/// assert_eq!(screen.recv(), Ok(4));
/// assert_eq!(screen.recv(), Ok(6));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder subscribes when it is opened"]
pub struct SubscriberBuilder<'a, T: Send + Sync + 'static> {
    core: &'a Arc<Core<T>>,
    name: Option<String>,
    overflow: Overflow,
    start: Start,
    filter: Option<Filter<T>>,
    after: Vec<Stage<T>>,
    /// Where it is wanted, if that is not where it is opened.
    location: Option<&'static Location<'static>>,
}

impl<'a, T: Send + Sync + 'static> SubscriberBuilder<'a, T> {
    pub(crate) fn new(core: &'a Arc<Core<T>>) -> Self {
        Self {
            core,
            name: None,
            overflow: Overflow::default(),
            start: Start::default(),
            filter: None,
            after: Vec::new(),
            location: None,
        }
    }

    /// The name that snapshots show: 1 to [`MAX_NAME`] bytes, not necessarily unique.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What happens when the subscriber is a full ring behind; [`Overflow::Block`] by default.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Which event it sees first; [`Start::Now`] by default.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Delivers only the events for which `filter` is true.
    ///
    /// It runs on the thread that reads, once for each event that the subscriber comes to, and once more for
    /// an event that a batch's handler left.
    /// [`Overflow::Latest`] asks it about the newest event only. An event during which it panics counts as
    /// delivered.
    pub fn filter(mut self, filter: impl FnMut(&T) -> bool + Send + 'static) -> Self {
        self.filter = Some(Box::new(filter));
        self
    }

    /// Shows it an event only when another subscriber is done with it; several times for several others.
    ///
    /// `stage` names a lossless subscriber of the same topic: a reference to it, or its
    /// [`Stage`](Subscriber::stage) if it is elsewhere already. See [`Stage`] for what is promised.
    ///
    /// ```
    /// use ringbus::{Bus, PollError};
    ///
    /// let bus = Bus::new();
    /// let orders = bus.topic::<u32>();
    /// let mut journal = orders.subscriber().name("journal").open()?;
    /// let mut replica = orders.subscriber().name("replica").open()?;
    /// let mut act = orders.subscriber().name("act").after(&journal).after(&replica).open()?;
    ///
    /// orders.publish(7)?;
    /// assert_eq!(journal.poll(64, |_, _| {}), Ok(1));
    /// assert_eq!(act.poll(64, |_, _| {}), Ok(0)); // not replicated yet
    /// assert_eq!(act.poll_wait(64, |_, _| {}), Err(PollError::WouldDeadlock));
    /// assert_eq!(replica.poll(64, |_, _| {}), Ok(1));
    /// assert_eq!(act.poll(64, |_, _| {}), Ok(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn after(mut self, stage: impl Into<Stage<T>>) -> Self {
        self.after.push(stage.into());
        self
    }

    /// Says who wants it, for one that is opened on behalf of another.
    pub(crate) fn location(mut self, location: &'static Location<'static>) -> Self {
        self.location = Some(location);
        self
    }

    /// Subscribes.
    ///
    /// # Errors
    ///
    /// When the name is empty or too long, the topic has too many lossy subscribers, the sequence to start
    /// from is not there, or a subscriber that it is to come after is lossy, of another topic, or of one that grows.
    #[track_caller]
    pub fn open(self) -> Result<Subscriber<T>, SubscribeError> {
        if let Some(name) = &self.name
            && (name.is_empty() || name.len() > MAX_NAME)
        {
            return Err(SubscribeError::Name(name.len()));
        }
        self.after
            .iter()
            .try_for_each(|stage| stage.check(self.core))?;
        let location = match self.location {
            Some(location) => location,
            None => Location::caller(),
        };
        let mut subscriber = Subscriber::join_at(
            self.core,
            self.name.as_deref(),
            self.overflow,
            self.start,
            self.filter,
            location,
        )?;
        subscriber.come_after(&self.after);
        Ok(subscriber)
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for SubscriberBuilder<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriberBuilder")
            .field("topic", &self.core.name())
            .field("name", &self.name)
            .field("overflow", &self.overflow)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}
