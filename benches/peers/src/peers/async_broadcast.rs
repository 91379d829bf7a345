//! async-broadcast: every event to every receiver, without a runtime: its `try_` calls are synchronous.

use ::async_broadcast::{Receiver, Sender, TryRecvError, TrySendError, broadcast};

use crate::event::{CAPACITY, Event};
use crate::halves::{self, insist};

/// Creates a channel with this many receivers.
pub fn fan_out(receivers: usize) -> (TryBroadcast, Vec<TryRecv>) {
    let (sender, first) = broadcast(CAPACITY);
    let mut all: Vec<_> = (1..receivers)
        .map(|_| TryRecv(first.new_receiver()))
        .collect();
    all.push(TryRecv(first));
    (TryBroadcast(sender), all)
}

/// `try_broadcast`.
pub struct TryBroadcast(Sender<Event>);

impl halves::Sender for TryBroadcast {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        insist(event, |event| match self.0.try_broadcast(event) {
            Ok(_) => Ok(()),
            Err(TrySendError::Full(event)) => Err(event),
            Err(_) => panic!("the receivers are gone"),
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
            Err(error) => panic!("{error}"),
        }
    }
}
