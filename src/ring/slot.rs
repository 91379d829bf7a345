//! One place of the ring: a stamp and the event beside it.
#![expect(
    unsafe_code,
    reason = "the event is written and read through a shared reference; the stamp says when"
)]

use std::mem::{MaybeUninit, needs_drop};

use crate::sync::{AtomicU64, Ordering, UnsafeCell};

/// Sequences end here, so that a stamp never meets the stamp of a slot that was never written.
///
/// At a thousand million events a second that is 146 years.
pub(crate) const MAX_SEQUENCE: u64 = (1 << 62) - (1 << 32);

/// What a slot says of itself: `{ sequence + 1: 62 bits, occupied: 1 bit, hole: 1 bit }`.
///
/// | state  | meaning                                                    |
/// |--------|------------------------------------------------------------|
/// | event  | the event of this sequence is in the slot (and `occupied`) |
/// | hole   | this sequence has no event; readers pass over it           |
///
/// `occupied` says that the slot owns a value, which under a hole is that of an earlier lap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

impl Stamp {
    const HOLE: u64 = 0b01;
    const OCCUPIED: u64 = 0b10;

    #[inline]
    fn event(sequence: u64) -> Self {
        Self((sequence.wrapping_add(1) << 2) | Self::OCCUPIED)
    }

    #[inline]
    fn hole(sequence: u64, occupied: bool) -> Self {
        let occupied = if occupied { Self::OCCUPIED } else { 0 };
        Self((sequence.wrapping_add(1) << 2) | occupied | Self::HOLE)
    }

    /// The slot holds this sequence's event.
    #[inline]
    pub(crate) fn is_event(self, sequence: u64) -> bool {
        self == Self::event(sequence)
    }

    /// The slot is done with this sequence: there is its event, or there will be none.
    #[inline]
    pub(crate) fn is_done(self, sequence: u64) -> bool {
        let flags = Self::HOLE | Self::OCCUPIED;
        self.0 | flags == sequence.wrapping_add(1) << 2 | flags
    }

    /// The slot is done with this sequence, or even with one of a later lap.
    #[inline]
    pub(crate) fn is_done_or_later(self, sequence: u64) -> bool {
        // In the 62 bits that count; what comes before is far behind, also across zero.
        let ahead = (self.0 >> 2).wrapping_sub(sequence.wrapping_add(1)) & (u64::MAX >> 2);
        ahead < 1 << 61
    }

    /// The slot says that this sequence has no event.
    #[inline]
    pub(crate) fn is_hole(self, sequence: u64) -> bool {
        Self(self.0 | Self::OCCUPIED) == Self::hole(sequence, true)
    }

    #[inline]
    fn is_occupied(self) -> bool {
        self.0 & Self::OCCUPIED != 0
    }
}

/// A stamp and an event; never padded, so that small events share a cache line with their neighbours.
///
/// The event comes first: it is stored from its start to its end, so that the line with the stamp, which
/// a reader may be looking at, is taken last, and once.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Slot<T> {
    event: UnsafeCell<MaybeUninit<T>>,
    stamp: AtomicU64,
}

// SAFETY: a shared `Slot<T>` lets one thread write a `T` that another thread drops (needs `T: Send`)
// and lets several readers hold `&T` at once (needs `T: Sync`). Who may do which is the callers'
// obligation (R1-R5, R7, R8, R12).
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

