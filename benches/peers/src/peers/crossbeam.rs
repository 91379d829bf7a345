//! crossbeam-channel: bounded, several producers and consumers.

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};

use crate::event::{CAPACITY, Event};
use crate::halves::{self, insist};

/// Creates a channel whose ends never block.
pub fn trying() -> (TrySend, TryRecv) {
    let (sender, receiver) = crossbeam_channel::bounded(CAPACITY);
    (TrySend(sender), TryRecv(receiver))
}

/// Creates a channel whose ends block.
pub fn blocking() -> (Send, Recv) {
    let (sender, receiver) = crossbeam_channel::bounded(CAPACITY);
    (Send(sender), Recv(receiver))
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

/// `send`, which blocks.
pub struct Send(Sender<Event>);

impl halves::Sender for Send {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        self.0.send(event).expect("the receiver is there");
    }
}

/// `recv`, which blocks.
pub struct Recv(Receiver<Event>);

impl halves::Receiver for Recv {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
        each(&self.0.recv().expect("the sender is there"));
        1
    }
}
