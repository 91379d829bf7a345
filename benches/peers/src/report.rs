//! What is printed and written.

use std::fmt;

use serde_json::{Value, json};

use crate::latency::QUANTILES;
use crate::plot::Plot;
use crate::stats::{Row, fastest, median_interval, percentile};

/// How one row is held against another.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A multiple of the other's time.
    Ratio,
    /// A multiple of the time that the other adds to the work beside it; below [`NOTHING`] none is added.
    Added,
    /// Nanoseconds above the other's time.
    Difference,
}

/// Nanoseconds that cannot be told from none, where the work beside is 250.
const NOTHING: f64 = 1.0;

/// What is asked of one row against another, at the lower quartile of the windows and at their median: at both.
#[derive(Debug)]
pub struct Target {
    ours: String,
    theirs: String,
    kind: Kind,
    /// Of the two lower quartiles.
    quartile: f64,
    /// Of the windows of the same rounds, their median.
    median: f64,
    /// Where the median would lie in 95 of 100 such runs.
    interval: [f64; 2],
    /// Our median and theirs, in nanoseconds.
    medians: [f64; 2],
    at_most: f64,
}

impl Target {
    /// Holds the fastest mode of `ours` to at most this multiple of the time of the fastest mode of
    /// `theirs`.
    pub fn new(rows: &[Row], ours: &str, theirs: &str, at_most: f64) -> Self {
        Self::best(rows, ours, &[theirs], at_most)
    }

    /// Holds the fastest mode of `ours` to at most this multiple of the time of the fastest of these peers:
    /// at the lower quartile the one that is the fastest there, at the median the one that is it there.
    pub fn best(rows: &[Row], ours: &str, theirs: &[&str], at_most: f64) -> Self {
        Self::of(Kind::Ratio, rows, ours, theirs, at_most)
    }

    /// As [`Target::best`], of rows that are less the work which paces them.
    pub fn added(rows: &[Row], ours: &str, theirs: &[&str], at_most: f64) -> Self {
        Self::of(Kind::Added, rows, ours, theirs, at_most)
    }

    /// Holds the fastest mode of `ours` to at most this many nanoseconds above the fastest mode of
    /// `theirs`.
    pub fn above(rows: &[Row], ours: &str, theirs: &str, at_most: f64) -> Self {
        Self::of(Kind::Difference, rows, ours, &[theirs], at_most)
    }

    fn of(kind: Kind, rows: &[Row], ours: &str, theirs: &[&str], at_most: f64) -> Self {
        let ours = fastest(rows, &[ours], 50);
        let [low, middle] = [25, 50].map(|percent| fastest(rows, theirs, percent));
        let quartiles = (ours.percentile(25), low.percentile(25));
        let medians = (ours.percentile(50), middle.percentile(50));
        let added = |(ours, theirs): (f64, f64)| {
            if ours < NOTHING {
                0.0
            } else {
                ours / theirs.max(NOTHING)
            }
        };
        let (quartile, median, interval) = match kind {
            Kind::Ratio => {
                let pairs = ours.ratios_to(middle);
                let interval = median_interval(&pairs);
                (quartiles.0 / quartiles.1, percentile(pairs, 50), interval)
            }
            Kind::Difference => {
                let pairs = ours.differences_to(middle);
                let interval = median_interval(&pairs);
                (quartiles.0 - quartiles.1, percentile(pairs, 50), interval)
            }
            // The windows of a round are no pairs here: the difference to the work is smaller than they
            // differ by.
            Kind::Added => {
                let median = added(medians);
                (added(quartiles), median, [median; 2])
            }
        };
        Self {
            ours: ours.name(),
            theirs: middle.name(),
            kind,
            quartile,
            median,
            interval,
            medians: medians.into(),
            at_most,
        }
    }

    /// Returns whether the target is met.
    pub fn met(&self) -> bool {
        self.quartile <= self.at_most && self.median <= self.at_most
    }