impl<T> Slot<T> {
    /// A slot that was never written, with the stamp of a hole one lap before its first sequence.
    pub(crate) fn new(lap_before: u64) -> Self {
        Self {
            stamp: AtomicU64::new(Stamp::hole(lap_before, false).0),
            event: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    #[inline(always)]
    pub(crate) fn stamp(&self) -> Stamp {
        // ORDERING: edge `publish`. Pairs with the stores in `put`, `build` and `skip`.
        Stamp(self.stamp.load(Ordering::Acquire))
    }

    /// Puts the event of `sequence` into the slot and hands out the value that was in it.
    ///
    /// # Safety
    ///
    /// - The caller has claimed `sequence`, and has neither written nor skipped it (R1).
    /// - No reference into the slot is held, and none will be given out, until its stamp says
    ///   `sequence` (R4, R5).
    #[inline(always)]
    pub(crate) unsafe fn write(&self, sequence: u64, event: T) -> Option<T> {
        // SAFETY: the caller's obligations.
        unsafe { self.put(sequence, event, needs_drop::<T>()) }
    }

    /// As `write`, and hands out the old value whatever its type.
    ///
    /// # Safety
    ///
    /// As for [`Slot::write`].
    pub(crate) unsafe fn replace(&self, sequence: u64, event: T) -> Option<T> {
        // SAFETY: the caller's obligations.
        unsafe { self.put(sequence, event, true) }
    }

    /// Writes the event; takes the old value out, or lets it be.
    ///
    /// # Safety
    ///
    /// As for [`Slot::write`].
    #[inline(always)]
    unsafe fn put(&self, sequence: u64, event: T, take: bool) -> Option<T> {
        let old = self.event.with_mut(|cell| {
            let old = if take && Stamp(self.stamp.load(Ordering::Relaxed)).is_occupied() {
                // SAFETY: the pointer comes from the cell, and nobody else touches it now. The copy is
                // the only one from here on: the cell is overwritten below, before anything can unwind.
                let old = unsafe { cell.read() };
                // SAFETY: `occupied` says that the cell owns a value (R6).
                Some(unsafe { old.assume_init() })
            } else {
                None
            };
            // SAFETY: the pointer comes from the cell, and nobody else touches it now.
            unsafe { store_in_order(cell, event) };
            old
        });
        // ORDERING: edge `publish`. Pairs with the load in `stamp`; carries the event.
        self.stamp
            .store(Stamp::event(sequence).0, Ordering::Release);
        old
    }

    /// Builds the event of `sequence` in the slot, for types without drop glue.
    ///
    /// A panic of `build` leaves the slot without the event and without the stamp.
    ///
    /// # Safety
    ///
    /// As for [`Slot::write`].
    #[inline(always)]
    pub(crate) unsafe fn build(&self, sequence: u64, build: impl FnOnce() -> T) {
        debug_assert!(!needs_drop::<T>());
        self.event.with_mut(|cell| {
            // SAFETY: the pointer comes from the cell, and nobody else touches it now. Without drop glue the
            // value that was there needs no care.
            unsafe { store_in_order(cell, build()) };
        });
        // ORDERING: edge `publish`. Pairs with the load in `stamp`; carries the event.
        self.stamp
            .store(Stamp::event(sequence).0, Ordering::Release);
    }

    /// Says that `sequence` has no event, and leaves the value of the slot as it is.
    ///
    /// # Safety
    ///
    /// The caller has claimed `sequence`, and has neither written nor skipped it (R1). References to the
    /// value may be held.
    pub(crate) unsafe fn skip(&self, sequence: u64) {
        let occupied = Stamp(self.stamp.load(Ordering::Relaxed)).is_occupied();
        // ORDERING: edge `publish`. Pairs with the load in `stamp`; hands the slot's turn on.
        self.stamp
            .store(Stamp::hole(sequence, occupied).0, Ordering::Release);
    }

    /// Takes the value out of the slot, if it owns one.
    ///
    /// # Safety
    ///
    /// No reference into the slot is held, none will be given out, and nobody else writes or takes.
    pub(crate) unsafe fn take(&self) -> Option<T> {
        if !Stamp(self.stamp.load(Ordering::Relaxed)).is_occupied() {
            return None;
        }
        // Before the value is the caller's: from here on the slot owns nothing (R6).
        self.stamp.store(Stamp::hole(0, false).0, Ordering::Relaxed);
        self.event.with_mut(|cell| {
            // SAFETY: the pointer comes from the cell, and nobody else touches it now.
            let value = unsafe { cell.read() };
            // SAFETY: `occupied` said that the cell owns a value, and this is its only copy (R6).
            Some(unsafe { value.assume_init() })
        })
    }

    /// Takes the value out, if there is one, for whoever has the slot alone.
    pub(crate) fn empty(&mut self) -> Option<T> {
        // SAFETY: `&mut self`: nobody else touches the slot, and no reference into it is held.
        unsafe { self.take() }
    }

    /// Shows the event to `f`.
    ///
    /// # Safety
    ///
    /// - The caller, or one it comes after, has seen a stamp that says that the slot holds an event (R2, R13), or it is
    ///   known that it does (R17).
    /// - No publisher writes the slot before `f` returns (R4, R5, R12).
    #[inline(always)]
    pub(crate) unsafe fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        self.event.with(|cell| {
            // SAFETY: the event is there and stays, by the two obligations of this function.
            let event = unsafe { &*cell };
            // SAFETY: a slot with the stamp of an event holds an initialised value (R6).
            f(unsafe { event.assume_init_ref() })
        })
    }

    /// Lets `f` change the event.
    ///
    /// # Safety
    ///
    /// - The caller has seen a stamp that says that the slot holds an event (R2).
    /// - No publisher writes the slot before `f` returns (R4).
    /// - Nobody else holds or takes a reference to the event before `f` returns (R7, R8).
    pub(crate) unsafe fn edit<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        self.event.with_mut(|cell| {
            // SAFETY: the event is there, stays, and is the caller's alone, by the obligations of this function.
            let event = unsafe { &mut *cell };
            // SAFETY: a slot with the stamp of an event holds an initialised value (R6).
            f(unsafe { event.assume_init_mut() })
        })
    }
}

