//! Timelines: one order over topics of different types.

mod common;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{Census, Counted, assert_conserved, finishes, let_others_park, wait_until};
use proptest::prelude::*;
use ringbus::{
    Budget, Bus, Clock, Context, Ended, HandlerId, OnPanic, Overflow, Priority, PublishError,
    Reactor, Start, Subscriber, Timeline, Topic, TopicError, TryPublishError,
};

/// Three types of events, each with a number that tells which it is.
#[derive(Clone, Debug, PartialEq)]
struct Quote(u64);
#[derive(Clone, Debug, PartialEq)]
struct Trade(u64, String);
#[derive(Clone, Debug, PartialEq)]
struct Halt(u64, [u64; 4]);

fn trade(number: u64) -> Trade {
    Trade(number, number.to_string())
}

fn halt(number: u64) -> Halt {
    Halt(number, [number; 4])
}

/// Three topics of a timeline.
struct Market {
    bus: Bus,
    timeline: Timeline,
    quotes: Topic<Quote>,
    trades: Topic<Trade>,
    halts: Topic<Halt>,
}

fn open<T: Send + Sync>(bus: &Bus, timeline: &Timeline, capacity: usize) -> Topic<T> {
    bus.topic_builder()
        .timeline(timeline)
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

impl Market {
    fn new(capacity: usize) -> Self {
        let bus = Bus::new();
        let timeline = Timeline::new();
        Self {
            quotes: open(&bus, &timeline, capacity),
            trades: open(&bus, &timeline, capacity),
            halts: open(&bus, &timeline, capacity),
            timeline,
            bus,
        }
    }

    /// Publishes an event of one of the three types.
    fn publish(&self, kind: usize, number: u64) {
        match kind % 3 {
            0 => drop(self.quotes.publish(Quote(number)).unwrap()),
            1 => drop(self.trades.publish(trade(number)).unwrap()),
            _ => drop(self.halts.publish(halt(number)).unwrap()),
        }
    }

    /// Handlers of all three that write down the numbers.
    fn record(&self, cx: &mut Context<Vec<u64>>) -> [HandlerId; 3] {
        let mut order = cx.timeline(&self.timeline);
        [
            order.on(self.quotes.subscribe(), |seen: &mut Vec<u64>, event, _| {
                seen.push(event.0);
            }),
            order.on(self.trades.subscribe(), |seen, event, _| {
                assert_eq!(event.1, event.0.to_string());
                seen.push(event.0);
            }),
            order.on(self.halts.subscribe(), |seen, event, _| {
                assert_eq!(event.1, [event.0; 4]);
                seen.push(event.0);
            }),
        ]
    }

    fn close(&self) {
        self.bus.close();
    }
}

fn with<T: Send + Sync>(topic: &Topic<T>, overflow: Overflow) -> Subscriber<T> {
    topic.subscriber().overflow(overflow).open().unwrap()
}

fn all<S>(reactor: &mut Reactor<S>, state: &mut S) -> u64 {
    reactor.turn(state, Budget::unlimited()).handled
}

#[track_caller]
fn assert_counts_up(seen: &[u64], numbers: Range<u64>) {
    assert!(
        seen.iter().copied().eq(numbers.clone()),
        "expected {numbers:?} in order, got {seen:?}"
    );
}

#[track_caller]
fn assert_increasing(places: &[u64]) {
    assert!(
        places.is_sorted_by(|one, next| one < next),
        "places must grow: {places:?}"
    );
}

#[test]
fn events_of_three_types_are_handled_in_the_order_of_their_publication() {
    let market = Market::new(1024);
    let mut reactor = Reactor::new();
    market.record(&mut reactor);
    // Runs of one topic, alternation, and back.
    let kinds = [0, 0, 0, 1, 2, 1, 2, 0, 2, 2, 1, 0, 1, 1, 0];
    for (number, kind) in (0..).zip(kinds.iter().cycle().take(600)) {
        market.publish(*kind, number);
    }
    let mut seen = Vec::new();
    assert_eq!(all(&mut reactor, &mut seen), 600);
    assert_counts_up(&seen, 0..600);
    assert_eq!(market.timeline.next_place(), 600);
}

#[test]
fn a_plain_reactor_does_not_keep_that_order() {
    // What the others would show if they tested nothing.
    let market = Market::new(64);
    let mut reactor = Reactor::new();
    reactor.on(
        market.quotes.subscribe(),
        |seen: &mut Vec<u64>, event, _| {
            seen.push(event.0);
        },
    );
    reactor.on(market.trades.subscribe(), |seen, event, _| {
        seen.push(event.0)
    });
    for number in 0..10 {
        market.publish(number as usize % 2, number);
    }
    let mut seen = Vec::new();
    assert_eq!(all(&mut reactor, &mut seen), 10);
    assert_eq!(seen, [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]);
}

#[test]
fn the_context_tells_the_place_of_the_event_that_is_handled() {
    let market = Market::new(64);
    let mut reactor = Reactor::<Vec<Option<u64>>>::new();
    let mut order = reactor.timeline(&market.timeline);
    order.on(market.trades.subscribe(), |seen, _, cx| {
        seen.push(cx.place())
    });
    order.on(market.quotes.subscribe(), |seen, _, cx| {
        seen.push(cx.place())
    });
    reactor.on(market.quotes.subscribe(), |seen, _, cx| {
        seen.push(cx.place())
    });
    market.publish(0, 0);
    market.publish(1, 0);
    market.publish(0, 0);
    let mut seen = Vec::new();
    assert_eq!(all(&mut reactor, &mut seen), 5);
    assert_eq!(seen, [Some(0), Some(1), Some(2), None, None]);
    assert_eq!(reactor.place(), None);
}

#[test]
fn a_publish_that_returned_before_another_began_is_handled_first() {
    // Tickets are drawn before a publish begins and after it has returned: of two events whose intervals
    // do not overlap the earlier one is handled first.
    const EACH: u64 = if cfg!(miri) { 30 } else { 3_000 };
    struct Timed {
        began: u64,
        returned: Arc<AtomicU64>,
    }
    struct A(Timed);
    struct B(Timed);
    finishes("publishing from three threads", || {
        let bus = Bus::new();
        let timeline = Timeline::new();
        let (a, b) = (
            open::<A>(&bus, &timeline, 16),
            open::<B>(&bus, &timeline, 64),
        );
        let mut reactor = Reactor::<Vec<(u64, u64, Arc<AtomicU64>)>>::new();
        let mut order = reactor.timeline(&timeline);
        order.on(a.subscribe(), |seen, event, cx| {
            let A(timed) = event;
            seen.push((
                cx.place().unwrap(),
                timed.began,
                Arc::clone(&timed.returned),
            ));
        });
        order.on(b.subscribe(), |seen, event, cx| {
            let B(timed) = event;
            seen.push((
                cx.place().unwrap(),
                timed.began,
                Arc::clone(&timed.returned),
            ));
        });
        let tickets = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let (a, b) = (a.publisher().unwrap(), b.publisher().unwrap());
                let tickets = Arc::clone(&tickets);
                thread::spawn(move || {
                    for number in 0..EACH {
                        let returned = Arc::new(AtomicU64::new(u64::MAX));
                        let timed = Timed {
                            began: tickets.fetch_add(1, Ordering::SeqCst),
                            returned: Arc::clone(&returned),
                        };
                        if (number + thread) % 3 == 0 {
                            a.publish(A(timed)).unwrap();
                        } else {
                            b.publish(B(timed)).unwrap();
                        }
                        returned.store(tickets.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let closer = thread::spawn(move || {
            for thread in threads {
                thread.join().unwrap();
            }
            bus.close();
        });
        let mut seen = Vec::new();
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
        closer.join().unwrap();
        assert_eq!(seen.len() as u64, 3 * EACH);
        let places: Vec<_> = seen.iter().map(|(place, ..)| *place).collect();
        assert_counts_up(&places, 0..3 * EACH);
        let mut latest_begin = 0;
        for (_, began, returned) in seen {
            let returned = returned.load(Ordering::SeqCst);
            assert!(
                returned > latest_begin,
                "a publish that returned at {returned} is behind one that began at {latest_begin}"
            );
            latest_begin = latest_begin.max(began);
        }
    });
}

#[test]
fn each_topic_keeps_its_order_and_each_publisher_its_own() {
    const EACH: u64 = if cfg!(miri) { 50 } else { 5_000 };
    finishes("two publishers on three topics", || {
        let market = Market::new(32);
        let mut reactor = Reactor::new();
        market.record(&mut reactor);
        let market = Arc::new(market);
        let threads: Vec<_> = (0..2)
            .map(|thread| {
                let market = Arc::clone(&market);
                thread::spawn(move || {
                    for number in 0..EACH {
                        // Odd numbers are one thread's, even ones the other's.
                        market.publish((number % 7) as usize, number * 2 + thread);
                    }
                })
            })
            .collect();
        let closer = thread::spawn(move || {
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            market.close();
        });
        let mut seen = Vec::new();
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
        closer.join().unwrap();
        for thread in 0..2 {
            let own = seen.iter().filter(|number| *number % 2 == thread);
            let own: Vec<_> = own.map(|number| number / 2).collect();
            assert_counts_up(&own, 0..EACH);
        }
    });
}

#[test]
fn topics_without_events_delay_nobody() {
    let market = Market::new(64);
    let idle: Vec<_> = (0..20)
        .map(|index| {
            let builder = market.bus.topic_builder::<u8>().timeline(&market.timeline);
            builder.name(format!("idle {index}")).open().unwrap()
        })
        .collect();
    let mut reactor = Reactor::new();
    for topic in &idle {
        let mut order = reactor.timeline(&market.timeline);
        order.on(topic.subscribe(), |_: &mut Vec<u64>, _, _| unreachable!());
    }
    market.record(&mut reactor);
    let mut seen = Vec::new();
    for number in 0..30 {
        market.publish(number as usize, number);
        assert_eq!(all(&mut reactor, &mut seen), 1);
    }
    assert_counts_up(&seen, 0..30);
    drop(idle);
}

#[test]
fn a_sleeping_reactor_wakes_for_each_topic_of_its_timeline() {
    finishes("a reactor that sleeps between events", || {
        let market = Market::new(64);
        let mut reactor = Reactor::new();
        market.record(&mut reactor);
        let handled = Arc::new(AtomicU64::new(0));
        let seen_by_handlers = Arc::clone(&handled);
        reactor.on_idle(move |seen: &mut Vec<u64>, _| {
            seen_by_handlers.store(seen.len() as u64, Ordering::Relaxed);
        });
        let publisher = thread::spawn(move || {
            for number in 0..12 {
                let_others_park();
                // The same topic several times, then another: the others' bells hang on.
                market.publish(number as usize / 4, number);
                wait_until("the event is handled", || {
                    handled.load(Ordering::Relaxed) == number + 1
                });
            }
            market.close();
        });
        let mut seen = Vec::new();
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
        publisher.join().unwrap();
        assert_counts_up(&seen, 0..12);
        assert!(reactor.snapshot().parked > 0, "it slept");
    });
}

#[test]
fn a_topic_that_closes_is_told_and_the_others_go_on() {
    let market = Market::new(64);
    let mut reactor = Reactor::new();
    let [quotes, trades, halts] = market.record(&mut reactor);
    for id in [quotes, trades, halts] {
        let closed = reactor.on_closed(id, |seen: &mut Vec<u64>, _| seen.push(1000));
        assert!(closed);
    }
    for number in 0..6 {
        market.publish(number as usize, number);
    }
    market.trades.close();
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.open), (6, 2));
    assert!(!reactor.contains(trades), "a handler goes with its source");
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 1000]);
    market.publish(0, 6);
    market.publish(2, 7);
    market.close();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 1000, 6, 7, 1000, 1000]);
    assert_eq!(reactor.snapshot().open, 0);
}

