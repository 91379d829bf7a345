//! One run: opens the topics, starts everybody on a thread of their own, and waits for the end.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::mpsc;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Instant;

use parking_lot::Mutex;
use ringbus::{Bus, Overflow};

use crate::args::Args;
use crate::builder::{Best, Built};
use crate::capture::Capture;
use crate::event::{Depth, Stamped, Tick, Top};
use crate::feed::{Feed, Pace};
use crate::oracle::Oracle;
use crate::progress;
use crate::reader::Reader;
use crate::report::{Instrument, Report};
use crate::{auditor, builder, recorder, screen, strategy};

/// The tops of all instruments. One topic for all of them lets a reader of the whole market wait
/// for one subscriber.
const TOPS: &str = "md.tops";

/// Room for the bursts of the market: the busiest milliseconds carry hundreds of events.
const CAPACITY: usize = 1 << 12;

/// Replays all captures at once.
///
/// # Errors
///
/// Nothing was replayed: a topic cannot be opened under the name of its file, the recorder's file
/// cannot be written, or the system refuses a thread.
pub(crate) fn run(captures: Vec<Capture>, args: &Args) -> Result<Report, Box<dyn Error>> {
    let names: Vec<String> = captures
        .iter()
        .map(|capture| capture.instrument.clone())
        .collect();
    // Only a paced run needs to look into the files first.
    let paced = args.pace.and_then(|multiple| {
        let first = captures.iter().filter_map(Capture::first_received).min()?;
        Some((multiple, first))
    });
    let oracles: Vec<Mutex<Oracle>> = names.iter().map(|_| Mutex::default()).collect();
    let out = record_to(args)?;

    // Everybody joins before the first feed starts: a subscriber sees what is published after it
    // joined.
    let bus = Bus::new();
    let tops = bus
        .topic_builder::<Stamped<Top>>()
        .name(TOPS)
        .capacity(CAPACITY)
        .open()?;
    let audited = tops.subscriber().name("auditor").open()?;
    // What is recorded has been audited.
    let recorded = tops.subscriber().name("recorder").after(&audited).open()?;
    let audited = Reader::lossless("auditor", TOPS, audited);
    let recorded = Reader::lossless("recorder", TOPS, recorded);
    // Drop-oldest would have the screen show a whole ring of old tops one after another.
    let watched = tops
        .subscriber()
        .name("screen")
        .overflow(Overflow::Latest)
        .open()?;
    let watched = Reader::lossy("screen", TOPS, watched);

    let (mut feeds, mut depths, mut tapes) = (Vec::new(), Vec::new(), Vec::new());
    for (instrument, capture) in captures.into_iter().enumerate() {
        let name = format!("md.{}.depth", capture.instrument);
        let topic = bus
            .topic_builder::<Stamped<Depth>>()
            .name(&name)
            .capacity(CAPACITY)
            .open()?;
        let subscriber = topic.subscriber().name("builder").open()?;
        depths.push(Reader::lossless("builder", &name, subscriber));
        let depths = topic.exclusive_publisher()?;

        let name = format!("md.{}.tape", capture.instrument);
        let topic = bus
            .topic_builder::<Stamped<Tick>>()
            .name(&name)
            .capacity(CAPACITY)
            .open()?;
        let subscriber = topic.subscriber().name("strategy").open()?;
        tapes.push(Reader::lossless("strategy", &name, subscriber));
        let tape = topic.exclusive_publisher()?;

        let (tops, lines) = (tops.publisher()?, capture.into_lines());
        feeds.push(Feed {
            instrument,
            lines,
            depths,
            tape,
            tops,
            pace: None,
        });
    }

    let bests = names
        .iter()
        .map(|name| bus.state_named(&format!("md.{name}.best"), None))
        .collect::<Result<Vec<Best>, _>>()?;

    let start = Instant::now();
    if let Some((multiple, first)) = paced {
        let pace = Pace::new(multiple, first, start);
        feeds.iter_mut().for_each(|feed| feed.pace = Some(pace));
    }

    thread::scope(|scope| {
        let spawn = Spawn(scope);
        let builders = depths
            .into_iter()
            .zip(&bests)
            .zip(&oracles)
            .zip(&names)
            .map(|(((depths, best), oracle), name)| {
                spawn.named(&format!("builder {name}"), move || {
                    builder::run(depths, best, oracle)
                })
            })
            .collect::<io::Result<Vec<_>>>()?;
        let auditor = spawn.named("auditor", || auditor::run(audited, &oracles))?;
        let strategy = spawn.named("strategy", || strategy::run(tapes))?;
        let recorder = spawn.named("recorder", || recorder::run(recorded, &names, out))?;
        let screen = spawn.named("screen", || screen::run(watched, &names, &bests))?;

        let (running, ended) = mpsc::channel();
        let feeds = feeds
            .into_iter()
            .zip(&names)
            .map(|(feed, name)| {
                let running = running.clone();
                spawn.named(&format!("feed {name}"), move || {
                    let volume = feed.run();
                    drop(running);
                    volume
                })
            })
            .collect::<io::Result<Vec<_>>>()?;
        drop(running);
        progress::show(&bus, &ended, start);

        let volumes: Vec<_> = feeds.into_iter().map(join).collect();
        let builders = builders.into_iter().map(join).collect::<Vec<_>>();
        let audited = join(auditor);
        let (taped, strategy) = join(strategy);
        let (recorded, record) = join(recorder);
        let elapsed = start.elapsed();
        let (watched, frames) = join(screen);

        let verdict = |oracle: &Mutex<Oracle>| {
            let oracle = oracle.lock();
            oracle.verdict()
        };
        let instruments = names
            .iter()
            .zip(volumes)
            .zip(&builders)
            .zip(&bests)
            .zip(&oracles)
            .map(|((((name, volume), built), best), oracle)| Instrument {
                name: name.clone(),
                volume,
                synchronised: built.synchronised,
                shown: best.get().0 == built.quote,
                verdict: verdict(oracle),
            })
            .collect();
        let readers = builders
            .into_iter()
            .map(|Built { finished, .. }| finished)
            .chain([audited])
            .chain(taped)
            .chain([recorded, watched])
            .collect();
        let snapshot = bus.snapshot();
        Ok(Report {
            instruments,
            readers,
            snapshot,
            strategy,
            record,
            frames,
            last_frame: screen::draw(&names, &bests),
            elapsed,
        })
    })
}

