//! flume: bounded, several producers and consumers.

use ::flume::{Receiver, Sender, TryRecvError, TrySendError};

use super::ends::{self, TryRecv, TrySend, by_value};
use crate::event::{CAPACITY, Event};
use crate::halves;

by_value!([E: std::marker::Send] E, Sender<E>, Receiver<E>);

type Tx<const WORDS: usize = 8> = Sender<Event<WORDS>>;
type Rx<const WORDS: usize = 8> = Receiver<Event<WORDS>>;

/// Creates a channel that is read one event at a time.
pub fn one_by_one() -> (TrySend<Tx>, TryRecv<Rx>) {
    ends::trying(::flume::bounded(CAPACITY))
}

/// Creates a channel that is drained.
pub fn draining() -> (TrySend<Tx>, Drain) {
    draining_of(CAPACITY)
}

/// As [`draining`], for events of any size.
pub fn draining_of<const WORDS: usize>(capacity: usize) -> (TrySend<Tx<WORDS>>, Drain<WORDS>) {
    let (sender, receiver) = ::flume::bounded(capacity);
    (TrySend(sender), Drain(receiver))
}

/// `drain`, which takes all there is under one lock.
pub struct Drain<const WORDS: usize = 8>(Rx<WORDS>);

impl<const WORDS: usize> halves::Receiver<WORDS> for Drain<WORDS> {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event<WORDS>)) -> usize {
        let events = self.0.drain();
        let count = events.len();
        events.for_each(|event| each(&event));
        count
    }
}
