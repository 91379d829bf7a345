//! What a ring knows of its members, for people to read.

use super::Ring;
use super::member::Standing;
use super::members::Seat;
use super::succession::reading;

/// One member's numbers.
///
/// Taken while the ring runs, so they may be a moment apart; when nobody publishes or reads they add up:
/// `published = delivered + filtered + missed + pending`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standings {
    /// The next sequence the member takes.
    pub(crate) next: u64,
    /// Sequences between there and the next one to be claimed.
    pub(crate) lag: u64,
    /// Events claimed since the member joined.
    pub(crate) published: u64,
    /// Events among the lag, and those that the member has claimed and not taken.
    pub(crate) pending: u64,
    pub(crate) delivered: u64,
    pub(crate) filtered: u64,
    pub(crate) missed: u64,
    /// The thread that read last; 0 before the first one.
    #[cfg(feature = "services")]
    pub(crate) reader: u64,
}

/// What is before a member, in its ring and in those that follow, and what publishers have taken of it.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    next: u64,
    tail: u64,
    lag: u64,
    pending: u64,
    holes: u64,
    pushed_over: u64,
    lost: u64,
}

impl<T> Ring<T> {
    /// The numbers of the member that joined this ring at `seat`.
    pub(crate) fn standings(&self, seat: &Seat) -> Standings {
        let (ring, seat) = reading(self, seat);
        let member = seat.member();
        let ahead = ring.ahead(seat);
        // Those that the member has passed behind the end of a ring that another follows are not before `tail`.
        let behind = match ring.successor() {
            Some(_) => ahead.next.saturating_sub(ring.end()),
            None => 0,
        };
        let holes = (member.holes.get() + ahead.pushed_over + ahead.holes)
            .saturating_sub(member.pushed_over_before_joining.get())
            .saturating_sub(behind);
        Standings {
            next: ahead.next,
            lag: ahead.lag,
            published: ahead
                .tail
                .saturating_sub(member.joined.get())
                .saturating_sub(holes),
            pending: ahead.pending + member.claimed.get(),
            delivered: member.delivered.get(),
            filtered: member.filtered.get(),
            missed: (ahead.lost + member.conflated.get())
                .saturating_sub(member.lost_before_joining.get()),
            #[cfg(feature = "services")]
            reader: member.reader(),
        }
    }

    fn ahead(&self, seat: &Seat) -> Ahead {
        let member = seat.member();
        let cursor = member.cursor();
        // A reserved seat may stand before its ring.
        let next = cursor.next().max(self.shape.first);
        let following = self
            .next_of(seat)
            .map(|(ring, seat)| ring.ahead(seat.seat()));
        if let Some(following) = following
            && cursor.standing() == Standing::Gone
        {
            // It has just moved over.
            return following;
        }
        let tail = match cursor.standing() {
            // The membership ended where the publishers cut it off.
            Standing::Gone => next,
            _ => self.tail.claimed().min(self.end()).max(next),
        };
        let lag = tail - next;
        let pending = self.events_between(next, tail);
        let here = Ahead {
            next,
            tail,
            lag,
            pending,
            holes: lag - pending,
            pushed_over: member.pushed_over.get(),
            lost: member.lost(),
        };
        following.map_or(here, |there| Ahead {
            next,
            tail: there.tail,
            lag: lag + there.lag,
            pending: pending + there.pending,
            holes: here.holes + there.holes,
            pushed_over: here.pushed_over + there.pushed_over,
            lost: here.lost + there.lost,
        })
    }
}
