//! The rows of a table, and what may be said of them.

/// The windows of one row, in the order of the rounds.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    nanoseconds: Vec<f64>,
    burst: Vec<f64>,
    empty: Vec<f64>,
}

impl Samples {
    /// Adds a window: its nanoseconds per event, the events of a look that found any, and the looks per
    /// event that found none. The last two tell whether the reader lagged or had caught up.
    pub fn push(&mut self, nanoseconds: f64, burst: f64, empty: f64) {
        self.nanoseconds.push(nanoseconds);
        self.burst.push(burst);
        self.empty.push(empty);
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

    /// Returns the median over the rounds of this row's time to the other's.
    pub fn ratio_to(&self, other: &Row) -> f64 {
        let pairs = self.windows().iter().zip(other.windows());
        percentile(pairs.map(|(ours, theirs)| ours / theirs).collect(), 50)
    }

    /// Returns the median over the rounds of this row's time less the other's.
    pub fn difference_to(&self, other: &Row) -> f64 {
        let pairs = self.windows().iter().zip(other.windows());
        percentile(pairs.map(|(ours, theirs)| ours - theirs).collect(), 50)
    }
}

/// Returns a percentile of these values.
pub fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * percent / 100]
}

/// Returns the fastest mode of a peer, by its median.
///
/// # Panics
///
/// Panics when the peer has no row.
pub fn fastest<'a>(rows: &'a [Row], peer: &str) -> &'a Row {
    rows.iter()
        .filter(|row| row.peer == peer)
        .min_by(|a, b| a.percentile(50).total_cmp(&b.percentile(50)))
        .unwrap_or_else(|| panic!("no row for {peer}"))
}
