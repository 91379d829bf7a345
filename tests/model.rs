//! Random sequential programs against a naive model, which keeps every event for ever and knows what each
//! subscriber must see.
//!
//! All on one thread, so everything is exact, but for one freedom: a subscriber that starts in the past may
//! be passed by as many events as the capacity before publishers take notice of it.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use ringbus::{
    Bus, ExclusivePublisher, MAX_SEQUENCE, Meta, Overflow, PollError, PublishBatchError,
    PublishError, PublishTimeoutError, Publisher, Start, SubscribeError, Subscriber, Topic,
    TryPublishError, TryRecvError,
};

/// An event, and a token by which the test counts the events that exist.
#[derive(Clone, Debug)]
struct Event {
    id: Box<u64>,
    _token: Arc<()>,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Try,
    /// Blocking, where the answer is known to come at once.
    Block,
    Timeout,
}

#[derive(Clone, Copy, Debug)]
enum From {
    Now,
    Latest,
    Oldest,
    /// This far behind the next sequence; below 0, ahead of it.
    Behind(i64),
}

#[derive(Clone, Debug)]
enum Op {
    Publish(How),
    PublishBatch(usize, How),
    SwitchPublisher,
    Join(Overflow, From, bool),
    Poll(usize, usize),
    Recv(usize),
    /// Lend up to this many, and take them.
    PollBatch(usize, usize),
    Leave(usize),
    Close,
}

#[derive(Clone, Debug)]
struct Setup {
    capacity: usize,
    retain: usize,
    first_sequence: u64,
    exclusive: bool,
}

enum AnyPublisher {
    Shared(Publisher<Event>),
    Exclusive(ExclusivePublisher<Event>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Full,
    Closed,
    Timeout,
    WouldDeadlock,
}

/// What the model knows of a subscriber.
struct Known {
    name: String,
    overflow: Overflow,
    filtered_out: bool,
    joined: u64,
    next: u64,
    /// Publishers may pass it unseen up to here.
    unseen_until: u64,
    /// Claimed and not read yet: these cannot be lost any more.
    claim: Vec<u64>,
    /// Losses before the claim, and behind it.
    untold: u64,
    untold_later: u64,
    was_read: bool,
    expelled: bool,
    told_expelled: bool,
    delivered: u64,
    filtered: u64,
    missed: u64,
}

struct World {
    setup: Setup,
    bus: Bus,
    topic: Topic<Event>,
    publisher: Option<AnyPublisher>,
    subscribers: Vec<(Known, Subscriber<Event>)>,
    joins: usize,
    token: Arc<()>,
    /// Every sequence from the first one on: the event's id, or a gap.
    log: Vec<Option<u64>>,
    next_id: u64,
    ring_from: Option<u64>,
    closed: bool,
    /// Sequences have run out, or nearly.
    at_the_end: bool,
}

impl World {
    fn new(setup: Setup) -> Self {
        let bus = Bus::new();
        let topic = bus
            .topic_builder::<Event>()
            .capacity(setup.capacity)
            .retain(setup.retain)
            .first_sequence(setup.first_sequence)
            .keep_open()
            .open()
            .unwrap();
        let setup = Setup {
            capacity: topic.capacity(),
            ..setup
        };
        let mut world = Self {
            ring_from: (setup.retain > 0).then_some(setup.first_sequence),
            bus,
            publisher: None,
            topic,
            subscribers: Vec::new(),
            joins: 0,
            token: Arc::new(()),
            log: Vec::new(),
            next_id: 0,
            closed: false,
            at_the_end: false,
            setup,
        };
        world.make_publisher(world.setup.exclusive);
        world
    }

    fn make_publisher(&mut self, exclusive: bool) {
        self.publisher = None;
        self.publisher = match exclusive {
            true => self
                .topic
                .exclusive_publisher()
                .ok()
                .map(AnyPublisher::Exclusive),
            false => self.topic.publisher().ok().map(AnyPublisher::Shared),
        };
        assert_eq!(self.publisher.is_none(), self.topic.is_closed());
    }

    fn tail(&self) -> u64 {
        self.setup.first_sequence + self.log.len() as u64
    }

    fn capacity(&self) -> u64 {
        self.setup.capacity as u64
    }

    fn at(&self, sequence: u64) -> Option<u64> {
        self.log[(sequence - self.setup.first_sequence) as usize]
    }

