//! Conflation by key: of the events that are there, the newest of each key.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::batch::{Batch, Meta};
use super::error::PollError;
use super::subscriber::Subscriber;

/// What conflation remembers while it looks at a batch. Its memory is kept, so that it allocates only until it
/// has grown.
#[derive(Default)]
pub(crate) struct Scratch {
    /// What becomes of each event, from the first on.
    fates: Vec<Fate>,
    /// The place of the newest event of each key: a `HashMap<K, usize>`, of the last `K` that was asked for.
    newest: Option<Box<dyn Any + Send>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The filter refused it.
    Refused,
    /// There is a newer one of its key.
    PassedOver,
    Shown,
}

impl Scratch {
    /// The memory for keys of type `K`, empty.
    fn of<K: Send + 'static>(&mut self) -> (&mut Vec<Fate>, &mut HashMap<K, usize>) {
        let Self { fates, newest } = self;
        let wanted = newest
            .as_ref()
            .is_some_and(|newest| newest.is::<HashMap<K, usize>>());
        if !wanted {
            *newest = Some(Box::new(HashMap::<K, usize>::new()));
        }
        let newest = newest
            .as_mut()
            .and_then(|newest| newest.downcast_mut::<HashMap<K, usize>>())
            .expect("it has been made for this type");
        // A panic of user code may have left something.
        fates.clear();
        forget_keys(newest);
        (fates, newest)
    }
}

impl<T> Batch<'_, T> {
    /// Shows the newest event of each key to `handler`, and passes over the others; takes the whole batch.
    ///
    /// The events are shown in the topic's order. Those that were passed over are told with the next one that is
    /// shown, in [`Meta::missed`], and the subscriber's snapshot counts them as missed. Returns how many were
    /// shown.
    ///
    /// The memory for it is kept with the subscription: one key and a byte for each event at most. It
    /// allocates only until that has grown, or when the type of the key changes.
    ///
    /// ```
    /// use ringbus::{Bus, Budget, Reactor};
    ///
    /// let bus = Bus::new();
    /// let quotes = bus.topic::<(u32, f64)>();
    /// let mut reactor = Reactor::<Vec<(u32, f64)>>::new();
    /// reactor.on_batch(quotes.subscribe(), |screen, batch, _| {
    ///     batch.latest_by(|quote| quote.0, |quote, _| screen.push(*quote));
    /// });
    ///
    /// for quote in [(1, 10.0), (2, 20.0), (1, 10.5)] {
    ///     quotes.publish(quote)?;
    /// }
    /// let mut screen = Vec::new();
    /// reactor.turn(&mut screen, Budget::events(64));
    /// assert_eq!(screen, [(2, 20.0), (1, 10.5)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// When `handler` does, `key`, or the key's `Eq` or `Hash`. The event it was about is done with and counts as
    /// delivered, and so is everything before it; what is behind it stays in the batch.
    pub fn latest_by<K, G, F>(&mut self, mut key: G, mut handler: F) -> usize
    where
        K: Eq + Hash + Send + 'static,
        G: FnMut(&T) -> K,
        F: FnMut(&T, Meta),
    {
        let Self {
            events,
            filter,
            first,
            left,
            taken,
            scratch,
        } = self;
        let mut own = Scratch::default();
        let (fates, newest) = scratch.as_deref_mut().unwrap_or(&mut own).of::<K>();

        // Looked at first, from the first event on, without taking any.
        let mut let_through = false;
        if let Some((_, meta)) = first.take() {
            events.give_back(meta.sequence, meta.missed);
            *left += 1;
            let_through = true;
        }
        let start = events.bookmark();
        let looked = catch_unwind(AssertUnwindSafe(|| {
            while fates.len() < *left {
                let Some((event, _)) = events.next_ref() else {
                    break;
                };
                let refused = !std::mem::take(&mut let_through)
                    && filter.as_mut().is_some_and(|filter| !filter(event));
                if refused {
                    fates.push(Fate::Refused);
                    continue;
                }
                if let Some(older) = newest.insert(key(event), fates.len()) {
                    fates[older] = Fate::PassedOver;
                }
                fates.push(Fate::Shown);
            }
        }));
        // Forgotten, should the handler panic too: a payload's drop may panic.
        let looked = looked.map_err(ManuallyDrop::new);
        events.go_back(start);

        let mut shown = 0;
        for &fate in &*fates {
            // Before user code may unwind.
            *left -= 1;
            *taken += usize::from(fate != Fate::Refused);
            events.next_with(|event, sequence, account| match fate {
                Fate::Refused => account.refuse(),
                Fate::PassedOver => account.conflate(),
                Fate::Shown => {
                    shown += 1;
                    let missed = account.take_missed();
                    handler(event, Meta { sequence, missed });
                }
            });
        }
        if let Err(payload) = looked {
            // The event that it was about is behind those.
            *left -= 1;
            *taken += 1;
            events.next_with(|_, _, account| account.take_missed());
            resume_unwind(ManuallyDrop::into_inner(payload));
        }
        forget_keys(newest);
        shown
    }
}

