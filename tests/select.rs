//! `select!`: one arm, the right one, and the control flow around it.

mod common;

use std::thread;
use std::time::{Duration, Instant};

use ringbus::{Bus, Overflow, RecvError, WaitStrategy, select};

#[test]
fn the_arm_that_has_an_event_runs() {
    let bus = Bus::new();
    let (numbers, words) = (bus.topic::<u32>(), bus.topic::<String>());
    let (mut number, mut word) = (numbers.subscribe(), words.subscribe());
    words.publish("seven".to_string()).unwrap();
    let seen = select! {
        number = number => number.unwrap().to_string(),
        word = word => word.unwrap(),
    };
    assert_eq!(seen, "seven");
}

#[test]
fn default_runs_at_once_when_nothing_is_there() {
    let bus = Bus::new();
    let mut numbers = bus.topic::<u32>().subscribe();
    let ran = select! {
        _ = numbers => "event",
        default => "default",
    };
    assert_eq!(ran, "default");
}

#[test]
fn default_with_a_timeout_waits_for_it() {
    let bus = Bus::new();
    let mut numbers = bus.topic::<u32>().subscribe();
    let start = Instant::now();
    let ran = select! {
        _ = numbers => "event",
        default(Duration::from_millis(20)) => "timeout",
    };
    assert_eq!(ran, "timeout");
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[test]
fn biased_takes_the_first_that_has_something() {
    let bus = Bus::new();
    let (high, low) = (bus.topic::<u32>(), bus.topic::<u64>());
    let (mut first, mut second) = (high.subscribe(), low.subscribe());
    for event in 0..50 {
        high.publish(event).unwrap();
        low.publish(u64::from(event)).unwrap();
    }
    for _ in 0..50 {
        select! {
            biased;
            event = first => assert!(event.is_ok()),
            _ = second => panic!("the first arm had an event"),
        }
    }
}

#[test]
fn without_bias_no_arm_starves() {
    let bus = Bus::new();
    let (one, other) = (bus.topic::<u32>(), bus.topic::<u64>());
    let (mut first, mut second) = (one.subscribe(), other.subscribe());
    for event in 0..400 {
        one.publish(event).unwrap();
        other.publish(u64::from(event)).unwrap();
    }
    let mut taken = [0, 0];
    for _ in 0..400 {
        select! {
            event = first => { event.unwrap(); taken[0] += 1 }
            event = second => { event.unwrap(); taken[1] += 1 }
        }
    }
    // Two hundred each, give or take ten standard deviations.
    assert!(taken.iter().all(|&taken| taken >= 100), "{taken:?}");
}

#[test]
fn arms_may_break_continue_return_and_ask() {
    fn sum(bus: &Bus) -> Result<u32, RecvError> {
        let topic = bus.topic::<u32>();
        let mut numbers = topic.subscribe();
        for number in 0..6 {
            topic.publish(number).unwrap();
        }
        let mut sum = 0;
        loop {
            select! {
                number = numbers => {
                    let number = number?;
                    if number == 2 {
                        continue;
                    }
                    sum += number;
                    if number == 4 {
                        break;
                    }
                }
            }
        }
        topic.close();
        loop {
            select! {
                number = numbers => match number {
                    Ok(number) => sum += number,
                    Err(RecvError::Closed) => return Ok(sum),
                    Err(error) => return Err(error),
                },
                default => panic!("a closed topic always answers"),
            }
        }
    }
    assert_eq!(sum(&Bus::new()), Ok(1 + 3 + 4 + 5));
}

#[test]
fn an_arm_may_use_every_source_and_local_state() {
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    let (mut one, mut other) = (topic.subscribe(), topic.subscribe());
    topic.publish(1).unwrap();
    topic.publish(2).unwrap();
    let mut seen = Vec::new();
    select! {
        event = one => {
            seen.push(event.unwrap());
            seen.push(one.recv().unwrap());
            seen.push(other.recv().unwrap());
        },
        event = other => {
            seen.push(event.unwrap());
            seen.push(other.recv().unwrap());
            seen.push(one.recv().unwrap());
        },
    }
    assert_eq!(seen, [1, 2, 1]);
}

#[test]
fn sources_may_be_places_of_any_form() {
    struct Desk {
        quotes: ringbus::Subscriber<(u32, u32)>,
    }
    let bus = Bus::new();
    let topic = bus.topic::<(u32, u32)>();
    let mut desk = Desk {
        quotes: topic.subscribe(),
    };
    topic.publish((3, 4)).unwrap();
    let borrowed = &mut desk;
    let spread = select! {
        quote = borrowed.quotes => quote.map(|(bid, ask)| ask - bid),
    };
    assert_eq!(spread, Ok(1));
}

#[test]
fn events_that_are_not_clone_are_polled() {
    struct Order(u32);
    let bus = Bus::new();
    let orders = bus.topic::<Order>();
    let mut subscriber = orders.subscribe();
    orders.publish(Order(1)).unwrap();
    orders.publish(Order(2)).unwrap();
    orders.close();
    let mut sum = 0;
    loop {
        select! {
            () = subscriber.ready() => {
                if subscriber.poll(1, |order, _| sum += order.0).is_err() {
                    break;
                }
            }
        }
    }
    assert_eq!(sum, 3);
}

#[test]
fn a_waiting_select_wakes_for_an_event_and_for_a_close() {
    for wait in [WaitStrategy::Park, WaitStrategy::Yield] {
        common::finishes("a select", move || {
            let bus = Bus::new();
            let open = |name: &str| {
                let builder = bus.topic_builder::<u32>().name(name).wait(wait);
                builder.open().unwrap()
            };
            let (one, other) = (open("one"), open("other"));
            let (mut first, mut second) = (one.subscribe(), other.subscribe());
            let thread = thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                other.publish(5).unwrap();
                thread::sleep(Duration::from_millis(20));
                one.close();
            });
            let seen = select! {
                event = first => event,
                event = second => event,
            };
            assert_eq!(seen, Ok(5));
            let seen = select! {
                event = first => event,
                event = second => event,
            };
            assert_eq!(seen, Err(RecvError::Closed));
            thread.join().unwrap();
        });
    }
}

