//! What handlers work with.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};

use super::control::{Control, StopHandle};
use super::drive::Unwind;
use super::handler::{HandlerGuard, HandlerId, HandlerPanic, OnPanic, Priority};
use super::outbox::{Outbox, OutboxError};
use super::schedule::Schedule;
use super::slots::{Body, Callback, Expectation, Other, Removal, Removed, Slots};
use super::snapshot::ReactorSnapshot;
use super::source::{Batches, Each, Foreign, Source, Subscription};
use super::timeline::{Branch, TimelineHandlers};
use super::timers::{MissedTicks, Timers};
use crate::channel::{Batch, Clock, Publisher, Subscriber, Timeline};
use crate::ring::Sequencer;
use crate::sync::{Arc, Bell, Calls, Waiter};

/// What is done with a panic that stays in its handler.
pub(crate) type PanicCallback<S> = Box<dyn FnMut(&mut S, &HandlerPanic, &mut Context<S>) + Send>;

/// A reactor as its handlers see it: they add and remove handlers, publish, tell the time, stop.
///
/// A [`Reactor`](crate::Reactor) is one too, by `Deref`: what a handler can do to it, its owner can.
///
/// # Adding and removing
///
/// Handlers may be added and removed at any time, also by handlers. One that is added while an event is
/// handled does not see that event; in a [`turn`](crate::Reactor::turn) it begins with the next turn. One
/// that is removed is not called any more, not even for what its subscription had waiting; a handler that
/// removes itself is called no more when it has returned. Removing a handler drops what it holds, its
/// subscription among it.
///
/// An id is a name: dropping it does nothing. A [`guard`](Self::guard) removes on drop.
pub struct Context<S> {
    pub(super) slots: Slots<S>,
    pub(super) schedule: Schedule,
    /// Sources that cannot ring.
    pub(super) foreign: Vec<HandlerId>,
    /// Which of them is asked next, and whether they are asked before the others in this turn.
    pub(super) foreign_turn: usize,
    pub(super) foreign_first: bool,
    /// The fences of a turn are up.
    pub(super) in_turn: bool,
    /// The source of each timeline.
    pub(super) merges: Vec<(Arc<Sequencer>, HandlerId)>,
    /// Handlers that were added while their timeline's source was served.
    pub(super) joining: Vec<(HandlerId, Branch<S>)>,
    /// Handlers of the timeline that is served were added or removed.
    pub(super) roster_changed: bool,
    /// The place of the event that is handled, if it has one.
    pub(super) place: Option<u64>,
    pub(super) idle: Vec<HandlerId>,
    pub(super) timers: Timers,
    pub(super) outbox: Outbox,
    pub(super) clock: Clock,
    pub(super) clock_bell: Arc<Bell>,
    /// The time of this round, once somebody has asked.
    pub(super) now: Option<Instant>,
    /// It runs, or takes a turn.
    pub(super) in_round: bool,
    /// Timers that have not fired for the last time.
    pub(super) live_timers: usize,
    pub(super) control: Arc<Control>,
    pub(super) policy: OnPanic,
    pub(super) panic_callback: Option<PanicCallback<S>>,
    /// Events handled: apart from the other numbers, as it is the one that is written in every turn.
    pub(super) handled: u64,
    pub(super) totals: ReactorSnapshot,
    /// There was a source once.
    pub(super) had_source: bool,
    /// There was an expectation once.
    pub(super) expects: bool,
    /// Rings when the reactor sleeps in a foreign select; there once it did.
    pub(super) alarm: Option<Receiver<()>>,
    pub(super) stop: bool,
    /// The call that runs now.
    pub(super) call: Call,
}

/// What may end the run of events of the handler that is being called.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// One of the others is set: the one thing that is asked for each event.
    pub(super) watched: bool,
    pub(super) id: Option<HandlerId>,
    pub(super) interrupted: bool,
    pub(super) until: Option<Instant>,
    pub(super) calls: Option<Arc<Calls>>,
    /// The guard was made in the call, which is then to be ended by hand.
    pub(super) begun: bool,
    /// A panic that waits for the call to be over.
    pub(super) unwind: Option<Unwind>,
}

