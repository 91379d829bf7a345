//! Telling what happens on a bus, from wherever it happens.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::Instant;

use super::core::Core;
#[cfg(feature = "metrics")]
use super::core::Listed;
#[cfg(feature = "metrics")]
use super::ledger::Ledger;
use super::overflow::Overflow;
use super::publisher::try_ambient;
use super::system_event::{ListenerName, SystemChange, SystemEvent, TopicName};
#[cfg(feature = "tracing")]
use super::system_log;
use super::throttle::Throttle;
use super::topic::Topic;
use crate::ring::Loss;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering, Telling, contain, thread_name};

/// Where a bus is told what happens on it; asked on cold paths only.
///
/// Nobody is told under a lock of this crate's, as those who listen are user code. A thread that has to take one
/// around something that may be told [holds](Self::hold) what it tells until the lock is gone.
pub(crate) struct System {
    /// Somebody has asked. Whoever sees it finds the topic, which is set before, under its lock.
    asked: AtomicBool,
    /// It tells nothing of itself, so nothing here is in a circle.
    topic: Mutex<Option<Topic<SystemEvent>>>,
    /// The number of the next event.
    next: AtomicU64,
    /// What was told under a lock.
    held: Mutex<Vec<Told>>,
    #[cfg(feature = "metrics")]
    ledger: Ledger,
}

/// What has happened; with its number, if it is to be published.
struct Told {
    number: Option<u64>,
    thread: Option<String>,
    change: SystemChange,
}

/// Holds back what this thread tells, until it is dropped.
#[must_use = "what is held is told when this is dropped"]
pub(crate) struct Held<'a> {
    system: &'a System,
    /// Of this thread.
    not_send: PhantomData<*const ()>,
}

impl System {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            asked: AtomicBool::new(false),
            topic: Mutex::new(None),
            next: AtomicU64::new(0),
            held: Mutex::new(Vec::new()),
            #[cfg(feature = "metrics")]
            ledger: Ledger::new(),
        })
    }

    /// Tells everything from now on, as events of this topic.
    pub(crate) fn tell_to(&self, topic: &Topic<SystemEvent>) {
        // So that it stays open, and nobody else has it to himself. It may be closed, or taken already.
        let _ = topic.core().register_ambient();
        let before = self.topic.lock().replace(topic.clone());
        self.asked.store(true, Ordering::Relaxed);
        drop(before);
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Publishes nothing more.
    pub(crate) fn close(&self) {
        self.asked.store(false, Ordering::Relaxed);
    }

    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Whether anybody wants to know.
    #[inline]
    pub(crate) fn listens(&self) -> bool {
        #[cfg(feature = "tracing")]
        if system_log::is_enabled() {
            return true;
        }
        self.is_asked()
    }

    /// Tells what has happened, if anybody wants to know.
    pub(crate) fn tell(&self, change: impl FnOnce() -> SystemChange) {
        if self.listens() {
            self.tell_change(change);
        }
    }

    #[cold]
    fn tell_change(&self, change: impl FnOnce() -> SystemChange) {
        let number = self.is_asked();
        let number = number.then(|| self.next.fetch_add(1, Ordering::Relaxed));
        if Telling::is_here() {
            return;
        }
        let told = Told {
            number,
            thread: thread_name(),
            change: change(),
        };
        if Telling::is_held() {
            self.held.lock().push(told);
        } else {
            self.publish(told);
        }
    }

    /// Tells those who listen. This may be a drop, or another place where a panic of theirs has no business.
    fn publish(&self, told: Told) {
        let _telling = Telling::begin();
        #[cfg(feature = "tracing")]
        contain(|| system_log::log(&told.change));
        let Some(number) = told.number else {
            return;
        };
        let event = SystemEvent {
            number,
            thread: told.thread.map(std::sync::Arc::from),
            change: told.change,
        };
        let topic = self.topic.lock().clone();
        if let Some(topic) = topic
            && topic.core().register_ambient().is_ok()
        {
            // One that finds no room is missed.
            contain(|| drop(try_ambient(topic.core(), event)));
        }
    }

    /// To be dropped after the lock that it is for.
    pub(crate) fn hold(&self) -> Held<'_> {
        Telling::hold();
        Held {
            system: self,
            not_send: PhantomData,
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        Telling::let_go();
        if !self.system.listens() || Telling::is_held() {
            return;
        }
        let held = std::mem::take(&mut *self.system.held.lock());
        for told in held {
            self.system.publish(told);
        }
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System")
            .field("asked", &self.is_asked())
            .finish_non_exhaustive()
    }
}

/// A topic's way to tell its bus.
#[derive(Debug)]
pub(crate) struct Wire {
    system: Arc<System>,
    topic: TopicName,
    blocked: Mutex<Throttle>,
}

impl Wire {
    /// Tells what has happened to the topic, if anybody wants to know.
    pub(crate) fn tell(&self, change: impl FnOnce(TopicName) -> SystemChange) {
        self.system.tell(|| change(self.topic.clone()));
    }

    pub(super) fn joined(&self, listener: &ListenerName) {
        self.tell(|topic| SystemChange::Joined {
            topic,
            listener: listener.clone(),
        });
    }

    pub(super) fn left(&self, listener: &ListenerName) {
        self.tell(|topic| SystemChange::Left {
            topic,
            listener: listener.clone(),
        });
    }

