//! One pinned thread that runs the windows of all peers, interleaved in random order.

use crate::machine;
use crate::plan::{COPIES, Plan};
use crate::stats::{Row, Samples};

/// A window, which returns its nanoseconds per event.
pub type Window = Box<dyn FnMut() -> f64>;

/// One row of the table, with a window for each copy.
pub struct Entry {
    row: Row,
    windows: Vec<Window>,
}

impl Entry {
    /// Makes the copies of a row.
    pub fn new(peer: impl Into<String>, mode: &str, window: impl Fn() -> Window) -> Self {
        Self {
            row: Row::new(peer, mode),
            windows: (0..COPIES).map(|_| window()).collect(),
        }
    }
}

/// Runs the windows of each entry and returns the rows with their samples.
pub fn play(mut entries: Vec<Entry>, plan: &mut Plan) -> Vec<Row> {
    machine::pin(0);
    let mut samples = vec![Samples::default(); entries.len()];
    let mut order: Vec<_> = (0..entries.len()).collect();
    for round in plan.rounds() {
        plan.shuffle.shuffle(&mut order);
        for &index in &order {
            let nanoseconds = (entries[index].windows[round.copy])();
            if round.counts {
                samples[index].push(nanoseconds, 0.0, 0.0);
            }
        }
    }
    let rows = entries.into_iter().map(|entry| entry.row);
    rows.zip(samples).map(|(row, s)| row.with(s)).collect()
}
