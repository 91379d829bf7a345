//! One member of the ring: how far it has read, what it holds, what it has lost.

use crate::sync::{AtomicU64, Counter, Ordering};

/// How a member stands to publishers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Publishers wait for it.
    Gating,
    /// Publishers push its cursor forward when it is in the way.
    Pushable,
    /// Publishers end its membership when it is in the way.
    Expendable,
    /// No member: the seat is empty, or publishers have ended the membership.
    Gone,
}

/// The next sequence a member takes, and its standing: `{ sequence: 62 bits, standing: 2 bits }`.
///
/// Both change in one store, so a publisher never applies one member's standing to another's sequence
/// when a seat is taken again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor(u64);

impl Cursor {
    /// The cursor of an empty seat, and of a post that protects nothing.
    pub(crate) const NOBODY: Self = Self(u64::MAX);

    #[inline]
    pub(crate) fn new(next: u64, standing: Standing) -> Self {
        Self((next << 2) | standing as u64)
    }

    #[inline]
    pub(crate) fn next(self) -> u64 {
        self.0 >> 2
    }

    #[inline]
    pub(crate) fn standing(self) -> Standing {
        match self.0 & 0b11 {
            0 => Standing::Gating,
            1 => Standing::Pushable,
            2 => Standing::Expendable,
            _ => Standing::Gone,
        }
    }
}

/// The slots a lossy member is reading: `{ first index: 32 bits, length: 32 bits }`, 0 for none.
///
/// Slots, not sequences: a publisher that meets a pin many laps later still knows which slots it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pin(u64);

impl Pin {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn new(first_index: u64, length: u64) -> Self {
        Self((first_index << 32) | length)
    }

    pub(crate) fn first_index(self) -> u64 {
        self.0 >> 32
    }

    pub(crate) fn length(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }
}

/// What one member and the publishers tell each other.
///
/// A group has one whose cursor its workers move by compare-exchange, whatever its standing, and for each
/// portion one that is called its post: that of a lossless group stands at the portion's first sequence, that
/// of a lossy one has a pin and no cursor.
#[derive(Debug)]
pub(crate) struct Member {
    /// A [`Cursor`]. A gating reader's is written by that member alone. The others' are words that the
    /// member advances (claiming what it passes) and a publisher pushes, both by compare-exchange.
    cursor: AtomicU64,
    /// A [`Pin`], written by the member.
    pin: AtomicU64,
    /// Tells the members of one seat apart, for those who come after one of them: `{ number: 63 bits, whether what
    /// publishers take from it is missed: 1 bit }`.
    generation: AtomicU64,
    /// Events that publishers took from this member; written by the one publisher that plans.
    lost: AtomicU64,
    /// The sequence up to which `lost` is counted; trails the cursor for the time of one push.
    counted: AtomicU64,
    /// The thread that read last; 0: none yet. A word of the protocol, where a ring is succeeded.
    reader: AtomicU64,
    /// The thread that opened the member.
    pub(crate) opener: Counter,
    /// The first sequence of the membership, and what became of the sequences since.
    pub(crate) joined: Counter,
    pub(crate) lost_before_joining: Counter,
    pub(crate) pushed_over_before_joining: Counter,
    pub(crate) delivered: Counter,
    pub(crate) filtered: Counter,
    pub(crate) conflated: Counter,
    pub(crate) holes: Counter,
    /// Holes that publishers pushed the cursor over.
    pub(crate) pushed_over: Counter,
    /// Events that the member has claimed and not taken yet.
    pub(crate) claimed: Counter,
}

/// One word more would make each padded seat twice as large.
const _: () = assert!(size_of::<Member>() <= 16 * size_of::<AtomicU64>());

impl Member {
    pub(crate) fn empty() -> Self {
        Self {
            cursor: AtomicU64::new(Cursor::NOBODY.0),
            pin: AtomicU64::new(Pin::NONE.0),
            generation: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            reader: AtomicU64::new(0),
            opener: Counter::default(),
            joined: Counter::default(),
            lost_before_joining: Counter::default(),
            pushed_over_before_joining: Counter::default(),
            pushed_over: Counter::default(),
            claimed: Counter::default(),
            delivered: Counter::default(),
            filtered: Counter::default(),
            conflated: Counter::default(),
            holes: Counter::default(),
        }
    }

    /// Takes the empty seat; from here on publishers see the member.
    pub(crate) fn enter(&self, cursor: Cursor, opener: u64) {
        self.enter_to(false, cursor, opener);
    }