impl<S> Context<S> {
    pub(super) fn new(clock: Clock, policy: OnPanic, outbox: usize) -> Self {
        let control = Control::new();
        let set = control.set();
        Self {
            slots: Slots::new(),
            schedule: Schedule::new(set),
            foreign: Vec::new(),
            foreign_turn: 0,
            foreign_first: false,
            in_turn: false,
            merges: Vec::new(),
            joining: Vec::new(),
            roster_changed: false,
            place: None,
            idle: Vec::new(),
            timers: Timers::default(),
            outbox: Outbox::new(set, outbox),
            clock,
            clock_bell: Bell::new(set, None),
            now: None,
            in_round: false,
            live_timers: 0,
            policy,
            panic_callback: None,
            handled: 0,
            totals: ReactorSnapshot::default(),
            had_source: false,
            expects: false,
            alarm: None,
            stop: false,
            call: Call::default(),
            control,
        }
    }

    /// Calls `handler` with each event of a subscription, by reference.
    ///
    /// ```
    /// use ringbus::{Budget, Bus, Reactor};
    ///
    /// let bus = Bus::new();
    /// let ticks = bus.topic::<u32>();
    /// let mut reactor = Reactor::new();
    /// reactor.on(ticks.subscribe(), |sum: &mut u32, tick, _| *sum += tick);
    ///
    /// ticks.publish(3)?;
    /// ticks.publish(4)?;
    /// let mut sum = 0;
    /// let turn = reactor.turn(&mut sum, Budget::unlimited());
    /// assert_eq!((sum, turn.handled), (7, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn on<T, F>(&mut self, subscriber: Subscriber<T>, handler: F) -> HandlerId
    where
        T: Send + Sync + 'static,
        F: FnMut(&mut S, &T, &mut Context<S>) + Send + 'static,
    {
        let handler = Each(handler);
        self.add_source(Box::new(Subscription {
            subscriber,
            handler,
        }))
    }

