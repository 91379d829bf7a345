//! Reading events.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::batch::{Batch, Filter, Meta};
use super::conflate::Scratch;
use super::core::{Core, Listing};
use super::error::{PollError, RecvError, RecvTimeoutError, SubscribeError, TryRecvError};
use super::overflow::{Overflow, Start};
use super::ready_hook::{self, ReadyHook};
use super::snapshot::SubscriberSnapshot;
use super::wait::WaitStrategy;
use crate::ring::{Found, Policy, Reader, Stamp};
use crate::sync::{Arc, Waiter};

/// Reads the events of a topic, each once, in the topic's order.
///
/// [`poll`](Self::poll) and its kin show events by reference, of any type; [`recv`](Self::recv) and its
/// kin hand out clones. A subscriber is [`Send`]: it may be opened on one thread and read on another.
/// Dropping it takes it out of the topic; publishers that waited for it go on.
///
/// # Lagging and missing
///
/// A subscriber lags while there are events it has not read; nothing is lost by that. Once it is a full
/// ring behind, its [`Overflow`] says who waits or what is lost. A loss is told once, with the exact
/// number of events, before the next event: as [`Meta::missed`], or by `recv` as an error.
///
/// # Panics of user code
///
/// When a handler, a filter or a `Clone` panics, the panic passes through the call that ran it. The event it
/// was given is done with; everything behind that is still there for the next call, and publishers and
/// other subscribers do not notice.
#[must_use = "a subscriber that is dropped leaves at once"]
pub struct Subscriber<T: Send + Sync + 'static> {
    // The order of these two matters: the reader leaves the ring before its listing wakes publishers.
    pub(super) reader: Reader<T>,
    pub(super) listing: Listing<T>,
    pub(super) filter: Option<Filter<T>>,
    hook: Option<ReadyHook>,
    scratch: Scratch,
}

impl<T: Send + Sync + 'static> Drop for Subscriber<T> {
    fn drop(&mut self) {
        self.unhook();
        self.listing.strike();
    }
}

/// Tells publishers that there may be room, and who comes after the reader that there may be an event, when it
/// is dropped; so also when user code unwinds.
pub(super) struct WentOn<'a, T>(pub(super) &'a Listing<T>);

impl<T> Drop for WentOn<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.went_on();
    }
}

/// As `WentOn`, of a reader that was asked before whether it is staged.
struct MadeRoom<'a, T> {
    listing: &'a Listing<T>,
    staged: bool,
}

impl<T> Drop for MadeRoom<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.staged {
            self.listing.went_on();
        } else {
            self.listing.core().room.notify();
        }
    }
}

/// What a reader finds. Tells publishers if it let go of slots by that.
#[inline(always)]
fn look<T>(reader: &mut Reader<T>, listing: &Listing<T>, max: u64) -> Found {
    let found = reader.find(max);
    if reader.take_let_go() {
        listing.core().room.notify();
    }
    found
}

/// Asked also while there is something to look at: the filter may refuse all of it.
pub(super) fn passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// Why a subscriber has nothing to hand out.
enum Nothing {
    Yet,
    Ever(PollError),
}

