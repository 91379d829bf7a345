//! How often something that happens again and again is told.

use std::time::{Duration, Instant};

/// So long without an occurrence, and the next one is a beginning.
const QUIET: Duration = Duration::from_secs(1);

/// Counts occurrences, and says when to tell how many: at the beginning, and each time that they have doubled
/// since.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// Since the beginning.
    count: u64,
    /// Of these, those that were told.
    told: u64,
    last: Option<Instant>,
}

impl Throttle {
    /// Counts occurrences; how many to tell, if it is time to.
    pub(crate) fn count(&mut self, occurrences: u64, now: Instant) -> Option<u64> {
        let quiet = self
            .last
            .is_none_or(|last| now.saturating_duration_since(last) >= QUIET);
        self.last = Some(now);
        let untold = self.count - self.told + occurrences;
        if !quiet && self.count + occurrences < 2 * self.told {
            self.count += occurrences;
            return None;
        }
        // What the last stretch has left untold is told with the beginning of this one.
        let before = if quiet { 0 } else { self.told };
        self.count = before + untold;
        self.told = self.count;
        Some(untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn told(occurrences: impl IntoIterator<Item = (u64, u32)>) -> Vec<Option<u64>> {
        let start = Instant::now();
        let mut throttle = Throttle::default();
        occurrences
            .into_iter()
            .map(|(count, at)| throttle.count(count, start + at * MS))
            .collect()
    }

    #[test]
    fn the_first_is_told_and_then_each_doubling() {
        let expected = [Some(1), Some(1), None, Some(2), None, None, None, Some(4)];
        assert_eq!(told((0..8).map(|at| (1, at))), expected);
    }

    #[test]
    fn a_million_in_a_row_are_told_twenty_times_and_each_once() {
        let doublings = if cfg!(miri) { 10 } else { 20 };
        let told = told((0..1 << doublings).map(|_| (1, 0)));
        let told: Vec<u64> = told.into_iter().flatten().collect();
        let (times, all) = (told.len(), told.iter().sum::<u64>());
        assert_eq!((times, all), (doublings + 1, 1 << doublings));
    }

    #[test]
    fn after_a_quiet_second_the_next_is_a_beginning_and_tells_what_was_left() {
        let occurrences = [(4, 0), (3, 999), (1, 1999), (1, 2000)];
        assert_eq!(told(occurrences), [Some(4), None, Some(4), None]);
    }
}
