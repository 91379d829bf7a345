//! Whose turn it is: which sources are ready, which may be, and which ring when they are.

use std::collections::VecDeque;
use std::time::Instant;

use super::handler::Priority;
use crate::sync::{Arc, BITS, Barrier, Bell, ReadySet, WASTED_LOOKS, Waiter};

/// Where a source is.
///
/// | place     | who looks at it                                     | becomes                          |
/// |-----------|-----------------------------------------------------|----------------------------------|
/// | `Hot`     | it is served in its turn                            | `Served`                         |
/// | `Served`  | it is being served                                  | `Hot` with more, else `Cooling`  |
/// | `Cooling` | looked at every round: it had events a moment ago   | `Hot` with events, else `Away`   |
/// | `Away`    | nobody; its bell is armed and marks it when it rings| `Hot`                            |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Vacant,
    Hot,
    Served,
    Cooling,
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
    hot: [VecDeque<usize>; Priority::LEVELS],
    /// How many they are.
    heated: usize,
    cooling: Vec<usize>,
    wasted: usize,
}

impl Schedule {
    pub(crate) fn new(set: &Arc<ReadySet>) -> Self {
        Self {
            set: Arc::clone(set),
            barrier: Barrier::of_process(),
            entries: Vec::new(),
            hot: Default::default(),
            heated: 0,
            cooling: Vec::new(),
            wasted: 0,
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
        debug_assert_eq!(self.entries[index].place, Place::Vacant);
        self.entries[index].priority = Priority::default();
        self.cool(index);
    }

    /// Takes a source out; its bell is for the caller to take down.
    pub(crate) fn remove(&mut self, index: usize) {
        match self.entries[index].place {
            Place::Hot => self.take_out_of_hot(index),
            Place::Cooling => self.cooling.retain(|&other| other != index),
            Place::Vacant | Place::Served | Place::Away => {}
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
        if self.entries[index].place == Place::Hot {
            self.take_out_of_hot(index);
            self.entries[index].priority = priority;
            self.heat(index);
        } else {
            self.entries[index].priority = priority;
        }
    }

    fn take_out_of_hot(&mut self, index: usize) {
        let level = self.entries[index].priority as usize;
        self.hot[level].retain(|&other| other != index);
        self.heated -= 1;
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
            self.cool(index);
        }
    }

    /// Takes the marks: sources that rang become hot. Tells whether somebody called.
    #[inline]
    pub(crate) fn collect(&mut self) -> bool {
        self.set.is_marked() && self.collect_marks()
    }

    fn collect_marks(&mut self) -> bool {
        let set = Arc::clone(&self.set);
        let taken = set.take(|bit| {
            for index in (bit..self.entries.len()).step_by(BITS) {
                if self.entries[index].place == Place::Away {
                    self.heat(index);
                }
            }
        });
        taken.called
    }

    fn heat(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        entry.place = Place::Hot;
        self.hot[entry.priority as usize].push_back(index);
        self.heated += 1;
    }

    fn cool(&mut self, index: usize) {
        self.entries[index].place = Place::Cooling;
        self.cooling.push(index);
    }

    /// The source to serve now: the first in turn of the highest priority that has any.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<usize> {
        if self.heated == 0 {
            return None;
        }
        let index = self.hot.iter_mut().find_map(VecDeque::pop_front)?;
        self.heated -= 1;
        self.entries[index].place = Place::Served;
        Some(index)
    }

    /// Takes a served source back, at the end of the line if it has `more`.
    #[inline]
    pub(crate) fn served(&mut self, index: usize, more: bool) {
        debug_assert_eq!(self.entries[index].place, Place::Served);
        if more {
            self.heat(index);
        } else {
            self.cool(index);
        }
    }

    /// Shows the sources in line.
    #[inline]
    pub(crate) fn for_each_hot(&self, mut f: impl FnMut(usize)) {
        if self.heated == 0 {
            return;
        }
        for level in &self.hot {
            // Loops, as a chain of iterators was measured to cost more than serving a source does.
            for &index in level {
                f(index);
            }
        }
    }

    pub(crate) fn has_hot(&self) -> bool {
        self.heated > 0
    }

    /// Looks at the sources that had something a moment ago. Tells whether it is time to arm them instead.
    #[inline]
    pub(crate) fn look(&mut self, is_ready: impl FnMut(usize) -> bool) -> bool {
        !self.cooling.is_empty() && self.look_at_cooling(is_ready)
    }

    #[inline]
    fn look_at_cooling(&mut self, is_ready: impl FnMut(usize) -> bool) -> bool {
        self.heat_those(is_ready, Place::Cooling);
        self.wasted += self.cooling.len();
        self.wasted > WASTED_LOOKS
    }

    /// Heats the cooling sources that are ready; the others get to `place`, and stay on the list.
    #[inline]
    fn heat_those(&mut self, mut is_ready: impl FnMut(usize) -> bool, place: Place) {
        // In place and by index: this runs in every round.
        let mut kept = 0;
        for at in 0..self.cooling.len() {
            let index = self.cooling[at];
            if is_ready(index) {
                self.heat(index);
            } else {
                self.entries[index].place = place;
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
            if self.bell(index).arm() {
                enlist(index, &self.entries[index].bell);
            }
        }
        // ORDERING: edge `wake`. As in `join_all`.
        self.barrier.heavy();
    }

    /// Leaves the sources that are cooling and armed to their bells, but for those that are ready.
    pub(crate) fn send_away(&mut self, is_ready: impl FnMut(usize) -> bool) {
        self.heat_those(is_ready, Place::Away);
        self.cooling.clear();
    }

    /// Sleeps until a source rings or somebody calls, or until `deadline`; may return early.
    ///
    /// All sources must be away.
    pub(crate) fn park(&self, deadline: Option<Instant>) {
        debug_assert!(!self.has_hot() && self.cooling.is_empty());
        self.set.park(deadline);
    }
}
