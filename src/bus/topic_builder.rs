//! A topic's name and settings.

use std::any::type_name;
use std::fmt;

use super::error::TopicError;
use super::lanes::Lanes;
use super::registry::Registry;
use crate::channel::{
    Core, DeadLetter, Editor, MAX_CAPACITY, MAX_NAME, Settings, State, Timeline, Topic,
    WaitStrategy,
};
use crate::ring::MAX_SEQUENCE;

/// The capacity of a state, if none is asked for: few want to see many of its values.
const STATE_CAPACITY: usize = 256;

/// Opens a [`Topic`] with settings of its own; made by [`Bus::topic_builder`](crate::Bus::topic_builder).
///
/// ```
/// use ringbus::{Bus, WaitStrategy};
///
/// let bus = Bus::new();
/// let ticks = bus
///     .topic_builder::<u64>()
///     .name("ticks")
///     .capacity(1 << 14)
///     .wait(WaitStrategy::Spin)
///     .retain(1024)
///     .open()?;
/// assert_eq!(ticks.capacity(), 16_384);
///
/// // Opening it again asks for nothing else, or for the same.
/// bus.topic_named::<u64>("ticks")?;
/// bus.topic_builder::<u64>().name("ticks").retain(1024).open()?;
/// let error = bus.topic_builder::<u64>().name("ticks").retain(7).open().unwrap_err();
/// assert_eq!(error.to_string(), r#"topic "ticks" of u64 is open with another retain: 1024, not 7"#);
/// # Ok::<(), ringbus::TopicError>(())
/// ```
#[must_use = "a builder opens a topic when it is told to"]
pub struct TopicBuilder<'a, T: Send + Sync + 'static> {
    registry: &'a Registry,
    name: Option<String>,
    capacity: Option<usize>,
    grow_to: Option<usize>,
    wait: Option<WaitStrategy>,
    retain: Option<usize>,
    keep_open: Option<bool>,
    first_sequence: Option<u64>,
    timeline: Option<Timeline>,
    missed_letters: Option<Topic<DeadLetter<T>>>,
}

