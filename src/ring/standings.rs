//! What a ring knows of its members, for people to read.

use super::Ring;
use super::member::Standing;
use super::members::Seat;

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
}

impl<T> Ring<T> {
    pub(crate) fn standings(&self, seat: &Seat) -> Standings {
        let member = seat.member();
        let cursor = member.cursor();
        let tail = match cursor.standing() {
            // The membership ended where the publishers cut it off.
            Standing::Gone => cursor.next(),
            _ => self.tail.claimed().min(self.end()).max(cursor.next()),
        };
        let lag = tail - cursor.next();
        let unclaimed = self.events_between(cursor.next(), tail);
        let holes = (member.holes.get() + member.pushed_over.get())
            .saturating_sub(member.pushed_over_before_joining.get())
            + (lag - unclaimed);
        Standings {
            next: cursor.next(),
            lag,
            published: tail
                .saturating_sub(member.joined.get())
                .saturating_sub(holes),
            pending: unclaimed + member.claimed.get(),
            delivered: member.delivered.get(),
            filtered: member.filtered.get(),
            missed: (member.lost() + member.conflated.get())
                .saturating_sub(member.lost_before_joining.get()),
        }
    }
}
