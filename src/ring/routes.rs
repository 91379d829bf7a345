//! Events of one key one after the other: lanes, each worked off by one worker at a time.

use std::collections::VecDeque;

use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering};

/// Where the events of a group with keys are.
///
/// A key belongs to a lane. One worker at a time is the router: it looks up the keys of what was published
/// and puts each event behind the others of its lane. A lane with events is ready until a worker takes some
/// from its front; it is ready again when that worker is done with them. So a key's events are handled in
/// order and by one worker at a time, and lanes go to whoever has nothing to do. Keys that share a lane
/// only wait for each other.
///
/// An event stays in its lane until it is handled. Everything is allocated when the group is formed: the
/// lanes are lists through one array, with a place for each slot of the ring.
#[derive(Debug)]
pub(crate) struct Routes {
    table: Mutex<Table>,
    /// A [`Hint`], which an idle worker looks at without the lock; written under it.
    hint: AtomicU64,
}

/// What there is for a worker that has nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// A lane is ready.
    Ready,
    /// Another worker is routing.
    Routing,
    /// This sequence is the next to be routed, once it is published.
    Next(u64),
}

/// Beyond every sequence.
const READY: u64 = u64::MAX;
const ROUTING: u64 = u64::MAX - 1;

/// What the lock guards.
#[derive(Debug)]
pub(super) struct Table {
    /// Sequences before this one have been routed.
    routed: u64,
    routing: bool,
    /// Sequences before this one are handled.
    handled: u64,
    lanes: Box<[Lane]>,
    ready: VecDeque<u32>,
    /// For each slot the distance from its sequence to the next one of the lane; 0 for none.
    behind: Box<[u32]>,
    /// For each slot a bit that says that its sequence, not before `handled`, is handled.
    done: Box<[u64]>,
    /// Events in lanes.
    events: u64,
}

#[derive(Clone, Debug, Default)]
struct Lane {
    /// The first and the last of its events, if there are any.
    first: u64,
    last: u64,
    events: u32,
    /// A worker is at it.
    taken: bool,
    /// The first was shown to a worker before.
    shown: bool,
}

/// Events that a worker has taken from lanes.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Lane by lane.
    pub(super) sequences: Vec<u64>,
    lanes: Vec<(u32, u32)>,
}

/// More than the workers there are likely to be by enough that two busy keys seldom meet.
const MAX_LANES: u64 = 1024;
const MIN_LANES: u64 = 64;

/// What the router makes of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The lane of the event's key, by the key's hash.
    Key(u64),
    /// There is no event, or none that can be handled.
    Skip,
}

impl Run {
    pub(super) fn with_capacity(events: u64) -> Self {
        Self {
            sequences: Vec::with_capacity(events as usize),
            lanes: Vec::with_capacity(events as usize),
        }
    }
}

impl Routes {
    /// Routes for a ring of `slots` slots, from the sequence `start` on.
    pub(super) fn new(slots: u64, start: u64) -> Self {
        let lanes = slots.clamp(MIN_LANES, MAX_LANES) as usize;
        Self {
            table: Mutex::new(Table {
                routed: start,
                routing: false,
                handled: start,
                lanes: vec![Lane::default(); lanes].into_boxed_slice(),
                ready: VecDeque::with_capacity(lanes),
                behind: vec![0; slots as usize].into_boxed_slice(),
                done: vec![0; slots.div_ceil(64) as usize].into_boxed_slice(),
                events: 0,
            }),
            hint: AtomicU64::new(start),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }

    /// Notes for idle workers what the table says. Relaxed: whoever changes the table notifies, and the
    /// barriers of edge `wake` show it.
    pub(super) fn tell(&self, table: &Table) {
        let hint = match (table.ready.is_empty(), table.routing) {
            (false, _) => READY,
            (true, true) => ROUTING,
            (true, false) => table.routed,
        };
        self.hint.store(hint, Ordering::Relaxed);
    }

    /// What an idle worker waits for.
    #[inline]
    pub(super) fn hint(&self) -> Hint {
        match self.hint.load(Ordering::Relaxed) {
            READY => Hint::Ready,
            ROUTING => Hint::Routing,
            next => Hint::Next(next),
        }
    }

    /// Whether a lane is ready with an event before `limit`.
    pub(super) fn has_ready(&self, limit: u64) -> bool {
        let table = self.table.lock();
        let mut ready = table.ready.iter();
        ready.any(|&lane| table.lanes[lane as usize].first < limit)
    }

    /// The next sequence to be routed, and the events in lanes.
    pub(super) fn standings(&self) -> (u64, u64) {
        let table = self.table.lock();
        (table.routed, table.events)
    }
}

impl Table {
    fn slot(&self, sequence: u64) -> usize {
        sequence as usize & (self.behind.len() - 1)
    }

