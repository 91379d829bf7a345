//! bus: one producer, every event to every reader.

use std::sync::mpsc::TryRecvError;

use ::bus::{Bus, BusReader};

use crate::event::{CAPACITY, Event};
use crate::halves::{Receiver, Sender, insist};

/// Creates a bus with this many readers.
pub fn fan_out(readers: usize) -> (TryBroadcast, Vec<TryRecv>) {
    let mut bus = Bus::new(CAPACITY);
    let readers = (0..readers).map(|_| TryRecv(bus.add_rx())).collect();
    (TryBroadcast(bus), readers)
}

/// Creates a bus with one reader, whose sender blocks.
pub fn blocking() -> (Broadcast, TryRecv) {
    let mut bus = Bus::new(CAPACITY);
    let reader = TryRecv(bus.add_rx());
    (Broadcast(bus), reader)
}

/// `try_broadcast`.
pub struct TryBroadcast(Bus<Event>);

impl Sender for TryBroadcast {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        insist(event, |event| self.0.try_broadcast(event));
    }
}

/// `broadcast`, which blocks.
pub struct Broadcast(Bus<Event>);

impl Sender for Broadcast {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        self.0.broadcast(event);
    }
}

/// `try_recv`.
pub struct TryRecv(BusReader<Event>);

impl Receiver for TryRecv {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
        match self.0.try_recv() {
            Ok(event) => {
                each(&event);
                1
            }
            Err(TryRecvError::Empty) => 0,
            Err(TryRecvError::Disconnected) => panic!("the bus is gone"),
        }
    }
}