#[test]
fn a_topic_that_is_closed_from_the_start_ends_the_run() {
    finishes("a run on closed topics", || {
        let market = Market::new(64);
        market.close();
        let mut reactor = Reactor::new();
        market.record(&mut reactor);
        assert_eq!(reactor.run(&mut Vec::new()), Ok(Ended::Closed));
    });
}

#[test]
fn a_timeline_may_be_used_again_when_all_its_handlers_have_gone() {
    let market = Market::new(64);
    let mut reactor = Reactor::new();
    let mut seen = Vec::new();
    for round in 0..3 {
        let ids = market.record(&mut reactor);
        for number in 0..3 {
            market.publish(number as usize, round * 3 + number);
        }
        assert_eq!(all(&mut reactor, &mut seen), 3);
        for id in ids {
            assert!(reactor.remove(id));
            assert!(!reactor.remove(id), "it is gone");
        }
        assert_eq!(reactor.snapshot().open, 0);
        assert!(market.quotes.snapshot().subscribers.is_empty());
    }
    assert_counts_up(&seen, 0..9);
}

#[test]
fn losses_are_told_to_their_handler_and_what_is_left_is_in_order() {
    let market = Market::new(16);
    let mut reactor = Reactor::<Vec<(char, u64)>>::new();
    let mut order = reactor.timeline(&market.timeline);
    let quotes = order.on(
        with(&market.quotes, Overflow::DropOldest),
        |seen, event, _| {
            seen.push(('q', event.0));
        },
    );
    let trades = order.on(
        with(&market.trades, Overflow::DropOldest),
        |seen, event, _| {
            seen.push(('t', event.0));
        },
    );
    reactor.on_missed(quotes, |seen, missed, _| seen.push(('Q', missed)));
    reactor.on_missed(trades, |seen, missed, _| seen.push(('T', missed)));
    for number in 0..40 {
        // Three quotes to a trade.
        market.publish(usize::from(number % 4 == 3), number);
    }
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(turn.missed + turn.handled, 40);
    let lags: Vec<_> = seen
        .iter()
        .filter(|(what, _)| what.is_uppercase())
        .collect();
    assert_eq!(lags, [&('Q', turn.missed)], "ten trades are lost by nobody");
    let numbers = seen.iter().filter(|(what, _)| what.is_lowercase());
    assert_increasing(&numbers.map(|(_, number)| *number).collect::<Vec<_>>());
    let at = seen.iter().position(|(what, _)| *what == 'Q').unwrap();
    assert_eq!(
        seen[at + 1].0,
        'q',
        "a loss is told before the handler's next event"
    );
    assert_conserved(&market.quotes);
    assert_conserved(&market.trades);
}

