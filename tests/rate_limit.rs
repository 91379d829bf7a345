//! Limited handles keep to their quota, lose nothing by it that is not told, and wait without being in the way.
#![cfg(all(feature = "rate-limit", feature = "services"))]

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use common::{Census, Random, assert_conserved, finishes, let_others_park, wait_until};
use ringbus::{
    Budget, Bus, CallError, Clock, LimitedError, OnLimit, Overflow, PollError, PublishError,
    PublishTimeoutError, RateLimit, RateLimiter, Reactor, RecvError, RecvTimeoutError, Request,
    StartError, TryPublishError, TryRecvError,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// Long enough for whatever a test waits for.
const LONG: Duration = Duration::from_secs(600);

/// A limiter by a clock that the test moves.
fn manual(limit: RateLimit) -> (RateLimiter, Clock) {
    let clock = Clock::manual();
    (RateLimiter::with_clock(limit, clock.clone()), clock)
}

#[test]
fn a_burst_goes_at_once_and_what_follows_at_the_pace() {
    let (limiter, clock) = manual(RateLimit::per_second(4).burst(3));
    for _ in 0..3 {
        assert_eq!(limiter.try_acquire(), Ok(()));
    }
    for _ in 0..10 {
        assert_eq!(limiter.try_acquire(), Err(SECOND / 4));
        clock.advance(SECOND / 8);
        assert_eq!(limiter.try_acquire(), Err(SECOND / 8));
        clock.advance(SECOND / 8);
        assert_eq!(limiter.try_acquire(), Ok(()));
    }
}

#[test]
fn a_quota_that_is_not_used_holds_no_more_than_its_burst() {
    let (limiter, clock) = manual(RateLimit::per_minute(60).burst(5));
    clock.advance(24 * HOUR);
    let granted = (0..100).filter(|_| limiter.try_acquire().is_ok()).count();
    assert_eq!(granted, 5);
}

#[test]
fn no_period_lets_more_through_than_the_burst_and_what_is_refilled_in_it() {
    const STEP: Duration = Duration::from_millis(1);
    for seed in 0..20 {
        let mut random = Random(seed);
        let (rate, burst) = (1 + random.next() % 500, 1 + random.next() % 20);
        let (limiter, clock) = manual(RateLimit::per_second(rate as u32).burst(burst as u32));
        let mut granted = vec![];
        for _ in 0..2_000 {
            clock.advance(STEP * (random.next() % 8) as u32);
            if limiter.try_acquire().is_ok() {
                granted.push(clock.elapsed());
            }
        }
        assert!(!granted.is_empty());
        let interval = limiter.limit().interval();
        for (index, from) in granted.iter().enumerate() {
            // The first to follow beyond the burst comes when the burst is refilled.
            if let Some(to) = granted.get(index + burst as usize) {
                assert!(*to - *from >= interval, "{rate} a second, {burst} at once");
            }
        }
    }
}

#[test]
fn a_quota_that_could_not_be_kept_is_refused() {
    for quota in [
        || RateLimit::per_second(0),
        || RateLimit::per_second(1).burst(0),
        || RateLimit::every(Duration::ZERO),
        || RateLimit::every(Duration::MAX),
        || RateLimit::every(24 * HOUR).burst(u32::MAX),
    ] {
        assert!(std::panic::catch_unwind(quota).is_err());
    }
    let (limiter, _) = manual(RateLimit::per_second(u32::MAX));
    assert_eq!(limiter.limit().interval(), Duration::from_nanos(1));
    assert_eq!(limiter.try_acquire(), Ok(()));
}

#[test]
fn an_event_that_is_refused_comes_back_with_the_time_until_it_may_go() {
    let (limiter, clock) = manual(RateLimit::per_second(10).burst(1));
    let bus = Bus::new();
    let topic = bus.topic::<String>();
    let mut subscriber = topic.subscribe();
    let refusing = topic
        .publisher()
        .unwrap()
        .limited(&limiter, OnLimit::Refuse);
    let waiting = topic.publisher().unwrap().limited(&limiter, OnLimit::Wait);
    assert_eq!(refusing.publish("one".into()).unwrap(), Some(0));
    let error = refusing.publish("two".into()).unwrap_err();
    assert_eq!(error.to_string(), "over the rate limit for another 100ms");
    let LimitedError::Limited {
        event, retry_in, ..
    } = error
    else {
        panic!("the limit refused it")
    };
    assert_eq!((event.as_str(), retry_in), ("two", SECOND / 10));
    assert_eq!(waiting.try_publish(event).unwrap_err().into_event(), "two");
    clock.advance(retry_in);
    assert_eq!(waiting.try_publish("two".into()).unwrap(), Some(1));
    let all: Vec<_> = subscriber.try_iter().map(|(event, _)| event).collect();
    assert_eq!(all, ["one", "two"]);
}

#[test]
fn what_is_dropped_is_counted_and_dropped_once() {
    let (limiter, clock) = manual(RateLimit::per_second(1).burst(2));
    let census = Census::new();
    let bus = Bus::new();
    let topic = bus.topic();
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap().limited(limiter, OnLimit::Drop);
    let mut published = 0;
    for id in 0..100 {
        clock.advance(SECOND / 10);
        published += u64::from(publisher.publish(census.event(id)).unwrap().is_some());
    }
    assert_eq!(published, 11, "a burst of two, and one each second");
    assert_eq!(publisher.dropped(), 100 - published);
    assert_eq!(census.dropped() as u64, publisher.dropped());
    assert_eq!(publisher.clone().dropped(), 0);
    assert_eq!(subscriber.poll(1000, |_, _| {}), Ok(11));
    assert_conserved(&topic);
    drop((bus, topic, subscriber, publisher));
    census.assert_all_dropped_once();
}

#[test]
fn what_the_topic_refuses_anyhow_does_not_use_the_quota() {
    let (limiter, _) = manual(RateLimit::per_second(1).burst(3));
    let bus = Bus::new();
    let topic = bus.topic_builder::<u32>().capacity(1).open().unwrap();
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap().limited(&limiter, OnLimit::Drop);
    publisher.publish(1).unwrap();
    for _ in 0..10 {
        let refused = publisher.try_publish(2).unwrap_err();
        assert_eq!(refused, LimitedError::Refused(TryPublishError::Full(2)));
    }
    subscriber.recv().unwrap();
    assert_eq!(publisher.try_publish(2), Ok(Some(1)));
    topic.close();
    for _ in 0..10 {
        let refused = publisher.publish(3).unwrap_err();
        assert_eq!(refused, LimitedError::Refused(PublishError::Closed(3)));
    }
    assert_eq!(publisher.dropped(), 0);
    assert_eq!(limiter.try_acquire(), Ok(()));
    assert!(limiter.try_acquire().is_err());
}

#[test]
fn a_waiting_publisher_goes_on_when_its_time_has_come_and_not_before() {
    let (limiter, clock) = manual(RateLimit::every(SECOND));
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap().limited(limiter, OnLimit::Wait);
    publisher.publish(0).unwrap();
    let thread = thread::spawn(move || publisher.publish(1).map(drop));
    for _ in 0..3 {
        clock.advance(SECOND / 4);
        let_others_park();
        let shown = subscriber.poll(64, |event, _| assert_eq!(*event, 0));
        assert!(shown.is_ok());
    }
    clock.advance(SECOND / 4);
    let event = finishes("the publisher's wait", move || {
        thread.join().unwrap().unwrap();
        subscriber.recv()
    });
    assert_eq!(event, Ok(1));
}

#[test]
fn a_publisher_that_waits_for_its_quota_is_woken_by_the_close() {
    for limiter in [
        RateLimiter::new(RateLimit::every(HOUR)),
        manual(RateLimit::every(HOUR)).0,
    ] {
        let bus = Bus::new();
        let topic = bus.topic::<u32>();
        let publisher = topic.publisher().unwrap().limited(limiter, OnLimit::Wait);
        publisher.publish(0).unwrap();
        let begun = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let begun = Arc::clone(&begun);
            move || {
                begun.store(true, Ordering::Relaxed);
                let refused = publisher.publish(1).unwrap_err();
                (refused, publisher.publish_timeout(2, LONG).unwrap_err())
            }
        });
        wait_until("it publishes", || begun.load(Ordering::Relaxed));
        let_others_park();
        bus.close();
        let refused = finishes("the publisher's wait", || thread.join().unwrap());
        assert_eq!(refused.0, LimitedError::Refused(PublishError::Closed(1)));
        let closed = PublishTimeoutError::Closed(2);
        assert_eq!(refused.1, LimitedError::Refused(closed));
    }
}