    fn json(&self) -> Value {
        let kind = match self.kind {
            Kind::Ratio => "ratio",
            Kind::Added => "ratio of what is added",
            Kind::Difference => "difference",
        };
        json!({
            "ours": self.ours,
            "theirs": self.theirs,
            "kind": kind,
            "lower_quartile": self.quartile,
            "median": self.median,
            "median_95": self.interval,
            "at_most": self.at_most,
            "met": self.met(),
        })
    }
}

/// The head of a table of targets in Markdown.
pub const MARKDOWN: &str = "\
| scenario | ours | held to | target | lower quartile | median (95 %) | |
|-|-|-|-|-|-|-|";

/// The head of a table of targets.
const TARGETS: &str = "  verdict   p25    p50   (95 % of medians)   target   ours / theirs";

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.met() { "ok" } else { "MISS" };
        let Self {
            quartile,
            median,
            interval: [low, high],
            at_most,
            ..
        } = self;
        // A twentieth needs its third digit.
        let digits = if *at_most < 0.1 { 3 } else { 2 };
        match self.kind {
            Kind::Difference => write!(
                f,
                "  {verdict:<4}   {quartile:>+6.1} {median:>+6.1}   ({low:+.1} .. {high:+.1} ns)   <= {at_most:+.1} ns"
            )?,
            _ => write!(
                f,
                "  {verdict:<4}   {quartile:>6.digits$} {median:>6.digits$}   ({low:.digits$} .. {high:.digits$})   <= {at_most:.digits$}"
            )?,
        }
        let [ours, theirs] = self.medians;
        write!(f, "   {} / {}", self.ours, self.theirs)?;
        write!(f, "  ({ours:.1} / {theirs:.1} ns)")
    }
}

impl Target {
    /// Returns the target as a line of a table in Markdown.
    pub fn markdown(&self, scenario: &str) -> String {
        let Self {
            ours,
            theirs,
            quartile,
            median,
            interval: [low, high],
            at_most,
            ..
        } = self;
        let unit = match self.kind {
            Kind::Ratio => "",
            Kind::Added => " of what is added",
            Kind::Difference => " ns more",
        };
        let verdict = if self.met() { "ok" } else { "**miss**" };
        let at_most = (at_most * 100.0).round() / 100.0;
        format!(
            "| {scenario} | {ours} | {theirs} | ≤ {at_most}{unit} | {quartile:.3} | {median:.3} ({low:.3} to {high:.3}) | {verdict} |"
        )
    }
}

/// A number that is no time.
#[derive(Debug)]
pub struct Figure {
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
    /// What is asked of it.
    pub at_most: Option<f64>,
}

impl Figure {
    /// Returns whether it is within what is asked, if anything is.
    pub fn met(&self) -> Option<bool> {
        self.at_most.map(|at_most| self.value <= at_most)
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "at_most": self.at_most,
            "met": self.met(),
        })
    }
}

impl Figure {
    /// Returns the figure as a line of a table in Markdown, if anything is asked of it.
    pub fn markdown(&self, scenario: &str) -> Option<String> {
        let verdict = if self.met()? { "ok" } else { "**miss**" };
        let (what, value, unit) = (&self.what, self.value, self.unit);
        let at_most = self.at_most?;
        Some(format!(
            "| {scenario} | {what} | | ≤ {at_most} {unit} | | {value:.0} {unit} | {verdict} |"
        ))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what, value, unit, ..
        } = self;
        write!(f, "  {what:<60} {value:>14.1} {unit}")?;
        if let (Some(at_most), Some(met)) = (self.at_most, self.met()) {
            let verdict = if met { "ok" } else { "MISS" };
            write!(f, "  {verdict}  <= {at_most:.1}")?;
        }
        Ok(())
    }
}

/// One scenario, measured.
#[derive(Debug, Default)]
pub struct Section {
    /// What was done.
    pub title: &'static str,
    /// What a row's figures are.
    pub unit: &'static str,
    pub rows: Vec<Row>,
    pub targets: Vec<Target>,
    pub figures: Vec<Figure>,
    pub plots: Vec<Plot>,
}

impl Section {
    /// Returns the verdict of each target and figure.
    pub fn verdicts(&self) -> impl Iterator<Item = bool> {
        let figures = self.figures.iter().filter_map(Figure::met);
        self.targets.iter().map(Target::met).chain(figures)
    }

