//! Topics that share one sequence, and reading them in it.

use std::fmt;
use std::ops::ControlFlow;

use super::batch::Meta;
use super::subscriber::{Subscriber, WentOn};
use crate::ring::{Next, Policy, Sequencer};
use crate::sync::Arc;

/// Sequences that a lossy subscriber claims at once.
const CLAIM: u64 = 64;

/// A domain of topics that share one sequence, so that a reactor can handle events of different types in the
/// order in which they were published.
///
/// A topic is put on a timeline when it is opened, by [`TopicBuilder::timeline`](crate::TopicBuilder::timeline),
/// and is a topic like any other. Each of its events also gets a place on the timeline. Handlers that are added
/// by [`Context::timeline`](crate::Context::timeline) are called in the order of the places, over all their
/// topics; other subscriptions of these topics do not notice.
///
/// ```
/// use ringbus::{Budget, Bus, Reactor, Timeline};
///
/// struct Quote(u64);
/// struct Trade(u64);
/// enum Recorded {
///     Quote(u64),
///     Trade(u64),
///     Halt(String),
/// }
///
/// let bus = Bus::new();
/// let timeline = Timeline::new();
/// let quotes = bus.topic_builder::<Quote>().timeline(&timeline).open()?;
/// let trades = bus.topic_builder::<Trade>().timeline(&timeline).open()?;
/// let halts = bus.topic_builder::<String>().name("halts").timeline(&timeline).open()?;
///
/// let mut reactor = Reactor::<Vec<String>>::new();
/// let mut order = reactor.timeline(&timeline);
/// order.on(quotes.subscribe(), |log, quote, _| log.push(format!("quote {}", quote.0)));
/// order.on(trades.subscribe(), |log, trade, _| log.push(format!("trade {}", trade.0)));
/// order.on(halts.subscribe(), |log, why, cx| log.push(format!("{why} at {:?}", cx.place())));
///
/// // A replay: whatever the types, what comes out is what was recorded.
/// let recording = [
///     Recorded::Quote(99),
///     Recorded::Trade(99),
///     Recorded::Quote(101),
///     Recorded::Halt("news".to_string()),
///     Recorded::Trade(100),
/// ];
/// for event in recording {
///     match event {
///         Recorded::Quote(price) => quotes.publish(Quote(price)).map(drop)?,
///         Recorded::Trade(price) => trades.publish(Trade(price)).map(drop)?,
///         Recorded::Halt(why) => halts.publish(why).map(drop)?,
///     }
/// }
/// let mut log = Vec::new();
/// let _ = reactor.turn(&mut log, Budget::unlimited());
/// assert_eq!(log, ["quote 99", "trade 99", "quote 101", "news at Some(3)", "trade 100"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Order
///
/// A publish that returned before another one began has the smaller place, whichever threads and topics they
/// are of; of two at the same time either may have it. In each topic the places grow with the sequences. The
/// events of a batch have adjacent places, unless it went in parts. Places may have gaps.
///
/// An event takes its place when it takes its room in the ring. So one that waits for room has none yet and
/// holds up no other topic. One that is in the middle of being published holds up what comes behind it, as in a
/// single topic; with an [`ExclusivePublisher`](crate::ExclusivePublisher) that lasts as long as the closure or
/// the iterator that makes the event. Where it is the next event of a lossy subscription it holds up everything
/// for that long, as its place is not known before it is there. A [`turn`](crate::Reactor::turn) does not wait
/// for it: what is held up when the turn comes to it is handled in a later one. A topic without events holds up
/// nothing.
///
/// Losses of lossy subscriptions are told to their own handlers, and what is left is in order. The close of a
/// topic has no place: its handler is told when it has handled what there was. A subscription that is added
/// with events older than those that were handled begins with them.
///
/// # Cost
///
/// All publishers of a timeline take turns at one lock, also those of different topics and an exclusive one;
/// nobody waits and no code of the user's runs under it. A topic that is on no timeline pays nothing. In pairs of
/// windows in one process, with events of 32 bytes (`cargo bench --bench timeline`):
///
/// | what                                                     | times the cost without a timeline |
/// |----------------------------------------------------------|-----------------------------------|
/// | publishing, one publisher                                | 2.3                               |
/// | publishing on two cores, each to a topic of its own      | 5: the two take turns             |
/// | handling, each event of another one of 2, 4 or 16 topics | 14                                |
/// | handling, runs of 8 events of one of 2, 4 or 16 topics   | 4.5 to 5                          |
///
/// The handlers there add up a number, and without a timeline a run of events stays in registers, at a fifth of
/// what publishing them costs. In other terms, an event that follows one of another topic is handled at the cost
/// of two and a half plain publishes with 2 topics, and of three with 16.
///
/// A place takes 8 bytes for each slot of the ring. A reactor looks at each of the timeline's subscriptions
/// once a round, which is up to 64 events; within a round an event costs the logarithm of the number of topics
/// that have any.
#[derive(Clone)]
pub struct Timeline {
    sequencer: Arc<Sequencer>,
}

