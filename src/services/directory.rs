//! The services of a bus, by request type and name.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::client::{Client, ClientBuilder};
use super::error::ServiceError;
#[cfg(feature = "metrics")]
use super::export::{self, ServiceTotals};
use super::news::Herald;
use super::request::Request;
use super::server::{Server, ServerBuilder};
use super::service::Service;
use super::snapshot::ServiceSnapshot;
use crate::bus::{Attachment, Bus};
use crate::channel::MAX_NAME;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// Kept with the bus, and closed with it.
pub(crate) struct Directory {
    services: Mutex<Services>,
    herald: Herald,
    last_id: AtomicU64,
}

struct Services {
    closed: bool,
    by_key: HashMap<Key, Arc<dyn AnyService>>,
}

/// The request type and the name.
type Key = (TypeId, Option<Box<str>>);

/// A service whose request type is forgotten.
trait AnyService: Any + Send + Sync {
    fn close(&self);
    fn snapshot(&self) -> ServiceSnapshot;
    #[cfg(feature = "metrics")]
    fn gone(&self) -> ServiceTotals;
}

impl<R: Request> AnyService for Service<R> {
    fn close(&self) {
        Self::close(self);
    }

    fn snapshot(&self) -> ServiceSnapshot {
        Self::snapshot(self)
    }

    #[cfg(feature = "metrics")]
    fn gone(&self) -> ServiceTotals {
        Self::gone(self)
    }
}

impl Directory {
    /// That of the bus.
    pub(crate) fn of(bus: &Bus) -> Arc<Self> {
        let topic = bus.topic();
        bus.attached(|| Self {
            services: Mutex::new(Services {
                closed: false,
                by_key: HashMap::new(),
            }),
            herald: Herald::new(topic),
            last_id: AtomicU64::new(0),
        })
    }

    /// The service of this request type and name.
    pub(crate) fn service<R: Request>(&self, name: Option<&str>) -> Arc<Service<R>> {
        let mut services = self.services.lock();
        let closed = services.closed;
        let service = services
            .by_key
            .entry((TypeId::of::<R>(), name.map(Box::from)))
            .or_insert_with(|| {
                let herald = self.herald.clone();
                Arc::new(Service::<R>::new(name, closed, Some(herald)))
            });
        let service: Arc<dyn Any + Send + Sync> = Arc::clone(service) as _;
        service.downcast().expect("the key holds the type")
    }

    /// A number for an instance, not used again.
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn all(&self) -> Vec<Arc<dyn AnyService>> {
        self.services.lock().by_key.values().cloned().collect()
    }
}

impl Attachment for Directory {
    fn close(&self) {
        self.services.lock().closed = true;
        for service in self.all() {
            service.close();
        }
    }

    #[cfg(feature = "metrics")]
    fn export(&self) {
        let services = self.all();
        let numbers = services.iter();
        export::services(numbers.map(|service| (service.gone(), service.snapshot())));
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services = self.services.lock();
        f.debug_struct("Directory")
            .field("services", &services.by_key.len())
            .finish_non_exhaustive()
    }
}

/// What is wrong with a name, if anything is.
pub(super) fn check_name(name: Option<&str>) -> Result<(), ServiceError> {
    match name {
        Some(name) if name.is_empty() || name.len() > MAX_NAME => {
            Err(ServiceError::Name(name.len()))
        }
        _ => Ok(()),
    }
}

/// How a service is shown: by its name, and by its request type.
pub(super) fn show<R: Request>(
    f: &mut fmt::Formatter<'_>,
    what: &'static str,
    service: &Service<R>,
) -> fmt::Result {
    f.debug_struct(what)
        .field("request", &type_name::<R>())
        .field("service", &service.name())
        .finish_non_exhaustive()
}

