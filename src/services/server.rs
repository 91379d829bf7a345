//! An instance that is pulled.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::Asked;
use super::breaker::Breaker;
use super::call::Call;
use super::directory::{Directory, check_name, show};
use super::error::ServiceError;
use super::instance::{Instance, InstanceSettings};
use super::request::Request;
use super::service::Service;
use crate::bus::Bus;
use crate::channel::{
    Inbox, MAX_CAPACITY, RecvError, RecvTimeoutError, TryRecvError, WaitStrategy,
};
use crate::sync::{Waiter, contain};

/// One instance of a service: takes its requests, one by one, in the order in which they came.
///
/// Made by [`Bus::serve`]. A server is [`Send`]: it may be opened on one thread and pulled on another, or given
/// to a [reactor](crate::Context::serve).
///
/// # Leaving
///
/// Dropping a server takes the instance out of its service. Calls that it has taken stay to be answered.
/// Requests that it has not taken are given to the other instances that have room, the least busy first, but to
/// none that their own caller serves; without any their callers get them back, with `Closed`. So every request
/// gets exactly one answer, however its server goes.
///
/// One that is to finish what it has is [closed](Self::close) instead, and dropped when it is told `Closed`.
///
/// When the bus closes, requests that were accepted before are still there for the server, then it is told
/// `Closed`.
#[must_use = "a server that is dropped leaves its service at once"]
pub struct Server<R: Request> {
    inbox: Inbox<Asked<R>>,
    instance: Arc<Instance<R>>,
    /// The share of the next call, if there was time to make it.
    share: Option<Arc<Instance<R>>>,
    service: Arc<Service<R>>,
}

impl<R: Request> Server<R> {
    pub(crate) fn join(service: &Arc<Service<R>>, settings: InstanceSettings<'_>) -> Self {
        let (instance, inbox) = Instance::open(service.news(), service.absences(), settings);
        let instance = Arc::new(instance);
        service.join(&instance);
        Self {
            inbox,
            share: Some(Arc::clone(&instance)),
            instance,
            service: Arc::clone(service),
        }
    }

    /// Waits for the next request.
    ///
    /// Requests whose callers have gone are dropped on the way.
    ///
    /// # Errors
    ///
    /// When the bus is closed and everything is taken.
    ///
    /// # Blocking
    ///
    /// Waits by the server's [`WaitStrategy`].
    pub fn recv(&mut self) -> Result<Call<R>, RecvError> {
        loop {
            match self.recv_until(None) {
                Ok(call) => return Ok(call),
                Err(RecvTimeoutError::Timeout) => {}
                Err(_) => return Err(RecvError::Closed),
            }
        }
    }

    /// Takes the next request, if there is one.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and when there is none.
    pub fn try_recv(&mut self) -> Result<Call<R>, TryRecvError> {
        match self.next() {
            Ok(Some(asked)) => Ok(self.call(asked)),
            Ok(None) => Err(TryRecvError::Empty),
            Err(Ended) => Err(TryRecvError::Closed),
        }
    }

    /// Waits for the next request, for `timeout` at most.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and when none came in time.
    ///
    /// # Blocking
    ///
    /// As [`recv`](Self::recv), until the timeout.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Call<R>, RecvTimeoutError> {
        // A timeout beyond what the clock can tell is no timeout.
        self.recv_until(Instant::now().checked_add(timeout))
    }

    fn recv_until(&mut self, deadline: Option<Instant>) -> Result<Call<R>, RecvTimeoutError> {
        loop {
            match self.next() {
                Ok(Some(asked)) => return Ok(self.call(asked)),
                Ok(None) if self.inbox.wait(deadline) => {}
                Ok(None) => return Err(RecvTimeoutError::Timeout),
                Err(Ended) => return Err(RecvTimeoutError::Closed),
            }
        }
    }

    /// Takes the instance out of its service without dropping it: it is sent no more requests. Those in its
    /// mailbox are still there for it, then it is told `Closed`.
    pub fn close(&self) {
        self.service.leave(&self.instance);
        self.inbox.close();
    }

    /// The next request whose caller is there.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Option<Asked<R>>, Ended> {
        self.instance.note_thread();
        loop {
            match self.inbox.take() {
                Ok(Some(asked)) if self.instance.is_abandoned(&asked) => {
                    self.instance.drop_abandoned(asked);
                }
                Ok(Some(asked)) => return Ok(Some(asked)),
                Ok(None) => {
                    // While there is nothing else to do, so that it need not be done when a caller waits.
                    self.share.get_or_insert_with(|| Arc::clone(&self.instance));
                    return Ok(None);
                }
                Err(_) => return Err(Ended),
            }
        }
    }

    /// A request that was taken, as a call.
    #[inline]
    pub(super) fn call(&mut self, asked: Asked<R>) -> Call<R> {
        let share = self.share.take();
        Call::new(asked, share.unwrap_or_else(|| Arc::clone(&self.instance)))
    }

    /// The name of the service; `None` for the one found by its request type alone.
    pub fn service(&self) -> Option<&str> {
        self.service.name()
    }

    /// A number that no other instance of the bus has or had.
    pub fn id(&self) -> u64 {
        self.instance.id
    }

    /// The name of this instance, if it was given one.
    pub fn instance(&self) -> Option<&str> {
        self.instance.name.as_deref()
    }

    pub(super) fn shared(&self) -> &Arc<Instance<R>> {
        &self.instance
    }

    pub(super) fn inbox(&mut self) -> &mut Inbox<Asked<R>> {
        &mut self.inbox
    }

    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        self.inbox.is_ready()
    }

    pub(super) fn enlist(&self, waiter: &Waiter) {
        self.inbox.enlist(waiter);
    }

    pub(super) fn delist(&self, waiter: &Waiter) {
        self.inbox.delist(waiter);
    }

    pub(super) fn left(&self) -> u64 {
        self.inbox.left()
    }

    pub(super) fn strategy(&self) -> WaitStrategy {
        self.inbox.strategy()
    }
}

