//! The plan of the next stretch: who is in the way, who is pushed, what is stepped over.

use super::member::{Cursor, Member, Pin, Standing};
use super::slot::MAX_SEQUENCE;
use super::{Ring, Shape};
use crate::sync::Ordering;

/// What a publisher remembers from one plan to the next.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Every sequence before this one is done.
    done: u64,
    /// Pins found by the last plan.
    pins: Vec<Pin>,
    /// What gating members needed at the last plan. They only go on, so this is enough to see that there
    /// is room, unless somebody has joined since.
    gating: u64,
    joins: u64,
}

/// A stretch of sequences to claim.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// One behind the last sequence of the claim.
    pub(crate) end: u64,
    /// Events the claim has room for: less than asked for only where pins leave too few slots.
    pub(crate) events: u64,
    /// How far claims of free slots may go on without another plan.
    pub(crate) stop: u64,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// A gating member is a full ring behind.
    Full(Whose),
    /// Another publisher has not finished what it claimed a full ring ago.
    Unfinished,
    /// More events are to be claimed than the ring has capacity for.
    Small,
    /// The ring is closed, or its sequences have run out.
    Closed,
}

/// Who could remove the obstacle, the one that can wait longest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whose {
    /// Some other thread.
    Others,
    /// Perhaps only this thread: it opened a member in the way, which no thread has read yet.
    OpenedHere,
    /// Only this thread: it was the last to read a member in the way.
    ReadHere,
}

/// What a look at all members showed.
struct Scan {
    /// The first sequence that a gating member still needs; `u64::MAX` for none.
    gating: u64,
    /// The same for the others.
    lossy: u64,
}

impl Gate {
    pub(crate) fn new(first: u64) -> Self {
        Self {
            done: first,
            pins: Vec::new(),
            gating: 0,
            joins: 0,
        }
    }

    /// Notes that every sequence before `sequence` is done.
    pub(crate) fn set_done(&mut self, sequence: u64) {
        self.done = sequence;
    }

    /// Plans a claim of `events` events at `head`.
    ///
    /// A plan that fails has pushed nobody, unless pins or a joiner found on the way made it fail.
    pub(crate) fn plan<T>(
        &mut self,
        ring: &Ring<T>,
        head: u64,
        mut events: u64,
    ) -> Result<Plan, Obstacle> {
        let shape = ring.shape;
        // How many sequences the claim takes: the events, and the pinned slots among them.
        let mut span = events;
        loop {
            if ring.is_closed() || head + span > MAX_SEQUENCE {
                return Err(Obstacle::Closed);
            }
            if events > shape.capacity {
                return Err(Obstacle::Small);
            }
            let reach = head + span.max(ring.stride());
            self.look_for_done(ring, head, reach);
            let needed = (head + span).saturating_sub(shape.capacity).min(head);
            if needed > self.done || head + span > self.done + shape.slots {
                return Err(Obstacle::Unfinished);
            }
            let stepped = span - events;
            // Looked at first without a word to anyone: a publish that is refused changes nothing.
            let joins = ring.members.joins();
            if joins != self.joins
                || head + span > ring.room_behind(self.gating, head, span, stepped)
            {
                self.joins = joins;
                self.gating = ring.gating();
            }
            let gating = self.gating;
            if head + span > ring.room_behind(gating, head, span, stepped) {
                return Err(ring.full(head, span, stepped));
            }

            ring.announce_horizon(reach);
            // ORDERING: edge `join`. Pairs with the barriers in `enter` and `open`: a joiner that this scan misses
            // sees the horizon.
            ring.barrier.light();
            let scan = self.scan(ring, head, needed);
            self.gating = scan.gating;
            let room = ring.room_behind(scan.gating, head, span, stepped);
            if head + span > room {
                return Err(ring.full(head, span, stepped));
            }
            let pinned: u64 = self.pins.iter().map(|pin| pin.length()).sum();
            events = events.min(shape.slots - pinned);
            let end = self.behind(ring, head, events);
            if end - head > span {
                span = end - head;
                continue;
            }
            let stop = reach
                .min(MAX_SEQUENCE)
                .min(room)
                .min(scan.lossy.saturating_add(shape.capacity))
                .min(self.done + shape.capacity)
                .max(end);
            return Ok(Plan {
                end,
                events,
                stop: self.before_pin(ring, end, stop),
            });
        }
    }