impl<T: Send + Sync + 'static> Subscriber<T> {
    #[track_caller]
    pub(crate) fn join(
        core: &Arc<Core<T>>,
        name: Option<&str>,
        overflow: Overflow,
        start: Start,
        filter: Option<Filter<T>>,
    ) -> Result<Self, SubscribeError> {
        Self::join_at(core, name, overflow, start, filter, Location::caller())
    }

    /// Joins on behalf of whoever is at `location`.
    pub(super) fn join_at(
        core: &Arc<Core<T>>,
        name: Option<&str>,
        overflow: Overflow,
        start: Start,
        filter: Option<Filter<T>>,
        location: &'static Location<'static>,
    ) -> Result<Self, SubscribeError> {
        let (mut reader, listing) = Core::join(core, name, overflow, start, location)?;
        if let Some(alarm) = core.alarm(listing.label()) {
            reader.set_alarm(alarm);
        }
        core.tell_joined(listing.label());
        Ok(Self::of(reader, listing, filter))
    }

    pub(super) fn of(reader: Reader<T>, listing: Listing<T>, filter: Option<Filter<T>>) -> Self {
        if reader.policy() != Policy::Lossless || filter.is_some() {
            listing.note_special();
        }
        Self {
            reader,
            listing,
            filter,
            hook: None,
            scratch: Scratch::default(),
        }
    }

    /// Waits for the next event and returns a clone of it.
    ///
    /// # Errors
    ///
    /// When the topic is closed and everything is read, when events were missed, when the subscriber was
    /// disconnected, and when it [comes after](crate::SubscriberBuilder::after) a subscriber that only this
    /// thread reads.
    ///
    /// An error may thus be a loss and not the end: with [`Overflow::DropOldest`] a loop
    /// `while let Ok(event) = subscriber.recv()` ends at the first loss. [`iter`](Self::iter) and
    /// [`poll`](Self::poll) go on.
    ///
    /// # Panics
    ///
    /// When `T::clone` or the filter does; the event counts as delivered then.
    ///
    /// # Blocking
    ///
    /// Waits by the topic's [`WaitStrategy`].
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

    /// Returns a clone of the next event if there is one.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and when there is no event, or the filter has refused a whole ring of them.
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<T, TryRecvError>
    where
        T: Clone,
    {
        self.reader.note_thread();
        match self.take_clone() {
            Ok(Some(event)) => Ok(event),
            Ok(None) => Err(TryRecvError::Empty),
            Err(error) => Err(error.into()),
        }
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
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError>
    where
        T: Clone,
    {
        self.recv_until(Core::<T>::deadline(timeout))?
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
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<T, RecvTimeoutError>
    where
        T: Clone,
    {
        self.recv_until(Some(deadline))?
            .ok_or(RecvTimeoutError::Timeout)
    }

    /// Shows up to `max` events to `handler`, and returns how many it showed; never blocks.
    ///
    /// With [`Overflow::Latest`] that is at most one, the newest. `Ok(0)` means that there was nothing, or
    /// that the filter refused a whole ring of events.
    ///
    /// Without a filter it looks for events before it shows the first one, and shows what was there: what is
    /// published while `handler` runs is left for the next call. So where events come almost as fast as they are
    /// handled each waits for the look at up to `max`; with 4 it is there after a small fraction of the time that 64
    /// take, which in return get through more events when there are many.
    ///
    /// A blocked publisher goes on when the call returns, so `max` bounds how long it waits, too.
    ///
    /// ```
    /// # use ringbus::Bus;
    /// struct Order(String); // neither `Clone` nor `Copy`
    ///
    /// let bus = Bus::new();
    /// let orders = bus.topic::<Order>();
    /// let mut log = orders.subscribe();
    /// orders.publish(Order("buy".into()))?;
    ///
    /// let shown = log.poll(64, |order, meta| {
    ///     assert_eq!((order.0.as_str(), meta.sequence), ("buy", 0));
    /// })?;
    /// assert_eq!(shown, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the topic is closed and everything is read, when the subscriber was disconnected.
    ///
    /// # Panics
    ///
    /// When `handler` or the filter does; see [the type](Self#panics-of-user-code).
    #[inline(always)]
    pub fn poll<F>(&mut self, max: usize, mut handler: F) -> Result<usize, PollError>
    where
        F: FnMut(&T, Meta),
    {
        self.poll_until(max, |event, meta| {
            handler(event, meta);
            ControlFlow::Continue(())
        })
    }

    /// As `poll`, until `handler` breaks; the event it broke at is done with.
    #[inline(always)]
    pub(crate) fn poll_until<F>(&mut self, max: usize, mut handler: F) -> Result<usize, PollError>
    where
        F: FnMut(&T, Meta) -> ControlFlow<()>,
    {
        self.reader.note_thread();
        if max == 0 {
            return Ok(0);
        }
        // Asked once: nobody is named while it is borrowed.
        let special = self.listing.is_special();
        let plain = !special || self.is_plain();
        let mut behind = false;
        if special && plain {
            self.reader.look_upstream();
            behind = self.reader.is_behind();
        }
        // No function that is called from here is given the handler, and none of the frequent loop may unwind but
        // the handler: either would keep what it counts in memory, event by event.
        loop {
            if plain {
                // The frequent case: as below, with less to look at for each event.
                match self.show_run(max, special, &mut handler) {
                    Ok(shown) => return Ok(shown),
                    Err(Some(stamp)) if !behind && self.is_plainly_empty(stamp) => return Ok(0),
                    Err(_) => {}
                }
            } else {
                let shown = self.show_any(max, &mut handler)?;
                if shown > 0 {
                    return Ok(shown);
                }
            }
            if let Some(nothing) = self.go_on_or_tell() {
                return nothing.map(|()| 0);
            }
        }
    }

    /// Whether every event is shown: none is lost, and none refused.
    #[inline(always)]
    fn is_plain(&self) -> bool {
        self.reader.policy() == Policy::Lossless && self.filter.is_none()
    }

    /// Whether the next event, whose `stamp` was seen, is still to come, and nobody wants to be told of it: what a
    /// thread that spins asks all the time. Where it is not, [`find`](Self::find) tells what is the matter.
    #[inline(always)]
    fn is_plainly_empty(&self, stamp: Stamp) -> bool {
        self.hook.is_none() && self.reader.awaits_next(stamp)
    }

    /// Shows a run of events; the stamp of the next one when there is none, if it was looked at.
    #[inline(always)]
    fn show_run<F>(
        &mut self,
        max: usize,
        staged: bool,
        handler: &mut F,
    ) -> Result<usize, Option<Stamp>>
    where
        F: FnMut(&T, Meta) -> ControlFlow<()>,
    {
        let Self {
            reader, listing, ..
        } = self;
        let made_room = || MadeRoom { listing, staged };
        let shown = reader.show_run(max as u64, made_room, |event, sequence| {
            let missed = 0;
            handler(event, Meta { sequence, missed })
        });
        shown.map(|shown| shown as usize)
    }

    /// After nothing was shown: `None` when there may be something now, what to tell otherwise.
    #[inline(never)]
    fn go_on_or_tell(&mut self) -> Option<Result<(), PollError>> {
        if self.reader.policy() == Policy::Lossless && self.reader.pass_gap() {
            self.listing.went_on();
            if self.reader.is_let_through() && self.reader.has_event() {
                return None;
            }
        }
        self.find_nothing()
    }

    /// What to tell when nothing was shown; `None` when the reader has come to the next ring just now.
    #[inline(always)]
    fn find_nothing(&mut self) -> Option<Result<(), PollError>> {
        match self.find(1) {
            Found::Some if self.reader.is_at_start() => None,
            Found::Some => {
                self.look_again();
                Some(Ok(()))
            }
            Found::Empty => Some(Ok(())),
            Found::Closed => Some(Err(PollError::Closed)),
            Found::Expelled(missed) => Some(Err(PollError::Disconnected(missed))),
        }
    }

    /// What the reader finds. When that is nothing, the hook will be called for the next thing.
    #[inline(always)]
    pub(super) fn find(&mut self, max: u64) -> Found {
        let found = look(&mut self.reader, &self.listing, max);
        if found == Found::Empty && (self.hook.is_some() || self.reader.is_behind()) {
            return self.find_or_arm(max);
        }
        found
    }

    #[cold]
    fn find_or_arm(&mut self, max: u64) -> Found {
        self.note_freedom();
        let Some(waiter) = self.hook.as_ref().and_then(ReadyHook::arm) else {
            return Found::Empty;
        };
        self.waits_on().join(&waiter);
        let found = look(&mut self.reader, &self.listing, max);
        if found == Found::Empty {
            // Or the hook would wait where nothing comes any more.
            self.note_freedom();
        }
        found
    }

    /// Has the hook called for what a call has left after it handed out nothing.
    #[cold]
    pub(super) fn look_again(&self) {
        if let Some(hook) = &self.hook {
            hook.call();
        }
    }

    /// Waits until there is an event, then shows up to `max` to `handler`.
    ///
    /// Returns how many it showed, at least one unless `max` is 0.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll), and when it [comes after](crate::SubscriberBuilder::after) a subscriber that only this
    /// thread reads.
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
        F: FnMut(&T, Meta),
    {
        loop {
            let shown = self.poll(max, &mut handler)?;
            if shown > 0 || max == 0 {
                return Ok(shown);
            }
            self.wait(None)?;
        }
    }

    /// Waits until there is an event, until `deadline` at most, then shows up to `max` to `handler`.
    ///
    /// Returns how many it showed; 0 if none came in time.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll), and when it [comes after](crate::SubscriberBuilder::after) a subscriber that only this
    /// thread reads.
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
        F: FnMut(&T, Meta),
    {
        loop {
            let shown = self.poll(max, &mut handler)?;
            if shown > 0 || max == 0 || passed(Some(deadline)) || !self.wait(Some(deadline))? {
                return Ok(shown);
            }
        }
    }

    /// Lends up to `max` events to `handler` at once; never blocks.
    ///
    /// Returns what `handler` returned, or `None` if there was no event and it did not run. A lossy
    /// subscriber is lent at most 64 at a time. What the handler does not take from the batch stays with the
    /// subscriber.
    ///
    /// ```
    /// # use ringbus::Bus;
    /// let bus = Bus::new();
    /// let ticks = bus.topic::<f64>();
    /// let mut subscriber = ticks.subscribe();
    /// for price in [10.0, 11.0, 12.0] {
    ///     ticks.publish(price)?;
    /// }
    ///
    /// let highest = subscriber.poll_batch(64, |batch| {
    ///     batch.map(|(price, _)| *price).fold(f64::MIN, f64::max)
    /// })?;
    /// assert_eq!(highest, Some(12.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Panics
    ///
    /// As [`poll`](Self::poll).
    pub fn poll_batch<R, F>(&mut self, max: usize, handler: F) -> Result<Option<R>, PollError>
    where
        F: for<'a> FnOnce(Batch<'a, T>) -> R,
    {
        self.reader.note_thread();
        match self.lend(max, handler) {
            Ok(answer) => Ok(Some(answer)),
            Err((_, Nothing::Yet)) => Ok(None),
            Err((_, Nothing::Ever(error))) => Err(error),
        }
    }

    /// Waits until there is an event, then lends up to `max` to `handler` at once.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll), and when it [comes after](crate::SubscriberBuilder::after) a subscriber that only this
    /// thread reads.
    ///
    /// # Panics
    ///
    /// As [`poll`](Self::poll), and when `max` is 0: there would be nothing to wait for.
    ///
    /// # Blocking
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_batch_wait<R, F>(&mut self, max: usize, mut handler: F) -> Result<R, PollError>
    where
        F: for<'a> FnOnce(Batch<'a, T>) -> R,
    {
        assert!(max > 0, "a batch must have room for an event, got max 0");
        self.reader.note_thread();
        loop {
            handler = match self.lend(max, handler) {
                Ok(answer) => return Ok(answer),
                Err((_, Nothing::Ever(error))) => return Err(error),
                Err((handler, Nothing::Yet)) => handler,
            };
            self.wait(None)?;
        }
    }

    /// The subscriber's name, if it was opened with [one](crate::SubscriberBuilder::name).
    pub fn name(&self) -> Option<&str> {
        self.listing.name()
    }

    /// The name of its topic; `None` for the one found by its type alone.
    pub fn topic_name(&self) -> Option<&str> {
        self.listing.core().name()
    }

    /// Whether its topic takes no more events. There may still be some to read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.listing.core().is_closed()
    }

    /// The subscriber's numbers now, as the [topic's](crate::Topic::snapshot) have them.
    ///
    /// ```
    /// # use ringbus::{Bus, Overflow};
    /// # let bus = Bus::new();
    /// # let ticks = bus.topic_builder::<u32>().capacity(4).open()?;
    /// let mut screen = ticks.subscriber().name("screen").overflow(Overflow::DropOldest).open()?;
    /// for tick in 0..10 {
    ///     ticks.publish(tick)?;
    /// }
    /// screen.poll(3, |_, _| {})?;
    /// let numbers = screen.snapshot();
    /// assert_eq!((numbers.delivered, numbers.missed, numbers.pending), (3, 6, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> SubscriberSnapshot {
        self.listing.snapshot()
    }

    /// The subscriber's overflow policy.
    pub fn overflow(&self) -> Overflow {
        match self.reader.policy() {
            Policy::Lossless => Overflow::Block,
            Policy::Lossy => Overflow::DropOldest,
            Policy::Newest => Overflow::Latest,
            Policy::Expendable => Overflow::Disconnect,
        }
    }

    /// Calls `hook` when there is something to read again after a call that found nothing.
    ///
    /// This is how a loop that waits by other means (a window's, an `epoll`) learns of events. The hook is
    /// called once, by the publisher or closer, after each call of [`poll`](Self::poll),
    /// [`poll_batch`](Self::poll_batch) or [`try_recv`](Self::try_recv) that handed out nothing; so read until
    /// there is nothing, then wait. It may also be called when there turns out to be nothing. It is called
    /// for the first time at once, from this call. A new hook takes the place of the old one.
    ///
    /// The hook should only wake: publishers wait while it runs. A panic in it ends there. When the
    /// subscriber is dropped, and the drop has returned, it is not running and is never called again, unless
    /// it is the hook that drops its own subscriber.
    ///
    /// # Blocking
    ///
    /// Waits for the hook that was set before while that one runs on another thread; so does dropping the subscriber.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use ringbus::Bus;
    ///
    /// let bus = Bus::new();
    /// let topic = bus.topic::<u32>();
    /// let mut subscriber = topic.subscribe();
    /// let (wake, woken) = mpsc::channel(); // a foreign loop's way to be woken
    /// subscriber.on_ready(move || wake.send(()).unwrap());
    ///
    /// woken.recv()?; // the first call
    /// assert_eq!(subscriber.poll(64, |_, _| {}), Ok(0));
    /// topic.publish(1)?;
    /// topic.publish(2)?; // nobody has looked since the first: no second call
    /// woken.recv()?;
    /// assert_eq!(subscriber.poll(64, |_, _| {}), Ok(2));
    /// assert!(woken.try_recv().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_ready(&mut self, hook: impl Fn() + Send + Sync + 'static) {
        self.unhook();
        let hook = ReadyHook::new(hook);
        hook.call();
        self.hook = Some(hook);
    }

    /// A channel that has a message when there may be something to read, for a
    /// `crossbeam_channel::select!` among channels of that crate.
    ///
    /// It is an [`on_ready`](Self::on_ready) hook: take the message, then read until there is nothing. It
    /// disconnects when the subscriber is dropped.
    ///
    /// ```
    /// use ringbus::Bus;
    ///
    /// let bus = Bus::new();
    /// let ticks = bus.topic::<u32>();
    /// let mut subscriber = ticks.subscribe();
    /// let doorbell = subscriber.doorbell();
    /// let (_quit, quit) = crossbeam_channel::bounded::<()>(0);
    /// ticks.publish(7)?;
    ///
    /// let mut sum = 0;
    /// crossbeam_channel::select! {
    ///     recv(doorbell) -> _ => while subscriber.poll(64, |tick, _| sum += tick)? > 0 {},
    ///     recv(quit) -> _ => {}
    /// }
    /// assert_eq!(sum, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Says which thread opened this subscriber and which one reads it (0: none yet), for one that was opened
    /// on behalf of another thread.
    pub(crate) fn on_behalf_of(&self, opener: u64, reader: u64) {
        // Or a topic that grows now would tell the next ring otherwise.
        let _desk = self.listing.core().desk();
        self.reader.on_behalf_of(opener, reader);
    }

    /// Tells that the handler has panicked that is given its events.
    pub(crate) fn tell_panic(
        &self,
        handler: Option<&'static Location<'static>>,
        message: Option<&str>,
    ) {
        let listing = &self.listing;
        listing.core().tell_panic(listing.label(), handler, message);
    }

    /// Says that this thread reads.
    pub(crate) fn note_thread(&mut self) {
        self.reader.note_thread();
    }

    pub(crate) fn capacity(&self) -> usize {
        self.listing.core().settings().max_capacity()
    }

    /// Whether there is something to look at: an event, the close, the end of the subscription.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.reader.is_ready()
    }

    /// Wakes `waiter` for the next change, after the caller's heavy barrier.
    pub(crate) fn enlist(&self, waiter: &Waiter) {
        self.waits_on().enlist(waiter);
    }

    pub(crate) fn delist(&self, waiter: &Waiter) {
        self.waits_on().leave(waiter);
    }

    /// The next sequence to take, and the next one to be published.
    pub(crate) fn reach(&self) -> (u64, u64) {
        let core = self.listing.core();
        let published = core.ring().map_or(0, |ring| ring.last().next_sequence());
        (self.reader.position(), published)
    }

    /// Books `events` of those that were handed out as missed: newer ones took their places.
    pub(crate) fn conflate_delivered(&mut self, events: u64) {
        self.reader.conflate_delivered(events);
    }

    /// Events missed since the last one that was handed out.
    pub(crate) fn take_missed(&mut self) -> u64 {
        self.reader.account().take_missed()
    }

    pub(crate) fn strategy(&self) -> WaitStrategy {
        self.listing.core().settings().wait
    }

    /// Hides what is published from now on, until the fence is taken away.
    pub(crate) fn fence(&mut self) {
        self.reader.fence();
    }

    pub(crate) fn take_fence_away(&mut self) {
        self.reader.take_fence_away();
    }

    /// About how many events wait, before the fence if there is one.
    pub(crate) fn left(&self) -> u64 {
        self.reader.left()
    }

    /// Shows what there is, to whatever reader.
    #[inline(always)]
    fn show_any<F>(&mut self, max: usize, handler: &mut F) -> Result<usize, PollError>
    where
        F: FnMut(&T, Meta) -> ControlFlow<()>,
    {
        let Self {
            reader,
            listing,
            filter,
            ..
        } = self;
        let lossless = reader.policy() == Policy::Lossless;
        let newest = reader.policy() == Policy::Newest;
        // Bounded, also when the filter refuses everything.
        let mut left = listing.core().settings().max_capacity().max(max);
        let mut shown = 0;
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue() && shown < max && left > 0 {
            match look(reader, listing, (max - shown) as u64) {
                Found::Some => {}
                Found::Empty => break,
                Found::Closed if shown > 0 => break,
                Found::Closed => return Err(PollError::Closed),
                // What was shown before the end is told by the handler; the end is told once, here.
                Found::Expelled(missed) => return Err(PollError::Disconnected(missed)),
            }
            // Dropped after the events are given back, also when user code unwinds.
            let went_on = WentOn(listing);
            let mut events = reader.take_turns();
            while flow.is_continue() && shown < max && left > 0 {
                let Some((event, sequence, account)) = events.next() else {
                    break;
                };
                left -= 1;
                if filter.as_mut().is_some_and(|filter| !filter(event)) {
                    account.refuse();
                    continue;
                }
                shown += 1;
                let missed = account.take_missed();
                flow = handler(event, Meta { sequence, missed });
            }
            drop(events);
            drop(went_on);
            // What a call has shown, those behind a lossless one may see; so the call shows no more.
            if (lossless || newest) && shown > 0 {
                break;
            }
        }
        Ok(shown)
    }

    /// Runs `handler` on a batch, or gives it back.
    fn lend<R, F>(&mut self, max: usize, handler: F) -> Result<R, (F, Nothing)>
    where
        F: for<'a> FnOnce(Batch<'a, T>) -> R,
    {
        if max == 0 {
            return Err((handler, Nothing::Yet));
        }
        match self.find(max as u64) {
            Found::Some => {}
            Found::Empty => return Err((handler, Nothing::Yet)),
            Found::Closed => return Err((handler, Nothing::Ever(PollError::Closed))),
            Found::Expelled(missed) => {
                return Err((handler, Nothing::Ever(PollError::Disconnected(missed))));
            }
        }
        let Self {
            reader,
            listing,
            filter,
            scratch,
            ..
        } = self;
        // Dropped after the events are given back.
        let went_on = WentOn(listing);
        let answer = reader.lend(|events| match Batch::new(events, filter.as_mut(), max) {
            Some(batch) => Ok(handler(batch.with_scratch(scratch))),
            None => Err((handler, Nothing::Yet)),
        });
        drop(went_on);
        match answer {
            // Only holes up to the end of a ring that another one follows.
            Err((handler, _)) if self.reader.go_on() => self.lend(max, handler),
            Err(refused) => {
                self.look_again();
                Err(refused)
            }
            answer => answer,
        }
    }

    /// A clone of the next event, or `None` if there is none now.
    fn take_clone(&mut self) -> Result<Option<T>, RecvError>
    where
        T: Clone,
    {
        if !self.listing.is_special() {
            // The frequent case, with less to look at.
            let mut taken = None;
            let shown = self.show_run(1, false, &mut |event, _| {
                taken = Some(event.clone());
                ControlFlow::Continue(())
            });
            match shown {
                Ok(_) => return Ok(taken),
                Err(Some(stamp)) if self.is_plainly_empty(stamp) => return Ok(None),
                Err(_) => {}
            }
        }
        // Bounded, also when the filter refuses everything.
        for _ in 0..self.listing.core().settings().max_capacity() {
            match self.find(1) {
                Found::Some => {}
                Found::Empty => return Ok(None),
                Found::Closed => return Err(self.missed().unwrap_or(RecvError::Closed)),
                Found::Expelled(missed) => return Err(RecvError::Disconnected(missed)),
            }
            // Told before the event, which stays claimed until the next call.
            if let Some(missed) = self.missed() {
                return Err(missed);
            }
            let Self {
                reader,
                listing,
                filter,
                ..
            } = &mut *self;
            let _went_on = WentOn(listing);
            let taken = reader.lend(|mut events| {
                events.next_with(|event, _, account| {
                    if filter.as_mut().is_some_and(|filter| !filter(event)) {
                        account.refuse();
                        return None;
                    }
                    // Told as an error, if at all.
                    account.take_missed();
                    Some(event.clone())
                })
            });
            // Otherwise it was refused by the filter, or only holes: look again.
            if let Some(Some(event)) = taken {
                return Ok(Some(event));
            }
        }
        self.look_again();
        Ok(None)
    }

    /// The loss that [`Overflow::DropOldest`] tells as an error.
    fn missed(&mut self) -> Option<RecvError> {
        if self.reader.policy() != Policy::Lossy {
            return None;
        }
        match self.reader.account().take_missed() {
            0 => None,
            missed => Some(RecvError::Missed(missed)),
        }
    }

    fn recv_until(&mut self, deadline: Option<Instant>) -> Result<Option<T>, RecvError>
    where
        T: Clone,
    {
        self.reader.note_thread();
        loop {
            if let Some(event) = self.take_clone()? {
                return Ok(Some(event));
            }
            if passed(deadline) || !self.wait(deadline)? {
                return Ok(None);
            }
        }
    }

    /// Waits until there is something to look at; `false` when `deadline` passed without.
    pub(crate) fn wait(&mut self, deadline: Option<Instant>) -> Result<bool, PollError> {
        if self.reader.is_behind() {
            return self.wait_behind(deadline);
        }
        let Self {
            reader, listing, ..
        } = self;
        let core = listing.core();
        let found = core
            .settings()
            .wait
            .wait(&core.events, Some(&core.parked), deadline, || {
                match look(reader, listing, 1) {
                    Found::Empty => None,
                    found => Some(found),
                }
            });
        match found {
            Some(Found::Closed) => Err(PollError::Closed),
            Some(Found::Expelled(missed)) => Err(PollError::Disconnected(missed)),
            Some(_) => Ok(true),
            None => Ok(false),
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("name", &self.name())
            .field("topic", &self.topic_name())
            .field("overflow", &self.overflow())
            .finish_non_exhaustive()
    }
}
