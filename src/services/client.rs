//! Who asks.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::{Answer, Asked, Pool, Promised};
use super::balance::{Balance, Balancer, Order};
use super::directory::{Directory, check_name, show};
use super::error::{CallError, ServiceError, StartError};
use super::instance::Instance;
use super::permits::Permits;
use super::request::{Idempotent, Request};
use super::service::{Instances, Service};
use super::ticket::{self, Ticket};
use crate::bus::Bus;
use crate::channel::{Patience, Refusal, WaitStrategy};
use crate::ring::{Awaited, Idle};
use crate::sync::thread_id;

/// Asks those that serve a request.
///
/// Made by [`Bus::client`]. A client is [`Clone`] and [`Send`]; it is not `Sync`: each thread has its own.
/// It holds the bus open no more than it needs an instance: what it sends goes to those that are there.
///
/// # Answers
///
/// Every request gets exactly one answer: a reply, the request back, or the reason why there is neither. An
/// answer that will not come is told at once, not when the time is up: when nobody serves the request
/// (`NoResponder`), when the mailbox is full or [the service's limit](Bus::limit_calls) is reached (`Overloaded`),
/// when the instance dropped the call (`Cancelled`), panicked in it (`Panicked`), or left before it took it and
/// nobody else serves (`Closed`).
///
/// A call of a service that the calling thread itself serves, from inside of a handler, would wait for ever: it
/// is refused with `WouldDeadlock`, unless another instance can take it. A thread serves an instance if it was
/// the last to pull it. A longer circle, of threads that call each other from inside of handlers, ends when
/// the first of their timeouts does.
///
/// # Cost
///
/// A request is written into the instance's ring, and its reply into a place that the client has kept from an
/// earlier call: nothing is allocated but for a request beyond the most there were at once, and for one that
/// was cancelled.
#[must_use = "a client does nothing by itself"]
pub struct Client<R: Request> {
    pub(super) service: Arc<Service<R>>,
    /// The instances as of a version of the roster.
    known: RefCell<(u64, Instances<R>)>,
    pool: Arc<Pool<R>>,
    /// What the last call has left for the next.
    spare: Cell<Option<Idle<Answer<R>>>>,
    wait: WaitStrategy,
    balancer: Balancer<R>,
}

/// A request that lies in a mailbox.
struct Sent<R: Request> {
    awaited: Awaited<Answer<R>>,
    /// The mailbox, and the place there, if this thread serves it.
    own: Option<(Arc<Instance<R>>, u64)>,
    /// The instance that it was sent to; itself, if it wants to know of a timeout.
    to: u64,
    watched: Option<Arc<Instance<R>>>,
}

/// One that does not.
struct Unsent<R: Request> {
    why: Refused,
    request: R,
    idle: Idle<Answer<R>>,
}

/// What an instance is chosen by.
struct Choice {
    key: Option<u64>,
    /// One that is asked only if there is no other.
    failed: Option<u64>,
    /// It will be waited for, so it must be another thread's.
    waited: bool,
}

enum Refused {
    NoResponder,
    Overloaded,
    Closed,
    WouldDeadlock,
}

impl<R: Request> Client<R> {
    /// Sends a request, and waits for its reply, for `timeout` at most.
    ///
    /// # Errors
    ///
    /// When there is no reply, for one of the reasons [above](Self#answers) or as the time is up. The request
    /// comes back unless an instance has taken it.
    ///
    /// # Blocking
    ///
    /// Waits by the client's [`WaitStrategy`], until the timeout.
    pub fn call(&self, request: R, timeout: Duration) -> Result<R::Reply, CallError<R>> {
        // A timeout beyond what the clock can tell is no timeout.
        self.attempt(request, None, || Instant::now().checked_add(timeout))
            .map_err(|(error, _)| error)
    }