    /// As `enter`; what publishers take from the member is missed, or is not.
    pub(crate) fn enter_to(&self, miss: bool, cursor: Cursor, opener: u64) {
        // Only the owner of the seat writes it. Before the cursor, so that who sees the new member's cursor
        // sees that it is another member's.
        let number = (self.generation.load(Ordering::Relaxed) >> 1) + 1;
        let generation = (number << 1) | u64::from(miss);
        // ORDERING: edge `again`. Pairs with the load in `generation`: the last member has left.
        self.generation.store(generation, Ordering::Release);
        self.lost.store(0, Ordering::Relaxed);
        self.counted.store(cursor.next(), Ordering::Relaxed);
        self.opener.set(opener);
        self.reader.store(0, Ordering::Relaxed);
        self.delivered.set(0);
        self.filtered.set(0);
        self.conflated.set(0);
        self.holes.set(0);
        self.pushed_over.set(0);
        self.claimed.set(0);
        // ORDERING: edge `enter`. Pairs with the load in `cursor`: a publisher that sees the member sees
        // its words in their first state.
        self.cursor.store(cursor.0, Ordering::Release);
    }

    /// The thread that read last; 0 before the first one.
    pub(crate) fn reader(&self) -> u64 {
        self.reader.load(Ordering::Relaxed)
    }

    pub(crate) fn note_reader(&self, thread: u64) {
        // An exchange beside the one below: the checker lets a plain store be followed by what that found.
        self.reader.swap(thread, Ordering::Relaxed);
    }

    /// Notes a thread that may have been there before the one that is noted already, if any is.
    pub(crate) fn note_earlier_reader(&self, thread: u64) {
        let _ = self
            .reader
            .compare_exchange(0, thread, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Which of the members of its seat this is.
    pub(crate) fn generation(&self) -> u64 {
        // ORDERING: edge `again`. Pairs with the store in `enter_to`.
        self.generation.load(Ordering::Acquire)
    }

    /// Whether what publishers take from the member is missed; of the member whose cursor the caller has seen.
    pub(crate) fn misses(&self) -> bool {
        self.generation.load(Ordering::Relaxed) & 1 != 0
    }

    #[inline]
    pub(crate) fn cursor(&self) -> Cursor {
        // ORDERING: edges `release`, `claim`, `enter`, `after`. Pairs with `advance`, `rest`, `try_move`, `leave`,
        // `enter_to`: the member is done with what it has passed, or has pinned it.
        Cursor(self.cursor.load(Ordering::Acquire))
    }

    /// Tells publishers, and members that come after it, that a gating member is done with everything before
    /// `next`.
    #[inline]
    pub(crate) fn advance(&self, next: u64) {
        // ORDERING: edges `release`, `after`. Pairs with the load in `cursor`; carries "these slots are free"
        // and what the member did with their events.
        self.cursor
            .store(Cursor::new(next, Standing::Gating).0, Ordering::Release);
    }

    /// Tells publishers that a post is done with what it protected.
    #[inline]
    pub(crate) fn rest(&self) {
        // ORDERING: edge `release`. Pairs with the load in `cursor`; carries "these slots are free".
        self.cursor.store(Cursor::NOBODY.0, Ordering::Release);
    }

    /// Moves the cursor of a group, or of a pushable or expendable member, unless it has moved.
    #[inline]
    pub(crate) fn try_move(&self, from: Cursor, to: Cursor) -> bool {
        // ORDERING: edge `claim`. As the member's: pairs with the load in `cursor`, which then also sees
        // the pin stored before. As the publisher's: continues the member's release sequence.
        self.cursor
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Leaves the seat; tells where the membership ended.
    pub(crate) fn leave(&self) -> Cursor {
        self.set_pin(Pin::NONE);
        // ORDERING: edges `release`, `after`. Pairs with the load in `cursor`: all reads and edits are done.
        Cursor(self.cursor.swap(Cursor::NOBODY.0, Ordering::AcqRel))
    }

    pub(crate) fn pin(&self) -> Pin {
        // ORDERING: edge `unpin`. Pairs with the store in `set_pin`.
        Pin(self.pin.load(Ordering::Acquire))
    }

    /// Says which slots the member reads from now on; `NONE` when it is done.
    pub(crate) fn set_pin(&self, pin: Pin) {
        // ORDERING: edge `unpin`. Pairs with the load in `pin`: the reads under the pin before this one
        // are done. Every store of this word releases, so that any later pin carries it too.
        self.pin.store(pin.0, Ordering::Release);
    }

    /// Counts what a publisher took by moving the cursor to `next`.
    pub(crate) fn count_lost(&self, lost: u64, holes: u64, next: u64) {
        self.pushed_over.set(self.pushed_over.get() + holes);
        let before = self.lost.load(Ordering::Relaxed);
        self.lost.store(before + lost, Ordering::Relaxed);
        // ORDERING: edge `count`. Pairs with the load in `lost_before`; carries the count.
        self.counted.store(next, Ordering::Release);
    }

    /// The events lost before `next`, once the publisher that pushed there has counted them.
    ///
    /// If the cursor has been pushed on since, the answer covers that too; a claim from `next` then fails.
    pub(crate) fn lost_before(&self, next: u64) -> Option<u64> {
        // ORDERING: edge `count`. Pairs with the store in `count_lost`.
        (self.counted.load(Ordering::Acquire) >= next).then(|| self.lost())
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