impl Bus {
    /// An instance that serves the requests of a type, from now on.
    ///
    /// Every call is another instance: clients [balance](crate::Balance) their requests among those that are
    /// there. It is pulled by a thread, or [served](crate::Context::serve) by a reactor. On a closed bus it has
    /// ended.
    ///
    /// ```
    /// use std::thread;
    /// use std::time::Duration;
    /// use ringbus::{Bus, Request};
    ///
    /// struct Square(u64);
    ///
    /// impl Request for Square {
    ///     type Reply = u64;
    /// }
    ///
    /// let bus = Bus::new();
    /// let mut server = bus.serve::<Square>();
    /// let thread = thread::spawn(move || {
    ///     while let Ok(call) = server.recv() {
    ///         let Square(number) = call.request();
    ///         let square = number * number;
    ///         call.reply(square);
    ///     }
    /// });
    ///
    /// let client = bus.client::<Square>();
    /// assert_eq!(client.call(Square(12), Duration::from_secs(1))?, 144);
    /// bus.close(); // the server is told so, when it has answered what came before
    /// thread.join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn serve<R: Request>(&self) -> Server<R> {
        match self.server_builder().open() {
            Ok(server) => server,
            Err(ServiceError::Name(_) | ServiceError::Capacity(_)) => {
                unreachable!("it has no name, and a good capacity")
            }
        }
    }

    /// As [`serve`](Self::serve), for a service that has a name: another one than that of the same type without.
    ///
    /// ```
    /// use ringbus::{Bus, Request, StartError};
    ///
    /// struct Square(u64);
    ///
    /// impl Request for Square {
    ///     type Reply = u64;
    /// }
    ///
    /// let bus = Bus::new();
    /// let mut server = bus.serve_named::<Square>("squares")?;
    /// let ticket = bus.client_named::<Square>("squares")?.start(Square(3))?;
    /// server.recv()?.reply(9);
    /// assert_eq!(ticket.wait()?, 9);
    /// assert!(matches!(bus.client().start(Square(4)), Err(StartError::NoResponder(Square(4)))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the name is empty or too long.
    pub fn serve_named<R: Request>(&self, name: &str) -> Result<Server<R>, ServiceError> {
        self.server_builder().service(name).open()
    }

    /// An instance with settings of its own.
    pub fn server_builder<R: Request>(&self) -> ServerBuilder<'_, R> {
        ServerBuilder::new(self)
    }

    /// A client of those that serve the requests of a type, also of those that come later.
    pub fn client<R: Request>(&self) -> Client<R> {
        match self.client_builder().open() {
            Ok(client) => client,
            Err(ServiceError::Name(_) | ServiceError::Capacity(_)) => {
                unreachable!("it has no name")
            }
        }
    }

    /// As [`client`](Self::client), of a service that has a name.
    ///
    /// # Errors
    ///
    /// When the name is empty or too long.
    pub fn client_named<R: Request>(&self, name: &str) -> Result<Client<R>, ServiceError> {
        self.client_builder().service(name).open()
    }

    /// What is served on this bus, by whom, and how busy they are: every service that has had an instance or a
    /// client, by request type and name.
    ///
    /// ```
    /// use ringbus::{Bus, Request};
    ///
    /// struct Square(u64);
    ///
    /// impl Request for Square {
    ///     type Reply = u64;
    /// }
    ///
    /// let bus = Bus::new();
    /// let server = bus.server_builder::<Square>().service("squares").instance("first").open()?;
    /// let _ticket = bus.client_builder::<Square>().service("squares").open()?.start(Square(7))?;
    ///
    /// let services = bus.services();
    /// assert_eq!(services[0].name.as_deref(), Some("squares"));
    /// let first = &services[0].instances[0];
    /// assert_eq!((first.name.as_deref(), first.waiting, first.serving), (Some("first"), 1, 0));
    /// # drop(server);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn services(&self) -> Vec<ServiceSnapshot> {
        let services = Directory::of(self).all();
        let mut snapshots: Vec<_> = services.iter().map(|service| service.snapshot()).collect();
        snapshots.sort_by(|one, other| (one.request, &one.name).cmp(&(other.request, &other.name)));
        snapshots
    }

    /// Lets at most `calls` calls of a request type be outstanding at once, of all clients together and with all
    /// that serve it: the one beyond is refused with `Overloaded`, and the request comes back.
    ///
    /// A call is outstanding from when it is sent until it is answered or dropped by whoever serves it; also
    /// when its caller has gone meanwhile, as it is still there to be served. The limit may be changed at any
    /// time, to `usize::MAX` for none; calls that were sent while there was none are not counted.
    ///
    /// ```
    /// use ringbus::{Bus, Request, StartError};
    ///
    /// struct Square(u64);
    ///
    /// impl Request for Square {
    ///     type Reply = u64;
    /// }
    ///
    /// let bus = Bus::new();
    /// bus.limit_calls::<Square>(1);
    /// let mut server = bus.serve::<Square>();
    /// let client = bus.client::<Square>();
    ///
    /// let ticket = client.start(Square(3))?;
    /// let refused = bus.client().start(Square(4)).unwrap_err(); // of another client, too
    /// assert!(matches!(refused, StartError::Overloaded(Square(4))));
    /// server.recv()?.reply(9);
    /// assert_eq!(ticket.wait()?, 9);
    /// assert!(client.start(refused.into_request()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn limit_calls<R: Request>(&self, calls: usize) {
        let service = Directory::of(self).service::<R>(None);
        service.permits().limit_to(calls);
    }

    /// As [`limit_calls`](Self::limit_calls), of a service that has a name.
    ///
    /// # Errors
    ///
    /// When the name is empty or too long.
    pub fn limit_calls_named<R: Request>(
        &self,
        name: &str,
        calls: usize,
    ) -> Result<(), ServiceError> {
        check_name(Some(name))?;
        let service = Directory::of(self).service::<R>(Some(name));
        service.permits().limit_to(calls);
        Ok(())
    }

    /// A client with settings of its own.
    pub fn client_builder<R: Request>(&self) -> ClientBuilder<'_, R> {
        ClientBuilder::new(self)
    }
}
