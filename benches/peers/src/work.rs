//! Work of a known length that touches no memory, to pace a publisher.

use std::hint::black_box;
use std::time::Instant;

/// Does this many multiplications, each of which needs the one before; returns the last for the next
/// call to go on from, as calls that are independent overlap.
#[inline(always)]
pub fn work(turns: u32, seed: u64) -> u64 {
    let mut value = seed | 1;
    for _ in 0..turns {
        value = value.wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ (value >> 32);
    }
    black_box(value)
}

/// Returns the turns of [`work`] that take about this long.
pub fn turns_for(nanoseconds: f64) -> u32 {
    const TURNS: u32 = 100_000;
    // The fastest of several: an interruption only ever makes a try longer.
    let fastest = (0..50)
        .map(|seed| {
            let start = Instant::now();
            black_box(work(TURNS, seed));
            start.elapsed().as_nanos()
        })
        .min()
        .expect("there is at least one try");
    (nanoseconds * f64::from(TURNS) / fastest.max(1) as f64).ceil() as u32
}
