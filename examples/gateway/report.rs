//! What a run prints when it is over.

use std::fmt;
use std::time::Duration;

use ringbus::{InstanceSnapshot, ServiceSnapshot, ShutdownReport};

use crate::client::Client;
use crate::tally::Tally;
use crate::{order, quote};

/// A run, over: the same requests by four accounts.
pub(crate) struct Report {
    /// By those who sent them.
    pub(crate) sent: Client,
    /// By the gateway.
    pub(crate) answered: Tally,
    /// By the services, before they ended.
    pub(crate) services: Vec<ServiceSnapshot>,
    pub(crate) shutdown: ShutdownReport,
    /// By the ledger: how many sales, and of how much.
    pub(crate) booked: (u64, u64),
    pub(crate) elapsed: Duration,
}

impl Report {
    /// Whether all accounts are the same.
    pub(crate) fn holds(&self) -> bool {
        self.checks().iter().all(|(_, holds)| *holds)
    }

    /// Calls of a service in which an instance died.
    pub(crate) fn died(&self, service: &str) -> u64 {
        self.sum(service, |instance| instance.panicked)
    }

    fn checks(&self) -> [(&'static str, bool); 7] {
        let sent = &self.sent.tally;
        let orders = self.sum(order::SERVICE, |instance| instance.replied);
        let quotes = self.sum(quote::SERVICE, |instance| instance.replied);
        let settled = |instance: &InstanceSnapshot| {
            instance.received == instance.replied + instance.panicked && instance.late == 0
        };
        let restarted = |instance: &InstanceSnapshot| instance.panicked == self.restarts(instance);
        [
            (
                "every answer is the one that was expected",
                self.sent.wrong.is_empty(),
            ),
            ("each request was answered once", *sent == self.answered),
            (
                "each order was taken once, or died with its instance",
                orders == sent.get("/order", 200)
                    && self.died(order::SERVICE) == sent.get("/order", 500),
            ),
            (
                "each quote was given once, to a client or for an order",
                quotes == sent.get("/quote", 200) + sent.get("/quote", 404) + orders,
            ),
            (
                "what was confirmed is in the ledger",
                self.booked == self.sent.sold,
            ),
            (
                "every instance has answered all, and runs again if it died",
                self.instances().count() > 0
                    && self.instances().all(settled)
                    && self.instances().all(restarted),
            ),
            ("the shutdown left nothing", self.shutdown.is_complete()),
        ]
    }

    fn instances(&self) -> impl Iterator<Item = &InstanceSnapshot> {
        self.services.iter().flat_map(|service| &service.instances)
    }

    /// A number of all instances of a service.
    fn sum(&self, service: &str, number: impl Fn(&InstanceSnapshot) -> u64) -> u64 {
        let services = self.services.iter();
        let services = services.filter(|found| found.name.as_deref() == Some(service));
        services
            .flat_map(|service| &service.instances)
            .map(number)
            .sum()
    }

    /// How often the worker of an instance, which has its name, was restarted.
    fn restarts(&self, instance: &InstanceSnapshot) -> u64 {
        let mut workers = self.shutdown.workers.iter();
        let worker = workers.find(|worker| Some(&*worker.name) == instance.name.as_deref());
        worker.map_or(0, |worker| worker.restarts)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.sent.tally)?;
        writeln!(
            f,
            "{:<12} {:>8} {:>8} {:>8} {:>8}",
            "instance", "received", "replied", "panicked", "restarts"
        )?;
        for instance in self.instances() {
            writeln!(
                f,
                "{:<12} {:>8} {:>8} {:>8} {:>8}",
                instance.name.as_deref().unwrap_or_default(),
                instance.received,
                instance.replied,
                instance.panicked,
                self.restarts(instance),
            )?;
        }
        writeln!(f, "\n{}", self.shutdown)?;
        for wrong in self.sent.wrong.iter().take(10) {
            writeln!(f, "wrong: {wrong}")?;
        }
        for (check, holds) in self.checks() {
            writeln!(f, "{check}: {holds}")?;
        }
        let (sales, total) = self.booked;
        let (euros, cents) = (total / 100, total % 100);
        let milliseconds = self.elapsed.as_millis();
        writeln!(
            f,
            "{sales} sales of {euros}.{cents:02} in {milliseconds} ms"
        )
    }
}