    /// As [`call`](Self::call), and sends the request again, up to `retries` times, when an instance panics in it,
    /// drops it or leaves with it: to another one, if there is any that can take it. `timeout` is for all of it. A
    /// request that no instance takes, or that is not answered in time, is not sent again.
    ///
    /// ```
    /// use std::thread;
    /// use std::time::Duration;
    /// use ringbus::{Bus, Idempotent, Request};
    ///
    /// #[derive(Clone)]
    /// struct Price(&'static str);
    ///
    /// impl Request for Price {
    ///     type Reply = u64;
    /// }
    ///
    /// impl Idempotent for Price {}
    ///
    /// let bus = Bus::new();
    /// let mut server = bus.serve::<Price>();
    /// let thread = thread::spawn(move || {
    ///     drop(server.recv()); // it fails once
    ///     server.recv().unwrap().reply(100);
    /// });
    /// let price = bus.client().call_again(Price("btc"), Duration::from_secs(1), 2)?;
    /// assert_eq!(price, 100);
    /// thread.join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), of the last try.
    ///
    /// # Blocking
    ///
    /// As [`call`](Self::call).
    pub fn call_again(
        &self,
        request: R,
        timeout: Duration,
        retries: u32,
    ) -> Result<R::Reply, CallError<R>>
    where
        R: Idempotent,
    {
        let deadline = Instant::now().checked_add(timeout);
        let mut failed = None;
        for _ in 0..retries {
            match self.attempt(request.clone(), failed, || deadline) {
                Err((CallError::Panicked | CallError::Cancelled | CallError::Closed(_), by))
                    if by.is_some() =>
                {
                    failed = by;
                }
                answer => return answer.map_err(|(error, _)| error),
            }
        }
        self.attempt(request, failed, || deadline)
            .map_err(|(error, _)| error)
    }

    /// Sends a request and waits for its reply; tells with an error who was asked. One that has `failed` before is
    /// asked only if there is no other.
    fn attempt(
        &self,
        request: R,
        failed: Option<u64>,
        deadline: impl FnOnce() -> Option<Instant>,
    ) -> Result<R::Reply, (CallError<R>, Option<u64>)> {
        let idle = self.spare.take().unwrap_or_else(|| self.pool.take());
        let sent = match self.send(request, idle, failed, true) {
            Ok(sent) => sent,
            Err(Unsent { why, request, idle }) => {
                self.spare.set(Some(idle));
                let error = match why {
                    Refused::NoResponder => CallError::NoResponder(request),
                    Refused::Overloaded => CallError::Overloaded(request),
                    Refused::Closed => CallError::Closed(request),
                    Refused::WouldDeadlock => CallError::WouldDeadlock(request),
                };
                return Err((error, None));
            }
        };
        ticket::wait(&sent.awaited, self.wait, deadline);
        let answer = match sent.awaited.take() {
            Ok((answer, idle)) => {
                self.spare.set(Some(idle));
                Some(answer)
            }
            // It may come just now.
            Err(awaited) => self.pool.abandon(awaited),
        };
        let Some(answer) = answer else {
            if let Some(instance) = sent.watched {
                instance.failed();
            }
            return Err((CallError::Timeout, Some(sent.to)));
        };
        answer.map_err(|fault| (CallError::from(fault), Some(sent.to)))
    }

    /// Sends a request, and returns the ticket for its answer; never blocks.
    ///
    /// ```
    /// # use ringbus::{Bus, Request};
    /// # struct Square(u64);
    /// # impl Request for Square { type Reply = u64; }
    /// let bus = Bus::new();
    /// let mut server = bus.serve::<Square>();
    /// let client = bus.client::<Square>();
    ///
    /// let mut three = client.start(Square(3))?;
    /// let four = client.start(Square(4))?;
    /// assert!(three.try_take().is_none()); // nobody has served it yet
    /// for _ in 0..2 {
    ///     let call = server.recv()?;
    ///     let square = call.request().0.pow(2);
    ///     call.reply(square);
    /// }
    /// assert_eq!((three.wait()?, four.wait()?), (9, 16));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When no instance can take the request, with the request.
    pub fn start(&self, request: R) -> Result<Ticket<R>, StartError<R>> {
        let idle = self.spare.take().unwrap_or_else(|| self.pool.take());
        match self.send(request, idle, None, false) {
            Ok(Sent { awaited, own, .. }) => Ok(Ticket::new(awaited, own, &self.pool, self.wait)),
            Err(Unsent { why, request, idle }) => {
                self.spare.set(Some(idle));
                Err(match why {
                    Refused::NoResponder => StartError::NoResponder(request),
                    Refused::Overloaded => StartError::Overloaded(request),
                    Refused::Closed => StartError::Closed(request),
                    Refused::WouldDeadlock => unreachable!("it does not wait"),
                })
            }
        }
    }

