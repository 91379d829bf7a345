//! Subscribers that come after others: order, leaving, losing, waiting.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{assert_conserved, finishes, let_others_park, numbers, wait_until};
use ringbus::{
    Budget, Bus, Ended, ExclusivePublisher, Overflow, PollError, Reactor, RecvError,
    RecvTimeoutError, Stage, Start, SubscribeError, Subscriber, Topic, TryRecvError, WaitStrategy,
    select,
};

/// A topic, and the bus that closes it when it goes.
fn topic(capacity: usize) -> (Bus, Topic<u64>) {
    let bus = Bus::new();
    let topic = bus.topic_builder().capacity(capacity).keep_open().open();
    (bus, topic.expect("the topic opens"))
}

fn after(topic: &Topic<u64>, stages: &[&Stage<u64>]) -> Subscriber<u64> {
    let mut builder = topic.subscriber();
    for stage in stages {
        builder = builder.after(*stage);
    }
    builder.open().expect("the subscriber opens")
}

fn drain(subscriber: &mut Subscriber<u64>) -> Vec<u64> {
    let mut seen = Vec::new();
    while subscriber
        .poll(64, |event, _| seen.push(*event))
        .is_ok_and(|shown| shown > 0)
    {}
    seen
}

fn publish(topic: &Topic<u64>, events: std::ops::Range<u64>) {
    for event in events {
        topic.publish(event).expect("there is room");
    }
}

/// Takes a sequence for no event: a build that panics.
fn leave_a_gap(publisher: &mut ExclusivePublisher<u64>) {
    let build = || publisher.publish_with(|| std::panic::resume_unwind(Box::new("no event")));
    assert!(catch_unwind(AssertUnwindSafe(build)).is_err());
}

/// The number of events of a load: many laps of the rings here.
const LOAD: u64 = if cfg!(miri) { 200 } else { 10_000 };

/// How far a stage is, noted by itself before it lets an event pass.
#[derive(Clone, Default)]
struct Done(Arc<AtomicU64>);

impl Done {
    /// The stage has done `event`; it is all right that this carries nothing: the ring does.
    fn note(&self, event: u64) {
        self.0.store(event + 1, Ordering::Relaxed);
    }

    fn has(&self, event: u64) -> bool {
        self.0.load(Ordering::Relaxed) > event
    }

    fn leave(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }
}

/// Reads everything until the close, and checks that `before` had done each event.
fn stage(
    mut subscriber: Subscriber<u64>,
    before: Vec<Done>,
    done: Done,
) -> thread::JoinHandle<u64> {
    thread::spawn(move || {
        let mut next = 0;
        loop {
            let polled = subscriber.poll_wait(64, |event, meta| {
                assert_eq!((*event, meta.missed), (next, 0), "nothing is lost");
                for before in &before {
                    assert!(before.has(*event), "event {event} is seen too early");
                }
                done.note(*event);
                next += 1;
            });
            match polled {
                Ok(_) => {}
                Err(PollError::Closed) => return next,
                Err(error) => panic!("{error}"),
            }
        }
    })
}

#[test]
fn an_event_passes_a_pipeline_stage_by_stage() {
    let (_bus, topic) = topic(8);
    let mut journal = topic.subscribe();
    let mut replicate = after(&topic, &[&journal.stage()]);
    let mut act = after(&topic, &[&replicate.stage()]);
    publish(&topic, 0..3);
    assert_eq!(drain(&mut act), []);
    assert_eq!(drain(&mut replicate), []);
    assert_eq!(journal.poll(2, |_, _| {}), Ok(2));
    assert_eq!(drain(&mut act), []);
    assert_eq!(drain(&mut replicate), [0, 1]);
    assert_eq!(drain(&mut act), [0, 1]);
    assert_eq!(drain(&mut journal), [2]);
    assert_eq!(drain(&mut act), []);
    assert_eq!(drain(&mut replicate), [2]);
    assert_eq!(drain(&mut act), [2]);
    assert_conserved(&topic);
}

