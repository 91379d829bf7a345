//! Competing consumers: a topic's groups, by name, and how they are joined.

use std::any::TypeId;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::Location;

use thiserror::Error;

use super::core::Core;
use super::error::SubscribeError;
use super::group_member::{GroupMember, GroupMeta};
use super::overflow::{Overflow, Start};
use super::settings::MAX_NAME;
use super::stage::Stage;
use super::system_event::{ListenerKind, ListenerName};
use super::throttle::Throttle;
use crate::ring::{Group, Terms, Upstream, Worker};
use crate::sync::{Arc, Mutex, contain};

/// The most events that a member takes at once.
pub(crate) const MAX_BATCH: usize = 64;

/// What becomes of an event whose handler panicked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Redeliver {
    /// It is abandoned: counted in the snapshot, and told to [`GroupBuilder::on_abandoned`].
    #[default]
    Never,
    /// It is handed out once more, to the member that takes next, before everything later; if that one
    /// panics too, it is abandoned.
    Once,
}

/// Why a group could not be joined.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The name is empty or longer than [`MAX_NAME`] bytes.
    #[error("group name must have 1 to {MAX_NAME} bytes, got {0}")]
    Name(usize),
    /// The batch is empty or larger than 64 events.
    #[error("group batch must have 1 to {MAX_BATCH} events, got {0}")]
    Batch(usize),
    /// The overflow policy is one that only single subscribers have.
    #[error("group overflow must be Block or DropOldest, got {0:?}")]
    Overflow(Overflow),
    /// The group was to lose events and keep the order of keys.
    #[error("a group by key is lossless")]
    LossyByKey,
    /// The topic grows.
    #[error("a topic that grows takes no groups")]
    Growing,
    /// The topic has this group already, and it comes after other subscribers than it was to.
    #[error("group is open after other subscribers")]
    After,
    /// The topic has this group already, with other settings.
    #[error("group is open with another {setting}: {existing}, not {wanted}")]
    #[non_exhaustive]
    Conflict {
        /// The setting that differs.
        setting: &'static str,
        /// What the group has.
        existing: String,
        /// What was asked for.
        wanted: String,
    },
    /// The group cannot start where it was to or come after whom it was to, or the topic has too many lossy
    /// subscribers and members.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
}

/// A group's numbers at one moment.
///
/// When nobody publishes or reads, `published = delivered + missed + pending + abandoned`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupSnapshot {
    /// The group's name.
    pub name: String,
    /// What happens when it is a full ring behind.
    pub overflow: Overflow,
    /// Whether it keeps the order of keys.
    pub by_key: bool,
    /// Its members.
    pub members: usize,
    /// The next sequence that a member takes.
    pub position: u64,
    /// Sequences from there to the next one to be published.
    pub lag: u64,
    /// Events published since the group was made.
    pub published: u64,
    /// Events that a member has handled.
    pub delivered: u64,
    /// Events that it lost by [`Overflow::DropOldest`].
    pub missed: u64,
    /// Events that no member has handled yet, those that members are at among them.
    pub pending: u64,
    /// How many times an event was handed back by a member that had taken it and not come to it.
    pub returned: u64,
    /// Events that were handed out once more after a panic.
    pub redelivered: u64,
    /// Events given up after a panic of a handler or of the key function.
    pub abandoned: u64,
}

type Key<T> = Box<dyn Fn(&T) -> u64 + Send + Sync>;
type Report<T> = Box<dyn Fn(&T, GroupMeta) + Send + Sync>;

/// A closure with its type, by which a later member's is compared.
struct Typed<F> {
    closure: F,
    of: TypeId,
    name: &'static str,
}

/// What the members of a group share besides the events.
pub(crate) struct Shared<T> {
    name: Box<str>,
    group: Arc<Group<T>>,
    overflow: Overflow,
    start: Start,
    batch: usize,
    redeliver: Redeliver,
    key: Option<Typed<Key<T>>>,
    report: Option<Typed<Report<T>>>,
    after: Vec<Upstream>,
    /// What its first member is known by.
    label: Arc<ListenerName>,
    /// How often its losses are told.
    pub(super) losses: Mutex<Throttle>,
}