#[test]
fn latest_takes_the_newest_in_its_place() {
    let market = Market::new(16);
    let mut reactor = Reactor::<Vec<u64>>::new();
    let mut order = reactor.timeline(&market.timeline);
    order.on(with(&market.quotes, Overflow::Latest), |seen, event, _| {
        seen.push(event.0)
    });
    order.on(market.trades.subscribe(), |seen, event, _| {
        seen.push(event.0)
    });
    for (kind, number) in [(0, 0), (1, 1), (0, 2), (1, 3), (0, 4), (1, 5)] {
        market.publish(kind, number);
    }
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(seen, [1, 3, 4, 5]);
    assert_eq!(turn.missed, 2);
    assert_conserved(&market.quotes);
}

#[test]
fn a_subscription_that_is_disconnected_is_told_with_its_count() {
    let market = Market::new(16);
    let mut reactor = Reactor::<Vec<u64>>::new();
    let mut order = reactor.timeline(&market.timeline);
    let quotes = order.on(
        with(&market.quotes, Overflow::Disconnect),
        |seen, event, _| {
            seen.push(event.0);
        },
    );
    order.on(market.trades.subscribe(), |seen, event, _| {
        seen.push(event.0)
    });
    reactor.on_missed(quotes, |seen, missed, _| seen.push(1000 + missed));
    reactor.on_closed(quotes, |seen, _| seen.push(2000));
    for number in 0..17 {
        market.publish(0, number);
    }
    market.publish(1, 17);
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(seen, [1016, 2000, 17]);
    assert_eq!((turn.missed, turn.open), (16, 1));
}

#[test]
fn a_filter_is_asked_in_order_and_what_it_refuses_is_not_in_the_way() {
    let market = Market::new(64);
    let asked = Arc::new(AtomicU64::new(0));
    let mut reactor = Reactor::<Vec<u64>>::new();
    let mut order = reactor.timeline(&market.timeline);
    for overflow in [Overflow::Block, Overflow::DropOldest] {
        let asked = Arc::clone(&asked);
        let builder = market.quotes.subscriber().overflow(overflow);
        let odd = builder.filter(move |event| {
            asked.fetch_add(1, Ordering::Relaxed);
            event.0 % 2 == 1
        });
        order.on(odd.open().unwrap(), |seen, event, _| seen.push(event.0));
    }
    order.on(market.trades.subscribe(), |seen, event, _| {
        seen.push(event.0)
    });
    for number in 0..12 {
        market.publish(usize::from(number % 3 == 2), number);
    }
    let mut seen = Vec::new();
    assert_eq!(all(&mut reactor, &mut seen), 12);
    assert_eq!(seen, [1, 1, 2, 3, 3, 5, 7, 7, 8, 9, 9, 11]);
    assert_eq!(asked.load(Ordering::Relaxed), 2 * 8);
    assert_conserved(&market.quotes);
}

#[test]
fn a_full_ring_stops_the_publishers_of_its_topic_and_no_others() {
    finishes("publishing beside a full topic", || {
        let market = Market::new(4);
        let mut reactor = Reactor::new();
        market.record(&mut reactor);
        for number in 0..4 {
            market.publish(0, number);
        }
        let quotes = market.quotes.publisher().unwrap();
        let refused = quotes.try_publish(Quote(99)).unwrap_err();
        assert_eq!(refused, TryPublishError::Full(Quote(99)));
        let blocked = thread::spawn(move || quotes.publish(Quote(5)).map(drop));
        let_others_park();
        // It waits without the timeline's lock.
        market.publish(1, 4);
        let mut seen = Vec::new();
        wait_until("the blocked publisher goes on", || {
            all(&mut reactor, &mut seen);
            seen.len() == 6
        });
        blocked.join().unwrap().unwrap();
        assert_counts_up(&seen, 0..6);
    });
}

#[test]
fn publishing_into_a_full_ring_that_only_this_thread_reads_would_deadlock() {
    finishes("publishing into one's own full ring", || {
        let market = Market::new(4);
        let mut reactor = Reactor::new();
        market.record(&mut reactor);
        let mut seen = Vec::new();
        assert_eq!(all(&mut reactor, &mut seen), 0);
        market.publish(0, 0);
        assert_eq!(all(&mut reactor, &mut seen), 1);
        for number in 1..5 {
            market.publish(0, number);
        }
        let refused = market.quotes.publish(Quote(5)).unwrap_err();
        assert_eq!(refused, PublishError::WouldDeadlock(Quote(5)));
        // From inside a handler an event that finds no room waits in the outbox, and gets its place then.
        let again = market.quotes.publisher().unwrap();
        reactor.after(Duration::ZERO, move |_, cx| {
            cx.publish(&again, Quote(6)).unwrap();
        });
        market.publish(1, 5);
        while all(&mut reactor, &mut seen) > 0 {}
        assert_counts_up(&seen, 0..7);
    });
}

