//! The service that knows prices.

use std::error::Error;
use std::time::Duration;

use ringbus::{Bus, Idempotent, Reactor, Request, Restarts};

use crate::failure::Failure;
use crate::luck::Luck;

pub(crate) const SERVICE: &str = "quote";

/// What there is, and what it costs, in cents.
pub(crate) const PRICES: [(&str, u64); 4] = [
    ("tea", 320),
    ("coffee", 450),
    ("green tea", 380),
    ("cake", 575),
];

/// Asks for the price of an item.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quote {
    pub(crate) item: String,
}

impl Request for Quote {
    type Reply = Result<u64, Failure>;
}

// A price is the same however often it is asked for.
impl Idempotent for Quote {}

pub(crate) fn price(item: &str) -> Option<u64> {
    let mut prices = PRICES.into_iter();
    prices
        .find(|(name, _)| *name == item)
        .map(|(_, price)| price)
}

/// How often the worker of an instance runs again. While it waits to, its requests wait with it: it is ejected
/// for longer than that.
pub(crate) fn restarts() -> Restarts {
    Restarts::always().back_off(Duration::from_millis(1), Duration::from_millis(4))
}

pub(crate) const EJECTED: Duration = Duration::from_millis(6);

/// Adds an instance, which dies at every so many requests.
pub(crate) fn spawn(
    bus: &Bus,
    instance: &str,
    lasts: Option<u32>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let server = bus
        .server_builder::<Quote>()
        .service(SERVICE)
        .instance(instance)
        .capacity(64)
        .eject_after(1, EJECTED)
        .open()?;
    let mut reactor = Reactor::new();
    reactor.serve(server, |luck: &mut Luck, quote, _| {
        luck.try_it();
        price(&quote.item).ok_or(Failure::UnknownItem)
    });
    bus.worker(instance)
        .restart(restarts())
        .spawn(reactor, move || Luck::new(lasts))?
        .detach();
    Ok(())
}
