//! The rows of a table, and what may be said of them.

use crate::latency::Latencies;
use crate::shuffle::Shuffle;

/// The windows of one row, in the order of the rounds.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    nanoseconds: Vec<f64>,
    burst: Vec<f64>,
    empty: Vec<f64>,
    spans: Vec<f64>,
    latencies: Option<Latencies>,
}

impl Samples {
    /// Adds a window: its nanoseconds per event, the events of a look that found any, and the looks per
    /// event that found none. The last two tell whether the reader lagged or had caught up.
    pub fn push(&mut self, nanoseconds: f64, burst: f64, empty: f64) {
        self.nanoseconds.push(nanoseconds);
        self.burst.push(burst);
        self.empty.push(empty);
    }

    /// Adds how long a window of two threads took, in nanoseconds per event.
    pub fn span(&mut self, nanoseconds: f64) {
        self.spans.push(nanoseconds);
    }

    /// Adds the latencies of a window, and returns their median.
    pub fn latencies(&mut self, nanoseconds: &[u64]) -> f64 {
        let latencies = self.latencies.get_or_insert_with(Latencies::new);
        latencies.window(nanoseconds)
    }
}

/// A peer in one of its modes.
#[derive(Clone, Debug)]
pub struct Row {
    /// The peer, and the load where a scenario has several.
    pub peer: String,
    /// How the peer is used.
    pub mode: String,
    samples: Samples,
    /// What [`Row::less`] has taken off.
    taken_off: f64,
}

impl Row {
    /// Names a row, without samples yet.
    pub fn new(peer: impl Into<String>, mode: impl Into<String>) -> Self {
        Self {
            peer: peer.into(),
            mode: mode.into(),
            samples: Samples::default(),
            taken_off: 0.0,
        }
    }

    /// Returns the peer and its mode.
    pub fn name(&self) -> String {
        format!("{}, {}", self.peer, self.mode)
    }

    /// Sets the samples.
    pub fn with(self, samples: Samples) -> Self {
        Self { samples, ..self }
    }

    /// Returns the row less this time in each window.
    pub fn less(&self, nanoseconds: f64) -> Row {
        let windows = self.windows().iter();
        let samples = Samples {
            nanoseconds: windows.map(|whole| whole - nanoseconds).collect(),
            ..self.samples.clone()
        };
        Row {
            taken_off: nanoseconds,
            ..Row::new(self.peer.clone(), self.mode.clone()).with(samples)
        }
    }

    /// Returns the latencies, if the row has any.
    pub fn latencies(&self) -> Option<&Latencies> {
        self.samples.latencies.as_ref()
    }

    /// Returns a percentile of how long the windows took, in nanoseconds per event.
    pub fn span(&self, percent: usize) -> f64 {
        percentile(self.samples.spans.clone(), percent)
    }

    /// Returns a row of the 99.9th percentiles of the latencies of each window.
    pub fn tail(&self) -> Row {
        let latencies = self.latencies().expect("the row has latencies");
        let samples = Samples {
            nanoseconds: latencies.tails().to_vec(),
            ..Samples::default()
        };
        Row::new(self.peer.clone(), format!("{}, p99.9", self.mode)).with(samples)
    }

    /// Returns the nanoseconds per event, one for each window.
    pub fn windows(&self) -> &[f64] {
        &self.samples.nanoseconds
    }

    /// Returns a percentile of the nanoseconds per event.
    pub fn percentile(&self, percent: usize) -> f64 {
        percentile(self.windows().to_vec(), percent)
    }

    /// Returns the median of the events of a look that found any.
    pub fn burst(&self) -> f64 {
        percentile(self.samples.burst.clone(), 50)
    }

    /// Returns the median of the empty looks per event.
    pub fn empty(&self) -> f64 {
        percentile(self.samples.empty.clone(), 50)
    }

    /// Returns the share of windows above ten times the fifth percentile, both with what was taken off:
    /// the noise of this row.
    pub fn noise(&self) -> f64 {
        let limit = 10.0 * (self.percentile(5) + self.taken_off) - self.taken_off;
        let above = self.windows().iter().filter(|&&w| w > limit).count();
        above as f64 / self.windows().len() as f64
    }

    /// Returns this row's time to the other's, in each round.
    pub fn ratios_to(&self, other: &Row) -> Vec<f64> {
        let pairs = self.windows().iter().zip(other.windows());
        pairs.map(|(ours, theirs)| ours / theirs).collect()
    }

    /// Returns this row's time less the other's, in each round.
    pub fn differences_to(&self, other: &Row) -> Vec<f64> {
        let pairs = self.windows().iter().zip(other.windows());
        pairs.map(|(ours, theirs)| ours - theirs).collect()
    }
}

/// Returns a percentile of these values.
pub fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * percent / 100]
}

/// Returns the bounds between which the median lies in 95 of 100 samples drawn from these values: the
/// bootstrap's interval.
pub fn median_interval(values: &[f64]) -> [f64; 2] {
    const SAMPLES: usize = 400;
    // The same draw for the same values, whenever it is made.
    let mut draw = Shuffle::new(1);
    let mut medians: Vec<_> = (0..SAMPLES)
        .map(|_| {
            let sample = (0..values.len()).map(|_| values[draw.below(values.len())]);
            percentile(sample.collect(), 50)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    [medians[SAMPLES / 40], medians[SAMPLES - 1 - SAMPLES / 40]]
}

/// Returns the row of these peers that is the fastest at this percentile of its windows, whatever its mode.
///
/// # Panics
///
/// Panics when none of the peers has a row.
pub fn fastest<'a>(rows: &'a [Row], peers: &[&str], percent: usize) -> &'a Row {
    rows.iter()
        .filter(|row| peers.contains(&row.peer.as_str()))
        .min_by(|a, b| a.percentile(percent).total_cmp(&b.percentile(percent)))
        .unwrap_or_else(|| panic!("no row for {}", peers.join(", ")))
}
