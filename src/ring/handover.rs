//! One value from one thread to another, turn after turn through the same place.
#![expect(
    unsafe_code,
    reason = "the value is written by one thread and moved out by another; the state says when"
)]

use std::fmt;
use std::mem::MaybeUninit;

use super::slot::store_in_order;
use crate::sync::{Arc, AtomicU64, CachePadded, Mutex, Ordering, UnsafeCell, Waiter};

/// A place where a promised value is left for the one that awaits it.
///
/// Of each turn there is one [`Promise`] and one [`Awaited`], and whatever the two do, the value ends up on
/// exactly one side:
///
/// ```text
/// promise                                   awaiting side
/// value = v                                 look: settled(n) -> take the value
/// pending -> settled(n), or look again      to sleep: waiter = w, pending -> waited(n), look, park
/// waited(n)    -> settled(n), wake w        to give up: abandoned(n)
/// abandoned(n) -> the value is one's own      settled(n) before -> the value is here
/// ```
///
/// As turns have numbers, `settled(n - 1)` is what the state of turn `n` begins with: nothing is written
/// between two turns, so that the line with the state and the value goes over once and back never. For the
/// same reason the two halves of a place count as two owners of it for good, and the promise's half comes back
/// with the value: no count is written either.
///
/// The value comes first: it is stored from its start to its end, so that the line with the state, which the
/// awaiting side looks at, is taken last, and once; as in a slot of the ring.
#[repr(C)]
pub(crate) struct Handover<V> {
    /// Never dropped with the place: whoever awaits it takes it.
    value: UnsafeCell<MaybeUninit<Left<V>>>,
    /// `{ turn: 62 bits, tag: 2 bits }`
    ///
    /// | tag         | meaning                                                                 |
    /// |-------------|-------------------------------------------------------------------------|
    /// | `SETTLED`   | the value of this turn is, or was, there; the next turn has its promise  |
    /// | `WAITED`    | the awaiting side of this turn wants to be woken                         |
    /// | `ABANDONED` | nobody awaits the value of this turn any more                            |
    state: AtomicU64,
    waiter: Mutex<Option<Waiter>>,
}

const SETTLED: u64 = 0;
const WAITED: u64 = 1;
const ABANDONED: u64 = 2;

const fn state(turn: u64, tag: u64) -> u64 {
    (turn << 2) | tag
}

type Place<V> = Arc<CachePadded<Handover<V>>>;

/// What a promise leaves.
struct Left<V> {
    value: V,
    /// The promise's half, unless it has to wake with it.
    half: Option<Place<V>>,
}

/// A place between two turns.
pub(crate) struct Idle<V> {
    place: Place<V>,
    half: Place<V>,
    /// The last one.
    turn: u64,
}

/// The side that leaves the value. One that is dropped leaves the other side waiting.
#[must_use = "somebody awaits the value"]
pub(crate) struct Promise<V> {
    half: Place<V>,
    turn: u64,
}

/// The side that takes the value. One that is dropped, instead of given up, may leave a value undropped.
#[must_use = "there may be a value to take"]
pub(crate) struct Awaited<V> {
    place: Place<V>,
    turn: u64,
}

// SAFETY: a shared place lets one thread write a `V` that another moves out (needs `V: Send`); never do two
// have it at once (R14).
unsafe impl<V: Send> Sync for Handover<V> {}

impl<V> Handover<V> {
    /// # Safety
    ///
    /// The value is the caller's (R14), and none is there.
    #[inline(always)]
    unsafe fn put(&self, left: Left<V>) {
        self.value.with_mut(|cell| {
            // SAFETY: the pointer comes from the cell, and nobody else touches it now.
            unsafe { store_in_order(cell, left) };
        });
    }

    /// # Safety
    ///
    /// The value is the caller's (R14), and one is there, which this was not called for before.
    #[inline(always)]
    unsafe fn get(&self) -> Left<V> {
        self.value.with_mut(|cell| {
            // SAFETY: the pointer comes from the cell, and nobody else touches it now.
            let left = unsafe { cell.read() };
            // SAFETY: the caller says that it is there, and this is its only copy from here on.
            unsafe { left.assume_init() }
        })
    }

