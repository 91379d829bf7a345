//! What the handles of one topic share.

use std::panic::Location;
use std::time::Instant;

use super::current::Current;
use super::dead_letters::DeadLetters;
use super::error::{PublisherError, SubscribeError};
use super::group::Groups;
use super::observers::Observers;
use super::overflow::{Overflow, Start};
use super::settings::Settings;
use super::snapshot::SubscriberSnapshot;
use super::system::Wire;
use super::system_event::{ListenerKind, ListenerName};
use super::unheard::Unheard;
use super::wait::Waits;
use crate::ring::{MAX_SEQUENCE, Obstacle, Origin, Reader, Ring, Seat, Sequencer, Shape};
use crate::sync::{
    Arc, AtomicBool, AtomicUsize, Barrier, Early, Latest, Mutex, MutexGuard, OnceCell, Ordering,
    WaitSet,
};

/// A topic: its ring, once somebody listens, and who publishes and subscribes.
#[derive(Debug)]
pub(crate) struct Core<T> {
    pub(super) name: Option<std::sync::Arc<str>>,
    settings: Settings,
    barrier: Barrier,
    /// What its ring shares with those of other topics, on a timeline.
    sequencer: Option<Arc<Sequencer>>,
    /// The first one; it stays the only one unless the topic grows.
    ring: OnceCell<Arc<Ring<T>>>,
    /// Those that followed; pushed under the lock of the desk.
    pub(super) grown: Latest<Arc<Ring<T>>>,
    /// Set before the topic is shared, if it is a state. Boxed, as most topics are none.
    current: OnceCell<Box<Current<T>>>,
    desk: Mutex<Desk>,
    pub(crate) groups: Groups<T>,
    /// Counts as long as there is no ring.
    unheard: Unheard,
    pub(crate) observers: Observers<T>,
    /// Subscribers and groups that exist, and those that are joining.
    listeners: AtomicUsize,
    pub(crate) dead_letters: DeadLetters<T>,
    /// Readers that wait for an event.
    pub(crate) events: WaitSet,
    /// Publishers that wait for room.
    pub(crate) room: WaitSet,
    /// Readers that wait for those they come after. A publish alone gives them nothing.
    pub(crate) passed: WaitSet,
    /// Publishers that wait for their quota: only the close is news to them.
    #[cfg(feature = "rate-limit")]
    pub(crate) paced: WaitSet,
    pub(crate) parked: Waits,
    pub(crate) blocked: Waits,
    /// How its bus is told what happens here, if it has one.
    pub(super) wire: Early<Arc<Wire>>,
}

/// The cold state of a topic, under one lock that is never held while user code runs.
#[derive(Debug)]
pub(crate) struct Desk {
    /// Publisher handles, but for the exclusive one and the bus.
    shared: usize,
    exclusive: bool,
    /// The bus has published by itself; it counts as a publisher from then on.
    ambient: bool,
    closed: bool,
    /// Where the ring took over, once there is one; beyond the last sequence if they ran out before.
    heard_from: u64,
    pub(crate) subscribers: Vec<Listed>,
    next_id: u64,
}

/// A subscriber on the topic's list.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) label: Arc<ListenerName>,
    pub(crate) seat: Seat,
    /// How many rings there were before the one that it joined.
    pub(super) rings_before: usize,
}

/// A subscriber's entry on the list; dropped after the reader has left, it tells publishers so.
#[derive(Debug)]
pub(crate) struct Listing<T> {
    core: Arc<Core<T>>,
    label: Arc<ListenerName>,
    /// Somebody may come after the reader. Set before that can be, on the reader's own behalf.
    followed: AtomicBool,
    /// That, or the reader comes after others, loses events, or refuses some.
    special: AtomicBool,
}

/// How a publisher is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Shared,
    Exclusive,
}

impl<T> Core<T> {
    pub(crate) fn new(name: Option<&str>, settings: Settings) -> Arc<Self> {
        Self::open(name, settings, None)
    }

