//! What a run prints when it is over.

use std::fmt;
use std::time::Duration;

use ringbus::{Snapshot, SubscriberSnapshot};

use crate::feed::Volume;
use crate::oracle::{Mismatch, Total, Verdict};
use crate::reader::Finished;
use crate::recorder::Record;
use crate::strategy::{Desk, Strategy};

/// A run, over.
pub(crate) struct Report {
    pub(crate) instruments: Vec<Instrument>,
    pub(crate) readers: Vec<Finished>,
    /// Taken when all readers were done and before any of them left.
    pub(crate) snapshot: Snapshot,
    pub(crate) strategy: Strategy,
    pub(crate) record: Record,
    pub(crate) frames: u64,
    /// Drawn when everybody was done.
    pub(crate) last_frame: String,
    pub(crate) elapsed: Duration,
}

/// One instrument's share of the run.
pub(crate) struct Instrument {
    pub(crate) name: String,
    pub(crate) volume: Volume,
    pub(crate) synchronised: bool,
    /// Whether the state of the best was that of the book in the end.
    pub(crate) shown: bool,
    pub(crate) verdict: Verdict,
}

impl Report {
    /// Whether all checks passed and nothing else went wrong.
    pub(crate) fn holds(&self) -> bool {
        let shown = self.instruments.iter().all(|instrument| instrument.shown);
        self.total().holds() && self.record.error.is_none() && shown
    }

    fn total(&self) -> Total {
        let mut total = Total::default();
        self.instruments
            .iter()
            .for_each(|instrument| total.add(&instrument.verdict));
        let lossless = self.readers.iter().filter(|reader| reader.lossless);
        total.missed = lossless.map(|reader| self.missed(reader)).sum();
        total
    }

    /// What a lossless reader missed, by whichever account is worst: what the feeds published, what
    /// came with the events, or what the bus counted.
    fn missed(&self, reader: &Finished) -> u64 {
        let published = self.published(&reader.topic);
        let lost = published.abs_diff(reader.tally.handled);
        let told = self.listed(reader).map_or(0, |listed| listed.missed);
        // A tick is read from the tape first, and then published again for the desk.
        let desk = self.desk(&reader.topic);
        let late = desk.map_or(0, |desk| published.abs_diff(desk.ticks));
        lost.max(late).max(reader.tally.irregular).max(told)
    }

    /// Whom a topic is the tape of.
    fn desk(&self, topic: &str) -> Option<&Desk> {
        let name = topic.strip_prefix("md.")?.strip_suffix(".tape")?;
        let desks = self.instruments.iter().zip(&self.strategy.desks);
        let mut desks = desks.filter(|(instrument, _)| instrument.name == name);
        desks.next().map(|(_, desk)| desk)
    }

    /// What the feeds say they published to a topic.
    fn published(&self, topic: &str) -> u64 {
        self.instruments
            .iter()
            .map(
                |Instrument { name, volume, .. }| match topic.strip_prefix("md.") {
                    Some("tops") => volume.tops,
                    Some(own) if own.strip_suffix(".depth") == Some(name) => volume.depths,
                    Some(own) if own.strip_suffix(".tape") == Some(name) => volume.ticks(),
                    _ => 0,
                },
            )
            .sum()
    }

    fn listed(&self, reader: &Finished) -> Option<&SubscriberSnapshot> {
        let topic = self
            .snapshot
            .topics
            .iter()
            .find(|topic| topic.name.as_deref() == Some(&reader.topic))?;
        topic
            .subscribers
            .iter()
            .find(|subscriber| subscriber.name.as_deref() == Some(&reader.name))
    }