    /// Wakes whoever the awaiting side has named. It may be one of a later turn, who then looks in vain.
    fn wake(&self) {
        let waiter = self.waiter.lock().take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

impl<V> Idle<V> {
    pub(crate) fn new() -> Self {
        let place = Arc::new(CachePadded::new(Handover {
            state: AtomicU64::new(state(0, SETTLED)),
            value: UnsafeCell::new(MaybeUninit::uninit()),
            waiter: Mutex::new(None),
        }));
        Self {
            half: Arc::clone(&place),
            place,
            turn: 0,
        }
    }

    /// Begins a turn.
    #[inline(always)]
    pub(crate) fn begin(self) -> (Awaited<V>, Promise<V>) {
        let Self { place, half, turn } = self;
        let turn = turn + 1;
        (Awaited { place, turn }, Promise { half, turn })
    }
}

impl<V> Promise<V> {
    /// Leaves the value, and wakes whoever waits for it; gives it back if nobody awaits it any more.
    #[inline(always)]
    pub(crate) fn keep(self, value: V) -> Result<(), V> {
        let Self { half, turn } = self;
        let place = &raw const **half;
        // SAFETY: `half`, which goes into the place below, keeps it alive until the turn is settled. From then on
        // the other side may free it, and this does nothing more with it.
        let place: &Handover<V> = unsafe { &*place };
        let half = Some(half);
        // SAFETY: this is the turn's only promise, and it has not settled the turn (R14).
        unsafe { place.put(Left { value, half }) };
        let (pending, done) = (state(turn - 1, SETTLED), state(turn, SETTLED));
        // ORDERING: edge `settle`. Pairs with the load in `is_settled` and the swap in `abandon`; carries the
        // value.
        let settled =
            place
                .state
                .compare_exchange(pending, done, Ordering::Release, Ordering::Relaxed);
        if settled.is_ok() {
            return Ok(());
        }
        // SAFETY: the turn is not settled: what was put is there, and still the promise's (R14).
        let left = unsafe { place.get() };
        let half = left.half.expect("it was put there");
        Self { half, turn }.keep_and_wake(left.value)
    }

    /// As `keep`, when the other side waits or has gone.
    #[cold]
    fn keep_and_wake(self, value: V) -> Result<(), V> {
        let Self { half, turn } = self;
        let left = Left { value, half: None };
        // SAFETY: as in `keep`.
        unsafe { half.put(left) };
        // ORDERING: edge `settle`. As in `keep`.
        let before = half.state.swap(state(turn, SETTLED), Ordering::Release);
        if before == state(turn, ABANDONED) {
            // SAFETY: nobody awaits the value, so what was put is there, and the promise's (R14).
            return Err(unsafe { half.get() }.value);
        }
        half.wake();
        Ok(())
    }

    /// Whether nobody awaits the value any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.half.state.load(Ordering::Relaxed) == state(self.turn, ABANDONED)
    }
}

impl<V> Awaited<V> {
    /// Whether the value is there.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        // ORDERING: edge `settle`. Pairs with the exchange and the swap of `keep`.
        self.place.state.load(Ordering::Acquire) == state(self.turn, SETTLED)
    }

    /// Takes the value, if it is there.
    #[inline(always)]
    pub(crate) fn take(self) -> Result<(V, Idle<V>), Self> {
        if self.is_settled() {
            Ok(self.take_settled())
        } else {
            Err(self)
        }
    }

    #[inline(always)]
    fn take_settled(self) -> (V, Idle<V>) {
        let Self { place, turn } = self;
        // SAFETY: the turn is settled, and this is its only awaiting side, which goes with this (R14).
        let Left { value, half } = unsafe { place.get() };
        let half = half.unwrap_or_else(|| Arc::clone(&place));
        (value, Idle { place, half, turn })
    }

    /// Awaits the value no longer; gives out one that is there.
    pub(crate) fn abandon(self) -> Option<(V, Idle<V>)> {
        let abandoned = state(self.turn, ABANDONED);
        // ORDERING: edge `settle`. Pairs with the exchange and the swap of `keep`.
        let before = self.place.state.swap(abandoned, Ordering::Acquire);
        (before == state(self.turn, SETTLED)).then(|| {
            // The promise is kept: nobody else writes the state, which the next turn begins with.
            self.place
                .state
                .swap(state(self.turn, SETTLED), Ordering::Relaxed);
            self.take_settled()
        })
    }

    /// Takes a turn back that was not used; the promise is the same turn's.
    pub(crate) fn unite(self, promise: Promise<V>) -> Idle<V> {
        let Promise { half, turn } = promise;
        assert!(
            Arc::ptr_eq(&self.place, &half) && self.turn == turn,
            "the two sides must be of one turn"
        );
        Idle {
            place: self.place,
            half,
            turn: turn - 1,
        }
    }

    /// Has `waiter` woken when the value comes, instead of any other; look once more before you sleep.
    pub(crate) fn enlist(&self, waiter: &Waiter) {
        let before = self.place.waiter.lock().replace(waiter.clone());
        drop(before);
        // Relaxed: the waiter is handed over by its lock, and what is said here is the word itself.
        let _ = self.place.state.compare_exchange(
            state(self.turn - 1, SETTLED),
            state(self.turn, WAITED),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// Has nobody woken.
    pub(crate) fn delist(&self) {
        let before = self.place.waiter.lock().take();
        drop(before);
    }
}

impl<V> fmt::Debug for Promise<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise")
            .field("turn", &self.turn)
            .finish_non_exhaustive()
    }
}

impl<V> fmt::Debug for Awaited<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Awaited")
            .field("turn", &self.turn)
            .finish_non_exhaustive()
    }
}

impl<V> fmt::Debug for Idle<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle")
            .field("turn", &self.turn)
            .finish_non_exhaustive()
    }
}
