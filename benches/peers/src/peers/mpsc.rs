//! std::sync::mpsc: bounded, several producers, one consumer.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};

use super::ends::{self, Recv, Send, TryRecv, TrySend, by_value};
use crate::event::{CAPACITY, Event};

by_value!([E: std::marker::Send] E, SyncSender<E>, Receiver<E>);

type Tx<const WORDS: usize = 8> = SyncSender<Event<WORDS>>;
type Rx<const WORDS: usize = 8> = Receiver<Event<WORDS>>;

/// Creates a channel whose ends never block.
pub fn trying() -> (TrySend<Tx>, TryRecv<Rx>) {
    trying_of(CAPACITY)
}

/// As [`trying`], for events of any size.
pub fn trying_of<const WORDS: usize>(capacity: usize) -> (TrySend<Tx<WORDS>>, TryRecv<Rx<WORDS>>) {
    ends::trying(sync_channel(capacity))
}

/// Creates a channel whose ends block.
pub fn blocking() -> (Send<Tx>, Recv<Rx>) {
    blocking_of(CAPACITY)
}

/// As [`blocking`], for events of any size.
pub fn blocking_of<const WORDS: usize>(capacity: usize) -> (Send<Tx<WORDS>>, Recv<Rx<WORDS>>) {
    ends::blocking(sync_channel(capacity))
}
