//! Streams: many replies, what a caller feeds, and ends that say why.
#![cfg(feature = "services")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{Census, finishes, let_others_park, wait_until};
use ringbus::{
    Budget, Bus, Reactor, Request, SendError, SendTimeoutError, Stream, StreamEnd, TrySendError,
    select, stream,
};

/// How long a call may take before a test calls it a hang.
const LONG: Duration = Duration::from_secs(20);

/// Asks for the numbers below this one.
struct Below(u64);

impl Request for Below {
    type Reply = Stream<u64>;
}

#[test]
fn request_is_answered_many_times() {
    finishes("the stream", || {
        let bus = Bus::new();
        let mut server = bus.serve::<Below>();
        let serving = thread::spawn(move || {
            while let Ok(call) = server.recv() {
                let (Below(end), responder) = call.into_parts();
                let (numbers, replies) = stream(8);
                assert!(responder.reply(replies));
                (0..end).for_each(|number| numbers.send(number).unwrap());
                numbers.finish();
            }
        });
        let client = bus.client();
        for end in [0, 1, 8, 9, 1000] {
            let mut numbers = client.stream(Below(end), LONG).unwrap();
            for number in 0..end {
                assert_eq!(numbers.recv(), Ok(number));
            }
            assert_eq!(numbers.recv(), Err(StreamEnd::Finished));
            assert_eq!(numbers.try_recv(), Some(Err(StreamEnd::Finished)));
            assert_eq!(numbers.next(), None);
        }
        bus.close();
        serving.join().unwrap();
    });
}

/// Asks for the sum so far, for each number that it is fed.
struct Sums(Stream<u64>);

impl Request for Sums {
    type Reply = Stream<u64>;
}

#[test]
fn caller_feeds_its_request_under_back_pressure_both_ways() {
    finishes("the stream", || {
        let bus = Bus::new();
        let mut server = bus.serve::<Sums>();
        let serving = thread::spawn(move || {
            let (Sums(numbers), responder) = server.recv().unwrap().into_parts();
            let (sums, replies) = stream(2);
            responder.reply(replies);
            let mut sum = 0;
            for number in numbers {
                sum += number;
                sums.send(sum).unwrap();
            }
            sums.finish();
        });
        let (numbers, fed) = stream(2);
        let sums = bus.client().stream(Sums(fed), LONG).unwrap();
        let count = 20_000;
        let feeding = thread::spawn(move || {
            (0..count).for_each(|number| numbers.send(number).unwrap());
            numbers.finish();
        });
        let mut expected = 0;
        let mut received = 0;
        for (number, sum) in (0..).zip(sums) {
            expected += number;
            received += 1;
            assert_eq!(sum, expected);
        }
        assert_eq!(received, count);
        feeding.join().unwrap();
        serving.join().unwrap();
    });
}

#[test]
fn sender_waits_for_a_slow_receiver() {
    finishes("the stream", || {
        let (sender, mut received) = stream(4);
        let sent = Arc::new(AtomicU64::new(0));
        let sending = {
            let sent = Arc::clone(&sent);
            thread::spawn(move || {
                for number in 0..100 {
                    sender.send(number).unwrap();
                    sent.store(number + 1, Ordering::Relaxed);
                }
                sender.finish();
            })
        };
        for number in 0..100 {
            if number == 0 {
                wait_until("it is full", || sent.load(Ordering::Relaxed) == 4);
                let_others_park();
            }
            assert!(sent.load(Ordering::Relaxed) <= number + 4);
            assert_eq!(received.recv(), Ok(number));
        }
        sending.join().unwrap();
        assert_eq!(received.recv(), Err(StreamEnd::Finished));
    });
}

#[test]
fn full_stream_gives_the_item_back() {
    let (sender, mut received) = stream(2);
    assert_eq!((sender.send(1), sender.send(2)), (Ok(()), Ok(())));
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    let short = Duration::from_millis(1);
    assert_eq!(
        sender.send_timeout(3, short),
        Err(SendTimeoutError::Timeout(3))
    );
    assert_eq!(received.recv(), Ok(1));
    assert_eq!(sender.send(3), Ok(()));
    // This thread was the last to receive.
    assert_eq!(sender.send(4), Err(SendError::WouldDeadlock(4)));
    assert_eq!(received.recv_timeout(LONG), Some(Ok(2)));
    assert_eq!(received.recv_timeout(LONG), Some(Ok(3)));
    assert_eq!(received.recv_timeout(short), None);
}

