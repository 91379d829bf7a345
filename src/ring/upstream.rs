//! Members that come after others.

use super::gate::Whose;
use super::member::Standing;
use super::members::Seat;

/// A member that others come after.
///
/// Its seat may be taken again when it has left; the generation tells it from whoever is there then.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    seat: Seat,
    generation: u64,
}

/// What a member is done with that has left: everything.
pub(super) const EVERYTHING: u64 = u64::MAX;

impl Upstream {
    /// The gating member that has the seat now.
    pub(super) fn of(seat: &Seat) -> Self {
        Self {
            seat: seat.clone(),
            generation: seat.member().generation(),
        }
    }

    /// The member is done with every sequence before this one.
    fn progress(&self) -> u64 {
        let member = self.seat.member();
        // The cursor first: the one of a later member comes with its generation (edge `enter`), so it is never
        // taken for this one's.
        let cursor = member.cursor();
        if cursor.standing() != Standing::Gating || member.generation() != self.generation {
            return EVERYTHING;
        }
        cursor.next()
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.generation == other.generation && self.seat.is(&other.seat)
    }

    /// Who could let through what the member has not passed, for the thread `me`.
    fn whose(&self, me: u64) -> Whose {
        let member = self.seat.member();
        match member.reader() {
            0 if member.opener.get() == me => Whose::OpenedHere,
            reader if reader == me => Whose::ReadHere,
            _ => Whose::Others,
        }
    }
}

/// The members that a reader comes after, directly or by way of others: one of those between may leave.
#[derive(Debug, Default)]
pub(super) struct Upstreams {
    list: Vec<Seen>,
    /// How far the one that had come furthest was when it was added.
    vouched_from: u64,
}

#[derive(Debug)]
struct Seen {
    upstream: Upstream,
    /// What it was done with when this reader last looked.
    progress: u64,
}

impl Upstreams {
    pub(super) fn add(&mut self, upstream: &Upstream) {
        if !self.list.iter().any(|seen| seen.upstream.is(upstream)) {
            let progress = upstream.progress();
            if progress != EVERYTHING {
                self.vouched_from = self.vouched_from.max(progress);
            }
            self.list.push(Seen {
                upstream: upstream.clone(),
                progress,
            });
        }
    }

    /// Each of them that has not left has passed what it has from here on since it was added; what is before, it may
    /// have joined behind (R13).
    #[inline]
    pub(super) fn vouched_from(&self) -> u64 {
        self.vouched_from
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Upstream> {
        self.list.iter().map(|seen| &seen.upstream)
    }

    /// All are done with every sequence before this one; [`EVERYTHING`] only if all have left.
    ///
    /// One that was further than this when last looked at is not looked at: of a pipeline, mostly the direct
    /// upstream alone is.
    pub(super) fn look(&mut self) -> u64 {
        let mut passed = EVERYTHING;
        for Seen { upstream, progress } in &mut self.list {
            if *progress < passed {
                *progress = upstream.progress();
                passed = passed.min(*progress);
            }
        }
        passed
    }

    /// As `look`, for who may not note what it saw.
    pub(super) fn peek(&self) -> u64 {
        self.list
            .iter()
            .fold(EVERYTHING, |passed, Seen { upstream, progress }| {
                if *progress < passed {
                    passed.min(upstream.progress())
                } else {
                    passed
                }
            })
    }

    /// Who could let `sequence` through; `None` if all have.
    pub(super) fn in_the_way(&self, sequence: u64, me: u64) -> Option<Whose> {
        self.iter()
            .filter(|upstream| upstream.progress() <= sequence)
            .map(|upstream| upstream.whose(me))
            .max()
    }
}