    /// A topic of a timeline.
    pub(crate) fn on_timeline(
        name: Option<&str>,
        settings: Settings,
        sequencer: &Arc<Sequencer>,
    ) -> Arc<Self> {
        Self::open(name, settings, Some(Arc::clone(sequencer)))
    }

    fn open(
        name: Option<&str>,
        settings: Settings,
        sequencer: Option<Arc<Sequencer>>,
    ) -> Arc<Self> {
        let core = Self::without_ring(name, settings, sequencer);
        if settings.retain > 0 {
            // Events are kept for subscribers that do not exist yet.
            core.allocate(&mut core.desk.lock());
        }
        core
    }

    /// A topic with this many editors, which are not on its list yet.
    pub(crate) fn edited(
        name: Option<&str>,
        settings: Settings,
        editors: usize,
    ) -> (Arc<Self>, Vec<Reader<T>>) {
        let core = Self::without_ring(name, settings, None);
        let mut readers = Vec::new();
        core.set_ring(&mut core.desk.lock(), |shape| {
            let (ring, editing) = Ring::edited(shape, core.barrier, editors);
            readers = editing;
            ring
        });
        // Their listings take them off again.
        core.listeners.store(editors, Ordering::Relaxed);
        (core, readers)
    }

    fn without_ring(
        name: Option<&str>,
        settings: Settings,
        sequencer: Option<Arc<Sequencer>>,
    ) -> Arc<Self> {
        let barrier = Barrier::of_process();
        Arc::new(Self {
            name: name.map(std::sync::Arc::from),
            settings,
            barrier,
            sequencer,
            ring: OnceCell::new(),
            grown: Latest::new(settings.growths()),
            current: OnceCell::new(),
            desk: Mutex::new(Desk {
                shared: 0,
                exclusive: false,
                ambient: false,
                closed: false,
                heard_from: 0,
                subscribers: Vec::new(),
                next_id: 0,
            }),
            groups: Groups::new(),
            unheard: Unheard::new(settings.first_sequence, barrier),
            observers: Observers::new(barrier),
            listeners: AtomicUsize::new(0),
            dead_letters: DeadLetters::new(),
            events: WaitSet::new(barrier),
            room: WaitSet::new(barrier),
            passed: WaitSet::new(barrier),
            #[cfg(feature = "rate-limit")]
            paced: WaitSet::new(barrier),
            parked: Waits::default(),
            blocked: Waits::default(),
            wire: Early::new(),
        })
    }

    /// A topic that has a current value from the start. The state is its only publisher, for good.
    pub(crate) fn of_state(name: Option<&str>, settings: Settings, initial: T) -> Arc<Self> {
        let core = Self::new(name, settings);
        core.desk.lock().exclusive = true;
        let ring = core.ring().expect("a state retains its value");
        if core
            .current
            .set(Box::new(Current::new(ring, initial)))
            .is_err()
        {
            unreachable!("nobody else has the topic yet");
        }
        core
    }

    /// The current value, if the topic is a state.
    #[inline]
    pub(crate) fn current(&self) -> Option<&Current<T>> {
        self.current.get().map(Box::as_ref)
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn sequencer(&self) -> Option<&Arc<Sequencer>> {
        self.sequencer.as_ref()
    }

    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock()
    }

    /// The ring, if anybody has subscribed yet; the first one, if the topic has grown.
    #[inline]
    pub(crate) fn ring(&self) -> Option<&Arc<Ring<T>>> {
        self.ring.get()
    }

    /// The ring, which is made if nobody has subscribed yet.
    pub(crate) fn allocated(&self) -> Arc<Ring<T>> {
        Arc::clone(self.allocate(&mut self.desk.lock()))
    }

