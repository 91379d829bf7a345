//! Values that are lent and recalled; observers against those who drop them.

use loom::thread;

use super::explore;
use crate::channel::{Core, Settings, Topic};
use crate::ring::Loan;
use crate::sync::{Arc, AtomicU64, Barrier, Borrower, Lender, Ordering};

/// A value that counts its drops.
struct Lent(Arc<AtomicU64>);

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn lender() -> Arc<Lender> {
    Lender::new(Barrier::of_process())
}

fn lend<V, R>(borrower: &Borrower, loan: &Loan<V>, f: impl FnOnce(&V) -> R) -> Option<R> {
    let mut visit = borrower.visit().expect("the borrower is free");
    loan.lend(&mut visit, f)
}

/// A use on one thread and the recall on another: the use is over before the value is taken, which the
/// checker of the slot would tell, or it does not begin.
#[test]
fn recall_against_a_use() {
    explore(None, || {
        let lender = lender();
        let drops = Arc::new(AtomicU64::new(0));
        let loan = Arc::new(Loan::new(&lender, Lent(Arc::clone(&drops))));
        let borrower = Borrower::new(&lender);
        let using = {
            let loan = Arc::clone(&loan);
            thread::spawn(move || {
                // Of the value, so that it is an access to the slot.
                lend(&borrower, &loan, |value| {
                    assert_eq!(value.0.load(Ordering::Relaxed), 0);
                });
                borrower
            })
        };
        let value = loan.recall();
        assert!(value.is_some(), "nobody else recalls");
        drop(value);
        let borrower = using.join().unwrap();
        assert_eq!(lend(&borrower, &loan, |_| ()), None);
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

/// The owner recalls from inside a use while another thread uses the value too: it waits for the other, and
/// the value goes when its own use ends.
#[test]
fn recall_from_inside() {
    explore(Some(5), || {
        let lender = lender();
        let drops = Arc::new(AtomicU64::new(0));
        let loan = Arc::new(Loan::new(&lender, Lent(Arc::clone(&drops))));
        let other = Borrower::new(&lender);
        let using = {
            let loan = Arc::clone(&loan);
            thread::spawn(move || {
                lend(&other, &loan, |value| {
                    assert_eq!(value.0.load(Ordering::Relaxed), 0);
                });
            })
        };
        let borrower = Borrower::new(&lender);
        lend(&borrower, &loan, |value| {
            assert!(loan.recall().is_none(), "it is in use here");
            assert_eq!(value.0.load(Ordering::Relaxed), 0);
        });
        using.join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

/// Each of two threads recalls what the other one uses: both return, and each value is dropped once, not
/// before its use is over.
#[test]
fn recall_each_other() {
    explore(Some(4), || {
        let lenders = [lender(), lender()];
        let drops = [0, 1].map(|_| Arc::new(AtomicU64::new(0)));
        let loans = [0, 1].map(|index: usize| {
            let value = Lent(Arc::clone(&drops[index]));
            Arc::new(Loan::new(&lenders[index], value))
        });
        let work = |own: usize, other: usize| {
            let borrower = Borrower::new(&lenders[own]);
            let (own, other) = (Arc::clone(&loans[own]), Arc::clone(&loans[other]));
            move || {
                lend(&borrower, &own, |value| {
                    drop(other.recall());
                    assert_eq!(value.0.load(Ordering::Relaxed), 0);
                })
                .is_some()
            }
        };
        let one = thread::spawn(work(0, 1));
        let two = work(1, 0)();
        let one = one.join().unwrap();
        assert!(one || two, "one of them was not recalled before its use");
        drop(loans);
        for drops in drops {
            assert_eq!(drops.load(Ordering::Relaxed), 1);
        }
    });
}

/// A borrower that goes away while it uses nothing is in nobody's way.
#[test]
fn recall_against_a_leaving_borrower() {
    explore(Some(4), || {
        let lender = lender();
        let drops = Arc::new(AtomicU64::new(0));
        let loan = Arc::new(Loan::new(&lender, Lent(Arc::clone(&drops))));
        let borrower = Borrower::new(&lender);
        let leaving = {
            let loan = Arc::clone(&loan);
            thread::spawn(move || {
                lend(&borrower, &loan, |_| ());
                drop(borrower);
            })
        };
        drop(loan.recall());
        assert_eq!(drops.load(Ordering::Relaxed), 1);
        leaving.join().unwrap();
    });
}

fn topic<T: Send + Sync + 'static>() -> Topic<T> {
    let settings = Settings {
        capacity: 2,
        ..Settings::default()
    };
    Topic::of(Core::new(None, settings))
}

/// An observer is dropped while a publisher calls it, or is about to, or has no list yet: it is not called
/// after that, and its closure is gone.
#[test]
fn drop_against_a_publish() {
    explore(Some(5), || {
        let topic = topic::<u64>();
        let publisher = topic.publisher().unwrap();
        let gone = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&gone);
        let observer = topic.observe(move |_| {
            assert_eq!(seen.load(Ordering::Relaxed), 0, "called after the drop");
        });
        let publishing = thread::spawn(move || {
            publisher.publish(0).unwrap();
            publisher
        });
        drop(observer);
        gone.store(1, Ordering::Relaxed);
        assert_eq!(Arc::strong_count(&gone), 1, "the closure is gone");
        let publisher = publishing.join().unwrap();
        publisher.publish(1).unwrap();
    });
}

/// Two publishers come to a once-observer together: one calls it, and the other does not wait for that.
#[test]
fn once_of_two_publishers() {
    explore(Some(4), || {
        let topic = topic::<u64>();
        let calls = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&calls);
        topic
            .observe_once(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
            })
            .keep();
        let publishers = [topic.publisher().unwrap(), topic.publisher().unwrap()];
        let [one, other] = publishers.map(|publisher| move || publisher.publish(0).map(drop));
        let one = thread::spawn(one);
        other().unwrap();
        one.join().unwrap().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert!(!topic.has_observers());
    });
}

/// One subscriber leaves and another one joins beside a publish: whoever is there before hears it, and it is
/// not a dead letter; and nothing is both.
#[test]
fn dead_letter_or_heard() {
    explore(Some(3), || {
        let letters = topic();
        let topic = topic::<u64>();
        topic.dead_letters_to(&letters).unwrap();
        let mut unheard = letters.subscribe();
        let publisher = topic.publisher().unwrap();
        let leaves = topic.subscribe();
        let changing = {
            let topic = topic.clone();
            thread::spawn(move || {
                let joins = topic.subscribe();
                drop(leaves);
                joins
            })
        };
        publisher.publish(1).unwrap();
        let mut joined = changing.join().unwrap();
        publisher.publish(2).unwrap();
        // There was always somebody.
        assert!(unheard.try_recv().is_err());
        let heard: Vec<_> = std::iter::from_fn(|| joined.try_recv().ok()).collect();
        assert!(heard == [2] || heard == [1, 2]);
        drop(joined);
        publisher.publish(3).unwrap();
        assert_eq!(unheard.try_recv().unwrap().event, 3);
        assert_eq!(topic.snapshot().published, 3);
    });
}
