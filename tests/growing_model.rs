//! Random programs on one thread against what a topic that grows must do: which publishes are refused, what
//! each subscriber is given, and numbers that add up after every step.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::assert_conserved;
use proptest::prelude::*;
use ringbus::{Bus, Overflow, PollError, Subscriber, Topic, TryPublishError, TryRecvError};

fn growing<T: Send + Sync + 'static>(bus: &Bus, capacity: usize, grow_to: usize) -> Topic<T> {
    bus.topic_builder()
        .capacity(capacity)
        .grow_to(grow_to)
        .keep_open()
        .open()
        .unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Publish,
    Batch(usize),
    Build(bool),
    Join(usize),
    Poll(usize, usize),
    Recv(usize),
    Lend(usize, usize),
    Leave(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => Just(Op::Publish),
        3 => (0_usize..40).prop_map(Op::Batch),
        1 => any::<bool>().prop_map(Op::Build),
        1 => (0_usize..4).prop_map(Op::Join),
        2 => (0_usize..8, 1_usize..40).prop_map(|(who, max)| Op::Poll(who, max)),
        1 => (0_usize..8).prop_map(Op::Recv),
        1 => (0_usize..8, 1_usize..20).prop_map(|(who, max)| Op::Lend(who, max)),
        1 => (0_usize..8).prop_map(Op::Leave),
    ]
}

/// A subscriber, and the number of the event it must be given next.
struct Member {
    subscriber: Subscriber<u64>,
    overflow: Overflow,
    next: u64,
    ended: bool,
}

impl Member {
    /// There was nothing for it. A loss that no event follows yet is not told yet.
    fn nothing(&self, sent: u64, gaps: bool) {
        assert!(
            self.next == sent || gaps && self.overflow != Overflow::Block,
            "{:?} was given nothing at {}, and {sent} were sent",
            self.overflow,
            self.next
        );
    }

    fn see(&mut self, events: &[(u64, u64)]) {
        for &(event, missed) in events {
            assert_eq!(event, self.next + missed, "{:?}", self.overflow);
            self.next = event + 1;
        }
    }
}

