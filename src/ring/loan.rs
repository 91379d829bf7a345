//! A value that publishers use by reference and its owner takes back.
#![expect(
    unsafe_code,
    reason = "the value lies in a slot, which borrowers read and the owner empties"
)]

use super::slot::Slot;
use crate::sync::{Arc, AtomicBool, Lender, Ordering, Uses, Visit, contain};

/// A value lent to the borrowers of one lender until it is recalled.
#[derive(Debug)]
pub(crate) struct Loan<V> {
    lender: Arc<Lender>,
    id: u64,
    /// Set once: nobody begins to use the value any more.
    recalled: AtomicBool,
    /// The owner has come back and found the value in use: the last to use it drops it. Written and read
    /// under the lender's lock.
    left: AtomicBool,
    value: Slot<V>,
}

/// One use; ended also when it unwinds.
struct Stay<'a, 'v, V> {
    loan: &'a Loan<V>,
    visit: &'a mut Visit<'v>,
}

impl<V> Drop for Stay<'_, '_, V> {
    #[inline(always)]
    fn drop(&mut self) {
        self.visit.leave();
        if self.loan.recalled.load(Ordering::Relaxed) {
            self.loan.settle();
        }
    }
}

impl<V> Loan<V> {
    pub(crate) fn new(lender: &Arc<Lender>, value: V) -> Self {
        let slot = Slot::new(u64::MAX);
        // SAFETY: the slot is new: this is its first turn, and nobody else knows it.
        let before = unsafe { slot.write(0, value) };
        debug_assert!(before.is_none());
        Self {
            id: lender.next_id(),
            lender: Arc::clone(lender),
            recalled: AtomicBool::new(false),
            left: AtomicBool::new(false),
            value: slot,
        }
    }

    /// A number that no other loan of the lender has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Shows the value to `f`, unless it was recalled.
    #[inline(always)]
    pub(crate) fn lend<R>(&self, visit: &mut Visit<'_>, f: impl FnOnce(&V) -> R) -> Option<R> {
        visit.enter(&self.lender, self.id);
        let _stay = Stay { loan: self, visit };
        if self.recalled.load(Ordering::Relaxed) {
            return None;
        }
        // SAFETY: the slot holds the value from `new` on. It is emptied after the recall only, when nobody is
        // left who had entered before: this stay did, and lasts until `f` is done (R9).
        Some(unsafe { self.value.read(f) })
    }

    /// Takes the value back. When this returns no other thread uses it, and nobody ever will.
    ///
    /// `None` if it was taken before, and if it is still in use: by the calling thread, or by one that waits
    /// for the calling thread in turn. Then it is dropped where the last use ends.
    pub(crate) fn recall(&self) -> Option<V> {
        // An exchange, so that the model checker sees its race with the loads of borrowers for what it is.
        self.recalled.swap(true, Ordering::Relaxed);
        let users = Lender::wait_for(&self.lender, self.id);
        self.lender.look(Uses::Left(&users), |in_use| {
            if in_use {
                self.left.store(true, Ordering::Relaxed);
                return None;
            }
            // SAFETY: the loan was recalled, and those that may not have seen it are gone; so nobody reads
            // the value, now or later. Another call that takes it does so before or after (R9).
            unsafe { self.value.take() }
        })
    }

    /// Ends a use of a recalled value.
    #[cold]
    #[inline(never)]
    fn settle(&self) {
        self.lender.returned();
        let value = self.lender.look(Uses::All(self.id), |in_use| {
            if in_use || !self.left.load(Ordering::Relaxed) {
                return None;
            }
            // SAFETY: `left` says that the recall has passed its barrier, and nobody is with the loan (R9).
            unsafe { self.value.take() }
        });
        // User code, so without the lock; and it may run where the use itself unwinds.
        contain(move || drop(value));
    }
}
