//! Publishing in all ways, and what came of it.

use std::ops::Range;
use std::time::Duration;

use ringbus::{
    ExclusivePublisher, PublishBatchError, PublishError, PublishTimeoutError, Publisher,
    TryPublishError,
};

use super::event::{Event, Planned, blow, caught};
use super::program::{How, Nature};
use super::record::{Attempt, Outcome, Why};
use super::threads;
use super::worker::Worker;
use super::world::{MOST_THREADS, Wait};

pub(crate) enum AnyPublisher {
    Shared(Publisher<Event>),
    Exclusive(ExclusivePublisher<Event>),
}

impl Worker {
    fn event(&mut self, nature: Nature) -> Event {
        let id = self.born.len() as u64 * MOST_THREADS + self.thread as u64;
        let (event, dropped) = Event::new(id, nature, &self.common.yard);
        self.born.push((id, dropped));
        event
    }

    fn note(&mut self, events: Vec<u64>, outcome: Outcome) {
        if let Outcome::Published { range, .. } = &outcome {
            self.last_sequence = range.end;
        }
        let span = self.span();
        self.record.attempts.push(Attempt {
            span,
            events,
            outcome,
        });
    }

    pub(crate) fn publish(&mut self, nature: Nature, how: How) {
        let Some(mut publisher) = self.publisher.take() else {
            return;
        };
        let event = self.event(nature);
        let id = event.id();
        let wait = || (how == How::Block).then_some(Wait::Room(1));
        let outcome = match self.waiting(wait, || caught(|| publisher.publish(event, how))) {
            Ok(Ok(sequence)) => Outcome::Published {
                range: sequence..sequence + 1,
                vetoed: Vec::new(),
            },
            Ok(Err((why, event))) => Outcome::Refused {
                why,
                back: vec![event.dispose()],
            },
            // Of the event whose place it took, or of its own, as nobody listens.
            Err(planned) => {
                self.record
                    .check(planned == Planned::Drop, "only a drop panics in a publish");
                Outcome::Blew { sure: 1, most: 1 }
            }
        };
        self.publisher = Some(publisher);
        self.note(vec![id], outcome);
    }

    pub(crate) fn build(&mut self, nature: Nature, panics: bool) {
        let Some(AnyPublisher::Exclusive(mut publisher)) = self
            .publisher
            .take_if(|publisher| matches!(publisher, AnyPublisher::Exclusive(_)))
        else {
            return;
        };
        let mut held = Some(self.event(nature));
        let id = held.as_ref().expect("it is there").id();
        let outcome = self.waiting(
            || Some(Wait::Room(1)),
            || {
                caught(|| {
                    publisher.publish_with(|| {
                        if panics {
                            blow(Planned::Build);
                        }
                        held.take().expect("an event is built once")
                    })
                })
            },
        );
        let outcome = match outcome {
            Ok(Ok(sequence)) => Outcome::Published {
                range: sequence..sequence + 1,
                vetoed: Vec::new(),
            },
            Ok(Err(error)) => {
                let why = match &error {
                    PublishError::Closed(_) => Why::Closed,
                    PublishError::WouldDeadlock(_) => Why::WouldDeadlock,
                    PublishError::Vetoed(_) => Why::Vetoed,
                    _ => Why::TooLarge,
                };
                let id = match error.into_event() {
                    ringbus::Draft::Event(event) => event.dispose(),
                    ringbus::Draft::Build(_) => id,
                };
                Outcome::Refused {
                    why,
                    back: vec![id],
                }
            }
            Err(Planned::Build) => Outcome::Blew { sure: 0, most: 0 },
            Err(_) => Outcome::Blew { sure: 1, most: 1 },
        };
        if let Some(event) = held {
            event.dispose();
        }
        self.publisher = Some(AnyPublisher::Exclusive(publisher));
        self.note(vec![id], outcome);
    }

    pub(crate) fn publish_batch(&mut self, natures: &[Nature], how: How, panics_at: Option<usize>) {
        let Some(mut publisher) = self.publisher.take() else {
            return;
        };
        let events: Vec<_> = natures.iter().map(|&nature| self.event(nature)).collect();
        let ids: Vec<_> = events.iter().map(Event::id).collect();
        let mut given = 0;
        let mut left = events.into_iter();
        let outcome = {
            let iterator = Given {
                events: &mut left,
                given: &mut given,
                panics_at,
            };
            let wait = || (how == How::Block).then_some(Wait::Room(ids.len()));
            self.waiting(wait, || caught(|| publisher.publish_batch(iterator, how)))
        };
        let back: Vec<_> = left.map(Event::dispose).collect();
        let outcome = match outcome {
            Ok(Ok(range)) => Outcome::Published {
                range,
                vetoed: Vec::new(),
            },
            Ok(Err((None, _, published, vetoed))) => Outcome::Published {
                range: published,
                vetoed,
            },
            Ok(Err((Some(why), ..))) if why == Why::TooLarge => Outcome::Refused {
                why,
                back: ids.clone(),
            },
            Ok(Err((Some(why), refused, ..))) => Outcome::Refused {
                why,
                back: refused.into_iter().chain(back).collect(),
            },
            Err(planned) => {
                let exclusive = matches!(publisher, AnyPublisher::Exclusive(_));
                let observed = self.common.watched;
                match planned {
                    // A shared publisher takes all events out of the iterator first, and so do both if they
                    // are to be shown to somebody.
                    Planned::Iterator if !exclusive || observed => {
                        Outcome::Blew { sure: 0, most: 0 }
                    }
                    Planned::Iterator => Outcome::Blew {
                        sure: given,
                        most: given,
                    },
                    Planned::Drop if !exclusive && !observed => Outcome::Blew {
                        sure: ids.len(),
                        most: ids.len(),
                    },
                    Planned::Drop => Outcome::Blew {
                        sure: 0,
                        most: given,
                    },
                    planned => {
                        let claim = format!("{planned:?} does not panic in a batch");
                        self.record.check(false, &claim);
                        Outcome::Blew {
                            sure: 0,
                            most: ids.len(),
                        }
                    }
                }
            }
        };
        self.publisher = Some(publisher);
        self.note(ids, outcome);
    }
}

