//! What is told about instances as they come and go.

use std::any::type_name;
use std::sync::Arc;

use super::request::Request;
use crate::channel::{Topic, try_ambient};
use crate::sync::{Arc as SyncArc, AtomicU64, Ordering, contain};

/// An instance has joined its service, has left it, was ejected or came back.
///
/// These are the events of a topic of the bus, that of this type without a name. They are published without
/// waiting: when a lossless subscriber is a full ring behind it misses some, which the numbers tell. The topic
/// closes with its bus; that the instances end then is not told one by one.
///
/// ```
/// use ringbus::{Bus, Request, ServiceChange, ServiceEvent};
///
/// struct Square(u64);
///
/// impl Request for Square {
///     type Reply = u64;
/// }
///
/// let bus = Bus::new();
/// let mut news = bus.topic::<ServiceEvent>().subscribe();
/// let server = bus.server_builder::<Square>().instance("first").open()?;
/// drop(server);
///
/// let joined = news.recv()?;
/// assert_eq!((joined.change, joined.instance.as_deref()), (ServiceChange::Joined, Some("first")));
/// let left = news.recv()?;
/// assert_eq!((left.change, left.id, left.number), (ServiceChange::Left, joined.id, joined.number + 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceEvent {
    /// Counts the events of the bus, from 0; of two that happen at once either may come first.
    pub number: u64,
    /// What happened.
    pub change: ServiceChange,
    /// The type of the request.
    pub request: &'static str,
    /// The name of the service, if it has one.
    pub service: Option<Arc<str>>,
    /// The instance, among all of the bus.
    pub id: u64,
    /// The name of the instance, if it has one.
    pub instance: Option<Arc<str>>,
}

/// What happened to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServiceChange {
    /// It serves from now on.
    Joined,
    /// It is sent no more requests.
    Left,
    /// It has failed too often, and is asked nothing for a while; see
    /// [`eject_after`](crate::ServerBuilder::eject_after).
    Ejected,
    /// It has answered again.
    Restored,
}

/// Where the bus is told.
#[derive(Clone)]
pub(crate) struct Herald {
    topic: Topic<ServiceEvent>,
    /// The number of the next event.
    next: SyncArc<AtomicU64>,
}

/// A service, and where its news are told.
pub(crate) struct News {
    pub(crate) request: &'static str,
    pub(crate) service: Option<Arc<str>>,
    herald: Option<Herald>,
}

impl Herald {
    pub(crate) fn new(topic: Topic<ServiceEvent>) -> Self {
        Self {
            topic,
            next: SyncArc::new(AtomicU64::new(0)),
        }
    }
}

impl News {
    pub(crate) fn new<R: Request>(service: Option<&str>, herald: Option<Herald>) -> Arc<Self> {
        Arc::new(Self {
            request: type_name::<R>(),
            service: service.map(Arc::from),
            herald,
        })
    }

    /// Tells a change that has been made; to be called without a lock.
    pub(crate) fn tell(&self, change: ServiceChange, id: u64, instance: Option<&Arc<str>>) {
        #[cfg(feature = "tracing")]
        contain(|| self.log(change, id, instance));
        let Some(Herald { topic, next }) = &self.herald else {
            return;
        };
        if topic.core().register_ambient().is_err() {
            // It is closed, or somebody else's.
            return;
        }
        let event = ServiceEvent {
            number: next.fetch_add(1, Ordering::Relaxed),
            change,
            request: self.request,
            service: self.service.clone(),
            id,
            instance: instance.cloned(),
        };
        // An observer may panic where this is told from a drop. One that finds no room is missed.
        contain(|| drop(try_ambient(topic.core(), event)));
    }

    #[cfg(feature = "tracing")]
    fn log(&self, change: ServiceChange, id: u64, instance: Option<&Arc<str>>) {
        use crate::channel::LOG_TARGET;

        // The level of an event is static.
        macro_rules! log {
            ($level:ident, $message:literal) => {
                tracing::event!(
                    target: LOG_TARGET,
                    tracing::Level::$level,
                    request = self.request,
                    service = self.service.as_deref(),
                    id,
                    instance = instance.map(|instance| &**instance),
                    $message
                )
            };
        }
        match change {
            ServiceChange::Joined => log!(DEBUG, "instance joined"),
            ServiceChange::Left => log!(DEBUG, "instance left"),
            ServiceChange::Ejected => log!(WARN, "instance ejected"),
            ServiceChange::Restored => log!(DEBUG, "instance restored"),
        }
    }
}
