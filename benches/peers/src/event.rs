//! The event every peer carries, and the check of what arrives.

/// The number of events a channel may hold.
pub const CAPACITY: usize = 1024;

/// The number of events in one batch.
pub const BATCH: usize = 16;

/// The distance between two neighbouring words of an event. Odd, so that no two words of a run of
/// events are alike.
const STRIDE: u64 = 0x9E37_79B9_7F4A_7C15;

/// An event of 64 bytes, or of as many words as a scenario asks for. Word `i` is `sequence + i * STRIDE`, so
/// that the sum over all words of a window shows a word that is missing, torn or from another lap.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Event<const WORDS: usize = 8> {
    words: [u64; WORDS],
}

const _: () = assert!(size_of::<Event>() == 64);

impl<const WORDS: usize> Event<WORDS> {
    /// Creates the event of this sequence.
    #[inline(always)]
    pub fn new(sequence: u64) -> Self {
        Self {
            words: std::array::from_fn(|i| sequence.wrapping_add(STRIDE.wrapping_mul(i as u64))),
        }
    }

    /// Returns the sequence it was created with.
    #[inline(always)]
    pub fn sequence(&self) -> u64 {
        self.words[0]
    }

    /// Hashes all words, each on top of the one before.
    #[inline(always)]
    pub fn hash(&self) -> u64 {
        self.words.iter().fold(0, |hash, &word| {
            let mixed = (hash ^ word).wrapping_mul(0xD6E8_FEB8_6659_FD93);
            mixed ^ (mixed >> 32)
        })
    }
}

impl<const WORDS: usize> Default for Event<WORDS> {
    /// Returns what some peers fill their slots with.
    fn default() -> Self {
        Self::new(0)
    }
}

/// The sequence and the sum of the events of one window, seen in order.
#[derive(Debug)]
pub struct Check<const WORDS: usize = 8> {
    first: u64,
    next: u64,
    /// Bits in which an event's sequence differed from the expected one.
    wrong: u64,
    sum: u64,
}

impl<const WORDS: usize> Check<WORDS> {
    /// Starts a window at this sequence.
    #[inline(always)]
    pub fn new(first: u64) -> Self {
        Self {
            first,
            next: first,
            wrong: 0,
            sum: 0,
        }
    }

    /// Takes the next event into account.
    #[inline(always)]
    pub fn see(&mut self, event: &Event<WORDS>) {
        self.wrong |= event.words[0] ^ self.next;
        self.next += 1;
        self.sum = event
            .words
            .iter()
            .fold(self.sum, |sum, &word| sum.wrapping_add(word));
    }

    /// Returns the number of events seen.
    #[inline(always)]
    pub fn count(&self) -> u64 {
        self.next - self.first
    }

    /// Ends the window.
    ///
    /// # Panics
    ///
    /// Panics unless exactly `count` events were seen, in order and whole.
    #[inline(always)]
    pub fn verify(&self, count: u64) {
        assert_eq!(self.count(), count, "events lost or repeated");
        assert_eq!(self.wrong, 0, "events out of order");
        // `WORDS` times the sum of the sequences, and `0 + 1 + .. + (WORDS - 1)` strides in each event.
        let words = WORDS as u64;
        let sequences = self.first.wrapping_mul(count) + count * (count - 1) / 2;
        let strides = STRIDE
            .wrapping_mul(words * (words - 1) / 2)
            .wrapping_mul(count);
        let expected = sequences.wrapping_mul(words).wrapping_add(strides);
        assert_eq!(self.sum, expected, "an event arrived damaged");
    }
}
