//! A market on a bus: replays raw exchange captures over typed topics to book builders, a strategy,
//! a slow screen and a recorder, and checks with the exchange's own numbers that no event was lost
//! or changed places.
//!
//! ```text
//! feed per instrument ─┬─> md.<instrument>.trades ──> strategy  lossy
//!                      ├─> md.<instrument>.depth ───> builder   lossless, per instrument ─┐
//!                      └─> md.tops (shared) ─┬──────> auditor   lossless ────────────────┴─> oracle
//!                                            ├──────> strategy  lossless
//!                                            ├──────> recorder  lossless, in batches
//!                                            └──────> screen    lossy, slow
//! ```
//!
//! Without files it makes up a market, so it runs anywhere: `cargo run --release --example market`.

use std::process::ExitCode;

use crate::args::Args;
use crate::capture::Capture;

mod args;
mod auditor;
mod book;
mod builder;
mod capture;
mod event;
mod feed;
mod fixed;
mod generate;
mod message;
mod oracle;
mod progress;
mod reader;
mod recorder;
mod replay;
mod report;
mod screen;
mod strategy;

/// The run could not start.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let args = match Args::parse(lexopt::Parser::from_env()) {
        Ok(args) if args.help => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(args) => args,
        Err(error) => {
            eprintln!("market: {error}; --help lists the options");
            return ExitCode::from(USAGE);
        }
    };
    let captures = if args.files.is_empty() {
        Ok(generate::captures(args.seed))
    } else {
        Capture::group(&args.files)
    };
    let report = captures
        .map_err(Into::into)
        .and_then(|captures| replay::run(captures, &args));
    match report {
        Ok(report) => {
            print!("{report}");
            if report.holds() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("market: {error}");
            ExitCode::from(USAGE)
        }
    }
}
