//! The book builder of one instrument: lossless, on its own thread.

use std::sync::Mutex;

use crate::book::Rebuild;
use crate::event::Depth;
use crate::oracle::Oracle;
use crate::reader::{Finished, Reader};

/// Follows the depth of one instrument; its books go to the oracle, which the auditor feeds from
/// the other side.
pub(crate) fn run(mut depths: Reader<Depth>, oracle: &Mutex<Oracle>) -> (Finished, bool) {
    let mut rebuild = Rebuild::default();
    let mut open = true;
    while open {
        open = depths.wait(256, |depth| {
            let mut oracle = oracle
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            oracle.ids(depth.event.ids);
            rebuild.take(&depth.event, |update, book| {
                oracle.book(update, book.quote())
            });
        });
    }
    (depths.finish(), rebuild.is_synchronised())
}
