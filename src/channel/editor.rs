//! Changing events in place.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::time::Instant;

use crossbeam_channel::Receiver;

use super::batch::Meta;
use super::core::Core;
use super::error::PollError;
use super::overflow::Overflow;
use super::settings::Settings;
use super::subscriber::{Subscriber, WentOn, passed};
use super::topic::Topic;
use crate::ring::Found;

/// Changes the events of a topic in place, before any subscriber sees them.
///
/// Editors are made with their topic, by [`open_edited`](crate::TopicBuilder::open_edited), and there are no
/// others: each is alone on its level, in the order of their names, and every subscriber, whenever it joins,
/// comes after all of them. So an event is lent as `&mut T` while nobody else can have a reference to it, and
/// what an editor made of it every later editor and every subscriber sees. Nothing but
/// `T: Send + Sync + 'static` is asked.
///
/// An editor is [`Send`]. It is lossless: publishers wait for it, also while the topic has no subscriber.
/// Dropping it, also because its thread panics, lets events pass unedited from there on; the other editors
/// stay. An event during which its closure panics passes as the closure left it. When the topic closes the
/// editors see what was published before, then `Closed`, and the subscribers after them.
///
/// ```
/// use ringbus::Bus;
///
/// let bus = Bus::new();
/// let (names, [mut trim, mut greet]) = bus.topic_builder::<String>().open_edited(["trim", "greet"])?;
/// let mut subscriber = names.subscribe();
///
/// names.publish(" Ada ".to_string())?;
/// assert_eq!(greet.poll(64, |_, _| {}), Ok(0)); // not trimmed yet
/// trim.poll(64, |name, _| *name = name.trim().to_string())?;
/// assert_eq!(subscriber.poll(64, |_, _| {}), Ok(0)); // not greeted yet
/// greet.poll(64, |name, _| name.insert_str(0, "Hello, "))?;
/// assert_eq!(subscriber.recv()?, "Hello, Ada");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "an editor that is dropped leaves at once"]
pub struct Editor<T: Send + Sync + 'static> {
    subscriber: Subscriber<T>,
}

impl<T: Send + Sync + 'static> Editor<T> {
    /// A topic that nobody else has, and its editors.
    #[track_caller]
    pub(crate) fn open<const N: usize>(
        topic: Option<&str>,
        settings: Settings,
        editors: [&str; N],
    ) -> (Topic<T>, [Self; N]) {
        let location = Location::caller();
        let (core, readers) = Core::edited(topic, settings, N);
        let mut readers = readers.into_iter();
        let editors = editors.map(|name| {
            let reader = readers.next().expect("each has its reader");
            let listing = Core::list(&core, Some(name), Overflow::Block, location, &reader);
            listing.follow();
            Self {
                subscriber: Subscriber::of(reader, listing, None),
            }
        });
        (Topic::of(core), editors)
    }

    /// Tells that it has joined, once its topic is known.
    pub(crate) fn tell_joined(&self) {
        let listing = &self.subscriber.listing;
        listing.core().tell_joined(listing.label());
    }

    /// Lends up to `max` events to `handler`, one after the other, and returns how many; never blocks.
    ///
    /// Those who come after see them when the call returns.
    ///
    /// # Errors
    ///
    /// When the topic is closed and everything is edited.
    ///
    /// # Panics
    ///
    /// When `handler` does. The event it was given passes as it is; everything behind that is still there for
    /// the next call.
    pub fn poll<F>(&mut self, max: usize, mut handler: F) -> Result<usize, PollError>
    where
        F: FnMut(&mut T, Meta),
    {
        self.subscriber.edit_until(max, |event, meta| {
            handler(event, meta);
            ControlFlow::Continue(())
        })
    }

    /// Waits until there is an event, then lends up to `max` to `handler`.
    ///
    /// Returns how many it lent, at least one unless `max` is 0.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll), and when only this thread reads an editor before this one that has not passed
    /// the next event.
    ///
    /// # Panics
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Blocking
    ///
    /// As [`Subscriber::recv`].
    pub fn poll_wait<F>(&mut self, max: usize, mut handler: F) -> Result<usize, PollError>
    where
        F: FnMut(&mut T, Meta),
    {
        loop {
            let edited = self.poll(max, &mut handler)?;
            if edited > 0 || max == 0 {
                return Ok(edited);
            }
            self.subscriber.wait(None)?;
        }
    }

    /// Waits until there is an event, until `deadline` at most, then lends up to `max` to `handler`.
    ///
    /// Returns how many it lent; 0 if none came in time.
    ///
    /// # Errors
    ///
    /// As [`poll_wait`](Self::poll_wait).
    ///
    /// # Panics
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Blocking
    ///
    /// As [`Subscriber::recv`], until the deadline.
    pub fn poll_deadline<F>(
        &mut self,
        max: usize,
        deadline: Instant,
        mut handler: F,
    ) -> Result<usize, PollError>
    where
        F: FnMut(&mut T, Meta),
    {
        loop {
            let edited = self.poll(max, &mut handler)?;
            if edited > 0 || max == 0 || passed(Some(deadline)) {
                return Ok(edited);
            }
            if !self.subscriber.wait(Some(deadline))? {
                return Ok(0);
            }
        }
    }

    /// Calls `hook` when there is something to edit again after a call that found nothing; as
    /// [`Subscriber::on_ready`].
    pub fn on_ready(&mut self, hook: impl Fn() + Send + Sync + 'static) {
        self.subscriber.on_ready(hook);
    }

    /// A channel that has a message when there may be something to edit; as [`Subscriber::doorbell`].
    #[must_use = "nobody hears a doorbell whose receiver is dropped"]
    pub fn doorbell(&mut self) -> Receiver<()> {
        self.subscriber.doorbell()
    }

    pub(crate) fn subscriber(&mut self) -> &mut Subscriber<T> {
        &mut self.subscriber
    }

    pub(crate) fn into_subscriber(self) -> Subscriber<T> {
        self.subscriber
    }
}

impl<T: Send + Sync + 'static> Subscriber<T> {
    /// As `poll_until`, of an editor.
    pub(crate) fn edit_until<F>(&mut self, max: usize, mut handler: F) -> Result<usize, PollError>
    where
        F: FnMut(&mut T, Meta) -> ControlFlow<()>,
    {
        self.reader.note_thread();
        if max == 0 {
            return Ok(0);
        }
        match self.find(1) {
            Found::Some => {}
            Found::Empty => return Ok(0),
            Found::Closed => return Err(PollError::Closed),
            Found::Expelled(missed) => return Err(PollError::Disconnected(missed)),
        }
        let went_on = WentOn(&self.listing);
        let edited = self.reader.edit(max as u64, |event, sequence| {
            let missed = 0;
            handler(event, Meta { sequence, missed })
        });
        drop(went_on);
        if edited == 0 {
            // There were only holes.
            self.look_again();
        }
        Ok(edited as usize)
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Editor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Editor")
            .field("topic", &self.subscriber.listing.core().name())
            .finish_non_exhaustive()
    }
}
