//! Measures ringbus against its peers: all in one process, with their windows interleaved in random
//! order, so that what is compared met the same machine.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- [--quick] [--only NAME] [--out DIR]
//! ```

#![deny(unsafe_code)]

mod clock;
mod duet;
mod event;
mod halves;
mod latency;
mod machine;
mod memory;
mod peers;
mod plan;
mod plot;
mod report;
mod scenarios;
mod shuffle;
mod solo;
mod stats;
mod work;

use std::error::Error;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::time::{Instant, SystemTime};

use lexopt::{Arg, ValueExt};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::machine::{Jitter, Ticks};
use crate::plan::{COPIES, Plan};
use crate::report::{MARKDOWN, Section};
use crate::shuffle::Shuffle;

const HELP: &str = "\
Measures ringbus against its peers.

  --quick        a few windows only: shows that all works, measures nothing
  --only NAME    one scenario; may be repeated
  --out DIR      writes results.json, with all windows, targets.md and the plots to DIR
  --windows N    the windows of each row
  --pace NS      the work before each event of a caught-up row
  --seed N       the order of the windows, taken from the clock unless given";

/// Windows of a row below which a run only shows that all works.
const ENOUGH: usize = 5 * COPIES;

/// Time lost above which figures are not to be published.
const TOO_NOISY: f64 = 0.05;

struct Options {
    only: Vec<String>,
    out: Option<PathBuf>,
    windows: usize,
    pace: f64,
    seed: u64,
}

fn options() -> Result<Options, lexopt::Error> {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let mut options = Options {
        only: Vec::new(),
        out: None,
        windows: 20 * COPIES,
        pace: 250.0,
        seed: clock.map_or(0, |since| since.as_nanos() as u64),
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("quick") => options.windows = COPIES,
            Arg::Long("only") => options.only.push(parser.value()?.string()?),
            Arg::Long("out") => options.out = Some(parser.value()?.into()),
            Arg::Long("windows") => options.windows = parser.value()?.parse()?,
            Arg::Long("pace") => options.pace = parser.value()?.parse()?,
            Arg::Long("seed") => options.seed = parser.value()?.parse()?,
            Arg::Short('h') | Arg::Long("help") => {
                println!("{HELP}\n\nScenarios:");
                for (name, _) in scenarios::ALL {
                    println!("  {name}");
                }
                process::exit(0);
            }
            _ => return Err(argument.unexpected()),
        }
    }
    if options.windows == 0 {
        return Err("--windows must be positive".into());
    }
    for name in &options.only {
        if !scenarios::ALL.iter().any(|(known, _)| known == name) {
            return Err(format!("there is no scenario {name}").into());
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            return ExitCode::FAILURE;
        }
    };
    // A thread that panics leaves the other one spinning.
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        report(info);
        process::exit(2);
    }));

    let versions = versions();
    let machine = machine::describe();
    for (what, value) in &machine {
        println!("{what}: {value}");
    }
    println!("{}", Clock::get());
    println!("{}", versions.join(", "));
    println!(
        "64-byte events and a capacity of {} unless told otherwise",
        event::CAPACITY
    );
    println!(
        "at most {} windows for each row, over {COPIES} copies; seed {}",
        options.windows, options.seed
    );
    let started = Instant::now();
    let before = (Ticks::now(), jitter("before"));

    let mut plan = Plan {
        windows: options.windows,
        pace: options.pace,
        shuffle: Shuffle::new(options.seed),
    };
    let mut sections = Vec::new();
    for (name, run) in scenarios::ALL {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            continue;
        }
        let since = Instant::now();
        let section = run(&mut plan);
        println!(
            "{name}: {section}  ({:.0} s)\n",
            since.elapsed().as_secs_f64()
        );
        sections.push((name, section));
    }

    let after = (Ticks::now(), jitter("after"));
    let stolen = after.0.stolen_since(before.0);
    let verdicts = || sections.iter().flat_map(|(_, section)| section.verdicts());
    let met = verdicts().filter(|&met| met).count();
    println!("{met} of {} targets met", verdicts().count());
    for (name, section) in &sections {
        section
            .targets
            .iter()
            .filter(|target| !target.met())
            .for_each(|target| {
                println!("{name}: {target}");
            });
    }
    println!(
        "steal: {} ticks before, {} after, {:.2} % of the run, which took {:.0} s",
        before.0.steal,
        after.0.steal,
        stolen * 100.0,
        started.elapsed().as_secs_f64(),
    );
    let jitter: Vec<_> = before.1.into_iter().chain(after.1).collect();
    let lost = jitter.iter().map(|(_, jitter)| jitter.lost());
    let lost = lost.fold(stolen, f64::max);
    let noisy = lost > TOO_NOISY;
    if noisy {
        println!(
            "NOT TO BE PUBLISHED: {:.1} % of the time was lost",
            lost * 100.0
        );
    }

    let Some(directory) = options.out else {
        return ExitCode::SUCCESS;
    };
    let machine: serde_json::Map<_, _> = machine
        .into_iter()
        .map(|(what, value)| (what.to_owned(), value.into()))
        .collect();
    let json = json!({
        "machine": machine,
        "clock": Clock::get().to_string(),
        "versions": versions,
        "capacity": event::CAPACITY,
        "windows": options.windows,
        "seed": options.seed,
        "jitter": jitter.iter().map(|(when, jitter)| format!("{when}, {jitter}")).collect::<Vec<_>>(),
        "stolen": stolen,
        "too_noisy": noisy,
        "scenarios": sections.iter().map(|(name, section)| section.json(name)).collect::<Vec<_>>(),
    });
    let mut below = format!(
        "{}; {} windows; {:.1} % of the time lost at most",
        machine::cpu(),
        options.windows,
        lost * 100.0
    );
    if options.windows < ENOUGH {
        below.insert_str(0, "A TRIAL, NOT A MEASUREMENT: ");
    } else if noisy {
        below.insert_str(0, "NOISY MACHINE: ");
    }
    match write(&directory, &json, &sections, &below) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

/// Watches the clock on both cores.
fn jitter(when: &'static str) -> [(&'static str, Jitter); 2] {
    let jitter = [0, 1].map(|core| (when, Jitter::measure(core)));
    for (when, jitter) in &jitter {
        println!("jitter {when}, {jitter}");
    }
    println!();
    jitter
}

/// Writes the report and the plots.
fn write(
    directory: &Path,
    json: &Value,
    sections: &[(&str, Section)],
    below: &str,
) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("results.json"), format!("{json}\n"))?;
    let lines = sections
        .iter()
        .flat_map(|(name, section)| section.markdown(name));
    let lines: Vec<_> = lines.collect();
    let table = format!("{below}\n\n{MARKDOWN}\n{}\n", lines.join("\n"));
    fs::write(directory.join("targets.md"), table)?;
    for plot in sections.iter().flat_map(|(_, section)| &section.plots) {
        plot.write(directory, below)?;
    }
    Ok(())
}

/// Returns the name and version of each peer.
fn versions() -> Vec<String> {
    let resolved = env!("RESOLVED_VERSIONS");
    let version = |name: &&str| {
        let mut entries = resolved.split(',');
        let entry = entries.find(|e| e.split(' ').next() == Some(name));
        entry.map_or_else(|| format!("{name} ?"), str::to_owned)
    };
    peers::CRATES.iter().map(version).collect()
}