#[test]
fn pipeline_of_three_threads_keeps_its_order() {
    for strategy in [WaitStrategy::Yield, WaitStrategy::Park] {
        for capacity in [1, 2, 64] {
            let seen = finishes("the pipeline", move || {
                let bus = Bus::new();
                let topic = bus
                    .topic_builder::<u64>()
                    .capacity(capacity)
                    .wait(strategy)
                    .open()
                    .expect("the topic opens");
                let done: [Done; 3] = Default::default();
                let journal = topic.subscribe();
                let replicate = after(&topic, &[&journal.stage()]);
                let act = after(&topic, &[&replicate.stage()]);
                let mut publisher = topic.exclusive_publisher().expect("it is the only one");
                let threads = [
                    stage(journal, vec![], done[0].clone()),
                    stage(replicate, vec![done[0].clone()], done[1].clone()),
                    stage(act, done[..2].to_vec(), done[2].clone()),
                ];
                // Every event of a small ring is a round of wake-ups.
                let load = LOAD / if capacity <= 2 { 40 } else { 10 };
                for event in 0..load {
                    publisher.publish(event).expect("the topic is open");
                }
                // The close drains through all stages.
                drop(publisher);
                let seen = threads.map(|thread| thread.join().expect("the stage ends"));
                (seen, load)
            });
            assert_eq!(seen.0, [seen.1; 3]);
        }
    }
}

#[test]
fn last_of_a_diamond_comes_after_both_sides() {
    finishes("the diamond", || {
        let (_bus, topic) = topic(16);
        let done: [Done; 4] = Default::default();
        let first = topic.subscribe();
        let (left, right) = {
            let first = first.stage();
            (after(&topic, &[&first]), after(&topic, &[&first]))
        };
        let last = after(&topic, &[&left.stage(), &right.stage()]);
        let publisher = topic.publisher().expect("the topic is open");
        let threads = [
            stage(first, vec![], done[0].clone()),
            stage(left, done[..1].to_vec(), done[1].clone()),
            stage(right, done[..1].to_vec(), done[2].clone()),
            stage(last, done[..3].to_vec(), done[3].clone()),
        ];
        for event in 0..LOAD {
            publisher.publish(event).expect("the topic is open");
        }
        topic.close();
        for thread in threads {
            assert_eq!(thread.join().expect("the stage ends"), LOAD);
        }
    });
}

/// A pipeline of three and a diamond beside it, under load, of which one stage goes at an event; returns when
/// all the others have seen everything.
fn without(position: usize, go: impl Fn(Subscriber<u64>) + Send + Sync + 'static) {
    finishes("a topology that a stage has left", move || {
        let (_bus, topic) = topic(8);
        let done: Vec<Done> = (0..5).map(|_| Done::default()).collect();
        let journal = topic.subscribe();
        let replicate = after(&topic, &[&journal.stage()]);
        let act = after(&topic, &[&replicate.stage()]);
        let side = after(&topic, &[&journal.stage()]);
        let last = after(&topic, &[&replicate.stage(), &side.stage()]);
        let before = [vec![], vec![0], vec![0, 1], vec![0], vec![0, 1, 3]];
        let publisher = topic.publisher().expect("the topic is open");
        let go = Arc::new(go);
        let mut threads = Vec::new();
        for (place, mut subscriber) in [journal, replicate, act, side, last]
            .into_iter()
            .enumerate()
        {
            let before: Vec<Done> = before[place].iter().map(|&at| done[at].clone()).collect();
            let done = done[place].clone();
            if place != position {
                threads.push(stage(subscriber, before, done));
                continue;
            }
            let go = Arc::clone(&go);
            thread::spawn(move || {
                let mut next = 0;
                while next < LOAD / 4 {
                    let polled = subscriber.poll_wait(3, |event, _| {
                        assert_eq!(*event, next);
                        done.note(*event);
                        next += 1;
                    });
                    polled.expect("the topic is open");
                }
                // What it leaves behind is let through; the others must not be.
                done.leave();
                go(subscriber);
            });
        }
        for event in 0..LOAD / 2 {
            publisher.publish(event).expect("the topic is open");
        }
        topic.close();
        for thread in threads {
            assert_eq!(thread.join().expect("the stage ends"), LOAD / 2);
        }
    });
}

#[test]
fn leaving_stage_wedges_and_loses_nothing() {
    for position in 0..5 {
        without(position, drop);
    }
}

#[test]
fn dying_stage_wedges_and_loses_nothing() {
    for position in 0..5 {
        without(position, |_subscriber| {
            std::panic::resume_unwind(Box::new("the stage dies"));
        });
    }
}