/// There will be no request any more.
pub(super) struct Ended;

impl<R: Request> Drop for Server<R> {
    fn drop(&mut self) {
        let Self {
            inbox,
            instance,
            service,
            ..
        } = self;
        // In this order: who sends to it from here on has seen it before, and is refused or still served below.
        service.leave(instance);
        inbox.close();
        inbox.take_fence_away();
        loop {
            match inbox.take() {
                Ok(Some(asked)) if instance.is_abandoned(&asked) => {
                    instance.drop_abandoned(asked);
                }
                Ok(Some(asked)) => {
                    // The wake-up of a caller may be a hook.
                    contain(|| instance.hand_on(asked, |asked| service.give(asked)));
                }
                // Somebody is in the middle of sending.
                Ok(None) => {
                    inbox.wait(None);
                }
                Err(_) => break,
            }
        }
        #[cfg(feature = "metrics")]
        service.keep(instance);
    }
}

impl<R: Request> fmt::Debug for Server<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "Server", &self.service)
    }
}

/// Opens a [`Server`] that differs from the plain one; made by [`Bus::server_builder`].
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
/// let server = bus.server_builder::<Square>().service("squares").capacity(1).open()?;
/// let client = bus.client_builder::<Square>().service("squares").open()?;
/// let first = client.start(Square(1))?;
/// match client.start(Square(2)) {
///     Err(StartError::Overloaded(Square(back))) => assert_eq!(back, 2),
///     _ => unreachable!("the mailbox has room for one"),
/// }
/// # drop((first, server));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder serves when it is opened"]
pub struct ServerBuilder<'a, R: Request> {
    bus: &'a Bus,
    name: Option<String>,
    instance: Option<String>,
    capacity: usize,
    wait: WaitStrategy,
    eject_after: Option<(u32, Duration)>,
    request: PhantomData<fn(R)>,
}

impl<'a, R: Request> ServerBuilder<'a, R> {
    pub(super) fn new(bus: &'a Bus) -> Self {
        Self {
            bus,
            name: None,
            instance: None,
            capacity: 1024,
            wait: WaitStrategy::default(),
            eject_after: None,
            request: PhantomData,
        }
    }

    /// The service's name: 1 to [`MAX_NAME`](crate::MAX_NAME) bytes. Services of one name and different request
    /// types are different services.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The instance's name: 1 to [`MAX_NAME`](crate::MAX_NAME) bytes, not necessarily unique.
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.instance = Some(name.into());
        self
    }

    /// How many requests its mailbox takes, beside those that it has taken out; rounded up to a power of two,
    /// 1024 by default. When it is full, callers get their requests back, with `Overloaded`.
    pub fn capacity(mut self, requests: usize) -> Self {
        self.capacity = requests;
        self
    }

    /// How the server waits for requests; [`WaitStrategy::Park`] by default.
    pub fn wait(mut self, strategy: WaitStrategy) -> Self {
        self.wait = strategy;
        self
    }

    /// Ejects the instance after so many failures in a row: it is sent nothing for as long as `pause`, then one
    /// request; a reply brings it back, another failure ejects it again. Without this it is never ejected.
    ///
    /// A failure is a call in which it panicked, one that it dropped without a reply, and a
    /// [`call`](crate::Client::call) whose time was up. Requests go to the other instances meanwhile; without
    /// any, their callers are told `NoResponder`.
    ///
    /// # Panics
    ///
    /// When `failures` is 0.
    pub fn eject_after(mut self, failures: u32, pause: Duration) -> Self {
        assert!(
            failures > 0,
            "an instance must have failed to be ejected, got 0 failures"
        );
        self.eject_after = Some((failures, pause));
        self
    }

    /// Serves, from now on.
    ///
    /// # Errors
    ///
    /// When a name is empty or too long, and when the capacity is 0 or too large.
    pub fn open(self) -> Result<Server<R>, ServiceError> {
        check_name(self.name.as_deref())?;
        check_name(self.instance.as_deref())?;
        if self.capacity == 0 || self.capacity > MAX_CAPACITY {
            return Err(ServiceError::Capacity(self.capacity));
        }
        let directory = Directory::of(self.bus);
        let service = directory.service(self.name.as_deref());
        let settings = InstanceSettings {
            id: directory.next_id(),
            name: self.instance.as_deref(),
            capacity: self.capacity.next_power_of_two(),
            wait: self.wait,
            breaker: self
                .eject_after
                .map(|(most, pause)| Breaker::new(most, pause)),
        };
        Ok(Server::join(&service, settings))
    }
}

impl<R: Request> fmt::Debug for ServerBuilder<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("name", &self.name)
            .field("instance", &self.instance)
            .field("capacity", &self.capacity)
            .field("wait", &self.wait)
            .field("eject_after", &self.eject_after)
            .finish_non_exhaustive()
    }
}
