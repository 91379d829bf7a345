//! Which of many sources are ready, and the sleep of the one thread that looks after them.

use std::fmt;
use std::time::Instant;

use super::{Arc, AtomicBool, AtomicU64, CachePadded, OnceCell, Ordering, Parker};

/// Words of 64 bits. More sources than bits share them: a bit says "look at these".
const WORDS: usize = if cfg!(ringbus_loom) { 1 } else { 32 };

/// How many bits a ready set has; source `i` has bit `i` modulo this.
pub(crate) const BITS: usize = WORDS * 64;

/// Somebody called, for no source in particular.
const CALLED: u64 = 1 << 62;
/// The thread sleeps; whoever finds this alone in the summary wakes it.
const PARKED: u64 = 1 << 63;

/// Marks that many threads set and one takes.
///
/// ```text
/// ringer                                 owner
/// bits[w] |= bit                         marks = summary.swap(0)
/// before = summary |= { word w }         for each word in marks: bits[w].swap(0)
/// before == { PARKED } -> unpark         nothing: summary 0 -> { PARKED }, or look again; park
/// ```
///
/// What decides about sleep and wake-up is in one word, so no fence is needed: either the ringer finds
/// `PARKED`, or the owner's exchange from 0 fails.
///
/// An owner whose sources are together one source of somebody else does not sleep here. It names the other to
/// the alarm, and [watches](Self::watch) instead of parking: the summary gets `PARKED`. Who finds it there
/// alone wakes the other; until then the owner takes nothing.
pub(crate) struct ReadySet {
    /// `{ parked: 1 bit, called: 1 bit, word with a mark: 1 bit each }`
    summary: CachePadded<AtomicU64>,
    bits: [AtomicU64; WORDS],
    parker: Parker,
    /// How to wake the owner when it sleeps in somebody else's select instead of the parker.
    alarm: OnceCell<Box<dyn Fn() + Send + Sync>>,
}

/// What the owner took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Somebody called.
    pub(crate) called: bool,
}

/// One source's way to mark itself in a ready set.
#[derive(Debug)]
pub(crate) struct Bell {
    set: Arc<ReadySet>,
    index: Option<usize>,
    /// Whether the bell hangs in a wait set. Only a hint for the owner, who would hang it there twice; the
    /// mark that follows carries everything else.
    armed: AtomicBool,
}

impl ReadySet {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            summary: CachePadded::new(AtomicU64::new(0)),
            bits: std::array::from_fn(|_| AtomicU64::new(0)),
            parker: Parker::new(),
            alarm: OnceCell::new(),
        })
    }

    /// Marks a source.
    pub(crate) fn ring(&self, index: usize) {
        let bit = index % BITS;
        // ORDERING: edge `ring`. Pairs with the swap in `take`; carries what made the source ready.
        self.bits[bit / 64].fetch_or(1 << (bit % 64), Ordering::Release);
        self.mark(1 << (bit / 64));
    }

    /// Has the owner look around.
    pub(crate) fn call(&self) {
        self.mark(CALLED);
    }

    /// As `call`, but wakes nobody; tells whether the owner sleeps, and is to be woken.
    pub(crate) fn call_quietly(&self) -> bool {
        self.mark_quietly(CALLED)
    }

    fn mark(&self, mark: u64) {
        if self.mark_quietly(mark) {
            self.wake();
        }
    }

    fn mark_quietly(&self, mark: u64) -> bool {
        // ORDERING: edges `ring`, `park`, `watch`. Pairs with the swap in `take`, the exchange in `park_by` and
        // the or in `watch`.
        self.summary.fetch_or(mark, Ordering::AcqRel) == PARKED
    }

    /// Wakes the owner that was found to sleep.
    pub(crate) fn wake(&self) {
        self.parker.unpark();
        if let Some(alarm) = self.alarm.get() {
            alarm();
        }
    }

    /// Whether there is a mark to take.
    #[inline]
    pub(crate) fn is_marked(&self) -> bool {
        self.summary.load(Ordering::Relaxed) != 0
    }

    /// As `is_marked`, for an owner that may be watching.
    #[inline]
    pub(crate) fn is_rung(&self) -> bool {
        self.summary.load(Ordering::Relaxed) & !PARKED != 0
    }

    /// Takes all marks, telling the marked bits to `marked`.
    pub(crate) fn take(&self, mut marked: impl FnMut(usize)) -> Taken {
        // ORDERING: edge `ring`. Pairs with the or in `mark_quietly`.
        let mut marks = self.summary.swap(0, Ordering::Acquire);
        let called = marks & CALLED != 0;
        marks &= !(CALLED | PARKED);
        while marks != 0 {
            let word = marks.trailing_zeros() as usize;
            marks &= marks - 1;
            // ORDERING: edge `ring`. Pairs with the or in `ring`.
            let mut bits = self.bits[word].swap(0, Ordering::Acquire);
            while bits != 0 {
                marked(word * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
        Taken { called }
    }

    /// Sleeps until there is a mark, or until `deadline`. May return early.
    pub(crate) fn park(&self, deadline: Option<Instant>) {
        self.park_by(|| {
            self.parker.park(deadline);
        });
    }

    /// Sleeps by calling `sleep`, which the alarm ends, unless there is a mark already.
    pub(crate) fn park_by(&self, sleep: impl FnOnce()) {
        // ORDERING: edge `park`. Pairs with the or in `mark_quietly`: who finds `PARKED` sees the alarm that was set
        // before. What the marks carry is read by `take`.
        let parked = self
            .summary
            .compare_exchange(0, PARKED, Ordering::Release, Ordering::Relaxed);
        if parked.is_ok() {
            sleep();
            self.summary.fetch_and(!PARKED, Ordering::Relaxed);
        }
    }

    /// Asks for the alarm at the next mark, and does not sleep; false if there is a mark already. What the
    /// alarm wakes must be known to it before.
    pub(crate) fn watch(&self) -> bool {
        // ORDERING: edge `watch`. Pairs with the or in `mark_quietly`: who finds `PARKED` sees whom the alarm
        // is to wake. An or, so that it follows every mark that it does not see, also when it was asked before.
        self.summary.fetch_or(PARKED, Ordering::Release) & !PARKED == 0
    }

    /// Does without the alarm again.
    pub(crate) fn unwatch(&self) {
        self.summary.fetch_and(!PARKED, Ordering::Relaxed);
    }

    /// Sets what wakes an owner that sleeps in somebody else's select; only the first one counts.
    pub(crate) fn set_alarm(&self, alarm: impl Fn() + Send + Sync + 'static) {
        let _ = self.alarm.set(Box::new(alarm));
    }
}

impl fmt::Debug for ReadySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadySet").finish_non_exhaustive()
    }
}

impl Bell {
    /// A source's bell; without an index it only calls.
    pub(crate) fn new(set: &Arc<ReadySet>, index: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            set: Arc::clone(set),
            index,
            armed: AtomicBool::new(false),
        })
    }

    /// Marks the source.
    pub(crate) fn ring(&self) {
        // Before the mark, so that an owner who sees the mark may hang the bell up again.
        self.armed.swap(false, Ordering::Relaxed);
        match self.index {
            Some(index) => self.set.ring(index),
            None => self.set.call(),
        }
    }

    /// Notes that the bell is hung up; false if it still was.
    pub(crate) fn arm(&self) -> bool {
        !self.armed.swap(true, Ordering::Relaxed)
    }

    /// Notes that its owner took it down.
    pub(crate) fn disarm(&self) {
        self.armed.swap(false, Ordering::Relaxed);
    }
}
