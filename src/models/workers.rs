//! Workers: whoever stops, finishes, shuts down, detaches or joins one, against whatever it is at.

use std::sync::Arc;
use std::time::Duration;

use loom::cell::UnsafeCell;
use loom::thread;

use super::explore;
use crate::channel::Clock;
use crate::select::{Ended, Reactor};
use crate::services::workers::crew::Crew;
use crate::services::workers::post::Post;
use crate::services::workers::run::{Run, run, supervise};
use crate::services::workers::snapshot::Tally;
use crate::services::{Restarts, WorkerEnd, WorkerPanic};

/// Time does not pass in a model: a pause ends when it is cut.
fn restarts() -> Restarts {
    Restarts::always()
}

fn post(name: &str) -> Arc<Post> {
    Post::new(name, Reactor::<()>::new().stop_handle())
}

fn panicked() -> Run {
    Run::Panicked(WorkerPanic::of(&"in a model", None))
}

/// A reactor that only its end can end.
fn ticking() -> Reactor<()> {
    let mut reactor = Reactor::builder().clock(Clock::manual()).build();
    reactor.every(Duration::from_secs(1), |_, _| {});
    reactor
}

/// A reactor is asked to finish while it goes to sleep: it wakes and ends.
#[test]
fn finish_against_sleep() {
    explore(None, || {
        let mut reactor = ticking();
        let handle = reactor.stop_handle();
        let running = thread::spawn(move || reactor.run(&mut ()));
        handle.finish();
        assert_eq!(running.join().unwrap(), Ok(Ended::Closed));
    });
}

/// A worker that panics and pauses is stopped, at any moment of that.
#[test]
fn stop_against_a_pause() {
    explore(None, || {
        let post = post("w");
        let working = thread::spawn({
            let post = Arc::clone(&post);
            move || {
                let mut runs = 0;
                supervise(&post, restarts(), || {
                    runs += 1;
                    assert_eq!(runs, 1, "only the stop ends the pause");
                    panicked()
                })
            }
        });
        post.stop();
        assert_eq!(working.join().unwrap(), WorkerEnd::Stopped);
    });
}

/// A shutdown begins while a worker panics and pauses: the worker runs once more, and finishes.
#[test]
fn finish_against_a_pause() {
    explore(None, || {
        let mut reactor = ticking();
        let post = Post::new("w", reactor.stop_handle());
        let working = thread::spawn({
            let post = Arc::clone(&post);
            move || {
                let mut runs = 0;
                supervise(&post, restarts(), || {
                    runs += 1;
                    match runs {
                        1 => panicked(),
                        _ => run(&post, &mut reactor, &mut || ()),
                    }
                })
            }
        });
        post.finish();
        assert_eq!(working.join().unwrap(), WorkerEnd::Drained);
    });
}

/// Who has waited for the end of a worker has what it used to itself; here two who wait, of which one stops it.
#[test]
fn the_end_is_a_barrier() {
    explore(Some(3), || {
        let post = post("w");
        let used = Arc::new(UnsafeCell::new(0));
        let working = thread::spawn({
            let (post, used) = (Arc::clone(&post), Arc::clone(&used));
            move || {
                let end = supervise(&post, restarts(), || {
                    used.with_mut(|_| {});
                    panicked()
                });
                post.end(end, Tally::default());
            }
        });
        let waiting = thread::spawn({
            let post = Arc::clone(&post);
            move || post.join()
        });
        post.stop();
        assert_eq!(post.join(), WorkerEnd::Stopped);
        used.with_mut(|_| {});
        assert_eq!(waiting.join().unwrap(), WorkerEnd::Stopped);
        working.join().unwrap();
    });
}

/// A worker is spawned while its bus shuts down: it is refused, or it is asked to finish and waited for.
#[test]
fn spawn_against_shutdown() {
    explore(Some(3), || {
        let crew = Arc::new(Crew::default());
        let spawning = thread::spawn({
            let crew = Arc::clone(&crew);
            move || {
                let mut reactor = ticking();
                let post = Post::new("w", reactor.stop_handle());
                let entered = crew.enter(&post).is_ok();
                if entered {
                    let run = || run(&post, &mut reactor, &mut || ());
                    let end = supervise(&post, restarts(), run);
                    post.end(end, Tally::default());
                }
                entered
            }
        });
        let posts = crew.shut_down();
        posts.iter().for_each(|post| post.finish());
        posts.iter().for_each(|post| post.join_until(None, false));
        let ended = posts.iter().filter(|post| post.ended().is_some()).count();
        assert_eq!(ended, usize::from(spawning.join().unwrap()));
    });
}

/// Two workers shut the bus down at the same time, and do not wait for each other.
#[test]
fn two_workers_shut_down() {
    explore(Some(3), || {
        let posts = [post("a"), post("b")];
        let shut_down = |own: usize, other: usize| {
            let (own, other) = (Arc::clone(&posts[own]), Arc::clone(&posts[other]));
            move || {
                own.shutting_down(true);
                other.join_until(None, true);
                own.shutting_down(false);
                own.end(WorkerEnd::Drained, Tally::default());
            }
        };
        let one = thread::spawn(shut_down(0, 1));
        shut_down(1, 0)();
        one.join().unwrap();
    });
}

/// A worker ends while its handle is given up: it is forgotten, by one of the two.
#[test]
fn detach_against_the_end() {
    explore(None, || {
        let crew = Arc::new(Crew::default());
        let post = post("w");
        assert!(crew.enter(&post).is_ok());
        let working = thread::spawn({
            let (crew, post) = (Arc::clone(&crew), Arc::clone(&post));
            move || {
                if post.end(WorkerEnd::Drained, Tally::default()) {
                    crew.retire(&post, WorkerEnd::Drained);
                }
            }
        });
        if let Some(end) = post.detach() {
            crew.retire(&post, end);
        }
        working.join().unwrap();
        assert!(crew.posts().is_empty());
    });
}