    fn volumes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<22} {:>8} {:>8} {:>8} {:>8} {:>6} {:>9}  {:<6} {:>5} {:>13} {:>8}",
            "instrument",
            "lines",
            "depth",
            "tops",
            "trades",
            "other",
            "malformed",
            "synced",
            "gaps",
            "tops matched",
            "crossed"
        )?;
        for Instrument {
            name,
            volume: v,
            synchronised,
            verdict,
            ..
        } in &self.instruments
        {
            writeln!(
                f,
                "{name:<22} {:>8} {:>8} {:>8} {:>8} {:>6} {:>9}  {:<6} {:>5} {:>13} {:>8}",
                v.lines,
                v.depths,
                v.tops,
                v.trades,
                v.other,
                v.malformed,
                if *synchronised { "yes" } else { "no" },
                verdict.gaps,
                format!("{} of {}", verdict.matched, verdict.compared),
                verdict.crossed
            )?;
        }
        for Instrument { name, verdict, .. } in &self.instruments {
            if let Some(Mismatch {
                update,
                exchange,
                rebuilt,
            }) = verdict.mismatch
            {
                write!(
                    f,
                    "{name}: first mismatch at update {update}: exchange {exchange}, rebuilt "
                )?;
                match rebuilt {
                    Some(rebuilt) => writeln!(f, "{rebuilt}")?,
                    None => writeln!(f, "book has an empty side")?,
                }
            }
        }
        Ok(())
    }

    /// The same in every run on the same input.
    fn desks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Strategy { desks, digest } = &self.strategy;
        for (Instrument { name, .. }, desk) in self.instruments.iter().zip(desks) {
            let Desk {
                buys,
                sells,
                bars,
                stale,
                ..
            } = desk;
            writeln!(
                f,
                "strategy: {name}: buys {buys}, sells {sells}, bars {bars}, stale periods {stale}"
            )?;
        }
        let sum = |count: fn(&Desk) -> u64| desks.iter().map(count).sum::<u64>();
        let (buys, sells) = (sum(|desk| desk.buys), sum(|desk| desk.sells));
        let (bars, stale) = (sum(|desk| desk.bars), sum(|desk| desk.stale));
        writeln!(
            f,
            "strategy: buys {buys}, sells {sells}, bars {bars}, stale periods {stale}, digest {digest}"
        )
    }

    fn subscribers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<38} {:<9} {:>9} {:>8}  {:>10} {:>10} {:>10} {:>10} {:>10}",
            "subscriber",
            "",
            "delivered",
            "missed",
            "p50 us",
            "p90 us",
            "p99 us",
            "p99.9 us",
            "max us"
        )?;
        for reader in &self.readers {
            let name = format!("{} <- {}", reader.name, reader.topic);
            let kind = if reader.lossless { "lossless" } else { "lossy" };
            let (delivered, missed) = self
                .listed(reader)
                .map_or((0, 0), |listed| (listed.delivered, listed.missed));
            write!(f, "{name:<38} {kind:<9} {delivered:>9} {missed:>8} ")?;
            let latency = &reader.tally.latency;
            for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
                let micros = latency.value_at_quantile(quantile) as f64 / 1e3;
                write!(f, " {micros:>10.1}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.volumes(f)?;
        writeln!(f)?;
        writeln!(
            f,
            "publish-to-handle latency; at full speed it is mostly time spent waiting in a ring"
        )?;
        self.subscribers(f)?;
        writeln!(f)?;

        self.desks(f)?;
        let Record {
            batches,
            bytes,
            error,
        } = &self.record;
        writeln!(f, "recorder: {bytes} bytes in {batches} batches")?;
        if let Some(error) = error {
            writeln!(f, "recorder: cannot write on: {error}")?;
        }
        let frames = self.frames;
        writeln!(f, "screen: {frames} frames, the last {}", self.last_frame)?;
        for Instrument { name, .. } in self
            .instruments
            .iter()
            .filter(|instrument| !instrument.shown)
        {
            writeln!(
                f,
                "{name}: the screen shows what is not the best of the book"
            )?;
        }

        let volumes = self.instruments.iter().map(|instrument| instrument.volume);
        let malformed: u64 = volumes.clone().map(|volume| volume.malformed).sum();
        let events: u64 = volumes.map(|volume| volume.published()).sum();
        let seconds = self.elapsed.as_secs_f64();
        let rate = events as f64 / seconds;
        write!(f, "events: {events} in {seconds:.3} s, {rate:.0} events/s")?;
        if malformed > 0 {
            write!(f, ", {malformed} malformed lines skipped")?;
        }
        writeln!(f)?;

        let Total {
            gaps,
            matched,
            compared,
            crossed,
            missed,
        } = self.total();
        writeln!(
            f,
            "oracle: depth gaps {gaps}, tops matched {matched} of {compared}, crossed {crossed}, lossless missed {missed}"
        )
    }
}