#[test]
fn an_event_that_finds_no_reader_has_no_place() {
    let market = Market::new(4);
    market.publish(0, 0);
    assert_eq!(market.timeline.next_place(), 0);
    let mut late = market.quotes.subscribe();
    market.publish(0, 1);
    assert_eq!(market.timeline.next_place(), 1);
    assert_eq!(late.recv(), Ok(Quote(1)));
}

#[test]
fn a_turn_handles_what_was_published_before_it_over_all_topics() {
    let market = Market::new(64);
    let mut reactor = Reactor::<Vec<u64>>::new();
    let (quotes, trades) = (market.quotes.clone(), market.trades.clone());
    let mut order = reactor.timeline(&market.timeline);
    // The trades' handler publishes a quote, and the quotes' a trade: each waits for the next turn.
    order.on(
        market.quotes.subscribe(),
        move |seen: &mut Vec<u64>, event, _| {
            seen.push(event.0);
            trades.publish(trade(event.0 + 10)).unwrap();
        },
    );
    order.on(market.trades.subscribe(), move |seen, event, _| {
        seen.push(event.0);
        quotes.publish(Quote(event.0 + 10)).unwrap();
    });
    market.publish(0, 0);
    market.publish(1, 1);
    market.publish(0, 2);
    let mut seen = Vec::new();
    for round in 0..5 {
        let turn = reactor.turn(&mut seen, Budget::unlimited());
        assert_eq!((turn.handled, turn.pending), (3, 0));
        assert_eq!(seen, [0, 1, 2].map(|number| number + 10 * round));
        seen.clear();
    }
}

#[test]
fn a_budget_carries_over_and_tells_what_is_pending() {
    let market = Market::new(256);
    let mut reactor = Reactor::new();
    market.record(&mut reactor);
    for number in 0..100 {
        market.publish(number as usize * number as usize, number);
    }
    let mut seen = Vec::new();
    for turn in 1..=15 {
        let done = reactor.turn(&mut seen, Budget::events(7));
        let handled = 7.min(100 - (turn - 1) * 7);
        assert_eq!(done.handled, handled);
        assert_eq!(done.pending, 100u64.saturating_sub(turn * 7));
    }
    assert_counts_up(&seen, 0..100);
}

#[test]
fn a_budget_of_time_ends_a_turn_between_two_events() {
    let market = Market::new(64);
    let clock = Clock::manual();
    let mut reactor = Reactor::<Vec<u64>>::builder().clock(clock.clone()).build();
    let mut order = reactor.timeline(&market.timeline);
    let slow = clock.clone();
    order.on(market.quotes.subscribe(), move |seen, event, _| {
        slow.advance(Duration::from_millis(1));
        seen.push(event.0);
    });
    order.on(market.trades.subscribe(), |seen, event, _| {
        seen.push(event.0)
    });
    for number in 0..20 {
        market.publish(number as usize % 2, number);
    }
    let mut seen = Vec::new();
    let budget = Budget::unlimited().within(Duration::from_millis(3));
    let turn = reactor.turn(&mut seen, budget);
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    assert_eq!((turn.handled, turn.pending), (5, 15));
    assert_eq!(all(&mut reactor, &mut seen), 15);
    assert_counts_up(&seen, 0..20);
}

#[test]
fn poll_one_handles_one_event() {
    let market = Market::new(64);
    let mut reactor = Reactor::new();
    market.record(&mut reactor);
    for number in 0..5 {
        market.publish(4 - number as usize, number);
    }
    let mut seen = Vec::new();
    for number in 0..5 {
        assert!(reactor.poll_one(&mut seen));
        assert_counts_up(&seen, 0..number + 1);
    }
    assert!(!reactor.poll_one(&mut seen));
}

#[test]
fn a_panic_stays_with_its_handler_and_loses_nothing() {
    for policy in [OnPanic::Isolate, OnPanic::Remove] {
        let market = Market::new(64);
        let mut reactor = Reactor::builder().on_panic(policy).build();
        let mut order = reactor.timeline(&market.timeline);
        let bad = order.on(
            market.quotes.subscribe(),
            |seen: &mut Vec<u64>, event, _| {
                seen.push(event.0);
                assert_ne!(event.0, 2, "as the test wants it");
            },
        );
        order.on(market.trades.subscribe(), |seen, event, _| {
            seen.push(event.0)
        });
        reactor.on_panic(move |seen, panic, _| {
            assert_eq!(panic.handler, bad);
            seen.push(1000);
        });
        for number in 0..8 {
            market.publish(number as usize % 2, number);
        }
        let mut seen = Vec::new();
        let turn = reactor.turn(&mut seen, Budget::unlimited());
        assert_eq!((turn.panicked, reactor.place()), (1, None));
        if policy == OnPanic::Isolate {
            assert_eq!(seen, [0, 1, 2, 1000, 3, 4, 5, 6, 7]);
        } else {
            assert_eq!(seen, [0, 1, 2, 1000, 3, 5, 7]);
            assert!(!reactor.contains(bad));
            assert!(market.quotes.snapshot().subscribers.is_empty());
        }
    }
}

#[test]
fn a_panic_that_goes_on_leaves_the_order_whole() {
    let market = Market::new(64);
    let mut reactor = Reactor::new();
    let mut order = reactor.timeline(&market.timeline);
    order.on(
        market.quotes.subscribe(),
        |seen: &mut Vec<u64>, event, _| {
            seen.push(event.0);
            assert_ne!(event.0, 2, "as the test wants it");
        },
    );
    order.on(market.trades.subscribe(), |seen, event, _| {
        seen.push(event.0)
    });
    for number in 0..8 {
        market.publish(number as usize % 2, number);
    }
    let mut seen = Vec::new();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        all(&mut reactor, &mut seen)
    }));
    assert!(panicked.is_err());
    assert_eq!(seen, [0, 1, 2]);
    assert_eq!(all(&mut reactor, &mut seen), 5);
    assert_counts_up(&seen, 0..8);
}

