//! Many topics of one event type, read as one.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::intake::{Arrivals, Intake, Member};
use super::schedule::Schedule;
use crate::bus::Lanes;
use crate::channel::{
    Overflow, PollError, RecvError, RecvTimeoutError, TryRecvError, WaitStrategy,
};
use crate::sync::{Backoff, Waiter, spin_loop, thread_id, yield_now};

/// Events a topic is given at a time while others wait.
const ROUND: usize = 64;

/// Reads many topics of one event type as one source: those whose names match a pattern, or the
/// [`Lanes`] of one channel; those that exist, and those that appear later.
///
/// Made by [`Bus::subscribe_pattern`](crate::Bus::subscribe_pattern) and
/// [`Lanes::subscribe`](crate::Lanes::subscribe), or by their builders. It takes part in a
/// [`Reactor`](crate::Reactor) by [`on_merged`](crate::Context::on_merged) and in
/// [`select!`](crate::select!), or is read by itself like a [`Subscriber`](crate::Subscriber).
///
/// ```
/// use ringbus::Bus;
///
/// let bus = Bus::new();
/// let btc = bus.topic_named::<u64>("md.spot.btcusdt")?;
/// let mut quotes = bus.subscribe_pattern::<u64>("md.*.btcusdt")?;
/// let perp = bus.topic_named::<u64>("md.perp.btcusdt")?; // found later
/// let other = bus.topic_named::<u64>("md.spot.ethusdt")?; // not meant
///
/// btc.publish(1)?;
/// perp.publish(2)?;
/// other.publish(3)?;
/// let mut seen = vec![];
/// quotes.poll(64, |quote, meta| seen.push((meta.topic.to_string(), *quote)))?;
/// seen.sort();
/// assert_eq!(seen, [("md.perp.btcusdt".to_string(), 2), ("md.spot.btcusdt".to_string(), 1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Members
///
/// It has a subscription to each topic, all with the same [`Overflow`], name and filter, as snapshots show.
/// A topic that is opened is joined before anybody can publish to it, and one that is there when the
/// subscription is made is joined by that: a lossless one sees every event that is published after the
/// call that made it returned, and after the topic appeared, exactly once. A topic that closes is read to
/// its end and forgotten; one that is opened again under the name is a new one. Publishing costs the same
/// whether a topic is followed by its name or by a pattern.
///
/// # Order and cost
///
/// Each topic's events come in its order. Between topics none is promised: those that have events are
/// served in turns, up to 64 events at a time. A topic without traffic rings when it has an event and costs
/// nothing until then, so reading costs what is ready, however many topics there are.
///
/// # Loss
///
/// As for a [`Subscriber`](crate::Subscriber), for each topic by itself: a loss is told with the topic's
/// next event. One that no event follows, as the topic closed, is told by `recv` as
/// [`RecvError::Missed`], and by a reactor's `on_missed`. With [`Overflow::Disconnect`] the whole subscription
/// ends when it is a full ring behind in one of its topics.
///
/// # End
///
/// It is closed when no topic can appear any more, as the bus or the lanes are closed, and everything is
/// read.
#[must_use = "a subscriber that is dropped leaves at once"]
pub struct MergedSubscriber<T: Send + Sync + 'static> {
    /// In a cell, as a select looks at its sources and enlists with them by shared reference. Not borrowed
    /// while user code runs.
    schedule: RefCell<Schedule>,
    /// By their index in the schedule.
    members: Vec<Option<Member<T>>>,
    free: Vec<usize>,
    intake: Arc<Intake<T>>,
    /// What it follows, if that ends by itself.
    lanes: Option<Lanes<T>>,
    wait: WaitStrategy,
    /// No topic will appear any more.
    ended: bool,
    /// Only what is in line now is served.
    fenced: bool,
    /// The thread that reads.
    thread: u64,
    /// Calls that read, to know what each member was given by one of them.
    calls: u64,
    /// The member that was given a turn last.
    at: usize,
    /// Events missed in topics that have closed since, and not told yet.
    untold: u64,
    numbers: MergedSnapshot,
    looks: Cell<u64>,
}

