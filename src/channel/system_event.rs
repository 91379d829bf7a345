//! What a bus tells about itself.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::overflow::Overflow;
use super::type_name;

/// Something that has happened on a bus: who has joined a topic or left it, who loses events or holds publishers
/// up, what has panicked.
///
/// These are the events of a topic of the bus, that of this type without a name. They are told from the first
/// call of [`Bus::system_events`](crate::Bus::system_events) on; a bus that was not asked tells nothing, has no
/// such topic, and does nothing for it. What subscribers and publishers do event by event costs the same either
/// way.
///
/// ```
/// use ringbus::{Bus, SystemChange};
///
/// let bus = Bus::new();
/// let mut events = bus.system_events().subscribe();
/// let quotes = bus.topic_named::<u32>("quotes")?;
/// let screen = quotes.subscriber().name("screen").open()?;
/// drop(screen);
///
/// let joined = events.recv()?;
/// let SystemChange::Joined { topic, listener, .. } = &joined.change else { panic!("{joined}") };
/// assert_eq!((topic.name.as_deref(), listener.name.as_deref()), (Some("quotes"), Some("screen")));
/// assert_eq!(listener.location.file(), file!()); // where it was opened
///
/// let left = events.recv()?;
/// assert!(matches!(&left.change, SystemChange::Left { listener: who, .. } if who == listener));
/// assert_eq!(left.number, joined.number + 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What is told, and what is not
///
/// They are told by the thread to which it happens, at once, and without waiting: when a lossless subscriber of
/// this topic is a full ring behind, it misses some, which the numbers tell. An [observer](crate::Observer) of the
/// topic is called in the middle of what it is told about, such as a `subscribe` or the drop of a subscriber, but
/// never under a lock of the bus's; so it may do anything. What it does while it is called is not told, as that would
/// have no end; it leaves a gap in the numbers. Its panics end in it. Nor is told what happens on topics of system
/// events.
///
/// What ends because the bus is closed, or goes, is not told one by one: the topic closes first.
///
/// # Logging
///
/// With the feature `tracing` every bus logs these, asked or not, under the target `ringbus`: joins, leaves and what
/// workers do in the ordinary course at the level `DEBUG`, everything else as `WARN`, and a worker that fails for good as
/// `ERROR`. The names and call sites are fields. What is told of the topic holds for the log too: it is told without a
/// lock, what it does itself with a bus while it is told is not told, and its panics end in it. It goes on when the bus
/// is closed.
///
/// # Services
///
/// That instances of services come and go is told elsewhere, by [`ServiceEvent`](crate::ServiceEvent), and not here
/// again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemEvent {
    /// Counts the events of the bus, from 0; of two that happen at once either may come first.
    pub number: u64,
    /// The name of the thread to which it happened, if it has one.
    pub thread: Option<Arc<str>>,
    /// What happened.
    pub change: SystemChange,
}

