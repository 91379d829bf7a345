//! `select!`: waiting for the first of several sources.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select};

use crate::channel::{RecvError, Subscriber, TryRecvError, WaitStrategy};
use crate::sync::{
    Arc, Backoff, Barrier, Hook, Waiter, current_parker, spin_loop, thread_local, yield_now,
};

/// What [`select!`](crate::select!) waits for.
///
/// Implemented by [`Subscriber`], [`GroupMember`](crate::GroupMember) and
/// [`MergedSubscriber`](crate::MergedSubscriber) for events that are [`Clone`], by [`Ready`], and by the
/// `Receiver` of `crossbeam-channel`. Its methods are `select!`'s own.
pub trait Selectable {
    /// What its arm is given.
    type Output;

    /// Takes what there is.
    #[doc(hidden)]
    fn try_select(&mut self) -> Option<Self::Output>;

    /// Whether there is something; runs no user code. A foreign channel leaves that to its own select.
    #[doc(hidden)]
    fn is_ready(&self) -> bool {
        false
    }

    /// Has the waiter woken for the next thing.
    #[doc(hidden)]
    fn enlist(&self, waiting: &Waiting);

    #[doc(hidden)]
    fn delist(&self, waiting: &Waiting);

    /// Adds itself to a foreign select, if it can wait in no other way.
    #[doc(hidden)]
    fn foreign<'a>(&'a self, _select: &mut Foreign<'a>) {}

    #[doc(hidden)]
    fn strategy(&self) -> WaitStrategy;
}

/// A thread that waits in `select!`.
#[doc(hidden)]
pub struct Waiting(pub(crate) Waiter);

/// The foreign channels of a `select!`.
#[doc(hidden)]
pub struct Foreign<'a>(Option<Select<'a>>);

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl fmt::Debug for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Foreign").finish_non_exhaustive()
    }
}

/// An arm of [`select!`](crate::select!) that is told of events without taking one; made by
/// [`Subscriber::ready`]. It may be taken for nothing: [`poll`](Subscriber::poll) in the arm.
#[must_use = "an arm does nothing unless it is selected"]
pub struct Ready<'a, T: Send + Sync + 'static>(&'a mut Subscriber<T>);

impl<T: Send + Sync + 'static> Subscriber<T> {
    /// An arm of [`select!`](crate::select!) for events that are not `Clone`: it is taken when there may be
    /// something to read, or the end; read it with [`poll`](Self::poll).
    ///
    /// It may be taken for nothing, for an event that the filter refuses, say: then `poll` in the arm shows none.
    /// So wait in the `select!` and not in the arm.
    ///
    /// ```
    /// use ringbus::Bus;
    ///
    /// struct Order(u32); // not `Clone`
    ///
    /// let bus = Bus::new();
    /// let orders = bus.topic::<Order>();
    /// let mut subscriber = orders.subscribe();
    /// orders.publish(Order(7))?;
    ///
    /// let mut sum = 0;
    /// ringbus::select! {
    ///     _ = subscriber.ready() => subscriber.poll(64, |order, _| sum += order.0)?,
    /// };
    /// assert_eq!(sum, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ready(&mut self) -> Ready<'_, T> {
        Ready(self)
    }
}

impl<T: Send + Sync + 'static> Selectable for Ready<'_, T> {
    type Output = ();

    fn try_select(&mut self) -> Option<()> {
        self.0.is_ready().then_some(())
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    fn enlist(&self, waiting: &Waiting) {
        self.0.enlist(&waiting.0);
    }

    fn delist(&self, waiting: &Waiting) {
        self.0.delist(&waiting.0);
    }

    fn strategy(&self) -> WaitStrategy {
        self.0.strategy()
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Ready<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ready").field(&self.0).finish()
    }
}

/// What an arm that receives is given; `None` while there is nothing.
pub(super) fn selected<R>(received: Result<R, TryRecvError>) -> Option<Result<R, RecvError>> {
    match received {
        Ok(received) => Some(Ok(received)),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Closed) => Some(Err(RecvError::Closed)),
        Err(TryRecvError::Missed(missed)) => Some(Err(RecvError::Missed(missed))),
        Err(TryRecvError::Disconnected(missed)) => Some(Err(RecvError::Disconnected(missed))),
    }
}

