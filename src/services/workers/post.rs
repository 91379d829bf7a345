//! What a worker's thread and the other threads know of each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::WorkerError;
use super::snapshot::{Tally, WorkerEnd, WorkerPanic, WorkerSnapshot, WorkerStatus};
use crate::select::StopHandle;
use crate::sync::{Condvar, JoinHandle, Mutex, MutexGuard};

/// A worker, as its own thread and all others see it.
///
/// What they tell each other is under one lock, and whoever waits waits for one condition: the worker's thread
/// for the end of its pause, the others for the end of the worker.
#[derive(Debug)]
pub(crate) struct Post {
    name: Arc<str>,
    reactor: StopHandle,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// To end after the handler that is running, and not to be restarted.
    stop: bool,
    /// To end when its subscriptions have; and whether a pause was cut short for that.
    finish: bool,
    hurried: bool,
    /// The number of its thread, once that runs.
    number: u64,
    thread: Option<JoinHandle<()>>,
    status: WorkerStatus,
    /// It waits in a shutdown for the others; so they must not wait for it.
    shutting_down: bool,
    /// Nobody has its handle.
    detached: bool,
    /// Why it never ran.
    refused: Option<WorkerError>,
    restarts: u64,
    panic: Option<WorkerPanic>,
    tally: Tally,
}

impl Post {
    pub(crate) fn new(name: &str, reactor: StopHandle) -> Arc<Self> {
        Arc::new(Self {
            name: Arc::from(name),
            reactor,
            state: Mutex::new(State {
                stop: false,
                finish: false,
                hurried: false,
                number: 0,
                thread: None,
                status: WorkerStatus::Starting,
                shutting_down: false,
                detached: false,
                refused: None,
                restarts: 0,
                panic: None,
                tally: Tally::default(),
            }),
            changed: Condvar::new(),
        })
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn reactor(&self) -> &StopHandle {
        &self.reactor
    }

    /// Changes something that somebody may wait for.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let answer = change(&mut self.state.lock());
        self.changed.notify_all();
        answer
    }

    /// Waits until something holds, or until `deadline`.
    fn wait(
        &self,
        deadline: Option<Instant>,
        mut holds: impl FnMut(&State) -> bool,
    ) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        while !holds(&state) {
            match deadline {
                None => state = self.changed.wait(state),
                Some(deadline) => {
                    let passed;
                    (state, passed) = self.changed.wait_until(state, deadline);
                    if passed {
                        break;
                    }
                }
            }
        }
        state
    }
}

/// What the worker's thread does.
impl Post {
    /// The number of the thread, which runs now.
    pub(crate) fn set_number(&self, number: u64) {
        self.state.lock().number = number;
    }

    /// There will be no run.
    pub(crate) fn refuse(&self, error: WorkerError) {
        self.change(|state| {
            state.refused = Some(error);
            state.status = WorkerStatus::Ended(WorkerEnd::Stopped);
        });
    }

    /// A run of the reactor begins; false if there must be none.
    pub(crate) fn run(&self) -> bool {
        self.change(|state| {
            state.status = WorkerStatus::Running;
            !state.stop
        })
    }

    /// Notes a panic; tells whether there may be another run.
    pub(crate) fn panicked(&self, panic: WorkerPanic) -> bool {
        let mut state = self.state.lock();
        let before = state.panic.replace(panic);
        let stop = state.stop;
        drop(state);
        drop(before);
        !stop
    }

    /// Pauses before the next run. A stop ends every pause; the end that is asked for ends one, as what waits is
    /// to be handled, and a worker that panics all the same is not to do so without pause.
    pub(crate) fn back_off(&self, pause: Duration) {
        let deadline = Instant::now().checked_add(pause);
        self.change(|state| {
            state.status = WorkerStatus::BackingOff;
            state.restarts += 1;
        });
        let hurry = |state: &State| state.finish && !state.hurried;
        let mut state = self.wait(deadline, |state| state.stop || hurry(state));
        state.hurried = state.finish;
    }