    /// The sequences of the events in a range.
    fn events(&self, from: u64, to: u64) -> Vec<u64> {
        (from..to)
            .filter(|&sequence| self.at(sequence).is_some())
            .collect()
    }

    fn passes(known: &Known, id: u64) -> bool {
        !known.filtered_out || !id.is_multiple_of(3)
    }

    fn new_event(&mut self) -> Event {
        let id = self.next_id;
        self.next_id += 1;
        Event {
            id: Box::new(id),
            _token: Arc::clone(&self.token),
        }
    }

    // Publishing.

    /// Subscribers that have no room for `count` events more: those that surely refuse, and those that
    /// publishers may not have noticed yet.
    fn in_the_way(&self, count: u64) -> (Vec<usize>, Vec<usize>) {
        let full = (0..self.subscribers.len()).filter(|&index| {
            let known = &self.subscribers[index].0;
            known.overflow == Overflow::Block
                && self.events(known.next, self.tail()).len() as u64 + count > self.capacity()
        });
        full.partition(|&index| self.subscribers[index].0.unseen_until < self.tail() + count)
    }

    fn publish(&mut self, how: How) {
        let first_id = self.next_id;
        let event = self.new_event();
        let how = self.patience_for(how, 1);
        let Some(publisher) = &mut self.publisher else {
            return;
        };
        let result = match (publisher, how) {
            (AnyPublisher::Shared(publisher), How::Try) => {
                publisher.try_publish(event).map_err(of_try)
            }
            (AnyPublisher::Exclusive(publisher), How::Try) => {
                publisher.try_publish(event).map_err(of_try)
            }
            (AnyPublisher::Shared(publisher), How::Block) => {
                publisher.publish(event).map_err(of_publish)
            }
            (AnyPublisher::Exclusive(publisher), How::Block) => {
                publisher.publish(event).map_err(of_publish)
            }
            (AnyPublisher::Shared(publisher), How::Timeout) => publisher
                .publish_timeout(event, Duration::ZERO)
                .map_err(of_timeout),
            (AnyPublisher::Exclusive(publisher), How::Timeout) => publisher
                .publish_timeout(event, Duration::ZERO)
                .map_err(of_timeout),
        };
        let result = result
            .map(|sequence| sequence..sequence + 1)
            .map_err(|(refusal, event)| {
                assert_eq!(*event.id, first_id, "the refused event comes back");
                refusal
            });
        self.after_publish(1, first_id, how, result);
    }

    fn publish_batch(&mut self, count: usize, how: How) {
        let first_id = self.next_id;
        let events: Vec<_> = (0..count).map(|_| self.new_event()).collect();
        let how = match self.patience_for(how, count as u64) {
            How::Timeout => How::Try,
            how => how,
        };
        let Some(publisher) = &mut self.publisher else {
            return;
        };
        let result = match publisher {
            AnyPublisher::Shared(publisher) => match how {
                How::Block => publisher.publish_batch(events),
                _ => publisher.try_publish_batch(events),
            }
            .map_err(of_batch),
            AnyPublisher::Exclusive(publisher) => match how {
                How::Block => publisher.publish_batch(events),
                _ => publisher.try_publish_batch(events),
            }
            .map_err(of_batch),
        };
        let result = result.map_err(|(refusal, events)| {
            let ids: Vec<_> = events.iter().map(|event| *event.id).collect();
            let all: Vec<_> = (first_id..self.next_id).collect();
            assert_eq!(ids, all, "all refused events come back, in order");
            refusal
        });
        if count > self.setup.capacity {
            assert_eq!(
                result,
                Err(None),
                "a batch beyond the capacity is too large"
            );
            return;
        }
        let result = result.map_err(|refusal| refusal.expect("a batch within the capacity fits"));
        if count == 0 {
            // There is nothing to refuse, whether the topic is closed or not.
            if let Ok(range) = result {
                assert!(range.is_empty());
            }
            return;
        }
        self.after_publish(count as u64, first_id, how, result);
    }

    /// Blocking is tried only where the model knows that it ends at once.
    fn patience_for(&self, how: How, count: u64) -> How {
        let (surely, perhaps) = self.in_the_way(count);
        let read = surely
            .iter()
            .any(|&index| self.subscribers[index].0.was_read);
        let blocked = !surely.is_empty() || !perhaps.is_empty();
        match how {
            How::Block if blocked && !read => How::Try,
            How::Timeout if !perhaps.is_empty() => How::Try,
            how => how,
        }
    }

