//! tokio::sync::broadcast: any number of producers, every event to every receiver, without a runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::tokio::sync::broadcast::{self, error::TryRecvError};

use crate::event::{CAPACITY, Event};
use crate::halves::{Patience, Receiver, Sender};

/// The channel drops what a receiver is too late for; the sender therefore looks at the receiver's
/// progress once in this many events, so that at most two such stretches are under way.
const STRETCH: u64 = CAPACITY as u64 / 2;

/// Creates a channel with this many receivers, whose sender does not wait for them.
pub fn fan_out(receivers: usize) -> (Send, Vec<TryRecv>) {
    let (sender, first) = broadcast::channel(CAPACITY);
    let mut all = vec![TryRecv(first)];
    all.extend((1..receivers).map(|_| TryRecv(sender.subscribe())));
    (Send(sender), all)
}

/// Creates a channel whose sender waits for its receiver.
pub fn lossless() -> (Paced<Send>, Progress<TryRecv>) {
    let (sender, mut receivers) = fan_out(1);
    paced((sender, receivers.remove(0)))
}

/// Makes a sender wait for its receiver.
pub fn paced<S, R>((sender, peer): (S, R)) -> (Paced<S>, Progress<R>) {
    let done = Arc::new(AtomicU64::new(0));
    (
        Paced {
            peer: sender,
            sent: 0,
            done: Arc::clone(&done),
        },
        Progress {
            peer,
            received: 0,
            done,
        },
    )
}

/// `send`.
pub struct Send(broadcast::Sender<Event>);

impl Sender for Send {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        assert!(self.0.send(event).is_ok(), "the receivers are gone");
    }
}

/// `try_recv`.
pub struct TryRecv(broadcast::Receiver<Event>);

impl Receiver for TryRecv {
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

/// A sender that waits for its receiver.
pub struct Paced<S> {
    peer: S,
    sent: u64,
    done: Arc<AtomicU64>,
}

impl<S: Sender> Sender for Paced<S> {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        if self.sent.is_multiple_of(STRETCH) {
            let mut patience = Patience::default();
            while self.done.load(Ordering::Acquire) + STRETCH < self.sent {
                std::hint::spin_loop();
                patience.count();
            }
        }
        self.peer.send(event);
        self.sent += 1;
    }
}

/// A receiver that tells its progress.
pub struct Progress<R> {
    peer: R,
    received: u64,
    done: Arc<AtomicU64>,
}

impl<R: Receiver> Receiver for Progress<R> {
    #[inline(always)]
    fn receive(&mut self, each: impl FnMut(&Event)) -> usize {
        let count = self.peer.receive(each);
        self.received += count as u64;
        if self.received.is_multiple_of(STRETCH) {
            self.done.store(self.received, Ordering::Release);
        }
        count
    }
}