    /// The newest ring; the first one if there was none.
    fn allocate(&self, desk: &mut Desk) -> &Arc<Ring<T>> {
        if self.ring.get().is_none() {
            self.set_ring(desk, |shape| {
                Ring::new(shape, self.barrier, self.sequencer.as_ref())
            });
        }
        self.newest().expect("the ring is set")
    }

    /// Sets the ring that there was none of: no sequence is handed out beside it from here on.
    fn set_ring(&self, desk: &mut Desk, make: impl FnOnce(Shape) -> Arc<Ring<T>>) {
        let seal = self.unheard.seal();
        let ring = make(self.settings.shape(seal.next.min(MAX_SEQUENCE)));
        self.mark_missed(&ring);
        desk.heard_from = seal.next;
        seal.keep();
        if desk.closed {
            ring.close();
        }
        if self.ring.set(ring).is_err() {
            unreachable!("the ring is set under the lock of the desk");
        }
    }

    /// Takes the sequences of `events` events that nobody listens to; `None` when there is a ring now.
    #[inline(always)]
    pub(crate) fn publish_unheard<const SHARED: bool>(
        &self,
        events: u64,
    ) -> Option<Result<u64, Obstacle>> {
        match self.unheard.take::<SHARED>(events) {
            Ok(first) => Some(Ok(first)),
            Err(first) => self.publish_heard::<SHARED>(first, events),
        }
    }

    /// Notes that sequences which nobody listened to got no event.
    pub(crate) fn give_up_unheard(&self, events: u64) {
        self.unheard.give_up(events);
    }

    /// As `publish_unheard`, when sequences from `first` on were taken in vain.
    #[cold]
    #[inline(never)]
    fn publish_heard<const SHARED: bool>(
        &self,
        mut first: u64,
        events: u64,
    ) -> Option<Result<u64, Obstacle>> {
        loop {
            // Whoever seals holds the lock until the ring is there.
            let desk = self.desk.lock();
            let ring = self.ring.get().is_some();
            if !ring || first < desk.heard_from {
                self.unheard.give_up(events);
            }
            drop(desk);
            if ring {
                return None;
            }
            if self.unheard.is_closed() || first + events > MAX_SEQUENCE {
                // The sequences run out as they do with a ring, which closes the topic.
                self.close();
                return Some(Err(Obstacle::Closed));
            }
            // There was no memory for the ring.
            match self.unheard.take::<SHARED>(events) {
                Ok(first) => return Some(Ok(first)),
                Err(again) => first = again,
            }
        }
    }

    /// Whether a publish that begins now would be refused for good; a look without a lock.
    pub(crate) fn looks_closed(&self) -> bool {
        match self.newest() {
            // A ring that another follows, or will in a moment, is closed too.
            Some(ring) => ring.is_closed() && (self.settings.grow_to.is_none() || self.is_closed()),
            None => self.unheard.is_closed(),
        }
    }