fn record_to(args: &Args) -> Result<Box<dyn Write + Send>, String> {
    let Some(path) = &args.record else {
        return Ok(Box::new(io::sink()));
    };
    match File::create(path) {
        Ok(file) => Ok(Box::new(BufWriter::new(file))),
        Err(error) => Err(format!("cannot write {}: {error}", path.display())),
    }
}

/// Starts named threads: the name is what a debugger, a profiler and a panic message show.
#[derive(Clone, Copy)]
struct Spawn<'scope, 'env>(&'scope Scope<'scope, 'env>);

impl<'scope> Spawn<'scope, '_> {
    fn named<R: Send + 'scope>(
        self,
        name: &str,
        work: impl FnOnce() -> R + Send + 'scope,
    ) -> io::Result<ScopedJoinHandle<'scope, R>> {
        thread::Builder::new()
            .name(name.to_owned())
            .spawn_scoped(self.0, work)
    }
}

fn join<R>(thread: ScopedJoinHandle<'_, R>) -> R {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate;
    use crate::strategy::Strategy;

    fn strategy(seed: u64) -> Strategy {
        let args = Args::parse(lexopt::Parser::from_args::<[&str; 0]>([])).unwrap();
        let report = run(generate::captures(seed, 30_000), &args).unwrap();
        assert!(report.holds(), "{report}");
        report.strategy
    }

    #[test]
    fn the_strategy_does_the_same_in_every_run() {
        let first = strategy(7);
        assert!(first.desks.iter().all(|desk| desk.bars > 0));
        assert!(first.desks.iter().any(|desk| desk.buys > 0));
        assert_eq!(strategy(7), first);
        assert_ne!(strategy(8), first);
    }
}
