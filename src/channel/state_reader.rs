//! One thread's reader of the latest value.

use std::fmt;
use std::time::Instant;

use super::core::Core;
use super::error::{PollError, SubscribeError};
use crate::ring::{Found, View};
use crate::sync::Arc;

/// Reads the latest value of a [`State`](crate::State) by reference, again and again; made by
/// [`State::reader`](crate::State::reader).
///
/// It keeps the value that it showed last where it is, so reading the same value again costs two loads. What
/// is set meanwhile takes other slots of the ring; nobody waits for a reader.
///
/// ```
/// use ringbus::{Bus, PollError};
///
/// #[derive(Debug, PartialEq)]
/// struct Settings {
///     limit: u32, // neither `Clone` nor `Copy`
/// }
///
/// let bus = Bus::new();
/// let settings = bus.state(Settings { limit: 10 })?;
/// let mut reader = settings.reader()?;
/// assert_eq!(reader.read(|settings, _| settings.limit), 10);
///
/// let thread = std::thread::spawn(move || -> Result<Vec<u32>, PollError> {
///     let (mut seen, mut limits) = (0, Vec::new());
///     loop {
///         match reader.wait_newer(seen) {
///             Ok(()) => limits.push(reader.read(|settings, version| {
///                 seen = version;
///                 settings.limit
///             })),
///             Err(PollError::Closed) => return Ok(limits),
///             Err(error) => return Err(error),
///         }
///     }
/// });
/// settings.set(Settings { limit: 20 })?;
/// settings.set(Settings { limit: 30 })?;
/// settings.close();
/// // It may have missed one in between, but never the last.
/// assert_eq!(thread.join().unwrap()?.last(), Some(&30));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StateReader<T: Send + Sync + 'static> {
    core: Arc<Core<T>>,
    view: View<T>,
}

impl<T: Send + Sync + 'static> StateReader<T> {
    pub(crate) fn open(core: &Arc<Core<T>>) -> Result<Self, SubscribeError> {
        let ring = core.ring().expect("a state retains its value");
        let view = View::open(ring).map_err(SubscribeError::TooManyLossy)?;
        Ok(Self {
            core: Arc::clone(core),
            view,
        })
    }

    /// Shows the latest value and its version to `f`; never blocks.
    ///
    /// # Panics
    ///
    /// When `f` does. The value is shown again then.
    pub fn read<R>(&mut self, f: impl FnOnce(&T, u64) -> R) -> R {
        self.view.show(f).expect("a state has a value")
    }

    /// A clone of the latest value, and its version.
    ///
    /// # Panics
    ///
    /// When `T::clone` does.
    pub fn get(&mut self) -> (T, u64)
    where
        T: Clone,
    {
        self.read(|value, version| (value.clone(), version))
    }

    /// Whether there is a value newer than `version`.
    #[must_use]
    pub fn is_newer(&self, version: u64) -> bool {
        self.view.look_beyond(version) == Found::Some
    }

    /// Waits until there is a value newer than `version`.
    ///
    /// # Errors
    ///
    /// When the state is closed and none will come.
    ///
    /// # Blocking
    ///
    /// Waits by the topic's [`WaitStrategy`](crate::WaitStrategy).
    pub fn wait_newer(&mut self, version: u64) -> Result<(), PollError> {
        // Without a deadline the wait ends with an answer.
        self.wait(version, None).map(drop)
    }

    /// Waits until there is a value newer than `version`, until `deadline` at most; tells whether there is.
    ///
    /// # Errors
    ///
    /// As [`wait_newer`](Self::wait_newer).
    ///
    /// # Blocking
    ///
    /// As [`wait_newer`](Self::wait_newer), until the deadline.
    pub fn wait_newer_deadline(
        &mut self,
        version: u64,
        deadline: Instant,
    ) -> Result<bool, PollError> {
        self.wait(version, Some(deadline))
    }

    fn wait(&mut self, version: u64, deadline: Option<Instant>) -> Result<bool, PollError> {
        let Self { core, view } = self;
        let found = core
            .settings()
            .wait
            .wait(&core.events, Some(&core.parked), deadline, || {
                match view.look_beyond(version) {
                    Found::Empty => None,
                    found => Some(found),
                }
            });
        match found {
            Some(Found::Closed) => Err(PollError::Closed),
            found => Ok(found.is_some()),
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for StateReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateReader")
            .field("topic", &self.core.name())
            .finish_non_exhaustive()
    }
}