impl<T: Clone + Send + Sync + 'static> Selectable for Subscriber<T> {
    type Output = Result<T, RecvError>;

    fn try_select(&mut self) -> Option<Self::Output> {
        selected(self.try_recv())
    }

    fn is_ready(&self) -> bool {
        Subscriber::is_ready(self)
    }

    fn enlist(&self, waiting: &Waiting) {
        Subscriber::enlist(self, &waiting.0);
    }

    fn delist(&self, waiting: &Waiting) {
        Subscriber::delist(self, &waiting.0);
    }

    fn strategy(&self) -> WaitStrategy {
        Subscriber::strategy(self)
    }
}

impl<M> Selectable for Receiver<M> {
    type Output = Result<M, crossbeam_channel::RecvError>;

    fn try_select(&mut self) -> Option<Self::Output> {
        match self.try_recv() {
            Ok(message) => Some(Ok(message)),
            Err(crossbeam_channel::TryRecvError::Empty) => None,
            Err(crossbeam_channel::TryRecvError::Disconnected) => {
                Some(Err(crossbeam_channel::RecvError))
            }
        }
    }

    fn enlist(&self, _waiting: &Waiting) {}

    fn delist(&self, _waiting: &Waiting) {}

    fn foreign<'a>(&'a self, select: &mut Foreign<'a>) {
        select.0.get_or_insert_with(Select::new).recv(self);
    }

    fn strategy(&self) -> WaitStrategy {
        WaitStrategy::Park
    }
}

impl<A: Selectable + ?Sized> Selectable for &mut A {
    type Output = A::Output;

    fn try_select(&mut self) -> Option<Self::Output> {
        (**self).try_select()
    }

    fn is_ready(&self) -> bool {
        (**self).is_ready()
    }

    fn enlist(&self, waiting: &Waiting) {
        (**self).enlist(waiting);
    }

    fn delist(&self, waiting: &Waiting) {
        (**self).delist(waiting);
    }

    fn foreign<'a>(&'a self, select: &mut Foreign<'a>) {
        (**self).foreign(select);
    }

    fn strategy(&self) -> WaitStrategy {
        (**self).strategy()
    }
}

/// The arms of one `select!`: `(&mut first, (&mut second, ()))`.
#[doc(hidden)]
pub trait Arms {
    /// The output of the arm that was taken, at its place: `Here`, `There(Here)`, ...
    type Chosen;
    const COUNT: usize;

    /// Tries the arm at a place.
    fn try_arm(&mut self, place: usize) -> Option<Self::Chosen>;
    fn is_ready(&self) -> bool;
    fn enlist(&self, waiting: &Waiting);
    fn delist(&self, waiting: &Waiting);
    fn foreign<'a>(&'a self, select: &mut Foreign<'a>);
    /// The most patient of the arms' strategies.
    fn strategy(&self) -> WaitStrategy;
}

/// Which arm was taken.
#[doc(hidden)]
#[derive(Debug)]
pub enum Chosen<H, T> {
    Here(H),
    There(T),
}

impl Arms for () {
    type Chosen = Infallible;
    const COUNT: usize = 0;

    fn try_arm(&mut self, _place: usize) -> Option<Infallible> {
        None
    }

    fn is_ready(&self) -> bool {
        false
    }

    fn enlist(&self, _waiting: &Waiting) {}

    fn delist(&self, _waiting: &Waiting) {}

    fn foreign<'a>(&'a self, _select: &mut Foreign<'a>) {}

    fn strategy(&self) -> WaitStrategy {
        WaitStrategy::Spin
    }
}

impl<A: Selectable, R: Arms> Arms for (A, R) {
    type Chosen = Chosen<A::Output, R::Chosen>;
    const COUNT: usize = 1 + R::COUNT;

    fn try_arm(&mut self, place: usize) -> Option<Self::Chosen> {
        match place {
            0 => self.0.try_select().map(Chosen::Here),
            place => self.1.try_arm(place - 1).map(Chosen::There),
        }
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready() || self.1.is_ready()
    }

    fn enlist(&self, waiting: &Waiting) {
        self.0.enlist(waiting);
        self.1.enlist(waiting);
    }

    fn delist(&self, waiting: &Waiting) {
        self.0.delist(waiting);
        self.1.delist(waiting);
    }

    fn foreign<'a>(&'a self, select: &mut Foreign<'a>) {
        self.0.foreign(select);
        self.1.foreign(select);
    }

    fn strategy(&self) -> WaitStrategy {
        self.0.strategy().max(self.1.strategy())
    }
}

/// How long a `select!` waits.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum Patience {
    Try,
    For(Duration),
    Forever,
}

