//! A gateway: HTTP requests in, balanced over instances of two services, one of which calls the other.
//!
//! ```text
//! HTTP ──> acceptor threads ─┬─ GET  /quote ────> quote, three instances
//!                            │                      ^ sent again when an instance dies in it
//!                            ├─ POST /order ────> order, two instances ──> ledger, a topic's reader
//!                            │                      not sent again: ordering twice is not ordering once
//!                            ├─ GET  /health        whether each service has somebody to ask
//!                            └─ GET  /services      who they are, and how busy
//! ```
//!
//! An instance is a worker of the bus. One of each service dies now and then: it is ejected for a moment, and
//! its worker runs again. Acceptors are plain threads, as what they wait for is not of the bus.
//!
//! It sends itself requests over HTTP and checks that each got one answer, by the account of those who sent
//! them, of the gateway, of the services and of the ledger:
//! `cargo run --release --example gateway --features services`. To talk to it instead, `-- --serve 127.0.0.1:8080`.

use std::io;
use std::process::ExitCode;
use std::thread;

use crate::args::Args;

mod acceptor;
mod answer;
mod args;
mod backend;
mod client;
mod drive;
mod failure;
mod gateway;
mod ledger;
mod luck;
mod order;
mod page;
mod quote;
mod report;
mod route;
mod tally;
#[cfg(test)]
mod tests;

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
            eprintln!("gateway: {error}; --help lists the options");
            return ExitCode::from(USAGE);
        }
    };
    let holds = match &args.serve {
        Some(address) => drive::serve(address, |_| until_a_line()),
        None => drive::run(args.requests).map(|report| {
            print!("{report}");
            report.holds()
        }),
    };
    match holds {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::from(USAGE)
        }
    }
}

/// Waits for a line from the standard input; for ever, if there is none to come.
fn until_a_line() {
    if !matches!(io::stdin().read_line(&mut String::new()), Ok(1..)) {
        loop {
            thread::park();
        }
    }
}
