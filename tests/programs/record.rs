//! What was seen of a program that ran.

use std::ops::Range;

use ringbus::{Meta, Overflow};

use super::program::Terms;

/// The thread that runs the program, before and after its threads.
pub(crate) const MAIN: usize = usize::MAX;

/// When an operation began and ended, by the clock of the program. Without a clock the threads' operations
/// begin at 1 and end at `u64::MAX - 1`; those of the main thread are before and after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) thread: usize,
    /// Its number among those of the thread.
    pub(crate) index: usize,
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

impl Record {
    /// What members of groups were shown, with the numbers of the groups.
    pub(crate) fn grouped(&self) -> impl Iterator<Item = (usize, &Showing)> {
        self.colleagues.iter().flat_map(|colleague| {
            let calls = colleague.calls.iter();
            calls.flat_map(|call| call.shown.iter().map(|showing| (colleague.group, showing)))
        })
    }
}

impl Sighting {
    pub(crate) fn seen(id: u64, meta: Meta) -> Self {
        Self::Seen {
            id,
            sequence: Some(meta.sequence),
            missed: Told::Exactly(meta.missed),
        }
    }
}

impl Span {
    /// Whether this one had ended when the other began.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.end < other.begin || self.thread == other.thread && self.index < other.index
    }

    pub(crate) fn is_after_all(&self) -> bool {
        self.begin == u64::MAX
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        !self.is_before(other) && !other.is_before(self)
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) facts: Facts,
    /// In each thread's order.
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) members: Vec<Membership>,
    pub(crate) groups: Vec<Group>,
    pub(crate) colleagues: Vec<Colleague>,
    /// Joins that were refused.
    pub(crate) refused_joins: Vec<Span>,
    pub(crate) closes: Vec<Span>,
    pub(crate) letters: Vec<Letter>,
    /// What an observer was shown that was there all the time.
    pub(crate) shown: Vec<u64>,
    /// Events that the topic says were published.
    pub(crate) published: u64,
    /// How often each event was dropped.
    pub(crate) drops: Vec<(u64, u32)>,
    pub(crate) clones: (u64, u64),
    /// What went wrong on the spot.
    pub(crate) failures: Vec<String>,
}

/// What the setup says that matters afterwards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) first_sequence: u64,
    /// The most that a lossless subscriber may be behind.
    pub(crate) capacity: u64,
    /// No close is due but those in the record.
    pub(crate) stays_open: bool,
    pub(crate) observed: bool,
    /// A subscriber was leaked, and with it what it can read.
    pub(crate) leaked: bool,
}

/// A call that publishes.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) span: Span,
    pub(crate) events: Vec<u64>,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All but those that were vetoed, in a range that may have gaps.
    Published { range: Range<u64>, vetoed: Vec<u64> },
    /// What came back, in order: all, unless a batch went in parts.
    Refused { why: Why, back: Vec<u64> },
    /// A panic passed through. The first `sure` are published, and up to `most`, if they were not `unwelcome`.
    Blew { sure: usize, most: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Full,
    Closed,
    WouldDeadlock,
    Vetoed,
    TooLarge,
}

#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub(crate) overflow: Overflow,
    pub(crate) opened: Span,
    /// It starts with the first event that is published after it joined.
    pub(crate) from_now: bool,
    /// Where it stood right after it was opened: its start, unless it is lossy and was pushed already.
    pub(crate) position: u64,
    pub(crate) left: Span,
    pub(crate) sightings: Vec<Sighting>,
    pub(crate) place: Place,
}

/// What is known of a subscriber, or an editor, among those before and behind it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// Its number among all of them.
    pub(crate) number: usize,
    /// Those that it comes after, directly or by way of others.
    pub(crate) after: Vec<usize>,
    /// Its number among the editors.
    pub(crate) editor: Option<u64>,
    /// Its calls that read.
    pub(crate) calls: Vec<Span>,
    pub(crate) glances: Vec<Glance>,
}

/// What was seen with an event.
#[derive(Clone, Debug)]
pub(crate) struct Glance {
    pub(crate) id: u64,
    /// The call that read it.
    pub(crate) call: usize,
    /// How many events it had looked at before, by a count that those behind it can see; `None` for a clone, of
    /// which it is known too late.
    pub(crate) turn: Option<u64>,
    pub(crate) sight: Sight,
    /// What it left, as an editor.
    pub(crate) left: u64,
}

/// What one that comes after others saw of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sight {
    /// The counts of those that it comes after.
    pub(crate) ahead: Vec<u64>,
    /// What the editors have left in the event; `None` if nobody could look.
    pub(crate) trail: Option<u64>,
}

/// A group, and what it said of itself.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) terms: Terms,
    /// The subscribers and editors that it comes after.
    pub(crate) after: Vec<usize>,
    /// The events that were reported as abandoned.
    pub(crate) reports: Vec<u64>,
    /// When nobody publishes or reads any more, before and after the rest was read.
    pub(crate) numbers: Vec<GroupNumbers>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupNumbers {
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) missed: u64,
    pub(crate) pending: u64,
    pub(crate) redelivered: u64,
    pub(crate) abandoned: u64,
}

/// One member of a group.
#[derive(Clone, Debug)]
pub(crate) struct Colleague {
    pub(crate) group: usize,
    pub(crate) opened: Span,
    pub(crate) left: Span,
    pub(crate) calls: Vec<Call>,
}

/// A call of a group's member.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) span: Span,
    /// The most that it was to be shown.
    pub(crate) most: usize,
    pub(crate) shown: Vec<Showing>,
    pub(crate) answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Shown,
    Nothing,
    Missed(u64),
    Closed,
    /// A panic came through.
    Blew,
    WouldDeadlock,
}

/// An event that a member of a group was shown.
#[derive(Clone, Debug)]
pub(crate) struct Showing {
    pub(crate) id: u64,
    /// Its sequence, and whether it was shown before; not told with a clone.
    pub(crate) told: Option<(u64, bool)>,
    pub(crate) missed: u64,
    /// No panic ended it.
    pub(crate) done: bool,
    /// The counts of its key when the handler began and ended, which only handlers of that key move.
    pub(crate) turns: Option<(u64, u64)>,
    pub(crate) sight: Sight,
}

/// One thing that a subscriber was shown or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sighting {
    Seen {
        id: u64,
        sequence: Option<u64>,
        missed: Told,
    },
    /// By the filter.
    Refused(u64),
    /// The filter panicked.
    FilterBlew(u64),
    /// The clone panicked.
    CloneBlew {
        id: u64,
        missed: Told,
    },
    /// An event that was lent and neither taken nor given back, as the batch was leaked.
    Slipped,
    Missed(u64),
    /// There was nothing, at this time.
    Nothing(Span),
    Disconnected(u64),
    /// An iterator ended, which may have been told anything.
    Ended,
    /// Only this thread could have let the next event through.
    WouldDeadlock,
    Closed,
    /// Its numbers; those of a topic at rest add up.
    Numbers {
        numbers: Numbers,
        at_rest: bool,
    },
}

/// How many events were said to be missed before an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Exactly(u64),
    /// This way of reading does not tell.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) filtered: u64,
    pub(crate) missed: u64,
    pub(crate) pending: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) id: u64,
    pub(crate) sequence: u64,
    /// Missed, or else unheard.
    pub(crate) missed: bool,
}
