//! Handlers of several topics, called in the order of one timeline.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::context::Context;
use super::drive::Unwind;
use super::handler::{HandlerId, HandlerPanic};
use super::slots::{Body, Other};
use super::source::{Outcome, Source};
use crate::channel::{Subscriber, Timeline};
use crate::ring::{Next, Sequencer};
use crate::sync::{Arc, Waiter};

/// Adds handlers that are called in the order of a timeline; made by
/// [`Context::timeline`](crate::Context::timeline).
pub struct TimelineHandlers<'a, S> {
    context: &'a mut Context<S>,
    timeline: Timeline,
}

impl<'a, S: 'static> TimelineHandlers<'a, S> {
    pub(super) fn new(context: &'a mut Context<S>, timeline: &Timeline) -> Self {
        Self {
            context,
            timeline: timeline.clone(),
        }
    }

    /// Calls `handler` with each event of a subscription, by reference, in its place among the events of the
    /// timeline's other handlers. Those of one topic are called in the order in which they were added.
    ///
    /// Which event [`Overflow::Latest`](crate::Overflow::Latest) takes is decided when the reactor looks at the
    /// topic, once a round; the event then keeps its place.
    ///
    /// # Panics
    ///
    /// When the subscription's topic is not on this timeline, and when the subscription
    /// [comes after](crate::SubscriberBuilder::after) others: what they let through late would be out of order.
    #[track_caller]
    pub fn on<T, F>(&mut self, subscriber: Subscriber<T>, handler: F) -> HandlerId
    where
        T: Send + Sync + 'static,
        F: FnMut(&mut S, &T, &mut Context<S>) + Send + 'static,
    {
        let sequencer = self.timeline.sequencer();
        assert!(
            subscriber
                .sequencer()
                .is_some_and(|other| Arc::ptr_eq(other, sequencer)),
            "a handler of a timeline must be given a subscription to one of its topics, got {subscriber:?}"
        );
        assert!(
            !subscriber.comes_after_others(),
            "a handler of a timeline must be given a subscription that comes after no other, got {subscriber:?}"
        );
        let stream = Box::new(Handled {
            subscriber,
            handler,
        });
        self.context.add_branch(sequencer, stream)
    }
}

impl<S> fmt::Debug for TimelineHandlers<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimelineHandlers")
            .field("timeline", &self.timeline)
            .finish_non_exhaustive()
    }
}

/// A subscription of a timeline with its handler.
pub(super) trait Stream<S>: Send {
    /// What comes next; a lossy subscription then keeps it.
    fn next(&mut self) -> Next;

    fn peek(&self) -> Next;

    /// Hands up to `max` events with places below `bound` to the handler, while the context's flow goes on;
    /// counts each in `handled` before its handler runs.
    fn show(
        &mut self,
        id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        bound: u64,
        max: usize,
        handled: &mut usize,
    );

    /// Events that were missed and not told.
    fn take_missed(&mut self) -> u64;

    fn enlist(&self, waiter: &Waiter);

    fn delist(&self, waiter: &Waiter);

    fn fence(&mut self);

    fn take_fence_away(&mut self);

    fn left(&self) -> u64;

    /// Tells that its handler has panicked.
    fn tell_panic(&self, panic: &HandlerPanic);

    #[cfg(feature = "services")]
    fn attend(&mut self);
}

struct Handled<T: Send + Sync + 'static, F> {
    subscriber: Subscriber<T>,
    handler: F,
}

impl<S, T, F> Stream<S> for Handled<T, F>
where
    T: Send + Sync + 'static,
    F: FnMut(&mut S, &T, &mut Context<S>) + Send,
{
    #[inline]
    fn next(&mut self) -> Next {
        self.subscriber.next_place()
    }

    #[inline]
    fn peek(&self) -> Next {
        self.subscriber.peek_place()
    }

    #[inline]
    fn show(
        &mut self,
        id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        bound: u64,
        max: usize,
        handled: &mut usize,
    ) {
        let Self {
            subscriber,
            handler,
        } = self;
        subscriber.show_before(bound, max, |event, meta, place| {
            context.place = Some(place);
            if meta.missed > 0 {
                context.lagged(id, meta.missed, state);
                if !context.contains(id) {
                    return ControlFlow::Break(());
                }
            }
            *handled += 1;
            handler(state, event, context);
            context.flow()
        });
    }

    fn take_missed(&mut self) -> u64 {
        self.subscriber.take_missed()
    }

    fn enlist(&self, waiter: &Waiter) {
        self.subscriber.enlist(waiter);
    }

    fn delist(&self, waiter: &Waiter) {
        self.subscriber.delist(waiter);
    }

    fn fence(&mut self) {
        self.subscriber.fence();
    }

    fn take_fence_away(&mut self) {
        self.subscriber.take_fence_away();
    }

    fn left(&self) -> u64 {
        self.subscriber.left()
    }

    fn tell_panic(&self, panic: &HandlerPanic) {
        self.subscriber.tell_panic(panic.location, panic.message());
    }

    #[cfg(feature = "services")]
    fn attend(&mut self) {
        self.subscriber.note_thread();
    }
}