fn run(capacity: usize, grow_to: usize, exclusive: bool, ops: &[Op]) {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, capacity, grow_to);
    // There is a ring from the start.
    drop(topic.subscribe());
    let shared = (!exclusive).then(|| topic.publisher().unwrap());
    let mut sole = exclusive.then(|| topic.exclusive_publisher().unwrap());
    let mut members: Vec<Member> = Vec::new();
    let sent = Cell::new(0_u64);
    let mut gaps = false;
    for &op in ops {
        let backlog = |members: &[Member]| {
            members
                .iter()
                .filter(|member| member.overflow == Overflow::Block)
                .map(|member| sent.get() - member.next)
                .max()
        };
        let bound = topic.max_capacity() as u64;
        match op {
            Op::Publish => {
                let outcome = match (&shared, &mut sole) {
                    (Some(publisher), _) => publisher.try_publish(sent.get()),
                    (_, Some(publisher)) => publisher.try_publish(sent.get()),
                    _ => unreachable!(),
                };
                let fits = backlog(&members).is_none_or(|backlog| backlog < bound);
                match outcome {
                    Ok(_) => {
                        assert!(fits, "accepted, though a subscriber is {bound} behind");
                        sent.set(sent.get() + 1);
                    }
                    Err(refused) => {
                        assert!(!fits || gaps, "refused, though there is room");
                        assert_eq!(refused, TryPublishError::Full(sent.get()));
                    }
                }
            }
            Op::Batch(length) => {
                let events = sent.get()..sent.get() + length as u64;
                let fits = length == 0
                    || backlog(&members).is_none_or(|backlog| backlog + length as u64 <= bound);
                let outcome = match (&shared, &mut sole) {
                    (Some(publisher), _) => publisher.try_publish_batch(events.clone()).is_ok(),
                    (_, Some(publisher)) => publisher
                        .try_publish_batch(events.clone().collect::<Vec<_>>())
                        .is_ok(),
                    _ => unreachable!(),
                };
                if outcome {
                    assert!(fits && length as u64 <= bound);
                    sent.set(events.end);
                } else {
                    assert!(!fits || gaps || length as u64 > bound);
                }
            }
            Op::Build(panics) => {
                let Some(publisher) = &mut sole else { continue };
                if backlog(&members).is_some_and(|backlog| backlog >= bound) {
                    continue;
                }
                gaps |= panics;
                let build = || {
                    assert!(!panics, "not built");
                    sent.get()
                };
                let built =
                    catch_unwind(AssertUnwindSafe(|| publisher.publish_with(build).is_ok()));
                if built.is_ok_and(|accepted| accepted) {
                    sent.set(sent.get() + 1);
                }
            }
            Op::Join(which) => {
                if members.len() == 8 {
                    continue;
                }
                let overflow = [
                    Overflow::Block,
                    Overflow::DropOldest,
                    Overflow::Latest,
                    Overflow::Disconnect,
                ][which];
                let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
                // Known to be read here, so that a publish which would wait is refused at once.
                subscriber.poll(1, |_, _| ()).unwrap();
                members.push(Member {
                    subscriber,
                    overflow,
                    next: sent.get(),
                    ended: false,
                });
            }
            Op::Poll(who, max) => {
                let Some(member) = members.get_mut(who) else {
                    continue;
                };
                let mut seen = Vec::new();
                let polled = member
                    .subscriber
                    .poll(max, |event, meta| seen.push((*event, meta.missed)));
                member.see(&seen);
                match polled {
                    Ok(shown) => {
                        assert_eq!(shown, seen.len());
                        if shown == 0 {
                            member.nothing(sent.get(), gaps);
                        }
                        if member.overflow == Overflow::Latest {
                            member.nothing(sent.get(), gaps);
                        }
                    }
                    Err(PollError::Disconnected(missed)) => {
                        assert_eq!(member.overflow, Overflow::Disconnect);
                        assert!(missed > 0 && member.next + missed <= sent.get());
                        member.ended = true;
                    }
                    Err(PollError::Closed) => assert!(member.ended),
                    Err(error) => panic!("{error}"),
                }
            }
            Op::Recv(who) => {
                let Some(member) = members.get_mut(who) else {
                    continue;
                };
                match member.subscriber.try_recv() {
                    Ok(event) if member.overflow == Overflow::Latest => member.next = event + 1,
                    Ok(event) => member.see(&[(event, 0)]),
                    Err(TryRecvError::Missed(missed)) => {
                        member.next += missed;
                        // It holds the next event, whose slot publishers step over.
                        gaps = true;
                    }
                    Err(TryRecvError::Empty) => member.nothing(sent.get(), gaps),
                    Err(TryRecvError::Disconnected(_)) => member.ended = true,
                    Err(TryRecvError::Closed) => assert!(member.ended),
                    Err(error) => panic!("{error}"),
                }
            }
            Op::Lend(who, max) => {
                let Some(member) = members.get_mut(who) else {
                    continue;
                };
                // Takes half of what it is lent.
                let lent = member.subscriber.poll_batch(max, |batch| {
                    batch
                        .take(max.div_ceil(2))
                        .map(|(event, meta)| (*event, meta.missed))
                        .collect::<Vec<_>>()
                });
                match lent {
                    Ok(Some(seen)) => member.see(&seen),
                    Ok(None) => member.nothing(sent.get(), gaps),
                    Err(_) => member.ended = true,
                }
                gaps |= member.overflow != Overflow::Block;
            }
            Op::Leave(who) => {
                if who < members.len() {
                    members.swap_remove(who);
                }
            }
        }
        assert_conserved(&topic);
        assert!(topic.capacity() <= topic.max_capacity());
        assert_eq!(topic.snapshot().published, sent.get());
    }
    for mut member in members {
        loop {
            let mut seen = Vec::new();
            let polled = member
                .subscriber
                .poll(7, |event, meta| seen.push((*event, meta.missed)));
            member.see(&seen);
            match polled {
                Ok(0) => break member.nothing(sent.get(), gaps),
                Ok(_) => {}
                Err(_) => break assert_eq!(member.overflow, Overflow::Disconnect),
            }
        }
    }
    assert_conserved(&topic);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 400 }, ..ProptestConfig::default() })]

    #[test]
    fn random_programs_are_exact(
        (capacity, growth) in (0_u32..7, 0_u32..4),
        exclusive in any::<bool>(),
        ops in prop::collection::vec(op(), 1..300),
    ) {
        run(1 << capacity, 1 << (capacity + growth), exclusive, &ops);
    }
}
