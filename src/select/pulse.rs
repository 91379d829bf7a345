//! Which handler of a reactor runs, for other threads to see.

use std::fmt;
use std::panic::Location;

use super::handler::HandlerId;
use crate::sync::{Counter, Mutex};

/// A handler as people know it: by where it was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerName {
    /// Its id in its reactor.
    pub id: HandlerId,
    /// Where it was added.
    pub location: &'static Location<'static>,
}

impl fmt::Display for HandlerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.id, self.location)
    }
}

/// One call of a handler that was seen to be running, or to have been a moment ago; while it runs it stays the
/// same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    word: u64,
    pub(crate) handler: HandlerName,
}

/// A reactor writes which handler it calls, and other threads may look.
///
/// It hands nothing over, and orders nothing: the word is one, and the names are behind a lock.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// `{ calls: 32 bits, index of the handler + 1, 0 if none is called: 32 bits }`
    ///
    /// Between two calls it is left as it is.
    word: Counter,
    /// Events handled.
    handled: Counter,
    /// The handler whose panic went on, until somebody asks.
    panicked: Mutex<Option<HandlerName>>,
    /// By index, the generation of the handler that is there and where it was added.
    names: Mutex<Vec<(u32, &'static Location<'static>)>>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            word: Counter::default(),
            handled: Counter::default(),
            panicked: Mutex::new(None),
            names: Mutex::new(Vec::new()),
        }
    }

    /// Notes where a handler was added.
    pub(super) fn name(&self, id: HandlerId, location: &'static Location<'static>) {
        let name = (id.generation, location);
        let names = &mut *self.names.lock();
        match names.get_mut(id.index()) {
            Some(known) => *known = name,
            None => names.resize(id.index() + 1, name),
        }
    }

    /// A handler is called now.
    #[inline]
    pub(super) fn enter(&self, id: HandlerId) {
        // The next multiple of 2^32, and the index plus one.
        let last = self.word.get() | u64::from(u32::MAX);
        self.word.set(last.wrapping_add(u64::from(id.index) + 2));
    }

    /// The handler that is called is given another event.
    pub(super) fn beat(&self) {
        self.word.set(self.word.get().wrapping_add(1 << 32));
    }

    /// No handler is called, nor will be right now.
    #[inline]
    pub(super) fn leave(&self) {
        self.word.set((self.word.get() >> 32) << 32);
    }

    /// The panic of a handler goes on. The first to say so is where it came from: a handler of a timeline, and
    /// then the timeline's source.
    pub(super) fn note_panic(&self, id: HandlerId) {
        let name = self.name_of(id);
        let panicked = &mut *self.panicked.lock();
        *panicked = panicked.or(name);
    }

    #[inline]
    pub(super) fn note_handled(&self, handled: u64) {
        self.handled.set(handled);
    }

    /// Events handled, but for those of the call that is running.
    pub(crate) fn handled(&self) -> u64 {
        self.handled.get()
    }

    /// The handler whose panic was the first to go on since this was asked last.
    pub(crate) fn take_panicked(&self) -> Option<HandlerName> {
        self.panicked.lock().take()
    }

    /// The name of a handler, unless another one has its place now.
    fn name_of(&self, id: HandlerId) -> Option<HandlerName> {
        let (generation, location) = *self.names.lock().get(id.index())?;
        (generation == id.generation).then_some(HandlerName { id, location })
    }

    /// The call that is running, if one is.
    pub(crate) fn current(&self) -> Option<Beat> {
        let word = self.word.get();
        let index = (word as u32).checked_sub(1)?;
        let (generation, location) = *self.names.lock().get(index as usize)?;
        let id = HandlerId { index, generation };
        let handler = HandlerName { id, location };
        // While a handler is called nobody else gets its place, and is named there.
        (self.word.get() == word).then_some(Beat { word, handler })
    }
}