#[test]
fn a_filter_that_panics_is_its_handlers_panic() {
    let market = Market::new(64);
    let mut reactor = Reactor::builder().on_panic(OnPanic::Isolate).build();
    let mut order = reactor.timeline(&market.timeline);
    let picky = market.quotes.subscriber().filter(|event| {
        assert_ne!(event.0, 2, "as the test wants it");
        true
    });
    order.on(picky.open().unwrap(), |seen: &mut Vec<u64>, event, _| {
        seen.push(event.0)
    });
    order.on(market.trades.subscribe(), |seen, event, _| {
        seen.push(event.0)
    });
    for number in 0..6 {
        market.publish(number as usize % 2, number);
    }
    let mut seen = Vec::new();
    assert_eq!(reactor.turn(&mut seen, Budget::unlimited()).panicked, 1);
    assert_eq!(seen, [0, 1, 3, 4, 5]);
}

#[test]
fn a_handler_removes_itself_and_others_and_they_are_not_called_again() {
    let market = Market::new(64);
    let mut reactor = Reactor::<Vec<u64>>::new();
    let mut order = reactor.timeline(&market.timeline);
    let trades = order.on(market.trades.subscribe(), |seen, event, _| {
        seen.push(event.0)
    });
    let ids = Arc::new(std::sync::Mutex::new(Vec::new()));
    let known = Arc::clone(&ids);
    let quotes = order.on(market.quotes.subscribe(), move |seen, event, cx| {
        seen.push(event.0);
        if event.0 == 2 {
            for id in known.lock().unwrap().iter() {
                assert!(cx.remove(*id));
                assert!(!cx.contains(*id));
            }
        }
    });
    order.on(market.halts.subscribe(), |seen, event, _| {
        seen.push(event.0)
    });
    ids.lock().unwrap().extend([trades, quotes]);
    for number in 0..9 {
        market.publish([0, 0, 0, 0, 1, 2, 0, 1, 2][number as usize], number);
    }
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(seen, [0, 1, 2, 5, 8]);
    assert_eq!((turn.handled, turn.open), (5, 1));
    assert!(market.quotes.snapshot().subscribers.is_empty());
    assert!(market.trades.snapshot().subscribers.is_empty());
}

#[test]
fn a_removed_handler_frees_publishers_and_what_it_holds() {
    finishes("a publisher whose reader is removed", || {
        let market = Market::new(4);
        let mut reactor = Reactor::<Vec<u64>>::new();
        let held = Arc::new(());
        let holds = Arc::clone(&held);
        let mut order = reactor.timeline(&market.timeline);
        let quotes = order.on(market.quotes.subscribe(), move |_, _, _| {
            let _ = &holds;
        });
        order.on(market.trades.subscribe(), move |_, _, cx| {
            cx.remove(quotes);
        });
        for number in 0..4 {
            market.publish(0, number);
        }
        let topic = market.quotes.clone();
        let blocked = thread::spawn(move || topic.publish(Quote(4)).map(drop));
        let_others_park();
        assert!(reactor.remove(quotes));
        blocked.join().unwrap().unwrap();
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

#[test]
fn a_handler_that_panics_when_it_is_dropped_is_settled() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as the test wants it");
        }
    }
    let market = Market::new(64);
    let mut reactor = Reactor::builder().on_panic(OnPanic::Isolate).build();
    let mut order = reactor.timeline(&market.timeline);
    let bomb = Bomb;
    let quotes = order.on(market.quotes.subscribe(), move |_: &mut Vec<u64>, _, _| {
        let _ = &bomb;
    });
    order.on(market.trades.subscribe(), move |seen, event, cx| {
        seen.push(event.0);
        cx.remove(quotes);
    });
    for number in 0..4 {
        market.publish(1, number);
    }
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.panicked, turn.handled, turn.open), (1, 4, 1));
    assert_counts_up(&seen, 0..4);
}

#[test]
fn a_guard_ends_a_handler_from_another_thread() {
    finishes("a guard that is dropped elsewhere", || {
        let market = Market::new(64);
        let mut reactor = Reactor::new();
        let [quotes, ..] = market.record(&mut reactor);
        let guard = reactor.guard(quotes).unwrap();
        market.publish(0, 0);
        market.publish(1, 1);
        let mut seen = Vec::new();
        assert_eq!(all(&mut reactor, &mut seen), 2);
        market.publish(0, 2);
        market.publish(1, 3);
        thread::spawn(move || drop(guard)).join().unwrap();
        assert_eq!(all(&mut reactor, &mut seen), 1);
        assert_eq!(seen, [0, 1, 3]);
        assert!(!reactor.contains(quotes));
    });
}

#[test]
fn a_handler_added_by_a_handler_joins_the_order_with_what_comes_then() {
    let market = Market::new(64);
    let mut reactor = Reactor::<Vec<u64>>::new();
    let (timeline, trades) = (market.timeline.clone(), market.trades.clone());
    let mut order = reactor.timeline(&market.timeline);
    order.on(
        market.quotes.subscribe(),
        move |seen: &mut Vec<u64>, event, cx| {
            seen.push(event.0);
            if event.0 == 1 {
                let mut order = cx.timeline(&timeline);
                order.on(trades.subscribe(), |seen, event, _| seen.push(event.0));
            }
        },
    );
    market.publish(0, 0);
    market.publish(1, 100); // nobody listens yet
    market.publish(0, 1);
    let mut seen = Vec::new();
    assert_eq!(all(&mut reactor, &mut seen), 2);
    for number in 2..10 {
        market.publish(number as usize % 2, number);
    }
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.open), (8, 2));
    assert_counts_up(&seen, 0..10);
}

#[test]
fn a_handler_added_in_a_turn_begins_with_the_next_one() {
    let market = Market::new(64);
    let mut reactor = Reactor::<Vec<u64>>::new();
    let waiting = Arc::new(std::sync::Mutex::new(Some(market.trades.subscribe())));
    let timeline = market.timeline.clone();
    // It is another source's handler that adds it.
    reactor.on(market.halts.subscribe(), move |_, _, cx| {
        if let Some(subscriber) = waiting.lock().unwrap().take() {
            let mut order = cx.timeline(&timeline);
            order.on(subscriber, |seen: &mut Vec<u64>, event, _| {
                seen.push(event.0)
            });
        }
    });
    let mut order = reactor.timeline(&market.timeline);
    order.on(
        market.quotes.subscribe(),
        |seen: &mut Vec<u64>, event, _| seen.push(event.0),
    );
    market.publish(2, 0);
    market.publish(1, 1);
    market.publish(0, 2);
    let mut seen = Vec::new();
    assert_eq!(all(&mut reactor, &mut seen), 2);
    assert_eq!(seen, [2]);
    assert_eq!(all(&mut reactor, &mut seen), 1);
    assert_eq!(seen, [2, 1]);
}