/// Drops the keys, which is user code: by a drain, as a clear that unwinds leaks those behind.
fn forget_keys<K>(newest: &mut HashMap<K, usize>) {
    newest.drain().for_each(drop);
}

impl<T: Send + Sync + 'static> Subscriber<T> {
    /// Takes every event that is there, and shows the newest of each key to `handler`; never blocks.
    ///
    /// The events are shown in the topic's order. Those that were passed over are told with the next one that is
    /// shown, in [`Meta::missed`], and the snapshot counts them as missed. Returns how many were shown.
    ///
    /// By reference, so for any type. A lossless subscriber conflates over everything that the ring holds, which
    /// it holds until the call returns. A lossy one conflates over what it claims at a time, at most 64 events, so
    /// that a key may be shown several times, each time with a newer event. Where a reader is so slow that it
    /// loses events between two calls, [`conflate_by`](Self::conflate_by) is for it.
    ///
    /// The memory for it is kept with the subscriber: one key and a byte for each event at most. It allocates only
    /// until that has grown, or when the type of the key changes.
    ///
    /// ```
    /// use ringbus::Bus;
    ///
    /// struct Quote {
    ///     symbol: u32,
    ///     price: f64,
    /// }
    ///
    /// let bus = Bus::new();
    /// let quotes = bus.topic::<Quote>();
    /// let mut screen = quotes.subscribe();
    /// for (symbol, price) in [(1, 10.0), (2, 20.0), (1, 10.5), (1, 11.0)] {
    ///     quotes.publish(Quote { symbol, price })?;
    /// }
    ///
    /// let mut shown = Vec::new();
    /// screen.drain_latest_by(
    ///     |quote| quote.symbol,
    ///     |quote, meta| shown.push((quote.symbol, quote.price, meta.missed)),
    /// )?;
    /// assert_eq!(shown, [(2, 20.0, 1), (1, 11.0, 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Panics
    ///
    /// As [`Batch::latest_by`]: what is behind the event that the panic was about is still there for the next call.
    pub fn drain_latest_by<K, G, F>(
        &mut self,
        mut key: G,
        mut handler: F,
    ) -> Result<usize, PollError>
    where
        K: Eq + Hash + Send + 'static,
        G: FnMut(&T) -> K,
        F: FnMut(&T, Meta),
    {
        // What is published from now on may wait for the next call.
        let (mut position, published) = self.reach();
        let mut shown = 0;
        loop {
            let batch = self.poll_batch(usize::MAX, |mut batch| {
                batch.latest_by(&mut key, &mut handler)
            });
            match batch {
                Ok(more) => shown += more.unwrap_or(0),
                Err(PollError::Closed) if shown > 0 => return Ok(shown),
                Err(error) => return Err(error),
            }
            let before = position;
            (position, _) = self.reach();
            if position >= published || position == before {
                return Ok(shown);
            }
        }
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}
