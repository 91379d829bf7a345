//! Numbers for people: who publishes, who listens, who is slow.

use std::panic::Location;
use std::time::Duration;

use super::core::{Core, Listed};
use super::group::GroupSnapshot;
use super::overflow::Overflow;
use super::wait::WaitStrategy;

/// A topic's numbers at one moment.
///
/// They are read while the topic runs, so they may be a moment apart from each other.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TopicSnapshot {
    /// The topic's name; `None` for the one found by its type alone.
    pub name: Option<String>,
    /// The type of its events, as the compiler names it.
    pub type_name: &'static str,
    /// Events that a subscriber may be behind now.
    pub capacity: usize,
    /// How far the capacity may grow; as much as it is for a topic that does not.
    pub max_capacity: usize,
    /// How its threads wait.
    pub wait: WaitStrategy,
    /// Whether it takes no more events.
    pub closed: bool,
    /// Its publishers; the bus is one of them once it has published by itself.
    pub publishers: usize,
    /// Events published since the topic was opened.
    pub published: u64,
    /// How often a reader went to sleep.
    pub parked: u64,
    /// How long readers slept altogether.
    pub parked_time: Duration,
    /// How often a publisher had to wait for room.
    pub blocked: u64,
    /// How long publishers waited altogether.
    pub blocked_time: Duration,
    /// The topic's subscribers, in no particular order.
    pub subscribers: Vec<SubscriberSnapshot>,
    /// The topic's groups, in no particular order.
    pub groups: Vec<GroupSnapshot>,
    /// The topic's observers, in the order in which they are called.
    pub observers: Vec<ObserverSnapshot>,
    /// Events that went to the topics of [dead letters](crate::Topic::dead_letters_to) and of
    /// [missed events](crate::TopicBuilder::missed_letters_to).
    pub dead_letters: u64,
    /// Events that should have gone there, and found no room.
    pub dead_letters_lost: u64,
    /// Whether the topic has its ring, which is as large as its capacity asks for.
    pub allocated: bool,
}

/// What is known of an observer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObserverSnapshot {
    /// Where it was added.
    pub location: &'static Location<'static>,
    /// Its priority.
    pub priority: i32,
    /// Whether it is there for one event.
    pub once: bool,
    /// How often it panicked.
    pub panics: u64,
}

/// A subscriber's numbers at one moment.
///
/// When nobody publishes or reads, `published = delivered + filtered + missed + pending`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscriberSnapshot {
    /// The subscriber's name, if it has one.
    pub name: Option<String>,
    /// What happens when it is a full ring behind.
    pub overflow: Overflow,
    /// Where it was opened.
    pub location: &'static Location<'static>,
    /// The next sequence it takes.
    pub position: u64,
    /// Sequences from there to the next one to be published. Gaps count, so this may be more than
    /// `pending`.
    pub lag: u64,
    /// Events published since it joined; since it was disconnected, if it was, no more.
    pub published: u64,
    /// Events it was given.
    pub delivered: u64,
    /// Events that its filter refused.
    pub filtered: u64,
    /// Events that it lost, or skipped by [`Overflow::Latest`].
    pub missed: u64,
    /// Events that it has still to read.
    pub pending: u64,
    /// The number of the thread that reads it; 0 if none has.
    #[cfg(feature = "services")]
    pub(crate) reader: u64,
}

impl SubscriberSnapshot {
    pub(crate) fn of<T>(core: &Core<T>, listed: &Listed) -> Option<Self> {
        let (ring, seat) = core.joined(listed)?;
        let standings = ring.standings(seat);
        Some(Self {
            name: listed.label.name.as_deref().map(str::to_owned),
            overflow: listed.label.overflow.unwrap_or_default(),
            location: listed.label.location,
            position: standings.next,
            lag: standings.lag,
            published: standings.published,
            delivered: standings.delivered,
            filtered: standings.filtered,
            missed: standings.missed,
            pending: standings.pending,
            #[cfg(feature = "services")]
            reader: standings.reader,
        })
    }
}

impl TopicSnapshot {
    pub(crate) fn of<T>(core: &Core<T>) -> Self {
        let published = core.published();
        let groups = core.groups.snapshot();
        let desk = core.desk();
        let subscribers = desk
            .subscribers
            .iter()
            .filter_map(|listed| SubscriberSnapshot::of(core, listed))
            .collect();
        Self {
            name: core.name().map(str::to_owned),
            type_name: std::any::type_name::<T>(),
            capacity: core.capacity(),
            max_capacity: core.settings().max_capacity(),
            wait: core.settings().wait,
            closed: desk.is_closed(),
            publishers: desk.publishers(),
            published,
            parked: core.parked.times(),
            parked_time: core.parked.total(),
            blocked: core.blocked.times(),
            blocked_time: core.blocked.total(),
            subscribers,
            groups,
            observers: core.observers.snapshot(|facts| ObserverSnapshot {
                location: facts.location,
                priority: facts.priority,
                once: facts.once,
                panics: facts.panics.get(),
            }),
            dead_letters: core.dead_letters.delivered(),
            dead_letters_lost: core.dead_letters.lost(),
            allocated: core.ring().is_some(),
        }
    }
}