#[test]
fn a_handler_added_while_the_others_sleep_is_waited_for_too() {
    finishes("a reactor with a handler more", || {
        let market = Market::new(64);
        let mut reactor = Reactor::<Vec<u64>>::new();
        let mut order = reactor.timeline(&market.timeline);
        order.on(market.quotes.subscribe(), |seen, event, _| {
            seen.push(event.0)
        });
        let (timeline, trades) = (market.timeline.clone(), market.trades.clone());
        reactor.after(Duration::from_millis(20), move |_, cx| {
            let mut order = cx.timeline(&timeline);
            order.on(trades.subscribe(), |seen: &mut Vec<u64>, event, _| {
                seen.push(event.0)
            });
            // Now somebody publishes.
            trades.publish(trade(7)).unwrap();
        });
        let publisher = thread::spawn(move || {
            wait_until("the handler is there", || {
                market.trades.snapshot().subscribers.len() == 1
            });
            let_others_park();
            market.publish(1, 8);
            market.publish(0, 9);
            market.close();
        });
        let mut seen = Vec::new();
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
        publisher.join().unwrap();
        assert_eq!(seen, [7, 8, 9]);
    });
}

#[test]
fn a_timeline_has_one_priority() {
    let market = Market::new(64);
    let plain = market.bus.topic::<u64>();
    let mut reactor = Reactor::<Vec<u64>>::new();
    reactor.on(plain.subscribe(), |seen, event, _| seen.push(*event));
    let mut order = reactor.timeline(&market.timeline);
    order.on(market.quotes.subscribe(), |seen, event, _| {
        seen.push(event.0)
    });
    let trades = order.on(market.trades.subscribe(), |seen, event, _| {
        seen.push(event.0)
    });
    let mut seen = Vec::new();
    assert_eq!(all(&mut reactor, &mut seen), 0);
    assert!(reactor.set_priority(trades, Priority::Urgent));
    plain.publish(2).unwrap();
    market.publish(0, 0);
    market.publish(1, 1);
    assert_eq!(all(&mut reactor, &mut seen), 3);
    assert!(reactor.set_priority(trades, Priority::Background));
    market.publish(1, 4);
    market.publish(0, 5);
    plain.publish(3).unwrap();
    assert_eq!(all(&mut reactor, &mut seen), 3);
    assert_counts_up(&seen, 0..6);
}

#[test]
fn a_stop_ends_a_run_between_two_events() {
    let market = Market::new(64);
    let mut reactor = Reactor::<Vec<u64>>::new();
    let mut order = reactor.timeline(&market.timeline);
    order.on(market.quotes.subscribe(), |seen, event, cx| {
        seen.push(event.0);
        cx.stop();
    });
    order.on(market.trades.subscribe(), |seen, event, _| {
        seen.push(event.0)
    });
    for number in 0..6 {
        market.publish(number as usize % 2, number);
    }
    let mut seen = Vec::new();
    for stops in [1, 3, 5] {
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Stopped));
        assert_counts_up(&seen, 0..stops);
    }
}

#[test]
#[should_panic(
    expected = "a handler of a timeline must be given a subscription to one of its topics"
)]
fn a_subscription_of_another_timeline_is_refused() {
    let (one, other) = (Market::new(4), Market::new(4));
    let mut reactor = Reactor::<()>::new();
    let mut order = reactor.timeline(&one.timeline);
    order.on(other.quotes.subscribe(), |_, _, _| {});
}

#[test]
fn a_topic_is_on_the_timeline_it_was_opened_on() {
    let bus = Bus::new();
    let (one, other) = (Timeline::new(), Timeline::new());
    let topic = open::<Quote>(&bus, &one, 8);
    assert_eq!(topic.timeline(), Some(one.clone()));
    assert_eq!(bus.topic::<Quote>().timeline(), Some(one.clone()));
    assert_eq!(bus.topic::<Trade>().timeline(), None);
    bus.topic_builder::<Quote>().timeline(&one).open().unwrap();
    for (conflict, existing) in [
        (
            bus.topic_builder::<Quote>()
                .timeline(&other)
                .open()
                .map(drop),
            "another one",
        ),
        (
            bus.topic_builder::<Trade>()
                .timeline(&other)
                .open()
                .map(drop),
            "none",
        ),
    ] {
        let error = conflict.unwrap_err();
        assert!(matches!(
            error,
            TopicError::Conflict {
                setting: "timeline",
                ..
            }
        ));
        let said = format!(" is open with another timeline: {existing}, not the one given");
        assert!(error.to_string().ends_with(&said), "{error}");
    }
}

#[test]
fn two_timelines_do_not_know_of_each_other() {
    let (one, other) = (Market::new(64), Market::new(64));
    let mut reactor = Reactor::new();
    one.record(&mut reactor);
    other.record(&mut reactor);
    for number in 0..6 {
        one.publish(number as usize, number);
        other.publish(number as usize, number + 100);
    }
    let mut seen = Vec::new();
    assert_eq!(all(&mut reactor, &mut seen), 12);
    let (ones, others): (Vec<_>, Vec<_>) = seen.into_iter().partition(|number| *number < 100);
    assert_counts_up(&ones, 0..6);
    assert_counts_up(&others, 100..106);
}

#[test]
fn exclusive_publishers_and_batches_take_places_too() {
    let market = Market::new(64);
    let mut reactor = Reactor::new();
    market.record(&mut reactor);
    let mut quotes = market.quotes.exclusive_publisher().unwrap();
    let trades = market.trades.publisher().unwrap();
    quotes.publish(Quote(0)).unwrap();
    trades.publish_batch([trade(1), trade(2)]).unwrap();
    quotes
        .publish_batch([Quote(3), Quote(4), Quote(5)])
        .unwrap();
    quotes.publish_with(|| Quote(6)).unwrap();
    trades.publish(trade(7)).unwrap();
    quotes.try_publish(Quote(8)).unwrap();
    drop(quotes);
    // Shared publishers go on where the exclusive one has stopped.
    market.publish(0, 9);
    market.publish(1, 10);
    let mut seen = Vec::new();
    assert_eq!(all(&mut reactor, &mut seen), 11);
    assert_counts_up(&seen, 0..11);
}

