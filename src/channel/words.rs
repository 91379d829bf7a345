//! A value as words that one thread stores and any number load, without waiting for each other.

use crate::sync::{AtomicU64, CachePadded, Ordering, fence};

/// The newest value with its version, and a few older ones, in cells that are stored to in turn.
///
/// ```text
/// writer, one at a time                reader
/// cell.turn = turn      Relaxed        turn = newest         Acquire
/// fence                 Release        cell.words            Relaxed
/// cell.words            Relaxed        fence                 Acquire
/// newest = turn         Release        cell.turn == turn?    Relaxed
/// ```
///
/// A reader that has loaded a word of a later turn sees that turn in the cell, and loads again: the writer has
/// then come round to the same cell. A writer that is stopped in the middle stands in a cell that no reader
/// starts with. So loading is lock-free, and never waits.
#[derive(Debug)]
pub(crate) struct Words {
    /// The turn of the newest value; its cell is the turn modulo the number of cells.
    newest: CachePadded<AtomicU64>,
    /// The first word of the value: all there is to it, if it is no larger.
    first: AtomicU64,
    /// Each cell is as many lines; its words are `{ turn, version, value... }`.
    lines: Box<[Line]>,
    lines_of_cell: usize,
    /// The number of cells, a power of two, less one.
    mask: u64,
}

type Line = CachePadded<[AtomicU64; WORDS]>;

/// Words in a line of the cache.
const WORDS: usize = 8;

/// Bytes in a word.
const BYTES: usize = size_of::<u64>();

/// A reader loads again when this many values have been stored, or begun, while it loaded one.
pub(crate) const CELLS: usize = 8;

const TURN: usize = 0;
const VERSION: usize = 1;
const VALUE: usize = 2;

impl Words {
    /// Room for values of `bytes` bytes in `cells` cells, with its first value.
    pub(crate) fn new(cells: usize, version: u64, value: &[u8]) -> Self {
        debug_assert!(cells.is_power_of_two());
        let lines_of_cell = (VALUE + value.len().div_ceil(BYTES)).div_ceil(WORDS);
        let line = || CachePadded::new(std::array::from_fn(|_| AtomicU64::new(0)));
        let words = Self {
            newest: CachePadded::new(AtomicU64::new(0)),
            first: AtomicU64::new(0),
            lines: (0..lines_of_cell * cells).map(|_| line()).collect(),
            lines_of_cell,
            mask: cells as u64 - 1,
        };
        words.store(version, value);
        words
    }

    /// Stores a value; the caller sees to it that one thread does at a time.
    #[inline]
    pub(crate) fn store(&self, version: u64, value: &[u8]) {
        let turn = self.newest.load(Ordering::Relaxed) + 1;
        let cell = self.cell(turn);
        word(cell, TURN).store(turn, Ordering::Relaxed);
        // ORDERING: edge `lap`. Pairs with the fence in `try_load`: who loads a word of this turn sees the turn.
        fence(Ordering::Release);
        word(cell, VERSION).store(version, Ordering::Relaxed);
        for (index, bytes) in value.chunks(BYTES).enumerate() {
            word(cell, VALUE + index).store(pack(bytes), Ordering::Relaxed);
        }
        // ORDERING: edge `newest`. Pairs with the load in `try_load`; carries the cell.
        self.newest.store(turn, Ordering::Release);
        if let Some(bytes) = value.chunks(BYTES).next() {
            // ORDERING: edge `first`. Pairs with the load in `load_first`; carries `newest`, so that who loads
            // the word alone and then the cell does not go back.
            self.first.store(pack(bytes), Ordering::Release);
        }
    }

    /// Loads the newest value into `value` and tells its version.
    #[inline]
    pub(crate) fn load(&self, value: &mut [u8]) -> u64 {
        loop {
            if let Some(version) = self.try_load(value) {
                return version;
            }
        }
    }

    /// As `load`; `None` when the writer has come round to the same cell, and `value` is then anything.
    #[inline]
    pub(crate) fn try_load(&self, value: &mut [u8]) -> Option<u64> {
        // ORDERING: edge `newest`. Pairs with the store in `store`: no word is older than this turn's.
        let turn = self.newest.load(Ordering::Acquire);
        let cell = self.cell(turn);
        let version = word(cell, VERSION).load(Ordering::Relaxed);
        for (index, bytes) in value.chunks_mut(BYTES).enumerate() {
            unpack(word(cell, VALUE + index).load(Ordering::Relaxed), bytes);
        }
        // ORDERING: edge `lap`. Pairs with the fence in `store`: no word is newer if the turn is not.
        fence(Ordering::Acquire);
        (word(cell, TURN).load(Ordering::Relaxed) == turn).then_some(version)
    }

    /// Loads a value of at most one word, without its version.
    #[inline]
    pub(crate) fn load_first(&self, value: &mut [u8]) {
        debug_assert!(value.len() <= BYTES);
        // ORDERING: edge `first`. Pairs with the store in `store`.
        unpack(self.first.load(Ordering::Acquire), value);
    }

    #[inline]
    fn cell(&self, turn: u64) -> &[Line] {
        let first = (turn & self.mask) as usize * self.lines_of_cell;
        &self.lines[first..first + self.lines_of_cell]
    }
}

#[inline]
fn word(cell: &[Line], index: usize) -> &AtomicU64 {
    &cell[index / WORDS][index % WORDS]
}

#[inline]
fn pack(bytes: &[u8]) -> u64 {
    let mut word = [0; BYTES];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(word)
}

#[inline]
fn unpack(word: u64, bytes: &mut [u8]) {
    let length = bytes.len();
    bytes.copy_from_slice(&word.to_ne_bytes()[..length]);
}
