//! Who uses what others may want back: the words that borrowers write, and the wait for them.

use std::cell::Cell;

use super::{
    Arc, AtomicU64, Barrier, CachePadded, Mutex, Ordering, WaitSet, Waiter, current_parker,
    thread_id, thread_local,
};

thread_local! {
    /// The calling thread, as those that wait for it see it.
    static HOLDER: Arc<Holder> = Arc::new(Holder::new());
}

/// The borrowers of one set of loans, and those that wait for a loan to come back.
///
/// ```text
/// borrower                             owner
/// at = id                              recalled = true
/// Barrier::light                       Barrier::heavy
/// recalled -> at = 0, no use           while a borrower of another thread is at id: wait
/// use                                  no borrower is at id: the value is the owner's
/// at = 0, Barrier::light
/// recalled -> wake the owner
/// ```
///
/// Of the two loads at least one sees the other side's store (edge `recall`). So who borrows pays two
/// stores to a word of its own and two loads of a word that hardly ever changes.
#[derive(Debug)]
pub(crate) struct Lender {
    barrier: Barrier,
    last_id: AtomicU64,
    places: Mutex<Vec<Arc<Place>>>,
    returned: WaitSet,
}

/// Where one borrower is.
#[derive(Debug)]
struct Place {
    /// The loan in use; 0 for none. Written by the borrower alone.
    at: CachePadded<AtomicU64>,
    /// The thread that came here last.
    thread: AtomicU64,
    holder: Mutex<Option<Arc<Holder>>>,
}

/// Borrowers that may not have seen that a loan was recalled.
#[derive(Debug)]
pub(crate) struct Users {
    id: u64,
    places: Vec<Arc<Place>>,
}

/// Which uses of a loan to look for.
#[derive(Debug)]
pub(crate) enum Uses<'a> {
    /// Those of any borrower.
    All(u64),
    /// Those of these borrowers.
    Left(&'a Users),
}

/// A thread that may be inside of loans.
#[derive(Debug)]
struct Holder {
    thread: u64,
    /// The loan that it waits for.
    waits: Mutex<Option<(Arc<Lender>, u64)>>,
}

/// One user of loans, who uses one at a time. `Send`, but not `Sync`.
#[derive(Debug)]
pub(crate) struct Borrower {
    lender: Arc<Lender>,
    place: Arc<Place>,
    visiting: Cell<bool>,
}

/// A borrower that uses loans one after the other.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    borrower: &'a Borrower,
    place: &'a Place,
    barrier: Barrier,
}

impl Lender {
    pub(crate) fn new(barrier: Barrier) -> Arc<Self> {
        Arc::new(Self {
            barrier,
            last_id: AtomicU64::new(0),
            places: Mutex::new(Vec::new()),
            returned: WaitSet::new(barrier),
        })
    }

    /// A number for a loan, never 0, never reused.
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Waits until no other thread uses loan `id`, which has been marked as recalled; gives the uses that are
    /// left, which are the calling thread's own.
    ///
    /// Where the wait would close a circle of threads that wait for each other inside of loans, it ends at
    /// once, and leaves those too.
    pub(crate) fn wait_for(lender: &Arc<Self>, id: u64) -> Users {
        // ORDERING: edge `recall`. Pairs with the barriers in `enter` and `leave`: every borrower that has not
        // seen the mark is seen here. One that comes to the loan later, or again, sees the mark and goes.
        lender.barrier.heavy();
        let me = thread_id();
        let mut users = Users {
            id,
            places: lender.at(id),
        };
        if !users.are_elsewhere(me) {
            return users;
        }
        let holder = Holder::current();
        *holder.waits.lock() = Some((Arc::clone(lender), id));
        // ORDERING: edge `circle`. Pairs with itself, in another thread: of threads that close a circle together
        // the last to come here sees all the others.
        lender.barrier.heavy();
        if !holder.is_in_a_circle() {
            let parker = current_parker();
            let waiter = Waiter::Thread(Arc::clone(&parker));
            while users.are_elsewhere(me) {
                lender.returned.join(&waiter);
                if users.are_elsewhere(me) {
                    parker.park(None);
                }
                lender.returned.leave(&waiter);
            }
        }
        let waited = holder.waits.lock().take();
        drop(waited);
        users
    }

    /// Tells those that wait that a use of a recalled loan has ended.
    pub(crate) fn returned(&self) {
        self.returned.notify();
    }

    /// Calls `f` with whether any of `users` uses the loan, or any borrower does. Calls do not overlap.
    pub(crate) fn look<R>(&self, of: Uses<'_>, f: impl FnOnce(bool) -> R) -> R {
        let places = self.places.lock();
        let (id, places) = match of {
            Uses::Left(users) => (users.id, &users.places),
            Uses::All(id) => (id, &*places),
        };
        f(places.iter().any(|place| place.is_at(id)))
    }

