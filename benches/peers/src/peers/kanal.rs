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
    let (sender, receiver) = ::kanal::bounded(CAPACITY);
    let events = Vec::with_capacity(2 * CAPACITY);
    (TrySend(sender), Drain { receiver, events })
}

/// `try_send_option`, which keeps an event that does not fit.
pub struct TrySend(Sender<Event>);

impl halves::Sender for TrySend {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        let mut event = Some(event);
        let mut patience = Patience::default();
        while !(self.0.try_send_option(&mut event)).expect("the receiver is there") {
            std::hint::spin_loop();
            patience.count();
        }
    }
}

/// `try_recv`.
pub struct TryRecv(Receiver<Event>);

impl halves::Receiver for TryRecv {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
        let event = self.0.try_recv().expect("the sender is there");
        event.as_ref().map_or(0, |event| {
            each(event);
            1
        })
    }
}

/// `drain_into`, which takes all there is under one lock.
pub struct Drain {
    receiver: Receiver<Event>,
    events: Vec<Event>,
}

impl halves::Receiver for Drain {
    #[inline(always)]
    fn receive(&mut self, each: impl FnMut(&Event)) -> usize {
        let drained = self.receiver.drain_into(&mut self.events);
        drained.expect("the sender is there");
        self.events.iter().for_each(each);
        let count = self.events.len();
        self.events.clear();
        count
    }
}
