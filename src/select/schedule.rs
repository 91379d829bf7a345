//! Whose turn it is: which sources are ready, which may be, and which ring when they are.

use std::time::Instant;

use super::handler::Priority;
use super::line::Line;
use crate::sync::{Arc, BITS, Barrier, Bell, ReadySet, WASTED_LOOKS, Waiter};

/// The line of those whose priority was not set.
const USUAL: usize = Priority::Normal as usize;

/// Where a source is.
///
/// One that is `Here` is on one of the two lists, or on neither while it is served:
///
/// | place     | who looks at it                                      | becomes                       |
/// |-----------|------------------------------------------------------|-------------------------------|
/// | hot       | it is served in its turn                             | served                        |
/// | served    | it is being served                                   | hot with more, else cooling   |
/// | cooling   | looked at every round: it had events a moment ago    | hot with events, else `Away`  |
/// | `Away`    | nobody; its bell is armed and marks it when it rings | hot                           |
///
/// Which of the three is not noted, as that would be written and read again for every event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Vacant,
    Here,
    Away,
}

#[derive(Debug)]
struct Entry {
    place: Place,
    priority: Priority,
    bell: Waiter,
}

/// The sources of one reactor, by the index of their handler.
///
/// A source with traffic never arms and its publishers touch nothing of the reactor; one without costs
/// nothing until it rings. So the cost of a round is that of the ready sources, however many there are.
#[derive(Debug)]
pub(crate) struct Schedule {
    set: Arc<ReadySet>,
    barrier: Barrier,
    entries: Vec<Entry>,
    /// By priority, the highest first; each served from the front.
    hot: [Line; Priority::LEVELS],
    /// How many they are.
    heated: usize,
    /// A priority was set once: until then all are the usual one.
    ranked: bool,
    cooling: Vec<u32>,
    wasted: usize,
    /// Where the usual line ended when the cooling ones were looked at last.
    looked: u64,
}

impl Schedule {
    pub(crate) fn new(set: &Arc<ReadySet>) -> Self {
        Self {
            set: Arc::clone(set),
            barrier: Barrier::of_process(),
            entries: Vec::new(),
            hot: Default::default(),
            heated: 0,
            ranked: false,
            cooling: Vec::new(),
            wasted: 0,
            looked: 0,
        }
    }

    /// Adds a source, which may have something already.
    pub(crate) fn add(&mut self, index: usize) {
        while self.entries.len() <= index {
            let bell = Bell::new(&self.set, Some(self.entries.len()));
            self.entries.push(Entry {
                place: Place::Vacant,
                priority: Priority::default(),
                bell: Waiter::Bell(bell),
            });
        }
        let count = self.entries.len();
        self.hot.iter_mut().for_each(|line| line.make_room(count));
        debug_assert_eq!(self.entries[index].place, Place::Vacant);
        self.entries[index].place = Place::Here;
        self.entries[index].priority = Priority::default();
        self.cool(index);
    }

    /// Takes a source out; its bell is for the caller to take down.
    pub(crate) fn remove(&mut self, index: usize) {
        if self.entries[index].place == Place::Here && !self.take_out_of_hot(index) {
            self.cooling.retain(|&other| other as usize != index);
        }
        self.entries[index].place = Place::Vacant;
        self.bell(index).disarm();
    }