/// The groups of a topic.
///
/// The lock is never held while user code runs: what a group's closures hold is dropped without it.
pub(crate) struct Groups<T>(Mutex<Vec<Listed<T>>>);

struct Listed<T> {
    shared: Arc<Shared<T>>,
    members: usize,
}

impl<T> Shared<T> {
    pub(crate) fn redeliver(&self) -> Redeliver {
        self.redeliver
    }

    pub(crate) fn overflow(&self) -> Overflow {
        self.overflow
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The hash of an event's key; `None` when the key function panicked, and the event is reported.
    pub(crate) fn key(&self, event: &T, sequence: u64) -> Option<u64> {
        let key = self.key.as_ref().expect("a group with keys has them");
        let mut hash = None;
        contain(|| hash = Some((key.closure)(event)));
        if hash.is_none() {
            self.report(event, GroupMeta::of(sequence));
        }
        hash
    }

    /// Tells of an abandoned event. A panic of the closure ends here: the one that abandoned the event goes
    /// on in its place.
    pub(crate) fn report(&self, event: &T, meta: GroupMeta) {
        if let Some(report) = &self.report {
            contain(|| (report.closure)(event, meta));
        }
    }
}

impl<T> Groups<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    pub(crate) fn snapshot(&self) -> Vec<GroupSnapshot> {
        let groups = self.0.lock();
        groups
            .iter()
            .map(|listed| listed.shared.snapshot())
            .collect()
    }

    /// The lossless group that is farthest behind, and how far.
    pub(super) fn slowest(&self) -> Option<(u64, ListenerName)> {
        let groups = self.0.lock();
        let lossless = groups
            .iter()
            .filter(|listed| listed.shared.overflow == Overflow::Block)
            .map(|listed| (listed.shared.group.standings().lag, &listed.shared.label));
        let slowest = lossless.max_by_key(|(lag, _)| *lag);
        slowest.map(|(lag, label)| (lag, ListenerName::clone(label)))
    }

    /// Takes a member off the list, and the group with its last one; tells whether it was the last.
    pub(crate) fn leave(&self, shared: &Arc<Shared<T>>) -> bool {
        let mut groups = self.0.lock();
        let of_member = |listed: &Listed<T>| Arc::ptr_eq(&listed.shared, shared);
        let at = groups.iter().position(of_member);
        let at = at.expect("a group is on the list as long as it has members");
        groups[at].members -= 1;
        let last = (groups[at].members == 0).then(|| groups.swap_remove(at));
        drop(groups);
        last.is_some()
    }
}

impl<T> Shared<T> {
    pub(crate) fn snapshot(&self) -> GroupSnapshot {
        let standings = self.group.standings();
        GroupSnapshot {
            name: self.name.to_string(),
            overflow: self.overflow,
            by_key: self.key.is_some(),
            members: standings.workers,
            position: standings.next,
            lag: standings.lag,
            published: standings.published,
            delivered: standings.delivered,
            missed: standings.missed,
            pending: standings.pending,
            returned: standings.returned,
            redelivered: standings.redelivered,
            abandoned: standings.abandoned,
        }
    }
}

