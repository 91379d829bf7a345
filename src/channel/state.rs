//! The latest value, with a version.

use std::fmt;
use std::time::{Duration, Instant};

use super::core::Core;
use super::current::Current;
use super::error::{PublishError, PublishTimeoutError, SubscribeError, TryPublishError};
use super::overflow::{Overflow, Start};
#[cfg(feature = "plain")]
use super::plain_reader::PlainReader;
use super::publish::{self, Announce, Patience, Refusal, Writer};
use super::state_reader::StateReader;
use super::subscriber::Subscriber;
use super::subscriber_builder::SubscriberBuilder;
use super::topic::Topic;
use crate::ring::{Claimed, Obstacle, Ring, SoleWriter, Turn};
use crate::sync::{Arc, MutexGuard};

/// A topic of which the latest value counts: it always has one, and each value has a version.
///
/// Setting a value publishes it, and its version is the sequence of that event: versions grow, and may have
/// gaps. A state is read without subscribing; and it is joined without a gap: a
/// [subscriber](Self::subscribe) is given the latest value, then every later one.
///
/// A state is a handle: cheap to clone, sent and shared between threads. Any of them may set; together they
/// make one order. Dropping one closes nothing. The [topic](Self::topic) below it has the same name and numbers;
/// it closes when it is [closed](Topic::close) or its bus is, and takes no other publisher. The latest value
/// stays readable after that.
///
/// ```
/// use ringbus::Bus;
///
/// let bus = Bus::new();
/// let price = bus.state_named("price.btcusdt", 100_u64)?;
/// assert_eq!(price.get(), (100, 0));
///
/// let version = price.set(101)?;
/// price.read(|value, seen| assert_eq!((*value, seen), (101, version)));
///
/// let mut changes = price.subscribe();
/// price.set(102)?;
/// assert_eq!(changes.recv()?, 101); // what it was
/// assert_eq!(changes.recv()?, 102); // and how it changes
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Ways to read the latest value
///
/// | by                                      | needs           | progress                                   |
/// |-----------------------------------------|-----------------|--------------------------------------------|
/// | [`State::read`], [`State::get`]         | nothing         | two short locks among readers, each held for a few instructions |
/// | [`StateReader`]                         | a place in the ring | lock-free                              |
/// | [`PlainReader::get`]                    | a plain type    | lock-free                                  |
/// | [`PlainReader::load`]                   | a plain type of at most 8 bytes | wait-free                  |
/// | a subscriber with [`Overflow::Latest`]  | a place in the ring | as [`Subscriber::poll`]; may be waited for among others |
///
/// No reader ever waits for a value that is just being set, and none makes `set` wait. None goes back: once
/// a version was seen, by whatever thread, whoever then reads in the same way finds that version or a newer one.
///
/// [`PlainReader::get`]: crate::PlainReader::get
/// [`PlainReader::load`]: crate::PlainReader::load
pub struct State<T: Send + Sync + 'static> {
    core: Arc<Core<T>>,
}