    /// One more than the highest index there was.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn contains(&self, index: usize) -> bool {
        self.entries
            .get(index)
            .is_some_and(|entry| entry.place != Place::Vacant)
    }

    pub(crate) fn set_priority(&mut self, index: usize, priority: Priority) {
        let in_line = self.entries[index].place == Place::Here && self.take_out_of_hot(index);
        self.ranked = true;
        self.entries[index].priority = priority;
        if in_line {
            self.heat(index);
        }
    }

    /// Tells whether it was in line.
    fn take_out_of_hot(&mut self, index: usize) -> bool {
        let level = self.entries[index].priority as usize;
        let was_there = self.hot[level].remove(index);
        self.heated -= usize::from(was_there);
        was_there
    }

    pub(crate) fn waiter(&self, index: usize) -> &Waiter {
        &self.entries[index].bell
    }

    fn bell(&self, index: usize) -> &Bell {
        match &self.entries[index].bell {
            Waiter::Bell(bell) => bell,
            _ => unreachable!("a source waits by a bell"),
        }
    }

    /// A bell that marks a source as its own does, to hang where that one does not.
    pub(crate) fn another_bell(&self, index: usize) -> Waiter {
        Waiter::Bell(Bell::new(&self.set, Some(index)))
    }

    /// Has a source looked at again, which may have got something without ringing.
    pub(crate) fn recall(&mut self, index: usize) {
        if self.entries[index].place == Place::Away {
            self.entries[index].place = Place::Here;
            self.cool(index);
        }
    }

    /// Takes the marks: sources that rang become hot. Tells whether somebody called.
    #[inline]
    pub(crate) fn collect(&mut self) -> bool {
        self.set.is_marked() && self.collect_marks()
    }

    #[inline(never)]
    fn collect_marks(&mut self) -> bool {
        let set = Arc::clone(&self.set);
        let taken = set.take(|bit| {
            for index in (bit..self.entries.len()).step_by(BITS) {
                if self.entries[index].place == Place::Away {
                    self.entries[index].place = Place::Here;
                    self.heat(index);
                }
            }
        });
        taken.called
    }

    #[inline]
    fn heat(&mut self, index: usize) {
        self.heated += 1;
        if self.ranked {
            let level = self.entries[index].priority as usize;
            self.hot[level].push(index);
        } else {
            self.hot[USUAL].push(index);
        }
    }

    #[inline]
    fn cool(&mut self, index: usize) {
        self.cooling.push(index as u32);
    }

    /// The source to serve now: the first in turn of the highest priority that has any.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<usize> {
        if self.heated == 0 {
            return None;
        }
        self.heated -= 1;
        if self.ranked {
            self.hot.iter_mut().find_map(Line::pop)
        } else {
            self.hot[USUAL].pop()
        }
    }

    /// Whether there is just one source to look at, and nobody is in line.
    #[inline]
    pub(crate) fn has_only_one(&self) -> bool {
        self.cooling.len() == 1 && self.heated == 0
    }

    /// Takes the only source that there is to look at, for the caller to look at it.
    #[inline]
    pub(crate) fn take_only_one(&mut self) -> Option<usize> {
        self.cooling.pop().map(|index| index as usize)
    }

    /// Notes that it was not ready. Tells whether it is time to arm it.
    #[inline]
    pub(crate) fn looked_in_vain(&mut self) -> bool {
        self.wasted += 1;
        self.wasted > WASTED_LOOKS
    }

    /// Takes a served source back, at the end of the line if it has `more`.
    #[inline]
    pub(crate) fn served(&mut self, index: usize, more: bool) {
        debug_assert_eq!(self.entries[index].place, Place::Here);
        if more {
            self.heat(index);
        } else {
            self.cool(index);
        }
    }

    /// Shows the sources in line.
    #[inline]
    pub(crate) fn for_each_hot(&self, f: impl FnMut(usize)) {
        if self.heated > 0 {
            self.hot.iter().flat_map(Line::iter).for_each(f);
        }
    }

    #[inline]
    pub(crate) fn has_hot(&self) -> bool {
        self.heated > 0
    }

    /// Whether it is time to look at the sources that had something a moment ago: everybody who was in line at the
    /// last look has been served. So a look at all of them is for as many events as there are sources in line, and
    /// none of them waits longer than for its turn. With priorities it is always time, as one of them may go first.
    #[inline]
    pub(crate) fn is_time_to_look(&self) -> bool {
        self.heated == 0 || self.ranked || self.hot[USUAL].has_passed(self.looked)
    }

    /// Looks at the sources that had something a moment ago. Tells whether it is time to arm them instead.
    #[inline]
    pub(crate) fn look(&mut self, is_ready: impl FnMut(usize) -> bool) -> bool {
        if !self.cooling.is_empty() {
            self.heat_those(is_ready);
        }
        self.looked = self.hot[USUAL].end();
        self.wasted += self.cooling.len();
        self.wasted > WASTED_LOOKS
    }

    /// Heats the cooling sources that are ready; the others stay on the list.
    #[inline]
    fn heat_those(&mut self, mut is_ready: impl FnMut(usize) -> bool) {
        // In place and by index: this runs in every round.
        let mut at = 0;
        let mut kept = 0;
        while let Some(&index) = self.cooling.get(at) {
            at += 1;
            if is_ready(index as usize) {
                self.heat(index as usize);
            } else {
                self.cooling[kept] = index;
                kept += 1;
            }
        }
        self.cooling.truncate(kept);
    }

    /// Arms all sources that are cooling, with one barrier; each is then looked at once more, by
    /// [`send_away`](Self::send_away).
    ///
    /// A bell that still hangs since an earlier time, as its source got hot without it, stays where it is.
    pub(crate) fn arm(&mut self, mut enlist: impl FnMut(usize, &Waiter)) {
        self.wasted = 0;
        if self.cooling.is_empty() {
            return;
        }
        for &index in &self.cooling {
            let index = index as usize;
            if self.bell(index).arm() {
                enlist(index, &self.entries[index].bell);
            }
        }
        // ORDERING: edge `wake`. As in `join_all`.
        self.barrier.heavy();
    }

    /// Leaves the sources that are cooling and armed to their bells, but for those that are ready.
    pub(crate) fn send_away(&mut self, is_ready: impl FnMut(usize) -> bool) {
        self.heat_those(is_ready);
        for index in self.cooling.drain(..) {
            self.entries[index as usize].place = Place::Away;
        }
    }

    /// Sleeps until a source rings or somebody calls, or until `deadline`; may return early.
    ///
    /// All sources must be away.
    pub(crate) fn park(&self, deadline: Option<Instant>) {
        debug_assert!(!self.has_hot() && self.cooling.is_empty());
        self.set.park(deadline);
    }
}