thread_local! {
    #[allow(
        clippy::missing_const_for_thread_local,
        reason = "the models' thread locals have no const form"
    )]
    static RANDOM: Cell<u64> = Cell::new(0);
    static ALARM: Alarm = Alarm::new();
}

/// Wakes a thread that sleeps in a foreign select.
struct Alarm {
    waiting: Waiting,
    rung: Receiver<()>,
}

impl Alarm {
    fn new() -> Self {
        let (ring, rung) = crossbeam_channel::bounded(1);
        let hook = Hook::new(move || {
            // A full channel rings already.
            let _ = ring.try_send(());
        });
        let waiting = Waiting(Waiter::Hook(hook));
        Self { waiting, rung }
    }
}

/// A number that is different each time; the sequence of Weyl, mixed, as in SplitMix64 (Steele et al. 2014).
fn random() -> u64 {
    let number = RANDOM.try_with(|state| {
        let next = state.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ (mixed >> 27)
    });
    // Of a thread whose locals are being destroyed.
    number.unwrap_or(0)
}

/// Tries each arm once.
fn pass<A: Arms>(arms: &mut A, biased: bool) -> Option<A::Chosen> {
    let start = match biased {
        true => 0,
        false => random() as usize % A::COUNT,
    };
    (start..A::COUNT)
        .chain(0..start)
        .find_map(|place| arms.try_arm(place))
}

/// Takes the first arm that has something; `None` if none had in time.
#[doc(hidden)]
pub fn select<A: Arms>(arms: &mut A, biased: bool, patience: Patience) -> Option<A::Chosen> {
    if let Some(chosen) = pass(arms, biased) {
        return Some(chosen);
    }
    let deadline = match patience {
        Patience::Try => return None,
        // A timeout beyond what the clock can tell is no timeout.
        Patience::For(timeout) => Instant::now().checked_add(timeout),
        Patience::Forever => None,
    };
    let strategy = arms.strategy();
    let backoff = Backoff::new();
    loop {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return None;
        }
        match strategy {
            WaitStrategy::Spin => spin_loop(),
            WaitStrategy::Yield => yield_now(),
            WaitStrategy::Park if backoff.is_completed() => {
                if let Some(chosen) = wait(arms, biased, deadline) {
                    return Some(chosen);
                }
                continue;
            }
            WaitStrategy::Park => backoff.snooze(),
        }
        if let Some(chosen) = pass(arms, biased) {
            return Some(chosen);
        }
    }
}

/// Sleeps until something changes, or until the deadline; then tries the arms.
fn wait<A: Arms>(arms: &mut A, biased: bool, deadline: Option<Instant>) -> Option<A::Chosen> {
    let mut foreign = Foreign(None);
    arms.foreign(&mut foreign);
    if foreign.0.is_some() {
        drop(foreign);
        return match ALARM.try_with(|alarm| wait_foreign(alarm, arms, biased, deadline)) {
            Ok(chosen) => chosen,
            // The thread's locals are being destroyed.
            Err(_) => wait_foreign(&Alarm::new(), arms, biased, deadline),
        };
    }
    let parker = current_parker();
    let waiting = Waiting(Waiter::Thread(Arc::clone(&parker)));
    wait_as(&waiting, arms, biased, |_| {
        parker.park(deadline);
    })
}

fn wait_foreign<A: Arms>(
    alarm: &Alarm,
    arms: &mut A,
    biased: bool,
    deadline: Option<Instant>,
) -> Option<A::Chosen> {
    // Of an earlier wait.
    while alarm.rung.try_recv().is_ok() {}
    wait_as(&alarm.waiting, arms, biased, |arms| {
        let mut select = Select::new();
        select.recv(&alarm.rung);
        let mut foreign = Foreign(Some(select));
        arms.foreign(&mut foreign);
        match (foreign.0.as_mut(), deadline) {
            (Some(select), Some(deadline)) => drop(select.ready_deadline(deadline)),
            (Some(select), None) => drop(select.ready()),
            (None, _) => {}
        }
    })
}

fn wait_as<A: Arms>(
    waiting: &Waiting,
    arms: &mut A,
    biased: bool,
    sleep: impl FnOnce(&A),
) -> Option<A::Chosen> {
    arms.enlist(waiting);
    // ORDERING: edge `wake`. As in `join_all`: be seen on every list, then look once more. No arm is tried while the thread is on a
    // list: a filter or a `Clone` that waits too would take the token that is meant for this wait.
    Barrier::of_process().heavy();
    if !arms.is_ready() {
        sleep(arms);
    }
    arms.delist(waiting);
    pass(arms, biased)
}
