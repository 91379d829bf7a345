//! Reading as one of several.

use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::core::Core;
use super::error::{PollError, RecvError, RecvTimeoutError, TryRecvError};
use super::group::{GroupSnapshot, Redeliver, Shared};
use super::overflow::Overflow;
use super::ready_hook::{self, ReadyHook};
use super::stage::{Waited, wait_for_others};
use super::subscriber::passed;
use super::system_event::ListenerName;
use super::wait::WaitStrategy;
use crate::ring::{Handed, Taken, Worker};
use crate::sync::{Arc, WaitSet, Waiter};

/// What a member of a group knows of an event besides the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMeta {
    /// The event's place in the topic's order.
    pub sequence: u64,
    /// Events that the group missed since one of its members was last told; always 0 for a lossless group.
    pub missed: u64,
    /// The event was handed out before, and its handler panicked: parts of its work may be done.
    pub redelivered: bool,
}

/// What a handler says after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    More,
    /// It wants no more for now.
    Stop,
    /// It has not even handled this one.
    Refuse,
}

impl GroupMeta {
    pub(crate) fn of(sequence: u64) -> Self {
        Self {
            sequence,
            missed: 0,
            redelivered: false,
        }
    }
}

impl From<Handed> for GroupMeta {
    fn from(handed: Handed) -> Self {
        Self {
            sequence: handed.sequence,
            missed: handed.missed,
            redelivered: handed.again,
        }
    }
}

/// One of the members of a group: each event of the topic goes to exactly one of them.
///
/// Made by [`Topic::group`](crate::Topic::group). To publishers the group is one subscriber, lossless or
/// lossy, beside the others of the topic. A member that is idle takes the next events; members join and leave
/// at any time, from any thread.
///
/// ```
/// use ringbus::Bus;
///
/// let bus = Bus::new();
/// let jobs = bus.topic::<u64>();
/// let workers: Vec<_> = (0..2)
///     .map(|_| {
///         let mut worker = jobs.group("workers").join().expect("the settings are the group's");
///         std::thread::spawn(move || {
///             let mut sum = 0;
///             while worker.poll_wait(64, |job, _| sum += job).is_ok() {}
///             sum
///         })
///     })
///     .collect();
/// for job in 1..=100 {
///     jobs.publish(job)?;
/// }
/// jobs.close();
/// let sum: u64 = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
/// assert_eq!(sum, 5050);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Order
///
/// Each member is given events in the topic's order, but for those that were handed back: they go to the
/// member that takes next, before everything later. What different members do at the same time has no order. A
/// group [by key](crate::GroupBuilder::by_key) keeps the order of each key instead, and of nothing else: an event
/// whose key is free goes before an earlier one whose key a member is at.
///
/// # Panics and leaving
///
/// A member has events to itself only while one of its methods runs. When that ends early, by a panic of the
/// handler or because a reactor stops in the middle, what it has taken and not handled is handed back. The
/// event of the panic is, by choice, [handed out once more](Redeliver::Once) or abandoned: told to
/// [`on_abandoned`](crate::GroupBuilder::on_abandoned) and counted in the
/// [snapshot](crate::GroupSnapshot::abandoned); the panic goes on, out of the method. So the death of a member
/// loses the other members nothing.
///
/// The group goes when its last member leaves. What it had not read is given up then, as when a subscriber is
/// dropped, and publishers that waited for it go on. A group that is to outlive its workers is kept by a
/// member that does not read. A member that is leaked keeps it too: the others read on, but without others a
/// lossless group blocks its publishers.
///
/// As long as a group has members its topic [is heard](crate::Topic::has_subscribers). A topic that retains
/// events keeps them for a group to come.
///
/// # Coming after others
///
/// On a topic with [editors](crate::Editor) a group comes after all of them, as every subscriber does, and
/// [`after`](crate::GroupBuilder::after) puts it after subscribers. A thread that waits as a member while only
/// that thread can let the next event through is told `WouldDeadlock`, as [`Stage`](crate::Stage) says.
///
/// # Closing
///
/// When the topic is closed each of the remaining events is given to one member. `Closed` is told when all of
/// them are handled, so a member that has nothing to do waits for one that may still hand something back.
#[must_use = "a member that is dropped leaves at once"]
pub struct GroupMember<T: Send + Sync + 'static> {
    // The order matters: the worker leaves its group, the last member drops the group, then those who wait are
    // told.
    worker: Worker<T>,
    shared: Arc<Shared<T>>,
    leaving: Leaving<T>,
    hook: Option<ReadyHook>,
}

