//! A bounded queue out of which values are moved: a ring whose only reader takes.

use std::fmt;
use std::panic::Location;
use std::time::Instant;

use super::core::Core;
use super::error::PollError;
use super::overflow::Overflow;
use super::publish::{Patience, Refusal};
use super::publisher::one_shared;
use super::settings::Settings;
use super::subscriber::Subscriber;
use super::wait::WaitStrategy;
use crate::ring::{Found, Parcel};
use crate::sync::{Arc, Waiter, contain};

/// Where values are sent to; each is taken by the [`Inbox`], or comes back.
pub(crate) struct Mailbox<T: Send + 'static> {
    core: Arc<Core<Parcel<T>>>,
}

/// Takes the values, each once, in the order in which they were sent.
///
/// When it is dropped the mailbox closes, and what is still there is dropped.
pub(crate) struct Inbox<T: Send + 'static> {
    subscriber: Subscriber<Parcel<T>>,
}

impl<T: Send + 'static> Mailbox<T> {
    /// A mailbox for `capacity` values, a power of two, and its only inbox, which waits by `wait`.
    pub(crate) fn open(capacity: usize, wait: WaitStrategy) -> (Self, Inbox<T>) {
        let settings = Settings {
            capacity,
            wait,
            ..Settings::default()
        };
        let (core, mut readers) = Core::edited(None, settings, 1);
        let reader = readers.pop().expect("it has an editor");
        let here = Location::caller();
        let listing = Core::list(&core, None, Overflow::Block, here, &reader);
        let subscriber = Subscriber::of(reader, listing, None);
        // Who opens it gives it away, to be taken from whenever that suits.
        subscriber.on_behalf_of(0, 0);
        (Self { core }, Inbox { subscriber })
    }

    /// Sends a value, as long as there is patience, and returns its sequence; or gives it back, with what was in
    /// the way.
    #[inline(always)]
    pub(crate) fn send(&self, patience: Patience, value: T) -> Result<u64, (Refusal, T)> {
        match one_shared(&self.core, patience, Parcel::new(value)) {
            Ok(sequence) => Ok(sequence),
            Err((refusal, parcel)) => Err((refusal, parcel.into_value())),
        }
    }

    /// Whether the inbox has taken the value of a sequence, or has gone.
    pub(crate) fn has_passed(&self, sequence: u64) -> bool {
        let desk = self.core.desk();
        let ring = self.core.ring().expect("its ring came with it");
        let mut inbox = desk.subscribers.iter();
        inbox.all(|listed| ring.standings(&listed.seat).next > sequence)
    }

    /// Takes no more values; those that were taken are still there for the inbox.
    pub(crate) fn close(&self) {
        self.core.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.core.looks_closed()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.core.settings().capacity
    }

    /// How many values wait for the inbox, about.
    pub(crate) fn waiting(&self) -> u64 {
        let desk = self.core.desk();
        let ring = self.core.ring().expect("its ring came with it");
        let inbox = desk.subscribers.first();
        inbox.map_or(0, |listed| ring.standings(&listed.seat).pending)
    }

    /// How many values were sent, as far as a look can tell.
    pub(crate) fn sent(&self) -> u64 {
        let ring = self.core.ring().expect("its ring came with it");
        ring.next_sequence().saturating_sub(ring.holes())
    }
}

impl<T: Send + 'static> Inbox<T> {
    /// Takes the next value; `None` when there is none now.
    ///
    /// # Errors
    ///
    /// When the mailbox is closed and everything is taken.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Result<Option<T>, PollError> {
        let Subscriber {
            reader, listing, ..
        } = &mut self.subscriber;
        reader.note_thread();
        loop {
            if let Some(taken) = reader.take_out() {
                listing.core().room.notify();
                return Ok(Some(taken));
            }
            match reader.find(1) {
                // It came just now, or behind holes.
                Found::Some => {}
                Found::Empty => return Ok(None),
                Found::Closed => return Err(PollError::Closed),
                Found::Expelled(_) => unreachable!("an editor is not expelled"),
            }
        }
    }

    /// Waits until there is something to take, or the end; `false` when `deadline` passed without.
    pub(crate) fn wait(&mut self, deadline: Option<Instant>) -> bool {
        self.subscriber.wait(deadline) != Ok(false)
    }

    /// Takes no more values; those that were taken are still there.
    pub(crate) fn close(&self) {
        self.subscriber.listing.core().close();
    }

    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.subscriber.is_ready()
    }

    pub(crate) fn enlist(&self, waiter: &Waiter) {
        self.subscriber.enlist(waiter);
    }

    pub(crate) fn delist(&self, waiter: &Waiter) {
        self.subscriber.delist(waiter);
    }

    pub(crate) fn fence(&mut self) {
        self.subscriber.fence();
    }

    pub(crate) fn take_fence_away(&mut self) {
        self.subscriber.take_fence_away();
    }

    pub(crate) fn left(&self) -> u64 {
        self.subscriber.left()
    }

    pub(crate) fn strategy(&self) -> WaitStrategy {
        self.subscriber.strategy()
    }
}

impl<T: Send + 'static> Drop for Inbox<T> {
    fn drop(&mut self) {
        self.close();
        self.take_fence_away();
        loop {
            match self.take() {
                // Each by itself: one whose drop panics keeps no other.
                Ok(Some(value)) => contain(|| drop(value)),
                // Somebody is in the middle of sending.
                Ok(None) => {
                    self.wait(None);
                }
                Err(_) => return,
            }
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> fmt::Debug for Inbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}