    /// The name of the service; `None` for the one found by its request type alone.
    pub fn service(&self) -> Option<&str> {
        self.service.name()
    }

    /// How many instances serve the request now.
    pub fn instances(&self) -> usize {
        self.service.instances().1.map_or(0, |there| there.len())
    }

    /// Waits until at least `least` instances serve the request, for `timeout` at most; tells how many do.
    ///
    /// # Blocking
    ///
    /// Until the timeout; not on a closed bus, which has none and will have none.
    pub fn wait_for_instances(&self, least: usize, timeout: Duration) -> usize {
        let deadline = Instant::now().checked_add(timeout);
        self.service.wait_for(least, deadline).unwrap_or(0)
    }

    /// Sends a request to an instance; to one of another thread, if it will be `waited` for, and to another one
    /// than `failed`, if there is any.
    #[inline(always)]
    fn send(
        &self,
        request: R,
        idle: Idle<Answer<R>>,
        failed: Option<u64>,
        waited: bool,
    ) -> Result<Sent<R>, Unsent<R>> {
        // User code, so before anything is begun or borrowed.
        let key = self.balancer.key(&request);
        let Some(permit) = Permits::take(self.service.permits()) else {
            let why = Refused::Overloaded;
            return Err(Unsent { why, request, idle });
        };
        let (awaited, promise) = idle.begin();
        let mut asked = Asked {
            request,
            promised: Promised::new(promise, permit),
            caller: thread_id(),
        };
        // The plainest case, as the other would do it, with less to carry on the way.
        let known = self.known.borrow();
        if known.0 == self.service.version()
            && let [instance] = &*known.1
            && instance.is_plain()
            && !instance.is_served_here()
        {
            match instance.mailbox.send(Patience::Try, asked) {
                Ok(_) => {
                    return Ok(Sent {
                        awaited,
                        own: None,
                        to: instance.id,
                        watched: None,
                    });
                }
                Err((_, back)) => asked = back,
            }
        }
        drop(known);
        let choice = Choice {
            key,
            failed,
            waited,
        };
        self.send_slow(asked, awaited, choice)
    }

    /// As `send`, whoever there is.
    #[inline(never)]
    fn send_slow(
        &self,
        mut asked: Asked<R>,
        awaited: Awaited<Answer<R>>,
        choice: Choice,
    ) -> Result<Sent<R>, Unsent<R>> {
        let Choice {
            key,
            failed,
            waited,
        } = choice;
        let mut known = self.known.borrow_mut();
        if known.0 != self.service.version() {
            self.refresh(&mut known);
        }
        let why = loop {
            let (version, instances) = &*known;
            let mut why = Refused::NoResponder;
            let mut stale = instances.is_empty();
            let order = match instances.len() {
                0 | 1 => Order::ONE,
                _ => self.balancer.order(instances, key, |instance| {
                    Some(instance.id) != failed
                        && instance.is_fit()
                        && !(waited && instance.is_served_here())
                }),
            };
            for index in order.indices(instances.len()) {
                let instance = &instances[index];
                let is_own = instance.is_served_here();
                if waited && is_own {
                    why = Refused::WouldDeadlock;
                    continue;
                }
                if !instance.admit() {
                    continue;
                }
                match instance.mailbox.send(Patience::Try, asked) {
                    Ok(place) => {
                        return Ok(Sent {
                            awaited,
                            own: is_own.then(|| (Arc::clone(instance), place)),
                            to: instance.id,
                            watched: (!instance.is_plain()).then(|| Arc::clone(instance)),
                        });
                    }
                    Err((refusal, back)) => {
                        asked = back;
                        match refusal {
                            Refusal::Closed => stale = true,
                            _ => why = Refused::Overloaded,
                        }
                    }
                }
            }
            let version = *version;
            if !stale {
                break why;
            }
            // One that has left is not on the list any more.
            if !self.refresh(&mut known) {
                break Refused::Closed;
            }
            if known.0 == version {
                break why;
            }
        };
        drop(known);
        let Asked {
            request, promised, ..
        } = asked;
        let idle = awaited.unite(promised.into_promise());
        Err(Unsent { why, request, idle })
    }

