//! crossbeam-channel: bounded, several producers and consumers.

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};

use super::ends::{self, Recv, Send, TryRecv, TrySend, by_value};
use crate::event::{CAPACITY, Event};

by_value!([E: std::marker::Send] E, Sender<E>, Receiver<E>);

type Tx<const WORDS: usize = 8> = Sender<Event<WORDS>>;
type Rx<const WORDS: usize = 8> = Receiver<Event<WORDS>>;

/// Creates a channel whose ends never block.
pub fn trying() -> (TrySend<Tx>, TryRecv<Rx>) {
    trying_of(CAPACITY)
}

/// As [`trying`], for events of any size.
pub fn trying_of<const WORDS: usize>(capacity: usize) -> (TrySend<Tx<WORDS>>, TryRecv<Rx<WORDS>>) {
    ends::trying(crossbeam_channel::bounded(capacity))
}

/// Creates a channel with this many senders.
pub fn senders(count: usize) -> (Vec<TrySend<Tx>>, TryRecv<Rx>) {
    let (TrySend(sender), receiver) = trying();
    let senders = (0..count).map(|_| TrySend(sender.clone()));
    (senders.collect(), receiver)
}

/// Creates a channel whose ends block.
pub fn blocking() -> (Send<Tx>, Recv<Rx>) {
    blocking_of(CAPACITY)
}

/// As [`blocking`], for events of any size.
pub fn blocking_of<const WORDS: usize>(capacity: usize) -> (Send<Tx<WORDS>>, Recv<Rx<WORDS>>) {
    ends::blocking(crossbeam_channel::bounded(capacity))
}
