//! Numbers of services, for people.

use std::fmt;
use std::sync::Arc;

/// A service and its numbers, which print as a table; made by [`Bus::services`](crate::Bus::services).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceSnapshot {
    /// The type of the request.
    pub request: &'static str,
    /// The name of the service, if it has one.
    pub name: Option<Arc<str>>,
    /// Those that serve it, the oldest first.
    pub instances: Vec<InstanceSnapshot>,
}

/// An instance and its numbers.
///
/// Taken while it serves, so they may be a moment apart; when nothing is sent or answered they add up:
/// `received = waiting + serving + replied + dropped + panicked + abandoned + handed_on`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceSnapshot {
    /// A number that no other instance of the bus has.
    pub id: u64,
    /// Its name, if it was given one.
    pub name: Option<Arc<str>>,
    /// How many requests its mailbox takes.
    pub capacity: usize,
    /// Requests that were sent to it.
    pub received: u64,
    /// Requests in its mailbox.
    pub waiting: u64,
    /// Requests that it has taken and not answered.
    pub serving: u64,
    /// Replies, the late ones among them.
    pub replied: u64,
    /// Replies that were dropped, as the caller had gone.
    pub late: u64,
    /// Calls that were dropped without a reply.
    pub dropped: u64,
    /// Calls in which it panicked.
    pub panicked: u64,
    /// Requests that were dropped unserved, as the caller had gone.
    pub abandoned: u64,
    /// Requests that were given to others, or back, as it left.
    pub handed_on: u64,
    /// It is asked nothing for a while; see [`eject_after`](crate::ServerBuilder::eject_after).
    pub ejected: bool,
}

impl fmt::Display for ServiceSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<32} {:>10} {:>12} {:>12} {:>12} {:>12} {:>12}",
            self.name.as_deref().unwrap_or(self.request),
            "received",
            "waiting",
            "serving",
            "replied",
            "dropped",
            "panicked"
        )?;
        for instance in &self.instances {
            let number;
            let name = match instance.name.as_deref() {
                Some(name) => name,
                None => {
                    number = format!("#{}", instance.id);
                    &number
                }
            };
            writeln!(
                f,
                "  {name:<30} {:>10} {:>12} {:>12} {:>12} {:>12} {:>12}",
                instance.received,
                instance.waiting,
                instance.serving,
                instance.replied,
                instance.dropped,
                instance.panicked,
            )?;
        }
        Ok(())
    }
}