#[test]
fn holes_are_passed_and_free_the_ring() {
    struct Short(u64);
    impl Iterator for Short {
        type Item = Quote;
        fn next(&mut self) -> Option<Quote> {
            None
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (self.0 as usize, Some(self.0 as usize))
        }
    }
    impl ExactSizeIterator for Short {}
    finishes("a ring full of holes", || {
        let market = Market::new(64);
        let mut reactor = Reactor::new();
        market.record(&mut reactor);
        let mut quotes = market.quotes.exclusive_publisher().unwrap();
        let mut seen = Vec::new();
        for number in 0..5 {
            // A whole lap of holes: batches that promise events and bring none.
            quotes.publish_batch(Short(63)).unwrap();
            market.publish(1, number * 2);
            quotes.publish(Quote(number * 2 + 1)).unwrap();
            assert_eq!(all(&mut reactor, &mut seen), 2);
        }
        assert_counts_up(&seen, 0..10);
        assert_eq!(market.timeline.next_place(), 5 * (63 + 2));
    });
}

#[test]
fn an_event_that_is_being_published_is_waited_for_by_what_comes_behind_it() {
    // The exclusive publisher has claimed the first place, and builds its event while others publish.
    let market = Market::new(64);
    let mut reactor = Reactor::new();
    market.record(&mut reactor);
    let mut quotes = market.quotes.exclusive_publisher().unwrap();
    let mut seen = Vec::new();
    market.publish(1, 0);
    quotes
        .publish_with(|| {
            market.publish(1, 2);
            // What has a smaller place is not held up, and a turn waits for nobody.
            assert_eq!(all(&mut reactor, &mut seen), 1);
            assert_eq!(all(&mut reactor, &mut seen), 0);
            Quote(1)
        })
        .unwrap();
    assert_eq!(all(&mut reactor, &mut seen), 2);
    assert_counts_up(&seen, 0..3);
}

#[test]
fn a_reactor_that_sleeps_before_an_unfinished_event_is_woken_by_it() {
    finishes("a reactor that waits for an unfinished event", || {
        let market = Arc::new(Market::new(64));
        let mut reactor = Reactor::new();
        market.record(&mut reactor);
        let mut quotes = market.quotes.exclusive_publisher().unwrap();
        let others = Arc::clone(&market);
        let publisher = thread::spawn(move || {
            quotes
                .publish_with(|| {
                    others.publish(1, 1);
                    let_others_park();
                    let_others_park();
                    Quote(0)
                })
                .unwrap();
            others.close();
        });
        let mut seen = Vec::new();
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
        publisher.join().unwrap();
        assert_counts_up(&seen, 0..2);
        assert!(reactor.snapshot().parked > 0, "it slept");
    });
}

#[test]
fn a_subscription_may_start_in_the_past() {
    let bus = Bus::new();
    let timeline = Timeline::new();
    let old = |name: &str| {
        let builder = bus.topic_builder::<u64>().timeline(&timeline).name(name);
        builder.retain(16).capacity(16).keep_open().open().unwrap()
    };
    let topics = [old("a"), old("b")];
    for number in 0..12 {
        topics[number as usize % 2].publish(number).unwrap();
    }
    let mut reactor = Reactor::<Vec<u64>>::new();
    let mut order = reactor.timeline(&timeline);
    for topic in &topics {
        let builder = topic.subscriber().start(Start::Oldest);
        order.on(builder.open().unwrap(), |seen, event, _| seen.push(*event));
    }
    let mut seen = Vec::new();
    assert_eq!(all(&mut reactor, &mut seen), 12);
    assert_counts_up(&seen, 0..12);
}

#[test]
fn every_event_is_dropped_once() {
    let census = Census::new();
    {
        let bus = Bus::new();
        let timeline = Timeline::new();
        let topics: [Topic<Counted>; 2] = ["a", "b"].map(|name| {
            let builder = bus.topic_builder().timeline(&timeline).name(name);
            builder.capacity(4).keep_open().open().unwrap()
        });
        let mut reactor = Reactor::<u64>::new();
        let mut order = reactor.timeline(&timeline);
        order.on(topics[0].subscribe(), |sum, event, _| *sum += event.id);
        order.on(with(&topics[1], Overflow::DropOldest), |sum, event, _| {
            *sum += event.id
        });
        let mut sum = 0;
        for number in 0..100 {
            topics[1].publish(census.event(1)).unwrap();
            if number % 3 == 0 {
                topics[0].publish(census.event(1)).unwrap();
                all(&mut reactor, &mut sum);
            }
        }
        assert!(sum > 100);
    }
    census.assert_all_dropped_once();
}

#[test]
fn a_replay_handles_recorded_events_of_three_types_in_their_order_every_time() {
    /// What was recorded: the millisecond and the event.
    #[derive(Clone, Copy)]
    enum Recorded {
        Quote(u64),
        Trade(u64),
        Halt(u64),
    }
    let recording: Vec<(u64, Recorded)> = (0..300)
        .map(|number| {
            let event = match (number * number + number / 7) % 5 {
                0 | 1 => Recorded::Quote(number),
                2 | 3 => Recorded::Trade(number),
                _ => Recorded::Halt(number),
            };
            (number / 4, event)
        })
        .collect();
    let replay = || {
        let market = Market::new(512);
        let clock = Clock::manual();
        let start = clock.now();
        let mut reactor = Reactor::<Vec<(u128, u64)>>::builder()
            .clock(clock.clone())
            .build();
        let at = move |cx: &mut Context<_>| (cx.now() - start).as_millis();
        let mut order = reactor.timeline(&market.timeline);
        order.on(market.quotes.subscribe(), move |log, quote, cx| {
            log.push((at(cx), quote.0))
        });
        order.on(market.trades.subscribe(), move |log, trade, cx| {
            log.push((at(cx), trade.0))
        });
        order.on(market.halts.subscribe(), move |log, halt, cx| {
            log.push((at(cx), halt.0))
        });
        reactor.every(Duration::from_millis(10), move |log, cx| {
            log.push((at(cx), 1_000))
        });
        let mut log = Vec::new();
        let mut now = 0;
        for (millis, event) in &recording {
            while now < *millis {
                let _ = reactor.turn(&mut log, Budget::unlimited());
                clock.advance(Duration::from_millis(1));
                now += 1;
            }
            match *event {
                Recorded::Quote(number) => market.publish(0, number),
                Recorded::Trade(number) => market.publish(1, number),
                Recorded::Halt(number) => market.publish(2, number),
            }
        }
        let _ = reactor.turn(&mut log, Budget::unlimited());
        log
    };
    let log = replay();
    let numbers: Vec<_> = log.iter().map(|(_, number)| *number).collect();
    let events: Vec<_> = numbers
        .into_iter()
        .filter(|number| *number < 1_000)
        .collect();
    assert_counts_up(&events, 0..300);
    for ((millis, number), (recorded, _)) in log
        .iter()
        .filter(|(_, number)| *number < 1_000)
        .zip(&recording)
    {
        assert_eq!(*millis, u128::from(*recorded), "event {number} at its time");
    }
    assert!(log.iter().any(|(_, number)| *number == 1_000));
    assert_eq!(log, replay());
}

