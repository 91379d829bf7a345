//! Editors as sources.

use super::arms::Ready;
use super::context::Context;
use super::handler::HandlerId;
use super::source::{Subscription, Take};
use crate::channel::{Editor, PollError, Subscriber};

/// A handler that changes events; its subscriber is an editor's.
struct Edits<F>(F);

impl<S, T, F> Take<S, T> for Edits<F>
where
    T: Send + Sync + 'static,
    F: FnMut(&mut S, &mut T, &mut Context<S>) + Send,
{
    fn take(
        &mut self,
        subscriber: &mut Subscriber<T>,
        _id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        max: usize,
        handled: &mut usize,
    ) -> Result<(), PollError> {
        let edited = subscriber.edit_until(max, |event, _| {
            *handled += 1;
            (self.0)(state, event, context);
            context.flow()
        });
        edited.map(drop)
    }
}

impl<S> Context<S> {
    /// Calls `handler` with each event of a topic that an [`Editor`] may change.
    ///
    /// ```
    /// use ringbus::{Budget, Bus, Reactor};
    ///
    /// let bus = Bus::new();
    /// let (prices, [round]) = bus.topic_builder::<f64>().open_edited(["round"])?;
    /// let mut reactor = Reactor::new();
    /// reactor.on_edit(round, |rounded: &mut u32, price, _| {
    ///     *price = price.round();
    ///     *rounded += 1;
    /// });
    /// reactor.on(prices.subscribe(), |_, price, _| assert_eq!(*price, 3.0));
    ///
    /// prices.publish(2.8)?;
    /// let mut rounded = 0;
    /// // Who comes after others sees in the next turn what they let through in this one.
    /// assert_eq!(reactor.turn(&mut rounded, Budget::unlimited()).handled, 1);
    /// assert_eq!(reactor.turn(&mut rounded, Budget::unlimited()).handled, 1);
    /// assert_eq!(rounded, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn on_edit<T, F>(&mut self, editor: Editor<T>, handler: F) -> HandlerId
    where
        T: Send + Sync + 'static,
        F: FnMut(&mut S, &mut T, &mut Context<S>) + Send + 'static,
    {
        self.add_source(Box::new(Subscription {
            subscriber: editor.into_subscriber(),
            handler: Edits(handler),
        }))
    }
}

impl<T: Send + Sync + 'static> Editor<T> {
    /// An arm of [`select!`](crate::select!) that is taken when there may be something to edit, or the end;
    /// [`poll`](Self::poll) it then.
    pub fn ready(&mut self) -> Ready<'_, T> {
        self.subscriber().ready()
    }
}