#[test]
fn by_the_systems_clock_waiting_takes_the_time_it_must() {
    const INTERVAL: Duration = Duration::from_millis(20);
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    let publisher = topic.publisher().unwrap();
    let publisher = publisher.limited(RateLimit::every(INTERVAL), OnLimit::Wait);
    let since = Instant::now();
    for event in 0..4 {
        publisher.publish_timeout(event, LONG).unwrap();
    }
    assert!(since.elapsed() >= 3 * INTERVAL);
    let mut subscriber = topic.subscribe().limited(RateLimit::every(INTERVAL));
    let since = Instant::now();
    for event in 0..4 {
        topic.publish(event).unwrap();
        assert_eq!(subscriber.recv(), Ok(event));
    }
    assert!(since.elapsed() >= 3 * INTERVAL);
}

#[test]
fn a_deadline_that_the_limit_will_miss_is_told_at_once_with_the_event() {
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    let publisher = topic.publisher().unwrap();
    let publisher = publisher.limited(RateLimit::every(HOUR), OnLimit::Wait);
    publisher.publish(0).unwrap();
    let refused = finishes("a publish that can only be late", move || {
        publisher.publish_timeout(1, HOUR / 2).unwrap_err()
    });
    let LimitedError::Limited {
        event, retry_in, ..
    } = refused
    else {
        panic!("the limit refused it")
    };
    assert_eq!(event, 1);
    assert!(retry_in > HOUR / 2 && retry_in <= HOUR);
}