/// Joins a group of a topic, which the first member makes; made by [`Topic::group`](crate::Topic::group).
///
/// What is not set here is as the group has it; for the first member it is the default. A member that asks
/// for another setting than the group has is refused.
///
/// ```
/// use ringbus::{Bus, GroupError, Overflow, Redeliver};
///
/// let bus = Bus::new();
/// let orders = bus.topic::<(u32, &'static str)>();
/// let mut one = orders
///     .group("desks")
///     .by_key(|order| order.0) // one account's orders in their order, by one desk at a time
///     .redeliver(Redeliver::Once)
///     .join()?;
/// let mut other = orders.group("desks").join()?;
/// let refused = orders.group("desks").redeliver(Redeliver::Never).join();
/// assert_eq!(
///     refused.unwrap_err().to_string(),
///     "group is open with another redelivery: Once, not Never",
/// );
///
/// orders.publish((7, "buy"))?;
/// orders.publish((8, "buy"))?;
/// orders.publish((7, "sell"))?;
///
/// let mut of_account_7 = vec![];
/// for desk in [&mut one, &mut other] {
///     desk.poll(64, |&(account, side), _| {
///         if account == 7 {
///             of_account_7.push(side);
///         }
///     })?;
/// }
/// assert_eq!(of_account_7, ["buy", "sell"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder joins when it is told to"]
pub struct GroupBuilder<'a, T: Send + Sync + 'static> {
    core: &'a Arc<Core<T>>,
    name: String,
    overflow: Option<Overflow>,
    start: Option<Start>,
    batch: Option<usize>,
    redeliver: Option<Redeliver>,
    key: Option<Typed<Key<T>>>,
    report: Option<Typed<Report<T>>>,
    after: Vec<Stage<T>>,
}

