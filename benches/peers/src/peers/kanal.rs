//! kanal: bounded, several producers and consumers.

use ::kanal::{Receiver, Sender};

use crate::event::{CAPACITY, Event};
use crate::halves::{self, Patience};

/// Creates a channel that is read one event at a time.
pub fn one_by_one() -> (TrySend, TryRecv) {
    let (sender, receiver) = ::kanal::bounded(CAPACITY);
    (TrySend(sender), TryRecv(receiver))
}

/// Creates a channel that is drained.
pub fn draining() -> (TrySend, Drain) {
    draining_of(CAPACITY)
}

/// As [`draining`], for events of any size.
pub fn draining_of<const WORDS: usize>(capacity: usize) -> (TrySend<WORDS>, Drain<WORDS>) {
    let (sender, receiver) = ::kanal::bounded(capacity);
    let events = Vec::with_capacity(2 * capacity);
    (TrySend(sender), Drain { receiver, events })
}

/// `try_send_option`, which keeps an event that does not fit.
#[derive(Clone)]
pub struct TrySend<const WORDS: usize = 8>(Sender<Event<WORDS>>);

impl<const WORDS: usize> TrySend<WORDS> {
    /// Sends the event, and takes it, unless the channel is full.
    #[inline(always)]
    fn try_put(&self, event: &mut Option<Event<WORDS>>) -> bool {
        (self.0.try_send_option(event)).expect("the receiver is there")
    }
}

impl<const WORDS: usize> halves::Sender<WORDS> for TrySend<WORDS> {
    #[inline(always)]
    fn send(&mut self, event: Event<WORDS>) {
        let mut event = Some(event);
        let mut patience = Patience::default();
        while !self.try_put(&mut event) {
            std::hint::spin_loop();
            patience.count();
        }
    }
}

impl halves::TrySender for TrySend {
    #[inline(always)]
    fn try_send(&mut self, event: Event) -> Result<(), Event> {
        let mut event = Some(event);
        self.try_put(&mut event);
        event.map_or(Ok(()), Err)
    }
}

/// `try_recv`.
pub struct TryRecv<const WORDS: usize = 8>(Receiver<Event<WORDS>>);

impl<const WORDS: usize> halves::Receiver<WORDS> for TryRecv<WORDS> {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event<WORDS>)) -> usize {
        let event = self.0.try_recv().expect("the sender is there");
        event.as_ref().map_or(0, |event| {
            each(event);
            1
        })
    }
}

/// `drain_into`, which takes all there is under one lock.
pub struct Drain<const WORDS: usize = 8> {
    receiver: Receiver<Event<WORDS>>,
    events: Vec<Event<WORDS>>,
}

impl<const WORDS: usize> halves::Receiver<WORDS> for Drain<WORDS> {
    #[inline(always)]
    fn receive(&mut self, each: impl FnMut(&Event<WORDS>)) -> usize {
        let drained = self.receiver.drain_into(&mut self.events);
        drained.expect("the sender is there");
        self.events.iter().for_each(each);
        let count = self.events.len();
        self.events.clear();
        count
    }
}