#[test]
fn by_a_manual_clock_a_deadline_is_waited_for() {
    let (limiter, _clock) = manual(RateLimit::every(SECOND));
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    let publisher = topic.publisher().unwrap().limited(limiter, OnLimit::Wait);
    publisher.publish(0).unwrap();
    let timeout = Duration::from_millis(20);
    let since = Instant::now();
    let refused = publisher.publish_timeout(1, timeout).unwrap_err();
    assert!(since.elapsed() >= timeout);
    assert_eq!(refused.into_event(), 1);
}

#[test]
fn handles_that_share_a_limiter_share_its_quota() {
    const PUBLISHERS: usize = 4;
    let (limiter, _clock) = manual(RateLimit::per_second(100).burst(50));
    let bus = Bus::new();
    let topic = bus.topic::<usize>();
    let mut subscriber = topic.subscribe();
    let start = Arc::new(Barrier::new(PUBLISHERS));
    let threads: Vec<_> = (0..PUBLISHERS)
        .map(|index| {
            let publisher = topic.publisher().unwrap().limited(&limiter, OnLimit::Drop);
            let start = Arc::clone(&start);
            thread::spawn(move || {
                start.wait();
                for _ in 0..100 {
                    publisher.publish(index).unwrap();
                }
                publisher.dropped()
            })
        })
        .collect();
    let dropped: u64 = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(dropped, 350);
    assert_eq!(subscriber.poll(1000, |_, _| {}), Ok(50));
}

