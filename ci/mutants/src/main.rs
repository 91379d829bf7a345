//! Weakens the source one place at a time and demands that a model fails.
//!
//! ```text
//! cargo run --manifest-path ci/mutants/Cargo.toml                      # the mutants of mutants.txt
//! cargo run --manifest-path ci/mutants/Cargo.toml -- NAME ...          # some of them
//! cargo run --manifest-path ci/mutants/Cargo.toml -- scheduled         # the mutants of scheduled.txt, or some
//! cargo run --manifest-path ci/mutants/Cargo.toml -- orderings         # every ordering and barrier
//! cargo run --manifest-path ci/mutants/Cargo.toml -- orderings --find  # looks for models that catch them
//! ```
//!
//! `--shard K/N`, last, runs the K-th of N parts, of the mutants of a list or of the orderings. A run that was
//! interrupted is gone on with when it is called again, unless the source has changed. Of one kind one at a time in
//! a checkout.
//!
//! Called from the root of the project. All mutants of a kind go into one scratch copy, each behind a switch
//! that an environment variable throws, so there is one build; each mutant then is a run of one model.

mod listed;
mod orderings;
mod pieces;
mod scratch;

use std::path::PathBuf;
use std::process::ExitCode;

use pieces::Shard;

fn main() -> ExitCode {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = pieces(&arguments).and_then(|(what, shard)| match what {
        [first, rest @ ..] if first == "orderings" => match rest {
            [] => orderings::verify(&root, shard),
            [find] if find == "--find" => orderings::find(&root),
            _ => Err("orderings takes nothing, or --find".to_owned()),
        },
        [first, names @ ..] if first == "scheduled" => {
            listed::run(&root, &listed::SCHEDULED, names, shard)
        }
        names => listed::run(&root, &listed::MODELLED, names, shard),
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is to be run, and which part of it.
fn pieces(arguments: &[String]) -> Result<(&[String], Shard), String> {
    match arguments {
        [what @ .., flag, shard] if flag == "--shard" => Ok((what, Shard::parse(shard)?)),
        what => Ok((what, Shard::WHOLE)),
    }
}
