//! The command line.

use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

pub(crate) const HELP: &str = "\
Plays a recorded match through a fixed-step game loop on a bus, and checks that every system handled
every event once.

usage: game [OPTIONS] [FILE]

The file is a Rocket League replay. Without one, a match is made up.

options:
  --seed N     the seed of the made-up match (default 1)
  --frames N   the seed of the frame lengths (default 1); they do not change the checksum
  --realtime   sleep to 60 frames per second, and take the frames as long as they turn out
  -h, --help   print this

It ends with the checksum of all steps and the verdict.
exit status: 0 if all events were handled once and in order, 1 if not, 2 if it cannot start
";

#[derive(Debug, PartialEq)]
pub(crate) struct Args {
    pub(crate) file: Option<PathBuf>,
    pub(crate) seed: u64,
    pub(crate) frames: u64,
    pub(crate) realtime: bool,
    pub(crate) help: bool,
}

impl Args {
    pub(crate) fn parse(mut parser: Parser) -> Result<Self, lexopt::Error> {
        let mut args = Self {
            file: None,
            seed: 1,
            frames: 1,
            realtime: false,
            help: false,
        };
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("seed") => args.seed = parser.value()?.parse()?,
                Arg::Long("frames") => args.frames = parser.value()?.parse()?,
                Arg::Long("realtime") => args.realtime = true,
                Arg::Short('h') | Arg::Long("help") => args.help = true,
                Arg::Value(file) if args.file.is_none() => args.file = Some(file.into()),
                other => return Err(other.unexpected()),
            }
        }
        Ok(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args, lexopt::Error> {
        Args::parse(Parser::from_args(args))
    }

    #[test]
    fn options_and_the_file_mix() {
        let args = parse(&["--frames", "3", "a.replay", "--seed=7", "--realtime"]).unwrap();
        assert_eq!(args.file, Some("a.replay".into()));
        assert_eq!((args.seed, args.frames, args.realtime), (7, 3, true));
    }

    #[test]
    fn a_second_file_and_what_is_no_number_are_refused() {
        for args in [&["a", "b"][..], &["--seed", "x"], &["--frames"], &["--no"]] {
            assert!(parse(args).is_err(), "{args:?} was accepted");
        }
    }
}