#[test]
fn those_who_wait_for_one_quota_all_come_to_their_turn() {
    let limiter = RateLimiter::new(RateLimit::every(Duration::from_millis(1)));
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let mut subscriber = topic.subscribe();
    let since = Instant::now();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let publisher = topic.publisher().unwrap().limited(&limiter, OnLimit::Wait);
            thread::spawn(move || {
                for event in 0..10 {
                    publisher.publish(event).unwrap();
                }
            })
        })
        .collect();
    finishes("the publishers", || {
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
    assert!(since.elapsed() >= Duration::from_millis(39));
    assert_eq!(subscriber.poll(1000, |_, _| {}), Ok(40));
}

#[test]
fn inside_of_a_handler_nothing_waits_for_a_quota() {
    let (limiter, clock) = manual(RateLimit::every(SECOND));
    let bus = Bus::new();
    let requests = bus.topic_named::<u32>("requests").unwrap();
    let replies = bus.topic_named::<u32>("replies").unwrap();
    let mut heard = replies.subscribe();
    let publisher = replies
        .publisher()
        .unwrap()
        .limited(&limiter, OnLimit::Wait);
    let mut reader = requests.subscribe().limited(&limiter);
    let mut reactor = Reactor::builder().clock(clock.clone()).build();
    reactor.on(
        requests.subscribe(),
        move |refused: &mut Vec<u32>, request, _| {
            if let Err(error) = publisher.publish(*request) {
                assert!(matches!(error, LimitedError::Limited { .. }));
                refused.push(error.into_event());
                assert_eq!(reader.recv(), Err(RecvError::WouldDeadlock));
                assert_eq!(
                    reader.recv_timeout(LONG),
                    Err(RecvTimeoutError::WouldDeadlock)
                );
            }
        },
    );
    for request in 0..3 {
        requests.publish(request).unwrap();
    }
    let refused = finishes("the turns", move || {
        let mut refused = vec![];
        assert_eq!(reactor.turn(&mut refused, Budget::events(2)).handled, 2);
        clock.advance(SECOND);
        assert!(reactor.poll_one(&mut refused));
        refused
    });
    assert_eq!(refused, [1]);
    assert_eq!(heard.poll(64, |_, _| {}), Ok(2));
    // Behind the turn it waits again.
    let publisher = bus
        .topic_named::<u32>("other")
        .unwrap()
        .publisher()
        .unwrap();
    let publisher = publisher.limited(RateLimit::every(Duration::from_millis(1)), OnLimit::Wait);
    assert!(publisher.publish(1).is_ok() && publisher.publish(2).is_ok());
}

#[test]
fn a_subscriber_is_shown_what_its_limit_allows_and_loses_nothing() {
    let (limiter, clock) = manual(RateLimit::per_second(10).burst(3));
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let mut subscriber = topic.subscribe().limited(limiter);
    let mut seen = vec![];
    assert_eq!(subscriber.poll(64, |_, _| {}), Ok(0), "nothing is there");
    for event in 0..20 {
        topic.publish(event).unwrap();
    }
    assert_eq!(subscriber.poll(2, |event, _| seen.push(*event)), Ok(2));
    assert_eq!(subscriber.poll(64, |event, _| seen.push(*event)), Ok(1));
    assert_eq!(subscriber.poll(64, |_, _| {}), Ok(0));
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
    while seen.len() < 20 {
        clock.advance(SECOND / 20);
        subscriber.poll(64, |event, _| seen.push(*event)).unwrap();
        assert!(seen.len() as u128 <= 3 + clock.elapsed().as_millis() / 100);
    }
    assert!(seen.into_iter().eq(0..20));
    assert_conserved(&topic);
}

#[test]
fn what_a_subscriber_took_ahead_is_not_lost_nor_used_twice() {
    let (limiter, _clock) = manual(RateLimit::every(SECOND).burst(3));
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let mut subscriber = topic.subscribe().limited(limiter);
    topic.publish(0).unwrap();
    assert_eq!(subscriber.poll(64, |_, _| {}), Ok(1)); // looks for another one
    for event in 1..10 {
        topic.publish(event).unwrap();
    }
    assert_eq!(subscriber.poll(64, |_, _| {}), Ok(2));
    assert_eq!(subscriber.poll(64, |_, _| {}), Ok(0));
}

#[test]
fn what_a_subscriber_took_ahead_does_not_add_to_a_later_burst() {
    let (limiter, clock) = manual(RateLimit::every(SECOND).burst(3));
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let odd = topic.subscriber().filter(|event| event % 2 == 1).open();
    let mut subscriber = odd.unwrap().limited(limiter);
    topic.publish(1).unwrap();
    topic.publish(2).unwrap();
    // One is shown, and another one expected, which the filter refuses.
    assert_eq!(subscriber.poll(64, |_, _| {}), Ok(1));
    clock.advance(HOUR);
    for _ in 0..10 {
        topic.publish(1).unwrap();
    }
    assert_eq!(subscriber.poll(64, |_, _| {}), Ok(3));
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn events_that_the_filter_refuses_have_no_place_in_the_quota() {
    let (limiter, _clock) = manual(RateLimit::every(SECOND).burst(2));
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let subscriber = topic.subscriber().filter(|event| event % 10 == 0).open();
    let mut subscriber = subscriber.unwrap().limited(limiter);
    for event in 0..40 {
        topic.publish(event).unwrap();
    }
    assert_eq!(subscriber.try_recv(), Ok(0));
    assert_eq!(subscriber.try_recv(), Ok(10));
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
    assert_conserved(&topic);
}

#[test]
fn a_lossy_subscriber_under_a_limit_is_told_what_it_missed() {
    let (limiter, clock) = manual(RateLimit::every(SECOND));
    let bus = Bus::new();
    let topic = bus.topic_builder::<u64>().capacity(4).open().unwrap();
    let open = |overflow| topic.subscriber().overflow(overflow).open().unwrap();
    let mut screen = open(Overflow::Latest).limited(RateLimiter::with_clock(
        RateLimit::every(SECOND),
        clock.clone(),
    ));
    let mut log = open(Overflow::DropOldest).limited(limiter);
    let mut frames = vec![];
    for event in 0..100 {
        topic.publish(event).unwrap();
        clock.advance(SECOND / 10);
        screen
            .poll(64, |event, meta| frames.push((*event, meta.missed)))
            .unwrap();
    }
    assert_eq!(frames.len(), 10);
    assert_eq!(frames[1], (10, 9));
    assert_eq!(log.try_recv(), Err(TryRecvError::Missed(96)));
    assert_eq!(log.try_recv(), Ok(96), "a loss has no place in the quota");
    assert_eq!(log.try_recv(), Err(TryRecvError::Empty));
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    assert_conserved(&topic);
    topic.close();
    clock.advance(10 * SECOND);
    assert_eq!(log.recv(), Err(RecvError::Missed(9)));
}

#[test]
fn a_disconnection_is_told_without_a_place_in_the_quota() {
    let (limiter, _clock) = manual(RateLimit::every(SECOND));
    let bus = Bus::new();
    let topic = bus.topic_builder::<u64>().capacity(4).open().unwrap();
    let subscriber = topic.subscriber().overflow(Overflow::Disconnect).open();
    let mut subscriber = subscriber.unwrap().limited(limiter);
    topic.publish(0).unwrap();
    assert_eq!(subscriber.recv(), Ok(0));
    for event in 1..=20 {
        topic.publish(event).unwrap();
    }
    let Err(TryRecvError::Disconnected(missed)) = subscriber.try_recv() else {
        panic!("it was a full ring behind");
    };
    assert!(missed >= 4);
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
}

#[test]
fn a_limited_stage_waits_for_those_before_it() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let mut first = topic.subscribe();
    let stage = topic.subscriber().after(&first).open().unwrap();
    let mut stage = stage.limited(RateLimit::every(Duration::from_millis(1)));
    for event in 0..3 {
        topic.publish(event).unwrap();
    }
    assert_eq!(stage.try_recv(), Err(TryRecvError::Empty));
    let reading = thread::spawn(move || [stage.recv(), stage.recv(), stage.recv()]);
    let_others_park();
    assert_eq!(first.poll(64, |_, _| {}), Ok(3));
    let read = finishes("the stage", || reading.join().unwrap());
    assert_eq!(read, [Ok(0), Ok(1), Ok(2)]);
}

#[test]
fn a_limit_outlives_the_close_and_then_the_close_is_told() {
    let (limiter, clock) = manual(RateLimit::every(SECOND));
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let mut subscriber = topic.subscribe().limited(limiter);
    for event in 0..3 {
        topic.publish(event).unwrap();
    }
    topic.close();
    assert_eq!(subscriber.try_recv(), Ok(0));
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
    clock.advance(SECOND);
    assert_eq!(
        subscriber.poll_wait(64, |event, _| assert_eq!(*event, 1)),
        Ok(1)
    );
    let timeout = Duration::from_millis(10);
    let since = Instant::now();
    assert_eq!(
        subscriber.recv_timeout(timeout),
        Err(RecvTimeoutError::Timeout)
    );
    assert!(since.elapsed() >= timeout);
    clock.advance(SECOND);
    assert_eq!(subscriber.recv(), Ok(2));
    // The close has to wait for nothing.
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
    assert_eq!(subscriber.poll(64, |_, _| {}), Err(PollError::Closed));
}

#[test]
fn a_reader_that_waits_for_an_event_is_woken_by_the_close() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let mut subscriber = topic.subscribe().limited(RateLimit::every(HOUR));
    let thread = thread::spawn(move || subscriber.recv());
    let_others_park();
    topic.close();
    let answer = finishes("the reader's wait", || thread.join().unwrap());
    assert_eq!(answer, Err(RecvError::Closed));
}

