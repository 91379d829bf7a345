//! The membership table: seats that are added, taken and left while publishers walk over them.

use super::member::Member;
use super::succession::Reserved;
use crate::sync::{Arc, AtomicUsize, CachePadded, Counter, FIRST_SEATS, Mutex, OnceCell, Ordering};

/// Seats in blocks of doubling size. A block is never freed before the table, so a publisher walks the
/// blocks without a lock; joining and leaving go through the roster, whose lock no publisher takes.
#[derive(Debug)]
pub(crate) struct Members {
    first: Arc<Block>,
    roster: Mutex<Roster>,
    /// How often a seat was taken.
    joins: Counter,
    /// Groups that there are. A plan asks after it has seen the cursors, so that it does not miss one that it
    /// has seen.
    groups: AtomicUsize,
}

#[derive(Debug)]
struct Block {
    seats: Box<[CachePadded<Member>]>,
    /// The seat that each has in the ring that follows, once there is one. Nobody joins a ring that another one
    /// follows, so each is set once.
    reserved: OnceCell<Box<[OnceCell<Reserved>]>>,
    /// Seats from here on were never taken, and a plan need not look at them. Set before the seat's member
    /// enters, so the barriers of edge `join` show it as they show the member.
    taken: AtomicUsize,
    next: OnceCell<Arc<Block>>,
}

/// A member's place in the table.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    block: Arc<Block>,
    index: usize,
}

/// How many slots a lossy member may pin, and so how many lossy members a ring takes.
///
/// All pins together stay below three quarters of the slots: one slot for each of at most half as many
/// members as there are slots, and a quarter of the slots to share out as larger claims. So a publisher
/// that steps over pinned slots always finds a free one.
#[derive(Debug)]
struct Roster {
    empty: Vec<EmptySeat>,
    lossy: u64,
    lossy_limit: u64,
    spare_claims: u64,
}

#[derive(Debug)]
struct EmptySeat {
    seat: Seat,
    /// Where a publisher had pushed the last member; the seat is not taken before it has counted that.
    pushed_to: Option<u64>,
}

impl Block {
    fn new(seats: usize) -> Arc<Self> {
        Arc::new(Self {
            seats: (0..seats)
                .map(|_| CachePadded::new(Member::empty()))
                .collect(),
            reserved: OnceCell::new(),
            taken: AtomicUsize::new(0),
            next: OnceCell::new(),
        })
    }
}

impl Seat {
    #[inline]
    pub(crate) fn member(&self) -> &Member {
        &self.block.seats[self.index]
    }

    /// The seat that the member has in the ring that follows.
    pub(super) fn reserved(&self) -> Option<&Reserved> {
        self.block.reserved.get()?[self.index].get()
    }

    /// Notes the seat that the member has in the ring that follows, once; callers take turns.
    pub(super) fn reserve(&self, reserved: Reserved) {
        let Block {
            seats,
            reserved: of_all,
            ..
        } = &*self.block;
        if of_all.get().is_none() {
            let none = seats.iter().map(|_| OnceCell::new()).collect();
            if of_all.set(none).is_err() {
                unreachable!("seats are reserved one at a time");
            }
        }
        let of_all = of_all.get().expect("it was set");
        if of_all[self.index].set(reserved).is_err() {
            unreachable!("a seat is reserved once");
        }
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.index == other.index && Arc::ptr_eq(&self.block, &other.block)
    }

    /// Leaves; tells where the membership ended, if the member had not `seen` that it was pushed there.
    pub(crate) fn leave(&self, seen: u64) -> Option<u64> {
        let last = self.member().leave();
        (last.next() != seen).then(|| last.next())
    }
}

impl Members {
    /// A table for a ring of `slots` slots.
    pub(crate) fn new(slots: u64) -> Self {
        let first = Block::new(FIRST_SEATS);
        let empty = EmptySeat::all_of(&first);
        Self {
            first,
            joins: Counter::default(),
            groups: AtomicUsize::new(0),
            roster: Mutex::new(Roster {
                empty,
                lossy: 0,
                lossy_limit: slots / 2,
                spare_claims: slots / 4,
            }),
        }
    }

