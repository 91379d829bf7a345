//! Sums of numbers under one name, and what those have done who have gone; with the feature `metrics`.

use std::collections::HashMap;
use std::ops::AddAssign;
use std::sync::Arc;

use super::group::GroupSnapshot;
use super::snapshot::{SubscriberSnapshot, TopicSnapshot};
use super::system_event::TopicName;
use crate::ring::Standings;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// A subscriber or a group of a topic, by its name.
pub(crate) type ListenerKey = (TopicName, Option<Arc<str>>);

/// Numbers of topics of one name and type.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicTotals {
    pub(crate) published: u64,
    pub(crate) blocked: u64,
    pub(crate) blocked_nanos: u64,
    pub(crate) parked: u64,
    pub(crate) parked_nanos: u64,
    pub(crate) dead_letters: u64,
    pub(crate) dead_letters_lost: u64,
    pub(crate) publishers: usize,
    pub(crate) subscribers: usize,
    pub(crate) observers: usize,
}

/// Numbers of subscribers of one name.
#[derive(Clone, Debug, Default)]
pub(crate) struct SubscriberTotals {
    pub(crate) delivered: u64,
    pub(crate) filtered: u64,
    pub(crate) missed: u64,
    pub(crate) pending: u64,
    /// Of the one that is farthest behind.
    pub(crate) lag: u64,
}

/// Numbers of groups of one name.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupTotals {
    pub(crate) delivered: u64,
    pub(crate) missed: u64,
    pub(crate) returned: u64,
    pub(crate) redelivered: u64,
    pub(crate) abandoned: u64,
    pub(crate) pending: u64,
    pub(crate) lag: u64,
    pub(crate) members: usize,
}

/// All numbers of a bus's topics, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) topics: HashMap<TopicName, TopicTotals>,
    pub(crate) subscribers: HashMap<ListenerKey, SubscriberTotals>,
    pub(crate) groups: HashMap<ListenerKey, GroupTotals>,
}

/// What those have done who have gone, by name, so that sums over all who ever were do not fall.
///
/// Whoever goes is taken off its list first and is added here afterwards. So a sum of what is here and then of what is
/// on the lists misses those that go at that moment, and counts nobody twice.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Somebody wants the sums.
    kept: AtomicBool,
    gone: Mutex<Totals>,
}

impl TopicTotals {
    fn of(topic: &TopicSnapshot) -> Self {
        Self {
            published: topic.published,
            blocked: topic.blocked,
            blocked_nanos: topic.blocked_time.as_nanos() as u64,
            parked: topic.parked,
            parked_nanos: topic.parked_time.as_nanos() as u64,
            dead_letters: topic.dead_letters,
            dead_letters_lost: topic.dead_letters_lost,
            publishers: topic.publishers,
            subscribers: topic.subscribers.len(),
            observers: topic.observers.len(),
        }
    }

    /// What lasts of it when it has gone.
    fn done(self) -> Self {
        Self {
            publishers: 0,
            subscribers: 0,
            observers: 0,
            ..self
        }
    }
}

impl AddAssign for TopicTotals {
    fn add_assign(&mut self, other: Self) {
        self.published += other.published;
        self.blocked += other.blocked;
        self.blocked_nanos += other.blocked_nanos;
        self.parked += other.parked;
        self.parked_nanos += other.parked_nanos;
        self.dead_letters += other.dead_letters;
        self.dead_letters_lost += other.dead_letters_lost;
        self.publishers += other.publishers;
        self.subscribers += other.subscribers;
        self.observers += other.observers;
    }
}

impl SubscriberTotals {
    fn of(subscriber: &SubscriberSnapshot) -> Self {
        Self {
            delivered: subscriber.delivered,
            filtered: subscriber.filtered,
            missed: subscriber.missed,
            pending: subscriber.pending,
            lag: subscriber.lag,
        }
    }
}