impl<'a, T: Send + Sync + 'static> GroupBuilder<'a, T> {
    pub(crate) fn new(core: &'a Arc<Core<T>>, name: String) -> Self {
        Self {
            core,
            name,
            overflow: None,
            start: None,
            batch: None,
            redeliver: None,
            key: None,
            report: None,
            after: Vec::new(),
        }
    }

    /// What happens when the group is a full ring behind: [`Overflow::Block`], which is the default, or
    /// [`Overflow::DropOldest`].
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = Some(overflow);
        self
    }

    /// Which event the group sees first; [`Start::Now`] by default, the moment when its first member joins.
    pub fn start(mut self, start: Start) -> Self {
        self.start = Some(start);
        self
    }

    /// The most events that a member takes at once, 1 to 64, which is the default.
    ///
    /// A member takes its fair share of what is there: half of it divided by the members, so at the end of a
    /// burst one event at a time. What it has taken no other member can have, unless it hands it back. Choose
    /// 1 where an event is minutes of work.
    pub fn batch(mut self, events: usize) -> Self {
        self.batch = Some(events);
        self
    }

    /// What becomes of an event whose handler panicked; [`Redeliver::Never`] by default.
    pub fn redeliver(mut self, redeliver: Redeliver) -> Self {
        self.redeliver = Some(redeliver);
        self
    }

    /// Keeps the order of events that have the same key, by handling them one after the other; events of
    /// different keys are still spread over the members.
    ///
    /// Of one key's events a member is given one or several in their order, and no other member is given any
    /// until it is done with them. An idle member takes whichever keys wait, so a key has no home. The order
    /// holds also when a member hands back or panics: what it has not handled goes first. Keys are told apart
    /// by their hash, in at most 1024 ways; keys that share one only wait for each other.
    ///
    /// A group by key is lossless. Its ring takes new events up to a capacity beyond the oldest event that is
    /// not handled, so one slow event ends up holding back the others.
    ///
    /// `key` runs on the members' threads, once for each event. It should be quick: one member at a time looks
    /// up keys. An event during which it panics is abandoned; the panic ends there. Two members' functions
    /// are taken for the same if their types are the same.
    pub fn by_key<K, F>(mut self, key: F) -> Self
    where
        K: Hash,
        F: Fn(&T) -> K + Send + Sync + 'static,
    {
        self.key = Some(Typed {
            closure: Box::new(move |event| {
                let mut hasher = DefaultHasher::new();
                key(event).hash(&mut hasher);
                hasher.finish()
            }),
            of: TypeId::of::<F>(),
            name: std::any::type_name::<F>(),
        });
        self
    }

    /// Shows each event that is given up to `report`, on the thread of the member that panicked, before the
    /// panic goes on: here a poisonous event can be kept for somebody to look at.
    ///
    /// Until it returns, the rest of what the member had taken waits. A panic in it ends there.
    pub fn on_abandoned<F>(mut self, report: F) -> Self
    where
        F: Fn(&T, GroupMeta) + Send + Sync + 'static,
    {
        self.report = Some(Typed {
            closure: Box::new(report),
            of: TypeId::of::<F>(),
            name: std::any::type_name::<F>(),
        });
        self
    }

    /// Hands out an event only when a subscriber is done with it; several times for several. See [`Stage`].
    ///
    /// `stage` is as for [`SubscriberBuilder::after`](crate::SubscriberBuilder::after). Nobody can come after a
    /// group.
    ///
    /// ```
    /// # use ringbus::Bus;
    /// let bus = Bus::new();
    /// let orders = bus.topic::<u32>();
    /// let mut journal = orders.subscribe();
    /// let mut worker = orders.group("workers").after(&journal).join()?;
    /// let mut other = orders.group("workers").join()?;
    /// orders.publish(7)?;
    /// assert_eq!(worker.poll(64, |_, _| {}), Ok(0)); // not in the journal yet
    /// assert_eq!(journal.poll(64, |_, _| {}), Ok(1));
    /// assert_eq!(other.recv(), Ok(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn after(mut self, stage: impl Into<Stage<T>>) -> Self {
        self.after.push(stage.into());
        self
    }

    /// Joins the group, and makes it if there is none of this name.
    ///
    /// # Errors
    ///
    /// When a setting is out of its bounds or differs from the group's, when the sequence to start from is not
    /// there, when the topic has too many lossy subscribers and members of lossy groups, when a subscriber that
    /// it is to come after is lossy or of another topic, and when the topic [grows](crate::TopicBuilder::grow_to).
    #[track_caller]
    pub fn join(self) -> Result<GroupMember<T>, GroupError> {
        self.check()?;
        let core = Arc::clone(self.core);
        let kind = ListenerKind::GroupMember;
        let overflow = self.overflow.unwrap_or_default();
        let here = Location::caller();
        let label = core.desk().label(kind, Some(&self.name), overflow, here);
        let joined = self.join_listed(&label);
        // The seat of a new group was in the gate at an earlier sequence until the start was found, also when
        // that was refused.
        core.room.notify();
        let (worker, shared) = joined?;
        let label = match label.overflow == Some(shared.overflow) {
            true => label,
            false => Arc::new(ListenerName {
                overflow: Some(shared.overflow),
                ..ListenerName::clone(&label)
            }),
        };
        core.tell_joined(&label);
        Ok(GroupMember::new(worker, shared, core, label))
    }

    fn check(&self) -> Result<(), GroupError> {
        if self.core.settings().grow_to.is_some() {
            return Err(GroupError::Growing);
        }
        if self.name.is_empty() || self.name.len() > MAX_NAME {
            return Err(GroupError::Name(self.name.len()));
        }
        match self.batch {
            Some(batch) if !(1..=MAX_BATCH).contains(&batch) => {
                return Err(GroupError::Batch(batch));
            }
            _ => {}
        }
        self.after
            .iter()
            .try_for_each(|stage| stage.check(self.core))?;
        match self.overflow {
            None | Some(Overflow::Block) => Ok(()),
            Some(Overflow::DropOldest) if self.key.is_none() => Ok(()),
            Some(Overflow::DropOldest) => Err(GroupError::LossyByKey),
            Some(other) => Err(GroupError::Overflow(other)),
        }
    }

    fn join_listed(
        self,
        label: &Arc<ListenerName>,
    ) -> Result<(Worker<T>, Arc<Shared<T>>), GroupError> {
        let mut groups = self.core.groups.0.lock();
        let known = groups
            .iter_mut()
            .find(|listed| *listed.shared.name == *self.name);
        if let Some(listed) = known {
            self.check_against(&listed.shared)?;
            let worker = Worker::join(&listed.shared.group)
                .map_err(|refused| SubscribeError::of(refused, Start::Now))?;
            listed.members += 1;
            return Ok((worker, Arc::clone(&listed.shared)));
        }
        let overflow = self.overflow.unwrap_or_default();
        let start = self.start.unwrap_or_default();
        let batch = self.batch.unwrap_or(MAX_BATCH);
        let terms = Terms {
            lossy: overflow != Overflow::Block,
            batch: batch as u64,
            by_key: self.key.is_some(),
        };
        self.core.add_listener();
        let ring = self.core.allocated();
        let after: Vec<Upstream> = self.upstreams().cloned().collect();
        let formed = Group::form(&ring, terms, self.core.origin(start), &after)
            .and_then(|group| Ok((Worker::join(&group)?, group)));
        let (worker, group) = formed.map_err(|refused| {
            self.core.remove_listener();
            SubscribeError::of(refused, start)
        })?;
        let shared = Arc::new(Shared {
            name: self.name.into_boxed_str(),
            group,
            overflow,
            start,
            batch,
            redeliver: self.redeliver.unwrap_or_default(),
            key: self.key,
            report: self.report,
            after,
            label: Arc::clone(label),
            losses: Mutex::new(Throttle::default()),
        });
        groups.push(Listed {
            shared: Arc::clone(&shared),
            members: 1,
        });
        Ok((worker, shared))
    }

    /// Whom it is to come after.
    fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        self.after.iter().flat_map(Stage::lineage)
    }

    /// Compares what was set here with the group.
    fn check_against(&self, shared: &Shared<T>) -> Result<(), GroupError> {
        fn check<V: PartialEq>(
            setting: &'static str,
            wanted: Option<V>,
            existing: V,
            show: impl Fn(V) -> String,
        ) -> Result<(), GroupError> {
            match wanted {
                Some(wanted) if wanted != existing => Err(GroupError::Conflict {
                    setting,
                    existing: show(existing),
                    wanted: show(wanted),
                }),
                _ => Ok(()),
            }
        }
        fn of<F>(closure: Option<&Typed<F>>) -> Option<(TypeId, &'static str)> {
            closure.map(|closure| (closure.of, closure.name))
        }
        let function = |function: Option<(TypeId, &'static str)>| {
            function.map_or_else(|| "none".to_owned(), |(_, name)| name.to_owned())
        };
        let (key, report) = (of(self.key.as_ref()), of(self.report.as_ref()));
        let known = |wanted: &Upstream| shared.after.iter().any(|existing| existing.is(wanted));
        let wanted = |existing: &Upstream| self.upstreams().any(|wanted| wanted.is(existing));
        let same = self.upstreams().all(known) && shared.after.iter().all(wanted);
        if !self.after.is_empty() && !same {
            return Err(GroupError::After);
        }
        check("overflow", self.overflow, shared.overflow, |overflow| {
            format!("{overflow:?}")
        })?;
        check("start", self.start, shared.start, |start| {
            format!("{start:?}")
        })?;
        check("batch", self.batch, shared.batch, |batch| batch.to_string())?;
        check(
            "redelivery",
            self.redeliver,
            shared.redeliver,
            |redeliver| format!("{redeliver:?}"),
        )?;
        check("key", key.map(Some), of(shared.key.as_ref()), function)?;
        check(
            "report of abandoned events",
            report.map(Some),
            of(shared.report.as_ref()),
            function,
        )
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for GroupBuilder<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupBuilder")
            .field("topic", &self.core.name())
            .field("name", &self.name)
            .field("overflow", &self.overflow)
            .field("start", &self.start)
            .field("batch", &self.batch)
            .field("redeliver", &self.redeliver)
            .field("by_key", &self.key.is_some())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Groups<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.0.lock();
        f.debug_list()
            .entries(groups.iter().map(|listed| &listed.shared.name))
            .finish()
    }
}
