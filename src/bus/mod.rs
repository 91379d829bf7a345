//! The bus: topics found by type and name, with one lifetime.

#[cfg(feature = "services")]
mod attached;
#[expect(clippy::module_inception, reason = "the floor is named after its noun")]
mod bus;
mod error;
#[cfg(feature = "metrics")]
mod export;
mod lanes;
mod pattern;
mod registry;
mod snapshot;
mod state_builder;
mod system_events;
mod topic_builder;
mod watch;

#[cfg(feature = "services")]
pub(crate) use attached::Attachment;
#[cfg(feature = "services")]
pub(crate) use bus::WeakBus;
#[cfg(all(feature = "metrics", feature = "services"))]
pub(crate) use export::{Series, export, labels};
pub(crate) use watch::Watcher;

pub use bus::Bus;
pub use error::TopicError;
pub use lanes::Lanes;
pub use pattern::{Pattern, PatternError};
pub use snapshot::Snapshot;
pub use state_builder::StateBuilder;
pub use topic_builder::TopicBuilder;
