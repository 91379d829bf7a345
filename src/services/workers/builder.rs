//! A worker's settings, and how it comes to be.

use std::sync::{Arc, Weak};

use super::crew::Crew;
use super::error::WorkerError;
use super::post::Post;
use super::restarts::{OnFailure, Restarts};
use super::run::{Run, run, supervise};
use super::snapshot::{Tally, WorkerEnd};
use super::worker::Worker;
use crate::bus::{Bus, WeakBus};
use crate::channel::{MAX_NAME, System, SystemChange};
use crate::select::Reactor;
use crate::sync::{self, ThreadBuilder, contain, pin_to, thread_id};

/// Spawns a [`Worker`]; made by [`Bus::worker`].
#[derive(Debug)]
#[must_use = "a worker runs when it is spawned"]
pub struct WorkerBuilder<'a> {
    bus: &'a Bus,
    name: &'a str,
    rules: Rules,
}

/// What a worker's thread goes by.
#[derive(Clone, Copy, Debug)]
struct Rules {
    core: Option<usize>,
    restarts: Restarts,
    on_failure: OnFailure,
}

impl<'a> WorkerBuilder<'a> {
    pub(super) fn new(bus: &'a Bus, name: &'a str) -> Self {
        Self {
            bus,
            name,
            rules: Rules {
                core: None,
                restarts: Restarts::up_to(0),
                on_failure: OnFailure::default(),
            },
        }
    }

    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    /// The builder of one of several workers that are alike.
    pub(super) fn again<'b>(&'b self, name: &'b str, number: usize) -> WorkerBuilder<'b> {
        let mut rules = self.rules;
        rules.core = rules.core.map(|core| core.saturating_add(number));
        WorkerBuilder {
            bus: self.bus,
            name,
            rules,
        }
    }

    /// Has the thread run on this core and no other; cores count from 0. By default it runs where the thread
    /// that spawns it may.
    ///
    /// On macOS it is no more than a wish.
    pub fn pin_to(mut self, core: usize) -> Self {
        self.rules.core = Some(core);
        self
    }

    /// Runs it again after a panic, with a new state; not so by default.
    pub fn restart(mut self, restarts: Restarts) -> Self {
        self.rules.restarts = restarts;
        self
    }

    /// What becomes of it when it has panicked and is not restarted; [`OnFailure::Stop`] by default.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.rules.on_failure = on_failure;
        self
    }

    /// Spawns the thread, which makes the state and runs the reactor with it.
    ///
    /// `state` is called on that thread, once and again after each panic, so what it makes need not be `Send`.
    ///
    /// # Errors
    ///
    /// When the name is no name or is taken, when the bus is shut down, and when the system refuses the thread
    /// or the core. Then the reactor is dropped.
    ///
    /// # Blocking
    ///
    /// Waits until the thread runs, and is pinned if it is to be.
    pub fn spawn<S, F>(self, reactor: Reactor<S>, state: F) -> Result<Worker, WorkerError>
    where
        S: 'static,
        F: FnMut() -> S + Send + 'static,
    {
        let Self { bus, name, rules } = self;
        if !(1..=MAX_NAME).contains(&name.len()) || name.contains('\0') {
            return Err(WorkerError::Name(name.to_owned()));
        }
        let crew = bus.attached(Crew::default);
        let post = Post::new(name, reactor.stop_handle());
        crew.enter(&post)?;
        let spawned = ThreadBuilder::new().name(name.to_owned()).spawn({
            let home = Home {
                post: Arc::clone(&post),
                crew: Arc::downgrade(&crew),
                bus: bus.downgrade(),
                system: sync::Arc::clone(bus.system()),
            };
            move || work(&home, rules, reactor, state)
        });
        match spawned {
            Ok(thread) => post.set_thread(thread),
            Err(error) => {
                // For those who wait for it already.
                post.end(WorkerEnd::Stopped, Tally::default());
                crew.leave(&post);
                return Err(WorkerError::Thread(error));
            }
        }
        if let Err(refused) = post.started() {
            post.join();
            crew.leave(&post);
            return Err(refused);
        }
        Ok(Worker::new(post, Arc::downgrade(&crew)))
    }
}

/// Where a worker belongs. It keeps no bus open.
struct Home {
    post: Arc<Post>,
    crew: Weak<Crew>,
    bus: WeakBus,
    system: sync::Arc<System>,
}

impl Home {
    fn tell(&self, change: impl FnOnce(Arc<str>) -> SystemChange) {
        self.system.tell(|| change(Arc::clone(self.post.name())));
    }
}

/// What the thread does, from its first moment to its last.
fn work<S>(home: &Home, rules: Rules, mut reactor: Reactor<S>, mut state: impl FnMut() -> S) {
    let Home {
        post, crew, bus, ..
    } = home;
    post.set_number(thread_id());
    if let Some(core) = rules.core
        && let Err(source) = pin_to(core)
    {
        reactor.dismiss();
        contain(|| drop((reactor, state)));
        post.refuse(WorkerError::Core { core, source });
        return;
    }
    reactor.attend();
    let mut runs = 0;
    let end = supervise(post, rules.restarts, || {
        home.tell(|worker| match runs {
            0 => SystemChange::WorkerStarted { worker },
            restarts => SystemChange::WorkerRestarted { worker, restarts },
        });
        runs += 1;
        let run = run(post, &mut reactor, &mut state);
        if let Run::Panicked(panic) = &run {
            home.tell(|worker| SystemChange::WorkerPanicked {
                worker,
                handler: panic.handler.map(|handler| handler.location),
                message: panic.message.as_deref().map(Arc::from),
            });
        }
        run
    });
    let numbers = reactor.snapshot();
    let tally = Tally {
        delivered: numbers.handled,
        undelivered: reactor.pending(),
        unpublished: numbers.undeliverable + numbers.outbox as u64,
    };
    // Before it has ended: whoever waits for that must find nothing of it left.
    reactor.dismiss();
    contain(|| drop(reactor));
    contain(|| drop(state));
    // Before it closes the bus, and before whoever waits for it goes on.
    home.tell(|worker| SystemChange::WorkerEnded { worker, end });
    if end == WorkerEnd::Panicked
        && rules.on_failure == OnFailure::Escalate
        && let Some(bus) = bus.upgrade()
    {
        bus.begin_shutdown();
    }
    if post.end(end, tally)
        && let Some(crew) = crew.upgrade()
    {
        crew.retire(post, end);
    }
}
