//! The services, with all their instances.

use std::error::Error;
use std::sync::Arc;

use ringbus::Bus;

use crate::ledger::{Ledger, Sale};
use crate::{order, quote};

/// Spawns all workers; the bus has them.
pub(crate) fn spawn(bus: &Bus) -> Result<Arc<Ledger>, Box<dyn Error + Send + Sync>> {
    let sales = bus.topic::<Sale>();
    let ledger = Ledger::spawn(bus, &sales)?;
    quote::spawn(bus, "quote/0", None)?;
    quote::spawn(bus, "quote/1", None)?;
    quote::spawn(bus, "quote/2", Some(20))?;
    order::spawn(bus, &sales, "order/0", None)?;
    order::spawn(bus, &sales, "order/1", Some(25))?;
    Ok(ledger)
}