    /// Whether the plan passes over `sequence`.
    pub(crate) fn is_pinned<T>(&self, ring: &Ring<T>, sequence: u64) -> bool {
        let index = ring.index(sequence);
        self.pins
            .iter()
            .any(|pin| ring.index(index.wrapping_sub(pin.first_index())) < pin.length())
    }

    /// Moves `done` over what other publishers have finished, as far as a plan up to `reach` asks.
    fn look_for_done<T>(&mut self, ring: &Ring<T>, head: u64, reach: u64) {
        let wanted = reach.saturating_sub(ring.shape.capacity).min(head);
        while self.done < wanted && ring.slot(self.done).stamp().is_done(self.done) {
            self.done += 1;
        }
    }

    /// Looks at all members, pushes those that are before `needed`, and notes the pins.
    ///
    /// A lossy member keeps the last `capacity` sequences. It is pushed a little further than it must be,
    /// so that one that never reads costs one push in `slack` sequences.
    fn scan<T>(&mut self, ring: &Ring<T>, head: u64, needed: u64) -> Scan {
        let slack = ring.shape.capacity / 16;
        let pushed = (needed + slack).min(head).min(self.done).max(needed);
        let mut scan = Scan {
            gating: u64::MAX,
            lossy: u64::MAX,
        };
        self.walk(ring, head, needed, pushed, &mut scan);
        if ring.members.has_groups() {
            // Posts are looked at after the cursors of their groups, wherever they sit (R12).
            self.walk(ring, head, needed, pushed, &mut scan);
        }
        scan
    }

    fn walk<T>(&mut self, ring: &Ring<T>, head: u64, needed: u64, pushed: u64, scan: &mut Scan) {
        self.pins.clear();
        for block in ring.members.blocks() {
            for member in block {
                loop {
                    let cursor = member.cursor();
                    if cursor.standing() == Standing::Gating {
                        scan.gating = scan.gating.min(cursor.next());
                        break;
                    }
                    if self.meet(ring, member, cursor, (head, needed, pushed), scan) {
                        break;
                    }
                }
            }
        }
    }

    /// Looks at a member that does not gate, and pushes it if it is in the way; `false` if its cursor has moved
    /// meanwhile.
    fn meet<T>(
        &mut self,
        ring: &Ring<T>,
        member: &Member,
        cursor: Cursor,
        (head, needed, pushed): (u64, u64, u64),
        scan: &mut Scan,
    ) -> bool {
        let push = match cursor.standing() {
            Standing::Gating => unreachable!("a gating member is waited for"),
            Standing::Gone => None,
            _ if cursor.next() >= needed => {
                scan.lossy = scan.lossy.min(cursor.next());
                None
            }
            Standing::Pushable => Some((pushed, Standing::Pushable)),
            // Gaps alone end no membership.
            Standing::Expendable if ring.events_between(cursor.next(), needed) == 0 => {
                Some((needed, Standing::Expendable))
            }
            Standing::Expendable => {
                self.look_for_done(ring, head, head + ring.shape.capacity);
                Some((head.min(self.done), Standing::Gone))
            }
        };
        if let Some((target, standing)) = push {
            // Counted before the push: its slots stay as they are until this plan is carried out.
            let lost = ring.events_between(cursor.next(), target);
            if !member.try_move(cursor, Cursor::new(target, standing)) {
                return false;
            }
            member.count_lost(lost, target - cursor.next() - lost, target);
            if member.misses() {
                ring.note_missed(cursor.next(), target);
            }
            scan.lossy = scan.lossy.min(target);
        }
        // The cursor first, then the pin (R5).
        let pin = member.pin();
        if pin != Pin::NONE {
            self.pins.push(pin);
        }
        true
    }

