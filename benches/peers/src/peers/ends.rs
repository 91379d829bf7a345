//! The ends of channels that take and give events by value, one by one: what a peer has to say of itself, and the
//! sender and receiver built from it.

use crate::event::Event;
use crate::halves::{self, insist};

/// Where events go into a channel.
pub trait Inlet<E>: std::marker::Send {
    /// Puts an event in, or gives it back when the channel is full.
    fn try_put(&self, event: E) -> Result<(), E>;

    /// Puts an event in, blocking while the channel is full.
    fn put(&self, event: E);
}

/// Where events come out of a channel.
pub trait Outlet<E>: std::marker::Send {
    /// Takes the oldest event out, if there is one.
    fn try_take(&self) -> Option<E>;

    /// Takes the oldest event out, blocking while there is none.
    fn take(&self) -> E;
}

/// Implements [`Inlet`] and [`Outlet`] for ends that have `try_send`, `send`, `try_recv` and `recv` with the errors
/// `TrySendError::{Full, Disconnected}` and `TryRecvError::{Empty, Disconnected}`.
macro_rules! by_value {
    ([$($generics:tt)*] $event:ty, $inlet:ty, $outlet:ty) => {
        impl<$($generics)*> $crate::peers::ends::Inlet<$event> for $inlet {
            #[inline(always)]
            fn try_put(&self, event: $event) -> Result<(), $event> {
                self.try_send(event).map_err(|error| match error {
                    TrySendError::Full(event) => event,
                    TrySendError::Disconnected(_) => panic!("the receiver is gone"),
                })
            }

            #[inline(always)]
            fn put(&self, event: $event) {
                self.send(event).expect("the receiver is there");
            }
        }

        impl<$($generics)*> $crate::peers::ends::Outlet<$event> for $outlet {
            #[inline(always)]
            fn try_take(&self) -> Option<$event> {
                match self.try_recv() {
                    Ok(event) => Some(event),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => panic!("the sender is gone"),
                }
            }

            #[inline(always)]
            fn take(&self) -> $event {
                self.recv().expect("the sender is there")
            }
        }
    };
}
pub(super) use by_value;

/// Makes ends that never block.
pub fn trying<I, O>((inlet, outlet): (I, O)) -> (TrySend<I>, TryRecv<O>) {
    (TrySend(inlet), TryRecv(outlet))
}

/// Makes ends that block.
pub fn blocking<I, O>((inlet, outlet): (I, O)) -> (Send<I>, Recv<O>) {
    (Send(inlet), Recv(outlet))
}

/// `try_send`, again and again.
#[derive(Clone)]
pub struct TrySend<I>(pub I);

impl<I: Inlet<Event<WORDS>>, const WORDS: usize> halves::Sender<WORDS> for TrySend<I> {
    #[inline(always)]
    fn send(&mut self, event: Event<WORDS>) {
        insist(event, |event| self.0.try_put(event));
    }
}

impl<I: Inlet<Event>> halves::TrySender for TrySend<I> {
    #[inline(always)]
    fn try_send(&mut self, event: Event) -> Result<(), Event> {
        self.0.try_put(event)
    }
}

/// `try_recv`.
pub struct TryRecv<O>(pub O);

impl<O: Outlet<Event<WORDS>>, const WORDS: usize> halves::Receiver<WORDS> for TryRecv<O> {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event<WORDS>)) -> usize {
        match self.0.try_take() {
            Some(event) => {
                each(&event);
                1
            }
            None => 0,
        }
    }
}

/// `send`, which blocks.
pub struct Send<I>(pub I);

impl<I: Inlet<Event<WORDS>>, const WORDS: usize> halves::Sender<WORDS> for Send<I> {
    #[inline(always)]
    fn send(&mut self, event: Event<WORDS>) {
        self.0.put(event);
    }
}

/// `recv`, which blocks.
pub struct Recv<O>(pub O);

impl<O: Outlet<Event<WORDS>>, const WORDS: usize> halves::Receiver<WORDS> for Recv<O> {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event<WORDS>)) -> usize {
        each(&self.0.take());
        1
    }
}
