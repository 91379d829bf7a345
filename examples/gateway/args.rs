//! The command line.

use lexopt::{Arg, Parser, ValueExt};

pub(crate) const HELP: &str = "\
Serves HTTP with the services of a bus, sends itself requests and checks that each got one answer.

usage: gateway [OPTIONS]

options:
  --requests N   how many requests it sends itself (default 800)
  --serve ADDR   send none, and serve at this address until a line is entered
  -h, --help     print this

exit status: 0 if every account of the requests is the same; 1 if not; 2 if it cannot start
";

#[derive(Debug, PartialEq)]
pub(crate) struct Args {
    pub(crate) requests: usize,
    pub(crate) serve: Option<String>,
    pub(crate) help: bool,
}

impl Args {
    pub(crate) fn parse(mut parser: Parser) -> Result<Self, lexopt::Error> {
        let mut args = Self {
            requests: 800,
            serve: None,
            help: false,
        };
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("requests") => args.requests = parser.value()?.parse()?,
                Arg::Long("serve") => args.serve = Some(parser.value()?.string()?),
                Arg::Short('h') | Arg::Long("help") => args.help = true,
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
    fn without_an_address_it_sends_itself_requests() {
        let args = parse(&["--requests=7"]).unwrap();
        assert_eq!((args.requests, args.serve), (7, None));
        let args = parse(&["--serve", "127.0.0.1:0"]).unwrap();
        assert_eq!(args.serve.as_deref(), Some("127.0.0.1:0"));
    }

    #[test]
    fn what_is_no_number_or_no_option_is_refused() {
        for args in [&["--requests", "-1"][..], &["--port"], &["127.0.0.1:0"]] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