#[test]
fn a_lossless_reader_under_a_limit_holds_its_publisher_back() {
    let bus = Bus::new();
    let topic = bus.topic_builder::<u64>().capacity(2).open().unwrap();
    let mut subscriber = topic
        .subscribe()
        .limited(RateLimit::every(Duration::from_millis(1)));
    let publisher = topic.publisher().unwrap();
    let thread = thread::spawn(move || {
        for event in 0..20 {
            publisher.publish(event).unwrap();
        }
    });
    let since = Instant::now();
    for event in 0..20 {
        assert_eq!(subscriber.recv(), Ok(event));
    }
    assert!(since.elapsed() >= Duration::from_millis(19));
    thread.join().unwrap();
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
}

#[test]
fn a_handler_that_panics_leaves_a_limited_subscriber_working() {
    let (limiter, clock) = manual(RateLimit::every(SECOND));
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let mut subscriber = topic.subscribe().limited(limiter);
    topic.publish(1).unwrap();
    topic.publish(2).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        subscriber.poll(64, |_, _| std::panic::resume_unwind(Box::new("on purpose")))
    }));
    assert!(panicked.is_err());
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
    clock.advance(SECOND);
    assert_eq!(subscriber.try_recv(), Ok(2));
}

/// Asks for the double.
#[derive(Debug, PartialEq)]
struct Double(u64);