    fn after_publish(
        &mut self,
        count: u64,
        first_id: u64,
        how: How,
        result: Result<std::ops::Range<u64>, Refusal>,
    ) {
        let (surely, perhaps) = self.in_the_way(count);
        let head = self.tail();
        if self.closed {
            assert_eq!(result, Err(Refusal::Closed), "a closed topic takes nothing");
            return;
        }
        if head + count > MAX_SEQUENCE {
            assert_eq!(result, Err(Refusal::Closed), "there are no sequences left");
            self.at_the_end = true;
            self.closed = self.topic.is_closed();
            return;
        }
        if self.at_the_end && result == Err(Refusal::Closed) {
            return;
        }
        let refused = result.is_err();
        match result {
            Err(refusal) => {
                assert!(
                    !surely.is_empty() || !perhaps.is_empty(),
                    "{refusal:?} although every lossless subscriber has room for {count}"
                );
                let read = surely
                    .iter()
                    .any(|&index| self.subscribers[index].0.was_read);
                let expected = match how {
                    How::Try => Refusal::Full,
                    How::Block => Refusal::WouldDeadlock,
                    How::Timeout if read => Refusal::WouldDeadlock,
                    How::Timeout => Refusal::Timeout,
                };
                assert_eq!(refusal, expected);
            }
            Ok(range) => {
                assert!(surely.is_empty(), "a full ring took {count} events");
                assert!(range.start >= head);
                let gaps = range.start - head + (range.end - range.start - count);
                if !self
                    .subscribers
                    .iter()
                    .any(|(known, _)| !known.claim.is_empty())
                {
                    assert_eq!(gaps, 0, "only held claims make gaps");
                }
                self.log.extend((head..range.start).map(|_| None));
                if gaps == range.start - head {
                    self.log.extend((first_id..first_id + count).map(Some));
                } else {
                    self.log_batch_with_gaps(range.end - range.start, first_id, count);
                }
                self.at_the_end |= self.tail() >= MAX_SEQUENCE;
            }
        }
        let tail = if refused { head + count } else { self.tail() };
        self.push_the_lossy(head, tail, refused);
    }

    /// Gaps inside a batch: a reader that has room for everything tells where.
    fn log_batch_with_gaps(&mut self, span: u64, first_id: u64, count: u64) {
        let from = self.tail();
        let mut seen = vec![None; span as usize];
        let mut witness = self
            .topic
            .subscriber()
            .start(Start::From(from))
            .open()
            .expect("what was published just now can be joined");
        witness
            .poll(usize::MAX, |event, meta| {
                seen[(meta.sequence - from) as usize] = Some(*event.id);
            })
            .unwrap();
        assert_eq!(
            seen.iter().flatten().copied().collect::<Vec<_>>(),
            (first_id..first_id + count).collect::<Vec<_>>()
        );
        self.log.extend(seen);
    }

    /// Follows what publishers took from lossy subscribers for a claim up to `tail`. A claim that was refused
    /// may have pushed them already, when the publisher had not noticed before who is in the way.
    fn push_the_lossy(&mut self, head: u64, tail: u64, refused: bool) {
        let needed = tail.saturating_sub(self.capacity()).min(head);
        let snapshot = self.topic.snapshot();
        for index in 0..self.subscribers.len() {
            let known = &self.subscribers[index].0;
            if known.overflow == Overflow::Block || known.expelled {
                continue;
            }
            let position = snapshot
                .subscribers
                .iter()
                .find(|other| other.name.as_ref() == Some(&known.name))
                .expect("the subscriber is listed")
                .position;
            let pushed = match known.overflow {
                Overflow::Disconnect if known.next < needed => head,
                _ if known.next >= needed => known.next,
                // A little more than must be, as the documentation of `DropOldest` says.
                _ => needed
                    .saturating_add(self.capacity() / 16)
                    .min(head)
                    .max(needed),
            };
            let unseen = refused || self.tail() <= known.unseen_until;
            assert!(
                position == pushed
                    || self
                        .events(position.min(pushed), position.max(pushed))
                        .is_empty()
                    || (unseen && (known.next..=pushed).contains(&position)),
                "publishers push {:?} to {pushed}, not to {position}",
                known.overflow
            );
            let lost = self.events(known.next, position).len() as u64;
            let known = &mut self.subscribers[index].0;
            if known.overflow == Overflow::Disconnect && position > known.next {
                known.expelled = true;
            }
            known.untold_later += lost;
            known.missed += lost;
            known.next = position;
        }
    }

