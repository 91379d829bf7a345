//! What those who come after others know of them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ringbus::Stage;

use super::event::Event;
use super::record::{Glance, Sight};
use super::world::lock;

/// A subscriber or an editor that others may come after.
struct Standing {
    name: String,
    /// `None` while nobody is to come after it; of an editor, which is before all, there is none.
    stage: Option<Arc<Stage<Event>>>,
    is_editor: bool,
    after: Vec<usize>,
    turns: Arc<AtomicU64>,
    opener: usize,
    /// The threads that have read it, the last one at the end.
    readers: Vec<usize>,
    is_followed: bool,
}

/// Opens editors.
pub(crate) const EDITOR: usize = usize::MAX - 2;

/// All of a program. No call of the library is made under the lock.
#[derive(Default)]
pub(crate) struct Standings(Mutex<Vec<Standing>>);

/// Whom somebody is to come after.
#[derive(Default)]
pub(crate) struct Before {
    pub(crate) stages: Vec<Arc<Stage<Event>>>,
    /// Those, and whom they come after.
    pub(crate) after: Vec<usize>,
    pub(crate) ahead: Vec<Arc<AtomicU64>>,
}

impl Standings {
    /// Adds one that comes after these; tells its number.
    pub(crate) fn add(&self, name: &str, after: Vec<usize>, opener: usize) -> usize {
        let mut all = lock(&self.0);
        let number = all.len();
        all.push(Standing {
            name: name.to_string(),
            stage: None,
            is_editor: opener == EDITOR,
            after,
            turns: Arc::default(),
            opener,
            readers: Vec::new(),
            is_followed: false,
        });
        number
    }

    pub(crate) fn turns(&self, number: usize) -> Arc<AtomicU64> {
        Arc::clone(&lock(&self.0)[number].turns)
    }

    pub(crate) fn names(&self, numbers: &[usize]) -> Vec<String> {
        let all = lock(&self.0);
        numbers
            .iter()
            .map(|&number| all[number].name.clone())
            .collect()
    }

    /// Has others come after it from now on.
    pub(crate) fn offer(&self, number: usize, stage: Stage<Event>) {
        lock(&self.0)[number].stage = Some(Arc::new(stage));
    }

    /// Has no others come after it from now on; tells whether none do.
    pub(crate) fn withdraw(&self, number: usize) -> bool {
        let mut all = lock(&self.0);
        let standing = &mut all[number];
        let stage = match standing.is_followed {
            true => return false,
            false => standing.stage.take(),
        };
        drop(all);
        drop(stage);
        true
    }

    /// These of those that others may come after, and the editors.
    pub(crate) fn before(&self, picks: &[Option<usize>]) -> Before {
        let mut all = lock(&self.0);
        let offered: Vec<_> = (0..all.len())
            .filter(|&number| all[number].stage.is_some())
            .collect();
        let mut before = Before::default();
        let editors = (0..all.len()).filter(|&number| all[number].is_editor);
        before.after.extend(editors);
        for pick in picks.iter().flatten() {
            if offered.is_empty() {
                break;
            }
            let number = offered[pick % offered.len()];
            let standing = &mut all[number];
            standing.is_followed = true;
            before.stages.extend(standing.stage.clone());
            before.after.push(number);
            before.after.extend(&standing.after);
        }
        before.after.sort_unstable();
        before.after.dedup();
        before.ahead = before
            .after
            .iter()
            .map(|&number| Arc::clone(&all[number].turns))
            .collect();
        before
    }

    pub(crate) fn note_reader(&self, number: usize, thread: usize) {
        let readers = &mut lock(&self.0)[number].readers;
        if readers.last() != Some(&thread) {
            readers.push(thread);
        }
    }

    /// Whether one of these was opened by this thread, and nobody has read it.
    pub(crate) fn is_unread_by_its_opener(&self, numbers: &[usize], thread: usize) -> bool {
        let all = lock(&self.0);
        let mut these = numbers.iter().map(|&number| &all[number]);
        these.any(|standing| standing.opener == thread && standing.readers.is_empty())
    }

    /// Whether one of these was opened or read by this thread.
    pub(crate) fn is_of(&self, numbers: &[usize], thread: usize) -> bool {
        let all = lock(&self.0);
        let mut these = numbers.iter().map(|&number| &all[number]);
        these.any(|standing| standing.opener == thread || standing.readers.contains(&thread))
    }
}

/// What a subscriber looks at with each event. All of it is relaxed, and nothing here is a barrier: what those
/// before it did it sees as the library says so.
#[derive(Clone)]
pub(crate) struct Eyes {
    pub(crate) turns: Arc<AtomicU64>,
    pub(crate) ahead: Vec<Arc<AtomicU64>>,
    /// The call that reads.
    pub(crate) call: Arc<AtomicUsize>,
}

/// Counts one more. Only one thread at a time counts, if the library keeps its promises.
pub(crate) fn turn(turns: &AtomicU64) -> u64 {
    let turn = turns.load(Ordering::Relaxed);
    turns.store(turn + 1, Ordering::Relaxed);
    turn
}

fn turn_call(call: &AtomicUsize) {
    call.store(call.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

pub(crate) fn sight(ahead: &[Arc<AtomicU64>], event: &Event) -> Sight {
    Sight {
        ahead: ahead
            .iter()
            .map(|turns| turns.load(Ordering::Relaxed))
            .collect(),
        trail: Some(event.trail()),
    }
}

impl Eyes {
    pub(crate) fn new(turns: Arc<AtomicU64>, ahead: Vec<Arc<AtomicU64>>) -> Self {
        Self {
            turns,
            ahead,
            call: Arc::default(),
        }
    }

    pub(crate) fn next_call(&self) {
        turn_call(&self.call);
    }

    /// Looks, inside of the call that reads.
    pub(crate) fn glance(&self, event: &Event) -> Glance {
        Glance {
            turn: Some(turn(&self.turns)),
            ..self.glance_late(event)
        }
    }

    /// Looks when the call that reads is over.
    pub(crate) fn glance_late(&self, event: &Event) -> Glance {
        let sight = sight(&self.ahead, event);
        Glance {
            id: event.id(),
            call: self.call.load(Ordering::Relaxed),
            turn: None,
            left: event.trail(),
            sight,
        }
    }
}
