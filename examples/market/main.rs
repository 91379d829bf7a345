//! A market on a bus: replays raw exchange captures over typed topics to book builders, a strategy,
//! a slow screen and a recorder, and checks with the exchange's own numbers that no event was lost
//! or changed places.
//!
//! ```text
//! feed per instrument ─┬─> md.<instrument>.tape ───> strategy  lossless, by receive time
//!                      ├─> md.<instrument>.depth ──> builder   lossless, per instrument ─┬─> oracle
//!                      │                                └──> md.<instrument>.best, a state │
//!                      └─> md.tops (shared) ─┬─────> auditor   lossless ─────────────────┘
//!                                            │          └──> recorder  after the auditor, in batches
//!                                            └─────> screen    lossy, slow: draws all bests as they are
//! ```
//!
//! A tape carries trades and tops. The strategy goes by the receive times on the tapes, so the
//! lines `strategy: ...` of the report are the same in every run on the same input.
//!
//! Without files it makes up a market, so it runs anywhere: `cargo run --release --example market`.

use std::process::ExitCode;

use crate::args::Args;
use crate::capture::Capture;

#[cfg(test)]
mod any_bytes;
mod args;
mod auditor;
mod bar;
mod book;
mod builder;
mod capture;
mod digest;
mod event;
mod feed;
mod fixed;
mod generate;
mod merge;
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
        Ok(generate::captures(args.seed, generate::STEPS))
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
