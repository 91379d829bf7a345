//! What a state has beside its topic: the way in for those who set it, and views of its newest value.

#[cfg(feature = "plain")]
use super::words::Words;
use crate::ring::{Origin, Policy, Reader, Ring, SoleWriter, View};
#[cfg(feature = "plain")]
use crate::sync::OnceCell;
use crate::sync::{Arc, Mutex, MutexGuard};

/// The current value of a topic, which has been set at least once.
///
/// One writer claims for all who set, one value after the other, so that the ring never holds anything behind
/// its newest value but the next one (R10).
#[derive(Debug)]
pub(crate) struct Current<T> {
    /// Held for as long as it takes to write a value, and neither while somebody waits nor while user code
    /// runs.
    writer: Mutex<SoleWriter<T>>,
    views: Mutex<Views<T>>,
    #[cfg(feature = "plain")]
    plain: OnceCell<Plain<T>>,
}

/// Views that are shared by whoever has none of his own.
#[derive(Debug)]
struct Views<T> {
    idle: Vec<View<T>>,
    open: usize,
}

/// A view, until it is given back; also when user code unwinds.
struct Borrowed<'a, T> {
    views: &'a Mutex<Views<T>>,
    view: Option<View<T>>,
}

/// A copy of the value in words, and how a value becomes words.
#[cfg(feature = "plain")]
#[derive(Debug)]
struct Plain<T> {
    words: Arc<Words>,
    store: fn(&Words, u64, &T),
}

/// How many threads read at once without joining the ring for it.
const VIEWS: usize = 8;

impl<T> Current<T> {
    /// Sets the first value, in a ring that has no event yet.
    pub(crate) fn new(ring: &Arc<Ring<T>>, initial: T) -> Self {
        let mut writer = SoleWriter::new(Arc::clone(ring));
        let claimed = writer
            .claim(1)
            .expect("an open ring has room for its first event");
        let (_, old) = writer.ring().fill(claimed).write(initial);
        debug_assert!(old.is_none());
        Self {
            writer: Mutex::new(writer),
            views: Mutex::new(Views {
                idle: Vec::with_capacity(VIEWS),
                open: 0,
            }),
            #[cfg(feature = "plain")]
            plain: OnceCell::new(),
        }
    }

    /// Lets one thread set after the other.
    pub(crate) fn lock_writer(&self) -> MutexGuard<'_, SoleWriter<T>> {
        self.writer.lock()
    }

    /// Shows the newest value and its version to `f`.
    ///
    /// `made_room` is called when a publisher may have had to wait for this read.
    pub(crate) fn read<R>(
        &self,
        ring: &Arc<Ring<T>>,
        made_room: impl Fn(),
        f: impl FnOnce(&T, u64) -> R,
    ) -> R {
        match self.borrow_view(ring) {
            Some(mut borrowed) => {
                let view = borrowed
                    .view
                    .as_mut()
                    .expect("it is given back by the drop");
                view.show(f).expect("a state has a value")
            }
            None => read_beside(ring, made_room, f),
        }
    }

    fn borrow_view(&self, ring: &Arc<Ring<T>>) -> Option<Borrowed<'_, T>> {
        let mut views = self.views.lock();
        let mut view = views.idle.pop();
        if view.is_none() {
            if views.open == VIEWS {
                return None;
            }
            // Joining takes its time.
            views.open += 1;
            drop(views);
            view = View::open(ring).ok();
            if view.is_none() {
                self.views.lock().open -= 1;
            }
        }
        view.map(|view| Borrowed {
            views: &self.views,
            view: Some(view),
        })
    }
}

impl<T> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        self.views.lock().idle.extend(self.view.take());
    }
}

/// Reads as a lossless subscriber that starts with the newest value: of those a ring takes any number.
#[cold]
#[inline(never)]
fn read_beside<T, R>(ring: &Arc<Ring<T>>, made_room: impl Fn(), f: impl FnOnce(&T, u64) -> R) -> R {
    /// Dropped after the reader.
    struct MadeRoom<F: Fn()>(F);

    impl<F: Fn()> Drop for MadeRoom<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }

    let made_room = MadeRoom(made_room);
    let mut reader = Reader::join(ring, Policy::Lossless, Origin::Newest)
        .unwrap_or_else(|_| unreachable!("a lossless reader is never refused"));
    // It was in the gate at an earlier sequence until the start was found.
    (made_room.0)();
    reader.note_thread();
    reader
        .lend(|mut events| events.next_with(|value, version, _| f(value, version)))
        .expect("a state has a value")
}

#[cfg(feature = "plain")]
impl<T> Current<T> {
    /// The copy in words, made by `first` when it is asked for for the first time.
    pub(crate) fn words(
        &self,
        store: fn(&Words, u64, &T),
        first: impl FnOnce() -> Words,
    ) -> Arc<Words> {
        if let Some(plain) = self.plain.get() {
            return Arc::clone(&plain.words);
        }
        // Nobody sets while it is made.
        let writer = self.writer.lock();
        if self.plain.get().is_none() {
            let words = Arc::new(first());
            if self.plain.set(Plain { words, store }).is_err() {
                unreachable!("it is set under the lock of the writer");
            }
        }
        drop(writer);
        let plain = self.plain.get().expect("it is set");
        Arc::clone(&plain.words)
    }
}

impl<T> Current<T> {
    /// Copies a value into words, if anybody reads them; called under the writer's lock.
    #[inline]
    pub(crate) fn copy(&self, version: u64, value: &T) {
        #[cfg(feature = "plain")]
        if let Some(plain) = self.plain.get() {
            (plain.store)(&plain.words, version, value);
        }
        #[cfg(not(feature = "plain"))]
        let _ = (version, value);
    }
}
