//! Subscribers that come after others.

use std::fmt;
use std::time::Instant;

use super::core::Core;
use super::error::{PollError, SubscribeError};
use super::overflow::Overflow;
use super::publish::GRACE;
use super::subscriber::{Subscriber, passed};
use crate::ring::{Found, Reader, Upstream, Whose, Worker};
use crate::sync::{Arc, WaitSet};

/// Names a subscriber to those that come after it; made by [`Subscriber::stage`].
///
/// Subscribers of one topic make a pipeline, a diamond, or any other graph without a circle, by
/// [`after`](crate::SubscriberBuilder::after): one that comes after others sees an event only when all of them
/// are done with it, and sees whatever they did before.
///
/// A subscriber is done with an event when the call that showed it has returned or unwound: all events of one
/// `poll` at once, so its `max` bounds how long those behind wait, and with `recv` before the caller has looked
/// at the clone. What must be done first belongs into a handler. An event that its filter refused it is done
/// with.
///
/// One that leaves, also because its thread panics, holds nobody up from then on. Those that come after it
/// still come after those that it came after: if `act` comes after `replicate` and that after `journal`, then
/// `act` sees nothing that `journal` is not done with, also when `replicate` is gone.
///
/// A [group](crate::GroupBuilder::after) may come after subscribers too. Nobody can come after a group, whose
/// members are done with events in no order.
///
/// Whoever comes after others may have any overflow; those that it comes after must be lossless. Publishers
/// wait for the slowest lossless one, which is the last of a pipeline.
///
/// # Waiting
///
/// A thread that waits for a subscriber to have an event while only that thread reads another that has to let
/// the event through first would wait for ever: it is told `WouldDeadlock` instead. A thread reads a
/// subscriber if it was the last to do so; for one that it opened and nobody has read yet, the answer comes
/// after a second. A [`Reactor`](crate::Reactor) and [`select!`](crate::select!), which may serve both, are not
/// told.
///
/// ```
/// use ringbus::Bus;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// static JOURNALLED: AtomicU64 = AtomicU64::new(0);
///
/// let bus = Bus::new();
/// let orders = bus.topic::<u64>();
/// let mut journal = orders.subscribe();
/// let journalled = journal.stage();
/// std::thread::spawn(move || {
///     let store = |order: &u64, _| JOURNALLED.store(*order, Ordering::Relaxed);
///     while journal.poll_wait(64, store).is_ok() {}
/// });
///
/// let mut act = orders.subscriber().name("act").after(&journalled).open()?;
/// orders.publish(7)?;
/// assert_eq!(act.recv()?, 7);
/// assert_eq!(JOURNALLED.load(Ordering::Relaxed), 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a stage is a name for `after`"]
pub struct Stage<T: Send + Sync + 'static> {
    core: Arc<Core<T>>,
    overflow: Overflow,
    /// The subscriber, and those that it comes after.
    lineage: Vec<Upstream>,
}

impl<T: Send + Sync + 'static> Stage<T> {
    /// Whether subscribers of this topic may come after it.
    pub(super) fn check(&self, core: &Arc<Core<T>>) -> Result<(), SubscribeError> {
        if !Arc::ptr_eq(&self.core, core) {
            Err(SubscribeError::OtherTopic)
        } else if self.overflow != Overflow::Block {
            Err(SubscribeError::AfterLossy)
        } else if core.settings().grow_to.is_some() {
            Err(SubscribeError::AfterGrowing)
        } else {
            Ok(())
        }
    }

    pub(super) fn lineage(&self) -> &[Upstream] {
        &self.lineage
    }
}

impl<T: Send + Sync + 'static> Clone for Stage<T> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            overflow: self.overflow,
            lineage: self.lineage.clone(),
        }
    }
}

impl<T: Send + Sync + 'static> From<&Stage<T>> for Stage<T> {
    fn from(stage: &Stage<T>) -> Self {
        stage.clone()
    }
}

impl<T: Send + Sync + 'static> From<&Subscriber<T>> for Stage<T> {
    fn from(subscriber: &Subscriber<T>) -> Self {
        subscriber.stage()
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Stage<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("topic", &self.core.name())
            .field("overflow", &self.overflow)
            .finish_non_exhaustive()
    }
}

/// Who waits for those that it comes after.
pub(super) trait Follower {
    type Found;

    fn look(&mut self) -> Option<Self::Found>;
    fn is_set_free(&self) -> bool;
    fn held_by(&self) -> Option<Whose>;
    fn may_hold_itself(&self) -> bool;
}

impl<T> Follower for Reader<T> {
    type Found = Found;

    fn look(&mut self) -> Option<Found> {
        match self.find(1) {
            Found::Empty => None,
            found => Some(found),
        }
    }

    fn is_set_free(&self) -> bool {
        Self::is_set_free(self)
    }

    fn held_by(&self) -> Option<Whose> {
        Self::held_by(self)
    }