    /// Tells that a listener has lost events, if it is time to.
    fn missed(&self, throttle: &mut Throttle, listener: &ListenerName, missed: u64) {
        if self.system.listens()
            && let Some(missed) = throttle.count(missed, Instant::now())
        {
            self.tell_missed(listener, missed);
        }
    }

    fn tell_missed(&self, listener: &ListenerName, missed: u64) {
        self.tell(|topic| SystemChange::Missed {
            topic,
            listener: listener.clone(),
            missed,
        });
    }
}

impl<T> Core<T> {
    /// Has the topic tell its bus; before anybody else has the topic.
    pub(crate) fn wire_to(&self, system: &Arc<System>)
    where
        T: 'static,
    {
        if std::any::TypeId::of::<T>() == std::any::TypeId::of::<SystemEvent>() {
            return;
        }
        let wire = Arc::new(Wire {
            system: Arc::clone(system),
            topic: TopicName::of::<T>(self.name.clone()),
            blocked: Mutex::new(Throttle::default()),
        });
        self.observers.set_wire(&wire);
        if self.wire.set(wire).is_err() {
            unreachable!("a topic belongs to one bus");
        }
    }

    /// What tells that a subscriber has lost events, if it may and its bus wants to know.
    pub(super) fn alarm(
        &self,
        listener: &Arc<ListenerName>,
    ) -> Option<Box<dyn FnMut(Loss) + Send>> {
        let wire = self.wire.get()?;
        if !matches!(
            listener.overflow,
            Some(Overflow::DropOldest | Overflow::Disconnect)
        ) {
            return None;
        }
        let (wire, listener) = (Arc::clone(wire), Arc::clone(listener));
        let mut throttle = Throttle::default();
        Some(Box::new(move |loss| match loss {
            Loss::Missed(missed) => wire.missed(&mut throttle, &listener, missed),
            Loss::Expelled(missed) => wire.tell(|topic| SystemChange::Disconnected {
                topic,
                listener: (*listener).clone(),
                missed,
            }),
        }))
    }

    /// Tells that a group has lost events, as one of its members has noticed.
    pub(super) fn tell_missed(
        &self,
        throttle: &Mutex<Throttle>,
        listener: &ListenerName,
        missed: u64,
    ) {
        let Some(wire) = self.wire.get().filter(|wire| wire.system.listens()) else {
            return;
        };
        let missed = throttle.lock().count(missed, Instant::now());
        if let Some(missed) = missed {
            wire.tell_missed(listener, missed);
        }
    }

    /// Keeps the numbers of a subscriber that has just been taken off the list.
    #[cfg(feature = "metrics")]
    pub(super) fn keep_subscriber(&self, listed: &Listed) {
        if let Some(wire) = self.wire.get().filter(|wire| wire.system.ledger.is_kept())
            && let Some((ring, seat)) = self.joined(listed)
        {
            let name = listed.label.name.as_ref();
            let ledger = &wire.system.ledger;
            ledger.keep_subscriber(&wire.topic, name, &ring.standings(seat));
        }
    }

    /// Keeps the numbers of a group that has just been taken off the list.
    #[cfg(feature = "metrics")]
    pub(super) fn keep_group(&self, group: impl FnOnce() -> super::GroupSnapshot) {
        if let Some(wire) = self.wire.get().filter(|wire| wire.system.ledger.is_kept()) {
            wire.system.ledger.keep_group(&wire.topic, &group());
        }
    }

    /// Tells who has joined.
    pub(crate) fn tell_joined(&self, listener: &ListenerName) {
        if let Some(wire) = self.wire.get() {
            wire.joined(listener);
        }
    }

    /// Tells who has left; without a lock.
    pub(crate) fn tell_left(&self, listener: &ListenerName) {
        if let Some(wire) = self.wire.get() {
            wire.left(listener);
        }
    }

    /// Tells that a handler has panicked that is given somebody's events.
    pub(super) fn tell_panic(
        &self,
        listener: &ListenerName,
        handler: Option<&'static Location<'static>>,
        message: Option<&str>,
    ) {
        if let Some(wire) = self.wire.get() {
            wire.tell(|topic| SystemChange::HandlerPanicked {
                topic,
                listener: listener.clone(),
                handler,
                message: message.map(std::sync::Arc::from),
            });
        }
    }

    /// Tells that a publisher is about to wait, if it is time to; without a lock, and without a claim.
    pub(super) fn tell_blocked(&self) {
        let Some(wire) = self.wire.get().filter(|wire| wire.system.listens()) else {
            return;
        };
        let times = wire.blocked.lock().count(1, Instant::now());
        if let Some(times) = times {
            let slowest = self.slowest();
            wire.tell(|topic| SystemChange::Blocked {
                topic,
                slowest,
                times,
            });
        }
    }

    /// Who is farthest behind of those that publishers wait for.
    fn slowest(&self) -> Option<ListenerName> {
        let desk = self.desk();
        let subscribers = desk.subscribers.iter().filter_map(|listed| {
            let (ring, seat) = self.joined(listed)?;
            let lossless = listed.label.overflow == Some(Overflow::Block);
            let lag = ring.standings(seat).lag;
            lossless.then(|| (lag, (*listed.label).clone()))
        });
        let slowest = subscribers.max_by_key(|(lag, _)| *lag);
        drop(desk);
        let group = self.groups.slowest();
        let slowest = slowest
            .into_iter()
            .chain(group)
            .max_by_key(|(lag, _)| *lag)?;
        (slowest.0 > 0).then_some(slowest.1)
    }
}
