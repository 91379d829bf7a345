//! The service that takes orders, and asks for prices.

use std::error::Error;
use std::time::Duration;

use ringbus::{Bus, Client, Reactor, Request, Topic};
use serde::Serialize;

use crate::failure::Failure;
use crate::ledger::Sale;
use crate::luck::Luck;
use crate::quote::{self, Quote, restarts};

pub(crate) const SERVICE: &str = "order";

/// The most that is sold at once.
pub(crate) const MOST: u64 = 1000;

/// How long a price may take: less than an order may.
const PATIENCE: Duration = Duration::from_secs(2);

/// Orders so many of an item. It is not idempotent.
#[derive(Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) item: String,
    pub(crate) count: u64,
}

/// What was sold, in cents.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Receipt {
    pub(crate) item: String,
    pub(crate) count: u64,
    pub(crate) total: u64,
}

impl Request for Order {
    type Reply = Result<Receipt, Failure>;
}

/// Adds an instance, which dies at every so many requests.
pub(crate) fn spawn(
    bus: &Bus,
    sales: &Topic<Sale>,
    instance: &str,
    lasts: Option<u32>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let server = bus
        .server_builder::<Order>()
        .service(SERVICE)
        .instance(instance)
        .capacity(64)
        .eject_after(1, quote::EJECTED)
        .open()?;
    let quotes = bus
        .client_builder::<Quote>()
        .service(quote::SERVICE)
        .open()?;
    let sales = sales.clone();
    let mut reactor = Reactor::new();
    reactor.serve(server, move |luck: &mut Luck, order, _| {
        // Before anything is done.
        luck.try_it();
        take(order, &quotes, &sales)
    });
    bus.worker(instance)
        .restart(restarts())
        .spawn(reactor, move || Luck::new(lasts))?
        .detach();
    Ok(())
}

/// Prices an order, and books it before it is confirmed.
fn take(order: Order, quotes: &Client<Quote>, sales: &Topic<Sale>) -> Result<Receipt, Failure> {
    let Order { item, count } = order;
    let quote = Quote { item: item.clone() };
    let price = quotes
        .call_again(quote, PATIENCE, 2)
        .map_err(Failure::from)??;
    let total = price * count;
    // Waits for the ledger if that is behind. When the shop is closing nothing is sold.
    let booked = sales.publish(Sale { total });
    booked.map_err(|_| Failure::Unavailable)?;
    Ok(Receipt { item, count, total })
}
