//! Opening states.

use std::fmt;

use super::bus::Bus;
use super::error::TopicError;
use super::topic_builder::TopicBuilder;
use crate::channel::{State, WaitStrategy};

impl Bus {
    /// The state of this type that has no name; opened with default settings and this initial value if it is not
    /// open.
    ///
    /// On a closed bus the state is closed.
    ///
    /// # Errors
    ///
    /// When the topic of this type that has no name is one of events.
    pub fn state<T: Send + Sync + 'static>(&self, initial: T) -> Result<State<T>, TopicError> {
        self.state_builder().open(initial)
    }

    /// The state of this type and name; opened with default settings and this initial value if it is not open.
    ///
    /// # Errors
    ///
    /// As [`state`](Self::state), and when the name is empty or longer than [`MAX_NAME`](crate::MAX_NAME) bytes.
    pub fn state_named<T: Send + Sync + 'static>(
        &self,
        name: &str,
        initial: T,
    ) -> Result<State<T>, TopicError> {
        self.state_builder().name(name).open(initial)
    }

    /// Opens a state with settings of its own.
    pub fn state_builder<T: Send + Sync + 'static>(&self) -> StateBuilder<'_, T> {
        StateBuilder {
            topic: self.topic_builder().retain(1).keep_open(),
        }
    }
}

/// The smallest capacity of a state. With fewer slots, pins could push a reader past the newest value.
const MIN_CAPACITY: usize = 64;

/// Opens a [`State`] with settings of its own; made by [`Bus::state_builder`].
///
/// ```
/// use ringbus::{Bus, WaitStrategy};
///
/// let bus = Bus::new();
/// let mode = bus
///     .state_builder::<&str>()
///     .name("mode")
///     .capacity(256)
///     .wait(WaitStrategy::Yield)
///     .first_version(1000)
///     .open("starting")?;
/// assert_eq!(mode.get(), ("starting", 1000));
///
/// // Opened again it has the value that it has.
/// assert_eq!(bus.state_named("mode", "other")?.get(), ("starting", 1000));
/// # Ok::<(), ringbus::TopicError>(())
/// ```
#[must_use = "a builder opens a state when it is told to"]
pub struct StateBuilder<'a, T: Send + Sync + 'static> {
    topic: TopicBuilder<'a, T>,
}

impl<T: Send + Sync + 'static> StateBuilder<'_, T> {
    /// The state's name, as [`TopicBuilder::name`].
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.topic = self.topic.name(name);
        self
    }

    /// How many values a lossless subscriber may be behind, as [`TopicBuilder::capacity`]; at least 64, 256 by
    /// default.
    ///
    /// There may be half as many readers and lossy subscribers together.
    pub fn capacity(mut self, values: usize) -> Self {
        let values = if values == 0 {
            0
        } else {
            values.max(MIN_CAPACITY)
        };
        self.topic = self.topic.capacity(values);
        self
    }

    /// How threads wait for a newer value or for room, as [`TopicBuilder::wait`].
    pub fn wait(mut self, strategy: WaitStrategy) -> Self {
        self.topic = self.topic.wait(strategy);
        self
    }

    /// The version of the initial value, to go on where an earlier run ended; 0 by default.
    pub fn first_version(mut self, version: u64) -> Self {
        self.topic = self.topic.first_sequence(version);
        self
    }

    /// Opens the state with its initial value, or finds it with the value that it has.
    ///
    /// # Errors
    ///
    /// As [`TopicBuilder::open`], and when the topic of this type and name is one of events.
    pub fn open(self, initial: T) -> Result<State<T>, TopicError> {
        self.topic.open_state(initial)
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for StateBuilder<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StateBuilder").field(&self.topic).finish()
    }
}