    /// Every seat that was ever taken, block by block: a plan walks over all of them, in two plain loops.
    #[inline]
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &[CachePadded<Member>]> {
        let mut block = Some(&*self.first);
        std::iter::from_fn(move || {
            let current = block?;
            block = current.next.get().map(|next| &**next);
            Some(&current.seats[..current.taken.load(Ordering::Relaxed)])
        })
    }

    /// Grows with every member that joins; only a hint while one is joining.
    pub(crate) fn joins(&self) -> u64 {
        self.joins.get()
    }

    /// Whether a plan must look twice.
    pub(crate) fn has_groups(&self) -> bool {
        self.groups.load(Ordering::Relaxed) != 0
    }

    /// To be called before the group's cursor enters: what shows the cursor shows this too.
    pub(crate) fn add_group(&self) {
        self.groups.fetch_add(1, Ordering::Relaxed);
    }

    /// To be called when nothing of the group is in the table any more.
    pub(crate) fn remove_group(&self) {
        self.groups.fetch_sub(1, Ordering::Relaxed);
    }

    /// A seat for a gating member.
    pub(crate) fn seat(&self) -> Seat {
        self.joins.add(1);
        self.roster.lock().take(&self.first)
    }

    /// A seat for a lossy member and how many slots it may pin, at most `wish`; or how many lossy members
    /// there may be.
    pub(crate) fn lossy_seat(&self, wish: u64) -> Result<(Seat, u64), u64> {
        self.joins.add(1);
        let mut roster = self.roster.lock();
        if roster.lossy == roster.lossy_limit {
            return Err(roster.lossy_limit);
        }
        roster.lossy += 1;
        // An eighth of what is left: the first few get all they wish, and there is always some left.
        let extra = (wish - 1).min(roster.spare_claims.div_ceil(8));
        roster.spare_claims -= extra;
        Ok((roster.take(&self.first), 1 + extra))
    }

    /// Gives a seat back; `claim` is what [`Members::lossy_seat`] granted. `pushed_to` is set when the
    /// member left without having seen a push.
    pub(crate) fn give_back(&self, seat: Seat, claim: Option<u64>, pushed_to: Option<u64>) {
        let mut roster = self.roster.lock();
        if let Some(claim) = claim {
            roster.lossy -= 1;
            roster.spare_claims += claim - 1;
        }
        roster.empty.push(EmptySeat { seat, pushed_to });
    }
}

impl Roster {
    fn take(&mut self, first: &Arc<Block>) -> Seat {
        let seat = self.find(first);
        // Only written under the roster's lock.
        let taken = seat.block.taken.load(Ordering::Relaxed).max(seat.index + 1);
        seat.block.taken.store(taken, Ordering::Relaxed);
        seat
    }

    fn find(&mut self, first: &Arc<Block>) -> Seat {
        let free = self.empty.iter().rposition(EmptySeat::is_free);
        if let Some(free) = free {
            return self.empty.swap_remove(free).seat;
        }
        let mut last = first;
        while let Some(next) = last.next.get() {
            last = next;
        }
        let block = Block::new(last.seats.len() * 2);
        self.empty.append(&mut EmptySeat::all_of(&block));
        if last.next.set(block).is_err() {
            unreachable!("blocks are added under the roster's lock");
        }
        self.empty.pop().expect("a new block has empty seats").seat
    }
}

impl EmptySeat {
    /// The seats of a block, the first one last: seats are taken from the end.
    fn all_of(block: &Arc<Block>) -> Vec<Self> {
        (0..block.seats.len())
            .rev()
            .map(|index| Self {
                seat: Seat {
                    block: Arc::clone(block),
                    index,
                },
                pushed_to: None,
            })
            .collect()
    }

    fn is_free(&self) -> bool {
        self.pushed_to
            .is_none_or(|next| self.seat.member().lost_before(next).is_some())
    }
}
