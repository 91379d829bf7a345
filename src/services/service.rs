//! Those that serve one request, and those that wait for them.

use std::sync::Arc;
use std::time::Instant;

use super::answer::{Absences, Asked};
#[cfg(feature = "metrics")]
use super::export::ServiceTotals;
use super::instance::Instance;
use super::news::{Herald, News, ServiceChange};
use super::permits::Permits;
use super::request::Request;
use super::snapshot::ServiceSnapshot;
use crate::channel::{Patience, WaitStrategy};
use crate::sync::{AtomicU64, AtomicUsize, Barrier, Mutex, Ordering, WaitSet};

/// The instances that are there, the oldest first.
pub(crate) type Instances<R> = Arc<[Arc<Instance<R>>]>;

/// Everything of one request type and name on one bus.
pub(crate) struct Service<R: Request> {
    news: Arc<News>,
    absences: Arc<Absences>,
    roster: Mutex<Roster<R>>,
    /// Counts the changes of the roster; written under its lock.
    version: AtomicU64,
    changed: WaitSet,
    clients: AtomicUsize,
    permits: Arc<Permits>,
    /// What instances have done that have left.
    #[cfg(feature = "metrics")]
    gone: Mutex<ServiceTotals>,
}

struct Roster<R: Request> {
    closed: bool,
    instances: Instances<R>,
}

impl<R: Request> Service<R> {
    pub(crate) fn new(name: Option<&str>, closed: bool, herald: Option<Herald>) -> Self {
        Self {
            news: News::new::<R>(name, herald),
            absences: Arc::default(),
            roster: Mutex::new(Roster {
                closed,
                instances: Arc::new([]),
            }),
            version: AtomicU64::new(0),
            changed: WaitSet::new(Barrier::of_process()),
            clients: AtomicUsize::new(0),
            permits: Arc::new(Permits::new()),
            #[cfg(feature = "metrics")]
            gone: Mutex::new(ServiceTotals::default()),
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.news.service.as_deref()
    }

    /// How many clients there were before this one.
    pub(crate) fn next_client(&self) -> usize {
        self.clients.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn permits(&self) -> &Arc<Permits> {
        &self.permits
    }

    /// Whom a close wakes, and whatever changes the roster.
    #[cfg(feature = "rate-limit")]
    pub(crate) fn changed(&self) -> &WaitSet {
        &self.changed
    }

    pub(crate) fn news(&self) -> &Arc<News> {
        &self.news
    }

    pub(crate) fn absences(&self) -> &Arc<Absences> {
        &self.absences
    }

    pub(crate) fn snapshot(&self) -> ServiceSnapshot {
        let instances = Arc::clone(&self.roster.lock().instances);
        ServiceSnapshot {
            request: self.news.request,
            name: self.news.service.clone(),
            instances: instances
                .iter()
                .map(|instance| instance.snapshot())
                .collect(),
        }
    }

    /// The number of the roster's last change; a hint, as the roster may change at once.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    /// The instances with their version; `None` when there never will be any again.
    pub(crate) fn instances(&self) -> (u64, Option<Instances<R>>) {
        let roster = self.roster.lock();
        let open = !roster.closed;
        (self.version(), open.then(|| Arc::clone(&roster.instances)))
    }

    /// Adds an instance; on a closed bus it is closed instead.
    pub(crate) fn join(&self, instance: &Arc<Instance<R>>) {
        let mut roster = self.roster.lock();
        if roster.closed {
            drop(roster);
            instance.mailbox.close();
            return;
        }
        let there = roster.instances.iter().chain([instance]).cloned().collect();
        let before = std::mem::replace(&mut roster.instances, there);
        self.count_change();
        drop(roster);
        drop(before);
        self.changed.notify();
        instance.tell(ServiceChange::Joined);
    }

    /// Takes an instance out: it is sent nothing more by whoever looks from here on.
    pub(crate) fn leave(&self, instance: &Arc<Instance<R>>) {
        let mut roster = self.roster.lock();
        let is_it = |other: &Arc<Instance<R>>| Arc::ptr_eq(other, instance);
        if !roster.instances.iter().any(is_it) {
            return;
        }
        let others = roster.instances.iter();
        let others = others.filter(|other| !is_it(other)).cloned().collect();
        let before = std::mem::replace(&mut roster.instances, others);
        self.count_change();
        drop(roster);
        drop(before);
        self.changed.notify();
        instance.tell(ServiceChange::Left);
    }

    /// Keeps the numbers of an instance that has left, and has been dropped.
    #[cfg(feature = "metrics")]
    pub(crate) fn keep(&self, instance: &Instance<R>) {
        let left = instance.snapshot();
        self.gone.lock().keep(&left);
    }

    /// What instances have done that have left; to be asked before those that are there are.
    #[cfg(feature = "metrics")]
    pub(crate) fn gone(&self) -> ServiceTotals {
        self.gone.lock().clone()
    }

    /// Takes no more requests; those that were taken are still served.
    pub(crate) fn close(&self) {
        let mut roster = self.roster.lock();
        roster.closed = true;
        self.count_change();
        let instances = Arc::clone(&roster.instances);
        drop(roster);
        for instance in instances.iter() {
            instance.mailbox.close();
        }
        self.changed.notify();
    }

    /// Under the roster's lock.
    fn count_change(&self) {
        self.version.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives a request to the least busy of those that have room, but to none that its caller serves, who may be
    /// waiting for it.
    pub(crate) fn give(&self, mut asked: Asked<R>) -> Result<(), Asked<R>> {
        let (_, Some(instances)) = self.instances() else {
            return Err(asked);
        };
        let mut order: Vec<_> = instances
            .iter()
            .filter(|instance| !instance.is_served_by(asked.caller))
            .collect();
        order.sort_by_key(|instance| instance.outstanding());
        for instance in order {
            match instance.mailbox.send(Patience::Try, asked) {
                Ok(_) => return Ok(()),
                Err((_, back)) => asked = back,
            }
        }
        Err(asked)
    }

    /// Waits until there are at least so many instances; the number there is, `None` when the bus is closed.
    pub(crate) fn wait_for(&self, least: usize, deadline: Option<Instant>) -> Option<usize> {
        let present = || self.instances().1.map(|instances| instances.len());
        WaitStrategy::Park
            .wait(&self.changed, None, deadline, || match present() {
                Some(there) if there < least => None,
                answer => Some(answer),
            })
            .unwrap_or_else(present)
    }
}