/// The events of a batch, as they are given.
struct Given<'a> {
    events: &'a mut std::vec::IntoIter<Event>,
    given: &'a mut usize,
    panics_at: Option<usize>,
}

impl Iterator for Given<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.panics_at == Some(*self.given) && self.events.len() > 0 {
            blow(Planned::Iterator);
        }
        let event = self.events.next()?;
        *self.given += 1;
        Some(event)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.events.size_hint()
    }
}

impl ExactSizeIterator for Given<'_> {}

/// Why a batch was refused and the events that came back, or of which sequences it is but for what was vetoed.
type BatchRefusal = (Option<Why>, Vec<u64>, Range<u64>, Vec<u64>);

/// The events that came back, without touching the iterator of a batch that has not been touched.
fn refused_batch<E>(error: PublishBatchError<E>, ids: impl FnOnce(E) -> Vec<u64>) -> BatchRefusal {
    let why = match &error {
        PublishBatchError::Full(_) => Why::Full,
        PublishBatchError::Closed(_) => Why::Closed,
        PublishBatchError::WouldDeadlock(_) => Why::WouldDeadlock,
        PublishBatchError::Vetoed { published, .. } => {
            let published = published.clone();
            return (None, Vec::new(), published, ids(error.into_events()));
        }
        _ => Why::TooLarge,
    };
    (Some(why), ids(error.into_events()), 0..0, Vec::new())
}

impl AnyPublisher {
    fn publish(&mut self, event: Event, how: How) -> Result<u64, (Why, Event)> {
        let timeout = |micros| Duration::from_micros(if threads::TIME_PASSES { micros } else { 0 });
        match (self, how) {
            (Self::Shared(publisher), How::Try) => publisher.try_publish(event).map_err(of_try),
            (Self::Exclusive(publisher), How::Try) => publisher.try_publish(event).map_err(of_try),
            (Self::Shared(publisher), How::Block) => publisher.publish(event).map_err(of_publish),
            (Self::Exclusive(publisher), How::Block) => {
                publisher.publish(event).map_err(of_publish)
            }
            (Self::Shared(publisher), How::Within(micros)) => publisher
                .publish_timeout(event, timeout(micros))
                .map_err(of_timeout),
            (Self::Exclusive(publisher), How::Within(micros)) => publisher
                .publish_timeout(event, timeout(micros))
                .map_err(of_timeout),
        }
    }

    fn publish_batch(&mut self, events: Given<'_>, how: How) -> Result<Range<u64>, BatchRefusal> {
        let blocks = how == How::Block;
        match self {
            Self::Shared(publisher) => match blocks {
                true => publisher.publish_batch(events),
                false => publisher.try_publish_batch(events),
            }
            .map_err(|error| {
                refused_batch(error, |events| {
                    events.into_iter().map(Event::dispose).collect()
                })
            }),
            Self::Exclusive(publisher) => match blocks {
                true => publisher.publish_batch(events),
                false => publisher.try_publish_batch(events),
            }
            .map_err(|error| {
                refused_batch(error, |rest| {
                    // An iterator that panics would do so here.
                    let mut ids = Vec::new();
                    let _ = caught(|| rest.map(Event::dispose).for_each(|id| ids.push(id)));
                    ids
                })
            }),
        }
    }
}

fn of_try(error: TryPublishError<Event>) -> (Why, Event) {
    let why = match &error {
        TryPublishError::Full(_) => Why::Full,
        TryPublishError::Closed(_) => Why::Closed,
        TryPublishError::Vetoed(_) => Why::Vetoed,
        _ => Why::TooLarge,
    };
    (why, error.into_event())
}

fn of_publish(error: PublishError<Event>) -> (Why, Event) {
    let why = match &error {
        PublishError::Closed(_) => Why::Closed,
        PublishError::WouldDeadlock(_) => Why::WouldDeadlock,
        PublishError::Vetoed(_) => Why::Vetoed,
        _ => Why::TooLarge,
    };
    (why, error.into_event())
}

fn of_timeout(error: PublishTimeoutError<Event>) -> (Why, Event) {
    let why = match &error {
        PublishTimeoutError::Timeout(_) => Why::Full,
        PublishTimeoutError::Closed(_) => Why::Closed,
        PublishTimeoutError::WouldDeadlock(_) => Why::WouldDeadlock,
        PublishTimeoutError::Vetoed(_) => Why::Vetoed,
        _ => Why::TooLarge,
    };
    (why, error.into_event())
}
