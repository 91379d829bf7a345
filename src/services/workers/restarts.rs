//! How often a worker that panicked runs again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often a [`Worker`](crate::Worker) that panicked runs again, and after what pause.
///
/// The pause is the first one after the first panic, and doubles with each that follows, up to the longest. A
/// worker that is restarted up to a number of times [within](Self::within) a time has both its restarts and
/// its pauses forgotten as they get older than that.
///
/// Requests to an instance that a pausing worker serves wait in its mailbox. With
/// [`eject_after`](crate::ServerBuilder::eject_after) one panic, for longer than the pause, they go to others.
///
/// ```
/// use std::time::Duration;
/// use ringbus::Restarts;
///
/// let restarts = Restarts::up_to(5)
///     .within(Duration::from_secs(60))
///     .back_off(Duration::from_millis(10), Duration::from_secs(1));
/// # let _ = restarts;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it is given to a worker's builder"]
pub struct Restarts {
    /// `None`: without end.
    limit: Option<usize>,
    within: Option<Duration>,
    first: Duration,
    longest: Duration,
}

/// What becomes of a worker that panicked and is not restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnFailure {
    /// It ends, and its subscriptions leave.
    #[default]
    Stop,
    /// It ends, and the bus is shut down: every topic closes and every worker is asked to finish. Nobody waits
    /// for them; [`Bus::shutdown`](crate::Bus::shutdown) does.
    Escalate,
}

impl Restarts {
    /// As often as this; after 10 ms at first, and after a second at most.
    pub fn up_to(restarts: usize) -> Self {
        Self {
            limit: Some(restarts),
            within: None,
            first: Duration::from_millis(10),
            longest: Duration::from_secs(1),
        }
    }

    /// As often as it panics; after 10 ms at first, and after a second at most.
    pub fn always() -> Self {
        Self {
            limit: None,
            ..Self::up_to(0)
        }
    }

    /// Counts only the restarts of the last so and so long.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = Some(time);
        self
    }

    /// The first pause, and the longest.
    pub fn back_off(mut self, first: Duration, longest: Duration) -> Self {
        self.first = first;
        self.longest = longest;
        self
    }

    fn pause(&self, restarts: usize) -> Duration {
        let doubled = u32::try_from(restarts).ok().and_then(|restarts| {
            let factor = 1_u32.checked_shl(restarts)?;
            self.first.checked_mul(factor)
        });
        doubled.unwrap_or(self.longest).min(self.longest)
    }
}

/// The restarts that count.
#[derive(Debug)]
pub(crate) struct History {
    restarts: Restarts,
    count: usize,
    /// Their times, if they get old.
    times: VecDeque<Instant>,
}

impl History {
    pub(crate) fn new(restarts: Restarts) -> Self {
        Self {
            restarts,
            count: 0,
            times: VecDeque::new(),
        }
    }

    /// Counts one more, and tells the pause before it; `None` if there must be no more.
    pub(crate) fn restart(&mut self, now: Instant) -> Option<Duration> {
        if let Some(within) = self.restarts.within {
            while self.times.front().is_some_and(|at| now - *at > within) {
                self.times.pop_front();
            }
            self.count = self.times.len();
        }
        if self.restarts.limit.is_some_and(|limit| self.count >= limit) {
            return None;
        }
        let pause = self.restarts.pause(self.count);
        self.count += 1;
        if self.restarts.within.is_some() {
            self.times.push_back(now);
        }
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pauses(restarts: Restarts, at: impl IntoIterator<Item = u32>) -> Vec<Option<u128>> {
        let start = Instant::now();
        let mut history = History::new(restarts);
        at.into_iter()
            .map(|ms| history.restart(start + ms * MS))
            .map(|pause| pause.map(|pause| pause.as_millis()))
            .collect()
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_end_with_the_limit() {
        let restarts = Restarts::up_to(5).back_off(10 * MS, 50 * MS);
        let expected = [Some(10), Some(20), Some(40), Some(50), Some(50), None, None];
        assert_eq!(pauses(restarts, 0..7), expected);
    }

    #[test]
    fn a_thousand_restarts_do_not_overflow() {
        let restarts = Restarts::always().back_off(10 * MS, 50 * MS);
        assert_eq!(pauses(restarts, 0..1000)[999], Some(50));
        let zero = Restarts::always().back_off(Duration::ZERO, 50 * MS);
        assert_eq!(pauses(zero, 0..10)[9], Some(0));
    }

    #[test]
    fn old_restarts_are_forgotten() {
        let restarts = Restarts::up_to(2).within(100 * MS).back_off(MS, 50 * MS);
        let expected = [Some(1), Some(2), None, Some(2), None, Some(1)];
        assert_eq!(pauses(restarts, [0, 50, 100, 101, 102, 500]), expected);
    }

    #[test]
    fn no_restart_is_none() {
        assert_eq!(pauses(Restarts::up_to(0), [0]), [None]);
    }
}