    /// Returns the lines of a table of the targets, in Markdown.
    pub fn markdown(&self, name: &str) -> Vec<String> {
        let targets = self.targets.iter().map(|target| target.markdown(name));
        let figures = self.figures.iter().filter_map(|f| f.markdown(name));
        targets.chain(figures).collect()
    }

    /// Returns the median of a row as a multiple of the fastest control's under the same load: the one whose
    /// name ends as that of the row does.
    fn to_control(&self, row: &Row) -> Option<f64> {
        let load = |control: &&Row| {
            let load = control.peer.strip_prefix("control")?;
            row.peer.ends_with(load).then_some(load.len())
        };
        let closest = self.rows.iter().filter_map(|r| load(&r)).max()?;
        let controls = self.rows.iter().filter(|r| load(r) == Some(closest));
        let fastest = controls.map(|r| r.percentile(50)).min_by(f64::total_cmp)?;
        (fastest >= NOTHING).then(|| row.percentile(50) / fastest)
    }

    /// Returns the section for a program to read.
    pub fn json(&self, name: &str) -> Value {
        let rows: Vec<_> = self.rows.iter().map(|row| self.row_json(row)).collect();
        let targets: Vec<_> = self.targets.iter().map(Target::json).collect();
        let figures: Vec<_> = self.figures.iter().map(Figure::json).collect();
        json!({
            "name": name,
            "title": self.title,
            "unit": self.unit,
            "rows": rows,
            "targets": targets,
            "figures": figures,
        })
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n  {}\n", self.title, self.unit)?;
        if self.rows.iter().any(|row| row.latencies().is_some()) {
            self.latencies(f)?;
        } else if !self.rows.is_empty() {
            self.times(f)?;
        }
        for figure in &self.figures {
            writeln!(f, "{figure}")?;
        }
        if !self.targets.is_empty() {
            writeln!(f, "\n{TARGETS}")?;
        }
        for target in &self.targets {
            writeln!(f, "{target}")?;
        }
        Ok(())
    }
}

impl Section {
    fn row_json(&self, row: &Row) -> Value {
        let windows = row.windows().iter();
        let hundredths = windows.map(|window| (window * 100.0).round() / 100.0);
        let mut value = json!({
            "peer": row.peer,
            "mode": row.mode,
            "p5": row.percentile(5),
            "p25": row.percentile(25),
            "p50": row.percentile(50),
            "to_control": self.to_control(row),
            "above_ten_times_p5": row.noise(),
            "events_per_look": row.burst(),
            "empty_looks_per_event": row.empty(),
            "windows": hundredths.collect::<Vec<_>>(),
        });
        if let Some(latencies) = row.latencies() {
            value["latencies"] = latencies.json();
        }
        value
    }

    fn times(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {:<34} {:<34} {:>8} {:>8} {:>9} {:>9} {:>7} {:>12}",
            "", "mode", "p25", "p50", "x control", "> 10 p5", "burst", "empty/event"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "  {:<34} {:<34} {:>8.1} {:>8.1} {:>9} {:>7.1} % {:>7.1} {:>12.2}",
                row.peer,
                row.mode,
                row.percentile(25),
                row.percentile(50),
                multiple(self.to_control(row)),
                row.noise() * 100.0,
                row.burst(),
                row.empty()
            )?;
        }
        Ok(())
    }

    fn latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:<34} {:<34} {:>9}", "", "mode", "count")?;
        for (_, name) in QUANTILES {
            write!(f, " {name:>9}")?;
        }
        writeln!(f, " {:>9}", "x control")?;
        for row in &self.rows {
            let Some(latencies) = row.latencies() else {
                continue;
            };
            write!(
                f,
                "  {:<34} {:<34} {:>9}",
                row.peer,
                row.mode,
                latencies.count()
            )?;
            for (quantile, _) in QUANTILES {
                write!(f, " {:>9}", latencies.quantile(quantile))?;
            }
            writeln!(f, " {:>9}", multiple(self.to_control(row)))?;
        }
        Ok(())
    }
}

fn multiple(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
}