    /// Calls `handler` with up to 64 events of a subscription at once.
    ///
    /// What the handler leaves in the batch is handled too, as with `Vec::drain`.
    ///
    /// ```
    /// use ringbus::{Budget, Bus, Reactor};
    ///
    /// let bus = Bus::new();
    /// let ticks = bus.topic::<u32>();
    /// let mut reactor = Reactor::new();
    /// reactor.on_batch(ticks.subscribe(), |highest: &mut u32, ticks, _| {
    ///     *highest = ticks.map(|(tick, _)| *tick).fold(*highest, u32::max);
    /// });
    ///
    /// ticks.publish(3)?;
    /// ticks.publish(4)?;
    /// let mut highest = 0;
    /// assert_eq!(reactor.turn(&mut highest, Budget::unlimited()).handled, 2);
    /// assert_eq!(highest, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn on_batch<T, F>(&mut self, subscriber: Subscriber<T>, handler: F) -> HandlerId
    where
        T: Send + Sync + 'static,
        F: FnMut(&mut S, &mut Batch<'_, T>, &mut Context<S>) + Send + 'static,
    {
        let handler = Batches(handler);
        self.add_source(Box::new(Subscription {
            subscriber,
            handler,
        }))
    }

    /// Adds handlers that are called in the order of a timeline, over all its topics.
    ///
    /// All handlers that are added so, in however many calls, share that order. Together they are one source,
    /// with one [priority](Self::set_priority); otherwise each is a handler like any other. See [`Timeline`].
    pub fn timeline(&mut self, timeline: &Timeline) -> TimelineHandlers<'_, S>
    where
        S: 'static,
    {
        TimelineHandlers::new(self, timeline)
    }

    /// The place of the event that is being handled, if its handler is one of a timeline's.
    pub fn place(&self) -> Option<u64> {
        self.place
    }

    /// Calls `handler` with each message of a foreign channel.
    ///
    /// Such a channel cannot ring: a reactor that has any asks each of them every round, and sleeps in that
    /// crate's `Select`. So they cost what they are, and going to sleep allocates.
    #[track_caller]
    pub fn on_channel<M, F>(&mut self, receiver: Receiver<M>, handler: F) -> HandlerId
    where
        M: Send + 'static,
        F: FnMut(&mut S, M, &mut Context<S>) + Send + 'static,
    {
        self.add_source(Box::new(Foreign {
            receiver,
            handler,
            // In a turn it begins with the next one.
            fenced: self.in_turn.then_some(0),
            asked: Err(TryRecvError::Empty),
        }))
    }

    /// Reads a subscription and calls `handler` when it had no event for as long as `within`.
    ///
    /// The time counts from the last event, at first from now. The handler is called once; the next event
    /// sets the deadline anew. An event that waits for its turn when the deadline is looked at is in time.
    /// Events are taken and otherwise ignored; add another subscription to handle them.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ringbus::{Budget, Bus, Clock, Reactor};
    ///
    /// let bus = Bus::new();
    /// let feed = bus.topic::<u32>();
    /// let clock = Clock::manual();
    /// let mut reactor = Reactor::builder().clock(clock.clone()).build();
    /// let within = Duration::from_millis(250);
    /// reactor.on_silence(feed.subscribe(), within, |stale: &mut u32, _| *stale += 1);
    ///
    /// let mut stale = 0;
    /// clock.advance(Duration::from_millis(200));
    /// feed.publish(1)?;
    /// let _ = reactor.turn(&mut stale, Budget::unlimited());
    /// clock.advance(Duration::from_millis(249));
    /// let _ = reactor.turn(&mut stale, Budget::unlimited());
    /// assert_eq!(stale, 0);
    /// clock.advance(Duration::from_secs(1));
    /// let _ = reactor.turn(&mut stale, Budget::unlimited());
    /// assert_eq!(stale, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn on_silence<T, F>(
        &mut self,
        subscriber: Subscriber<T>,
        within: Duration,
        handler: F,
    ) -> HandlerId
    where
        T: Send + Sync + 'static,
        F: FnMut(&mut S, &mut Context<S>) + Send + 'static,
    {
        self.expects = true;
        let id = self.on(subscriber, |_, _, _| {});
        let since = self.now();
        let deadline = since.checked_add(within);
        if let Some(deadline) = deadline {
            self.timers.set(id, deadline);
        }
        self.slots.extras(id).expectation = Some(Expectation {
            within,
            since,
            is_set: deadline.is_some(),
            callback: Some(Box::new(handler)),
        });
        id
    }

    /// Calls `handler` when a subscription missed events, with their number, before the next event.
    ///
    /// Replaces the one it had. `false` when there is no such handler.
    pub fn on_missed<F>(&mut self, id: HandlerId, handler: F) -> bool
    where
        F: FnMut(&mut S, u64, &mut Context<S>) + Send + 'static,
    {
        let known = self.contains(id);
        if known {
            self.slots.extras(id).lag = Some(Box::new(handler));
        }
        known
    }

    /// Calls `handler` when a source has ended and everything it had is handled: its topic or channel is
    /// closed, or a subscription was disconnected. The source's handler is then removed.
    ///
    /// Replaces the one it had. `false` when there is no such handler.
    pub fn on_closed<F>(&mut self, id: HandlerId, handler: F) -> bool
    where
        F: FnOnce(&mut S, &mut Context<S>) + Send + 'static,
    {
        let known = self.contains(id);
        if known {
            self.slots.extras(id).closed = Some(once(handler));
        }
        known
    }

    /// Calls `handler` once, when `delay` has passed.
    #[track_caller]
    pub fn after<F>(&mut self, delay: Duration, handler: F) -> HandlerId
    where
        F: FnOnce(&mut S, &mut Context<S>) + Send + 'static,
    {
        let at = self.now().checked_add(delay);
        self.add_timer(at, None, once(handler))
    }

    /// Calls `handler` once, at a time of the reactor's clock; at once if it has passed.
    #[track_caller]
    pub fn at<F>(&mut self, time: Instant, handler: F) -> HandlerId
    where
        F: FnOnce(&mut S, &mut Context<S>) + Send + 'static,
    {
        self.add_timer(Some(time), None, once(handler))
    }

