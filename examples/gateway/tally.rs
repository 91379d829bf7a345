//! Requests by path and status.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How many requests had which answer, by somebody's account; prints as a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally(BTreeMap<&'static str, BTreeMap<u16, u64>>);

impl Tally {
    pub(crate) fn count(&mut self, path: &'static str, status: u16) {
        *self.0.entry(path).or_default().entry(status).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (path, statuses) in &other.0 {
            let own = self.0.entry(path).or_default();
            for (status, count) in statuses {
                *own.entry(*status).or_default() += count;
            }
        }
    }

    pub(crate) fn get(&self, path: &str, status: u16) -> u64 {
        let statuses = self.0.get(path);
        statuses
            .and_then(|statuses| statuses.get(&status))
            .map_or(0, |count| *count)
    }

    /// All answers at a path.
    pub(crate) fn total(&self, path: &str) -> u64 {
        let statuses = self.0.get(path).into_iter();
        statuses.flat_map(BTreeMap::values).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses: BTreeSet<u16> = self.0.values().flat_map(BTreeMap::keys).copied().collect();
        write!(f, "{:<12} {:>8}", "path", "answers")?;
        for status in &statuses {
            write!(f, " {status:>6}")?;
        }
        writeln!(f)?;
        for path in self.0.keys() {
            write!(f, "{path:<12} {:>8}", self.total(path))?;
            for status in &statuses {
                write!(f, " {:>6}", self.get(path, *status))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
