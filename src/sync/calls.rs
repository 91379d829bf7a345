//! Calls of one closure, counted, so that its owner can end them.

use std::cell::RefCell;

use super::{Arc, AtomicU32, Barrier, Ordering, WaitSet, Waiter, current_parker, thread_local};

thread_local! {
    #[allow(
        clippy::missing_const_for_thread_local,
        reason = "the models' thread locals have no const form"
    )]
    /// The calls that this thread is in, by the address of what counts them.
    static INSIDE: RefCell<Vec<usize>> = RefCell::new(Vec::new());
}

/// Counts the calls of a closure that are running, until it is severed.
///
/// ```text
/// caller                               owner
/// enter: running += 1                  sever: severed = 1
/// severed -> back out, no call         wait until running is what runs on this thread
/// else call, running -= 1, wake owner
/// ```
///
/// Both are in one word, so there is one order of the two.
#[derive(Debug)]
pub(crate) struct Calls {
    /// `{ severed: 1 bit, running: 31 bits }`
    state: AtomicU32,
    ended: WaitSet,
}

/// One call, until it is dropped.
#[derive(Debug)]
pub(crate) struct Call<'a>(&'a Calls);

const SEVERED: u32 = 1 << 31;

impl Calls {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU32::new(0),
            ended: WaitSet::new(Barrier::of_process()),
        }
    }

    /// Counts a call that runs on this thread already, until [`end`](Self::end).
    pub(crate) fn begin(&self) {
        self.state.fetch_add(1, Ordering::Relaxed);
        self.note(|inside, address| inside.push(address));
    }

    /// Begins a call; `None` when there must be no more.
    pub(crate) fn enter(&self) -> Option<Call<'_>> {
        // Relaxed: nothing is handed over here, the word alone says which of the two came first.
        let before = self.state.fetch_add(1, Ordering::Relaxed);
        self.note(|inside, address| inside.push(address));
        let call = Call(self);
        (before & SEVERED == 0).then_some(call)
    }

    /// Ends a call that was begun on this thread.
    pub(crate) fn end(&self) {
        self.note(|inside, address| {
            if let Some(last) = inside.iter().rposition(|&calls| calls == address) {
                inside.remove(last);
            }
        });
        // ORDERING: edge `ended`. Pairs with the load in `sever`; carries what the call did.
        let before = self.state.fetch_sub(1, Ordering::Release);
        if before & SEVERED != 0 {
            self.ended.notify();
        }
    }

    pub(crate) fn is_severed(&self) -> bool {
        self.state.load(Ordering::Relaxed) & SEVERED != 0
    }

    /// Refuses every later call, and waits for those that are running on other threads.
    pub(crate) fn sever(&self) {
        self.state.fetch_or(SEVERED, Ordering::Relaxed);
        let mut here = 0;
        self.note(|inside, address| {
            here = inside.iter().filter(|&&calls| calls == address).count() as u32;
        });
        // ORDERING: edge `ended`. Pairs with the subtraction in `end`: what the call did is done.
        let running = || self.state.load(Ordering::Acquire) & !SEVERED > here;
        if !running() {
            return;
        }
        let parker = current_parker();
        let waiter = Waiter::Thread(Arc::clone(&parker));
        while running() {
            self.ended.join(&waiter);
            if running() {
                parker.park(None);
            }
            self.ended.leave(&waiter);
        }
    }

    /// Looks up or changes what this thread is inside of; nothing while its locals are being destroyed.
    fn note(&self, f: impl FnOnce(&mut Vec<usize>, usize)) {
        let address = std::ptr::from_ref(self).addr();
        let _ = INSIDE.try_with(|inside| f(&mut inside.borrow_mut(), address));
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
