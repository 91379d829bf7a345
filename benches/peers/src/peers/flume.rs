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
    draining_of(CAPACITY)
}

/// As [`draining`], for events of any size.
pub fn draining_of<const WORDS: usize>(capacity: usize) -> (TrySend<WORDS>, Drain<WORDS>) {
    let (sender, receiver) = ::flume::bounded(capacity);
    (TrySend(sender), Drain(receiver))
}

/// `try_send`.
pub struct TrySend<const WORDS: usize = 8>(Sender<Event<WORDS>>);

impl<const WORDS: usize> halves::Sender<WORDS> for TrySend<WORDS> {
    #[inline(always)]
    fn send(&mut self, event: Event<WORDS>) {
        insist(event, |event| match self.0.try_send(event) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(event)) => Err(event),
            Err(TrySendError::Disconnected(_)) => panic!("the receiver is gone"),
        });
    }
}

/// `try_recv`.
pub struct TryRecv<const WORDS: usize = 8>(Receiver<Event<WORDS>>);

impl<const WORDS: usize> halves::Receiver<WORDS> for TryRecv<WORDS> {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event<WORDS>)) -> usize {
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
pub struct Drain<const WORDS: usize = 8>(Receiver<Event<WORDS>>);

impl<const WORDS: usize> halves::Receiver<WORDS> for Drain<WORDS> {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event<WORDS>)) -> usize {
        let events = self.0.drain();
        let count = events.len();
        events.for_each(|event| each(&event));
        count
    }
}