#[test]
fn stage_that_panics_in_a_handler_is_done_with_that_event_and_goes_on() {
    let (_bus, topic) = topic(8);
    let mut journal = topic.subscribe();
    let mut act = after(&topic, &[&journal.stage()]);
    publish(&topic, 0..3);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        journal.poll(64, |event, _| {
            if *event == 1 {
                std::panic::resume_unwind(Box::new("a handler"));
            }
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(drain(&mut act), [0, 1]);
    assert_eq!(drain(&mut journal), [2]);
    assert_eq!(drain(&mut act), [2]);
}

#[test]
fn when_the_middle_has_left_the_last_still_comes_after_the_first() {
    let (_bus, topic) = topic(8);
    let mut journal = topic.subscribe();
    let replicate = after(&topic, &[&journal.stage()]);
    let mut act = after(&topic, &[&replicate.stage()]);
    publish(&topic, 0..2);
    drop(replicate);
    assert_eq!(drain(&mut act), []);
    assert_eq!(drain(&mut journal), [0, 1]);
    assert_eq!(drain(&mut act), [0, 1]);
    drop(journal);
    publish(&topic, 2..3);
    assert_eq!(drain(&mut act), [2]);
}

#[test]
fn stage_that_has_left_holds_nobody_up_whoever_takes_its_seat() {
    let (_bus, topic) = topic(8);
    let journal = topic.subscribe();
    let stage = journal.stage();
    let mut act = after(&topic, &[&stage]);
    publish(&topic, 0..1);
    drop(journal);
    // In its seat, and reading nothing.
    let _other = topic.subscribe();
    let _others: Vec<_> = (0..8).map(|_| topic.subscribe()).collect();
    assert_eq!(drain(&mut act), [0]);
    let mut late = after(&topic, &[&stage]);
    publish(&topic, 1..2);
    assert_eq!(drain(&mut act), [1]);
    assert_eq!(drain(&mut late), [1]);
}

#[test]
fn joining_after_a_stage_that_is_behind_waits_for_it() {
    let (_bus, topic) = topic(8);
    let mut journal = topic.subscribe();
    publish(&topic, 0..4);
    let mut now = after(&topic, &[&journal.stage()]);
    let mut oldest = topic
        .subscriber()
        .after(&journal)
        .start(Start::Oldest)
        .open()
        .expect("the subscriber opens");
    let mut from = topic
        .subscriber()
        .after(&journal)
        .start(Start::From(2))
        .open()
        .expect("it is retained");
    publish(&topic, 4..5);
    for subscriber in [&mut now, &mut oldest, &mut from] {
        assert_eq!(drain(subscriber), []);
    }
    assert_eq!(journal.poll(3, |_, _| {}), Ok(3));
    assert_eq!(drain(&mut now), []);
    assert_eq!(drain(&mut oldest), [0, 1, 2]);
    assert_eq!(drain(&mut from), [2]);
    assert_eq!(drain(&mut journal), [3, 4]);
    assert_eq!(drain(&mut now), [4]);
    assert_eq!(drain(&mut oldest), [3, 4]);
    assert_eq!(drain(&mut from), [3, 4]);
}

#[test]
fn stage_of_another_topic_or_a_lossy_one_is_refused() {
    let ((_bus, topic), (_other_bus, other)) = (topic(8), topic(8));
    let elsewhere = other.subscribe();
    let refused = topic.subscriber().after(&elsewhere).open();
    assert_eq!(refused.unwrap_err(), SubscribeError::OtherTopic);
    for overflow in [Overflow::DropOldest, Overflow::Latest, Overflow::Disconnect] {
        let lossy = topic.subscriber().overflow(overflow).open().unwrap();
        let refused = topic.subscriber().after(&lossy).open();
        assert_eq!(refused.unwrap_err(), SubscribeError::AfterLossy);
    }
    assert!(topic.snapshot().subscribers.is_empty());
}

#[test]
fn filtered_event_counts_as_done() {
    let (_bus, topic) = topic(8);
    let mut odd = topic
        .subscriber()
        .filter(|event| event % 2 == 1)
        .open()
        .expect("the subscriber opens");
    let mut act = after(&topic, &[&odd.stage()]);
    publish(&topic, 0..4);
    assert_eq!(drain(&mut odd), [1, 3]);
    assert_eq!(drain(&mut act), [0, 1, 2, 3]);
}

#[test]
fn upstream_is_done_when_its_batch_returns() {
    let (_bus, topic) = topic(8);
    let mut journal = topic.subscribe();
    let mut act = after(&topic, &[&journal.stage()]);
    publish(&topic, 0..4);
    let taken = journal.poll_batch(3, |batch| {
        let taken = batch.take(2).count();
        assert_eq!(drain(&mut act), []);
        taken
    });
    assert_eq!(taken, Ok(Some(2)));
    assert_eq!(drain(&mut act), [0, 1]);
    let shown = journal.poll(64, |_, _| assert_eq!(drain(&mut act), []));
    assert_eq!(shown, Ok(2));
    assert_eq!(drain(&mut act), [2, 3]);
}

#[test]
fn filtered_upstream_is_done_when_its_call_returns_although_more_came_meanwhile() {
    let (_bus, topic) = topic(8);
    let mut first = after(&topic, &[]);
    let mut middle = topic
        .subscriber()
        .filter(|_| true)
        .after(&first)
        .open()
        .expect("the subscriber opens");
    let mut last = after(&topic, &[&middle.stage()]);
    publish(&topic, 0..4);

    assert_eq!(first.poll(1, |_, _| {}), Ok(1));
    let mut seen = Vec::new();
    let shown = middle.poll(64, |event, _| {
        seen.push(*event);
        // One more is let through while the call runs; what it has shown stays its own until it returns.
        first.poll(1, |_, _| {}).expect("the topic is open");
        assert_eq!(drain(&mut last), []);
    });
    assert_eq!(shown, Ok(seen.len()));
    assert_eq!(drain(&mut last), seen);
}

#[test]
fn clone_that_is_received_is_let_through() {
    let (_bus, topic) = topic(8);
    let mut journal = topic.subscribe();
    let mut act = after(&topic, &[&journal.stage()]);
    publish(&topic, 0..2);
    assert_eq!(journal.recv(), Ok(0));
    assert_eq!(act.try_recv(), Ok(0));
    assert_eq!(act.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(journal.iter().next().map(|(event, _)| event), Some(1));
    assert_eq!(act.try_iter().map(|(event, _)| event).next(), Some(1));
}

#[test]
fn lossy_downstream_loses_only_what_its_upstream_let_through() {
    let (_bus, topic) = topic(4);
    let mut journal = topic.subscribe();
    let mut screen = topic
        .subscriber()
        .name("screen")
        .after(&journal)
        .overflow(Overflow::DropOldest)
        .open()
        .expect("the subscriber opens");
    publish(&topic, 0..4);
    assert!(topic.publisher().unwrap().try_publish(4).is_err());
    assert_eq!(screen.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(drain(&mut journal), [0, 1, 2, 3]);
    publish(&topic, 4..8);
    // The first four were let through and lost; the next four are not let through yet.
    assert_eq!(screen.try_recv(), Err(TryRecvError::Empty));
    let screens = numbers(&topic, "screen");
    assert_eq!((screens.missed, screens.pending), (4, 4));
    assert_eq!(drain(&mut journal), [4, 5, 6, 7]);
    assert_eq!(screen.try_recv(), Err(TryRecvError::Missed(4)));
    assert_eq!(drain(&mut screen), [4, 5, 6, 7]);
    assert_conserved(&topic);
}

#[test]
fn newest_event_is_the_newest_that_was_let_through() {
    let (_bus, topic) = topic(8);
    let mut journal = topic.subscribe();
    let mut display = topic
        .subscriber()
        .after(&journal)
        .overflow(Overflow::Latest)
        .open()
        .expect("the subscriber opens");
    publish(&topic, 0..5);
    assert_eq!(display.poll(1, |_, _| {}), Ok(0));
    assert_eq!(journal.poll(3, |_, _| {}), Ok(3));
    let shown = display.poll(64, |event, meta| {
        assert_eq!((*event, meta.missed), (2, 2));
    });
    assert_eq!(shown, Ok(1));
    assert_eq!(drain(&mut journal), [3, 4]);
    assert_eq!(drain(&mut display), [4]);
    assert_conserved(&topic);
}

#[test]
fn downstream_that_is_disconnected_holds_nobody_up() {
    let (_bus, topic) = topic(4);
    let mut journal = topic.subscribe();
    let mut brittle = topic
        .subscriber()
        .after(&journal)
        .overflow(Overflow::Disconnect)
        .open()
        .expect("the subscriber opens");
    publish(&topic, 0..4);
    assert_eq!(drain(&mut journal).len(), 4);
    publish(&topic, 4..5);
    assert_eq!(brittle.recv(), Err(RecvError::Disconnected(4)));
}

#[test]
fn last_stage_holds_a_publisher_up_and_frees_it() {
    finishes("the publisher", || {
        let (_bus, topic) = topic(2);
        let mut journal = topic.subscribe();
        let mut act = after(&topic, &[&journal.stage()]);
        publish(&topic, 0..2);
        let blocked = {
            let topic = topic.clone();
            thread::spawn(move || topic.publish(2))
        };
        let_others_park();
        assert_eq!(drain(&mut journal), [0, 1]);
        assert!(!blocked.is_finished());
        assert_eq!(drain(&mut act), [0, 1]);
        assert_eq!(blocked.join().unwrap(), Ok(2));
    });
}

#[test]
fn dying_upstream_frees_the_publisher_that_waits_for_its_downstream() {
    finishes("the publisher", || {
        let (_bus, topic) = topic(2);
        let mut journal = topic.subscribe();
        let act = after(&topic, &[&journal.stage()]);
        let acting = stage(act, vec![], Done::default());
        let dying = thread::spawn(move || {
            let _ = journal.poll_wait(1, |_, _| {
                let_others_park();
                std::panic::resume_unwind(Box::new("the stage dies"));
            });
        });
        let publisher = topic.publisher().expect("the topic is open");
        for event in 0..16 {
            publisher.publish(event).expect("the topic is open");
        }
        assert!(dying.join().is_err());
        topic.close();
        assert_eq!(acting.join().unwrap(), 16);
    });
}

#[test]
fn publisher_that_reads_the_upstream_is_told_that_it_would_wait_for_itself() {
    finishes("the publisher", || {
        let (_bus, topic) = topic(2);
        let mut journal = topic.subscribe();
        let act = after(&topic, &[&journal.stage()]);
        let acting = stage(act, vec![], Done::default());
        publish(&topic, 0..1);
        assert_eq!(drain(&mut journal), [0]);
        publish(&topic, 1..3);
        assert!(topic.publish(3).is_err(), "waiting would deadlock");
        assert_eq!(drain(&mut journal), [1, 2]);
        topic.close();
        assert_eq!(acting.join().unwrap(), 3);
    });
}

#[test]
fn waiting_for_what_only_this_thread_lets_through_is_an_error() {
    finishes("a thread that waits for itself", || {
        let (_bus, topic) = topic(8);
        let mut journal = topic.subscribe();
        let mut act = after(&topic, &[&journal.stage()]);
        assert_eq!(drain(&mut journal), []);
        publish(&topic, 0..1);
        assert_eq!(act.recv(), Err(RecvError::WouldDeadlock));
        assert_eq!(act.poll_wait(1, |_, _| {}), Err(PollError::WouldDeadlock));
        assert_eq!(
            act.poll_batch_wait(1, |_| ()),
            Err(PollError::WouldDeadlock)
        );
        let timed = act.recv_timeout(Duration::from_secs(3600));
        assert_eq!(timed, Err(RecvTimeoutError::WouldDeadlock));
        assert_eq!(act.iter().next(), None);
        // In the handler that holds it up, too.
        let shown = journal.poll(1, |_, _| {
            assert_eq!(act.recv(), Err(RecvError::WouldDeadlock));
        });
        assert_eq!((shown, act.recv()), (Ok(1), Ok(0)));
    });
}

#[test]
fn opening_the_upstream_and_never_reading_it_is_an_error_after_a_while() {
    finishes("a thread that waits for itself", || {
        let (_bus, topic) = topic(8);
        let _journal = topic.subscribe();
        let mut act = after(&topic, &[&_journal.stage()]);
        publish(&topic, 0..1);
        assert_eq!(act.recv(), Err(RecvError::WouldDeadlock));
    });
}

#[test]
fn publish_tells_a_thread_that_sleeps_for_itself() {
    finishes("a thread that waits for itself", || {
        let (_bus, topic) = topic(8);
        let mut journal = topic.subscribe();
        let mut act = after(&topic, &[&journal.stage()]);
        assert_eq!(drain(&mut journal), []);
        // With nothing published the end would still come.
        let publishing = {
            let topic = topic.clone();
            thread::spawn(move || {
                let_others_park();
                topic.publish(7)
            })
        };
        assert_eq!(act.recv(), Err(RecvError::WouldDeadlock));
        assert_eq!(publishing.join().unwrap(), Ok(0));
    });
}

#[test]
fn close_reaches_a_thread_that_might_wait_for_itself() {
    finishes("a thread that waits for the close", || {
        let (_bus, topic) = topic(8);
        let mut journal = topic.subscribe();
        let mut act = after(&topic, &[&journal.stage()]);
        assert_eq!(drain(&mut journal), []);
        let closing = {
            let topic = topic.clone();
            thread::spawn(move || {
                let_others_park();
                topic.close();
            })
        };
        assert_eq!(act.recv(), Err(RecvError::Closed));
        closing.join().unwrap();
    });
}

#[test]
fn upstream_that_another_thread_takes_over_is_waited_for() {
    finishes("a thread whose upstream was taken over", || {
        let (_bus, topic) = topic(8);
        let mut journal = topic.subscribe();
        let mut act = after(&topic, &[&journal.stage()]);
        publish(&topic, 0..1);
        // Opened here and read by nobody yet: perhaps on its way.
        let reading = thread::spawn(move || {
            let_others_park();
            assert_eq!(drain(&mut journal), [0]);
            journal
        });
        assert_eq!(act.recv(), Ok(0));
        let _journal = reading.join().unwrap();
        publish(&topic, 1..2);
        let timed = act.recv_timeout(Duration::from_millis(20));
        assert_eq!(timed, Err(RecvTimeoutError::Timeout));
    });
}

#[test]
fn sleeping_downstream_wakes_when_its_upstream_goes_on_leaves_or_the_topic_closes() {
    finishes("a sleeping downstream", || {
        let (_bus, topic) = topic(8);
        let mut journal = topic.subscribe();
        let mut act = after(&topic, &[&journal.stage()]);
        let seen = Arc::new(AtomicU64::new(0));
        let acting = {
            let seen = Arc::clone(&seen);
            thread::spawn(move || {
                while act
                    .poll_wait(64, |event, _| seen.store(event + 1, Ordering::Relaxed))
                    .is_ok()
                {}
            })
        };
        let has_seen = |event| wait_until("it is seen", || seen.load(Ordering::Relaxed) > event);
        publish(&topic, 0..1);
        let_others_park();
        assert_eq!(drain(&mut journal), [0]);
        has_seen(0);
        publish(&topic, 1..2);
        let_others_park();
        drop(journal);
        has_seen(1);
        let_others_park();
        // From now on publishers wake it.
        publish(&topic, 2..3);
        has_seen(2);
        let_others_park();
        topic.close();
        acting.join().unwrap();
    });
}

#[test]
fn close_drains_through_all_stages() {
    let (_bus, topic) = topic(8);
    let mut journal = topic.subscribe();
    let mut replicate = after(&topic, &[&journal.stage()]);
    let mut act = after(&topic, &[&replicate.stage()]);
    publish(&topic, 0..2);
    topic.close();
    assert_eq!(act.poll(8, |_, _| {}), Ok(0));
    assert_eq!(replicate.poll(8, |_, _| {}), Ok(0));
    assert_eq!(drain(&mut journal), [0, 1]);
    assert_eq!(journal.recv(), Err(RecvError::Closed));
    assert_eq!(act.poll(8, |_, _| {}), Ok(0));
    assert_eq!(drain(&mut replicate), [0, 1]);
    assert_eq!(act.poll(1, |_, _| {}), Ok(1));
    assert_eq!(act.recv(), Ok(1));
    assert_eq!(act.recv(), Err(RecvError::Closed));
    assert_conserved(&topic);
}

#[test]
fn gap_in_the_middle_of_a_load_shows_no_stage_an_old_event() {
    let (_bus, topic) = topic(8);
    let mut journal = topic.subscribe();
    let mut replicate = after(&topic, &[&journal.stage()]);
    let mut act = after(&topic, &[&replicate.stage()]);
    let mut publisher = topic.exclusive_publisher().expect("it is the only one");
    let mut published = Vec::new();
    for event in 0..1000 {
        // Long after the slots were first used, so that an older event lies under the gap.
        if event % 100 == 99 {
            leave_a_gap(&mut publisher);
        }
        publisher.publish(event).expect("there is room");
        published.push(event);
        if event % 4 == 3 {
            assert_eq!(drain(&mut journal), published);
            assert_eq!(drain(&mut replicate), published);
            assert_eq!(drain(&mut act), published);
            published.clear();
        }
    }
    assert_conserved(&topic);
}

#[test]
fn downstream_that_starts_before_its_upstream_joined_reads_everything() {
    let bus = Bus::new();
    let topic = bus.topic_builder().capacity(8).retain(8).keep_open().open();
    let topic = topic.expect("the topic opens");
    let mut publisher = topic.exclusive_publisher().expect("it is the only one");
    publisher
        .publish_batch([0, 1, 2, 3])
        .expect("there is room");
    leave_a_gap(&mut publisher);
    publisher.publish_batch([4, 5]).expect("there is room");
    let mut journal = topic.subscribe();
    let mut replay = topic
        .subscriber()
        .start(Start::Oldest)
        .after(&journal)
        .open()
        .expect("the subscriber opens");
    publisher.publish_batch([6, 7]).expect("there is room");
    assert_eq!(drain(&mut journal), [6, 7]);
    assert_eq!(drain(&mut replay), [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn gaps_pass_a_pipeline() {
    let (_bus, topic) = topic(8);
    let mut journal = topic.subscribe();
    let mut act = after(&topic, &[&journal.stage()]);
    let mut publisher = topic.exclusive_publisher().expect("it is the only one");
    leave_a_gap(&mut publisher);
    publisher.publish(1).unwrap();
    leave_a_gap(&mut publisher);
    assert_eq!(drain(&mut act), []);
    assert_eq!(drain(&mut journal), [1]);
    assert_eq!(drain(&mut act), [1]);
    drop(publisher);
    topic.close();
    assert_eq!(act.recv(), Err(RecvError::Closed));
}

#[test]
fn hook_is_called_for_what_the_upstream_lets_through_and_for_the_next_after_it_has_left() {
    let (_bus, topic) = topic(8);
    let mut journal = topic.subscribe();
    let mut act = after(&topic, &[&journal.stage()]);
    let rung = Arc::new(AtomicBool::new(false));
    let ring = Arc::clone(&rung);
    act.on_ready(move || ring.store(true, Ordering::Relaxed));
    let take = || rung.swap(false, Ordering::Relaxed);
    assert!(take());
    assert_eq!(act.poll(8, |_, _| {}), Ok(0));
    publish(&topic, 0..1);
    assert!(!take(), "a publish gives it nothing");
    assert_eq!(drain(&mut journal), [0]);
    assert!(take());
    assert_eq!(drain(&mut act), [0]);
    drop(journal);
    while take() {
        assert_eq!(act.poll(8, |_, _| {}), Ok(0));
    }
    publish(&topic, 1..2);
    assert!(take());
    assert_eq!(drain(&mut act), [1]);
}

#[test]
fn looking_in_vain_and_being_last_wake_nobody() {
    let (_bus, topic) = topic(8);
    let mut journal = topic.subscribe();
    let [mut act, mut other] = [(); 2].map(|()| after(&topic, &[&journal.stage()]));
    let calls = Arc::new(AtomicU64::new(0));
    let called = Arc::clone(&calls);
    other.on_ready(move || {
        called.fetch_add(1, Ordering::Relaxed);
    });
    publish(&topic, 0..1);
    assert_eq!(other.poll(8, |_, _| {}), Ok(0));
    let before = calls.load(Ordering::Relaxed);
    assert_eq!(act.poll(8, |_, _| {}), Ok(0));
    assert_eq!(act.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(calls.load(Ordering::Relaxed), before);
    assert_eq!(drain(&mut journal), [0]);
    assert_eq!(calls.load(Ordering::Relaxed), before + 1);
    assert_eq!(drain(&mut other), [0]);
    // Nobody comes after this one.
    assert_eq!(drain(&mut act), [0]);
    assert_eq!(calls.load(Ordering::Relaxed), before + 1);
}

#[test]
fn stages_in_one_reactor_make_progress() {
    let (_bus, topic) = topic(4);
    let journal = topic.subscribe();
    let replicate = after(&topic, &[&journal.stage()]);
    let act = after(&topic, &[&replicate.stage()]);
    let mut reactor = Reactor::<Vec<(u32, u64)>>::new();
    // The last first: the order in which they were added says nothing.
    reactor.on(act, |seen, event, _| seen.push((3, *event)));
    reactor.on_batch(replicate, |seen, batch, _| {
        seen.extend(batch.map(|(event, _)| (2, *event)));
    });
    reactor.on(journal, |seen, event, _| seen.push((1, *event)));
    let mut seen = Vec::new();
    publish(&topic, 0..2);
    // Each turn lets them pass one stage.
    for (turn, handled) in [(1, 2), (2, 2), (3, 2), (4, 0)] {
        let turned = reactor.turn(&mut seen, Budget::unlimited());
        assert_eq!(
            (turned.handled, turned.pending),
            (handled, 0),
            "turn {turn}"
        );
    }
    let expected = [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1)];
    assert_eq!(seen, expected);
    // And a run all of them, to the end.
    publish(&topic, 2..4);
    topic.close();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
    assert_eq!(seen.len(), 12);
    for stage in 1..=3 {
        let of_stage = seen.iter().filter(|seen| seen.0 == stage);
        assert!(of_stage.map(|seen| seen.1).eq(0..4));
    }
}

#[test]
fn turn_hides_what_is_published_in_it_from_every_stage() {
    let (_bus, topic) = topic(64);
    let journal = topic.subscribe();
    let act = after(&topic, &[&journal.stage()]);
    let publisher = topic.publisher().expect("the topic is open");
    let mut reactor = Reactor::<Vec<(u32, u64)>>::new();
    reactor.on(journal, move |seen, event, cx| {
        seen.push((1, *event));
        if *event < 3 {
            cx.publish(&publisher, event + 1).expect("there is room");
        }
    });
    reactor.on(act, |seen, event, _| seen.push((2, *event)));
    let mut seen = Vec::new();
    publish(&topic, 0..1);
    for turn in 0..6 {
        let turned = reactor.turn(&mut seen, Budget::unlimited());
        assert!(turned.handled <= 2, "turn {turn}: one event a stage");
    }
    for stage in 1..=2 {
        let of_stage = seen.iter().filter(|seen| seen.0 == stage);
        assert!(of_stage.map(|seen| seen.1).eq(0..4));
    }
}

#[test]
fn reactors_are_stages() {
    finishes("two reactors", || {
        let (_bus, topic) = topic(8);
        let journal = topic.subscribe();
        let act = after(&topic, &[&journal.stage()]);
        let done = Done::default();
        let journalling = {
            let done = done.clone();
            thread::spawn(move || {
                let mut reactor = Reactor::<u64>::new();
                reactor.on(journal, move |seen, event, _| {
                    done.note(*event);
                    *seen += 1;
                });
                let mut seen = 0;
                assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
                seen
            })
        };
        let acting = thread::spawn(move || {
            let mut reactor = Reactor::<u64>::new();
            reactor.on(act, move |seen, event, _| {
                assert!(done.has(*event), "event {event} is seen too early");
                *seen += 1;
            });
            let mut seen = 0;
            assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
            seen
        });
        for event in 0..LOAD {
            topic.publish(event).expect("the topic is open");
            if event % (LOAD / 4) == 0 {
                let_others_park();
            }
        }
        topic.close();
        assert_eq!(journalling.join().unwrap(), LOAD);
        assert_eq!(acting.join().unwrap(), LOAD);
    });
}

#[test]
fn reactor_whose_upstream_leaves_between_two_sleeps_hears_publishers() {
    for rest in 0..20 {
        finishes("the reactor", move || {
            let (_bus, topic) = topic(8);
            let mut journal = topic.subscribe();
            let act = after(&topic, &[&journal.stage()]);
            let acting = thread::spawn(move || {
                let mut reactor = Reactor::<u64>::new();
                reactor.on(act, |seen, _, _| *seen += 1);
                let mut seen = 0;
                assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
                seen
            });
            for event in 0..10 {
                publish(&topic, event..event + 1);
                thread::sleep(Duration::from_micros(50 * rest));
                assert_eq!(drain(&mut journal), [event]);
            }
            drop(journal);
            thread::sleep(Duration::from_micros(50 * rest));
            publish(&topic, 10..11);
            let reached = || {
                let subscribers = topic.snapshot().subscribers;
                subscribers.iter().all(|subscriber| subscriber.pending == 0)
            };
            wait_until("the event is handled without the close", reached);
            topic.close();
            assert_eq!(acting.join().unwrap(), 11);
        });
    }
}

#[test]
fn select_serves_both_and_sleeps_for_what_is_let_through() {
    finishes("select!", || {
        let (_bus, topic) = topic(8);
        let mut journal = topic.subscribe();
        let mut act = after(&topic, &[&journal.stage()]);
        let publishing = {
            let topic = topic.clone();
            thread::spawn(move || {
                for event in 0..4 {
                    let_others_park();
                    topic.publish(event).expect("the topic is open");
                }
                topic.close();
            })
        };
        let (mut journalled, mut acted) = (0, 0);
        loop {
            select! {
                biased;
                event = act => match event {
                    Ok(event) => {
                        assert!(event < journalled);
                        acted += 1;
                    }
                    Err(RecvError::Closed) => break,
                    Err(error) => panic!("{error}"),
                },
                event = journal => if let Ok(event) = event {
                    assert_eq!(event, journalled);
                    journalled += 1;
                },
            }
        }
        assert_eq!((journalled, acted), (4, 4));
        publishing.join().unwrap();
    });
}

#[test]
fn select_wakes_when_the_upstream_elsewhere_goes_on() {
    finishes("select!", || {
        let (_bus, topic) = topic(8);
        let journal = topic.subscribe();
        let mut act = after(&topic, &[&journal.stage()]);
        let journalling = thread::spawn(move || {
            let mut journal = journal;
            let_others_park();
            while journal.poll_wait(1, |_, _| let_others_park()).is_ok() {}
        });
        publish(&topic, 0..2);
        for expected in 0..2 {
            let event = select! {
                event = act => event,
            };
            assert_eq!(event, Ok(expected));
        }
        topic.close();
        journalling.join().unwrap();
    });
}

#[test]
fn stage_token_outlives_its_subscriber_and_its_topic() {
    let stage = {
        let (_bus, topic) = topic(8);
        let stage = topic.subscribe().stage();
        assert!(topic.subscriber().after(stage.clone()).open().is_ok());
        stage
    };
    assert!(format!("{stage:?}").starts_with("Stage"));
}
