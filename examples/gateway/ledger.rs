//! Who writes down what was sold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ringbus::{Bus, Reactor, Topic, WorkerError};

/// Published for each order that is confirmed.
#[derive(Debug)]
pub(crate) struct Sale {
    pub(crate) total: u64,
}

/// The sums, which outlive the worker that writes them.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sales: AtomicU64,
    total: AtomicU64,
}

impl Ledger {
    /// Reads a topic until it closes.
    pub(crate) fn spawn(bus: &Bus, sales: &Topic<Sale>) -> Result<Arc<Self>, WorkerError> {
        let ledger = Arc::new(Self::default());
        let mut reactor = Reactor::new();
        reactor.on(sales.subscribe(), |ledger: &mut Arc<Self>, sale, _| {
            ledger.sales.fetch_add(1, Relaxed);
            ledger.total.fetch_add(sale.total, Relaxed);
        });
        let state = Arc::clone(&ledger);
        let worker = bus
            .worker("ledger")
            .spawn(reactor, move || Arc::clone(&state))?;
        worker.detach();
        Ok(ledger)
    }

    /// How many sales, and of how much.
    pub(crate) fn sums(&self) -> (u64, u64) {
        (self.sales.load(Relaxed), self.total.load(Relaxed))
    }
}
