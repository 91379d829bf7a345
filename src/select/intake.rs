//! Where topics that appear come to a merged subscriber.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::bus::Watcher;
use crate::channel::{Overflow, Start, SubscribeError, Subscriber, Topic};
use crate::sync::{Counter, Mutex, ReadySet, WaitSet};

/// A filter of several topics; each asks it by itself.
pub(crate) type SharedFilter<T> = Arc<dyn Fn(&T) -> bool + Send + Sync>;

/// How each topic is joined.
pub(crate) struct Choice<T> {
    pub(crate) name: Option<String>,
    pub(crate) overflow: Overflow,
    pub(crate) start: Start,
    pub(crate) filter: Option<SharedFilter<T>>,
    /// Where the merged subscriber is opened.
    pub(crate) location: &'static Location<'static>,
}

/// One topic of a merged subscriber.
pub(crate) struct Member<T: Send + Sync + 'static> {
    pub(crate) topic: Arc<str>,
    pub(crate) subscriber: Subscriber<T>,
    /// The call that has read it last, and how many events it was given by that.
    pub(crate) call: u64,
    pub(crate) given: usize,
}

/// The part of a merged subscriber that those who open topics reach.
pub(crate) struct Intake<T: Send + Sync + 'static> {
    choice: Choice<T>,
    /// The members ring here, and who brings one calls.
    pub(crate) set: crate::sync::Arc<ReadySet>,
    /// Whoever waits for the merged subscriber as a whole.
    pub(crate) outer: crate::sync::Arc<WaitSet>,
    /// The thread that opened the merged subscriber, and the one that reads it (0: none yet).
    opener: u64,
    pub(crate) reader: Counter,
    arrivals: Mutex<Arrivals<T>>,
}

/// What has come since the reader looked.
pub(crate) struct Arrivals<T: Send + Sync + 'static> {
    pub(crate) members: Vec<Member<T>>,
    /// No more will come.
    pub(crate) ended: bool,
    /// No more are wanted.
    left: bool,
}

impl<T: Send + Sync + 'static> Intake<T> {
    pub(crate) fn new(choice: Choice<T>) -> Arc<Self> {
        let set = ReadySet::new();
        let outer = crate::sync::Arc::new(WaitSet::new(crate::sync::Barrier::of_process()));
        let woken = crate::sync::Arc::clone(&outer);
        set.set_alarm(move || woken.notify());
        Arc::new(Self {
            choice,
            set,
            outer,
            opener: crate::sync::thread_id(),
            reader: Counter::default(),
            arrivals: Mutex::new(Arrivals {
                members: Vec::new(),
                ended: false,
                left: false,
            }),
        })
    }

    pub(crate) fn overflow(&self) -> Overflow {
        self.choice.overflow
    }

    /// What has come since the last time.
    pub(crate) fn take(&self) -> Arrivals<T> {
        let mut arrivals = self.arrivals.lock();
        Arrivals {
            members: std::mem::take(&mut arrivals.members),
            ended: arrivals.ended,
            left: arrivals.left,
        }
    }

    /// Wants no more topics; gives out those that came and were not taken.
    pub(crate) fn leave(&self) -> Vec<Member<T>> {
        let mut arrivals = self.arrivals.lock();
        arrivals.left = true;
        std::mem::take(&mut arrivals.members)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.arrivals.lock().members.len()
    }
}

impl<T: Send + Sync + 'static> Watcher<T> for Intake<T> {
    fn join(&self, topic: &Topic<T>, new: bool) -> Result<bool, SubscribeError> {
        if self.arrivals.lock().left {
            return Ok(false);
        }
        let Choice {
            name,
            overflow,
            start,
            filter,
            location,
        } = &self.choice;
        let mut builder = topic.subscriber().overflow(*overflow).location(location);
        if !new {
            builder = builder.start(*start);
        }
        if let Some(name) = name {
            builder = builder.name(name);
        }
        if let Some(filter) = filter.clone() {
            builder = builder.filter(move |event| filter(event));
        }
        let subscriber = builder.open()?;
        subscriber.on_behalf_of(self.opener, self.reader.get());
        let member = Member {
            topic: topic.name().unwrap_or_default().into(),
            subscriber,
            call: 0,
            given: 0,
        };
        let mut arrivals = self.arrivals.lock();
        if arrivals.left {
            // Without this lock. The caller's stays, but no event goes with it: the topic is held elsewhere.
            drop(arrivals);
            drop(member);
            return Ok(false);
        }
        arrivals.members.push(member);
        drop(arrivals);
        Ok(self.set.call_quietly())
    }

    fn wake(&self) {
        self.set.wake();
    }

    fn end(&self) {
        self.arrivals.lock().ended = true;
        self.set.call();
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Intake<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").finish_non_exhaustive()
    }
}