#[test]
fn end_says_why() {
    let (sender, mut received) = stream(2);
    sender.send(1).unwrap();
    drop(sender);
    assert_eq!(received.recv(), Ok(1));
    assert_eq!(received.recv(), Err(StreamEnd::Cancelled));

    let (sender, mut received) = stream(2);
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        sender.send(1).unwrap();
        panic!("in the middle of a stream");
    }));
    assert!(panicked.is_err());
    assert_eq!(received.recv(), Ok(1));
    assert_eq!(received.recv(), Err(StreamEnd::Panicked));
}

#[test]
fn receiver_that_goes_is_noticed() {
    finishes("the sender", || {
        let census = Census::new();
        let (sender, received) = stream(2);
        sender.send(census.event(0)).unwrap();
        sender.send(census.event(1)).unwrap();
        assert!(!sender.is_abandoned());
        let leaving = thread::spawn(move || {
            let_others_park();
            drop(received);
        });
        let refused = sender.send(census.event(2)).unwrap_err();
        assert_eq!(refused.to_string(), "receiver of the stream has gone");
        assert_eq!(refused.into_item().id, 2);
        assert!(sender.is_abandoned());
        leaving.join().unwrap();
        drop(sender);
        census.assert_all_dropped_once();
    });
}

#[test]
fn reactor_receives_a_stream() {
    let (sender, received) = stream(256);
    let mut reactor = Reactor::<Vec<_>>::new();
    let id = reactor.on_stream(
        received,
        |seen: &mut Vec<Result<u64, StreamEnd>>, item, _| {
            seen.push(item);
        },
    );
    (0..100).for_each(|number| sender.send(number).unwrap());
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::events(70));
    assert_eq!((turn.handled, turn.pending), (70, 30));
    sender.finish();
    assert_eq!(reactor.turn(&mut seen, Budget::unlimited()).handled, 30);
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert!(!reactor.contains(id));
    let expected = (0..100).map(Ok).chain([Err(StreamEnd::Finished)]);
    assert!(seen.into_iter().eq(expected));
}

#[test]
fn stream_is_an_arm_of_select() {
    finishes("select", || {
        let (sender, mut received) = stream(4);
        let mut events = Bus::new().topic::<u64>().subscribe();
        // The last bus has gone, so it is closed.
        assert!(events.recv().is_err());
        let sending = thread::spawn(move || {
            let_others_park();
            sender.send(7).unwrap();
            sender
        });
        let item = select! {
            item = received => item,
            default(LONG) => unreachable!("there is one"),
        };
        assert_eq!(item, Ok(7));
        drop(sending.join().unwrap());
        let end = select! {
            item = received => item,
            default(LONG) => unreachable!("it has ended"),
        };
        assert_eq!(end, Err(StreamEnd::Cancelled));
    });
}

#[test]
fn stream_in_a_request_that_nobody_serves_ends() {
    let bus = Bus::new();
    let (numbers, fed) = stream(2);
    let refused = bus.client().call(Sums(fed), LONG).map(drop).unwrap_err();
    numbers.send(1).unwrap();
    let Sums(mut fed) = refused.into_request().unwrap();
    assert_eq!(fed.recv(), Ok(1));

    // An instance that drops the call drops what it was fed.
    let mut server = bus.serve::<Sums>();
    let ticket = bus.client().start(Sums(fed)).unwrap();
    drop(server.recv().unwrap());
    assert!(ticket.wait().is_err());
    assert_eq!(numbers.send(2), Err(SendError::Closed(2)));
}

#[test]
#[should_panic(expected = "a stream must have room for 1 to 16777216 items, got 0")]
fn stream_without_room_is_refused() {
    let _ = stream::<u64>(0);
}
