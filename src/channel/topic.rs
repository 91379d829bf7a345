//! The handle that makes publishers and subscribers.

use std::fmt;

use super::core::Core;
use super::error::{PublishError, PublisherError};
use super::exclusive::ExclusivePublisher;
use super::group::GroupBuilder;
use super::overflow::{Overflow, Start};
use super::publisher::{Publisher, one_ambient};
use super::snapshot::TopicSnapshot;
use super::subscriber::Subscriber;
use super::subscriber_builder::SubscriberBuilder;
use super::timeline::Timeline;
use crate::sync::Arc;

/// A typed event channel: what is published to it, every subscriber sees, in one order.
///
/// [`subscribe`](Topic::subscribe) is always queued: the event is read later, on the reader's own thread.
/// [`observe`](Topic::observe) is always inline: a closure runs on the publisher's thread, before the event
/// enters the ring, and may veto it.
///
/// A topic is a handle: cheap to clone, and dropping it closes nothing. Its ring is allocated when the
/// first subscriber joins, or with the topic if it was opened with
/// [`retain`](crate::TopicBuilder::retain); what is published before that gets its sequence and is
/// dropped.
///
/// An event stays in the ring until it is overwritten or the topic goes. One that owns a handle of its own
/// topic therefore keeps the topic in memory.
///
/// # Closing
///
/// | what happens                                   | what closes                                     |
/// |------------------------------------------------|-------------------------------------------------|
/// | [`Topic::close`]                               | this topic                                      |
/// | [`Bus::close`](crate::Bus::close)              | every topic of the bus                          |
/// | the last [`Bus`](crate::Bus) handle is dropped | every topic of the bus                          |
/// | the last publisher of the topic is dropped     | this topic, unless it was opened with [`keep_open`](crate::TopicBuilder::keep_open) or the bus publishes to it |
/// | a `Topic`, a [`State`](crate::State) or a [`Subscriber`] is dropped | nothing                    |
///
/// A topic that never had a publisher stays open. After the close nothing is accepted, and every publish
/// that was accepted before is still delivered to every lossless subscriber; then subscribers are told
/// `Closed`, and see what the closing thread did before. A closed topic is never opened again; its bus opens a
/// new one under the name.
pub struct Topic<T: Send + Sync + 'static> {
    core: Arc<Core<T>>,
}

impl<T: Send + Sync + 'static> Topic<T> {
    pub(crate) fn of(core: Arc<Core<T>>) -> Self {
        Self { core }
    }

    pub(crate) fn core(&self) -> &Arc<Core<T>> {
        &self.core
    }

    /// Whether it has subscribers.
    pub(crate) fn is_read(&self) -> bool {
        !self.core.desk().subscribers.is_empty()
    }

    /// The topic's name; `None` for the one found by its type alone.
    pub fn name(&self) -> Option<&str> {
        self.core.name()
    }

    /// How many events a subscriber may be behind now; a power of two.
    ///
    /// It changes only if the topic was opened with [`grow_to`](crate::TopicBuilder::grow_to), and then only
    /// grows.
    pub fn capacity(&self) -> usize {
        self.core.capacity()
    }

    /// How far the capacity may grow; as much as it is, unless the topic was opened with
    /// [`grow_to`](crate::TopicBuilder::grow_to).
    pub fn max_capacity(&self) -> usize {
        self.core.settings().max_capacity()
    }

    /// The timeline that it was opened on, if any.
    pub fn timeline(&self) -> Option<Timeline> {
        self.core.sequencer().map(Timeline::of)
    }

    /// One of several publishers.
    ///
    /// # Errors
    ///
    /// When the topic is closed or has an exclusive publisher.
    pub fn publisher(&self) -> Result<Publisher<T>, PublisherError> {
        Publisher::new(&self.core)
    }

    /// The only publisher.
    ///
    /// # Errors
    ///
    /// When the topic is closed or has any publisher.
    pub fn exclusive_publisher(&self) -> Result<ExclusivePublisher<T>, PublisherError> {
        ExclusivePublisher::new(&self.core)
    }

    /// Publishes one event without a publisher of one's own, where it is not hot.
    ///
    /// The topic then counts its bus as a publisher: it stays open when its last publisher is dropped, and
    /// gives out no exclusive publisher. Returns the event's sequence.
    ///
    /// # Errors
    ///
    /// As [`Publisher::publish`], and when the topic has an exclusive publisher.
    ///
    /// # Blocking
    ///
    /// As [`Publisher::publish`].
    pub fn publish(&self, event: T) -> Result<u64, PublishError<T>> {
        match self.core.register_ambient() {
            Ok(()) => {
                one_ambient(&self.core, event).map_err(|(refusal, event)| refusal.of_publish(event))
            }
            Err(PublisherError::Closed) => Err(PublishError::Closed(event)),
            Err(_) => Err(PublishError::Exclusive(event)),
        }
    }

    /// A lossless subscriber that sees every event published after this call returns.
    ///
    /// On a closed topic it is told `Closed` at once.
    ///
    /// Once a lossless subscriber that nobody reads is a full ring behind, it holds publishers up. A publish of
    /// the thread that opened it is then refused as [`WouldDeadlock`](PublishError::WouldDeadlock) after a second;
    /// one of another thread waits. Drop it, read it, or open one that [may lose events](Overflow).
    #[track_caller]
    pub fn subscribe(&self) -> Subscriber<T> {
        match Subscriber::join(&self.core, None, Overflow::Block, Start::Now, None) {
            Ok(subscriber) => subscriber,
            Err(refusal) => refusal.of_a_plain_subscription(),
        }
    }

    /// A subscriber with a name, an overflow policy, a filter or another start.
    pub fn subscriber(&self) -> SubscriberBuilder<'_, T> {
        SubscriberBuilder::new(&self.core)
    }

    /// Joins a group of competing consumers: each event goes to exactly one of its members.
    ///
    /// Members that join under the same name are one group; see [`GroupMember`](crate::GroupMember). What was
    /// published before the first of them joined is not the group's, unless it [starts](GroupBuilder::start) there.
    ///
    /// Members read an event by `&T`. To own a job, send it as a request to a service, which is given it by
    /// value, or through a channel.
    ///
    /// ```
    /// # use ringbus::Bus;
    /// let bus = Bus::new();
    /// let jobs = bus.topic::<&'static str>();
    /// let mut one = jobs.group("workers").join()?;
    /// let mut other = jobs.group("workers").join()?;
    /// jobs.publish("sweep")?;
    /// jobs.publish("polish")?;
    /// assert_eq!(one.recv(), Ok("sweep"));
    /// assert_eq!(other.recv(), Ok("polish"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn group(&self, name: impl Into<String>) -> GroupBuilder<'_, T> {
        GroupBuilder::new(&self.core, name.into())
    }

    /// Takes no more events; see [Closing](Topic#closing).
    pub fn close(&self) {
        self.core.close();
    }

    /// Whether the topic takes no more events. Subscribers may still have some to read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    /// The topic's numbers now.
    #[must_use]
    pub fn snapshot(&self) -> TopicSnapshot {
        TopicSnapshot::of(&self.core)
    }
}

impl<T: Send + Sync + 'static> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("name", &self.name())
            .field("event", &std::any::type_name::<T>())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