    // Membership.

    fn join(&mut self, overflow: Overflow, from: From, filtered_out: bool) {
        if self.subscribers.len() == 6 {
            return;
        }
        // Publishes that a closed topic refuses may use up sequences, which the model does not see.
        let from = if self.closed || self.at_the_end {
            From::Now
        } else {
            from
        };
        let tail = self.tail();
        let ring_from = *self.ring_from.get_or_insert(tail);
        let lowest = ring_from.max(tail.saturating_sub(self.capacity()));
        let events = self.events(lowest, tail);
        let (start, expected) = match from {
            From::Now => (Start::Now, Ok(tail)),
            From::Latest => (Start::Latest, Ok(events.last().copied().unwrap_or(tail))),
            From::Oldest => {
                let retain = self.setup.retain;
                let oldest = match retain {
                    0 => lowest,
                    _ => events
                        .iter()
                        .rev()
                        .nth(retain - 1)
                        .copied()
                        .unwrap_or(lowest),
                };
                (Start::Oldest, Ok(oldest))
            }
            From::Behind(behind) => {
                let wanted = tail.checked_add_signed(-behind).unwrap_or(0);
                let expected = if wanted > tail {
                    Err((wanted, tail))
                } else if wanted < lowest {
                    Err((wanted, lowest))
                } else {
                    Ok(wanted)
                };
                (Start::From(wanted), expected)
            }
        };
        let name = format!("s{}", self.joins);
        self.joins += 1;
        let mut builder = self
            .topic
            .subscriber()
            .name(&name)
            .overflow(overflow)
            .start(start);
        if filtered_out {
            builder = builder.filter(|event: &Event| !event.id.is_multiple_of(3));
        }
        let subscriber = match (builder.open(), expected) {
            (Ok(subscriber), Ok(_)) => subscriber,
            (Err(SubscribeError::NotYet { wanted, next, .. }), Err(limits)) => {
                assert!(wanted > next && (wanted, next) == limits);
                return;
            }
            (Err(SubscribeError::NotRetained { wanted, oldest, .. }), Err(limits)) => {
                assert!(wanted < oldest && (wanted, oldest) == limits);
                return;
            }
            (result, expected) => panic!("{start:?} gave {result:?}, not {expected:?}"),
        };
        let next = expected.expect("a refusal has returned");
        let known = Known {
            name,
            overflow,
            filtered_out,
            joined: next,
            next,
            unseen_until: if next < tail {
                tail + self.capacity()
            } else {
                0
            },
            claim: Vec::new(),
            untold: 0,
            untold_later: 0,
            was_read: false,
            expelled: false,
            told_expelled: false,
            delivered: 0,
            filtered: 0,
            missed: 0,
        };
        self.subscribers.push((known, subscriber));
    }

    fn pick(&self, who: usize) -> Option<usize> {
        (!self.subscribers.is_empty()).then(|| who % self.subscribers.len())
    }

    fn leave(&mut self, who: usize) {
        if let Some(index) = self.pick(who) {
            drop(self.subscribers.swap_remove(index));
        }
    }

    // Reading.

    /// What the subscriber has to read now, oldest first, and what it skips to get there.
    fn readable(&self, known: &Known) -> (Vec<u64>, u64) {
        if !known.claim.is_empty() {
            let mut all = known.claim.clone();
            if known.overflow != Overflow::Latest && !known.expelled {
                all.extend(self.events(known.next, self.tail()));
            }
            return (all, 0);
        }
        if known.expelled {
            return (Vec::new(), 0);
        }
        let mut all = self.events(known.next, self.tail());
        let mut skipped = 0;
        if known.overflow == Overflow::Latest && all.len() > 1 {
            skipped = all.len() as u64 - 1;
            all.drain(..all.len() - 1);
        }
        (all, skipped)
    }

    /// What was lost behind a claim is told when the claim is read.
    fn settle(known: &mut Known) {
        if known.claim.is_empty() {
            known.untold += std::mem::take(&mut known.untold_later);
        }
    }