    /// Looks at the roster; `false` when the bus is closed.
    #[cold]
    fn refresh(&self, known: &mut (u64, Instances<R>)) -> bool {
        let (version, instances) = self.service.instances();
        let open = instances.is_some();
        *known = (version, instances.unwrap_or_else(|| Arc::new([])));
        open
    }
}

impl<R: Request> Clone for Client<R> {
    /// Another client of the same service, with the same settings.
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.service), self.wait, self.balancer.clone())
    }
}

impl<R: Request> Client<R> {
    pub(crate) fn new(service: Arc<Service<R>>, wait: WaitStrategy, balancer: Balancer<R>) -> Self {
        balancer.begin_at(service.next_client());
        let client = Self {
            pool: Arc::new(Pool::new(service.absences())),
            service,
            known: RefCell::new((u64::MAX, Arc::new([]))),
            spare: Cell::new(None),
            wait,
            balancer,
        };
        client.refresh(&mut client.known.borrow_mut());
        client
    }
}

impl<R: Request> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "Client", &self.service)
    }
}

/// Opens a [`Client`] that differs from the plain one; made by [`Bus::client_builder`].
#[must_use = "a builder makes a client when it is opened"]
pub struct ClientBuilder<'a, R: Request> {
    bus: &'a Bus,
    name: Option<String>,
    wait: WaitStrategy,
    balancer: Balancer<R>,
}

impl<'a, R: Request> ClientBuilder<'a, R> {
    pub(super) fn new(bus: &'a Bus) -> Self {
        Self {
            bus,
            name: None,
            wait: WaitStrategy::default(),
            balancer: Balancer::new(Balance::default()),
        }
    }

    /// The service's name: 1 to [`MAX_NAME`](crate::MAX_NAME) bytes.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How the client waits for replies; [`WaitStrategy::Park`] by default.
    pub fn wait(mut self, strategy: WaitStrategy) -> Self {
        self.wait = strategy;
        self
    }

    /// How it chooses among instances; [`Balance::IdleFirst`] by default.
    pub fn balance(mut self, balance: Balance) -> Self {
        self.balancer = Balancer::new(balance);
        self
    }

    /// Sends all requests of one key to one instance, as long as it is there; when one joins or leaves only the
    /// keys that it takes or had move.
    ///
    /// All clients find the same instance for a key. When its mailbox is full the request comes back, with
    /// `Overloaded`.
    ///
    /// ```
    /// use ringbus::{Bus, Request};
    ///
    /// struct Deposit { account: u32, amount: u64 }
    ///
    /// impl Request for Deposit {
    ///     type Reply = u64;
    /// }
    ///
    /// let bus = Bus::new();
    /// let mut servers = [bus.serve::<Deposit>(), bus.serve(), bus.serve()];
    /// let client = bus.client_builder().by_key(|deposit: &Deposit| deposit.account).open()?;
    /// let tickets: Vec<_> = (0..10)
    ///     .map(|amount| client.start(Deposit { account: 7, amount }))
    ///     .collect::<Result<_, _>>()?;
    /// let served = servers.each_mut().map(|server| {
    ///     std::iter::from_fn(|| server.try_recv().ok()).count()
    /// });
    /// assert_eq!(served.iter().max(), Some(&10));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn by_key<K: Hash>(mut self, key: impl Fn(&R) -> K + Send + Sync + 'static) -> Self {
        self.balancer = Balancer::by_key(key);
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    ///
    /// When the name is empty or too long.
    pub fn open(self) -> Result<Client<R>, ServiceError> {
        check_name(self.name.as_deref())?;
        let service = Directory::of(self.bus).service(self.name.as_deref());
        Ok(Client::new(service, self.wait, self.balancer))
    }
}

impl<R: Request> fmt::Debug for ClientBuilder<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("name", &self.name)
            .field("wait", &self.wait)
            .field("balance", &self.balancer)
            .finish_non_exhaustive()
    }
}
