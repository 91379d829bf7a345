//! What is printed and written.

use std::fmt;

use serde_json::{Value, json};

use crate::stats::{Row, fastest};

/// How one row is held against another.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A multiple of the other's time.
    Ratio,
    /// Nanoseconds above the other's time.
    Difference,
}

/// What is asked of one row against another.
#[derive(Debug)]
pub struct Target {
    ours: Row,
    theirs: Row,
    kind: Kind,
    found: f64,
    at_most: f64,
}

impl Target {
    /// Holds the fastest mode of `ours` to at most this multiple of the time of the fastest mode of
    /// `theirs`.
    pub fn new(rows: &[Row], ours: &str, theirs: &str, at_most: f64) -> Self {
        let (ours, theirs) = (fastest(rows, ours), fastest(rows, theirs));
        Self {
            found: ours.ratio_to(theirs),
            ours: ours.clone(),
            theirs: theirs.clone(),
            kind: Kind::Ratio,
            at_most,
        }
    }

    /// Holds the fastest mode of `ours` to at most this many nanoseconds above the fastest mode of
    /// `theirs`.
    pub fn above(rows: &[Row], ours: &str, theirs: &str, at_most: f64) -> Self {
        let (ours, theirs) = (fastest(rows, ours), fastest(rows, theirs));
        Self {
            found: ours.difference_to(theirs),
            ours: ours.clone(),
            theirs: theirs.clone(),
            kind: Kind::Difference,
            at_most,
        }
    }

    /// Returns whether the target is met.
    pub fn met(&self) -> bool {
        self.found <= self.at_most
    }

    fn json(&self) -> Value {
        let key = match self.kind {
            Kind::Ratio => "ratio",
            Kind::Difference => "difference",
        };
        json!({
            "ours": name(&self.ours),
            "theirs": name(&self.theirs),
            key: self.found,
            "at_most": self.at_most,
            "met": self.met(),
        })
    }
}

fn name(row: &Row) -> String {
    format!("{}, {}", row.peer, row.mode)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.met() { "ok" } else { "MISS" };
        let (found, at_most) = (self.found, self.at_most);
        match self.kind {
            Kind::Difference => write!(
                f,
                "  {verdict:<4}  {found:+.1} ns  (target <= {at_most:+.1})  "
            )?,
            // A twentieth needs its third digit.
            Kind::Ratio if at_most < 0.1 => {
                write!(f, "  {verdict:<4}  {found:.3}  (target <= {at_most:.3})  ")?
            }
            Kind::Ratio => write!(f, "  {verdict:<4}  {found:.2}  (target <= {at_most:.2})  ")?,
        }
        write!(f, "{} / {}", name(&self.ours), name(&self.theirs))?;
        let (ours, theirs) = (self.ours.percentile(50), self.theirs.percentile(50));
        write!(f, "  ({ours:.1} / {theirs:.1} ns)")
    }
}

/// One scenario, measured.
#[derive(Debug)]
pub struct Section {
    /// What was done.
    pub title: &'static str,
    /// What a row's figures are.
    pub unit: &'static str,
    pub rows: Vec<Row>,
    pub targets: Vec<Target>,
}

impl Section {
    /// Returns the section for a program to read.
    pub fn json(&self, name: &str) -> Value {
        let rows: Vec<_> = self.rows.iter().map(row_json).collect();
        let targets: Vec<_> = self.targets.iter().map(Target::json).collect();
        json!({
            "name": name,
            "title": self.title,
            "unit": self.unit,
            "rows": rows,
            "targets": targets,
        })
    }
}

fn row_json(row: &Row) -> Value {
    json!({
        "peer": row.peer,
        "mode": row.mode,
        "p5": row.percentile(5),
        "p25": row.percentile(25),
        "p50": row.percentile(50),
        "above_ten_times_p5": row.noise(),
        "events_per_look": row.burst(),
        "empty_looks_per_event": row.empty(),
        "windows": row.windows(),
    })
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n  {}\n", self.title, self.unit)?;
        writeln!(
            f,
            "  {:<28} {:<34} {:>8} {:>8} {:>9} {:>7} {:>12}",
            "", "mode", "p25", "p50", "> 10 p5", "burst", "empty/event"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "  {:<28} {:<34} {:>8.1} {:>8.1} {:>7.1} % {:>7.1} {:>12.2}",
                row.peer,
                row.mode,
                row.percentile(25),
                row.percentile(50),
                row.noise() * 100.0,
                row.burst(),
                row.empty()
            )?;
        }
        writeln!(f)?;
        for target in &self.targets {
            writeln!(f, "{target}")?;
        }
        Ok(())
    }
}