    /// The subscriber has passed everything up to and with `sequence`.
    fn pass(known: &mut Known, sequence: u64) {
        Self::settle(known);
        known.claim.retain(|&claimed| claimed > sequence);
        known.next = known.next.max(sequence + 1);
    }

    fn poll(&mut self, who: usize, max: usize) {
        let Some(index) = self.pick(who) else { return };
        let mut shown = Vec::new();
        let result = self.subscribers[index].1.poll(max, |event, meta| {
            shown.push((*event.id, meta.sequence, meta.missed))
        });
        self.subscribers[index].0.was_read = true;
        if max == 0 {
            assert_eq!(result, Ok(0));
            return;
        }

        let (readable, skipped) = self.readable(&self.subscribers[index].0);
        let many = readable.len() > self.setup.capacity;
        let ids: Vec<_> = readable
            .iter()
            .map(|&sequence| self.at(sequence).unwrap())
            .collect();
        let known = &mut self.subscribers[index].0;
        if !readable.is_empty() {
            known.untold += skipped;
            known.missed += skipped;
        }
        let max = if known.overflow == Overflow::Latest {
            1
        } else {
            max
        };
        let mut expected = Vec::new();
        for (&sequence, &id) in readable.iter().zip(&ids) {
            if expected.len() == max || (many && expected.len() == shown.len()) {
                break;
            }
            Self::pass(known, sequence);
            if Self::passes(known, id) {
                known.delivered += 1;
                expected.push((id, sequence, std::mem::take(&mut known.untold)));
            } else {
                known.filtered += 1;
            }
        }
        assert_eq!(shown, expected, "what {:?} is shown", known.overflow);
        if many && shown.len() < max {
            // The filter has refused a ring of events, and the poll may have stopped anywhere behind.
            self.follow_filter(index);
        }
        self.check_end(
            index,
            result.map(|count| assert_eq!(count, shown.len())),
            !shown.is_empty(),
        );
    }

    /// Follows a poll that stopped among events that the filter refused.
    fn follow_filter(&mut self, index: usize) {
        let snapshot = self.topic.snapshot();
        let (known, _) = &self.subscribers[index];
        let numbers = snapshot
            .subscribers
            .iter()
            .find(|other| other.name.as_ref() == Some(&known.name))
            .expect("the subscriber is listed");
        let (mut refused, position) = (numbers.filtered - known.filtered, numbers.position);
        let rest = self.readable(known).0;
        let mut claim = Vec::new();
        for sequence in rest {
            let id = self.at(sequence).unwrap();
            let known = &mut self.subscribers[index].0;
            if refused > 0 {
                assert!(
                    !Self::passes(known, id),
                    "an accepted event is not passed over"
                );
                Self::pass(known, sequence);
                known.filtered += 1;
                refused -= 1;
            } else if sequence < position && known.overflow != Overflow::Block {
                claim.push(sequence);
            }
        }
        let known = &mut self.subscribers[index].0;
        Self::settle(known);
        known.claim = claim;
        known.next = known.next.max(position);
    }

