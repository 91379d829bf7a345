//! What refused publishes of exclusive publishers give back.

use std::iter::FusedIterator;
use std::{fmt, vec};

/// An event, or what would have built it; given back by
/// [`publish_with`](crate::ExclusivePublisher::publish_with).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Draft<T, F> {
    /// There was no room, so the event was not built.
    Build(F),
    /// The event was built, to be shown to observers, and then refused.
    Event(T),
}

impl<T, F: FnOnce() -> T> Draft<T, F> {
    /// The event; built now if it was not.
    pub fn into_event(self) -> T {
        match self {
            Self::Build(build) => build(),
            Self::Event(event) => event,
        }
    }
}

/// Leaves the event out, so that events need not be `Debug`.
impl<T, F> fmt::Debug for Draft<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Build(_) => "Build(..)",
            Self::Event(_) => "Event(..)",
        })
    }
}

/// The events of a batch that were not published: those that the publisher had taken from the iterator, then
/// those that are still in it.
///
/// ```
/// use ringbus::{Bus, PublishBatchError};
///
/// let bus = Bus::new();
/// let topic = bus.topic_builder::<u8>().capacity(2).open()?;
/// let mut subscriber = topic.subscribe();
/// let mut publisher = topic.exclusive_publisher()?;
///
/// publisher.publish(1)?;
/// let refused = publisher.try_publish_batch([2, 3]).unwrap_err();
/// assert!(matches!(refused, PublishBatchError::Full(_)));
/// assert_eq!(subscriber.recv()?, 1);
/// publisher.try_publish_batch(refused.into_events())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct BatchRest<I: Iterator> {
    taken: vec::IntoIter<I::Item>,
    rest: I,
}

impl<I: Iterator> BatchRest<I> {
    pub(crate) fn untouched(rest: I) -> Self {
        Self::new(Vec::new(), rest)
    }

    pub(crate) fn new(taken: Vec<I::Item>, rest: I) -> Self {
        Self {
            taken: taken.into_iter(),
            rest,
        }
    }
}

impl<I: Iterator> Iterator for BatchRest<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.taken.next().or_else(|| self.rest.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.rest.size_hint();
        let taken = self.taken.len();
        let most = most.and_then(|most| most.checked_add(taken));
        (least.saturating_add(taken), most)
    }
}

impl<I: ExactSizeIterator> ExactSizeIterator for BatchRest<I> {}

impl<I: FusedIterator> FusedIterator for BatchRest<I> {}

/// Leaves the events out, so that events need not be `Debug`.
impl<I: Iterator> fmt::Debug for BatchRest<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchRest").finish_non_exhaustive()
    }
}