/// What a random program does.
#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    Batch(usize, usize),
    Turn(u64),
    Remove(usize),
    Add(usize, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..4_usize).prop_map(Step::Publish),
        2 => ((0..4_usize), (0..6_usize)).prop_map(|(topic, events)| Step::Batch(topic, events)),
        3 => (1..12_u64).prop_map(Step::Turn),
        1 => (0..6_usize).prop_map(Step::Remove),
        1 => ((0..4_usize), any::<bool>()).prop_map(|(topic, odd)| Step::Add(topic, odd)),
    ];
    prop::collection::vec(step, 1..if cfg!(miri) { 40 } else { 400 })
}

/// A handler as the model sees it: everything it has still to be given, by place.
struct Modelled {
    id: HandlerId,
    number: usize,
    topic: usize,
    odd: bool,
    waiting: Vec<u64>,
    /// Events in its ring, those that its filter will refuse among them.
    unread: usize,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 128 }))]

    /// Lossless handlers of four topics against a sequential model: each event goes to each handler of its
    /// topic, in the order of publication over all of them, and budgets cut that order anywhere.
    #[test]
    fn random_programs_follow_a_sequential_model(steps in steps()) {
        let bus = Bus::new();
        let timeline = Timeline::new();
        let topics: Vec<Topic<u64>> = (0..4)
            .map(|name| {
                let builder = bus.topic_builder().timeline(&timeline).name(format!("{name}"));
                builder.capacity(64).keep_open().open().unwrap()
            })
            .collect();
        let mut reactor = Reactor::<Vec<(u64, usize)>>::new();
        let mut handlers: Vec<Modelled> = Vec::new();
        let mut next = 0;
        let mut added = 0;
        let mut seen = Vec::new();
        let mut expected: Vec<(u64, usize)> = Vec::new();
        for step in steps {
            match step {
                Step::Publish(topic) | Step::Batch(topic, _) => {
                    let events = if let Step::Batch(_, events) = step { events } else { 1 };
                    let full = |handler: &Modelled| handler.topic == topic && handler.unread > 50;
                    if handlers.iter().any(full) {
                        continue;
                    }
                    let numbers = next..next + events as u64;
                    let publisher = topics[topic].publisher().unwrap();
                    publisher.publish_batch(numbers.clone()).unwrap();
                    next = numbers.end;
                    for handler in handlers.iter_mut().filter(|handler| handler.topic == topic) {
                        let odd = handler.odd;
                        handler.unread += events;
                        handler.waiting.extend(numbers.clone().filter(|number| !odd || number % 2 == 1));
                    }
                }
                Step::Turn(budget) => {
                    let mut handled = 0;
                    while handled < budget {
                        let first = handlers
                            .iter_mut()
                            .filter(|handler| !handler.waiting.is_empty())
                            // The first of equals: that of the handler that was added first.
                            .min_by_key(|handler| handler.waiting[0]);
                        let Some(first) = first else { break };
                        expected.push((first.waiting.remove(0), first.number));
                        handled += 1;
                    }
                    let turn = reactor.turn(&mut seen, Budget::events(budget));
                    prop_assert_eq!(turn.handled, handled);
                    if handled < budget {
                        handlers.iter_mut().for_each(|handler| handler.unread = 0);
                    }
                    prop_assert_eq!(&seen, &expected);
                }
                Step::Remove(which) if which < handlers.len() => {
                    let gone = handlers.remove(which);
                    prop_assert!(reactor.remove(gone.id));
                }
                Step::Add(topic, odd) if handlers.len() < 6 => {
                    let number = added;
                    added += 1;
                    let mut builder = topics[topic].subscriber();
                    if odd {
                        builder = builder.filter(|event| event % 2 == 1);
                    }
                    let mut order = reactor.timeline(&timeline);
                    let id = order.on(builder.open().unwrap(), move |seen, event, _| {
                        seen.push((*event, number));
                    });
                    handlers.push(Modelled { id, number, topic, odd, waiting: Vec::new(), unread: 0 });
                }
                Step::Remove(_) | Step::Add(..) => {}
            }
        }
        while all(&mut reactor, &mut seen) > 0 {}
        let waiting = handlers.iter().flat_map(|handler| {
            handler.waiting.iter().map(|number| (*number, handler.number))
        });
        // As they are numbered in the order in which they were added.
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_unstable();
        expected.extend(waiting);
        prop_assert_eq!(seen, expected);
    }
}

#[test]
#[should_panic(
    expected = "a handler of a timeline must be given a subscription that comes after no other"
)]
fn a_subscription_that_comes_after_another_is_refused() {
    let market = Market::new(4);
    let journal = market.quotes.subscribe();
    let act = market.quotes.subscriber().after(&journal).open().unwrap();
    let mut reactor = Reactor::<()>::new();
    reactor.timeline(&market.timeline).on(act, |_, _, _| {});
}

#[test]
fn a_topic_of_a_timeline_takes_no_editors() {
    let bus = Bus::new();
    let refused = bus
        .topic_builder::<u64>()
        .timeline(&Timeline::new())
        .open_edited(["editor"]);
    assert_eq!(refused.unwrap_err(), TopicError::EditedTimeline);
    assert!(bus.snapshot().topics.is_empty(), "nothing was opened");
}