/// Writes `event` from its start to its end, so that the line with the stamp behind it is taken once.
///
/// A compiler copies small structs from their end to their start; the line with the stamp would be taken
/// for the end of the event, given up to the reader that looks at the stamp, and taken again. Measured with
/// 64-byte events, that doubles the cost of an event that comes from memory.
///
/// # Safety
///
/// `cell` is valid for writes and nobody else touches it.
#[inline(always)]
pub(super) unsafe fn store_in_order<T>(cell: *mut MaybeUninit<T>, event: T) {
    const WORD: usize = size_of::<u64>();
    // Beyond this a copy by wider words is worth more than the order.
    const MOST: usize = 128;
    let event = MaybeUninit::new(event);
    if size_of::<T>() > MOST || !size_of::<T>().is_multiple_of(WORD) || align_of::<T>() < WORD {
        // SAFETY: the caller's obligation.
        unsafe { cell.write(event) };
        return;
    }
    let from = (&raw const event).cast::<MaybeUninit<u64>>();
    let to = cell.cast::<MaybeUninit<u64>>();
    for word in 0..size_of::<T>() / WORD {
        // SAFETY: within `event`, which is as large as all words, and aligned as one.
        let source = unsafe { from.add(word) };
        // SAFETY: within the cell, as above.
        let target = unsafe { to.add(word) };
        // SAFETY: any bytes are a `MaybeUninit`, and reading it keeps padding and pointers as they are.
        let value = unsafe { source.read() };
        // SAFETY: valid for writes by the caller's obligation; volatile to keep the order of the stores.
        unsafe { target.write_volatile(value) };
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        if Stamp(self.stamp.load(Ordering::Relaxed)).is_occupied() {
            self.event.with_mut(|cell| {
                // SAFETY: `&mut self`: nobody else touches the cell, and this is its last use.
                let event = unsafe { &mut *cell };
                // SAFETY: `occupied` says that the cell owns a value (R6).
                unsafe { event.assume_init_drop() };
            });
        }
    }
}
