//! The recorder: writes every top down that was audited, lossless, a batch at a time.

use std::io::{self, Write};

use crate::event::{Stamped, Top};
use crate::reader::{Finished, Reader};

const MAX_BATCH: usize = 1024;

/// What was recorded.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) batches: u64,
    pub(crate) bytes: u64,
    /// The first write that failed. The recorder reads on without writing: a full disk must not
    /// stop the market.
    pub(crate) error: Option<io::Error>,
}

/// Writes one line per top: receive time, instrument, update, bid, quantity, ask, quantity.
///
/// A batch costs one write, however many events waited: the further the recorder falls behind, the
/// faster it gets.
pub(crate) fn run(
    mut tops: Reader<Top>,
    names: &[String],
    mut out: Box<dyn Write + Send>,
) -> (Finished, Record) {
    let mut record = Record::default();
    let mut page = Vec::new();
    loop {
        page.clear();
        let full = tops.wait_batch(MAX_BATCH, |batch| {
            for top in batch {
                write_line(&mut page, &names[top.instrument], top)?;
            }
            Ok::<_, io::Error>(())
        });
        let Some(formatted) = full else {
            break;
        };
        record.batches += 1;
        if record.error.is_none() {
            match formatted.and_then(|()| out.write_all(&page)) {
                Ok(()) => record.bytes += page.len() as u64,
                Err(error) => record.error = Some(error),
            }
        }
    }
    if let Err(error) = out.flush() {
        record.error.get_or_insert(error);
    }
    (tops.finish(), record)
}

fn write_line(page: &mut Vec<u8>, name: &str, top: &Stamped<Top>) -> io::Result<()> {
    let Top { update, quote } = top.event;
    let (bid, ask) = (quote.bid, quote.ask);
    writeln!(
        page,
        "{} {name} {update} {} {} {} {}",
        top.received, bid.price, bid.quantity, ask.price, ask.quantity
    )
}