impl Timeline {
    /// A timeline without topics; see [`TopicBuilder::timeline`](crate::TopicBuilder::timeline).
    pub fn new() -> Self {
        Self::of(&Sequencer::new())
    }

    pub(crate) fn of(sequencer: &Arc<Sequencer>) -> Self {
        Self {
            sequencer: Arc::clone(sequencer),
        }
    }

    pub(crate) fn sequencer(&self) -> &Arc<Sequencer> {
        &self.sequencer
    }

    /// The place that the next event will have.
    ///
    /// Places begin with 0. An event of a topic that nobody has subscribed to yet has none.
    pub fn next_place(&self) -> u64 {
        self.sequencer.next()
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new()
    }
}

/// Timelines are equal if they are one.
impl PartialEq for Timeline {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.sequencer, &other.sequencer)
    }
}

impl Eq for Timeline {}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeline")
            .field("next_place", &self.next_place())
            .finish_non_exhaustive()
    }
}

/// Reading one topic of a timeline as far as the others allow.
impl<T: Send + Sync + 'static> Subscriber<T> {
    /// The timeline of its topic.
    pub(crate) fn sequencer(&self) -> Option<&Arc<Sequencer>> {
        self.listing.core().sequencer()
    }

    /// What comes next on the timeline; a lossy subscriber then keeps it.
    pub(crate) fn next_place(&mut self) -> Next {
        self.reader.note_thread();
        let before = self.reader.position();
        let next = self.reader.next_place(CLAIM);
        let passed = self.reader.position() != before && self.reader.policy() == Policy::Lossless;
        if passed | self.reader.take_let_go() {
            // Holes were passed, or slots let go of.
            drop(WentOn(&self.listing));
        }
        next
    }

    /// As [`next_place`](Self::next_place), without keeping anything.
    pub(crate) fn peek_place(&self) -> Next {
        self.reader.peek_place()
    }

    /// Shows up to `max` events with places below `bound` to `handler`, with their places, until it breaks.
    ///
    /// What [`next_place`](Self::next_place) has found is there, so a loop of both ends.
    pub(crate) fn show_before<F>(&mut self, bound: u64, max: usize, mut handler: F)
    where
        F: FnMut(&T, Meta, u64) -> ControlFlow<()>,
    {
        let Self {
            reader,
            listing,
            filter,
            ..
        } = self;
        let went_on = WentOn(listing);
        reader.lend(|mut events| {
            let mut shown = 0;
            let mut flow = ControlFlow::Continue(());
            while flow.is_continue() && shown < max {
                let Some(place) = events.next_place().filter(|&place| place < bound) else {
                    break;
                };
                events.next_with(|event, sequence, account| {
                    if filter.as_mut().is_some_and(|filter| !filter(event)) {
                        account.refuse();
                        return;
                    }
                    shown += 1;
                    let missed = account.take_missed();
                    flow = handler(event, Meta { sequence, missed }, place);
                });
            }
        });
        drop(went_on);
    }
}