/// What a [`MergedSubscriber`] knows of an event besides the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergedMeta<'a> {
    /// The name of the event's topic, or of its lane; an `Arc`, so that it may be kept without a copy.
    pub topic: &'a Arc<str>,
    /// The event's place in the topic's order. Sequences grow, and may have gaps.
    pub sequence: u64,
    /// Events of this topic that were missed since the last one of it; always 0 for a lossless subscriber.
    pub missed: u64,
}

/// An event that a [`MergedSubscriber`] hands out, with what it knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery<T> {
    /// The event.
    pub event: T,
    /// The name of its topic, or of its lane.
    pub topic: Arc<str>,
    /// Its place in the topic's order.
    pub sequence: u64,
    /// Events of this topic that were missed since the last one of it.
    pub missed: u64,
}

/// What a [`MergedSubscriber`] has done since it was made, and what it reads.
///
/// Each topic's own numbers are in the [snapshot of the bus](crate::Bus::snapshot).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergedSnapshot {
    /// Topics that it reads now: open ones, and closed ones that have something left.
    pub topics: usize,
    /// Events it was given.
    pub delivered: u64,
    /// How often it looked at a single topic. Grows with what is ready, not with the topics there are.
    pub looks: u64,
    /// How often it went to sleep, when it was read by itself.
    pub parked: u64,
}

/// Puts a member that was served back in line, when it is dropped; so also when user code unwinds.
struct Turn<'a> {
    schedule: &'a mut Schedule,
    index: usize,
    more: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.schedule.served(self.index, self.more);
    }
}

