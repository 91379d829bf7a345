//! An embeddable, in-process event bus over lock-free rings.

mod bus;
mod channel;
mod ring;
mod sync;

pub use bus::{Bus, Snapshot, TopicBuilder, TopicError};
pub use channel::{
    Batch, ExclusivePublisher, Iter, MAX_CAPACITY, MAX_NAME, Meta, Overflow, PollError,
    PublishBatchError, PublishError, PublishTimeoutError, Publisher, PublisherError, RecvError,
    RecvTimeoutError, Start, SubscribeError, Subscriber, SubscriberBuilder, SubscriberSnapshot,
    Topic, TopicSnapshot, TryIter, TryPublishError, TryRecvError, WaitStrategy,
};

/// The end of a topic's sequences: one that comes there closes. At a thousand million events a second that
/// takes 146 years.
pub const MAX_SEQUENCE: u64 = ring::MAX_SEQUENCE;

#[cfg(all(test, ringbus_loom))]
mod models;
