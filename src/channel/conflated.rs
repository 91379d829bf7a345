//! Conflation by key beside the ring, for a reader that is slower than the ring is long.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::time::Instant;

use super::batch::Meta;
use super::error::PollError;
use super::subscriber::Subscriber;

/// Hands out the newest event of each key, one key after the other; made by [`Subscriber::conflate_by`].
///
/// Each call first takes everything out of the ring and into a table, which keeps a clone of the newest event of
/// each key; then it hands out one of them. So the ring has to last only from one call to the next, however slow
/// the reader is, and however many events of a busy key come in between: what a rare key said last is not lost to
/// them. Should the ring not last, what is lost is up to the subscriber's [`Overflow`](crate::Overflow), and told.
///
/// Each key waits for its turn since its first event that was not handed out, so that a key whose events never
/// end is not put off for ever, nor puts off others. The events of one key keep their order; those of different
/// keys need not.
///
/// [`Meta::missed`] tells how many events of the key were passed over since the last one of it, and what else
/// was missed meanwhile. The subscriber's snapshot counts what is in the table as delivered, and what was passed
/// over there as missed.
///
/// It may be an arm of [`select!`](crate::select!), which is given what [`recv`](Self::recv) returns. As losses come
/// with the events, `while let Ok((event, meta)) = conflated.recv()` goes on to the end. A reactor that conflates
/// calls [`Batch::latest_by`](crate::Batch::latest_by) in an [`on_batch`](crate::Context::on_batch).
///
/// # Memory
///
/// The table has at most as many keys as it was made for, and one event for each. When another key comes, its
/// event waits, and with it the ring, until the table has been handed out; then the table starts anew. It
/// allocates only until it has grown.
///
/// ```
/// use ringbus::{Bus, Overflow};
///
/// let bus = Bus::new();
/// let ticks = bus.topic_builder::<(&str, u32)>().capacity(8).open()?;
/// let subscriber = ticks.subscriber().overflow(Overflow::DropOldest).open()?;
/// let mut screen = subscriber.conflate_by(1000, |tick| tick.0);
///
/// ticks.publish(("bar", 1))?;
/// let mut shown = Vec::new();
/// for price in 0..100 {
///     ticks.publish(("quote", price))?;
///     if price % 5 == 0 {
///         shown.extend(screen.try_recv()?.map(|(tick, _)| tick)); // slower than the ring is long
///     }
/// }
/// while let Some((tick, _)) = screen.try_recv()? {
///     shown.push(tick);
/// }
/// assert_eq!(shown[..3], [("bar", 1), ("quote", 5), ("quote", 10)]);
/// assert_eq!(shown.last(), Some(&("quote", 99)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a subscriber that is dropped leaves at once"]
pub struct Conflated<T: Send + Sync + 'static, K, G> {
    subscriber: Subscriber<T>,
    key: G,
    table: Table<T, K>,
    /// Why the subscriber finds no more events; told when the table is empty.
    ended: Option<PollError>,
}

/// The newest event of each key.
struct Table<T, K> {
    /// The place of each key that was seen since the table started anew, at most `most`.
    places: HashMap<K, usize>,
    most: usize,
    /// Each place's newest event, if it was not handed out.
    events: Vec<Option<(T, Meta)>>,
    /// The places that have one, by the first event that was not handed out.
    turns: VecDeque<usize>,
    /// An event for whose key there was no place.
    waiting: Option<(K, T, Meta)>,
    /// Events that were replaced and not booked yet.
    replaced: u64,
}

impl<T: Clone + Send + Sync + 'static> Subscriber<T> {
    /// Conflates by key, in a table of at most `keys` keys beside the ring.
    ///
    /// See [`Conflated`]; [`drain_latest_by`](Self::drain_latest_by) conflates in the ring itself.
    ///
    /// # Panics
    ///
    /// When `keys` is 0.
    pub fn conflate_by<K, G>(self, keys: usize, key: G) -> Conflated<T, K, G>
    where
        K: Eq + Hash,
        G: FnMut(&T) -> K,
    {
        assert!(keys > 0, "a table must have room for a key, got 0");
        Conflated {
            subscriber: self,
            key,
            table: Table {
                places: HashMap::new(),
                most: keys,
                events: Vec::new(),
                turns: VecDeque::new(),
                waiting: None,
                replaced: 0,
            },
            ended: None,
        }
    }
}

