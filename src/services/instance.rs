//! One of those that serve a request.

use std::sync::Arc;

use super::answer::{Absences, Answer, Asked, Fault, Promised};
use super::breaker::Breaker;
use super::news::{News, ServiceChange};
use super::request::Request;
use super::snapshot::InstanceSnapshot;
use crate::channel::{Inbox, Mailbox, WaitStrategy};
use crate::sync::{CachePadded, Counter, contain, thread_id};

/// An instance as clients and its own calls see it.
pub(crate) struct Instance<R: Request> {
    pub(crate) id: u64,
    pub(crate) name: Option<Arc<str>>,
    news: Arc<News>,
    absences: Arc<Absences>,
    breaker: Option<Breaker>,
    pub(crate) mailbox: Mailbox<Asked<R>>,
    /// The thread that serves, 0 before it began: who would wait for itself finds itself here.
    thread: Counter,
    numbers: CachePadded<Numbers>,
}

/// What an instance is opened with, checked.
pub(crate) struct InstanceSettings<'a> {
    pub(crate) id: u64,
    pub(crate) name: Option<&'a str>,
    /// A power of two.
    pub(crate) capacity: usize,
    pub(crate) wait: WaitStrategy,
    pub(crate) breaker: Option<Breaker>,
}

/// What became of the requests.
#[derive(Debug, Default)]
struct Numbers {
    replied: Counter,
    /// Replies to callers that had gone.
    late: Counter,
    /// Calls that were dropped without a reply.
    dropped: Counter,
    panicked: Counter,
    /// Requests that were given up before they were served.
    abandoned: Counter,
    /// Requests that were given to others, or back, when it left.
    handed_on: Counter,
}

impl Numbers {
    /// Requests that are no longer this instance's.
    fn settled(&self) -> u64 {
        let Self {
            replied,
            dropped,
            panicked,
            abandoned,
            handed_on,
            late: _,
        } = self;
        [replied, dropped, panicked, abandoned, handed_on]
            .map(Counter::get)
            .iter()
            .sum()
    }
}

impl<R: Request> Instance<R> {
    pub(crate) fn open(
        news: &Arc<News>,
        absences: &Arc<Absences>,
        settings: InstanceSettings<'_>,
    ) -> (Self, Inbox<Asked<R>>) {
        let InstanceSettings {
            id,
            name,
            capacity,
            wait,
            breaker,
        } = settings;
        let (mailbox, inbox) = Mailbox::open(capacity, wait);
        let instance = Self {
            id,
            name: name.map(Arc::from),
            news: Arc::clone(news),
            absences: Arc::clone(absences),
            breaker,
            mailbox,
            thread: Counter::default(),
            numbers: CachePadded::default(),
        };
        (instance, inbox)
    }

    /// Whether a thread was the last to pull it.
    #[inline]
    pub(crate) fn is_served_by(&self, thread: u64) -> bool {
        self.thread.get() == thread
    }

    /// Whether the calling thread was the last to pull it.
    #[inline]
    pub(crate) fn is_served_here(&self) -> bool {
        self.is_served_by(thread_id())
    }

    /// Notes that the calling thread pulls.
    #[inline]
    pub(crate) fn note_thread(&self) {
        if !self.is_served_here() {
            self.thread.set(thread_id());
        }
    }

    /// Requests that are in its mailbox or being served, about.
    pub(crate) fn outstanding(&self) -> u64 {
        self.mailbox.sent().saturating_sub(self.numbers.settled())
    }

    /// Gives a caller its reply; `false` if it has gone.
    #[inline(always)]
    pub(crate) fn reply(&self, promised: &mut Promised<R>, reply: R::Reply) -> bool {
        let unheard = promised.answer(Ok(reply));
        self.numbers.replied.add(1);
        if unheard.is_err() {
            self.absences.miss();
            self.numbers.late.add(1);
        } else if self.breaker.as_ref().is_some_and(Breaker::succeeded) {
            self.tell(ServiceChange::Restored);
        }
        unheard.is_ok()
    }

    /// Tells a caller that there will be no reply, if it was not told anything else.
    #[cold]
    pub(crate) fn fail(&self, promised: &mut Promised<R>, panicked: bool) {
        if !promised.is_open() {
            return;
        }
        let (fault, number) = if panicked {
            (Fault::Panicked, &self.numbers.panicked)
        } else {
            (Fault::Cancelled, &self.numbers.dropped)
        };
        self.answer_fault(promised, Err(fault));
        number.add(1);
        self.failed();
    }

    /// Notes a failure.
    pub(crate) fn failed(&self) {
        if self.breaker.as_ref().is_some_and(Breaker::failed) {
            self.tell(ServiceChange::Ejected);
        }
    }

    /// Whether it may be asked now.
    #[inline]
    pub(crate) fn is_fit(&self) -> bool {
        self.breaker.as_ref().is_none_or(Breaker::is_fit)
    }

    /// Whether the caller may ask it; of an ejected one only the first to come after its time.
    #[inline]
    pub(crate) fn admit(&self) -> bool {
        self.breaker.as_ref().is_none_or(Breaker::admit)
    }

    /// Whether it is never ejected.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.breaker.is_none()
    }

    /// Tells what happened to it; to be called without a lock.
    pub(crate) fn tell(&self, change: ServiceChange) {
        self.news.tell(change, self.id, self.name.as_ref());
    }

    pub(crate) fn snapshot(&self) -> InstanceSnapshot {
        let settled = self.numbers.settled();
        let received = self.mailbox.sent();
        let waiting = self.mailbox.waiting();
        let Numbers {
            replied,
            late,
            dropped,
            panicked,
            abandoned,
            handed_on,
        } = &*self.numbers;
        InstanceSnapshot {
            id: self.id,
            name: self.name.clone(),
            capacity: self.mailbox.capacity(),
            received,
            waiting,
            serving: received.saturating_sub(settled + waiting),
            replied: replied.get(),
            late: late.get(),
            dropped: dropped.get(),
            panicked: panicked.get(),
            abandoned: abandoned.get(),
            handed_on: handed_on.get(),
            ejected: self.breaker.as_ref().is_some_and(Breaker::is_ejected),
        }
    }

    fn answer_fault(&self, promised: &mut Promised<R>, answer: Answer<R>) {
        let unheard = promised.answer(answer);
        if unheard.is_err() {
            self.absences.miss();
        }
        // It may hold the request.
        contain(|| drop(unheard));
    }

    /// Whether the caller of a request has gone.
    #[inline(always)]
    pub(crate) fn is_abandoned(&self, asked: &Asked<R>) -> bool {
        self.absences.may_be() && asked.promised.is_abandoned()
    }

    /// Drops a request whose caller has gone before it was served.
    #[cold]
    pub(crate) fn drop_abandoned(&self, asked: Asked<R>) {
        self.absences.miss();
        self.numbers.abandoned.add(1);
        contain(|| drop(asked));
    }

    /// Gives a request that was not served to another instance; without one its caller gets it back.
    pub(crate) fn hand_on(
        &self,
        asked: Asked<R>,
        to: impl FnOnce(Asked<R>) -> Result<(), Asked<R>>,
    ) {
        self.numbers.handed_on.add(1);
        if let Err(back) = to(asked) {
            let Asked {
                request,
                mut promised,
                ..
            } = back;
            self.answer_fault(&mut promised, Err(Fault::Closed(request)));
        }
    }
}