impl Request for Double {
    type Reply = u64;
}

/// A thread that answers whatever comes, until the bus is closed.
fn answer_all(bus: &Bus) -> thread::JoinHandle<u64> {
    let mut server = bus.serve::<Double>();
    thread::spawn(move || {
        let mut served = 0;
        while let Ok(call) = server.recv() {
            let double = 2 * call.request().0;
            call.reply(double);
            served += 1;
        }
        served
    })
}

#[test]
fn a_limited_client_sends_what_its_limit_allows() {
    let (limiter, clock) = manual(RateLimit::every(SECOND).burst(2));
    let bus = Bus::new();
    let serving = answer_all(&bus);
    let client = bus.client::<Double>().limited(&limiter);
    assert_eq!(client.start(Double(1)).unwrap().wait().unwrap(), 2);
    assert_eq!(client.clone().call(Double(2), LONG).unwrap(), 4);
    let refused = client.start(Double(3)).unwrap_err();
    assert_eq!(refused.into_request(), Double(3));
    let timeout = Duration::from_millis(10);
    let refused = client.call(Double(3), timeout).unwrap_err();
    assert!(matches!(
        refused,
        LimitedError::Limited {
            event: Double(3),
            ..
        }
    ));
    let calling = thread::spawn(move || client.call(Double(3), LONG));
    let_others_park();
    clock.advance(SECOND);
    let reply = finishes("the call", || calling.join().unwrap());
    assert_eq!(reply.unwrap(), 6);
    bus.close();
    assert_eq!(serving.join().unwrap(), 3);
}

#[test]
fn a_call_that_the_limit_will_make_late_is_told_at_once() {
    let bus = Bus::new();
    let serving = answer_all(&bus);
    let client = bus.client::<Double>().limited(RateLimit::every(HOUR));
    assert_eq!(client.call(Double(1), LONG).unwrap(), 2);
    let refused = finishes("a call that can only be late", move || {
        client.call(Double(2), HOUR / 2).unwrap_err()
    });
    assert_eq!(refused.into_request(), Some(Double(2)));
    bus.close();
    serving.join().unwrap();
}

#[test]
fn a_call_that_waits_for_its_quota_is_woken_by_the_close() {
    let bus = Bus::new();
    let _server = bus.serve::<Double>();
    let client = bus.client::<Double>().limited(RateLimit::every(HOUR));
    let _first = client.start(Double(0)).unwrap();
    let calling = thread::spawn(move || client.call(Double(7), 2 * HOUR));
    let_others_park();
    bus.close();
    let refused = finishes("the call", || calling.join().unwrap().unwrap_err());
    assert!(matches!(
        refused,
        LimitedError::Refused(CallError::Closed(Double(7)))
    ));
}