    fn at(&self, id: u64) -> Vec<Arc<Place>> {
        let places = self.places.lock();
        places
            .iter()
            .filter(|place| place.is_at(id))
            .map(Arc::clone)
            .collect()
    }

    fn holders(&self, id: u64) -> Vec<Arc<Holder>> {
        self.at(id)
            .iter()
            .filter_map(|place| place.holder.lock().clone())
            .collect()
    }
}

impl Users {
    /// Forgets those that have gone; tells whether another thread than `me` is left.
    fn are_elsewhere(&mut self, me: u64) -> bool {
        self.places.retain(|place| place.is_at(self.id));
        let elsewhere = |place: &Arc<Place>| place.thread.load(Ordering::Relaxed) != me;
        self.places.iter().any(elsewhere)
    }
}

impl Place {
    fn is_at(&self, id: u64) -> bool {
        // ORDERING: edge `returned`. Pairs with the store in `leave`: the use is over.
        self.at.load(Ordering::Acquire) == id
    }
}

impl Holder {
    fn new() -> Self {
        Self {
            thread: thread_id(),
            waits: Mutex::new(None),
        }
    }

    fn current() -> Arc<Self> {
        // A thread whose locals are being destroyed gets another one: a circle with it is not found.
        HOLDER
            .try_with(Arc::clone)
            .unwrap_or_else(|_| Arc::new(Self::new()))
    }

    /// Whether a thread that this one waits for waits, by one or more steps, for a loan that this one is in.
    fn is_in_a_circle(&self) -> bool {
        let mut seen = vec![self.thread];
        let mut waits = self.waits.lock().clone();
        let mut open = Vec::new();
        // The first step leaves this thread out: it does not wait for what it is in itself.
        let mut first = true;
        while let Some((lender, id)) = waits {
            for holder in lender.holders(id) {
                if holder.thread == self.thread && !first {
                    return true;
                }
                if !seen.contains(&holder.thread) {
                    seen.push(holder.thread);
                    open.push(holder);
                }
            }
            first = false;
            waits = loop {
                match open.pop() {
                    Some(holder) => {
                        let next = holder.waits.lock().clone();
                        if next.is_some() {
                            break next;
                        }
                    }
                    None => break None,
                }
            };
        }
        false
    }
}

impl Borrower {
    pub(crate) fn new(lender: &Arc<Lender>) -> Self {
        let place = Arc::new(Place {
            at: CachePadded::new(AtomicU64::new(0)),
            thread: AtomicU64::new(0),
            holder: Mutex::new(None),
        });
        lender.places.lock().push(Arc::clone(&place));
        Self {
            lender: Arc::clone(lender),
            place,
            visiting: Cell::new(false),
        }
    }

    /// Begins to use loans; `None` while it does so already.
    #[inline]
    pub(crate) fn visit(&self) -> Option<Visit<'_>> {
        if self.visiting.replace(true) {
            return None;
        }
        if self.place.thread.load(Ordering::Relaxed) != thread_id() {
            self.move_here();
        }
        Some(Visit {
            borrower: self,
            place: &self.place,
            barrier: self.lender.barrier,
        })
    }

    #[cold]
    fn move_here(&self) {
        let holder = Holder::current();
        self.place.thread.store(thread_id(), Ordering::Relaxed);
        let before = self.place.holder.lock().replace(holder);
        drop(before);
    }
}

impl Drop for Borrower {
    fn drop(&mut self) {
        let mut places = self.lender.places.lock();
        let index = places
            .iter()
            .position(|place| Arc::ptr_eq(place, &self.place));
        let place = index.map(|index| places.swap_remove(index));
        drop(places);
        drop(place);
    }
}

impl Visit<'_> {
    /// Says that loan `id` of `lender` is in use from here on. Whether it was recalled must be asked after
    /// this; either way [`leave`](Self::leave) ends it.
    ///
    /// # Panics
    ///
    /// When the lender is another one, who would not wait for this borrower.
    #[inline(always)]
    pub(crate) fn enter(&self, lender: &Arc<Lender>, id: u64) {
        assert!(
            Arc::ptr_eq(lender, &self.borrower.lender),
            "a borrower must be its lender's"
        );
        self.place.at.store(id, Ordering::Relaxed);
        // ORDERING: edge `recall`. Pairs with the barrier in `wait_for`.
        self.barrier.light();
    }

    /// Says that no loan is in use. Whether it was recalled meanwhile must be asked after this.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        // ORDERING: edge `returned`. Pairs with the load in `Place::is_at`; carries what was done.
        self.place.at.store(0, Ordering::Release);
        // ORDERING: edge `recall`. Pairs with the barrier in `wait_for`: the mark is seen, and whoever waits woken.
        self.barrier.light();
    }
}

impl Drop for Visit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.borrower.visiting.set(false);
    }
}