    /// Everything before this sequence is handled.
    pub(super) fn handled(&self) -> u64 {
        self.handled
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes up to `max` events before `limit`, of as many ready lanes as one of `sharers` may take. Returns
    /// the first sequence, and a bit for each event that was shown before.
    pub(super) fn take(
        &mut self,
        run: &mut Run,
        max: u64,
        limit: u64,
        sharers: u64,
    ) -> Option<(u64, u64)> {
        run.sequences.clear();
        run.lanes.clear();
        let lanes = (self.ready.len() as u64).div_ceil(sharers);
        let mut shown = 0;
        let mut looked = 0;
        let ready = self.ready.len();
        while looked < ready && (run.lanes.len() as u64) < lanes {
            looked += 1;
            let left = max - run.sequences.len() as u64;
            if left == 0 {
                break;
            }
            let Some(index) = self.ready.pop_front() else {
                break;
            };
            let lane = &self.lanes[index as usize];
            if lane.first >= limit {
                self.ready.push_back(index);
                continue;
            }
            if lane.shown {
                shown |= 1 << run.sequences.len();
            }
            let mut sequence = lane.first;
            let mut events = 0;
            let most = left.min(u64::from(lane.events)) as u32;
            while events < most && sequence < limit {
                run.sequences.push(sequence);
                events += 1;
                sequence += u64::from(self.behind[self.slot(sequence)]);
            }
            run.lanes.push((index, events));
            self.lanes[index as usize].taken = true;
        }
        let first = run.sequences.iter().copied().min()?;
        Some((first, shown))
    }

    /// Puts back what is left of a run after `passed` of its events; the first of those that are left was
    /// shown if `shown` says so.
    pub(super) fn put_back(&mut self, run: &mut Run, passed: u64, shown: bool) {
        let mut left = passed as u32;
        let mut shown = shown;
        let mut at = 0;
        // From the last lane to the first, so that those that are left come in their order.
        for &(_, events) in &run.lanes {
            if left < events {
                break;
            }
            left -= events;
            at += 1;
        }
        for (place, &(index, events)) in run.lanes.iter().enumerate().rev() {
            let handled = match place {
                place if place < at => events,
                place if place == at => left,
                _ => 0,
            };
            for _ in 0..handled {
                self.pop(index);
            }
            let unhandled = handled < events;
            let lane = &mut self.lanes[index as usize];
            lane.taken = false;
            if place == at {
                lane.shown |= std::mem::take(&mut shown);
            }
            if lane.events == 0 {
                continue;
            }
            // What was handed back goes first, and a lane that had its turn last.
            if unhandled {
                self.ready.push_front(index);
            } else {
                self.ready.push_back(index);
            }
        }
        run.sequences.clear();
        run.lanes.clear();
        self.advance();
    }

    /// Takes the first event, which is handled, out of its lane.
    fn pop(&mut self, index: u32) {
        let sequence = self.lanes[index as usize].first;
        let behind = u64::from(self.behind[self.slot(sequence)]);
        let lane = &mut self.lanes[index as usize];
        lane.first += behind;
        lane.events -= 1;
        lane.shown = false;
        self.events -= 1;
        self.note_done(sequence);
    }

    fn note_done(&mut self, sequence: u64) {
        let slot = self.slot(sequence);
        self.done[slot / 64] |= 1 << (slot % 64);
    }

    /// Moves `handled` over what is done.
    fn advance(&mut self) {
        while self.handled < self.routed {
            let slot = self.slot(self.handled);
            let bit = 1 << (slot % 64);
            if self.done[slot / 64] & bit == 0 {
                break;
            }
            self.done[slot / 64] &= !bit;
            self.handled += 1;
        }
    }

    /// The next sequence to be routed.
    pub(super) fn routed(&self) -> u64 {
        self.routed
    }

    /// Makes the caller the router; `false` when there is one.
    pub(super) fn begin_routing(&mut self) -> bool {
        !std::mem::replace(&mut self.routing, true)
    }

    /// Ends as the router, with what became of the sequences from the first one on.
    pub(super) fn end_routing(&mut self, routes: &[Route]) {
        for &route in routes {
            let sequence = self.routed;
            match route {
                Route::Key(hash) => self.push(hash, sequence),
                Route::Skip => self.note_done(sequence),
            }
            self.routed += 1;
        }
        self.routing = false;
        self.advance();
    }

    fn push(&mut self, hash: u64, sequence: u64) {
        let index = (hash % self.lanes.len() as u64) as usize;
        let slot = self.slot(sequence);
        self.behind[slot] = 0;
        let lane = &mut self.lanes[index];
        let last = std::mem::replace(&mut lane.last, sequence);
        lane.events += 1;
        self.events += 1;
        if lane.events > 1 {
            let last_slot = self.slot(last);
            self.behind[last_slot] = (sequence - last) as u32;
            return;
        }
        lane.first = sequence;
        lane.shown = false;
        if !lane.taken {
            self.ready.push_back(index as u32);
        }
    }
}
