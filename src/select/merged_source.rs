//! A merged subscriber as a source of a reactor and of `select!`.

use std::ops::ControlFlow;
use std::panic::Location;

use super::arms::{Selectable, Waiting, selected};
use super::context::Context;
use super::handler::HandlerId;
use super::merged::{Delivery, MergedMeta, MergedSubscriber};
use super::source::{Outcome, Source};
use crate::channel::{PollError, RecvError, WaitStrategy};
use crate::sync::Waiter;

/// A merged subscription with its handler.
pub(super) struct Merged<T: Send + Sync + 'static, F> {
    pub(super) subscriber: MergedSubscriber<T>,
    pub(super) handler: F,
}

impl<S> Context<S> {
    /// Calls `handler` with each event of a merged subscription, by reference, with the name of its topic.
    ///
    /// It is one source: its topics take their turns within its own, and share its priority. A
    /// [`turn`](crate::Reactor::turn) fences them all, and a topic that appears during a turn begins with
    /// the next. It has ended when no topic can appear any more and everything is read.
    ///
    /// ```
    /// use ringbus::{Budget, Bus, Reactor};
    ///
    /// let bus = Bus::new();
    /// let mut reactor = Reactor::new();
    /// let quotes = bus.subscribe_pattern::<u64>("md.>")?;
    /// reactor.on_merged(quotes, |book: &mut Vec<_>, price, meta, _| {
    ///     book.push(format!("{} {price}", meta.topic));
    /// });
    ///
    /// bus.topic_named::<u64>("md.spot.btcusdt")?.publish(7)?;
    /// let mut book = vec![];
    /// let _ = reactor.turn(&mut book, Budget::unlimited());
    /// assert_eq!(book, ["md.spot.btcusdt 7"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn on_merged<T, F>(&mut self, subscriber: MergedSubscriber<T>, handler: F) -> HandlerId
    where
        T: Send + Sync + 'static,
        F: FnMut(&mut S, &T, MergedMeta<'_>, &mut Context<S>) + Send + 'static,
    {
        self.add_source(Box::new(Merged {
            subscriber,
            handler,
        }))
    }
}

impl<S, T, F> Source<S> for Merged<T, F>
where
    T: Send + Sync + 'static,
    F: FnMut(&mut S, &T, MergedMeta<'_>, &mut Context<S>) + Send,
{
    fn serve(
        &mut self,
        id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        max: usize,
        handled: &mut usize,
    ) -> Outcome {
        let Self {
            subscriber,
            handler,
        } = self;
        let shown = subscriber.poll_until(max, |event, meta| {
            if meta.missed > 0 {
                context.lagged(id, meta.missed, state);
                if !context.contains(id) {
                    return ControlFlow::Break(());
                }
            }
            *handled += 1;
            handler(state, event, meta, context);
            context.flow()
        });
        match shown {
            Ok(_) => {
                let untold = subscriber.take_untold();
                if untold > 0 {
                    context.lagged(id, untold, state);
                }
                if subscriber.is_ready() {
                    return Outcome::More;
                }
                subscriber.take_fence_away();
                Outcome::Dry
            }
            // A loss that no event follows is told with the end.
            Err(PollError::Closed) => Outcome::Ended(subscriber.take_untold()),
            Err(PollError::Disconnected(missed)) => {
                Outcome::Ended(missed + subscriber.take_untold())
            }
            Err(PollError::WouldDeadlock) => unreachable!("a handler is given what is there"),
        }
    }

    fn is_ready(&self) -> bool {
        self.subscriber.is_ready()
    }

    fn enlist(&self, waiter: &Waiter) {
        self.subscriber.enlist(waiter);
    }

    fn delist(&self, waiter: &Waiter) {
        self.subscriber.delist(waiter);
    }

    fn fence_if_ready(&mut self) -> bool {
        self.subscriber.fence_if_ready()
    }

    fn take_fence_away(&mut self) {
        self.subscriber.take_fence_away();
    }

    fn left(&self) -> u64 {
        self.subscriber.left()
    }

    fn tell_panic(&self, handler: Option<&'static Location<'static>>, message: Option<&str>) {
        self.subscriber.tell_panic(handler, message);
    }

    #[cfg(feature = "services")]
    fn pending(&mut self) -> u64 {
        self.subscriber.pending()
    }

    #[cfg(feature = "services")]
    fn attend(&mut self) {
        self.subscriber.gather();
    }
}

impl<T: Send + Sync + 'static> MergedSubscriber<T> {
    /// An arm of [`select!`](crate::select!) for events that are not `Clone`: it is taken when there may be
    /// something to read, or the end; read it with [`poll`](Self::poll).
    pub fn ready(&mut self) -> impl Selectable<Output = ()> + '_ {
        MergedReady(self)
    }
}

struct MergedReady<'a, T: Send + Sync + 'static>(&'a mut MergedSubscriber<T>);

impl<T: Send + Sync + 'static> Selectable for MergedReady<'_, T> {
    type Output = ();

    fn try_select(&mut self) -> Option<()> {
        self.0.gather();
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

impl<T: Clone + Send + Sync + 'static> Selectable for MergedSubscriber<T> {
    type Output = Result<Delivery<T>, RecvError>;

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
