//! A set of topics.

use std::fmt;
use std::sync::Arc;
#[cfg(feature = "services")]
use std::sync::Weak;

#[cfg(feature = "services")]
use super::attached::{Attached, Attachment};
use super::error::TopicError;
use super::lanes::Lanes;
use super::registry::Registry;
use super::snapshot::Snapshot;
use super::topic_builder::TopicBuilder;
use crate::channel::{PublishError, Settings, Topic};

/// A set of topics with one lifetime.
///
/// Making one spawns nothing and allocates no ring. A bus is cheap to clone; when the last clone is dropped,
/// or one is [closed](Bus::close), all its topics close.
///
/// ```
/// use ringbus::Bus;
///
/// #[derive(Clone, Debug, PartialEq)]
/// struct Quote {
///     symbol: u32,
///     price: u64,
/// }
///
/// let bus = Bus::new();
/// let quotes = bus.topic::<Quote>();
/// let mut subscriber = quotes.subscribe();
///
/// bus.publish(Quote { symbol: 7, price: 100 })?;
/// assert_eq!(subscriber.recv()?, Quote { symbol: 7, price: 100 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Bus {
    shared: Arc<Shared>,
}

/// Closes the topics when the last handle of the bus is gone.
struct Shared {
    registry: Registry,
    /// Closed, and dropped, when the topics are closed.
    #[cfg(feature = "services")]
    attached: Attached,
}

/// A handle that keeps no bus open.
#[cfg(feature = "services")]
#[derive(Clone)]
pub(crate) struct WeakBus {
    shared: Weak<Shared>,
}

#[cfg(feature = "services")]
impl WeakBus {
    /// The bus, if anybody has it still.
    pub(crate) fn upgrade(&self) -> Option<Bus> {
        let shared = self.shared.upgrade()?;
        Some(Bus { shared })
    }
}

impl Shared {
    fn close(&self) {
        self.registry.close();
        #[cfg(feature = "services")]
        self.attached.close();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

impl Bus {
    /// A bus without topics.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                registry: Registry::new(),
                #[cfg(feature = "services")]
                attached: Attached::default(),
            }),
        }
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// What a floor above keeps with the bus, made if there is none; `make` must not ask in turn.
    #[cfg(feature = "services")]
    pub(crate) fn attached<A: Attachment>(&self, make: impl FnOnce() -> A) -> Arc<A> {
        self.shared.attached.get(make)
    }

    #[cfg(all(feature = "metrics", feature = "services"))]
    pub(super) fn export_attached(&self) {
        self.shared.attached.export();
    }

    #[cfg(feature = "services")]
    pub(crate) fn downgrade(&self) -> WeakBus {
        WeakBus {
            shared: Arc::downgrade(&self.shared),
        }
    }

    /// The topic of this event type that has no name; opened with default settings if it is not open.
    ///
    /// On a closed bus the topic is closed.
    pub fn topic<T: Send + Sync + 'static>(&self) -> Topic<T> {
        match self.registry().open(None, Settings::default()) {
            Ok((topic, _)) => topic,
            Err(_) => unreachable!("patterns follow names, and it has none"),
        }
    }

    /// The topic of this event type and name; opened with default settings if it is not open.
    ///
    /// Topics of one name and different types are different topics.
    ///
    /// Whoever opens a topic first gives it its settings; here those are the defaults, and a
    /// [builder](Self::topic_builder) that wants others is refused from then on. To listen without opening, follow
    /// the name by [`subscribe_pattern`](Self::subscribe_pattern).
    ///
    /// # Errors
    ///
    /// When the name is empty or longer than [`MAX_NAME`](crate::MAX_NAME) bytes, or followed by more lossy
    /// subscribers than a topic of default capacity takes.
    pub fn topic_named<T: Send + Sync + 'static>(
        &self,
        name: &str,
    ) -> Result<Topic<T>, TopicError> {
        self.topic_builder().name(name).open()
    }

    /// Opens a topic with settings of its own.
    pub fn topic_builder<T: Send + Sync + 'static>(&self) -> TopicBuilder<'_, T> {
        TopicBuilder::new(self.registry())
    }

    /// The lanes of this event type and name; opened with default settings if they are not open.
    ///
    /// Lanes and topics are apart: a topic of the same type and name is another channel, and
    /// [patterns](crate::Pattern) follow topics only.
    ///
    /// # Errors
    ///
    /// When the name is empty or longer than [`MAX_NAME`](crate::MAX_NAME) bytes.
    pub fn lanes<T: Send + Sync + 'static>(&self, name: &str) -> Result<Lanes<T>, TopicError> {
        self.topic_builder().name(name).open_lanes()
    }

    /// Publishes an event to the topic of its type that has no name, where it is not hot: the topic is
    /// looked up every time.
    ///
    /// As [`Topic::publish`].
    ///
    /// # Errors
    ///
    /// As [`Topic::publish`].
    ///
    /// # Blocking
    ///
    /// As [`Publisher::publish`](crate::Publisher::publish).
    pub fn publish<T: Send + Sync + 'static>(&self, event: T) -> Result<u64, PublishError<T>> {
        self.topic::<T>().publish(event)
    }

    /// Closes every topic; those opened later are closed from the start. See
    /// [Closing](Topic#closing).
    pub fn close(&self) {
        self.shared.close();
    }

    /// Whether the bus is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.registry().is_closed()
    }

    /// The numbers of every topic now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            topics: self.registry().snapshot(),
        }
    }
}

impl Default for Bus {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("topics", &self.registry().len())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