    fn check_end(&mut self, index: usize, result: Result<(), PollError>, got_some: bool) {
        let (known, _) = &self.subscribers[index];
        let nothing = self.readable(known).0.is_empty();
        let (closed, at_the_end) = (self.closed, self.at_the_end);
        let known = &mut self.subscribers[index].0;
        Self::settle(known);
        match result {
            Ok(()) if got_some => {}
            Ok(()) => {
                assert!(!known.expelled, "the end is told");
                assert!(!closed || !nothing, "the close is told");
            }
            Err(PollError::Disconnected(missed)) => {
                assert!(
                    known.expelled && !known.told_expelled,
                    "told once, and only when it is so"
                );
                assert_eq!(missed, std::mem::take(&mut known.untold));
                known.told_expelled = true;
            }
            Err(PollError::Closed) => {
                assert!(!got_some);
                assert!(known.told_expelled || ((closed || at_the_end) && nothing));
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// `try_recv`, twice if the first one tells a loss.
    fn recv(&mut self, who: usize) {
        let Some(index) = self.pick(who) else { return };
        if self.recv_once(index) {
            assert!(!self.recv_once(index), "a loss is told once");
        }
    }

    /// Tells whether a loss was told.
    fn recv_once(&mut self, index: usize) -> bool {
        let result = self.subscribers[index].1.try_recv();
        self.subscribers[index].0.was_read = true;
        let (readable, skipped) = self.readable(&self.subscribers[index].0);
        let ids: Vec<_> = readable
            .iter()
            .map(|&sequence| self.at(sequence).unwrap())
            .collect();
        let known = &mut self.subscribers[index].0;
        if !readable.is_empty() {
            known.missed += skipped;
            known.untold += match known.overflow {
                Overflow::Latest => skipped,
                _ => 0,
            };
        }
        let mut expected = None;
        // A call gives up after it has seen the filter refuse a ring of events.
        let most = readable.len().min(self.setup.capacity);
        let gave_up = most < readable.len();
        for (&sequence, &id) in readable.iter().zip(&ids).take(most) {
            Self::settle(known);
            if known.overflow == Overflow::DropOldest && known.untold > 0 {
                let untold = std::mem::take(&mut known.untold);
                assert_eq!(result.map(drop), Err(TryRecvError::Missed(untold)));
                if known.claim.is_empty() {
                    known.claim.push(sequence);
                    known.next = sequence + 1;
                }
                return true;
            }
            Self::pass(known, sequence);
            if Self::passes(known, id) {
                known.delivered += 1;
                known.untold = match known.overflow {
                    Overflow::Latest => 0,
                    _ => known.untold,
                };
                expected = Some(id);
                break;
            }
            known.filtered += 1;
        }
        Self::settle(known);
        match (result, expected) {
            (Ok(event), expected) => {
                assert_eq!(Some(*event.id), expected);
                self.check_end(index, Ok(()), true);
            }
            (Err(TryRecvError::Empty), None) if gave_up || self.closed => {
                // It may also have given up before it came to the close.
                self.check_empty_ends(index);
            }
            (Err(TryRecvError::Empty), None) => self.check_end(index, Ok(()), false),
            (Err(TryRecvError::Missed(missed)), None) if self.closed || self.at_the_end => {
                // A loss that no event follows is told before the close.
                assert_eq!(known.overflow, Overflow::DropOldest);
                assert_eq!(missed, std::mem::take(&mut known.untold));
                assert!(readable.is_empty() && missed > 0);
                return true;
            }
            (Err(TryRecvError::Closed), None) => {
                self.check_end(index, Err(PollError::Closed), false);
            }
            (Err(TryRecvError::Disconnected(missed)), None) => {
                self.check_end(index, Err(PollError::Disconnected(missed)), false);
            }
            (Err(error), expected) => panic!("{error} instead of {expected:?}"),
        }
        false
    }

    fn check_empty_ends(&mut self, index: usize) {
        if self.closed && self.readable(&self.subscribers[index].0).0.is_empty() {
            let subscriber = &mut self.subscribers[index].1;
            let end = (0..64)
                .map(|_| subscriber.try_recv().map(drop))
                .find(|answer| *answer != Err(TryRecvError::Empty));
            match end {
                Some(Err(TryRecvError::Closed)) => {
                    self.check_end(index, Err(PollError::Closed), false);
                }
                Some(Err(TryRecvError::Disconnected(missed))) => {
                    self.check_end(index, Err(PollError::Disconnected(missed)), false);
                }
                other => panic!("{other:?} where the close is to be told"),
            }
        }
    }

    /// Takes the whole batch: what a lossy subscriber is lent and does not take stays claimed, and the model
    /// does not know what publishers then step over.
    fn poll_batch(&mut self, who: usize, max: usize) {
        let Some(index) = self.pick(who) else { return };
        let max = max.max(1);
        let mut shown = Vec::new();
        let mut lent = None;
        let result = self.subscribers[index].1.poll_batch(max, |mut batch| {
            let seen = |(event, meta): (&Event, Meta)| (*event.id, meta.sequence, meta.missed);
            // One by one, then the rest in one go.
            shown.extend(batch.by_ref().map(seen).take(max / 2));
            batch.for_each(|item| shown.push(seen(item)));
            lent = Some(shown.len());
        });
        self.subscribers[index].0.was_read = true;
        if max == 0 {
            assert_eq!(result, Ok(None));
            return;
        }
        let (readable, skipped) = self.readable(&self.subscribers[index].0);
        let fresh = self.subscribers[index].0.claim.is_empty();
        let position = self
            .topic
            .snapshot()
            .subscribers
            .into_iter()
            .find(|other| other.name.as_ref() == Some(&self.subscribers[index].0.name))
            .expect("the subscriber is listed")
            .position;
        let ids: Vec<_> = readable
            .iter()
            .map(|&sequence| self.at(sequence).unwrap())
            .collect();
        let known = &mut self.subscribers[index].0;
        if !readable.is_empty() {
            known.untold += skipped;
            known.missed += skipped;
        }
        // How many events the subscriber looked at is its own affair; what it passed must be a prefix.
        let mut expected = Vec::new();
        for (&sequence, &id) in readable.iter().zip(&ids).take(max) {
            if sequence >= position {
                break;
            }
            Self::pass(known, sequence);
            if Self::passes(known, id) {
                known.delivered += 1;
                expected.push((id, sequence, std::mem::take(&mut known.untold)));
            } else {
                known.filtered += 1;
            }
        }
        assert_eq!(shown, expected, "what {:?} is lent", known.overflow);
        if known.overflow != Overflow::Block && fresh {
            // Lent and not taken.
            known.claim = readable
                .iter()
                .copied()
                .filter(|&sequence| sequence >= known.next && sequence < position)
                .collect();
            known.next = known.next.max(position);
        }
        if let Some(lent) = lent {
            assert_eq!(lent, shown.len());
        }
        match result {
            Ok(ran) => {
                if ran.is_some() {
                    assert!(!shown.is_empty(), "a batch has at least one event");
                }
                if ran.is_none() {
                    assert!(shown.is_empty());
                    let known = &self.subscribers[index].0;
                    assert!(
                        readable.is_empty() || known.filtered_out,
                        "there was an event"
                    );
                    assert!(!known.expelled || known.told_expelled || !readable.is_empty());
                }
            }
            Err(error) => self.check_end(index, Err(error), false),
        }
    }

    // Checks.

    fn check(&self) {
        let snapshot = self.topic.snapshot();
        assert_eq!(snapshot.published, self.log.iter().flatten().count() as u64);
        assert!(snapshot.closed == self.closed || self.at_the_end);
        assert_eq!(snapshot.subscribers.len(), self.subscribers.len());
        for (known, _) in &self.subscribers {
            let numbers = snapshot
                .subscribers
                .iter()
                .find(|other| other.name.as_ref() == Some(&known.name))
                .expect("the subscriber is listed");
            let upto = if known.expelled {
                known.next
            } else {
                self.tail()
            };
            let published = self.events(known.joined, upto).len() as u64;
            let pending = published - known.delivered - known.filtered - known.missed;
            let expected = (
                published,
                known.delivered,
                known.filtered,
                known.missed,
                pending,
            );
            assert_eq!(
                (
                    numbers.published,
                    numbers.delivered,
                    numbers.filtered,
                    numbers.missed,
                    numbers.pending
                ),
                expected,
                "published, delivered, filtered, missed, pending of {:?}",
                known.overflow
            );
        }
    }

    fn run(mut self, ops: Vec<Op>) {
        for op in ops {
            match op {
                Op::Publish(how) => self.publish(how),
                Op::PublishBatch(count, how) => self.publish_batch(count, how),
                Op::SwitchPublisher => {
                    let exclusive = matches!(self.publisher, Some(AnyPublisher::Exclusive(_)));
                    self.make_publisher(!exclusive);
                }
                Op::Join(overflow, from, filtered) => self.join(overflow, from, filtered),
                Op::Poll(who, max) => self.poll(who, max),
                Op::Recv(who) => self.recv(who),
                Op::PollBatch(who, max) => self.poll_batch(who, max),
                Op::Leave(who) => self.leave(who),
                Op::Close => {
                    self.topic.close();
                    self.closed = true;
                }
            }
            self.check();
        }
        // Everything that was accepted is still read.
        self.topic.close();
        self.closed = true;
        for index in 0..self.subscribers.len() {
            for _ in 0..3 {
                self.poll(index, usize::MAX);
            }
            self.check();
            assert!(self.readable(&self.subscribers[index].0).0.is_empty());
            let ended = self.subscribers[index].1.poll(1, |_, _| ());
            assert_eq!(ended, Err(PollError::Closed));
        }
        let Self {
            token,
            topic,
            bus,
            publisher,
            subscribers,
            ..
        } = self;
        drop((topic, bus, publisher, subscribers));
        assert_eq!(Arc::strong_count(&token), 1, "every event is dropped");
    }
}

fn of_try(error: TryPublishError<Event>) -> (Refusal, Event) {
    let refusal = match &error {
        TryPublishError::Full(_) => Refusal::Full,
        TryPublishError::Closed(_) => Refusal::Closed,
        _ => panic!("{error}"),
    };
    (refusal, error.into_event())
}

fn of_publish(error: PublishError<Event>) -> (Refusal, Event) {
    let refusal = match &error {
        PublishError::Closed(_) => Refusal::Closed,
        PublishError::WouldDeadlock(_) => Refusal::WouldDeadlock,
        _ => panic!("{error}"),
    };
    (refusal, error.into_event())
}

fn of_timeout(error: PublishTimeoutError<Event>) -> (Refusal, Event) {
    let refusal = match &error {
        PublishTimeoutError::Timeout(_) => Refusal::Timeout,
        PublishTimeoutError::Closed(_) => Refusal::Closed,
        PublishTimeoutError::WouldDeadlock(_) => Refusal::WouldDeadlock,
        _ => panic!("{error}"),
    };
    (refusal, error.into_event())
}

/// The refusal, `None` for a batch that is too large, and the events.
fn of_batch<E>(error: PublishBatchError<E>) -> (Option<Refusal>, Vec<Event>)
where
    E: IntoIterator<Item = Event>,
{
    let refusal = match &error {
        PublishBatchError::TooLarge { .. } => None,
        PublishBatchError::Full(_) => Some(Refusal::Full),
        PublishBatchError::Closed(_) => Some(Refusal::Closed),
        PublishBatchError::WouldDeadlock(_) => Some(Refusal::WouldDeadlock),
        _ => panic!("{error}"),
    };
    (refusal, error.into_events().into_iter().collect())
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![Just(How::Try), Just(How::Block), Just(How::Timeout)]
}

fn overflow() -> impl Strategy<Value = Overflow> {
    prop_oneof![
        Just(Overflow::Block),
        Just(Overflow::DropOldest),
        Just(Overflow::Latest),
        Just(Overflow::Disconnect),
    ]
}

fn from() -> impl Strategy<Value = From> {
    prop_oneof![
        4 => Just(From::Now),
        1 => Just(From::Latest),
        2 => Just(From::Oldest),
        1 => (-2..20_i64).prop_map(From::Behind),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => how().prop_map(Op::Publish),
        6 => (0..20_usize, how()).prop_map(|(count, how)| Op::PublishBatch(count, how)),
        1 => Just(Op::SwitchPublisher),
        4 => (overflow(), from(), any::<bool>())
            .prop_map(|(overflow, from, filter)| Op::Join(overflow, from, filter)),
        8 => (0..6_usize, 0..20_usize).prop_map(|(who, max)| Op::Poll(who, max)),
        6 => (0..6_usize).prop_map(Op::Recv),
        4 => (0..6_usize, 0..6_usize).prop_map(|(who, max)| Op::PollBatch(who, max)),
        1 => (0..6_usize).prop_map(Op::Leave),
    ]
}

/// A program that closes now and then.
fn program() -> impl Strategy<Value = Vec<Op>> {
    (
        prop::collection::vec(op(), 1..150),
        prop::option::weighted(0.2, any::<prop::sample::Index>()),
    )
        .prop_map(|(mut ops, close)| {
            if let Some(at) = close {
                ops.insert(at.index(ops.len()), Op::Close);
            }
            ops
        })
}

fn setup() -> impl Strategy<Value = Setup> {
    let first = prop_oneof![
        4 => Just(0),
        2 => 0..1000_u64,
        1 => (0..100_u64).prop_map(|left| MAX_SEQUENCE - 1 - left),
    ];
    (
        1..=16_usize,
        0..=16_usize,
        any::<bool>(),
        first,
        any::<bool>(),
    )
        .prop_map(
            |(capacity, retain, retains, first_sequence, exclusive)| Setup {
                capacity,
                retain: if retains { retain.min(capacity) } else { 0 },
                first_sequence,
                exclusive,
            },
        )
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 4 } else { cases },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn sequential_programs_do_what_the_model_says(setup in setup(), ops in program()) {
        World::new(setup).run(ops);
    }
}