fn passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// A timeout beyond what the clock can tell is no timeout.
fn deadline(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

impl<T: Send + Sync + 'static> MergedSubscriber<T> {
    pub(super) fn of(intake: Arc<Intake<T>>, lanes: Option<Lanes<T>>, wait: WaitStrategy) -> Self {
        Self {
            schedule: RefCell::new(Schedule::new(&intake.set)),
            members: Vec::new(),
            free: Vec::new(),
            intake,
            lanes,
            wait,
            ended: false,
            fenced: false,
            thread: 0,
            calls: 0,
            at: 0,
            untold: 0,
            numbers: MergedSnapshot::default(),
            looks: Cell::new(0),
        }
    }

    /// Waits for the next event of any topic and returns a clone of it, with its topic's name.
    ///
    /// # Errors
    ///
    /// When no topic can appear any more and everything is read; when it was disconnected; and with
    /// [`Overflow::DropOldest`], when events were missed of a topic that closed without another event.
    ///
    /// # Panics
    ///
    /// When `T::clone` or the filter does; the event counts as delivered then.
    ///
    /// # Blocking
    ///
    /// Waits by the subscriber's [`WaitStrategy`].
    pub fn recv(&mut self) -> Result<Delivery<T>, RecvError>
    where
        T: Clone,
    {
        // Without a deadline the wait ends with an event or an error.
        loop {
            if let Some(delivery) = self.recv_until(None)? {
                return Ok(delivery);
            }
        }
    }

    /// Returns a clone of the next event if there is one.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and when there is no event, or the filter has refused as many as a topic's
    /// ring holds.
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Delivery<T>, TryRecvError>
    where
        T: Clone,
    {
        self.take_clone()?.ok_or(TryRecvError::Empty)
    }

    /// Waits for the next event, for `timeout` at most, and returns a clone of it.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and when no event came in time.
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Blocking
    ///
    /// As [`recv`](Self::recv), until the timeout.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Delivery<T>, RecvTimeoutError>
    where
        T: Clone,
    {
        self.recv_until(deadline(timeout))?
            .ok_or(RecvTimeoutError::Timeout)
    }

    /// Waits for the next event, until `deadline` at most, and returns a clone of it.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Blocking
    ///
    /// As [`recv`](Self::recv), until the deadline.
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Delivery<T>, RecvTimeoutError>
    where
        T: Clone,
    {
        self.recv_until(Some(deadline))?
            .ok_or(RecvTimeoutError::Timeout)
    }

    /// Shows up to `max` events to `handler`, with their topics' names, and returns how many it showed; never
    /// blocks.
    ///
    /// One call is given at most a full ring of each topic. With [`Overflow::Latest`] it is given the newest
    /// event of each. `Ok(0)` means that there was nothing, or that the filter refused what there was.
    ///
    /// # Errors
    ///
    /// When no topic can appear any more and everything is read, when it was disconnected.
    ///
    /// # Panics
    ///
    /// When `handler` or the filter does. The event it was given is done with, everything else is still
    /// there for the next call.
    pub fn poll<F>(&mut self, max: usize, mut handler: F) -> Result<usize, PollError>
    where
        F: FnMut(&T, MergedMeta<'_>),
    {
        self.poll_until(max, |event, meta| {
            handler(event, meta);
            ControlFlow::Continue(())
        })
    }

    /// Waits until there is an event, then shows up to `max` to `handler`.
    ///
    /// Returns how many it showed, at least one unless `max` is 0.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Panics
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Blocking
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_wait<F>(&mut self, max: usize, mut handler: F) -> Result<usize, PollError>
    where
        F: FnMut(&T, MergedMeta<'_>),
    {
        loop {
            let shown = self.poll(max, &mut handler)?;
            if shown > 0 || max == 0 {
                return Ok(shown);
            }
            self.wait(None);
        }
    }

    /// Waits until there is an event, until `deadline` at most, then shows up to `max` to `handler`.
    ///
    /// Returns how many it showed; 0 if none came in time.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Panics
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Blocking
    ///
    /// As [`recv`](Self::recv), until the deadline.
    pub fn poll_deadline<F>(
        &mut self,
        max: usize,
        deadline: Instant,
        mut handler: F,
    ) -> Result<usize, PollError>
    where
        F: FnMut(&T, MergedMeta<'_>),
    {
        loop {
            let shown = self.poll(max, &mut handler)?;
            // Asked also while there is something to look at: the filter may refuse all of it.
            if shown > 0 || max == 0 || passed(Some(deadline)) || !self.wait(Some(deadline)) {
                return Ok(shown);
            }
        }
    }

    /// The overflow policy of its subscriptions.
    pub fn overflow(&self) -> Overflow {
        self.intake.overflow()
    }

    /// Its numbers.
    #[must_use]
    pub fn snapshot(&self) -> MergedSnapshot {
        MergedSnapshot {
            topics: self.members.len() - self.free.len() + self.intake.waiting(),
            looks: self.looks.get(),
            ..self.numbers
        }
    }

    /// As `poll`, until `handler` breaks; the event it broke at is done with.
    pub(super) fn poll_until<F>(&mut self, max: usize, mut handler: F) -> Result<usize, PollError>
    where
        F: FnMut(&T, MergedMeta<'_>) -> ControlFlow<()>,
    {
        self.calls += 1;
        loop {
            self.gather();
            let shown = self.show(max, &mut handler)?;
            if shown > 0 || max == 0 || !self.is_over() {
                return Ok(shown);
            }
            // One that came before the end may still be to be taken in. Not behind a fence: putting it up has
            // done so.
            if self.fenced || !self.intake.set.is_rung() {
                return Err(PollError::Closed);
            }
        }
    }

    /// Serves those in line.
    fn show<F>(&mut self, max: usize, handler: &mut F) -> Result<usize, PollError>
    where
        F: FnMut(&T, MergedMeta<'_>) -> ControlFlow<()>,
    {
        let mut shown = 0;
        let mut flow = ControlFlow::Continue(());
        while shown < max && flow.is_continue() {
            let Some(index) = self.schedule.get_mut().next() else {
                break;
            };
            let left = max - shown;
            let served = self.serve(index, left, |event, meta| {
                shown += 1;
                flow = handler(event, meta);
                flow
            });
            if let Err(error) = served {
                self.leave(index, error)?;
            }
        }
        Ok(shown)
    }

    /// Tells that a handler has panicked, of the topic whose event it was given.
    pub(super) fn tell_panic(
        &self,
        handler: Option<&'static Location<'static>>,
        message: Option<&str>,
    ) {
        if let Some(Some(member)) = self.members.get(self.at) {
            member.subscriber.tell_panic(handler, message);
        }
    }

    /// Gives one member a turn.
    fn serve<F>(&mut self, index: usize, max: usize, mut handler: F) -> Result<(), PollError>
    where
        F: FnMut(&T, MergedMeta<'_>) -> ControlFlow<()>,
    {
        let overflow = self.overflow();
        let Self {
            schedule,
            members,
            numbers,
            looks,
            fenced,
            calls,
            at,
            ..
        } = self;
        *at = index;
        let Some(member) = &mut members[index] else {
            unreachable!("who is in line is a member");
        };
        let mut turn = Turn {
            schedule: schedule.get_mut(),
            index,
            more: true,
        };
        looks.set(looks.get() + 1);
        if member.call != *calls {
            member.call = *calls;
            member.given = 0;
        }
        let Member {
            topic,
            subscriber,
            given,
            ..
        } = member;
        let before = *given;
        subscriber.poll_until(max.min(ROUND), |event, meta| {
            *given += 1;
            numbers.delivered += 1;
            let meta = MergedMeta {
                topic,
                sequence: meta.sequence,
                missed: meta.missed,
            };
            handler(event, meta)
        })?;
        // A call that goes on for as long as somebody publishes would never end, and one whose filter refuses
        // everything neither. Behind a fence there is an end.
        let most = match overflow {
            Overflow::Latest => 1,
            _ => subscriber.capacity().max(ROUND),
        };
        let enough = !*fenced && (*given == before || *given >= most);
        turn.more = !enough && subscriber.is_ready();
        if !turn.more && *fenced {
            subscriber.take_fence_away();
        }
        Ok(())
    }

    /// Forgets a member that has nothing any more. With [`Overflow::Disconnect`] that may be the end of all.
    #[cold]
    fn leave(&mut self, index: usize, error: PollError) -> Result<(), PollError> {
        let mut member = self.remove(index);
        match error {
            PollError::Closed => {
                if let Some(member) = &mut member {
                    self.untold += member.subscriber.take_missed();
                }
                if self.members.len() == self.free.len()
                    && let Some(lanes) = &self.lanes
                {
                    self.ended |= lanes.is_closed();
                }
                Ok(())
            }
            PollError::Disconnected(_) => {
                self.ended = true;
                let mut rest = self.intake.leave();
                rest.extend((0..self.members.len()).filter_map(|index| self.remove(index)));
                drop(rest);
                Err(error)
            }
            PollError::WouldDeadlock => unreachable!("a member is only asked for what is there"),
        }
    }

    /// Takes a member out, whose drop is user code.
    fn remove(&mut self, index: usize) -> Option<Member<T>> {
        let member = self.members[index].take()?;
        let schedule = self.schedule.get_mut();
        member.subscriber.delist(schedule.waiter(index));
        schedule.remove(index);
        self.free.push(index);
        Some(member)
    }

    /// Sees who has rung, who has come, and who of those that had events a moment ago has more.
    pub(super) fn gather(&mut self) {
        if self.fenced {
            return;
        }
        self.note_thread();
        // Only when it has rung: a set that is watched for somebody outside must stay so, as a bell that hangs
        // outside is hung up by nobody again.
        if self.intake.set.is_rung() && self.schedule.get_mut().collect() {
            self.adopt();
        }
        let Self {
            schedule,
            members,
            looks,
            ..
        } = self;
        look(schedule.get_mut(), members, looks);
    }

    #[cold]
    fn adopt(&mut self) {
        let Arrivals { members, ended, .. } = self.intake.take();
        self.ended |= ended;
        if members.is_empty() {
            return;
        }
        for mut member in members {
            member.subscriber.note_thread();
            let index = self.free.pop().unwrap_or_else(|| {
                self.members.push(None);
                self.members.len() - 1
            });
            self.members[index] = Some(member);
            self.schedule.get_mut().add(index);
        }
        // At once and with one barrier, so that those who never have an event are never looked at again.
        let Self {
            schedule,
            members,
            looks,
            ..
        } = self;
        arm(schedule.get_mut(), members, looks);
    }

    /// Has publishers know who reads, also those of topics that it has not come to.
    fn note_thread(&mut self) {
        let me = thread_id();
        if self.thread != me {
            self.thread = me;
            self.intake.reader.set(me);
            for member in self.members.iter_mut().flatten() {
                member.subscriber.note_thread();
            }
        }
    }

    /// Whether no topic can appear any more, and none is left.
    fn is_over(&self) -> bool {
        self.ended && self.members.len() == self.free.len()
    }

    /// Whether there is something to read, or the end.
    pub(super) fn is_ready(&self) -> bool {
        let schedule = &mut *self.schedule.borrow_mut();
        if schedule.has_hot() || self.is_over() {
            return true;
        }
        if self.fenced {
            return false;
        }
        if self.intake.set.is_rung() {
            return true;
        }
        look(schedule, &self.members, &self.looks);
        schedule.has_hot()
    }

    /// Wakes `waiter` for the next change, also when there is something already.
    pub(super) fn enlist(&self, waiter: &Waiter) {
        let schedule = &mut *self.schedule.borrow_mut();
        arm(schedule, &self.members, &self.looks);
        let Intake { set, outer, .. } = &*self.intake;
        outer.enlist(waiter);
        // Edge `watch`: from here on the first member that rings wakes the waiter. What rang before, or was
        // ready without, does so now: a bell that hangs here must be rung by somebody.
        let rung = !set.watch();
        if rung || schedule.has_hot() {
            outer.notify();
        }
    }

    pub(super) fn delist(&self, waiter: &Waiter) {
        self.intake.outer.leave(waiter);
        self.intake.set.unwatch();
    }

    pub(super) fn strategy(&self) -> WaitStrategy {
        self.wait
    }

    /// Events missed in topics that closed without another event, since the last call.
    pub(super) fn take_untold(&mut self) -> u64 {
        std::mem::take(&mut self.untold)
    }

    /// Hides what is published from now on, in all topics, if there is something to read; tells whether
    /// there is.
    pub(super) fn fence_if_ready(&mut self) -> bool {
        self.gather();
        let Self {
            schedule, members, ..
        } = self;
        schedule.get_mut().for_each_hot(|index| {
            if let Some(member) = &mut members[index] {
                member.subscriber.fence();
            }
        });
        self.fenced = self.schedule.get_mut().has_hot() || self.is_over();
        self.fenced
    }

    pub(super) fn take_fence_away(&mut self) {
        self.fenced = false;
        let Self {
            schedule, members, ..
        } = self;
        schedule.get_mut().for_each_hot(|index| {
            if let Some(member) = &mut members[index] {
                member.subscriber.take_fence_away();
            }
        });
    }

    /// About how many events wait, before the fence if there is one, in the topics in line.
    pub(super) fn left(&self) -> u64 {
        let mut left = 0;
        self.schedule.borrow().for_each_hot(|index| {
            if let Some(member) = &self.members[index] {
                left += member.subscriber.left();
            }
        });
        left
    }

    /// How many events wait, also in topics that have not come to its notice before.
    #[cfg(feature = "services")]
    pub(super) fn pending(&mut self) -> u64 {
        self.gather();
        let members = self.members.iter().flatten();
        members.map(|member| member.subscriber.left()).sum()
    }

    /// Waits until there is something to look at; `false` when `deadline` passed without.
    fn wait(&mut self, deadline: Option<Instant>) -> bool {
        let backoff = Backoff::new();
        loop {
            self.gather();
            if self.schedule.get_mut().has_hot() || self.is_over() {
                return true;
            }
            if passed(deadline) {
                return false;
            }
            match self.wait {
                WaitStrategy::Spin => spin_loop(),
                WaitStrategy::Yield => yield_now(),
                WaitStrategy::Park if backoff.is_completed() => self.park(deadline),
                WaitStrategy::Park => backoff.snooze(),
            }
        }
    }

    #[cold]
    fn park(&mut self, deadline: Option<Instant>) {
        let Self {
            schedule,
            members,
            looks,
            ..
        } = self;
        let schedule = schedule.get_mut();
        arm(schedule, members, looks);
        if !schedule.has_hot() {
            self.numbers.parked += 1;
            schedule.park(deadline);
        }
    }

    /// A clone of the next event, or `None` if there is none now.
    fn take_clone(&mut self) -> Result<Option<Delivery<T>>, RecvError>
    where
        T: Clone,
    {
        let mut taken = None;
        let polled = self.poll_until(1, |event, meta| {
            taken = Some(Delivery {
                event: event.clone(),
                topic: Arc::clone(meta.topic),
                sequence: meta.sequence,
                missed: meta.missed,
            });
            ControlFlow::Break(())
        });
        match (taken, polled) {
            (Some(delivery), _) => Ok(Some(delivery)),
            (None, Ok(_) | Err(PollError::Closed)) if self.tells_missed() => {
                Err(RecvError::Missed(self.take_untold()))
            }
            (None, Ok(_)) => Ok(None),
            (None, Err(error)) => Err(error.into()),
        }
    }

    fn tells_missed(&self) -> bool {
        self.untold > 0 && self.overflow() == Overflow::DropOldest
    }

    fn recv_until(&mut self, deadline: Option<Instant>) -> Result<Option<Delivery<T>>, RecvError>
    where
        T: Clone,
    {
        loop {
            if let Some(delivery) = self.take_clone()? {
                return Ok(Some(delivery));
            }
            if passed(deadline) || !self.wait(deadline) {
                return Ok(None);
            }
        }
    }
}

/// Looks at the members that had events a moment ago.
fn look<T: Send + Sync + 'static>(
    schedule: &mut Schedule,
    members: &[Option<Member<T>>],
    looks: &Cell<u64>,
) {
    if schedule.look(|index| is_ready(members, looks, index)) {
        arm(schedule, members, looks);
    }
}

/// Leaves the members that have nothing to their bells.
#[cold]
fn arm<T: Send + Sync + 'static>(
    schedule: &mut Schedule,
    members: &[Option<Member<T>>],
    looks: &Cell<u64>,
) {
    schedule.arm(|index, waiter| {
        if let Some(member) = &members[index] {
            member.subscriber.enlist(waiter);
        }
    });
    schedule.send_away(|index| is_ready(members, looks, index));
}

fn is_ready<T: Send + Sync + 'static>(
    members: &[Option<Member<T>>],
    looks: &Cell<u64>,
    index: usize,
) -> bool {
    looks.set(looks.get() + 1);
    members[index]
        .as_ref()
        .is_some_and(|member| member.subscriber.is_ready())
}

/// Takes the bells down, which would otherwise hang where nothing is published.
impl<T: Send + Sync + 'static> Drop for MergedSubscriber<T> {
    fn drop(&mut self) {
        let schedule = self.schedule.get_mut();
        for (index, member) in self.members.iter().enumerate() {
            if let Some(member) = member {
                member.subscriber.delist(schedule.waiter(index));
            }
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for MergedSubscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MergedSubscriber")
            .field("event", &std::any::type_name::<T>())
            .field("overflow", &self.overflow())
            .field("topics", &self.snapshot().topics)
            .finish_non_exhaustive()
    }
}