    /// To be called before it joins, so that what is published from then on is heard.
    pub(crate) fn add_listener(&self) {
        self.listeners.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove_listener(&self) {
        self.listeners.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn has_listeners(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) > 0
    }

    /// Whether an event that is published now is a dead letter.
    pub(crate) fn is_deaf(&self) -> bool {
        self.observers.has_dead_letters() && !self.has_listeners() && self.settings.retain == 0
    }

    /// Events published since the topic was opened.
    pub(crate) fn published(&self) -> u64 {
        let desk = self.desk.lock();
        let (unheard, heard) = match self.ring.get() {
            Some(ring) => {
                let first = desk.heard_from.min(MAX_SEQUENCE);
                let heard = (ring.last().next_sequence() - first).saturating_sub(ring.all_holes());
                (desk.heard_from, heard)
            }
            None => (self.unheard.next(), 0),
        };
        drop(desk);
        let unheard = unheard - self.settings.first_sequence;
        unheard.saturating_sub(self.unheard.void()) + heard + self.dead_letters.in_ring()
    }

    pub(crate) fn register(&self, role: Role) -> Result<(), PublisherError> {
        let mut desk = self.desk.lock();
        desk.may_publish()?;
        match role {
            Role::Shared => desk.shared += 1,
            Role::Exclusive => match desk.publishers() {
                0 => desk.exclusive = true,
                others => return Err(PublisherError::NotAlone(others)),
            },
        }
        Ok(())
    }

    /// Adds a shared publisher beside one that exists.
    pub(crate) fn register_beside(&self) {
        self.desk.lock().shared += 1;
    }

    /// Makes the bus a publisher of this topic, for good.
    pub(crate) fn register_ambient(&self) -> Result<(), PublisherError> {
        let mut desk = self.desk.lock();
        desk.may_publish()?;
        desk.ambient = true;
        Ok(())
    }

    pub(crate) fn deregister(&self, role: Role) {
        let mut desk = self.desk.lock();
        match role {
            Role::Shared => desk.shared -= 1,
            Role::Exclusive => desk.exclusive = false,
        }
        let last = desk.publishers() == 0 && !self.settings.keep_open;
        // Under this lock, so that nobody registers with a topic that is about to close.
        desk.closed |= last;
        drop(desk);
        if last {
            self.close();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.desk.lock().is_closed()
    }

    pub(crate) fn close(&self) {
        let mut desk = self.desk.lock();
        desk.closed = true;
        self.unheard.close();
        let ring = self.newest();
        drop(desk);
        if let Some(ring) = ring {
            ring.close();
        }
        self.events.notify();
        self.room.notify();
        self.passed.notify();
        #[cfg(feature = "rate-limit")]
        self.paced.notify();
    }

    /// Where a reader that starts so looks for its first event.
    pub(crate) fn origin(&self, start: Start) -> Origin {
        let retain = self.settings.retain as u64;
        match start {
            Start::Now => Origin::Now,
            Start::Latest => Origin::Newest,
            Start::Oldest => Origin::Oldest((retain > 0).then_some(retain)),
            Start::From(sequence) => Origin::At(sequence),
        }
    }

    /// Adds a subscriber to the ring and to the list.
    pub(crate) fn join(
        core: &Arc<Self>,
        name: Option<&str>,
        overflow: Overflow,
        start: Start,
        location: &'static Location<'static>,
    ) -> Result<(Reader<T>, Listing<T>), SubscribeError> {
        // First, so that what is published after this call is heard.
        core.add_listener();
        // One lock until it is on the list: a topic that grows has a seat for everybody on it.
        let mut desk = core.desk.lock();
        let ring = Arc::clone(core.allocate(&mut desk));
        let joined = Reader::join(&ring, overflow.policy(), core.origin(start));
        let joined = joined.map(|reader| {
            let label = desk.label(ListenerKind::Subscriber, name, overflow, location);
            let listing = Self::list_at(core, &mut desk, label, &reader);
            (reader, listing)
        });
        drop(desk);
        // Refused or not, the seat was in the gate for a moment, at an earlier sequence than the start.
        core.room.notify();
        joined.map_err(|refused| {
            core.remove_listener();
            SubscribeError::of(refused, start)
        })
    }

    /// Puts a reader of the only ring on the list.
    pub(crate) fn list(
        core: &Arc<Self>,
        name: Option<&str>,
        overflow: Overflow,
        location: &'static Location<'static>,
        reader: &Reader<T>,
    ) -> Listing<T> {
        let mut desk = core.desk.lock();
        let label = desk.label(ListenerKind::Editor, name, overflow, location);
        Self::list_at(core, &mut desk, label, reader)
    }

    /// Puts a reader of the newest ring on the list, at the desk.
    fn list_at(
        core: &Arc<Self>,
        desk: &mut Desk,
        label: Arc<ListenerName>,
        reader: &Reader<T>,
    ) -> Listing<T> {
        desk.subscribers.push(Listed {
            label: Arc::clone(&label),
            seat: reader.seat().clone(),
            rings_before: core.grown.len(),
        });
        Listing {
            core: Arc::clone(core),
            label,
            followed: AtomicBool::new(false),
            special: AtomicBool::new(reader.is_behind()),
        }
    }

    pub(crate) fn deadline(timeout: std::time::Duration) -> Option<Instant> {
        // A timeout beyond what the clock can tell is no timeout.
        Instant::now().checked_add(timeout)
    }
}

impl Desk {
    pub(crate) fn publishers(&self) -> usize {
        self.shared + usize::from(self.exclusive) + usize::from(self.ambient)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// What somebody who joins is known by.
    pub(crate) fn label(
        &mut self,
        kind: ListenerKind,
        name: Option<&str>,
        overflow: Overflow,
        location: &'static Location<'static>,
    ) -> Arc<ListenerName> {
        let id = self.next_id;
        self.next_id += 1;
        Arc::new(ListenerName {
            kind,
            id,
            name: name.map(std::sync::Arc::from),
            overflow: Some(overflow),
            location,
        })
    }

    fn may_publish(&self) -> Result<(), PublisherError> {
        if self.closed {
            Err(PublisherError::Closed)
        } else if self.exclusive {
            Err(PublisherError::Exclusive)
        } else {
            Ok(())
        }
    }
}

impl<T> Listing<T> {
    /// Notes that others may come after the reader.
    pub(crate) fn follow(&self) {
        self.followed.store(true, Ordering::Relaxed);
        self.note_special();
    }

    /// Notes that there is more to reading than to look whether the next event is there.
    pub(crate) fn note_special(&self) {
        self.special.store(true, Ordering::Relaxed);
    }

    /// Whether somebody may be before or behind the reader, or it loses or refuses events: the one thing that any
    /// other reader looks at.
    #[inline(always)]
    pub(crate) fn is_special(&self) -> bool {
        self.special.load(Ordering::Relaxed)
    }

    /// Tells publishers, and whoever comes after the reader, that it has gone on.
    #[inline(always)]
    pub(crate) fn went_on(&self) {
        let core = &self.core;
        if self.followed.load(Ordering::Relaxed) {
            core.room.notify_with(&core.passed);
        } else {
            core.room.notify();
        }
    }

    /// The reader's name.
    pub(crate) fn name(&self) -> Option<&str> {
        self.label.name.as_deref()
    }

    /// The reader's numbers.
    pub(crate) fn snapshot(&self) -> SubscriberSnapshot {
        let desk = self.core.desk();
        let mut listed = desk.subscribers.iter();
        listed
            .find(|listed| listed.label.id == self.label.id)
            .and_then(|listed| SubscriberSnapshot::of(&self.core, listed))
            .expect("a reader is on the list until it is dropped")
    }

    pub(crate) fn shared_core(&self) -> &Arc<Core<T>> {
        &self.core
    }

    pub(crate) fn core(&self) -> &Core<T> {
        &self.core
    }

    pub(crate) fn label(&self) -> &Arc<ListenerName> {
        &self.label
    }
}

impl<T> Listing<T> {
    /// Takes the entry out; to be called before the reader leaves, as the entry names its seat.
    pub(crate) fn strike(&self) {
        let mut desk = self.core.desk.lock();
        let listed = desk
            .subscribers
            .iter()
            .position(|listed| listed.label.id == self.label.id)
            .map(|index| desk.subscribers.swap_remove(index));
        drop(desk);
        #[cfg(feature = "metrics")]
        if let Some(listed) = &listed {
            self.core.keep_subscriber(listed);
        }
        drop(listed);
    }
}

impl<T> Drop for Listing<T> {
    fn drop(&mut self) {
        self.core.remove_listener();
        // The reader has left before its listing: publishers may go on.
        self.core.room.notify();
        // And so may those who came after it.
        self.core.passed.notify();
        self.core.tell_left(&self.label);
    }
}