/// One of the subscriptions that a [`Merge`] merges.
pub(super) struct Branch<S> {
    id: HandlerId,
    /// Marks the merge. A bell of its own, as each of the topics takes down only its own.
    bell: Waiter,
    /// Added in the turn that runs, and not of it.
    fresh: bool,
    /// What was found last. An end is found once, and stays.
    head: Next,
    stream: Box<dyn Stream<S>>,
}

impl<S> Branch<S> {
    /// Looks for what comes next, and tells its place if there is something.
    #[inline]
    fn look(&mut self) -> Option<u64> {
        if !self.has_ended() {
            self.head = self.stream.next();
        }
        match self.head {
            Next::Event(place) | Next::Coming(place) => Some(place),
            _ => None,
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self.head, Next::Closed | Next::Expelled(_))
    }

    fn is_coming(&self) -> bool {
        matches!(self.head, Next::Coming(_))
    }
}

/// Takes the bell down, which would otherwise hang where nothing is published.
impl<S> Drop for Branch<S> {
    fn drop(&mut self) {
        self.stream.delist(&self.bell);
    }
}

/// The handlers of one timeline: a source that hands out the events of several subscriptions in the order of
/// their places.
///
/// A round looks at each subscription once. Then the heads of those that have something are in a heap, and an
/// event costs the logarithm of their number.
pub(crate) struct Merge<S> {
    sequencer: Arc<Sequencer>,
    branches: Vec<Branch<S>>,
    /// Branches with something before the round's bound, by its place.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    /// The bound of every round of a turn.
    fence: Option<u64>,
}

impl<S> Merge<S> {
    pub(super) fn new(sequencer: &Arc<Sequencer>) -> Self {
        Self {
            sequencer: Arc::clone(sequencer),
            branches: Vec::new(),
            heads: BinaryHeap::new(),
            fence: None,
        }
    }

    pub(super) fn adopt(&mut self, branch: Branch<S>) {
        self.branches.push(branch);
        // A round allocates nothing.
        self.heads.reserve(self.branches.len());
    }

    /// Takes a branch out, for its owner to drop.
    pub(super) fn part_with(&mut self, id: HandlerId) -> Option<Branch<S>> {
        let at = self.branches.iter().position(|branch| branch.id == id)?;
        Some(self.branches.remove(at))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.branches.is_empty()
    }

    /// The branches of this turn.
    fn taking_part(&self) -> impl Iterator<Item = &Branch<S>> {
        let fenced = self.fence.is_some();
        let branches = self.branches.iter();
        branches.filter(move |branch| !(fenced && branch.fresh))
    }

    /// Whether a round would do something.
    fn has_next(&self) -> bool {
        let mut first = self.fence.unwrap_or(u64::MAX);
        let mut there = false;
        for branch in self.taking_part() {
            if branch.has_ended() {
                return true;
            }
            match branch.stream.peek() {
                Next::Event(place) if place < first => (first, there) = (place, true),
                Next::Coming(place) if place < first => (first, there) = (place, false),
                Next::Event(_) | Next::Coming(_) | Next::Nothing => {}
                Next::Holes | Next::Closed | Next::Expelled(_) => return true,
            }
        }
        there
    }

    /// Looks for the next of a branch, and puts it in line if it is before `bound`; tells whether it is.
    #[inline]
    fn line_up(&mut self, at: usize, bound: u64) -> bool {
        match self.branches[at].look() {
            Some(place) if place < bound => {
                self.heads.push(Reverse((place, at)));
                true
            }
            _ => false,
        }
    }

