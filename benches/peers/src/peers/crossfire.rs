//! crossfire: the bounded, blocking flavours.

use ::crossfire::{
    BlockingTxTrait, MTx, Rx, TryRecvError, TrySendError, Tx, detect_backoff_cfg, mpsc, spsc,
};

use super::ends::{self, Recv, Send, TryRecv, TrySend, by_value};
use crate::event::{CAPACITY, Event};

type SpscTx<const WORDS: usize = 8> = Tx<spsc::Array<Event<WORDS>>>;
type SpscRx<const WORDS: usize = 8> = Rx<spsc::Array<Event<WORDS>>>;
type MpscTx = MTx<mpsc::Array<Event>>;
type MpscRx = Rx<mpsc::Array<Event>>;

by_value!([const WORDS: usize] Event<WORDS>, SpscTx<WORDS>, SpscRx<WORDS>);
by_value!([] Event, MpscTx, MpscRx);

/// Creates a channel for one producer whose ends never block.
pub fn spsc_trying() -> (TrySend<SpscTx>, TryRecv<SpscRx>) {
    spsc_trying_of(CAPACITY)
}

/// As [`spsc_trying`], for events of any size.
pub fn spsc_trying_of<const WORDS: usize>(
    capacity: usize,
) -> (TrySend<SpscTx<WORDS>>, TryRecv<SpscRx<WORDS>>) {
    ends::trying(spsc_of(capacity))
}

/// Creates a channel for one producer whose ends block.
pub fn spsc_blocking() -> (Send<SpscTx>, Recv<SpscRx>) {
    spsc_blocking_of(CAPACITY)
}

/// As [`spsc_blocking`], for events of any size.
pub fn spsc_blocking_of<const WORDS: usize>(
    capacity: usize,
) -> (Send<SpscTx<WORDS>>, Recv<SpscRx<WORDS>>) {
    ends::blocking(spsc_of(capacity))
}

/// Creates a channel for several producers whose ends never block.
pub fn mpsc_trying() -> (TrySend<MpscTx>, TryRecv<MpscRx>) {
    ends::trying(mpsc())
}

/// Creates a channel for several producers whose ends block.
pub fn mpsc_blocking() -> (Send<MpscTx>, Recv<MpscRx>) {
    ends::blocking(mpsc())
}

fn spsc_of<const WORDS: usize>(capacity: usize) -> (SpscTx<WORDS>, SpscRx<WORDS>) {
    // Recommended at the start of a program on virtual machines.
    detect_backoff_cfg();
    spsc::bounded_blocking(capacity)
}

fn mpsc() -> (MpscTx, MpscRx) {
    detect_backoff_cfg();
    mpsc::bounded_blocking(CAPACITY)
}
