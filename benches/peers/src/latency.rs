//! The latencies of a row: of all its windows together, and of each.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The quantiles that are reported, and their names.
pub const QUANTILES: [(f64, &str); 6] = [
    (0.5, "p50"),
    (0.9, "p90"),
    (0.99, "p99"),
    (0.999, "p99.9"),
    (0.9999, "p99.99"),
    (1.0, "max"),
];

/// The latencies of a row, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Latencies {
    all: Histogram<u64>,
    /// The 99.9th percentile of each window.
    tails: Vec<f64>,
}

impl Latencies {
    /// Starts without a latency.
    pub fn new() -> Self {
        // From a nanosecond to a minute, in steps of a thousandth.
        let all = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are valid");
        Self {
            all,
            tails: Vec::new(),
        }
    }

    /// Adds those of a window, and returns their median.
    pub fn window(&mut self, nanoseconds: &[u64]) -> f64 {
        let mut window = Histogram::<u64>::new_from(&self.all);
        for &latency in nanoseconds {
            window.saturating_record(latency);
        }
        self.all.add(&window).expect("both have the same bounds");
        self.tails.push(window.value_at_quantile(0.999) as f64);
        window.value_at_quantile(0.5) as f64
    }

    /// Returns the 99.9th percentile of each window.
    pub fn tails(&self) -> &[f64] {
        &self.tails
    }

    /// Returns how many there are.
    pub fn count(&self) -> u64 {
        self.all.len()
    }

    /// Returns a quantile of the latencies of all windows together.
    pub fn quantile(&self, quantile: f64) -> u64 {
        self.all.value_at_quantile(quantile)
    }

    /// Returns the curve of a plot: quantiles that come closer to one by a quarter of a decade each, as far as
    /// ten latencies are beyond, and the nanoseconds at each.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        let nines = (self.count() as f64 / 10.0).log10().max(0.0);
        (1..=(nines * 4.0) as usize)
            .map(|quarter| 1.0 - 10_f64.powf(quarter as f64 / -4.0))
            .map(|quantile| (quantile, self.quantile(quantile) as f64))
            .collect()
    }

    /// Returns the latencies for a program to read.
    pub fn json(&self) -> Value {
        let quantiles: serde_json::Map<_, _> = QUANTILES
            .iter()
            .map(|&(quantile, name)| (name.to_owned(), json!(self.quantile(quantile))))
            .collect();
        json!({ "count": self.count(), "quantiles": quantiles, "curve": self.curve() })
    }
}
