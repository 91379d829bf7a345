//! What may be sent and shared. Most of it is checked by the compiler.

use std::cell::Cell;
use std::error::Error;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

use ringbus::{
    Bus, ExclusivePublisher, GroupBuilder, GroupError, GroupMember, GroupMeta, GroupSnapshot, Meta,
    Overflow, PollError, PublishBatchError, PublishError, PublishTimeoutError, Publisher,
    PublisherError, RecvError, RecvTimeoutError, Snapshot, Start, SubscribeError, Subscriber,
    SubscriberSnapshot, Topic, TopicError, TopicSnapshot, TryPublishError, TryRecvError,
    WaitStrategy,
};

/// An event without any property that is not asked for.
struct Plain;

const fn send<T: Send>() {}
const fn sync<T: Sync>() {}
const fn clone<T: Clone>() {}
const fn copy<T: Copy + PartialEq + std::hash::Hash + std::fmt::Debug + Default>() {}
const fn error<T: Error + Send + 'static>() {}

const _: () = {
    send::<Bus>();
    sync::<Bus>();
    clone::<Bus>();
    send::<Topic<Plain>>();
    sync::<Topic<Plain>>();
    clone::<Topic<Plain>>();
    send::<Publisher<Plain>>();
    clone::<Publisher<Plain>>();
    send::<ExclusivePublisher<Plain>>();
    send::<Subscriber<Plain>>();
    send::<GroupMember<Plain>>();
    send::<GroupBuilder<'_, Plain>>();
    clone::<GroupSnapshot>();
    clone::<GroupMeta>();
    send::<Snapshot>();
    sync::<Snapshot>();
    clone::<Snapshot>();
    clone::<TopicSnapshot>();
    clone::<SubscriberSnapshot>();
    clone::<Meta>();
    copy::<Overflow>();
    copy::<Start>();
    copy::<WaitStrategy>();
    error::<PublishError<Plain>>();
    error::<TryPublishError<Plain>>();
    error::<PublishTimeoutError<Plain>>();
    error::<PublishBatchError<Vec<Plain>>>();
    // Events that are only sent, such as in an error, need not be `Sync`.
    error::<TryPublishError<Cell<u8>>>();
    error::<PublisherError>();
    error::<SubscribeError>();
    error::<GroupError>();
    error::<TopicError>();
    error::<RecvError>();
    error::<TryRecvError>();
    error::<RecvTimeoutError>();
    error::<PollError>();
};

/// Tells whether a type is `Sync` or `Clone`, also if it is not: an inherent constant is preferred to one of
/// a trait, where its bound holds.
struct Is<T>(PhantomData<T>);

trait Not {
    const SYNC: bool = false;
    const CLONE: bool = false;
}

impl<T> Not for Is<T> {}

#[allow(
    dead_code,
    reason = "where the bound holds for no type that is asked about"
)]
impl<T: Sync> Is<T> {
    const SYNC: bool = true;
}

#[allow(
    dead_code,
    reason = "where the bound holds for no type that is asked about"
)]
impl<T: Clone> Is<T> {
    const CLONE: bool = true;
}

#[test]
fn publishers_are_for_one_thread_each() {
    const { assert!(!Is::<Publisher<Plain>>::SYNC) };
    const { assert!(Is::<Topic<Plain>>::SYNC) };
}

#[test]
fn an_exclusive_publisher_and_a_subscriber_are_not_cloned() {
    const { assert!(!Is::<ExclusivePublisher<Plain>>::CLONE) };
    const { assert!(!Is::<Subscriber<Plain>>::CLONE) };
    const { assert!(!Is::<GroupMember<Plain>>::CLONE) };
    const { assert!(Is::<Publisher<Plain>>::CLONE) };
}

#[test]
fn errors_pass_through_question_marks() {
    fn all() -> Result<(), Box<dyn Error + Send + Sync>> {
        let bus = Bus::new();
        let topic = bus.topic_named::<u8>("it")?;
        let publisher = topic.publisher()?;
        let mut subscriber = topic.subscriber().open()?;
        publisher.publish(1)?;
        publisher.try_publish(2)?;
        publisher.publish_batch([3])?;
        subscriber.recv()?;
        subscriber.try_recv()?;
        subscriber.poll(1, |_, _| ())?;
        Err(publisher.publish_batch([4; 1025]).unwrap_err())?
    }
    assert!(
        all()
            .unwrap_err()
            .to_string()
            .starts_with("batch of 1025 events")
    );
}

#[test]
fn receive_errors_convert_into_each_other() {
    assert_eq!(
        TryRecvError::from(RecvError::Missed(1)),
        TryRecvError::Missed(1)
    );
    assert_eq!(
        RecvTimeoutError::from(RecvError::Closed),
        RecvTimeoutError::Closed
    );
    assert_eq!(
        RecvError::from(PollError::Disconnected(2)),
        RecvError::Disconnected(2)
    );
    assert_eq!(RecvError::from(PollError::Closed), RecvError::Closed);
    assert_eq!(
        TryRecvError::from(RecvError::Disconnected(3)).to_string(),
        "disconnected a full ring behind, missed 3 events"
    );
    assert_eq!(RecvError::Missed(3).to_string(), "missed 3 events");
    assert_eq!(TryRecvError::Empty.to_string(), "no event");
    assert_eq!(
        RecvTimeoutError::Timeout.to_string(),
        "no event until the deadline"
    );
    assert_eq!(PollError::Closed.to_string(), "topic closed");
}

#[test]
fn choices_have_the_documented_defaults() {
    assert_eq!(Overflow::default(), Overflow::Block);
    assert_eq!(Start::default(), Start::Now);
    assert_eq!(WaitStrategy::default(), WaitStrategy::Park);
    assert_eq!(Bus::default().topic::<u8>().capacity(), 1024);
}

#[test]
fn errors_are_unwind_safe_where_events_are() {
    fn check<T: UnwindSafe + RefUnwindSafe>() {}
    check::<TryPublishError<u8>>();
    check::<RecvError>();
}
