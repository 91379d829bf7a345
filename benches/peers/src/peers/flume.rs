//! flume: bounded, several producers and consumers.

use ::flume::{Receiver, Sender, TryRecvError, TrySendError};

use crate::event::{CAPACITY, Event};
use crate::halves::{self, insist};

/// Creates a channel that is read one event at a time.
pub fn one_by_one() -> (TrySend, TryRecv) {
    let (sender, receiver) = ::flume::bounded(CAPACITY);
    (TrySend(sender), TryRecv(receiver))
}

/// Creates a channel that is drained.
pub fn draining() -> (TrySend, Drain) {
    let (sender, receiver) = ::flume::bounded(CAPACITY);
    (TrySend(sender), Drain(receiver))
}

/// `try_send`.
pub struct TrySend(Sender<Event>);

impl halves::Sender for TrySend {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        insist(event, |event| match self.0.try_send(event) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(event)) => Err(event),
            Err(TrySendError::Disconnected(_)) => panic!("the receiver is gone"),
        });
    }
}

/// `try_recv`.
pub struct TryRecv(Receiver<Event>);

impl halves::Receiver for TryRecv {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
        match self.0.try_recv() {
            Ok(event) => {
                each(&event);
                1
            }
            Err(TryRecvError::Empty) => 0,
            Err(TryRecvError::Disconnected) => panic!("the sender is gone"),
        }
    }
}

/// `drain`, which takes all there is under one lock.
pub struct Drain(Receiver<Event>);

impl halves::Receiver for Drain {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
        let events = self.0.drain();
        let count = events.len();
        events.for_each(|event| each(&event));
        count
    }
}