impl AddAssign for SubscriberTotals {
    fn add_assign(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.filtered += other.filtered;
        self.missed += other.missed;
        self.pending += other.pending;
        self.lag = self.lag.max(other.lag);
    }
}

impl GroupTotals {
    fn of(group: &GroupSnapshot) -> Self {
        Self {
            delivered: group.delivered,
            missed: group.missed,
            returned: group.returned,
            redelivered: group.redelivered,
            abandoned: group.abandoned,
            pending: group.pending,
            lag: group.lag,
            members: group.members,
        }
    }

    /// What lasts of it when it has gone.
    fn done(self) -> Self {
        Self {
            pending: 0,
            lag: 0,
            members: 0,
            ..self
        }
    }
}

impl AddAssign for GroupTotals {
    fn add_assign(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.missed += other.missed;
        self.returned += other.returned;
        self.redelivered += other.redelivered;
        self.abandoned += other.abandoned;
        self.pending += other.pending;
        self.lag = self.lag.max(other.lag);
        self.members += other.members;
    }
}

impl Totals {
    /// Adds the numbers of a topic and of those who read it.
    pub(crate) fn add(&mut self, topic: &TopicSnapshot) {
        let name = TopicName {
            name: topic.name.as_deref().map(Arc::from),
            type_name: topic.type_name,
        };
        let name = of_lanes(&name);
        *self.topics.entry(name.clone()).or_default() += TopicTotals::of(topic);
        for subscriber in &topic.subscribers {
            let key = (name.clone(), subscriber.name.as_deref().map(Arc::from));
            *self.subscribers.entry(key).or_default() += SubscriberTotals::of(subscriber);
        }
        for group in &topic.groups {
            let key = (name.clone(), Some(Arc::from(&*group.name)));
            *self.groups.entry(key).or_default() += GroupTotals::of(group);
        }
    }
}

/// The name of the lanes, of one of them: without `#` and its number.
fn of_lanes(topic: &TopicName) -> TopicName {
    let name = topic.name.as_ref().map(|name| match name.rsplit_once('#') {
        Some((lanes, number)) if number.parse::<u64>().is_ok() => Arc::from(lanes),
        _ => Arc::clone(name),
    });
    TopicName {
        name,
        type_name: topic.type_name,
    }
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            kept: AtomicBool::new(false),
            gone: Mutex::new(Totals::default()),
        }
    }

    /// Keeps what goes from now on.
    pub(crate) fn begin(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// The sums of those who have gone.
    pub(crate) fn gone(&self) -> Totals {
        self.gone.lock().clone()
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    /// Keeps the numbers of a topic that is forgotten. Those who still read it are kept as they leave.
    pub(crate) fn keep_topic(&self, topic: &TopicSnapshot) {
        if self.is_kept() {
            let name = TopicName {
                name: topic.name.as_deref().map(Arc::from),
                type_name: topic.type_name,
            };
            let totals = TopicTotals::of(topic).done();
            *self.gone.lock().topics.entry(of_lanes(&name)).or_default() += totals;
        }
    }

    /// Keeps the numbers of a subscriber that has left.
    pub(super) fn keep_subscriber(
        &self,
        topic: &TopicName,
        name: Option<&Arc<str>>,
        standings: &Standings,
    ) {
        let totals = SubscriberTotals {
            delivered: standings.delivered,
            filtered: standings.filtered,
            missed: standings.missed,
            ..SubscriberTotals::default()
        };
        let key = (of_lanes(topic), name.cloned());
        *self.gone.lock().subscribers.entry(key).or_default() += totals;
    }

    /// Keeps the numbers of a group whose last member has left.
    pub(super) fn keep_group(&self, topic: &TopicName, group: &GroupSnapshot) {
        let key = (of_lanes(topic), Some(Arc::from(&*group.name)));
        let totals = GroupTotals::of(group).done();
        *self.gone.lock().groups.entry(key).or_default() += totals;
    }
}
