//! Parking: no wake-up is lost.

use loom::thread;

use super::explore;
use crate::channel::WaitStrategy;
use crate::sync::{Arc, AtomicU64, Barrier, Ordering, WaitSet};

/// `waiters` threads wait for `changes` changes, made one by one.
fn wake(preemptions: Option<usize>, waiters: u64, changes: u64) {
    explore(preemptions, move || {
        let state = Arc::new((WaitSet::new(Barrier::of_process()), AtomicU64::new(0)));
        let threads: Vec<_> = (0..waiters)
            .map(|_| {
                let state = Arc::clone(&state);
                thread::spawn(move || {
                    let (set, changed) = &*state;
                    WaitStrategy::Park
                        .wait(set, None, None, || {
                            (changed.load(Ordering::Acquire) >= changes).then_some(())
                        })
                        .expect("without a deadline the wait ends with an answer");
                })
            })
            .collect();
        let (set, changed) = &*state;
        for change in 1..=changes {
            changed.store(change, Ordering::Release);
            set.notify();
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn one_waiter() {
    wake(None, 1, 1);
}

#[test]
fn one_waiter_two_changes() {
    wake(None, 1, 2);
}

#[test]
fn two_waiters() {
    wake(Some(2), 2, 1);
}