    /// The worker has ended, and nothing of it is left but its thread; tells whether nobody has its handle.
    pub(crate) fn end(&self, end: WorkerEnd, tally: Tally) -> bool {
        self.change(|state| {
            state.tally = tally;
            state.status = WorkerStatus::Ended(end);
            state.detached
        })
    }
}

/// What other threads do.
impl Post {
    pub(crate) fn set_thread(&self, thread: JoinHandle<()>) {
        self.state.lock().thread = Some(thread);
    }

    /// Has it end after the handler that is running.
    pub(crate) fn stop(&self) {
        self.change(|state| state.stop = true);
        self.reactor.stop();
    }

    /// Has it end when all its subscriptions have.
    pub(crate) fn finish(&self) {
        self.change(|state| state.finish = true);
        self.reactor.finish();
    }

    /// Gives up its handle; tells whether it has ended.
    pub(crate) fn detach(&self) -> Option<WorkerEnd> {
        let mut state = self.state.lock();
        state.detached = true;
        state.ended()
    }

    /// Whether it runs on the calling thread.
    pub(crate) fn is_here(&self) -> bool {
        self.state.lock().number == crate::sync::thread_id()
    }

    pub(crate) fn ended(&self) -> Option<WorkerEnd> {
        self.state.lock().ended()
    }

    /// Waits until its thread runs the reactor; the error if it never will.
    pub(crate) fn started(&self) -> Result<(), WorkerError> {
        let mut state = self.wait(None, |state| state.status != WorkerStatus::Starting);
        state.refused.take().map_or(Ok(()), Err)
    }

    /// Waits until it has ended, and then for its thread.
    pub(crate) fn join(&self) -> WorkerEnd {
        let state = self.wait(None, |state| state.ended().is_some());
        let end = state.ended().expect("it was waited for");
        self.join_thread(state);
        end
    }

    /// As `join`, until `deadline`: then it is stopped. A `peer` does not wait for one that waits for it.
    pub(crate) fn join_until(&self, deadline: Option<Instant>, peer: bool) {
        let waits = |state: &State| peer && state.shutting_down;
        let state = self.wait(deadline, |state| state.ended().is_some() || waits(state));
        if state.ended().is_some() {
            self.join_thread(state);
        } else if !waits(&state) {
            drop(state);
            self.stop();
        }
    }

    /// Waits for the thread of a worker that has ended. Whoever comes first has it.
    fn join_thread(&self, mut state: MutexGuard<'_, State>) {
        let thread = state.thread.take();
        drop(state);
        if let Some(thread) = thread {
            // A panic would be this crate's own: none of the user's leaves the worker.
            let _ = thread.join();
        }
    }

    /// Tells those who wait in a shutdown whether this one waits too.
    pub(crate) fn shutting_down(&self, is: bool) {
        self.change(|state| state.shutting_down = is);
    }

    /// Its numbers; `pending` tells how many events wait for the thread of a number.
    pub(crate) fn snapshot(&self, pending: impl FnOnce(u64) -> u64) -> WorkerSnapshot {
        let state = self.state.lock();
        let mut snapshot = WorkerSnapshot {
            name: self.name.to_string(),
            status: state.status,
            handler: None,
            delivered: state.tally.delivered,
            undelivered: state.tally.undelivered,
            unpublished: state.tally.unpublished,
            restarts: state.restarts,
            panic: state.panic.clone(),
        };
        let number = state.number;
        let ended = state.ended().is_some();
        drop(state);
        if !ended {
            let pulse = self.reactor.pulse();
            snapshot.handler = pulse.current().map(|beat| beat.handler);
            snapshot.delivered = pulse.handled();
            snapshot.undelivered = pending(number);
        }
        snapshot
    }
}

impl State {
    fn ended(&self) -> Option<WorkerEnd> {
        match self.status {
            WorkerStatus::Ended(end) => Some(end),
            _ => None,
        }
    }
}
