//! Iterators over owned events.

use std::fmt;

use super::batch::Meta;
use super::subscriber::Subscriber;

/// Waits for one event after the other, until the topic is closed; made by [`Subscriber::iter`].
#[must_use = "iterators are lazy"]
pub struct Iter<'a, T: Send + Sync + 'static> {
    subscriber: &'a mut Subscriber<T>,
}

/// Takes what is there; made by [`Subscriber::try_iter`].
#[must_use = "iterators are lazy"]
pub struct TryIter<'a, T: Send + Sync + 'static> {
    subscriber: &'a mut Subscriber<T>,
}

impl<T: Send + Sync + 'static> Subscriber<T> {
    /// Waits for clones of one event after the other, until the topic is closed, the subscriber disconnected,
    /// or waiting would deadlock.
    ///
    /// Losses do not end the iteration: each event comes with the number of those missed before it. Why it ended
    /// is said by [`recv`](Self::recv) behind it, but for a disconnection, which is told once. A `&mut Subscriber`
    /// is iterated so:
    ///
    /// ```
    /// # use ringbus::{Bus, RecvError};
    /// # let bus = Bus::new();
    /// # let ticks = bus.topic::<u32>();
    /// let mut subscriber = ticks.subscribe();
    /// ticks.publish(7)?;
    /// ticks.close();
    /// for (tick, meta) in &mut subscriber {
    ///     assert_eq!((tick, meta.missed), (7, 0));
    /// }
    /// assert_eq!(subscriber.recv(), Err(RecvError::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&mut self) -> Iter<'_, T>
    where
        T: Clone,
    {
        Iter { subscriber: self }
    }

    /// Takes clones of the events that are there, until there are none.
    ///
    /// Losses do not end the iteration: each event comes with the number of those missed before it.
    pub fn try_iter(&mut self) -> TryIter<'_, T>
    where
        T: Clone,
    {
        TryIter { subscriber: self }
    }
}

impl<T: Clone + Send + Sync + 'static> Iterator for Iter<'_, T> {
    type Item = (T, Meta);

    fn next(&mut self) -> Option<Self::Item> {
        let mut taken = None;
        // An event may be filtered or a hole, and the wait then goes on.
        while taken.is_none() {
            self.subscriber
                .poll_wait(1, |event, meta| taken = Some((event.clone(), meta)))
                .ok()?;
        }
        taken
    }
}

impl<T: Clone + Send + Sync + 'static> Iterator for TryIter<'_, T> {
    type Item = (T, Meta);

    fn next(&mut self) -> Option<Self::Item> {
        let mut taken = None;
        self.subscriber
            .poll(1, |event, meta| taken = Some((event.clone(), meta)))
            .ok()?;
        taken
    }
}

/// As [`Subscriber::iter`].
impl<'a, T: Clone + Send + Sync + 'static> IntoIterator for &'a mut Subscriber<T> {
    type Item = (T, Meta);
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Iter").field(&self.subscriber).finish()
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryIter").field(&self.subscriber).finish()
    }
}
