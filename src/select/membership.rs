//! A member of a group as a source of a reactor and of `select!`.

use std::panic::Location;

use super::arms::{Selectable, Waiting, selected};
use super::context::Context;
use super::handler::HandlerId;
use super::source::{Outcome, Source};
use crate::channel::{GroupMember, Next, RecvError, WaitStrategy};
use crate::sync::Waiter;

/// A member of a group with its handler.
struct Membership<T: Send + Sync + 'static, F> {
    member: GroupMember<T>,
    handler: F,
}

impl<S> Context<S> {
    /// Calls `handler` with each event that a member of a group is given, by reference.
    ///
    /// The reactor takes its turns as with a subscription. What it has taken and not come to when it is
    /// stopped, or the handler removed or its panic let through, goes to the other members.
    ///
    /// ```
    /// use ringbus::{Budget, Bus, Reactor};
    ///
    /// let bus = Bus::new();
    /// let jobs = bus.topic::<u32>();
    /// let mut reactor = Reactor::new();
    /// let member = jobs.group("workers").join()?;
    /// reactor.on_group(member, |sum: &mut u32, job, _| *sum += job);
    /// let mut other = jobs.group("workers").join()?;
    ///
    /// jobs.publish(3)?;
    /// jobs.publish(4)?;
    /// assert_eq!(other.recv(), Ok(3));
    /// let mut sum = 0;
    /// let turn = reactor.turn(&mut sum, Budget::unlimited());
    /// assert_eq!((sum, turn.handled), (4, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn on_group<T, F>(&mut self, member: GroupMember<T>, handler: F) -> HandlerId
    where
        T: Send + Sync + 'static,
        F: FnMut(&mut S, &T, &mut Context<S>) + Send + 'static,
    {
        self.add_source(Box::new(Membership { member, handler }))
    }
}

impl<S, T, F> Source<S> for Membership<T, F>
where
    T: Send + Sync + 'static,
    F: FnMut(&mut S, &T, &mut Context<S>) + Send,
{
    fn serve(
        &mut self,
        id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        max: usize,
        handled: &mut usize,
    ) -> Outcome {
        let Self { member, handler } = self;
        let shown = member.poll_until(max, |event, meta| {
            if meta.missed > 0 {
                context.lagged(id, meta.missed, state);
                if !context.contains(id) {
                    return Next::Refuse;
                }
            }
            *handled += 1;
            handler(state, event, context);
            if context.flow().is_break() {
                return Next::Stop;
            }
            Next::More
        });
        match shown {
            // Asked also when fewer than `max` were taken: the handler may have broken off.
            Ok(_) if member.is_ready() => Outcome::More,
            Ok(_) => {
                member.take_fence_away();
                Outcome::Dry
            }
            // A loss that no event follows is told with the end.
            Err(_) => Outcome::Ended(member.take_last_missed()),
        }
    }

    fn is_ready(&self) -> bool {
        self.member.is_ready()
    }

    fn enlist(&self, waiter: &Waiter) {
        self.member.enlist(waiter);
    }

    fn delist(&self, waiter: &Waiter) {
        self.member.delist(waiter);
    }

    fn fence_if_ready(&mut self) -> bool {
        let ready = self.member.is_ready();
        if ready {
            self.member.fence();
        }
        ready
    }

    fn take_fence_away(&mut self) {
        self.member.take_fence_away();
    }

    fn left(&self) -> u64 {
        self.member.left()
    }

    fn tell_panic(&self, handler: Option<&'static Location<'static>>, message: Option<&str>) {
        self.member.tell_panic(handler, message);
    }

    #[cfg(feature = "services")]
    fn attend(&mut self) {
        self.member.note_thread();
    }

    /// What waits is the group's.
    #[cfg(feature = "services")]
    fn pending(&mut self) -> u64 {
        0
    }
}

impl<T: Send + Sync + 'static> GroupMember<T> {
    /// An arm of [`select!`](crate::select!) for events that are not `Clone`: it is taken when there may be
    /// something for this member, or the end; read it with [`poll`](Self::poll).
    #[must_use = "an arm does nothing unless it is selected"]
    pub fn ready(&mut self) -> impl Selectable<Output = ()> + '_ {
        MemberReady(self)
    }
}

struct MemberReady<'a, T: Send + Sync + 'static>(&'a mut GroupMember<T>);

impl<T: Send + Sync + 'static> Selectable for MemberReady<'_, T> {
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

impl<T: Clone + Send + Sync + 'static> Selectable for GroupMember<T> {
    type Output = Result<T, RecvError>;

    fn try_select(&mut self) -> Option<Self::Output> {
        selected(self.try_recv())
    }

    fn is_ready(&self) -> bool {
        Self::is_ready(self)
    }

    fn enlist(&self, waiting: &Waiting) {
        Self::enlist(self, &waiting.0);
    }

    fn delist(&self, waiting: &Waiting) {
        Self::delist(self, &waiting.0);
    }

    fn strategy(&self) -> WaitStrategy {
        Self::strategy(self)
    }
}
