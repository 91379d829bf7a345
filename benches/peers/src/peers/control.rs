//! The controls: the least that the machine needs for the same transfer, without a channel's duties.

use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::event::{CAPACITY, Event};
use crate::halves::{Patience, Receiver, Sender};

/// A slot of the raw ring: the stamp is the sequence plus one, zero before the first lap.
struct Slot<const WORDS: usize> {
    stamp: AtomicU64,
    event: UnsafeCell<Event<WORDS>>,
}

/// How far the reader is, on a line of its own.
#[repr(align(128))]
struct Read(AtomicU64);

/// The raw ring.
struct Ring<const WORDS: usize> {
    slots: Box<[Slot<WORDS>]>,
    read: Read,
}

impl<const WORDS: usize> Ring<WORDS> {
    /// Returns the slot of a sequence; the capacity is a power of two.
    #[inline(always)]
    fn slot(&self, sequence: u64) -> &Slot<WORDS> {
        &self.slots[sequence as usize & (self.slots.len() - 1)]
    }
}

#[expect(
    unsafe_code,
    reason = "the control is the bare transfer, which no safe type does"
)]
// SAFETY: an event is written by the one `RawSender` and read by the one `RawReceiver`, which the
// stamp and `read` keep apart.
unsafe impl<const WORDS: usize> Sync for Ring<WORDS> {}

/// Creates a raw ring: stamped slots of an event and 8 bytes, one writer, one reader.
pub fn ring<const RUNS: bool>() -> (RawSender, RawReceiver<RUNS>) {
    ring_of(CAPACITY)
}

/// As [`ring`], for events of any size.
pub fn ring_of<const RUNS: bool, const WORDS: usize>(
    capacity: usize,
) -> (RawSender<WORDS>, RawReceiver<RUNS, WORDS>) {
    let slots = (0..capacity).map(|_| Slot {
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
            stop: capacity as u64,
        },
        RawReceiver { ring, next: 0 },
    )
}

/// Writes the raw ring.
pub struct RawSender<const WORDS: usize = 8> {
    ring: Arc<Ring<WORDS>>,
    next: u64,
    /// The sequence that must not be written before the reader has moved on.
    stop: u64,
}

impl<const WORDS: usize> Sender<WORDS> for RawSender<WORDS> {
    #[inline(always)]
    #[expect(unsafe_code, reason = "see `Ring`")]
    fn send(&mut self, event: Event<WORDS>) {
        let mut patience = Patience::default();
        while self.next == self.stop {
            // ORDERING: edge `read`. Pairs with the store in `RawReceiver`.
            self.stop = self.ring.read.0.load(Ordering::Acquire) + self.ring.slots.len() as u64;
            patience.count();
        }
        let slot = self.ring.slot(self.next);
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
pub struct RawReceiver<const RUNS: bool, const WORDS: usize = 8> {
    ring: Arc<Ring<WORDS>>,
    next: u64,
}

impl<const RUNS: bool, const WORDS: usize> RawReceiver<RUNS, WORDS> {
    #[inline(always)]
    fn is_there(&self, sequence: u64) -> bool {
        let slot = self.ring.slot(sequence);
        // ORDERING: edge `written`. Pairs with the store in `RawSender`.
        slot.stamp.load(Ordering::Acquire) == sequence + 1
    }
}

impl<const RUNS: bool, const WORDS: usize> Receiver<WORDS> for RawReceiver<RUNS, WORDS> {
    #[inline(always)]
    #[expect(unsafe_code, reason = "see `Ring`")]
    fn receive(&mut self, mut each: impl FnMut(&Event<WORDS>)) -> usize {
        let first = self.next;
        let mut end = first + 64;
        if RUNS {
            end = (first..end).find(|&s| !self.is_there(s)).unwrap_or(end);
        }
        while self.next < end && (RUNS || self.is_there(self.next)) {
            let slot = self.ring.slot(self.next);
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

impl<const WORDS: usize> Sender<WORDS> for Nowhere {
    #[inline(always)]
    fn send(&mut self, event: Event<WORDS>) {
        black_box(&event);
    }
}
