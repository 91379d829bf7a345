//! The observers of a topic, and the walk that calls them.

use std::cell::Cell;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

use super::observer::ObserverPanic;
use super::publish::Refusal;
use super::system::Wire;
use super::system_event::{ListenerKind, ListenerName, SystemChange};
use crate::ring::Loan;
use crate::sync::{
    Arc, AtomicU64, Barrier, Borrower, Counter, Early, Lender, LocalCell, Mutex, OnceCell,
    Ordering, Visit, contain, walks,
};

/// How deep publishes may be nested in observers on one thread, over all topics.
///
/// The publish that would be one level deeper is refused as `TooDeep`.
pub const MAX_OBSERVER_DEPTH: usize = 64;

/// Who observes a topic.
///
/// A list is never changed, only replaced, and each has a version of its own. A publisher keeps the list
/// that it walked last, and looks for another one only when the version has changed.
pub(crate) struct Observers<T> {
    /// `{ dead letters: 1 bit, missed letters: 1 bit, version of the list: 62 bits }`, 0 while nobody observes: all
    /// that a publish looks at then.
    word: AtomicU64,
    barrier: Barrier,
    /// Made for the first observer, as most topics have none.
    lender: OnceCell<Arc<Lender>>,
    desk: Mutex<Desk<T>>,
    wire: Early<Arc<Wire>>,
}

const DEAD_LETTERS: u64 = 1 << 63;
const MISSED_LETTERS: u64 = 1 << 62;

/// Under a lock that is never held while user code runs.
struct Desk<T> {
    list: Arc<List<T>>,
    changes: u64,
    on_panic: Option<Arc<PanicHook>>,
    /// For those who publish without a publisher of their own.
    walkers: Vec<Walker<T>>,
}

type PanicHook = Box<dyn Fn(&ObserverPanic) + Send + Sync>;

struct List<T> {
    version: u64,
    /// By priority, highest first, then by registration.
    entries: Vec<Arc<Entry<T>>>,
}

/// What is known of an observer.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) priority: i32,
    pub(crate) location: &'static Location<'static>,
    pub(crate) once: bool,
    pub(crate) panics: Counter,
}

/// What an observer says to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Veto,
    /// Pass, and the observer was there for one event.
    Spent,
}

/// An observer. Its closure lies in a box, so that the walk knows everything else of it without a call.
pub(crate) struct Entry<T> {
    facts: Facts,
    closure: Loan<Closure<T>>,
}

pub(crate) type Closure<T> = Box<dyn Fn(&T) -> Verdict + Send + Sync>;

impl<T> Entry<T> {
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn id(&self) -> u64 {
        self.closure.id()
    }

    /// What it is known by.
    fn label(&self) -> ListenerName {
        ListenerName {
            kind: ListenerKind::Observer,
            id: self.id(),
            name: None,
            overflow: None,
            location: self.facts.location,
        }
    }

    /// Ends the calls: when this returns the closure runs on no other thread, unless that one waits for this
    /// one in turn, and it never begins to run again.
    pub(crate) fn recall(&self) {
        drop(self.closure.recall());
    }

    #[inline(always)]
    fn call(&self, visit: &mut Visit<'_>, event: &T) -> Verdict {
        self.closure
            .lend(visit, |closure| closure(event))
            .unwrap_or(Verdict::Pass)
    }
}

/// One publisher's way through the observers.
pub(crate) struct Walker<T> {
    borrower: Borrower,
    list: Cell<Option<Arc<List<T>>>>,
    /// For publishes inside of the walk; kept, so that the next time allocates nothing.
    nested: LocalCell<Box<Walker<T>>>,
}

impl<T> Observers<T> {
    pub(crate) fn new(barrier: Barrier) -> Self {
        Self {
            word: AtomicU64::new(0),
            barrier,
            lender: OnceCell::new(),
            desk: Mutex::new(Desk {
                list: Arc::new(List {
                    version: 0,
                    entries: Vec::new(),
                }),
                changes: 0,
                on_panic: None,
                walkers: Vec::new(),
            }),
            wire: Early::new(),
        }
    }

    /// Has them tell their bus; before anybody else has the topic.
    pub(super) fn set_wire(&self, wire: &Arc<Wire>) {
        let _ = self.wire.set(Arc::clone(wire));
    }