    fn may_hold_itself(&self) -> bool {
        Self::may_hold_itself(self)
    }
}

impl<T> Follower for Worker<T> {
    type Found = ();

    fn look(&mut self) -> Option<()> {
        self.is_ready().then_some(())
    }

    fn is_set_free(&self) -> bool {
        Self::is_set_free(self)
    }

    fn held_by(&self) -> Option<Whose> {
        Self::held_by(self)
    }

    fn may_hold_itself(&self) -> bool {
        Self::may_hold_itself(self)
    }
}

/// What came of a wait for others.
pub(super) enum Waited<F> {
    Found(F),
    /// They have left.
    Free,
    /// The deadline has passed.
    Late,
    /// This thread would wait for itself.
    ForItself,
}

/// What ends a wait for others.
enum Answer<F> {
    Found(F),
    /// They have left.
    Free,
    /// This thread waits for itself, for certain.
    Itself,
    /// It does perhaps, and did not before; or the other way round.
    Perhaps,
}

impl<T: Send + Sync + 'static> Subscriber<T> {
    /// A name for this subscriber, for those that come [after](crate::SubscriberBuilder::after) it: it stays
    /// of use when the subscriber has gone to another thread or into a reactor.
    pub fn stage(&self) -> Stage<T> {
        self.listing.follow();
        Stage {
            core: Arc::clone(self.listing.shared_core()),
            overflow: self.overflow(),
            lineage: self.reader.lineage(),
        }
    }

    pub(super) fn come_after(&mut self, stages: &[Stage<T>]) {
        let upstreams = stages.iter().flat_map(|stage| &stage.lineage);
        self.reader.come_after(upstreams);
        if self.reader.is_behind() {
            self.listing.note_special();
        }
    }

    pub(crate) fn comes_after_others(&self) -> bool {
        self.reader.comes_after_others()
    }

    /// Where what it waits for is told.
    pub(super) fn waits_on(&self) -> &WaitSet {
        let core = self.listing.core();
        if self.reader.is_behind() {
            &core.passed
        } else {
            &core.events
        }
    }

    /// Waits for publishers from now on, if those that it comes after have left.
    ///
    /// Asked before it waits. Until then it is ready once they have left, so that nothing of it sleeps where
    /// nothing comes any more.
    pub(super) fn note_freedom(&mut self) {
        if self.reader.is_set_free() {
            self.reader.forget_upstreams();
            // Its bell or hook is called from there, and will be hung up in the other place.
            self.listing.core().passed.notify();
        }
    }

    /// As `wait`, while it comes after others.
    #[cold]
    pub(super) fn wait_behind(&mut self, deadline: Option<Instant>) -> Result<bool, PollError> {
        let Self {
            reader, listing, ..
        } = self;
        match wait_for_others(listing.core(), reader, deadline) {
            Waited::Found(Found::Closed) => Err(PollError::Closed),
            Waited::Found(Found::Expelled(missed)) => Err(PollError::Disconnected(missed)),
            Waited::Found(_) => Ok(true),
            Waited::Late => Ok(false),
            Waited::ForItself => Err(PollError::WouldDeadlock),
            Waited::Free => {
                self.note_freedom();
                self.wait(deadline)
            }
        }
    }
}

/// Waits until there is something to look at, or nobody to wait for any more.
pub(super) fn wait_for_others<T, R: Follower>(
    core: &Core<T>,
    reader: &mut R,
    deadline: Option<Instant>,
) -> Waited<R::Found> {
    // Only a thread that perhaps waits for itself is woken by publishers: by then it knows.
    let itself = reader.may_hold_itself();
    let sets = [&core.passed, &core.events];
    let sets = if itself { &sets[..] } else { &sets[..1] };
    // Set while it is held up by what perhaps only this thread can read.
    let mut grace: Option<Instant> = None;
    loop {
        let until = deadline.into_iter().chain(grace).min();
        let look = || match reader.look() {
            Some(found) => Some(Answer::Found(found)),
            None if reader.is_set_free() => Some(Answer::Free),
            None if itself => match reader.held_by() {
                Some(Whose::ReadHere) => Some(Answer::Itself),
                held => {
                    let perhaps = held == Some(Whose::OpenedHere);
                    (perhaps != grace.is_some()).then_some(Answer::Perhaps)
                }
            },
            None => None,
        };
        let strategy = core.settings().wait;
        match strategy.wait_for_any(sets, Some(&core.parked), until, look) {
            Some(Answer::Found(found)) => return Waited::Found(found),
            Some(Answer::Free) => return Waited::Free,
            Some(Answer::Itself) => return Waited::ForItself,
            Some(Answer::Perhaps) => {
                grace = grace.is_none().then(|| Instant::now() + GRACE);
            }
            None if passed(deadline) => return Waited::Late,
            None => return Waited::ForItself,
        }
    }
}
