//! One sequence over several rings.

use crate::sync::{Arc, AtomicU64, CachePadded, Mutex, MutexGuard, Ordering};

/// Gives out places: one to each event of all rings that share it, in the order in which they are claimed.
///
/// ```text
/// publisher, under the lock              merging reader
/// places[sequence] = next                before = next                      (edge `place`)
/// tail = sequence + 1                    each ring: its next event, its tail
/// next += 1                              hand out places below `before`, the smallest first
/// ```
///
/// A claim of a place below `before` is one whose tail the reader sees. So a ring whose tail the reader has
/// reached brings nothing below `before` any more, and a claim that is not filled yet is seen to be coming.
#[derive(Debug)]
pub(crate) struct Sequencer {
    /// Held for a claim: the place and the ring's sequence are taken together.
    claims: Mutex<()>,
    /// The next place; written under the lock.
    next: CachePadded<AtomicU64>,
}

/// The places of the events in one ring, and its stop, beside the slots.
///
/// A place is written by the claim and protected as its slot is: it stays until the reader has passed the
/// event, or for as long as it has it pinned. The places of holes mean nothing.
#[derive(Debug)]
pub(crate) struct Places {
    sequencer: Arc<Sequencer>,
    /// The stop of this ring's publishers; used under the lock, which carries what the plan saw. The ring's own
    /// limit stays behind its tail, so that no publisher claims without the lock.
    stop: AtomicU64,
    of: Box<[AtomicU64]>,
}

/// The lock of a sequencer, held.
pub(crate) struct Placing<'a> {
    places: &'a Places,
    next: u64,
    _claims: MutexGuard<'a, ()>,
}

impl Sequencer {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            claims: Mutex::new(()),
            next: CachePadded::new(AtomicU64::new(0)),
        })
    }

    /// The next place; whatever has a smaller one is seen to be claimed from here on.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        // ORDERING: edge `place`. Pairs with the store in `Placing::drop`; carries the tails and the places
        // of every smaller place, those of other publishers by way of the lock.
        self.next.load(Ordering::Acquire)
    }
}

impl Places {
    pub(crate) fn new(sequencer: &Arc<Sequencer>, slots: u64, first: u64) -> Self {
        Self {
            sequencer: Arc::clone(sequencer),
            stop: AtomicU64::new(first),
            of: (0..slots).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Takes the lock.
    pub(crate) fn lock(&self) -> Placing<'_> {
        let claims = self.sequencer.claims.lock();
        Placing {
            places: self,
            next: self.sequencer.next.load(Ordering::Relaxed),
            _claims: claims,
        }
    }

    /// The place of the event at a sequence.
    #[inline]
    pub(crate) fn get(&self, sequence: u64) -> u64 {
        self.of(sequence).load(Ordering::Relaxed)
    }

    #[inline]
    fn of(&self, sequence: u64) -> &AtomicU64 {
        // The length is a power of two.
        &self.of[sequence as usize & (self.of.len() - 1)]
    }
}

impl Placing<'_> {
    pub(crate) fn stop(&self) -> u64 {
        self.places.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn set_stop(&self, stop: u64) {
        self.places.stop.store(stop, Ordering::Relaxed);
    }

    /// Gives the next place to a sequence that is being claimed.
    #[inline]
    pub(crate) fn place(&mut self, sequence: u64) {
        self.places.of(sequence).store(self.next, Ordering::Relaxed);
        self.next += 1;
    }
}

/// Tells readers of what was claimed, then gives the lock back.
impl Drop for Placing<'_> {
    #[inline]
    fn drop(&mut self) {
        // ORDERING: edge `place`. Pairs with the load in `Sequencer::next`; carries the claim.
        self.places
            .sequencer
            .next
            .store(self.next, Ordering::Release);
    }
}
