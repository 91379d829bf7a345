//! Running a reactor, and running it again after a panic; all on the worker's own thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::post::Post;
use super::restarts::{History, Restarts};
use super::snapshot::{WorkerEnd, WorkerPanic};
use crate::select::{Ended, HandlerName, Reactor};
use crate::sync::contain;

/// What a run came to.
#[derive(Debug)]
pub(crate) enum Run {
    Ended(WorkerEnd),
    Panicked(WorkerPanic),
}

/// Runs until a run ends without a panic, or until there must be no other.
pub(crate) fn supervise(
    post: &Post,
    restarts: Restarts,
    mut run: impl FnMut() -> Run,
) -> WorkerEnd {
    let mut history = History::new(restarts);
    while post.run() {
        match run() {
            Run::Ended(end) => return end,
            Run::Panicked(panic) => {
                // A worker that is to stop does not fail.
                if post.panicked(panic) {
                    match history.restart(Instant::now()) {
                        Some(pause) => post.back_off(pause),
                        None => return WorkerEnd::Panicked,
                    }
                }
            }
        }
    }
    WorkerEnd::Stopped
}

/// Runs a reactor with a new state.
///
/// After a panic the reactor is whole, and its subscriptions are where they were, behind the event that was
/// being handled.
pub(crate) fn run<S>(post: &Post, reactor: &mut Reactor<S>, state: &mut impl FnMut() -> S) -> Run {
    let mut state = match catch_unwind(AssertUnwindSafe(state)) {
        Ok(state) => state,
        Err(payload) => return panicked(payload, None),
    };
    let pulse = post.reactor().pulse();
    // Of somebody who ran it before.
    pulse.take_panicked();
    let outcome = catch_unwind(AssertUnwindSafe(|| reactor.run(&mut state)));
    contain(|| drop(state));
    match outcome {
        Ok(Ok(Ended::Closed)) => Run::Ended(WorkerEnd::Drained),
        Ok(Ok(Ended::Stopped)) => Run::Ended(WorkerEnd::Stopped),
        Ok(Err(_)) => Run::Ended(WorkerEnd::WouldDeadlock),
        Err(payload) => panicked(payload, pulse.take_panicked()),
    }
}

fn panicked(payload: Box<dyn Any + Send>, handler: Option<HandlerName>) -> Run {
    let panic = WorkerPanic::of(&*payload, handler);
    // It is the user's too.
    contain(|| drop(payload));
    Run::Panicked(panic)
}
