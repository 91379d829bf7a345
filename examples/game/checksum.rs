//! What a whole run comes to.

use std::fmt;

/// FNV-1a, a word at a time: the standard hasher may change between versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checksum(u64);

impl Default for Checksum {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Checksum {
    pub(crate) fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        // Multiplying only carries upwards.
        self.0 ^= self.0 >> 32;
    }

    pub(crate) fn vector(&mut self, vector: [f32; 3]) {
        for number in vector {
            self.word(number.to_bits().into());
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