    /// Calls `handler` again and again, each time `period` has passed; ticks that were missed are
    /// [skipped](MissedTicks::Skip).
    ///
    /// # Panics
    ///
    /// When the period is zero.
    #[track_caller]
    pub fn every<F>(&mut self, period: Duration, handler: F) -> HandlerId
    where
        F: FnMut(&mut S, &mut Context<S>) + Send + 'static,
    {
        self.every_with(period, MissedTicks::default(), handler)
    }

    /// As [`every`](Self::every), with a choice about missed ticks.
    ///
    /// # Panics
    ///
    /// When the period is zero.
    #[track_caller]
    pub fn every_with<F>(&mut self, period: Duration, missed: MissedTicks, handler: F) -> HandlerId
    where
        F: FnMut(&mut S, &mut Context<S>) + Send + 'static,
    {
        assert!(!period.is_zero(), "a period must be longer than zero");
        let at = self.now().checked_add(period);
        self.add_timer(at, Some((period, missed)), Box::new(handler))
    }

    /// Calls `handler` each time that [`run`](crate::Reactor::run) has nothing to do and is about to wait.
    #[track_caller]
    pub fn on_idle<F>(&mut self, handler: F) -> HandlerId
    where
        F: FnMut(&mut S, &mut Context<S>) + Send + 'static,
    {
        let idle = Other::Idle(Box::new(handler));
        let id = self.add_handler(Body::Other(Box::new(idle)));
        self.idle.push(id);
        id
    }

    /// Calls `handler` with each panic that stays in its handler; see [`OnPanic`]. A panic in it goes on.
    ///
    /// Replaces the one there was.
    pub fn on_panic<F>(&mut self, handler: F)
    where
        F: FnMut(&mut S, &HandlerPanic, &mut Context<S>) + Send + 'static,
    {
        self.panic_callback = Some(Box::new(handler));
    }

    /// Sets the priority of a source. `false` when there is no such source; timers have none, and are always
    /// first. Foreign channels are asked every round, whatever their priority. For a handler of a timeline it
    /// is the priority of the timeline.
    pub fn set_priority(&mut self, id: HandlerId, priority: Priority) -> bool {
        if !self.contains(id) {
            return false;
        }
        let id = self.slots.served_by(id);
        let scheduled = self.is_scheduled(id);
        if scheduled {
            self.schedule.set_priority(id.index(), priority);
        }
        scheduled
    }

    /// Removes a handler of any kind, and drops what it holds. `false` when there is no such handler.
    ///
    /// One whose [`HandlerGuard`] was dropped is none any more; what it still holds is dropped here.
    pub fn remove(&mut self, id: HandlerId) -> bool {
        let known = self.contains(id);
        match self.slots.remove(id) {
            Removal::Unknown => {}
            Removal::Called => {
                if self.call.id == Some(id) {
                    self.call.interrupted = true;
                    self.call.watched = true;
                }
            }
            Removal::Done(removed) => self.forget(id, removed),
        }
        known
    }

    /// Whether there is such a handler. One-shot timers are gone once they have fired, sources when they
    /// have ended, and any handler when a [guard](Self::guard) of it was dropped.
    #[must_use]
    pub fn contains(&self, id: HandlerId) -> bool {
        self.slots.is_callable(id)
    }

    /// A guard that removes a handler when it is dropped, from whichever thread; `None` when there is no
    /// such handler.
    #[must_use = "the handler is removed when the guard is dropped"]
    pub fn guard(&mut self, id: HandlerId) -> Option<HandlerGuard> {
        if !self.contains(id) {
            return None;
        }
        let known = &mut self.slots.extras(id).calls;
        let is_new = known.is_none();
        let calls = Arc::clone(known.get_or_insert_with(|| Arc::new(Calls::new())));
        if is_new && self.call.id == Some(id) {
            // This very call counts too.
            calls.begin();
            self.call.begun = true;
            self.call.calls = Some(Arc::clone(&calls));
            self.call.watched = true;
        }
        Some(HandlerGuard::new(id, calls, Arc::clone(&self.control)))
    }