impl<'a, T: Send + Sync + 'static> TopicBuilder<'a, T> {
    pub(crate) fn new(registry: &'a Registry) -> Self {
        Self {
            registry,
            name: None,
            capacity: None,
            grow_to: None,
            wait: None,
            retain: None,
            keep_open: None,
            first_sequence: None,
            timeline: None,
            missed_letters: None,
        }
    }

    /// The topic's name, 1 to [`MAX_NAME`] bytes; without one it is found by its type alone.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many events a subscriber may be behind: 1 to [`MAX_CAPACITY`], rounded up to a power of two;
    /// 1024 by default.
    ///
    /// The ring has as many slots, at least 64, and twice as many if more than half of the capacity is to be
    /// [retained](Self::retain).
    ///
    /// Publishers step over the slots of the events that a lossy subscriber is handling or has left in a batch, at
    /// most 64 for each. In a ring without slots to spare, which one of 64 or more has not, lossless subscribers may
    /// be that much less behind meanwhile.
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = Some(events);
        self
    }

    /// Lets the capacity grow up to `events`, rounded up to a power of two, at most [`MAX_CAPACITY`]; by
    /// default it stays as it is.
    ///
    /// A publish that finds a lossless subscriber a full ring behind then doubles the capacity and goes on,
    /// where on another topic it would wait or be refused; so does a batch that is larger than the ring. Once
    /// the capacity is at its bound the topic is like any other. It never shrinks.
    ///
    /// This suits a loop that publishes and reads on one thread, a game's frame for one: nobody can read
    /// while it publishes, and how much it publishes differs from frame to frame.
    ///
    /// ```
    /// use ringbus::{Budget, Bus, PublishError, Reactor};
    ///
    /// struct Hit(u32);
    ///
    /// let bus = Bus::new();
    /// let hits = bus.topic_builder::<Hit>().capacity(64).grow_to(16_384).open()?;
    /// let publisher = hits.publisher()?;
    /// let mut reactor = Reactor::<u32>::new();
    /// reactor.on(hits.subscribe(), |damage, hit, _| *damage += hit.0);
    ///
    /// let mut damage = 0;
    /// for hits_in_frame in [10, 10_000, 100] {
    ///     for _ in 0..hits_in_frame {
    ///         publisher.publish(Hit(1))?;
    ///     }
    ///     reactor.turn(&mut damage, Budget::unlimited());
    /// }
    /// assert_eq!(damage, 10_110);
    /// assert_eq!((hits.capacity(), hits.max_capacity()), (16_384, 16_384));
    ///
    /// // The bound is one.
    /// for _ in 0..16_384 {
    ///     publisher.publish(Hit(1))?;
    /// }
    /// let refused = publisher.publish(Hit(2));
    /// assert!(matches!(refused, Err(PublishError::WouldDeadlock(Hit(2)))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # What growing is
    ///
    /// The ring that is full is closed and a larger one goes on with the next sequence. Subscribers read the
    /// old ring to its end and move over by themselves: their order, their counts and their names stay. A
    /// call that shows several events may stop where the ring changes; the next one goes on there. A lossy
    /// subscriber may keep more than the capacity until it has moved over.
    ///
    /// Growing allocates, and takes the lock under which subscribers join and leave. The old rings stay, with
    /// the last events that were in them, until the topic goes: together they are smaller than the new one.
    /// Publishing as the only publisher is as fast as before. One of several finds the new ring by a call on
    /// its way, a few nanoseconds per event.
    ///
    /// A start at an earlier event reaches back to the last change of the ring, so such a topic does not
    /// [retain](Self::retain) events. Nor does it take [stages](crate::SubscriberBuilder::after),
    /// [editors](Self::open_edited) or [groups](crate::GroupBuilder), and it is on no [timeline](Self::timeline).
    pub fn grow_to(mut self, events: usize) -> Self {
        self.grow_to = Some(events);
        self
    }

    /// How its threads wait; [`WaitStrategy::Park`] by default.
    pub fn wait(mut self, strategy: WaitStrategy) -> Self {
        self.wait = Some(strategy);
        self
    }

    /// Keeps the last `events` events for subscribers that join later with
    /// [`Start::Oldest`](crate::Start::Oldest), at most the capacity; 0 by default.
    ///
    /// Such a topic allocates its ring when it is opened.
    pub fn retain(mut self, events: usize) -> Self {
        self.retain = Some(events);
        self
    }

    /// Keeps the topic open when its last publisher is dropped.
    pub fn keep_open(mut self) -> Self {
        self.keep_open = Some(true);
        self
    }

    /// The sequence of the first event, to go on where an earlier run ended; 0 by default.
    ///
    /// Sequences end at [`MAX_SEQUENCE`](crate::MAX_SEQUENCE); a topic that comes there closes.
    pub fn first_sequence(mut self, sequence: u64) -> Self {
        self.first_sequence = Some(sequence);
        self
    }

    /// Puts the topic on a timeline: its events share one sequence with those of the timeline's other topics,
    /// of whatever type; see [`Timeline`]. By default it is on none.
    pub fn timeline(mut self, timeline: &Timeline) -> Self {
        self.timeline = Some(timeline.clone());
        self
    }

    /// Moves every event that a [`DropOldest`](crate::Overflow::DropOldest) subscriber or group misses to
    /// `letters`, as a [`DeadLetter`] with the cause [`Missed`](crate::LetterCause::Missed); by default it is dropped.
    ///
    /// It goes there once, however many subscribers miss it, and whether or not others have read it. As they may
    /// still be reading it when it is missed, it goes when its slot is needed again, which is up to as many events
    /// later as the ring has slots: the publisher that needs the slot moves it, after its own event is published, and
    /// never waits for that. What `letters` has no room for, or refuses, is dropped, and
    /// [counted](crate::TopicSnapshot::dead_letters_lost). What was missed and lies in the ring when the last handle
    /// of the topic goes is moved then, uncounted, if `letters` still takes it: on a bus that is dropped or closed
    /// before, it does not.
    ///
    /// What a subscriber's filter would have refused is missed too. What `Latest` skips is not, nor what was left
    /// when a membership ended, by `Disconnect` or otherwise. A subscriber counts from the moment it begins to join:
    /// what is overwritten meanwhile may go, though the subscriber would have begun with a later event.
    ///
    /// The topic must not be open yet. Publishing to it takes the way of a topic that has observers, which also
    /// means that a batch is taken out of its iterator before any of it is published. A bus counts as a publisher of
    /// `letters` from then on, so that it stays open and gives out no exclusive publisher. Events
    /// [that nobody listens to](crate::Topic::dead_letters_to) may go to the same topic.
    ///
    /// ```
    /// use ringbus::{Bus, DeadLetter, LetterCause, Overflow};
    ///
    /// let bus = Bus::new();
    /// let letters = bus.topic::<DeadLetter<u64>>();
    /// let mut missed = letters.subscribe();
    /// let ticks = bus.topic_builder::<u64>().capacity(64).missed_letters_to(&letters).open()?;
    /// let mut screen = ticks.subscriber().overflow(Overflow::DropOldest).open()?;
    ///
    /// for tick in 0..65 {
    ///     ticks.publish(tick)?;
    /// }
    /// let letter = missed.recv()?;
    /// assert_eq!((letter.event, letter.sequence), (0, 0));
    /// assert_eq!(letter.cause, LetterCause::Missed);
    /// # let _ = screen.try_recv();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn missed_letters_to(mut self, letters: &Topic<DeadLetter<T>>) -> Self {
        self.missed_letters = Some(letters.clone());
        self
    }

    /// Opens the topic, or finds it.
    ///
    /// # Errors
    ///
    /// When the name, the capacity, the number of events to retain or the first sequence is out of its bounds; when
    /// the topic is to grow and to retain events, to be on a timeline or to move missed events; when it is open
    /// already, and one of the settings given here differs or missed events are to be moved; when the topic for these
    /// is closed or has an exclusive publisher; or when more lossy subscribers follow its name than it takes.
    pub fn open(self) -> Result<Topic<T>, TopicError> {
        let settings = self.settings()?;
        if settings.grow_to.is_some() && self.timeline.is_some() {
            return Err(TopicError::GrowTimeline);
        }
        let name = self.name.as_deref();
        let timeline = self.timeline.as_ref();
        if self.missed_letters.is_some() {
            let topic = Topic::of(match timeline {
                Some(timeline) => Core::on_timeline(name, settings, timeline.sequencer()),
                None => Core::new(name, settings),
            });
            self.send_missed(&topic)?;
            return match self.registry.add(name, &topic)? {
                true => Ok(topic),
                false => Err(TopicError::MissedOpen),
            };
        }
        let (topic, new) = self.registry.open_on::<T>(name, settings, timeline)?;
        if !new {
            self.check_against(topic.core().settings())?;
            self.check_timeline(topic.timeline())?;
        }
        Ok(topic)
    }

    /// Opens the topic with editors, by their names: they change its events in place, one after the other,
    /// before any subscriber sees them. See [`Editor`].
    ///
    /// Such a topic allocates its ring when it is opened. Whoever opens it again gets the topic alone.
    ///
    /// ```
    /// use ringbus::{Bus, TopicError};
    ///
    /// struct Order {
    ///     price: u64,
    ///     fee: u64,
    /// }
    ///
    /// let bus = Bus::new();
    /// let (orders, [mut fees]) = bus.topic_builder::<Order>().open_edited(["fees"])?;
    /// let mut book = orders.subscribe();
    ///
    /// orders.publish(Order { price: 500, fee: 0 })?;
    /// fees.poll(64, |order, _| order.fee = order.price / 100)?;
    /// book.poll(64, |order, _| assert_eq!(order.fee, 5))?;
    ///
    /// let again = bus.topic_builder::<Order>().open_edited(["fees"]);
    /// assert_eq!(again.unwrap_err(), TopicError::Open);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), when a name is empty or too long, when the topic is to be on a timeline or to
    /// grow, and when it is open already.
    #[track_caller]
    pub fn open_edited<const N: usize>(
        self,
        names: [&str; N],
    ) -> Result<(Topic<T>, [Editor<T>; N]), TopicError> {
        let settings = self.settings()?;
        let wrong = names
            .iter()
            .find(|name| name.is_empty() || name.len() > MAX_NAME);
        if let Some(name) = wrong {
            return Err(TopicError::EditorName(name.len()));
        }
        if self.timeline.is_some() {
            return Err(TopicError::EditedTimeline);
        }
        if settings.grow_to.is_some() {
            return Err(TopicError::GrowEdited);
        }
        let name = self.name.as_deref();
        let (topic, editors) = Editor::open(name, settings, names);
        self.send_missed(&topic)?;
        if !self.registry.add(name, &topic)? {
            return Err(TopicError::Open);
        }
        editors.iter().for_each(Editor::tell_joined);
        Ok((topic, editors))
    }

    /// Opens lanes instead, or finds them: every publisher gets a ring of its own with these settings.
    ///
    /// ```
    /// # use ringbus::Bus;
    /// let bus = Bus::new();
    /// let ticks = bus.topic_builder::<u64>().name("ticks").capacity(1 << 14).open_lanes()?;
    /// assert_eq!(ticks.capacity(), 1 << 14);
    /// # Ok::<(), ringbus::TopicError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and when what is missed is to be moved.
    pub fn open_lanes(self) -> Result<Lanes<T>, TopicError> {
        let settings = self.settings()?;
        if self.missed_letters.is_some() {
            return Err(TopicError::MissedLanes);
        }
        let (lanes, new) = self
            .registry
            .open_lanes::<T>(self.name.as_deref(), settings);
        if !new {
            self.check_against(lanes.settings())?;
        }
        Ok(lanes)
    }

    /// As `open`; a new topic is a state with this initial value.
    pub(super) fn open_state(self, initial: T) -> Result<State<T>, TopicError> {
        let mut settings = self.settings()?;
        if self.capacity.is_none() {
            settings.capacity = STATE_CAPACITY;
        }
        let (topic, new) = self
            .registry
            .open_state(self.name.as_deref(), settings, initial)?;
        let state = State::of(&topic).ok_or_else(|| self.conflict("kind", "events", "state"))?;
        if !new {
            self.check_against(topic.core().settings())?;
        }
        Ok(state)
    }

    /// Has what is missed of a topic that nobody else has yet moved to where it is wanted.
    fn send_missed(&self, topic: &Topic<T>) -> Result<(), TopicError> {
        match &self.missed_letters {
            None => Ok(()),
            Some(_) if topic.core().settings().grow_to.is_some() => Err(TopicError::GrowMissed),
            Some(letters) => topic
                .send_missed_to(letters)
                .map_err(TopicError::MissedLetters),
        }
    }

    fn settings(&self) -> Result<Settings, TopicError> {
        if let Some(name) = &self.name
            && (name.is_empty() || name.len() > MAX_NAME)
        {
            return Err(TopicError::Name(name.len()));
        }
        let default = Settings::default();
        let capacity = self.capacity.unwrap_or(default.capacity);
        if capacity == 0 || capacity > MAX_CAPACITY {
            return Err(TopicError::Capacity(capacity));
        }
        let capacity = capacity.next_power_of_two();
        let grow_to = self.max_capacity(capacity)?;
        let retain = self.retain.unwrap_or(default.retain);
        if retain > capacity {
            return Err(TopicError::Retain { retain, capacity });
        }
        if retain > 0 && grow_to.is_some() {
            return Err(TopicError::GrowRetaining);
        }
        let first_sequence = self.first_sequence.unwrap_or(default.first_sequence);
        if first_sequence >= MAX_SEQUENCE {
            return Err(TopicError::FirstSequence(first_sequence));
        }
        Ok(Settings {
            capacity,
            grow_to,
            wait: self.wait.unwrap_or(default.wait),
            retain,
            keep_open: self.keep_open.unwrap_or(default.keep_open),
            first_sequence,
        })
    }

    fn check_timeline(&self, open: Option<Timeline>) -> Result<(), TopicError> {
        if self.timeline.is_none() || self.timeline == open {
            return Ok(());
        }
        let existing = if open.is_some() {
            "another one"
        } else {
            "none"
        };
        Err(self.conflict("timeline", existing, "the one given"))
    }

    fn conflict(&self, setting: &'static str, existing: &str, wanted: &str) -> TopicError {
        TopicError::Conflict {
            name: self.name.clone(),
            type_name: type_name::<T>(),
            setting,
            existing: existing.to_string(),
            wanted: wanted.to_string(),
        }
    }

    /// The capacity to grow to from `capacity`; `None` for a topic that does not grow.
    fn max_capacity(&self, capacity: usize) -> Result<Option<usize>, TopicError> {
        let Some(grow_to) = self.grow_to else {
            return Ok(None);
        };
        if grow_to > MAX_CAPACITY {
            return Err(TopicError::Capacity(grow_to));
        }
        let most = grow_to.next_power_of_two();
        if most < capacity {
            return Err(TopicError::GrowTo { grow_to, capacity });
        }
        Ok((most > capacity).then_some(most))
    }

    /// Compares what was set here with an open topic.
    fn check_against(&self, open: &Settings) -> Result<(), TopicError> {
        let capacity = self.capacity.map(usize::next_power_of_two);
        self.check("capacity", capacity, open.capacity)?;
        let grow_to = self.grow_to.map(usize::next_power_of_two);
        self.check("capacity to grow to", grow_to, open.max_capacity())?;
        self.check("wait strategy", self.wait, open.wait)?;
        self.check("retain", self.retain, open.retain)?;
        self.check("keep_open", self.keep_open, open.keep_open)?;
        self.check("first sequence", self.first_sequence, open.first_sequence)
    }

    fn check<V: PartialEq + fmt::Debug>(
        &self,
        setting: &'static str,
        wanted: Option<V>,
        existing: V,
    ) -> Result<(), TopicError> {
        match wanted {
            Some(wanted) if wanted != existing => {
                let (existing, wanted) = (format!("{existing:?}"), format!("{wanted:?}"));
                Err(self.conflict(setting, &existing, &wanted))
            }
            _ => Ok(()),
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for TopicBuilder<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicBuilder")
            .field("name", &self.name)
            .field("event", &type_name::<T>())
            .field("capacity", &self.capacity)
            .field("grow_to", &self.grow_to)
            .field("wait", &self.wait)
            .field("retain", &self.retain)
            .field("keep_open", &self.keep_open)
            .field("first_sequence", &self.first_sequence)
            .field("timeline", &self.timeline)
            .field("missed_letters", &self.missed_letters)
            .finish_non_exhaustive()
    }
}