/// Notifies when a member has left.
struct Leaving<T> {
    core: Arc<Core<T>>,
    label: Arc<ListenerName>,
    /// The group has gone with it.
    last: bool,
}

impl<T> Drop for Leaving<T> {
    fn drop(&mut self) {
        if self.last {
            self.core.remove_listener();
        }
        self.core.room.notify();
        // It may have handed something back, and may have been what the others waited for after the close.
        self.core.events.notify_with(&self.core.passed);
        self.core.tell_left(&self.label);
    }
}

impl<T: Send + Sync + 'static> Drop for GroupMember<T> {
    fn drop(&mut self) {
        // First, as what the hook holds may panic when it is dropped, and a group that stays blocks publishers.
        self.leaving.last = self.core().groups.leave(&self.shared);
        #[cfg(feature = "metrics")]
        if self.leaving.last {
            self.core().keep_group(|| self.shared.snapshot());
        }
        self.unhook();
    }
}

impl<T: Send + Sync + 'static> GroupMember<T> {
    pub(crate) fn new(
        worker: Worker<T>,
        shared: Arc<Shared<T>>,
        core: Arc<Core<T>>,
        label: Arc<ListenerName>,
    ) -> Self {
        Self {
            worker,
            shared,
            leaving: Leaving {
                core,
                label,
                last: false,
            },
            hook: None,
        }
    }

    fn core(&self) -> &Core<T> {
        &self.leaving.core
    }

    /// The group's name.
    pub fn group(&self) -> &str {
        self.shared.name()
    }

    /// The group's numbers now, as the [topic's](crate::Topic::snapshot) have them.
    #[must_use]
    pub fn snapshot(&self) -> GroupSnapshot {
        self.shared.snapshot()
    }

    /// The group's overflow policy.
    pub fn overflow(&self) -> Overflow {
        self.shared.overflow()
    }

    /// Calls `hook` when there is something for a member to do again after a call that gave this one nothing.
    ///
    /// This is how a loop that waits by other means learns of events; the hook is called as
    /// [`Subscriber::on_ready`](crate::Subscriber::on_ready) says. Another member may have been faster when
    /// this one looks.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use ringbus::Bus;
    ///
    /// let bus = Bus::new();
    /// let jobs = bus.topic::<u32>();
    /// let mut member = jobs.group("workers").join()?;
    /// let (wake, woken) = mpsc::channel(); // a foreign loop's way to be woken
    /// member.on_ready(move || wake.send(()).unwrap());
    ///
    /// woken.recv()?; // the first call
    /// assert_eq!(member.poll(64, |_, _| {}), Ok(0));
    /// jobs.publish(1)?;
    /// woken.recv()?;
    /// assert_eq!(member.poll(64, |_, _| {}), Ok(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_ready(&mut self, hook: impl Fn() + Send + Sync + 'static) {
        self.unhook();
        let hook = ReadyHook::new(hook);
        hook.call();
        self.hook = Some(hook);
    }

    /// A channel that has a message when there may be something for this member, for a
    /// `crossbeam_channel::select!`; as [`Subscriber::doorbell`](crate::Subscriber::doorbell).
    #[must_use = "nobody hears a doorbell whose receiver is dropped"]
    pub fn doorbell(&mut self) -> Receiver<()> {
        let (ring, doorbell) = ready_hook::doorbell();
        self.on_ready(ring);
        doorbell
    }

    fn unhook(&mut self) {
        if let Some(hook) = self.hook.take() {
            self.waits_on().leave(&hook.waiter());
            hook.sever();
        }
    }

    /// Shows up to `max` events to `handler`, and returns how many it showed; never blocks.
    ///
    /// `Ok(0)` means that there was nothing for this member. A member takes a share of what is there at a time,
    /// and as many shares as `max` allows; what it has not come to is not lost to the others when the handler
    /// panics.
    ///
    /// # Errors
    ///
    /// When the topic is closed and every event is handled.
    ///
    /// # Panics
    ///
    /// When `handler` does; see [the type](Self#panics-and-leaving).
    #[inline]
    pub fn poll<F>(&mut self, max: usize, mut handler: F) -> Result<usize, PollError>
    where
        F: FnMut(&T, GroupMeta),
    {
        self.poll_until(max, |event, meta| {
            handler(event, meta);
            Next::More
        })
    }

    /// As `poll`, until `handler` wants no more.
    #[inline]
    pub(crate) fn poll_until<F>(&mut self, max: usize, mut handler: F) -> Result<usize, PollError>
    where
        F: FnMut(&T, GroupMeta) -> Next,
    {
        self.worker.note_thread();
        if max == 0 {
            self.look_later();
        }
        let mut shown = 0;
        let mut flow = Next::More;
        while flow == Next::More && shown < max {
            match self.take((max - shown) as u64) {
                Taken::Portion => flow = self.show(&mut shown, max, &mut handler),
                Taken::Closed if shown == 0 => return Err(PollError::Closed),
                _ => break,
            }
        }
        Ok(shown)
    }

    /// Waits until there is an event for this member, then shows up to `max` to `handler`.
    ///
    /// Returns how many it showed, at least one unless `max` is 0.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll), and when the group [comes after](Self#coming-after-others) somebody that only
    /// this thread reads.
    ///
    /// # Panics
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Blocking
    ///
    /// Waits by the topic's [`WaitStrategy`].
    pub fn poll_wait<F>(&mut self, max: usize, mut handler: F) -> Result<usize, PollError>
    where
        F: FnMut(&T, GroupMeta),
    {
        loop {
            let shown = self.poll(max, &mut handler)?;
            if shown > 0 || max == 0 {
                return Ok(shown);
            }
            self.wait(None)?;
        }
    }

    /// Waits until there is an event for this member, until `deadline` at most, then shows up to `max` to
    /// `handler`.
    ///
    /// Returns how many it showed; 0 if none came in time.
    ///
    /// # Errors
    ///
    /// As [`poll_wait`](Self::poll_wait).
    ///
    /// # Panics
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Blocking
    ///
    /// As [`poll_wait`](Self::poll_wait), until the deadline.
    pub fn poll_deadline<F>(
        &mut self,
        max: usize,
        deadline: Instant,
        mut handler: F,
    ) -> Result<usize, PollError>
    where
        F: FnMut(&T, GroupMeta),
    {
        loop {
            let shown = self.poll(max, &mut handler)?;
            if shown > 0 || max == 0 || passed(Some(deadline)) || !self.wait(Some(deadline))? {
                return Ok(shown);
            }
        }
    }

    /// Waits for an event for this member and returns a clone of it.
    ///
    /// # Errors
    ///
    /// When the topic is closed and every event is handled, when the group missed events, and when the group
    /// [comes after](Self#coming-after-others) somebody that only this thread reads.
    ///
    /// # Panics
    ///
    /// When `T::clone` does; the event is treated as one whose handler panicked.
    ///
    /// # Blocking
    ///
    /// As [`poll_wait`](Self::poll_wait).
    pub fn recv(&mut self) -> Result<T, RecvError>
    where
        T: Clone,
    {
        // Without a deadline the wait ends with an event or an error.
        loop {
            if let Some(event) = self.recv_until(None)? {
                return Ok(event);
            }
        }
    }

    /// Returns a clone of the next event if there is one for this member.
    ///
    /// # Errors
    ///
    /// When the topic is closed and every event is handled, when the group missed events, and when there is no
    /// event.
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<T, TryRecvError>
    where
        T: Clone,
    {
        match self.take_clone() {
            Ok(Some(event)) => Ok(event),
            Ok(None) => Err(TryRecvError::Empty),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for an event for this member, for `timeout` at most, and returns a clone of it.
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
    /// As [`poll_wait`](Self::poll_wait), until the timeout.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError>
    where
        T: Clone,
    {
        self.recv_until(Core::<T>::deadline(timeout))?
            .ok_or(RecvTimeoutError::Timeout)
    }

    /// Waits for an event for this member, until `deadline` at most, and returns a clone of it.
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
    /// As [`poll_wait`](Self::poll_wait), until the deadline.
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<T, RecvTimeoutError>
    where
        T: Clone,
    {
        self.recv_until(Some(deadline))?
            .ok_or(RecvTimeoutError::Timeout)
    }

    fn recv_until(&mut self, deadline: Option<Instant>) -> Result<Option<T>, RecvError>
    where
        T: Clone,
    {
        loop {
            if let Some(event) = self.take_clone()? {
                return Ok(Some(event));
            }
            if passed(deadline) || !self.wait(deadline)? {
                return Ok(None);
            }
        }
    }

    /// A clone of the next event, or `None` if there is none now.
    fn take_clone(&mut self) -> Result<Option<T>, RecvError>
    where
        T: Clone,
    {
        self.worker.note_thread();
        loop {
            match self.take(1) {
                Taken::Portion => {}
                Taken::Closed => {
                    return Err(match self.worker.take_last_missed() {
                        0 => RecvError::Closed,
                        missed => RecvError::Missed(missed),
                    });
                }
                Taken::Empty | Taken::Keys => return Ok(None),
            }
            let missed = self.worker.take_missed();
            if missed > 0 {
                // Told before the event, which goes back.
                self.finish();
                return Err(RecvError::Missed(missed));
            }
            let mut taken = None;
            let _ = self.show(&mut 0, 1, &mut |event, _| {
                taken = Some(event.clone());
                Next::Stop
            });
            // Otherwise it was only holes: look again.
            if taken.is_some() {
                return Ok(taken);
            }
        }
    }

    /// Takes a share of what is there. When that is nothing, the hook will be called for the next thing.
    #[inline]
    fn take(&mut self, max: u64) -> Taken {
        let taken = self.take_now(max);
        if taken == Taken::Empty && (self.hook.is_some() || self.worker.is_behind()) {
            return self.take_or_arm(max);
        }
        taken
    }

    #[cold]
    fn take_or_arm(&mut self, max: u64) -> Taken {
        self.note_freedom();
        let Some(waiter) = self.hook.as_ref().and_then(ReadyHook::arm) else {
            return Taken::Empty;
        };
        self.waits_on().join(&waiter);
        let taken = self.take_now(max);
        if taken == Taken::Empty {
            // Or the hook would wait where nothing comes any more.
            self.note_freedom();
        }
        taken
    }

    /// Takes a share of what is there; looks up keys if that is to be done first.
    #[inline]
    fn take_now(&mut self, max: u64) -> Taken {
        loop {
            let taken = self.worker.take(max);
            if taken == Taken::Keys {
                let shared = &*self.shared;
                self.worker
                    .route(|event, sequence| shared.key(event, sequence));
            }
            self.tell();
            if taken != Taken::Keys {
                return taken;
            }
        }
    }

    /// Shows what was taken to `handler` until it wants no more or `shown`, which counts, is `max`: what was handed
    /// back may be more.
    #[inline]
    fn show<F>(&mut self, shown: &mut usize, max: usize, handler: &mut F) -> Next
    where
        F: FnMut(&T, GroupMeta) -> Next,
    {
        let worker = &mut self.worker;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            while *shown < max {
                let flow = worker.next_with(|event, handed| {
                    *shown += 1;
                    handler(event, handed.into())
                });
                match flow {
                    Some(Next::More) => {}
                    Some(flow) => return flow,
                    None => break,
                }
            }
            Next::More
        }));
        match outcome {
            Ok(flow) => {
                if flow == Next::Refuse {
                    self.worker.refuse();
                    *shown -= 1;
                }
                self.finish();
                flow
            }
            Err(payload) => {
                self.settle();
                resume_unwind(payload)
            }
        }
    }

    /// Does with the event of a panic what was chosen, and hands back what is behind it.
    #[cold]
    fn settle(&mut self) {
        let again = self.shared.redeliver() == Redeliver::Once && self.worker.retry();
        if !again {
            let shared = &*self.shared;
            self.worker
                .abandon(|event, handed| shared.report(event, handed.into()));
        }
        self.finish();
    }

    #[inline]
    fn finish(&mut self) {
        self.worker.finish();
        self.tell();
    }

    /// Notifies those whom it concerns what the worker did.
    #[inline(always)]
    fn tell(&mut self) {
        let news = self.worker.take_news();
        if news.room {
            self.core().room.notify();
        }
        if news.work {
            self.tell_missed();
            let core = self.core();
            if self.worker.comes_after_others() {
                // Members wait there until they have noticed that nobody is before them any more.
                core.events.notify_with(&core.passed);
            } else {
                core.events.notify();
            }
        }
    }

    /// Tells what the group has lost, if the worker has just noticed.
    #[cold]
    #[inline(never)]
    fn tell_missed(&mut self) {
        let missed = self.worker.take_untold();
        if missed > 0 {
            let Leaving { core, label, .. } = &self.leaving;
            core.tell_missed(&self.shared.losses, label, missed);
        }
    }

    /// Where what it waits for is told; as of a [`Subscriber`](super::Subscriber).
    fn waits_on(&self) -> &WaitSet {
        if self.worker.is_behind() {
            &self.core().passed
        } else {
            &self.core().events
        }
    }

    /// Waits for publishers from now on, if those that the group comes after have left.
    fn note_freedom(&mut self) {
        if self.worker.is_set_free() {
            self.worker.forget_upstreams();
            // Its bell or hook is called from there, and will be hung up in the other place.
            self.core().passed.notify();
        }
    }

    /// Waits until there is something to look at; `false` when `deadline` passed without.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<bool, PollError> {
        if self.worker.is_behind() {
            return self.wait_behind(deadline);
        }
        let Self {
            worker, leaving, ..
        } = self;
        let core = &*leaving.core;
        let found = core
            .settings()
            .wait
            .wait(&core.events, Some(&core.parked), deadline, || {
                worker.is_ready().then_some(())
            });
        Ok(found.is_some())
    }

    #[cold]
    fn wait_behind(&mut self, deadline: Option<Instant>) -> Result<bool, PollError> {
        match wait_for_others(&*self.leaving.core, &mut self.worker, deadline) {
            // Whoever looks now also notes that it is free.
            Waited::Found(()) | Waited::Free => Ok(true),
            Waited::Late => Ok(false),
            Waited::ForItself => Err(PollError::WouldDeadlock),
        }
    }

    /// Has the hook called for what there is, or will be, after a call that was to look at nothing.
    #[cold]
    fn look_later(&self) {
        let Some(hook) = &self.hook else {
            return;
        };
        if !self.is_ready() {
            let Some(waiter) = hook.arm() else {
                return;
            };
            self.waits_on().join(&waiter);
        }
        if self.is_ready() {
            hook.call();
        }
    }

    /// Tells that the handler has panicked that is given its events.
    pub(crate) fn tell_panic(
        &self,
        handler: Option<&'static Location<'static>>,
        message: Option<&str>,
    ) {
        self.core()
            .tell_panic(&self.leaving.label, handler, message);
    }

    /// Whether there is something to look at: an event, the close.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.worker.is_ready()
    }

    /// Wakes `waiter` for the next change, after the caller's heavy barrier.
    pub(crate) fn enlist(&self, waiter: &Waiter) {
        self.waits_on().enlist(waiter);
    }

    pub(crate) fn delist(&self, waiter: &Waiter) {
        self.waits_on().leave(waiter);
    }

    /// Events missed that no event follows, once the end was told.
    pub(crate) fn take_last_missed(&mut self) -> u64 {
        self.worker.take_last_missed()
    }

    pub(crate) fn strategy(&self) -> WaitStrategy {
        self.core().settings().wait
    }

    /// Hides what is published from now on, until the fence is taken away.
    pub(crate) fn fence(&mut self) {
        self.worker.fence();
    }

    pub(crate) fn take_fence_away(&mut self) {
        self.worker.take_fence_away();
    }

    /// Says that this thread reads.
    #[cfg(feature = "services")]
    pub(crate) fn note_thread(&mut self) {
        self.worker.note_thread();
    }

    /// About how many events of the group wait, before the fence if there is one.
    pub(crate) fn left(&self) -> u64 {
        self.worker.left()
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for GroupMember<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupMember")
            .field("topic", &self.core().name())
            .field("group", &self.group())
            .finish_non_exhaustive()
    }
}