    fn lender(&self) -> &Arc<Lender> {
        self.lender.get_or_init(|| Lender::new(self.barrier))
    }

    /// Whether anybody observes, or wants what nobody listens to or what is missed.
    #[inline(always)]
    pub(crate) fn is_watched(&self) -> bool {
        self.word.load(Ordering::Relaxed) != 0
    }

    fn version(&self) -> u64 {
        self.word.load(Ordering::Relaxed) & !(DEAD_LETTERS | MISSED_LETTERS)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.version() == 0
    }

    pub(crate) fn has_dead_letters(&self) -> bool {
        self.word.load(Ordering::Relaxed) & DEAD_LETTERS != 0
    }

    /// Has every publish come here, for good.
    pub(crate) fn set_dead_letters(&self) {
        self.word.fetch_or(DEAD_LETTERS, Ordering::Relaxed);
    }

    pub(crate) fn has_missed_letters(&self) -> bool {
        self.word.load(Ordering::Relaxed) & MISSED_LETTERS != 0
    }

    /// As `set_dead_letters`, for what is missed.
    pub(crate) fn set_missed_letters(&self) {
        self.word.fetch_or(MISSED_LETTERS, Ordering::Relaxed);
    }

    /// Adds an observer behind those of its priority.
    pub(crate) fn add(&self, facts: Facts, closure: Closure<T>) -> Arc<Entry<T>> {
        let entry = Arc::new(Entry {
            facts,
            closure: Loan::new(self.lender(), closure),
        });
        self.change(|entries| {
            let priority = entry.facts.priority;
            let behind = entries.partition_point(|other| other.facts.priority >= priority);
            entries.insert(behind, Arc::clone(&entry));
        });
        if let Some(wire) = self.wire.get() {
            wire.joined(&entry.label());
        }
        entry
    }

    /// Takes an observer off the list; a walk that has begun may still come to it.
    pub(crate) fn strike(&self, id: u64) {
        let mut struck = None;
        self.change(|entries| struck = entries.extract_if(.., |entry| entry.id() == id).next());
        if let Some(struck) = struck
            && let Some(wire) = self.wire.get()
        {
            wire.left(&struck.label());
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Entry<T>>>)) {
        let mut desk = self.desk.lock();
        let mut entries = desk.list.entries.clone();
        change(&mut entries);
        if entries.len() == desk.list.entries.len() {
            // Struck already.
            return;
        }
        desk.changes += 1;
        let version = if entries.is_empty() { 0 } else { desk.changes };
        let list = Arc::new(List { version, entries });
        let before = std::mem::replace(&mut desk.list, list);
        // Versions change under the lock; the other bits are set by whoever comes.
        let change = desk.list.version ^ before.version;
        self.word.fetch_xor(change, Ordering::Relaxed);
        drop(desk);
        // It may be the last to hold a closure.
        drop(before);
    }

    /// Sets what is called when an observer panics.
    pub(crate) fn set_on_panic(&self, hook: PanicHook) {
        let before = self.desk.lock().on_panic.replace(Arc::new(hook));
        drop(before);
    }

    /// What is known of every observer, in the order in which they are called.
    pub(crate) fn snapshot<R>(&self, each: impl FnMut(&Facts) -> R) -> Vec<R> {
        let list = self.current();
        list.entries
            .iter()
            .map(|entry| entry.facts())
            .map(each)
            .collect()
    }

    fn current(&self) -> Arc<List<T>> {
        Arc::clone(&self.desk.lock().list)
    }

    pub(crate) fn walker(&self) -> Walker<T> {
        Walker {
            borrower: Borrower::new(self.lender()),
            list: Cell::new(None),
            nested: LocalCell::new(),
        }
    }

    /// Shows an event to the observers on behalf of somebody who has no walker.
    pub(crate) fn show_without_walker(&self, event: &T) -> Result<(), Refusal> {
        let spare = self.desk.lock().walkers.pop();
        let walker = spare.unwrap_or_else(|| self.walker());
        let shown = self.show(&walker, event);
        self.desk.lock().walkers.push(walker);
        shown
    }