impl<T: Send + Sync + 'static> State<T> {
    /// The state that a topic is; `None` if it is a topic of events.
    pub(crate) fn of(topic: &Topic<T>) -> Option<Self> {
        topic.core().current()?;
        Some(Self {
            core: Arc::clone(topic.core()),
        })
    }

    fn current(&self) -> &Current<T> {
        self.core.current().expect("the topic is a state")
    }

    fn ring(&self) -> &Arc<Ring<T>> {
        self.core.ring().expect("a state retains its value")
    }

    /// The state's name; `None` for the one found by its type alone.
    pub fn name(&self) -> Option<&str> {
        self.core.name()
    }

    /// Sets the value and returns its version.
    ///
    /// # Errors
    ///
    /// Gives the value back when the state is closed, when an [observer](crate::Observer) of its topic refuses it, and
    /// when the ring is full and only the calling thread reads the lossless subscriber in the way; all as
    /// [`Publisher::publish`](crate::Publisher::publish).
    ///
    /// # Blocking
    ///
    /// Waits while a lossless subscriber is a full ring behind. Those who set wait for each other for as long
    /// as it takes to write a value. Observers run on the calling thread.
    pub fn set(&self, value: T) -> Result<u64, PublishError<T>> {
        self.set_by(Patience::Until(None), value)
            .map_err(|(refusal, value)| refusal.of_publish(value))
    }

    /// Sets the value if there is room for it now, and returns its version.
    ///
    /// # Errors
    ///
    /// Gives the value back when the state is closed, when an [observer](crate::Observer) of its topic refuses it, and
    /// when a lossless subscriber is a full ring behind.
    pub fn try_set(&self, value: T) -> Result<u64, TryPublishError<T>> {
        self.set_by(Patience::Try, value)
            .map_err(|(refusal, value)| refusal.of_try(value))
    }

    /// Sets the value, waiting for room for `timeout` at most, and returns its version.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set), and when there was no room in time.
    ///
    /// # Blocking
    ///
    /// As [`set`](Self::set), until the timeout.
    pub fn set_timeout(&self, value: T, timeout: Duration) -> Result<u64, PublishTimeoutError<T>> {
        self.set_until(value, Core::<T>::deadline(timeout))
    }

    /// Sets the value, waiting for room until `deadline` at most, and returns its version.
    ///
    /// # Errors
    ///
    /// As [`set_timeout`](Self::set_timeout).
    ///
    /// # Blocking
    ///
    /// As [`set`](Self::set), until the deadline.
    pub fn set_deadline(&self, value: T, deadline: Instant) -> Result<u64, PublishTimeoutError<T>> {
        self.set_until(value, Some(deadline))
    }

    fn set_until(
        &self,
        value: T,
        deadline: Option<Instant>,
    ) -> Result<u64, PublishTimeoutError<T>> {
        self.set_by(Patience::Until(deadline), value)
            .map_err(|(refusal, value)| refusal.of_timeout(value))
    }

    fn set_by(&self, patience: Patience, value: T) -> Result<u64, (Refusal, T)> {
        let current = self.current();
        if self.core.observers.is_watched() {
            let full = || current.lock_writer().crowd_before(1).is_some();
            let shown = publish::may_be_shown(&self.core, patience, full)
                .and_then(|()| self.core.observers.show_without_walker(&value));
            if let Err(refusal) = shown {
                return Err((refusal, value));
            }
        }
        let mut setter = Setter {
            ring: self.ring(),
            current,
            writer: None,
        };
        let turn = match publish::turn(&self.core, &mut setter, patience) {
            Ok(turn) => turn,
            Err(refusal) => return Err((refusal, value)),
        };
        // First, so that whoever is given the value as an event finds the copy as new.
        current.copy(turn.sequence(), &value);
        let (version, old) = setter.ring.write(turn, value);
        // The lock goes before anybody is woken, and before user code.
        setter.writer = None;
        drop(Announce::new::<Setter<'_, T>>(&self.core));
        drop(old);
        Ok(version)
    }

    /// Shows the latest value and its version to `f`.
    ///
    /// The value stays where it is until `f` returns, however often it is set meanwhile: a new one takes
    /// another place. `f` may set it itself, and may read again.
    ///
    /// Readers share a few views of the ring, so that this joins it only while more than eight read at once;
    /// a thread that reads often has a [`reader`](Self::reader) of its own.
    ///
    /// # Panics
    ///
    /// When `f` does.
    pub fn read<R>(&self, f: impl FnOnce(&T, u64) -> R) -> R {
        let made_room = || self.core.room.notify();
        self.current().read(self.ring(), made_room, f)
    }

    /// A clone of the latest value, and its version.
    ///
    /// # Panics
    ///
    /// When `T::clone` does.
    #[must_use]
    pub fn get(&self) -> (T, u64)
    where
        T: Clone,
    {
        self.read(|value, version| (value.clone(), version))
    }

    /// A reader of the latest value for one thread, which can also wait for a newer one.
    ///
    /// # Errors
    ///
    /// When the topic has too many lossy subscribers, of which this is one: it may hold a slot of the ring.
    pub fn reader(&self) -> Result<StateReader<T>, SubscribeError> {
        StateReader::open(&self.core)
    }

    /// A subscriber that is given the latest value, then every later one: no gap, no duplicate.
    ///
    /// It is lossless, so whoever sets the value waits when it is a full ring behind; see
    /// [`subscriber`](Self::subscriber) for another [`Overflow`]. On a closed state it is given the last
    /// value, then told `Closed`.
    #[track_caller]
    pub fn subscribe(&self) -> Subscriber<T> {
        self.subscriber()
            .overflow(Overflow::Block)
            .open()
            .unwrap_or_else(|_| {
                unreachable!("a lossless subscriber without a name is never refused")
            })
    }

    /// A subscriber with a name, an overflow policy or a filter, which starts with the latest value.
    pub fn subscriber(&self) -> SubscriberBuilder<'_, T> {
        SubscriberBuilder::new(&self.core).start(Start::Latest)
    }

    /// The topic below: its name, numbers and close.
    pub fn topic(&self) -> Topic<T> {
        Topic::of(Arc::clone(&self.core))
    }

    /// Takes no more values; see [Closing](Topic#closing).
    pub fn close(&self) {
        self.core.close();
    }

    /// Whether the state takes no more values.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }
}

#[cfg(feature = "plain")]
impl<T> State<T>
where
    T: bytemuck::NoUninit + bytemuck::AnyBitPattern + Send + Sync,
{
    /// A reader of the latest value for any number of threads, which takes no place in the ring.
    ///
    /// The bound is [`bytemuck`]'s for plain types: numbers, arrays of them, and structs that derive it. From
    /// the first call on, setting the value also stores it as words.
    ///
    /// ```compile_fail,E0277
    /// # use ringbus::Bus;
    /// let names = Bus::new().state(String::new()).unwrap();
    /// names.plain_reader(); // a `String` is not plain
    /// ```
    pub fn plain_reader(&self) -> PlainReader<T> {
        PlainReader::of(
            self.current()
                .words(PlainReader::store, || self.read(PlainReader::first)),
        )
    }
}

/// Claims under the lock of the writer, and keeps the lock with the claim.
struct Setter<'a, T> {
    ring: &'a Ring<T>,
    current: &'a Current<T>,
    writer: Option<MutexGuard<'a, SoleWriter<T>>>,
}

impl<'a, T> Writer<'a, T> for Setter<'_, T> {
    // They wait for each other at the lock.
    const SHARED: bool = false;

    fn ring(&self) -> &Ring<T> {
        self.ring
    }

    fn claim_now(&mut self) -> Option<Turn> {
        let mut writer = self.current.lock_writer();
        let turn = writer.claim_now()?;
        self.writer = Some(writer);
        Some(turn)
    }

    fn claim(&mut self, events: u64) -> Result<Claimed, Obstacle> {
        let mut writer = self.current.lock_writer();
        let claimed = writer.claim(events)?;
        self.writer = Some(writer);
        Ok(claimed)
    }

    fn follow(&mut self, _: &'a Arc<Ring<T>>) {
        unreachable!("a state does not grow");
    }
}

impl<T: Send + Sync + 'static> Clone for State<T> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("topic", &self.name())
            .field("value", &std::any::type_name::<T>())
            .finish_non_exhaustive()
    }
}