impl<T, K, G> Conflated<T, K, G>
where
    T: Clone + Send + Sync + 'static,
    K: Eq + Hash,
    G: FnMut(&T) -> K,
{
    /// Returns the newest event of the key whose turn it is, if there is one; never blocks.
    ///
    /// # Errors
    ///
    /// When the topic is closed, or the subscriber was disconnected, and everything has been handed out.
    ///
    /// # Panics
    ///
    /// When the subscriber's filter, the closure that tells the key, the key's `Eq` or `Hash`, or `Clone` does. The
    /// event it was about is done with; everything else is still there for the next call.
    pub fn try_recv(&mut self) -> Result<Option<(T, Meta)>, PollError> {
        self.take_in();
        match (self.table.hand_out(), self.ended) {
            (None, Some(ended)) => {
                // A disconnection is told once.
                self.ended = Some(PollError::Closed);
                Err(ended)
            }
            (event, _) => Ok(event),
        }
    }

    /// Waits until there is an event, and returns the newest of the key whose turn it is.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv), and when it [comes after](crate::SubscriberBuilder::after) a subscriber
    /// that only this thread reads.
    ///
    /// # Panics
    ///
    /// As [`try_recv`](Self::try_recv).
    ///
    /// # Blocking
    ///
    /// As [`Subscriber::recv`].
    pub fn recv(&mut self) -> Result<(T, Meta), PollError> {
        // Without a deadline the wait ends with an event or an error.
        loop {
            if let Some(event) = self.recv_until(None)? {
                return Ok(event);
            }
        }
    }

    /// Waits until there is an event, until `deadline` at most, and returns the newest of the key whose turn it is.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// As [`try_recv`](Self::try_recv).
    ///
    /// # Blocking
    ///
    /// As [`Subscriber::recv`], until the deadline.
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Option<(T, Meta)>, PollError> {
        self.recv_until(Some(deadline))
    }

    fn recv_until(&mut self, deadline: Option<Instant>) -> Result<Option<(T, Meta)>, PollError> {
        loop {
            if let Some(event) = self.try_recv()? {
                return Ok(Some(event));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            match self.subscriber.wait(deadline) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                // No end: others may read whom it comes after.
                Err(PollError::WouldDeadlock) => return Err(PollError::WouldDeadlock),
                Err(end) => self.ended = Some(end),
            }
        }
    }

    /// Whether there may be something to hand out, or the end to tell.
    pub(crate) fn is_ready(&self) -> bool {
        let table = &self.table;
        let has_one = !table.turns.is_empty() || table.waiting.is_some();
        has_one || self.ended.is_some() || self.subscriber.is_ready()
    }

    pub(crate) fn subscriber(&self) -> &Subscriber<T> {
        &self.subscriber
    }

    /// Takes what the ring has into the table.
    fn take_in(&mut self) {
        let Self {
            subscriber,
            key,
            table,
            ended,
        } = self;
        if table.waiting.is_some() && !table.start_anew() || ended.is_some() {
            return;
        }
        let capacity = subscriber.capacity();
        let taken = subscriber.poll_until(capacity, |event, meta| {
            let key = key(event);
            table.put(key, event.clone(), meta)
        });
        *ended = taken.err();
        // After a panic the next call does it.
        subscriber.conflate_delivered(std::mem::take(&mut table.replaced));
    }
}

impl<T, K: Eq + Hash> Table<T, K> {
    /// Puts an event into its key's place; breaks when the table takes no more for now.
    fn put(&mut self, key: K, event: T, mut meta: Meta) -> ControlFlow<()> {
        let full = self.places.len() == self.most;
        let place = match self.places.entry(key) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) if full => {
                self.waiting = Some((entry.into_key(), event, meta));
                return ControlFlow::Break(());
            }
            Entry::Vacant(entry) => {
                self.events.push(None);
                *entry.insert(self.events.len() - 1)
            }
        };
        let replaced = self.events[place].take();
        match &replaced {
            Some((_, older)) => {
                meta.missed += older.missed + 1;
                self.replaced += 1;
            }
            None => self.turns.push_back(place),
        }
        self.events[place] = Some((event, meta));
        // User code, so last.
        drop(replaced);
        ControlFlow::Continue(())
    }

    /// Forgets the keys, for the event that waits; `false` while there are events to hand out.
    fn start_anew(&mut self) -> bool {
        if !self.turns.is_empty() {
            return false;
        }
        self.events.clear();
        self.places.clear();
        if let Some((key, event, meta)) = self.waiting.take() {
            // There is room for one.
            let _ = self.put(key, event, meta);
        }
        true
    }

    fn hand_out(&mut self) -> Option<(T, Meta)> {
        let place = self.turns.pop_front()?;
        self.events[place].take()
    }
}

impl<T: Send + Sync + 'static, K, G> fmt::Debug for Conflated<T, K, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conflated")
            .field("subscriber", &self.subscriber)
            .field("keys", &self.table.places.len())
            .finish_non_exhaustive()
    }
}
