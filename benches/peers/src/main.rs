//! Measures ringbus against its peers: all in one process, with their windows interleaved in random
//! order, so that what is compared met the same machine.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- [--quick] [--only NAME] [--json FILE]
//! ```

#![deny(unsafe_code)]

mod duet;
mod event;
mod halves;
mod machine;
mod peers;
mod plan;
mod report;
mod scenarios;
mod shuffle;
mod solo;
mod stats;
mod work;

use std::fs;
use std::panic;
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::time::SystemTime;

use lexopt::{Arg, ValueExt};
use serde_json::json;

use crate::machine::{Jitter, Ticks};
use crate::plan::{COPIES, Plan};
use crate::shuffle::Shuffle;

const HELP: &str = "\
Measures ringbus against its peers.

  --quick        a few windows only: shows that all works, measures nothing
  --only NAME    one scenario; may be repeated
  --json FILE    writes all windows to FILE as well
  --windows N    the windows of each row
  --pace NS      the work before each event of a caught-up row
  --seed N       the order of the windows, taken from the clock unless given";

/// Time lost above which figures are not to be published.
const TOO_NOISY: f64 = 0.05;

struct Options {
    only: Vec<String>,
    json: Option<PathBuf>,
    windows: usize,
    pace: f64,
    seed: u64,
}

fn options() -> Result<Options, lexopt::Error> {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let mut options = Options {
        only: Vec::new(),
        json: None,
        windows: 25 * COPIES,
        pace: 250.0,
        seed: clock.map_or(0, |since| since.as_nanos() as u64),
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("quick") => options.windows = COPIES,
            Arg::Long("only") => options.only.push(parser.value()?.string()?),
            Arg::Long("json") => options.json = Some(parser.value()?.into()),
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
    println!("processor {}, kernel {}", machine::cpu(), machine::kernel());
    println!("{}", versions.join(", "));
    println!("64-byte events, capacity {}", event::CAPACITY);
    println!(
        "{} windows for each row, over {COPIES} copies; seed {}",
        options.windows, options.seed
    );
    let jitter = [Jitter::measure(0), Jitter::measure(1)];
    println!("{}\n{}\n", jitter[0], jitter[1]);

    let before = Ticks::now();
    let mut plan = Plan {
        windows: options.windows,
        pace: options.pace,
        shuffle: Shuffle::new(options.seed),
    };
    let mut sections = Vec::new();
    let (mut met, mut targets) = (0, 0);
    for (name, run) in scenarios::ALL {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            continue;
        }
        let section = run(&mut plan);
        println!("{name}: {section}");
        met += section.targets.iter().filter(|t| t.met()).count();
        targets += section.targets.len();
        sections.push(section.json(name));
    }

    let after = Ticks::now();
    let stolen = after.stolen_since(before);
    println!("{met} of {targets} targets met");
    println!(
        "steal: {} ticks before, {} after, {:.2} % of the run",
        before.steal,
        after.steal,
        stolen * 100.0
    );
    let lost = jitter.iter().map(Jitter::lost).fold(stolen, f64::max);
    if lost > TOO_NOISY {
        println!(
            "NOT TO BE PUBLISHED: {:.1} % of the time was lost",
            lost * 100.0
        );
    }

    if let Some(path) = options.json {
        let value = json!({
            "processor": machine::cpu(),
            "kernel": machine::kernel(),
            "versions": versions,
            "capacity": event::CAPACITY,
            "windows": options.windows,
            "seed": options.seed,
            "jitter": jitter.map(|jitter| jitter.to_string()),
            "stolen": stolen,
            "scenarios": sections,
        });
        if let Err(error) = fs::write(&path, format!("{value:#}\n")) {
            eprintln!("{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
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
