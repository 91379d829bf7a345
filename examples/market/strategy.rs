//! The strategy: follows tops and trades of all instruments on one thread.

use crate::event::{Quote, Top, Trade};
use crate::reader::{Finished, Reader};

/// What the strategy would have done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Signals {
    pub(crate) buys: u64,
    pub(crate) sells: u64,
}

/// Waits for tops alone. Trades only weigh in at the next top, and their subscribers are lossy, so
/// that no feed ever waits for a topic that this thread does not wait for.
pub(crate) fn run(
    mut tops: Reader<Top>,
    mut trades: Vec<Reader<Trade>>,
) -> (Vec<Finished>, Signals) {
    let mut desks = vec![Desk::default(); trades.len()];
    let mut signals = Signals::default();
    let mut open = true;
    while open {
        for trades in &mut trades {
            trades.drain(256, |trade| desks[trade.instrument].trade(&trade.event));
        }
        open = tops.wait(64, |top| {
            desks[top.instrument].quote(top.event.quote, &mut signals)
        });
    }
    // The last tops may have come before the last trades; these topics close behind the same feeds.
    for trades in &mut trades {
        while trades.wait(256, |trade| desks[trade.instrument].trade(&trade.event)) {}
    }
    let finished = trades.into_iter().map(Reader::finish);
    (
        std::iter::once(tops.finish()).chain(finished).collect(),
        signals,
    )
}

/// The strategy's view of one instrument: buy or sell when a lopsided book and the last trades
/// agree, once per change of mind.
#[derive(Debug, Clone, Copy, Default)]
struct Desk {
    /// Bought less sold by those who did not wait in the book, since the last signal.
    flow: i128,
    position: i8,
}

impl Desk {
    fn trade(&mut self, trade: &Trade) {
        let taken = trade.quantity.units();
        self.flow += if trade.buyer_is_maker { -taken } else { taken };
    }

    fn quote(&mut self, quote: Quote, signals: &mut Signals) {
        let (bid, ask) = (quote.bid.quantity.units(), quote.ask.quantity.units());
        if self.position < 1 && self.flow > 0 && bid / 4 > ask {
            (self.position, self.flow) = (1, 0);
            signals.buys += 1;
        } else if self.position > -1 && self.flow < 0 && ask / 4 > bid {
            (self.position, self.flow) = (-1, 0);
            signals.sells += 1;
        }
    }
}
