//! Iterators over owned events.

use super::batch::Meta;
use super::subscriber::Subscriber;

/// Waits for one event after the other, until the topic is closed; made by [`Subscriber::iter`].
#[derive(Debug)]
#[must_use = "iterators are lazy"]
pub struct Iter<'a, T: Send + Sync + 'static> {
    subscriber: &'a mut Subscriber<T>,
}

/// Takes what is there; made by [`Subscriber::try_iter`].
#[derive(Debug)]
#[must_use = "iterators are lazy"]
pub struct TryIter<'a, T: Send + Sync + 'static> {
    subscriber: &'a mut Subscriber<T>,
}

impl<T: Send + Sync + 'static> Subscriber<T> {
    /// Waits for clones of one event after the other, until the topic is closed, the subscriber disconnected,
    /// or waiting would deadlock.
    ///
    /// Losses do not end the iteration: each event comes with the number of those missed before it.
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