    /// Hands out what has a place below the fence, or below the next place if there is no fence.
    fn round(
        &mut self,
        state: &mut S,
        context: &mut Context<S>,
        until: Option<Instant>,
        max: usize,
        handled: &mut usize,
    ) -> Result<(), Unwind> {
        // Read first: every smaller place is seen to be claimed in the looks that follow. So a topic that
        // shows neither an event nor a claim brings none, and is of no further interest to this round.
        let bound = self.fence.unwrap_or_else(|| self.sequencer.next());
        self.heads.clear();
        let mut at = 0;
        while at < self.branches.len() {
            let branch = &self.branches[at];
            if !(self.fence.is_some() && branch.fresh) {
                self.line_up(at, bound);
                if self.branches[at].has_ended() {
                    self.end(at, state, context)?;
                    if context.is_stopping() {
                        return Ok(());
                    }
                    continue;
                }
            }
            at += 1;
        }
        while *handled < max && !context.roster_changed && !context.is_stopping() {
            let Some(Reverse((place, at))) = self.heads.pop() else {
                break;
            };
            let branch = &mut self.branches[at];
            if branch.is_coming() {
                if self.line_up(at, bound) && self.branches[at].is_coming() {
                    // Nobody may go before it. Its publisher rings when it is there.
                    break;
                }
                continue;
            }
            let next = self
                .heads
                .peek()
                .map_or(bound, |Reverse((place, _))| *place);
            // Another handler of the same topic has the same place, and comes behind the one added first.
            let next = next.max(place + 1);
            let left = max - *handled;
            let show = |state: &mut S, context: &mut Context<S>| {
                let id = branch.id;
                branch.stream.show(id, state, context, next, left, handled);
            };
            if let Err(unwind) = context.call_branch(branch.id, state, until, show) {
                context.settle_panic_and_tell(branch.id, unwind, state, |_, panic| {
                    branch.stream.tell_panic(panic);
                })?;
            }
            if until.is_some_and(|until| context.clock.now() >= until) {
                break;
            }
            self.line_up(at, bound);
        }
        Ok(())
    }

    /// Tells the end of a branch, and drops it.
    #[cold]
    fn end(&mut self, at: usize, state: &mut S, context: &mut Context<S>) -> Result<(), Unwind> {
        let branch = &mut self.branches[at];
        let missed = match branch.head {
            Next::Expelled(missed) => missed,
            // A loss that no event follows is told with the end.
            _ => branch.stream.take_missed(),
        };
        let id = branch.id;
        let branch = self.branches.remove(at);
        let told = context.end(id, missed, state);
        told.and(context.drop_branch(id, branch, state))
    }

    /// Takes in what was added in the round, and drops what was removed in it.
    #[cold]
    fn muster(
        &mut self,
        id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
    ) -> Result<(), Unwind> {
        context.roster_changed = false;
        let mut outcome = Ok(());
        for branch in context.take_joining(id) {
            self.adopt(branch);
        }
        let mut at = 0;
        while at < self.branches.len() {
            let id = self.branches[at].id;
            // One that was severed is removed first, as any other.
            if context.slots.is_live(id) {
                at += 1;
            } else {
                let branch = self.branches.remove(at);
                outcome = outcome.and(context.drop_branch(id, branch, state));
            }
        }
        outcome
    }
}

impl<S> Source<S> for Merge<S> {
    fn serve(
        &mut self,
        id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        max: usize,
        handled: &mut usize,
    ) -> Outcome {
        if context.in_turn && self.fence.is_none() {
            // It was not ready when the turn began: what has come since is not of the turn.
            return Outcome::Dry;
        }
        // Each handler's call is one of its own.
        let call = std::mem::take(&mut context.call);
        let mut outcome = self.round(state, context, call.until, max, handled);
        context.place = None;
        // Again, as dropping what was removed runs code of the user's.
        while context.roster_changed {
            outcome = outcome.and(self.muster(id, state, context));
        }
        context.call = call;
        if let Err(unwind) = outcome {
            context.call.unwind = Some(unwind);
            context.call.watched = true;
        }
        if self.branches.is_empty() {
            Outcome::Ended(0)
        } else if self.has_next() {
            Outcome::More
        } else {
            self.take_fence_away();
            Outcome::Dry
        }
    }

    fn is_ready(&self) -> bool {
        self.has_next()
    }

    fn enlist(&self, waiter: &Waiter) {
        if let Waiter::Bell(bell) = waiter {
            // It hangs nowhere; the branches' do.
            bell.disarm();
        }
        for branch in &self.branches {
            if let Waiter::Bell(bell) = &branch.bell
                && bell.arm()
            {
                branch.stream.enlist(&branch.bell);
            }
        }
    }