#[test]
fn foreign_channels_and_subscriptions_wait_together() {
    common::finishes("a select", || {
        let bus = Bus::new();
        let topic = bus.topic::<u32>();
        let mut events = topic.subscribe();
        let (send, mut foreign) = crossbeam_channel::unbounded();
        let thread = thread::spawn(move || {
            for number in 0..1000 {
                if number % 2 == 0 {
                    topic.publish(number).unwrap();
                } else {
                    send.send(number).unwrap();
                }
                if number % 97 == 0 {
                    thread::sleep(Duration::from_millis(2));
                }
            }
            topic.close();
        });
        let (mut sum, mut ended) = (0, [false, false]);
        while ended != [true, true] {
            if ended[0] {
                match foreign.recv() {
                    Ok(message) => sum += message,
                    Err(_) => ended[1] = true,
                }
            } else if ended[1] {
                match events.recv() {
                    Ok(event) => sum += event,
                    Err(_) => ended[0] = true,
                }
            } else {
                select! {
                    event = events => match event {
                        Ok(event) => sum += event,
                        Err(_) => ended[0] = true,
                    },
                    message = foreign => match message {
                        Ok(message) => sum += message,
                        Err(_) => ended[1] = true,
                    },
                }
            }
        }
        assert_eq!(sum, 999 * 1000 / 2);
        thread.join().unwrap();
    });
}

#[test]
fn a_loss_is_told_by_its_arm() {
    let bus = Bus::new();
    let topic = bus.topic_builder::<u32>().capacity(4).open().unwrap();
    let mut screen = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    assert_eq!(
        select! { event = screen => event },
        Err(RecvError::Missed(6))
    );
    assert_eq!(select! { event = screen => event }, Ok(6));
}
