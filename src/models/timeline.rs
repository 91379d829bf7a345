//! Timelines: places in order over two rings, whoever publishes.

use loom::thread;

use super::explore;
use crate::channel::{Core, Overflow, Settings, Start, Subscriber, Timeline, Topic};
use crate::select::{Budget, Ended, Reactor};

fn topic(timeline: &Timeline) -> Topic<u64> {
    let settings = Settings {
        capacity: 2,
        keep_open: true,
        ..Settings::default()
    };
    Topic::of(Core::on_timeline(None, settings, timeline.sequencer()))
}

fn subscribe(topic: &Topic<u64>, overflow: Overflow) -> Subscriber<u64> {
    Subscriber::join(topic.core(), None, overflow, Start::Now, None).expect("there is a seat")
}

/// What was handled, with the places.
type Seen = Vec<(u64, u64)>;

/// A reactor that stops at the event number `last`.
fn reactor(
    timeline: &Timeline,
    topics: &[Topic<u64>; 2],
    overflow: Overflow,
    last: usize,
) -> Reactor<Seen> {
    let mut reactor = Reactor::new();
    let mut order = reactor.timeline(timeline);
    for topic in topics {
        let subscriber = subscribe(topic, overflow);
        order.on(subscriber, move |seen: &mut Seen, event, cx| {
            seen.push((*event, cx.place().expect("it is a timeline's")));
            if seen.len() == last {
                cx.stop();
            }
        });
    }
    reactor
}

fn assert_in_order(seen: &Seen, events: usize) {
    assert_eq!(seen.len(), events, "each event once");
    assert!(
        seen.is_sorted_by(|one, next| one.1 < next.1),
        "places must grow: {seen:?}"
    );
}

/// Each topic has a publisher of its own, which publishes so many events.
fn publish(topics: [Topic<u64>; 2], events: [u64; 2]) -> [thread::JoinHandle<()>; 2] {
    let mut events = events.into_iter();
    topics.map(|topic| {
        let events = events.next().expect("there are as many");
        thread::spawn(move || {
            for event in 0..events {
                topic.publish(event).expect("the topic is open");
            }
        })
    })
}

/// A reader looks while two publish, and when they have.
fn two_publishers(preemptions: Option<usize>, overflow: Overflow) {
    explore(preemptions, move || {
        let timeline = Timeline::new();
        let topics = [topic(&timeline), topic(&timeline)];
        let mut reactor = reactor(&timeline, &topics, overflow, 3);
        let threads = publish(topics, [2, 1]);
        let mut seen = Seen::new();
        let _ = reactor.turn(&mut seen, Budget::unlimited());
        for thread in threads {
            thread.join().unwrap();
        }
        let _ = reactor.turn(&mut seen, Budget::unlimited());
        assert_in_order(&seen, 3);
    });
}

#[test]
fn two_publishers_lossless() {
    two_publishers(Some(3), Overflow::Block);
}

#[test]
fn two_publishers_lossy() {
    two_publishers(Some(2), Overflow::DropOldest);
}

/// Of two publishes on two topics the one that returned before the other began is handled first.
#[test]
fn one_after_the_other() {
    explore(Some(3), || {
        let timeline = Timeline::new();
        let topics = [topic(&timeline), topic(&timeline)];
        let mut reactor = reactor(&timeline, &topics, Overflow::Block, 2);
        let thread = thread::spawn(move || {
            topics[1].publish(1).expect("the topic is open");
            topics[0].publish(2).expect("the topic is open");
        });
        let mut seen = Seen::new();
        let _ = reactor.turn(&mut seen, Budget::unlimited());
        let _ = reactor.turn(&mut seen, Budget::unlimited());
        thread.join().unwrap();
        let _ = reactor.turn(&mut seen, Budget::unlimited());
        assert_in_order(&seen, 2);
        assert_eq!(seen[0].0, 1);
    });
}

/// A reader that sleeps handles so many events of each topic.
fn wake_the_reader(preemptions: Option<usize>, events: [u64; 2]) {
    explore(preemptions, move || {
        let timeline = Timeline::new();
        let topics = [topic(&timeline), topic(&timeline)];
        let last = events.iter().sum::<u64>() as usize;
        let mut reactor = reactor(&timeline, &topics, Overflow::Block, last);
        let threads = publish(topics, events);
        let mut seen = Seen::new();
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Stopped));
        assert_in_order(&seen, last);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// It is woken by whichever topic, and by an event that the other's waits behind.
#[test]
fn two_publishers_wake_the_reader() {
    wake_the_reader(Some(2), [1, 1]);
}

/// It is woken by one topic again, while its bell still hangs at the other.
#[test]
fn one_publisher_wakes_the_reader_twice() {
    wake_the_reader(Some(2), [2, 0]);
}