/// What happened on a bus; see [`SystemEvent`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SystemChange {
    /// A subscriber, an observer, an editor or a member of a group has joined its topic.
    #[non_exhaustive]
    Joined {
        /// What it listens to.
        topic: TopicName,
        /// Who listens.
        listener: ListenerName,
    },
    /// It has left: it was dropped, or was there for one event and has had it.
    ///
    /// Told also of those who had joined before the bus was asked to tell.
    #[non_exhaustive]
    Left {
        /// What it listened to.
        topic: TopicName,
        /// Who has left.
        listener: ListenerName,
    },
    /// [`Overflow::Disconnect`] has ended a subscription that was a full ring behind. Told when the subscriber
    /// finds that out, once; it leaves when it is dropped.
    #[non_exhaustive]
    Disconnected {
        /// What it was subscribed to.
        topic: TopicName,
        /// Whose subscription has ended.
        listener: ListenerName,
        /// Events that it has not read.
        missed: u64,
    },
    /// A subscriber or a group has lost events by [`Overflow::DropOldest`]. What [`Overflow::Latest`] skips is
    /// what it is there for, and is not told.
    ///
    /// Told when the subscriber reads on, so one that has stopped reading is found by its
    /// [`pending`](crate::SubscriberSnapshot::pending) and [`missed`](crate::SubscriberSnapshot::missed) events only.
    ///
    /// One that loses constantly is told at the beginning, and then each time that what it has lost since has
    /// doubled. After a second without a loss the next one is a beginning again.
    #[non_exhaustive]
    Missed {
        /// What it listens to.
        topic: TopicName,
        /// Who has lost events; of a group, the member that noticed.
        listener: ListenerName,
        /// How many it has lost since this was told last.
        missed: u64,
    },
    /// A publisher waits for room, on the thread that is told.
    ///
    /// Where publishers wait constantly this is told as often as [`Missed`](Self::Missed) is.
    #[non_exhaustive]
    Blocked {
        /// The topic whose ring is full.
        topic: TopicName,
        /// The subscriber that is farthest behind of those that are waited for, or the group, by its name; `None`
        /// when publishers wait for one another, or it has just read on.
        slowest: Option<ListenerName>,
        /// How often publishers have begun to wait since this was told last.
        times: u64,
    },
    /// An observer has panicked; see [`ObserverPanic`](crate::ObserverPanic).
    #[non_exhaustive]
    ObserverPanicked {
        /// What it observes.
        topic: TopicName,
        /// The observer.
        listener: ListenerName,
        /// The text of the panic, if it had one.
        message: Option<Arc<str>>,
    },
    /// A handler of a reactor has panicked, and the panic stayed there; see [`OnPanic`](crate::OnPanic).
    ///
    /// Told of handlers that are given the events of topics; of a merged subscription by the topic whose event
    /// it was. Timers, foreign channels, requests and what is called when nothing is to be done have no topic whose
    /// bus could tell it. A panic that goes on is told by the worker it ends in, if it is one.
    #[non_exhaustive]
    HandlerPanicked {
        /// What the handler is called for.
        topic: TopicName,
        /// Whose events it is given.
        listener: ListenerName,
        /// Where the handler was added; known with the feature `services`.
        handler: Option<&'static Location<'static>>,
        /// The text of the panic, if it had one.
        message: Option<Arc<str>>,
    },
    /// A worker runs for the first time.
    #[cfg(feature = "services")]
    #[non_exhaustive]
    WorkerStarted {
        /// The name of the worker.
        worker: Arc<str>,
    },
    /// A worker has panicked: in a handler, or in what makes its state.
    #[cfg(feature = "services")]
    #[non_exhaustive]
    WorkerPanicked {
        /// The name of the worker.
        worker: Arc<str>,
        /// Where the handler was added; `None` if it was in none.
        handler: Option<&'static Location<'static>>,
        /// The text of the panic, if it had one.
        message: Option<Arc<str>>,
    },
    /// A worker runs again after a panic.
    #[cfg(feature = "services")]
    #[non_exhaustive]
    WorkerRestarted {
        /// The name of the worker.
        worker: Arc<str>,
        /// How often it was restarted.
        restarts: u64,
    },
    /// A worker has ended, and nothing of it is left but its thread.
    #[cfg(feature = "services")]
    #[non_exhaustive]
    WorkerEnded {
        /// The name of the worker.
        worker: Arc<str>,
        /// How it ended.
        end: WorkerEnd,
    },
}

/// A topic as people know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TopicName {
    /// Its name; `None` for the one found by its type alone.
    pub name: Option<Arc<str>>,
    /// The type of its events, as the compiler names it.
    pub type_name: &'static str,
}

/// Who listens to a topic, as people know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ListenerName {
    /// What it is.
    pub kind: ListenerKind,
    /// Tells those of one topic and kind apart.
    pub id: u64,
    /// The name of the subscriber or editor, if it has one; of a member, that of its group.
    pub name: Option<Arc<str>>,
    /// What happens when it is a full ring behind; `None` for an observer.
    pub overflow: Option<Overflow>,
    /// Where it was opened, joined or added.
    pub location: &'static Location<'static>,
}

