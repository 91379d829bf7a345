//! Weakens the source one place at a time and demands that a model fails.
//!
//! ```text
//! cargo run --manifest-path ci/mutants/Cargo.toml                      # the mutants of mutants.txt
//! cargo run --manifest-path ci/mutants/Cargo.toml -- NAME ...          # some of them
//! cargo run --manifest-path ci/mutants/Cargo.toml -- orderings         # every ordering and barrier
//! cargo run --manifest-path ci/mutants/Cargo.toml -- orderings --find  # looks for models that catch them
//! ```
//!
//! Called from the root of the project. All mutants of a kind go into one scratch copy, each behind a switch
//! that an environment variable throws, so there is one build; each mutant then is a run of one model.

mod listed;
mod orderings;
mod scratch;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == "orderings" => match rest {
            [] => orderings::verify(&root),
            [find] if find == "--find" => orderings::find(&root),
            _ => Err("orderings takes nothing, or --find".to_owned()),
        },
        _ => listed::run(&root, &arguments),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::FAILURE
        }
    }
}