    /// The sequence behind the last of `events` free slots from `head`.
    fn behind<T>(&self, ring: &Ring<T>, head: u64, events: u64) -> u64 {
        if self.pins.is_empty() {
            return head + events;
        }
        let mut end = head;
        let mut left = events;
        while left > 0 {
            left -= u64::from(!self.is_pinned(ring, end));
            end += 1;
        }
        end
    }

    /// `stop`, or the first pinned sequence from `end` on.
    fn before_pin<T>(&self, ring: &Ring<T>, end: u64, stop: u64) -> u64 {
        self.pins.iter().fold(stop, |stop, pin| {
            let first = end + ring.index(pin.first_index().wrapping_sub(end));
            let inside = ring.index(end.wrapping_sub(pin.first_index())) < pin.length();
            stop.min(if inside { end } else { first })
        })
    }
}

impl<T> Ring<T> {
    /// How far one plan goes when nobody is in the way: what lies one lap behind it can no longer be joined.
    pub(super) fn stride(&self) -> u64 {
        let spare = self.shape.slots - self.shape.capacity;
        spare
            .max(self.shape.slots / 2)
            .clamp(1, self.shape.capacity)
    }

    /// The first sequence that a gating member still needs; `u64::MAX` without gating members.
    fn gating(&self) -> u64 {
        let gating = self.slowest();
        if self.members.has_groups() {
            // As in `Gate::scan` (R12).
            return gating.min(self.slowest());
        }
        gating
    }

    fn slowest(&self) -> u64 {
        let mut gating = u64::MAX;
        for block in self.members.blocks() {
            for member in block {
                let cursor = member.cursor();
                if cursor.standing() == Standing::Gating {
                    gating = gating.min(cursor.next());
                }
            }
        }
        gating
    }

    /// Who leaves no room for `events` events at `head`, as it looks now; nothing is planned, nobody pushed.
    pub(super) fn crowded_by(&self, head: u64, events: u64) -> Option<Whose> {
        if head + events <= self.room_behind(self.gating(), head, events, 0) {
            return None;
        }
        match self.full(head, events, 0) {
            Obstacle::Full(whose) => Some(whose),
            Obstacle::Unfinished | Obstacle::Small | Obstacle::Closed => None,
        }
    }

    /// The first sequence that may not be claimed while a gating member still needs `gating`; the claim is
    /// one of `span` sequences at `head`, of which `stepped` are stepped over.
    fn room_behind(&self, gating: u64, head: u64, span: u64, stepped: u64) -> u64 {
        if gating == u64::MAX {
            return u64::MAX;
        }
        let room = gating + self.shape.capacity;
        let Shape {
            capacity, slots, ..
        } = self.shape;
        if capacity == slots || head + span <= room || head >= gating + slots {
            return room;
        }
        // A small ring has slots to spare, and holes do not count as unread events.
        let holes = head.saturating_sub(gating) - self.events_between(gating, head);
        (room + holes + stepped).min(gating + slots)
    }

    /// The horizon of a plan up to `reach`: the plan may overwrite what lies a lap before.
    fn announce_horizon(&self, reach: u64) {
        let horizon = reach.saturating_sub(self.shape.slots);
        if horizon > self.horizon.load(Ordering::Relaxed) {
            // ORDERING: edge `horizon`. Pairs with the load in `View::open`; carries what was claimed before.
            self.horizon.store(horizon, Ordering::Release);
        }
    }

    /// The obstacle that the gating members make for a claim.
    #[cold]
    fn full(&self, head: u64, span: u64, stepped: u64) -> Obstacle {
        let me = crate::sync::thread_id();
        let mut whose = Whose::Others;
        for member in self.members.blocks().flatten() {
            let cursor = member.cursor();
            if cursor.standing() != Standing::Gating
                || head + span <= self.room_behind(cursor.next(), head, span, stepped)
            {
                continue;
            }
            match member.reader() {
                0 if member.opener.get() == me && whose == Whose::Others => {
                    whose = Whose::OpenedHere;
                }
                reader if reader == me => whose = Whose::ReadHere,
                _ => {}
            }
        }
        Obstacle::Full(whose)
    }
}