#[test]
fn the_call_over_the_limit_of_a_service_is_refused_with_its_request() {
    let bus = Bus::new();
    bus.limit_calls::<Double>(2);
    bus.limit_calls_named::<Double>("other", 1).unwrap();
    let mut server = bus.serve::<Double>();
    let client = bus.client::<Double>();
    let one = client.start(Double(1)).unwrap();
    let two = bus.client::<Double>().start(Double(2)).unwrap();
    let refused = client.start(Double(3)).unwrap_err();
    assert!(matches!(refused, StartError::Overloaded(Double(3))));
    let refused = client.clone().call(Double(3), LONG).unwrap_err();
    assert!(matches!(refused, CallError::Overloaded(Double(3))));
    // Another service has a limit of its own.
    let other = bus
        .server_builder::<Double>()
        .service("other")
        .open()
        .unwrap();
    let elsewhere = bus
        .client_builder::<Double>()
        .service("other")
        .open()
        .unwrap();
    let ticket = elsewhere.start(Double(0)).unwrap();
    assert!(elsewhere.start(Double(0)).is_err());
    drop((ticket, other));

    // One that is taken is still outstanding, also when its caller has gone.
    let taken = server.recv().unwrap();
    drop(one);
    assert!(client.start(Double(3)).is_err());
    drop(taken);
    let three = client.start(Double(3)).unwrap();
    assert!(client.start(Double(4)).is_err());
    // One that nobody has taken, too: it lies in the mailbox.
    drop(two);
    assert!(client.start(Double(4)).is_err());
    server.recv().unwrap().reply(6);
    assert_eq!(three.wait().unwrap(), 6);
    let last = [client.start(Double(5)), client.start(Double(6))];
    assert!(last.iter().all(Result::is_ok));
    // An instance that leaves gives its requests back, and their places.
    drop(server);
    let _server = bus.serve::<Double>();
    assert!(client.start(Double(7)).is_ok());
    bus.limit_calls::<Double>(0);
    assert!(client.start(Double(8)).is_err());
    bus.limit_calls::<Double>(usize::MAX);
    assert!(
        (0..10)
            .map(|_| client.start(Double(9)))
            .all(|ticket| ticket.is_ok())
    );
}

#[test]
fn who_has_an_answer_may_call_again() {
    let bus = Bus::new();
    bus.limit_calls::<Double>(1);
    let serving = answer_all(&bus);
    let client = bus.client::<Double>();
    let calls = if cfg!(miri) { 20 } else { 5_000 };
    for number in 0..calls {
        assert_eq!(client.call(Double(number), LONG).unwrap(), 2 * number);
    }
    bus.close();
    assert_eq!(serving.join().unwrap(), calls);
}

#[test]
fn no_more_calls_are_outstanding_than_a_service_allows() {
    const LIMIT: usize = 3;
    let calls = if cfg!(miri) { 20 } else { 2_000 };
    let bus = Bus::new();
    bus.limit_calls::<Double>(LIMIT);
    let taken = Arc::new(AtomicUsize::new(0));
    let serving: Vec<_> = (0..2)
        .map(|_| {
            let mut server = bus.serve::<Double>();
            let taken = Arc::clone(&taken);
            thread::spawn(move || {
                let mut most = 0;
                while let Ok(first) = server.recv() {
                    let mut calls = vec![first];
                    calls.extend(std::iter::from_fn(|| server.try_recv().ok()));
                    // All of them are outstanding until they are answered.
                    let now = calls.len() + taken.fetch_add(calls.len(), Ordering::Relaxed);
                    most = most.max(now);
                    thread::yield_now();
                    taken.fetch_sub(calls.len(), Ordering::Relaxed);
                    for call in calls {
                        let double = 2 * call.request().0;
                        call.reply(double);
                    }
                }
                most
            })
        })
        .collect();
    let threads: Vec<_> = (0..6)
        .map(|_| {
            let client = bus.client::<Double>();
            thread::spawn(move || {
                let mut refused = 0;
                for number in 0..calls {
                    match client.start(Double(number)) {
                        Ok(ticket) => assert_eq!(ticket.wait().unwrap(), 2 * number),
                        Err(StartError::Overloaded(Double(back))) => {
                            assert_eq!(back, number);
                            refused += 1;
                            thread::yield_now();
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
                refused
            })
        })
        .collect();
    let refused: u64 = finishes("the callers", || {
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    let received = bus.services()[0]
        .instances
        .iter()
        .map(|instance| instance.received)
        .sum::<u64>();
    assert_eq!(received + refused, 6 * calls);
    bus.close();
    for server in serving {
        let most = server.join().unwrap();
        assert!(most <= LIMIT, "{most} calls were outstanding");
    }
}
