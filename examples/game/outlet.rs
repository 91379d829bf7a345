//! The one way into a topic.

use ringbus::{Bus, Context, Publisher};

use crate::event::Event;
use crate::tally::Published;

/// An event with its number among those of its kind, by which its readers notice one that is lost, twice there
/// or out of order, without asking the bus that is to be checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbered<T> {
    pub(crate) number: u64,
    pub(crate) event: T,
}

/// Publishes and numbers all events of a kind; there is one for each.
#[derive(Debug)]
pub(crate) struct Outlet<T: Event> {
    publisher: Publisher<Numbered<T>>,
    published: u64,
    refused: u64,
}

impl<T: Event> Outlet<T> {
    pub(crate) fn new(bus: &Bus) -> Self {
        let topic = bus.topic::<Numbered<T>>();
        Self {
            publisher: topic.publisher().expect("nobody closes a topic here"),
            published: 0,
            refused: 0,
        }
    }

    /// Publishes from outside of handlers; `false` when there is no room now.
    pub(crate) fn offer(&mut self, event: T) -> bool {
        let number = self.published;
        let taken = self.publisher.try_publish(Numbered { number, event });
        self.published += u64::from(taken.is_ok());
        taken.is_ok()
    }

    /// Publishes from a handler, which cannot wait: a full ring fills the outbox.
    pub(crate) fn emit<S>(&mut self, event: T, cx: &mut Context<S>) {
        let number = self.published;
        let taken = cx.publish(&self.publisher, Numbered { number, event });
        self.published += u64::from(taken.is_ok());
        self.refused += u64::from(taken.is_err());
    }

    pub(crate) fn count(&self) -> Published {
        Published {
            kind: T::KIND,
            published: self.published,
            refused: self.refused,
        }
    }
}
