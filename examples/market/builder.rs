//! The book builder of one instrument: lossless, on its own thread.

use parking_lot::Mutex;
use ringbus::State;

use crate::book::Rebuild;
use crate::event::{Depth, Quote};
use crate::oracle::Oracle;
use crate::reader::{Finished, Reader};

/// The best of a book; nothing while it is not rebuilt or has an empty side.
pub(crate) type Best = State<Option<Quote>>;

/// What a builder came to.
pub(crate) struct Built {
    pub(crate) finished: Finished,
    pub(crate) synchronised: bool,
    /// The best of its book at the end.
    pub(crate) quote: Option<Quote>,
}

/// Follows the depth of one instrument; its books go to the oracle, which the auditor feeds from
/// the other side, and the best of each is the latest value of `best`.
pub(crate) fn run(mut depths: Reader<Depth>, best: &Best, oracle: &Mutex<Oracle>) -> Built {
    let mut rebuild = Rebuild::default();
    let mut last = None;
    let mut open = true;
    while open {
        open = depths.wait(256, |depth| {
            let mut quote = last;
            {
                let mut oracle = oracle.lock();
                oracle.ids(depth.event.ids);
                rebuild.take(&depth.event, |update, book| {
                    quote = book.quote();
                    oracle.book(update, quote);
                });
            }
            if quote != last {
                last = quote;
                best.set(quote).expect("nobody closes the state");
            }
        });
    }
    Built {
        finished: depths.finish(),
        synchronised: rebuild.is_synchronised(),
        quote: last,
    }
}
