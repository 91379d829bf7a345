//! A game loop on a bus: a recorded match is the input of a world that moves in fixed steps of 1/60 s, whatever
//! the lengths of the frames, and ends at the same checksum however they fall.
//!
//! ```text
//!           a topic per kind of event                                    reactor of the simulation, a turn per step
//! match ──> spawn, despawn, motion, control,   ──> physics ────────────> supersonic ─┐
//!           boost, pickup, touch, demolish,    ──> scoreboard, boost     <───────────┤
//!           goal, clock                        ──> effects <─────────────────────────┘
//!                                                     └──> effect ──> screen: its own reactor, a turn per frame
//! ```
//!
//! Without a file it makes up a match, so it runs anywhere: `cargo run --release --example game`.

use std::process::ExitCode;

use crate::args::Args;
use crate::frames::Frames;
use crate::recording::Recording;

mod actor;
mod args;
mod boost;
mod checksum;
mod effects;
mod event;
mod feed;
mod frames;
mod game;
mod generate;
mod outlet;
mod physics;
mod random;
mod recording;
mod replay;
mod report;
mod scoreboard;
mod screen;
mod simulation;
mod tally;
#[cfg(test)]
mod tests;
mod world;

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
            eprintln!("game: {error}; --help lists the options");
            return ExitCode::from(USAGE);
        }
    };
    let recording = match &args.file {
        None => Ok(generate::recording(args.seed)),
        Some(file) => Recording::read(file),
    };
    let frames = if args.realtime {
        Frames::real()
    } else {
        Frames::seeded(args.frames)
    };
    match recording {
        Ok(recording) => {
            let report = game::run(recording, frames);
            print!("{report}");
            if report.holds() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("game: {error}");
            ExitCode::from(USAGE)
        }
    }
}
