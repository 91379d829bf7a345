//! Growing: a larger ring instead of a refusal.

use super::core::{Core, Desk, Listed};
use super::publish::Writer;
use crate::ring::{Claimed, Joined, Obstacle, Ring, Whose};
use crate::sync::Arc;

/// Claims room for up to `events` events; a topic that may grow does so before it refuses.
pub(super) fn claim<'a, T, W: Writer<'a, T>>(
    core: &'a Core<T>,
    writer: &mut W,
    events: u64,
) -> Result<Claimed, Obstacle> {
    let claimed = writer.claim(events);
    claimed.or_else(|obstacle| claim_after(core, writer, events, obstacle))
}

/// As [`claim`], after a claim that has met `obstacle`.
pub(super) fn claim_after<'a, T, W: Writer<'a, T>>(
    core: &'a Core<T>,
    writer: &mut W,
    events: u64,
    mut obstacle: Obstacle,
) -> Result<Claimed, Obstacle> {
    // Each turn has a newer ring, or a member that has read on.
    while let Some(ring) = core.make_room(writer.ring(), events, obstacle) {
        writer.follow(ring);
        match writer.claim(events) {
            Ok(claimed) => return Ok(claimed),
            Err(another) => obstacle = another,
        }
    }
    Err(obstacle)
}

impl<T> Core<T> {
    /// The ring that is published to, if anybody has subscribed yet; sure under the lock of the desk.
    pub(super) fn newest(&self) -> Option<&Arc<Ring<T>>> {
        self.grown.get().or_else(|| self.ring())
    }

    /// Whether a claim of `events` events would find no room, nor make any: a look, and no promise.
    pub(super) fn looks_full(&self, events: u64) -> bool {
        self.crowd_before(events).is_some()
    }

    /// Who leaves no room for a claim of `events` events; nobody while the topic may grow.
    pub(super) fn crowd_before(&self, events: u64) -> Option<Whose> {
        let ring = self.newest()?;
        if ring.capacity() < self.settings().max_capacity() as u64 {
            return None;
        }
        ring.crowd_before_shared(events)
    }

    /// How many events a subscriber may be behind now.
    pub(crate) fn capacity(&self) -> usize {
        self.newest()
            .map_or(self.settings().capacity, |ring| ring.capacity() as usize)
    }

    /// The ring that a subscriber joined, and its seat there; `None` only without a ring.
    pub(super) fn joined<'a>(&'a self, listed: &'a Listed) -> Option<Joined<'a, T>> {
        let mut ring = self.ring()?;
        for _ in 0..listed.rings_before {
            ring = ring.successor()?;
        }
        Some((ring, &listed.seat))
    }

    fn all_joined<'a>(&'a self, desk: &'a Desk) -> impl Iterator<Item = Joined<'a, T>> + Clone {
        desk.subscribers
            .iter()
            .filter_map(|listed| self.joined(listed))
    }

    /// Does something about the obstacle that a claim of `events` events met in `ring`; tells where to try
    /// again.
    fn make_room(&self, ring: &Ring<T>, events: u64, obstacle: Obstacle) -> Option<&Arc<Ring<T>>> {
        let most = self.settings().grow_to? as u64;
        let desk = self.desk();
        let newest = self.newest()?;
        if !std::ptr::eq(&**newest, ring) {
            drop(desk);
            // A refused claim may have become holes that a reader waits for.
            self.events.notify();
            return Some(newest);
        }
        let behind = match obstacle {
            Obstacle::Closed | Obstacle::Unfinished => return None,
            Obstacle::Full(_) if newest.look_behind(self.all_joined(&desk)) => return Some(newest),
            Obstacle::Full(_) => newest.capacity(),
            // Perhaps nobody is.
            Obstacle::Small => 0,
        };
        if newest.capacity() == most || desk.is_closed() {
            return None;
        }
        let wanted = (behind + events).max(2 * newest.capacity());
        let wanted = wanted.next_power_of_two();
        let shape = self.settings().shape_of(wanted.min(most), 0);
        let successor = newest.succeed(shape, self.all_joined(&desk));
        self.grown.push(successor);
        drop(desk);
        // Publishers that wait for another one to finish go on in the new ring.
        self.room.notify();
        self.grown.get()
    }
}
