//! What the handles of one topic share.

use std::time::Instant;

use super::error::{PublisherError, SubscribeError};
use super::overflow::{Overflow, Start};
use super::settings::Settings;
use super::wait::Waits;
use crate::ring::{MAX_SEQUENCE, Obstacle, Origin, Reader, RefusedJoin, Ring, Seat};
use crate::sync::{Arc, Barrier, Mutex, MutexGuard, OnceCell, WaitSet};

/// A topic: its ring, once somebody listens, and who publishes and subscribes.
#[derive(Debug)]
pub(crate) struct Core<T> {
    name: Option<Box<str>>,
    settings: Settings,
    barrier: Barrier,
    ring: OnceCell<Arc<Ring<T>>>,
    desk: Mutex<Desk>,
    /// Readers that wait for an event.
    pub(crate) events: WaitSet,
    /// Publishers that wait for room.
    pub(crate) room: WaitSet,
    /// Readers that wait for those they come after. A publish alone gives them nothing.
    pub(crate) passed: WaitSet,
    pub(crate) parked: Waits,
    pub(crate) blocked: Waits,
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
    /// The next sequence while there is no ring.
    unheard: u64,
    pub(crate) subscribers: Vec<Listed>,
    next_id: u64,
}

/// A subscriber on the topic's list.
#[derive(Debug)]
pub(crate) struct Listed {
    id: u64,
    pub(crate) name: Option<Box<str>>,
    pub(crate) overflow: Overflow,
    pub(crate) seat: Seat,
}

/// A subscriber's entry on the list; dropped after the reader has left, it tells publishers so.
#[derive(Debug)]
pub(crate) struct Listing<T> {
    core: Arc<Core<T>>,
    id: u64,
}

/// How a publisher is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Shared,
    Exclusive,
}

impl<T> Core<T> {
    pub(crate) fn new(name: Option<&str>, settings: Settings) -> Arc<Self> {
        let core = Self::unheard(name, settings);
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
        let core = Self::unheard(name, settings);
        let shape = settings.shape(settings.first_sequence);
        let (ring, readers) = Ring::edited(shape, core.barrier, editors);
        if core.ring.set(ring).is_err() {
            unreachable!("nobody else has the topic yet");
        }
        (core, readers)
    }

    fn unheard(name: Option<&str>, settings: Settings) -> Arc<Self> {
        let barrier = Barrier::of_process();
        Arc::new(Self {
            name: name.map(Box::from),
            settings,
            barrier,
            ring: OnceCell::new(),
            desk: Mutex::new(Desk {
                shared: 0,
                exclusive: false,
                ambient: false,
                closed: false,
                unheard: settings.first_sequence,
                subscribers: Vec::new(),
                next_id: 0,
            }),
            events: WaitSet::new(barrier),
            room: WaitSet::new(barrier),
            passed: WaitSet::new(barrier),
            parked: Waits::default(),
            blocked: Waits::default(),
        })
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock()
    }

    /// The ring, if anybody has subscribed yet.
    #[inline]
    pub(crate) fn ring(&self) -> Option<&Arc<Ring<T>>> {
        self.ring.get()
    }

    fn allocate(&self, desk: &mut Desk) -> &Arc<Ring<T>> {
        if self.ring.get().is_none() {
            let ring = Ring::new(self.settings.shape(desk.unheard), self.barrier);
            if desk.closed {
                ring.close();
            }
            if self.ring.set(ring).is_err() {
                unreachable!("the ring is set under the lock of the desk");
            }
        }
        self.ring.get().expect("the ring is set")
    }

    /// Takes the sequences of `events` events that nobody listens to; `None` when there is a ring now.
    pub(crate) fn publish_unheard(&self, events: u64) -> Option<Result<u64, Obstacle>> {
        let mut desk = self.desk.lock();
        if self.ring.get().is_some() {
            return None;
        }
        let first = desk.unheard;
        // The sequences run out as they do with a ring, which closes the topic.
        desk.closed |= first + events > MAX_SEQUENCE;
        if desk.closed {
            return Some(Err(Obstacle::Closed));
        }
        desk.unheard += events;
        Some(Ok(first))
    }

    /// Events published since the topic was opened.
    pub(crate) fn published(&self) -> u64 {
        let desk = self.desk.lock();
        let (next, holes) = match self.ring.get() {
            Some(ring) => (ring.next_sequence(), ring.holes()),
            None => (desk.unheard, 0),
        };
        (next - self.settings.first_sequence).saturating_sub(holes)
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
        let ring = self.ring.get();
        drop(desk);
        if let Some(ring) = ring {
            ring.close();
        }
        self.events.notify();
        self.room.notify();
        self.passed.notify();
    }

    /// Adds a subscriber to the ring and to the list.
    pub(crate) fn join(
        core: &Arc<Self>,
        name: Option<&str>,
        overflow: Overflow,
        start: Start,
    ) -> Result<(Reader<T>, Listing<T>), SubscribeError> {
        let retain = core.settings.retain as u64;
        let origin = match start {
            Start::Now => Origin::Now,
            Start::Latest => Origin::Newest,
            Start::Oldest => Origin::Oldest((retain > 0).then_some(retain)),
            Start::From(sequence) => Origin::At(sequence),
        };
        let ring = Arc::clone(core.allocate(&mut core.desk.lock()));
        let reader = Reader::join(&ring, overflow.policy(), origin).map_err(|refused| {
            // A refused lossless reader was in the gate for a moment.
            core.room.notify();
            match (refused, start) {
                (RefusedJoin::TooManyLossy(limit), _) => SubscribeError::TooManyLossy(limit),
                (RefusedJoin::Overwritten(oldest), Start::From(wanted)) => {
                    SubscribeError::NotRetained { wanted, oldest }
                }
                (RefusedJoin::NotYet(next), Start::From(wanted)) => {
                    SubscribeError::NotYet { wanted, next }
                }
                _ => unreachable!("only a start at a sequence depends on it"),
            }
        })?;
        // The seat was in the gate at an earlier sequence until the start was found.
        core.room.notify();
        let listing = Self::list(core, name, overflow, &reader);
        Ok((reader, listing))
    }

    /// Puts a reader on the list.
    pub(crate) fn list(
        core: &Arc<Self>,
        name: Option<&str>,
        overflow: Overflow,
        reader: &Reader<T>,
    ) -> Listing<T> {
        let mut desk = core.desk.lock();
        let id = desk.next_id;
        desk.next_id += 1;
        desk.subscribers.push(Listed {
            id,
            name: name.map(Box::from),
            overflow,
            seat: reader.seat().clone(),
        });
        drop(desk);
        Listing {
            core: Arc::clone(core),
            id,
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
    pub(crate) fn shared_core(&self) -> &Arc<Core<T>> {
        &self.core
    }

    pub(crate) fn core(&self) -> &Core<T> {
        &self.core
    }
}

impl<T> Listing<T> {
    /// Takes the entry out; to be called before the reader leaves, as the entry names its seat.
    pub(crate) fn strike(&self) {
        let mut desk = self.core.desk.lock();
        let listed = desk
            .subscribers
            .iter()
            .position(|listed| listed.id == self.id)
            .map(|index| desk.subscribers.swap_remove(index));
        drop(desk);
        drop(listed);
    }
}

impl<T> Drop for Listing<T> {
    fn drop(&mut self) {
        // The reader has left before its listing: publishers may go on.
        self.core.room.notify();
        // And so may those who came after it.
        self.core.passed.notify();
    }
}
