//! The command line.

use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

pub(crate) const HELP: &str = "\
Replays exchange captures over a bus and checks that every event arrived, in order.

usage: market [OPTIONS] [FILE...]

A file is a capture of one instrument, gzip or plain. Files whose names differ only in the date at
the end (spot_btcusdt_20240808.gz, spot_btcusdt_20240809.gz) are one stream. Without files, a market
is made up.

options:
  --pace X       replay at X times the recorded speed; without it as fast as possible
  --seed N       the seed of the made-up market (default 1)
  --record FILE  where the recorder writes the tops; without it they are formatted and thrown away
  -h, --help     print this

It ends with the line
  oracle: depth gaps G, tops matched M of N, crossed C, lossless missed L
exit status: 0 if G = 0, M = N > 0, C = 0 and L = 0; 1 if not; 2 if it cannot start
";

#[derive(Debug, PartialEq)]
pub(crate) struct Args {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) pace: Option<f64>,
    pub(crate) seed: u64,
    pub(crate) record: Option<PathBuf>,
    pub(crate) help: bool,
}

impl Args {
    pub(crate) fn parse(mut parser: Parser) -> Result<Self, lexopt::Error> {
        let mut args = Self {
            files: Vec::new(),
            pace: None,
            seed: 1,
            record: None,
            help: false,
        };
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("pace") => args.pace = Some(parser.value()?.parse_with(multiple)?),
                Arg::Long("seed") => args.seed = parser.value()?.parse()?,
                Arg::Long("record") => args.record = Some(parser.value()?.into()),
                Arg::Short('h') | Arg::Long("help") => args.help = true,
                Arg::Value(file) => args.files.push(file.into()),
                other => return Err(other.unexpected()),
            }
        }
        Ok(args)
    }
}

fn multiple(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(multiple) if multiple.is_finite() && multiple > 0.0 => Ok(multiple),
        _ => Err("the pace must be a number above 0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args, lexopt::Error> {
        Args::parse(Parser::from_args(args))
    }

    #[test]
    fn options_and_files_mix() {
        let args = parse(&[
            "a.gz", "--pace", "0.5", "--seed=7", "--record", "out", "b.gz",
        ])
        .unwrap();
        assert_eq!(args.files, [PathBuf::from("a.gz"), PathBuf::from("b.gz")]);
        assert_eq!(
            (args.pace, args.seed, args.record),
            (Some(0.5), 7, Some("out".into()))
        );
    }

    #[test]
    fn a_pace_that_never_ends_is_refused() {
        for pace in ["0", "-1", "nan", "inf", "fast"] {
            assert!(parse(&["--pace", pace]).is_err(), "{pace} was accepted");
        }
    }
}