/// What listens to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListenerKind {
    /// A [`Subscriber`](crate::Subscriber), also of a [`MergedSubscriber`](crate::MergedSubscriber).
    Subscriber,
    /// A [`GroupMember`](crate::GroupMember).
    GroupMember,
    /// An [`Editor`](crate::Editor).
    Editor,
    /// An [`Observer`](crate::Observer).
    Observer,
}

/// How a worker ended.
#[cfg(feature = "services")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerEnd {
    /// Everything that it reads has closed, and everything is handled.
    Drained,
    /// It was stopped: by a handler, by its [`Worker`](crate::Worker), or by the deadline of a
    /// [shutdown](crate::Bus::shutdown).
    Stopped,
    /// It panicked, and was not to be restarted.
    Panicked,
    /// Everything that it reads has closed, and its outbox waits for a ring that only it reads; see
    /// [`RunError`](crate::RunError).
    WouldDeadlock,
}

impl TopicName {
    pub(crate) fn of<T>(name: Option<Arc<str>>) -> Self {
        Self {
            name,
            type_name: std::any::type_name::<T>(),
        }
    }
}

/// By its name; without one, by its type, without the path to it.
impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.pad(name),
            None => f.pad(&type_name::short(self.type_name)),
        }
    }
}

impl fmt::Display for ListenerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Subscriber => "subscriber",
            Self::GroupMember => "group member",
            Self::Editor => "editor",
            Self::Observer => "observer",
        })
    }
}

impl fmt::Display for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        match &self.name {
            Some(name) => write!(f, "{name}")?,
            None => write!(f, "{}", self.id)?,
        }
        if let Some(overflow) = self.overflow {
            write!(f, " ({overflow:?})")?;
        }
        write!(f, " of {}", self.location)
    }
}

#[cfg(feature = "services")]
impl fmt::Display for WorkerEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Drained => "drained",
            Self::Stopped => "stopped",
            Self::Panicked => "panicked",
            Self::WouldDeadlock => "would deadlock",
        })
    }
}

/// What a panic said, after what panicked.
struct Said<'a>(&'a Option<Arc<str>>);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

/// Where a handler was added, if that is known.
struct Handler<'a>(&'a Option<&'static Location<'static>>);

impl fmt::Display for Handler<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(location) => write!(f, " in the handler of {location}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for SystemChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined { topic, listener } => write!(f, "{topic}: {listener} has joined"),
            Self::Left { topic, listener } => write!(f, "{topic}: {listener} has left"),
            Self::Disconnected {
                topic,
                listener,
                missed,
            } => write!(
                f,
                "{topic}: {listener} is disconnected, missed {missed} events"
            ),
            Self::Missed {
                topic,
                listener,
                missed,
            } => write!(f, "{topic}: {listener} has missed {missed} events"),
            Self::Blocked {
                topic,
                slowest: Some(slowest),
                times,
            } => write!(f, "{topic}: blocked {times} times, now by {slowest}"),
            Self::Blocked { topic, times, .. } => write!(f, "{topic}: blocked {times} times"),
            Self::ObserverPanicked {
                topic,
                listener,
                message,
            } => write!(f, "{topic}: {listener} has panicked{}", Said(message)),
            Self::HandlerPanicked {
                topic,
                listener,
                handler,
                message,
            } => write!(
                f,
                "{topic}: a panic at {listener}{}{}",
                Handler(handler),
                Said(message)
            ),
            #[cfg(feature = "services")]
            Self::WorkerStarted { worker } => write!(f, "worker {worker} runs"),
            #[cfg(feature = "services")]
            Self::WorkerPanicked {
                worker,
                handler,
                message,
            } => write!(
                f,
                "worker {worker} has panicked{}{}",
                Handler(handler),
                Said(message)
            ),
            #[cfg(feature = "services")]
            Self::WorkerRestarted { worker, restarts } => {
                write!(
                    f,
                    "worker {worker} runs again, restarted {restarts} times so far"
                )
            }
            #[cfg(feature = "services")]
            Self::WorkerEnded { worker, end } => write!(f, "worker {worker} has ended: {end}"),
        }
    }
}

impl fmt::Display for SystemEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.change, f)
    }
}
