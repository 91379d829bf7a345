//! thingbuf: the blocking MPSC channel, bounded, whose slots are written and read in place.

use ::thingbuf::mpsc::blocking::{self, Receiver, Sender};
use ::thingbuf::mpsc::errors::{TryRecvError, TrySendError};

use crate::event::{CAPACITY, Event};
use crate::halves::{self, insist};

/// Creates a channel that is written and read by reference.
pub fn by_reference() -> (TrySendRef, TryRecvRef) {
    by_reference_of(CAPACITY)
}

/// As [`by_reference`], for events of any size.
pub fn by_reference_of<const WORDS: usize>(
    capacity: usize,
) -> (TrySendRef<WORDS>, TryRecvRef<WORDS>) {
    let (sender, receiver) = blocking::channel(capacity);
    (TrySendRef(sender), TryRecvRef(receiver))
}

/// Creates a channel that is written and read by value.
pub fn by_value() -> (TrySend, TryRecv) {
    let (sender, receiver) = blocking::channel(CAPACITY);
    (TrySend(sender), TryRecv(receiver))
}

/// `try_send_ref`, which lends the slot.
#[derive(Clone)]
pub struct TrySendRef<const WORDS: usize = 8>(Sender<Event<WORDS>>);

impl<const WORDS: usize> TrySendRef<WORDS> {
    /// Sends one event, unless the channel is full.
    #[inline(always)]
    fn try_put(&self, event: Event<WORDS>) -> Result<(), Event<WORDS>> {
        match self.0.try_send_ref() {
            Ok(mut slot) => {
                *slot = event;
                Ok(())
            }
            Err(TrySendError::Full(())) => Err(event),
            Err(_) => panic!("the receiver is gone"),
        }
    }
}

impl<const WORDS: usize> halves::Sender<WORDS> for TrySendRef<WORDS> {
    #[inline(always)]
    fn send(&mut self, event: Event<WORDS>) {
        insist(event, |event| self.try_put(event));
    }
}

impl halves::TrySender for TrySendRef {
    #[inline(always)]
    fn try_send(&mut self, event: Event) -> Result<(), Event> {
        self.try_put(event)
    }
}

/// `try_recv_ref`, which lends the slot.
pub struct TryRecvRef<const WORDS: usize = 8>(Receiver<Event<WORDS>>);

impl<const WORDS: usize> halves::Receiver<WORDS> for TryRecvRef<WORDS> {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event<WORDS>)) -> usize {
        match self.0.try_recv_ref() {
            Ok(event) => {
                each(&event);
                1
            }
            Err(TryRecvError::Empty) => 0,
            Err(_) => panic!("the sender is gone"),
        }
    }
}

/// `try_send`.
pub struct TrySend(Sender<Event>);

impl halves::Sender for TrySend {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        insist(event, |event| match self.0.try_send(event) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(event)) => Err(event),
            Err(_) => panic!("the receiver is gone"),
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
            Err(_) => panic!("the sender is gone"),
        }
    }
}
