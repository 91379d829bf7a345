//! std::sync::mpsc: bounded, several producers, one consumer.

use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError, TrySendError};

use crate::event::{CAPACITY, Event};
use crate::halves::{self, insist};

/// Creates a channel whose ends never block.
pub fn trying() -> (TrySend, TryRecv) {
    trying_of(CAPACITY)
}

/// As [`trying`], for events of any size.
pub fn trying_of<const WORDS: usize>(capacity: usize) -> (TrySend<WORDS>, TryRecv<WORDS>) {
    let (sender, receiver) = mpsc::sync_channel(capacity);
    (TrySend(sender), TryRecv(receiver))
}

/// Creates a channel whose ends block.
pub fn blocking() -> (Send, Recv) {
    blocking_of(CAPACITY)
}

/// As [`blocking`], for events of any size.
pub fn blocking_of<const WORDS: usize>(capacity: usize) -> (Send<WORDS>, Recv<WORDS>) {
    let (sender, receiver) = mpsc::sync_channel(capacity);
    (Send(sender), Recv(receiver))
}

/// `try_send`.
pub struct TrySend<const WORDS: usize = 8>(SyncSender<Event<WORDS>>);

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

/// `send`, which blocks.
pub struct Send<const WORDS: usize = 8>(SyncSender<Event<WORDS>>);

impl<const WORDS: usize> halves::Sender<WORDS> for Send<WORDS> {
    #[inline(always)]
    fn send(&mut self, event: Event<WORDS>) {
        self.0.send(event).expect("the receiver is there");
    }
}

/// `recv`, which blocks.
pub struct Recv<const WORDS: usize = 8>(Receiver<Event<WORDS>>);

impl<const WORDS: usize> halves::Receiver<WORDS> for Recv<WORDS> {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event<WORDS>)) -> usize {
        each(&self.0.recv().expect("the sender is there"));
        1
    }
}