    fn delist(&self, _waiter: &Waiter) {
        for branch in &self.branches {
            branch.stream.delist(&branch.bell);
        }
    }

    fn fence_if_ready(&mut self) -> bool {
        for branch in &mut self.branches {
            branch.fresh = false;
        }
        let ready = self.has_next();
        if ready {
            // As in a round: the place first.
            self.fence = Some(self.sequencer.next());
            for branch in &mut self.branches {
                branch.stream.fence();
            }
        }
        ready
    }

    fn take_fence_away(&mut self) {
        if self.fence.take().is_some() {
            for branch in &mut self.branches {
                branch.stream.take_fence_away();
            }
        }
    }

    fn left(&self) -> u64 {
        self.taking_part().map(|branch| branch.stream.left()).sum()
    }

    #[cfg(feature = "services")]
    fn attend(&mut self) {
        for branch in &mut self.branches {
            branch.stream.attend();
        }
    }

    fn merge(&mut self) -> Option<&mut Merge<S>> {
        Some(self)
    }
}

impl<S> Context<S> {
    /// The source of a timeline, made if there is none.
    #[track_caller]
    fn merge_of(&mut self, sequencer: &Arc<Sequencer>) -> HandlerId
    where
        S: 'static,
    {
        let mut known = self.merges.iter();
        if let Some((_, id)) = known.find(|(of, _)| Arc::ptr_eq(of, sequencer)) {
            return *id;
        }
        let merge = Box::new(Merge::new(sequencer));
        let id = self.add_handler(Body::Source(merge));
        self.schedule.add(id.index());
        self.merges.push((Arc::clone(sequencer), id));
        id
    }

    /// Adds a handler to those of a timeline.
    #[track_caller]
    fn add_branch(&mut self, sequencer: &Arc<Sequencer>, stream: Box<dyn Stream<S>>) -> HandlerId
    where
        S: 'static,
    {
        let merge = self.merge_of(sequencer);
        let place = Other::Branch { merge };
        let id = self.add_handler(Body::Other(Box::new(place)));
        self.had_source = true;
        self.totals.open += 1;
        let branch = Branch {
            id,
            bell: self.schedule.another_bell(merge.index()),
            fresh: self.in_turn,
            head: Next::Nothing,
            stream,
        };
        match self.slots.merge(merge) {
            Some(merging) => {
                merging.adopt(branch);
                self.schedule.recall(merge.index());
            }
            None => {
                // It is being served.
                self.joining.push((merge, branch));
                self.roster_changed = true;
            }
        }
        id
    }

    /// Takes a handler from its timeline's source. If that is being served, it does so when the handler that
    /// runs has returned.
    pub(super) fn leave_merge(&mut self, id: HandlerId, merge: HandlerId) -> Option<Branch<S>> {
        self.totals.open -= 1;
        let Some(merging) = self.slots.merge(merge) else {
            self.roster_changed = true;
            self.call.interrupted = true;
            self.call.watched = true;
            return None;
        };
        let parted = merging.part_with(id);
        if merging.is_empty() {
            self.remove(merge);
        }
        parted
    }

    fn take_joining(&mut self, merge: HandlerId) -> Vec<Branch<S>> {
        let mut taken = Vec::new();
        while let Some(at) = self.joining.iter().position(|(of, _)| *of == merge) {
            taken.push(self.joining.remove(at).1);
        }
        taken
    }

    /// Calls the handler of a branch, whose panic is still to be settled.
    #[inline]
    fn call_branch(
        &mut self,
        id: HandlerId,
        state: &mut S,
        until: Option<Instant>,
        call: impl FnOnce(&mut S, &mut Self),
    ) -> Result<(), Unwind> {
        let plain = until.is_none() && self.slots.known_extras(id).is_none();
        if plain {
            self.call_plainly(id, state, call)
        } else {
            self.call(id, state, until, call).map(drop)
        }
    }

    /// Drops a branch that was removed. What it holds may panic when it is dropped.
    fn drop_branch(
        &mut self,
        id: HandlerId,
        branch: Branch<S>,
        state: &mut S,
    ) -> Result<(), Unwind> {
        match catch_unwind(AssertUnwindSafe(|| drop(branch))) {
            Ok(()) => Ok(()),
            Err(unwind) => self.settle_panic(id, unwind, state),
        }
    }
}
