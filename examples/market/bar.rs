//! A bar: the trades of one instrument in one period.

use crate::event::Trade;
use crate::fixed::Fixed;

/// Where the trades of a period began, how far they went, and where they ended. A period without a
/// trade has no bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bar {
    /// When the first trade was received.
    pub(crate) since: i64,
    pub(crate) open: Fixed,
    pub(crate) high: Fixed,
    pub(crate) low: Fixed,
    pub(crate) close: Fixed,
    /// In units of [`Fixed`].
    pub(crate) volume: i128,
    pub(crate) trades: u64,
}

impl Bar {
    /// The bar of a single trade.
    pub(crate) fn of(trade: &Trade, received: i64) -> Self {
        Self {
            since: received,
            open: trade.price,
            high: trade.price,
            low: trade.price,
            close: trade.price,
            volume: trade.quantity.units(),
            trades: 1,
        }
    }

    pub(crate) fn add(&mut self, trade: &Trade) {
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.close = trade.price;
        self.volume += trade.quantity.units();
        self.trades += 1;
    }
}