    /// Shows an event to the observers, one after the other, unless one vetoes it.
    #[inline(always)]
    pub(crate) fn show(&self, walker: &Walker<T>, event: &T) -> Result<(), Refusal> {
        let version = self.version();
        if version == 0 {
            return Ok(());
        }
        let Some(_level) = Level::enter() else {
            return Err(Refusal::TooDeep);
        };
        let mut walker = walker;
        let mut visit = loop {
            match walker.borrower.visit() {
                Some(visit) => break visit,
                None => walker = walker.nested.get_or_init(|| Box::new(self.walker())),
            }
        };
        let list = walker.list(self, version);
        let shown = self.walk(&list, &mut visit, event);
        walker.list.set(Some(list));
        shown
    }

    /// Shows the events of a batch, in order, and takes out those that are vetoed.
    pub(crate) fn show_all(
        &self,
        walker: &Walker<T>,
        events: &mut Vec<T>,
    ) -> Result<Vec<T>, Refusal> {
        let mut refused = None;
        let vetoed = events.extract_if(.., |event| {
            if refused.is_some() {
                return false;
            }
            match self.show(walker, event) {
                Ok(()) => false,
                Err(Refusal::Vetoed) => true,
                Err(refusal) => {
                    refused = Some(refusal);
                    false
                }
            }
        });
        let vetoed = vetoed.collect();
        // Depth is all that stops a walk, and is the same for all events: none was shown then.
        refused.map_or(Ok(vetoed), Err)
    }

    #[inline(always)]
    fn walk(&self, list: &List<T>, visit: &mut Visit<'_>, event: &T) -> Result<(), Refusal> {
        let mut called = 0;
        loop {
            // Once around all observers, and the index in a register: it is only written for a panic.
            let walked = catch_unwind(AssertUnwindSafe(|| {
                for (index, entry) in list.entries.iter().enumerate().skip(called) {
                    called = index + 1;
                    match entry.call(visit, event) {
                        Verdict::Pass => {}
                        Verdict::Veto => return Err(Refusal::Vetoed),
                        Verdict::Spent => self.strike(entry.id()),
                    }
                }
                Ok(())
            }));
            match walked {
                Ok(shown) => return shown,
                Err(payload) => self.report(&list.entries[called - 1], payload),
            }
        }
    }

    #[cold]
    fn report(&self, entry: &Entry<T>, payload: Box<dyn std::any::Any + Send>) {
        let facts = &entry.facts;
        facts.panics.add(1);
        if facts.once {
            self.strike(entry.id());
        }
        let hook = self.desk.lock().on_panic.clone();
        let panic = ObserverPanic {
            priority: facts.priority,
            location: facts.location,
            payload,
        };
        if let Some(wire) = self.wire.get() {
            wire.tell(|topic| SystemChange::ObserverPanicked {
                topic,
                listener: entry.label(),
                message: panic.message().map(std::sync::Arc::from),
            });
        }
        if let Some(hook) = hook {
            contain(|| hook(&panic));
            contain(move || drop(hook));
        }
        contain(move || drop(panic));
    }
}

impl<T> fmt::Debug for Observers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers")
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

impl<T> Walker<T> {
    /// The list of this version or a later one, out of the walker's pocket if it is there.
    #[inline(always)]
    fn list(&self, observers: &Observers<T>, version: u64) -> Arc<List<T>> {
        match self.list.take() {
            Some(list) if list.version == version => list,
            // The other one is dropped without the lock.
            _ => observers.current(),
        }
    }
}

impl<T> fmt::Debug for Walker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walker").finish_non_exhaustive()
    }
}

/// One walk on this thread.
struct Level;

impl Level {
    #[inline]
    fn enter() -> Option<Self> {
        walks(|depth| {
            (depth.get() < MAX_OBSERVER_DEPTH).then(|| {
                depth.set(depth.get() + 1);
                Self
            })
        })
    }
}

impl Drop for Level {
    #[inline]
    fn drop(&mut self) {
        walks(|depth| depth.set(depth.get() - 1));
    }
}

impl From<ControlFlow<()>> for Verdict {
    fn from(flow: ControlFlow<()>) -> Self {
        match flow {
            ControlFlow::Continue(()) => Self::Pass,
            ControlFlow::Break(()) => Self::Veto,
        }
    }
}