    /// Publishes an event without ever waiting.
    ///
    /// If the topic's ring has room the event is there when this returns. If not, it waits in the reactor's
    /// outbox, which is flushed between handlers: in order for each topic, and while it waits the topic
    /// counts the reactor as one of its publishers. The reactor goes on handling events meanwhile, and so
    /// frees the rings it reads: reactors that flood each other make progress, and learn of it here. The
    /// topic's observers see the event once, here, also if it has to wait.
    ///
    /// # Errors
    ///
    /// Gives the event back when the topic is closed, when an [observer](crate::Observer) vetoes it, when it is published
    /// inside of [`MAX_OBSERVER_DEPTH`](crate::MAX_OBSERVER_DEPTH) observers, and when the ring and the outbox are both full:
    /// `WouldDeadlock` if the subscriber in the way is one that this very thread reads, else `Full`. Events
    /// whose topic closes while they wait are dropped, and counted as
    /// [`undeliverable`](ReactorSnapshot::undeliverable).
    pub fn publish<T: Send + Sync + 'static>(
        &mut self,
        publisher: &Publisher<T>,
        event: T,
    ) -> Result<(), OutboxError<T>> {
        self.outbox.publish(publisher, event).inspect_err(|_| {
            self.totals.refused += 1;
        })
    }

    /// How many more events the outbox takes while the rings they go to are full.
    #[must_use]
    pub fn outbox_room(&self) -> usize {
        self.outbox.capacity() - self.outbox.len()
    }

    /// The time of this round: read once between two handlers, and the same for all that fire together.
    /// Outside of a run or a turn, the time of the clock.
    pub fn now(&mut self) -> Instant {
        if self.in_round {
            *self.now.get_or_insert_with(|| self.clock.now())
        } else {
            self.clock.now()
        }
    }

    /// The reactor's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Ends the run or the turn when the handler that is running returns. Not handled events stay.
    ///
    /// Outside of a handler it is the next run or turn that ends, at once.
    pub fn stop(&mut self) {
        self.stop = true;
        self.call.interrupted = true;
        self.call.watched = true;
    }

    /// Stops the reactor from other threads.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle::new(&self.control)
    }

    /// The reactor's numbers.
    #[must_use]
    pub fn snapshot(&self) -> ReactorSnapshot {
        ReactorSnapshot {
            handled: self.handled,
            outbox: self.outbox.len(),
            undeliverable: self.outbox.lost(),
            open: self.totals.open - self.severed_sources(),
            ..self.totals
        }
    }

    /// Sources whose guards were dropped and that the reactor has not come to.
    fn severed_sources(&self) -> usize {
        let mut severed = self.control.removed();
        severed.sort_unstable();
        severed.dedup();
        severed.retain(|&id| {
            self.is_scheduled(id)
                || self.foreign.contains(&id)
                || self.slots.is_live(id) && self.slots.is_branch(id)
        });
        severed.len()
    }

    /// Gives a handler its id, and notes where it is added.
    #[track_caller]
    pub(super) fn add_handler(&mut self, body: Body<S>) -> HandlerId {
        let id = self.slots.add(body);
        self.control.pulse.name(id, Location::caller());
        id
    }

    #[track_caller]
    pub(crate) fn add_source(&mut self, source: Box<dyn Source<S>>) -> HandlerId {
        let foreign = source.is_foreign();
        let id = self.add_handler(Body::Source(source));
        if foreign {
            self.foreign.push(id);
        } else {
            self.schedule.add(id.index());
        }
        self.had_source = true;
        self.totals.open += 1;
        id
    }

    #[track_caller]
    fn add_timer(
        &mut self,
        at: Option<Instant>,
        every: Option<(Duration, MissedTicks)>,
        callback: Callback<S>,
    ) -> HandlerId {
        let timer = Other::Timer { callback, every };
        let id = self.add_handler(Body::Other(Box::new(timer)));
        self.live_timers += 1;
        // A time beyond what the clock can tell never comes. One that has passed is now, so that it comes
        // behind those that are due already.
        if let Some(at) = at {
            let now = self.now();
            self.timers.set(id, at.max(now));
        }
        id
    }

    pub(super) fn is_scheduled(&self, id: HandlerId) -> bool {
        self.slots.is_live(id) && self.schedule.contains(id.index())
    }

    /// Takes a removed handler out of wherever it is known, and drops it.
    pub(super) fn forget(&mut self, id: HandlerId, (mut body, extras): Removed<S>) {
        let mut parted = None;
        let mut timed = extras
            .as_ref()
            .is_some_and(|extras| extras.expectation.is_some());
        match &mut body {
            Body::Source(source) => {
                if source.merge().is_some() {
                    self.merges.retain(|(_, other)| *other != id);
                } else {
                    self.totals.open -= 1;
                }
                if source.is_foreign() {
                    self.foreign.retain(|&other| other != id);
                } else {
                    source.delist(self.schedule.waiter(id.index()));
                    self.schedule.remove(id.index());
                }
            }
            Body::Other(other) => match **other {
                Other::Timer { .. } => {
                    timed = true;
                    self.live_timers -= 1;
                }
                Other::Idle(_) => self.idle.retain(|&other| other != id),
                Other::Branch { merge } => parted = self.leave_merge(id, merge),
            },
        }
        if timed {
            let Self { timers, slots, .. } = self;
            timers.cancel(|id| slots.is_live(id));
        }
        // User code, so last.
        drop(parted);
    }

    /// Whether the handler that is being called is given another event.
    #[inline(always)]
    pub(crate) fn flow(&mut self) -> ControlFlow<()> {
        if self.call.watched || self.control.is_asked() {
            self.flow_slow()
        } else {
            ControlFlow::Continue(())
        }
    }

    #[cold]
    fn flow_slow(&mut self) -> ControlFlow<()> {
        if self.control.is_paced() {
            self.control.pulse.beat();
        }
        let Call {
            interrupted,
            until,
            calls,
            ..
        } = &self.call;
        let severed = calls.as_ref().is_some_and(|calls| calls.is_severed());
        if *interrupted
            || severed
            || self.control.is_stopping()
            || until.is_some_and(|until| self.clock.now() >= until)
        {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Settles a panic in the middle of a call; one that is to go on does so after the call.
    fn postpone(&mut self, id: HandlerId, unwind: Unwind, state: &mut S) {
        if let Err(unwind) = self.settle_panic(id, unwind, state) {
            self.call.unwind.get_or_insert(unwind);
            self.call.interrupted = true;
            self.call.watched = true;
        }
    }

    /// Counts a loss and tells it.
    #[cold]
    pub(super) fn lagged(&mut self, id: HandlerId, missed: u64, state: &mut S) {
        self.totals.missed += missed;
        let callback = self
            .slots
            .known_extras(id)
            .and_then(|extras| extras.lag.take());
        if let Some(mut callback) = callback {
            let outcome = catch_unwind(AssertUnwindSafe(|| callback(state, missed, self)));
            if let Some(extras) = self.slots.known_extras(id) {
                // It may have set another.
                extras.lag.get_or_insert(callback);
            }
            if let Err(unwind) = outcome {
                // The event that follows is handled all the same.
                self.postpone(id, unwind, state);
            }
        }
    }
}

/// Takes the bells down, which would otherwise hang where nothing is published.
impl<S> Drop for Context<S> {
    fn drop(&mut self) {
        for index in 0..self.schedule.len() {
            if let Some(source) = self.slots.source(index)
                && self.schedule.contains(index)
            {
                source.delist(self.schedule.waiter(index));
            }
        }
        self.clock
            .delist(&Waiter::Bell(Arc::clone(&self.clock_bell)));
    }
}

fn once<S>(handler: impl FnOnce(&mut S, &mut Context<S>) + Send + 'static) -> Callback<S> {
    let mut handler = Some(handler);
    Box::new(move |state, context| {
        if let Some(handler) = handler.take() {
            handler(state, context);
        }
    })
}

impl<S> fmt::Debug for Context<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("handlers", &self.slots)
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}
