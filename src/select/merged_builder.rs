//! A merged subscriber's pattern or lanes, name, overflow, filter and start.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::intake::{Choice, Intake};
use super::merged::MergedSubscriber;
use crate::bus::{Bus, Lanes, Pattern, PatternError, Watcher};
use crate::channel::{MAX_NAME, Overflow, Start, SubscribeError, WaitStrategy};

/// Opens a [`MergedSubscriber`] that differs from the plain one; made by
/// [`Bus::pattern_subscriber`] and [`Lanes::subscriber`].
///
/// ```
/// use ringbus::{Bus, Overflow};
///
/// let bus = Bus::new();
/// let mut screen = bus
///     .pattern_subscriber::<u64>("md.>")?
///     .name("screen")
///     .overflow(Overflow::Latest)
///     .filter(|price| *price > 0)
///     .open()?;
///
/// let btc = bus.topic_named::<u64>("md.spot.btcusdt")?;
/// for price in [7, 8, 9] {
///     btc.publish(price)?;
/// }
/// screen.poll(64, |price, meta| assert_eq!((*price, meta.missed), (9, 2)))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder subscribes when it is opened"]
pub struct MergedBuilder<'a, T: Send + Sync + 'static> {
    follows: Follows<'a, T>,
    choice: Choice<T>,
    wait: WaitStrategy,
}

enum Follows<'a, T: Send + Sync + 'static> {
    Pattern(&'a Bus, Pattern),
    Lanes(&'a Lanes<T>),
}

impl Bus {
    /// A lossless subscriber of the topics of this event type whose names match a [`Pattern`]: of those that
    /// are open and of those that are opened later.
    ///
    /// Names are matched when a topic or a pattern appears, never when an event is published. A topic without
    /// a name is followed by no pattern.
    ///
    /// ```
    /// use ringbus::Bus;
    ///
    /// let bus = Bus::new();
    /// let mut fills = bus.subscribe_pattern::<u32>("fills.*")?;
    /// bus.topic_named::<u32>("fills.desk7")?.publish(100)?;
    /// let fill = fills.recv()?;
    /// assert_eq!((&*fill.topic, fill.event), ("fills.desk7", 100));
    ///
    /// let error = bus.subscribe_pattern::<u32>("fills..>").unwrap_err();
    /// assert_eq!(error.to_string(), "empty token at byte 6");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When it is no pattern, with the position of the fault.
    #[track_caller]
    pub fn subscribe_pattern<T: Send + Sync + 'static>(
        &self,
        pattern: &str,
    ) -> Result<MergedSubscriber<T>, PatternError> {
        Ok(self.pattern_subscriber(pattern)?.open_plain())
    }

    /// A subscriber of a pattern with a name, an overflow policy, a filter or another start.
    ///
    /// # Errors
    ///
    /// As [`subscribe_pattern`](Self::subscribe_pattern).
    #[track_caller]
    pub fn pattern_subscriber<T: Send + Sync + 'static>(
        &self,
        pattern: &str,
    ) -> Result<MergedBuilder<'_, T>, PatternError> {
        let follows = Follows::Pattern(self, Pattern::new(pattern)?);
        Ok(MergedBuilder::new(follows, WaitStrategy::default()))
    }
}

impl<T: Send + Sync + 'static> Lanes<T> {
    /// A lossless subscriber of all lanes, those that are open and those that are made later.
    #[track_caller]
    pub fn subscribe(&self) -> MergedSubscriber<T> {
        self.subscriber().open_plain()
    }

    /// A subscriber of all lanes with a name, an overflow policy, a filter or another start.
    #[track_caller]
    pub fn subscriber(&self) -> MergedBuilder<'_, T> {
        MergedBuilder::new(Follows::Lanes(self), self.strategy())
    }
}

impl<'a, T: Send + Sync + 'static> MergedBuilder<'a, T> {
    #[track_caller]
    fn new(follows: Follows<'a, T>, wait: WaitStrategy) -> Self {
        Self {
            follows,
            choice: Choice {
                name: None,
                overflow: Overflow::default(),
                start: Start::default(),
                filter: None,
                location: Location::caller(),
            },
            wait,
        }
    }

    /// The name that snapshots show at each topic: 1 to [`MAX_NAME`] bytes, not necessarily unique.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.choice.name = Some(name.into());
        self
    }

    /// What happens when it is a full ring behind in a topic; [`Overflow::Block`] by default.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.choice.overflow = overflow;
        self
    }

    /// Which event it sees first of the topics that are open already; [`Start::Now`] by default. Those that
    /// are opened later it sees from their first event on.
    pub fn start(mut self, start: Start) -> Self {
        self.choice.start = start;
        self
    }

    /// Delivers only the events for which `filter` is true.
    ///
    /// It runs on the thread that reads. All topics share it, so it takes `Fn` and `Sync`.
    pub fn filter(mut self, filter: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.choice.filter = Some(Arc::new(filter));
        self
    }

    /// How it waits when it is read by itself, or is the most patient of a `select!`;
    /// [`WaitStrategy::Park`] by default, and as the lanes do for lanes.
    pub fn wait(mut self, strategy: WaitStrategy) -> Self {
        self.wait = strategy;
        self
    }

    /// Subscribes.
    ///
    /// # Errors
    ///
    /// When the name is empty or too long; when a topic that is open has too many lossy subscribers, or not
    /// the sequence to start from.
    pub fn open(self) -> Result<MergedSubscriber<T>, SubscribeError> {
        if let Some(name) = &self.choice.name
            && (name.is_empty() || name.len() > MAX_NAME)
        {
            return Err(SubscribeError::Name(name.len()));
        }
        let intake = Intake::new(self.choice);
        let watcher: Arc<dyn Watcher<T>> = intake.clone();
        let lanes = match self.follows {
            Follows::Pattern(bus, pattern) => {
                bus.registry().watch(pattern, &watcher)?;
                None
            }
            Follows::Lanes(lanes) => {
                lanes.watch(&watcher)?;
                Some(lanes.clone())
            }
        };
        drop(watcher);
        Ok(MergedSubscriber::of(intake, lanes, self.wait))
    }

    fn open_plain(self) -> MergedSubscriber<T> {
        match self.open() {
            Ok(subscriber) => subscriber,
            Err(refusal) => refusal.of_a_plain_subscription(),
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for MergedBuilder<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pattern, lanes) = match &self.follows {
            Follows::Pattern(_, pattern) => (Some(pattern), None),
            Follows::Lanes(lanes) => (None, lanes.name()),
        };
        f.debug_struct("MergedBuilder")
            .field("pattern", &pattern)
            .field("lanes", &lanes)
            .field("name", &self.choice.name)
            .field("overflow", &self.choice.overflow)
            .field("start", &self.choice.start)
            .finish_non_exhaustive()
    }
}
