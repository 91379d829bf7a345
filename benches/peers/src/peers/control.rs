//! The controls: the least that the machine needs for the same transfer, without a channel's duties.

use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::event::{CAPACITY, Event};
use crate::halves::{Patience, Receiver, Sender};

/// A slot of the raw ring: the stamp is the sequence plus one, zero before the first lap.
struct Slot {
    stamp: AtomicU64,
    event: UnsafeCell<Event>,
}

/// How far the reader is, on a line of its own.
#[repr(align(128))]
struct Read(AtomicU64);

/// The raw ring.
struct Ring {
    slots: Box<[Slot]>,
    read: Read,
}

#[expect(
    unsafe_code,
    reason = "the control is the bare transfer, which no safe type does"
)]
// SAFETY: an event is written by the one `RawSender` and read by the one `RawReceiver`, which the
// stamp and `read` keep apart.
unsafe impl Sync for Ring {}

/// Creates a raw ring: stamped slots of 64 + 8 bytes, one writer, one reader.
pub fn ring<const RUNS: bool>() -> (RawSender, RawReceiver<RUNS>) {
    let slots = (0..CAPACITY).map(|_| Slot {
        stamp: AtomicU64::new(0),
        event: UnsafeCell::new(Event::new(0)),
    });
    let ring = Arc::new(Ring {
        slots: slots.collect(),
        read: Read(AtomicU64::new(0)),
    });
    (
        RawSender {
            ring: Arc::clone(&ring),
            next: 0,
            stop: CAPACITY as u64,
        },
        RawReceiver { ring, next: 0 },
    )
}

/// Writes the raw ring.
pub struct RawSender {
    ring: Arc<Ring>,
    next: u64,
    /// The sequence that must not be written before the reader has moved on.
    stop: u64,
}

impl Sender for RawSender {
    #[inline(always)]
    #[expect(unsafe_code, reason = "see `Ring`")]
    fn send(&mut self, event: Event) {
        let mut patience = Patience::default();
        while self.next == self.stop {
            // ORDERING: edge `read`. Pairs with the store in `RawReceiver`.
            self.stop = self.ring.read.0.load(Ordering::Acquire) + CAPACITY as u64;
            patience.count();
        }
        let slot = &self.ring.slots[self.next as usize % CAPACITY];
        // SAFETY: the reader is past this slot's last lap (`stop`) and does not touch it before the
        // stamp below.
        unsafe { *slot.event.get() = event };
        self.next += 1;
        // ORDERING: edge `written`. Pairs with the load in `RawReceiver`.
        slot.stamp.store(self.next, Ordering::Release);
    }
}

/// Reads the raw ring, up to 64 events at once. With `RUNS` it looks how many there are before it reads
/// the first; without, it looks at each stamp when the event before is read.
pub struct RawReceiver<const RUNS: bool> {
    ring: Arc<Ring>,
    next: u64,
}

impl<const RUNS: bool> RawReceiver<RUNS> {
    #[inline(always)]
    fn is_there(&self, sequence: u64) -> bool {
        let slot = &self.ring.slots[sequence as usize % CAPACITY];
        // ORDERING: edge `written`. Pairs with the store in `RawSender`.
        slot.stamp.load(Ordering::Acquire) == sequence + 1
    }
}

impl<const RUNS: bool> Receiver for RawReceiver<RUNS> {
    #[inline(always)]
    #[expect(unsafe_code, reason = "see `Ring`")]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
        let first = self.next;
        let mut end = first + 64;
        if RUNS {
            end = (first..end).find(|&s| !self.is_there(s)).unwrap_or(end);
        }
        while self.next < end && (RUNS || self.is_there(self.next)) {
            let slot = &self.ring.slots[self.next as usize % CAPACITY];
            // SAFETY: the stamp says that the event is written, and it is not overwritten before the
            // store to `read` below.
            each(unsafe { &*slot.event.get() });
            self.next += 1;
        }
        if self.next != first {
            // ORDERING: edge `read`. Pairs with the load in `RawSender`.
            self.ring.read.0.store(self.next, Ordering::Release);
        }
        (self.next - first) as usize
    }
}

/// One word on a line of its own, raised by one thread and watched by another. It carries no event:
/// the watcher makes the one it expects.
#[repr(align(128))]
struct Flag(AtomicU64);

/// Creates a flag.
pub fn flag() -> (Raise, Watch) {
    let flag = Arc::new(Flag(AtomicU64::new(0)));
    (Raise(Arc::clone(&flag), 0), Watch(flag, 0))
}

/// Raises a flag by one.
pub struct Raise(Arc<Flag>, u64);

impl Sender for Raise {
    #[inline(always)]
    fn send(&mut self, _event: Event) {
        self.1 += 1;
        self.0.0.store(self.1, Ordering::Release);
    }
}

/// Watches a flag.
pub struct Watch(Arc<Flag>, u64);

impl Receiver for Watch {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
        if self.0.0.load(Ordering::Acquire) == self.1 {
            return 0;
        }
        each(&Event::new(self.1));
        self.1 += 1;
        1
    }
}

/// Sends nowhere: what is left is the time of making the events.
pub struct Nowhere;

impl Sender for Nowhere {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        black_box(&event);
    }
}
