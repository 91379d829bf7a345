//! Observers: who is called, in which order, with what say, and when no more.

mod common;

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use common::{Census, Counted, finishes, let_others_park, wait_until};
use ringbus::{
    Budget, Bus, Draft, MAX_OBSERVER_DEPTH, Observer, ObserverPanic, OutboxError, Overflow,
    PublishBatchError, PublishError, PublishTimeoutError, Publisher, Reactor, Subscriber, Topic,
    TryPublishError,
};

/// What observers wrote down.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn write(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// An observer that writes down its name and the event.
    fn named(&self, name: &'static str) -> impl Fn(&u64) + Send + Sync + use<> {
        let log = self.clone();
        move |event| log.write(format!("{name}{event}"))
    }
}

/// Refuses odd events.
fn only_even(event: &u64) -> ControlFlow<()> {
    match event % 2 {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

/// The events that wait.
fn taken(subscriber: &mut Subscriber<u64>) -> Vec<u64> {
    subscriber.try_iter().map(|(event, _)| event).collect()
}

fn pass<T>(_: &T) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Both kinds of publisher, and the topic without one, as one function.
type Publish = Box<dyn FnMut(u64) -> Result<u64, PublishError<u64>>>;

fn publishers(topic: impl Fn() -> Topic<u64>) -> Vec<(Topic<u64>, Publish)> {
    let shared = {
        let topic = topic();
        let publisher = topic.publisher().unwrap();
        let publish: Publish = Box::new(move |event| publisher.publish(event));
        (topic, publish)
    };
    let exclusive = {
        let topic = topic();
        let mut publisher = topic.exclusive_publisher().unwrap();
        let publish: Publish = Box::new(move |event| publisher.publish(event));
        (topic, publish)
    };
    let ambient = {
        let topic = topic();
        let of = topic.clone();
        let publish: Publish = Box::new(move |event| of.publish(event));
        (topic, publish)
    };
    vec![shared, exclusive, ambient]
}

/// A new topic on a bus that lives for the whole test.
fn fresh(bus: &Bus) -> Topic<u64> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("topic {}", NEXT.fetch_add(1, Ordering::Relaxed));
    bus.topic_builder()
        .name(name)
        .capacity(4)
        .keep_open()
        .open()
        .unwrap()
}

#[test]
fn observers_are_called_by_priority_then_by_registration() {
    let bus = Bus::new();
    for (topic, mut publish) in publishers(|| fresh(&bus)) {
        let log = Log::default();
        let at = |priority, name| {
            let write = log.named(name);
            topic.observe_with(priority, move |event| {
                write(event);
                ControlFlow::Continue(())
            })
        };
        let _observers = [
            at(0, "a"),
            at(-5, "b"),
            at(7, "c"),
            at(0, "d"),
            topic.observe(log.named("e")),
            at(i32::MAX, "f"),
            at(i32::MIN, "g"),
            at(7, "h"),
        ];
        publish(1).unwrap();
        assert_eq!(log.take(), ["f1", "c1", "h1", "a1", "d1", "e1", "b1", "g1"]);
    }
}

#[test]
fn an_observer_runs_inline_before_the_event_is_in_the_ring() {
    let bus = Bus::new();
    for (topic, mut publish) in publishers(|| fresh(&bus)) {
        let subscriber = Mutex::new(topic.subscribe());
        let (seen, found) = mpsc::channel();
        let _observer = topic.observe(move |event: &u64| {
            let mut subscriber = subscriber.lock().unwrap();
            let before = subscriber.try_recv().ok();
            seen.send((thread::current().id(), *event, before)).unwrap();
        });
        publish(1).unwrap();
        publish(2).unwrap();
        let me = thread::current().id();
        let found: Vec<_> = found.try_iter().collect();
        assert_eq!(found, [(me, 1, None), (me, 2, Some(1))]);
    }
}

#[test]
fn a_vetoed_event_comes_back_and_is_not_shown_to_those_behind() {
    let bus = Bus::new();
    for (topic, mut publish) in publishers(|| fresh(&bus)) {
        let mut subscriber = topic.subscribe();
        let log = Log::default();
        let _before = topic.observe_with(9, {
            let log = log.clone();
            move |event| {
                log.write(format!("before{event}"));
                ControlFlow::Continue(())
            }
        });
        let _veto = topic.observe_with(5, only_even);
        let _behind = topic.observe(log.named("behind"));
        assert_eq!(publish(1), Err(PublishError::Vetoed(1)));
        assert!(publish(2).is_ok());
        assert_eq!(log.take(), ["before1", "before2", "behind2"]);
        assert_eq!(subscriber.try_recv(), Ok(2));
        assert!(subscriber.try_recv().is_err());
        assert_eq!(topic.snapshot().published, 1);
    }
}

#[test]
fn every_way_to_publish_can_be_vetoed() {
    let bus = Bus::new();
    let soon = || std::time::Instant::now() + Duration::from_secs(60);
    for heard in [false, true] {
        let topic = fresh(&bus);
        let _subscriber = heard.then(|| topic.subscriber().overflow(Overflow::Latest).open());
        let _veto = topic.observe_with(0, |_| ControlFlow::Break(()));
        let publisher = topic.publisher().unwrap();
        assert_eq!(publisher.publish(1), Err(PublishError::Vetoed(1)));
        assert_eq!(publisher.try_publish(1), Err(TryPublishError::Vetoed(1)));
        assert_eq!(
            publisher.publish_timeout(1, Duration::MAX),
            Err(PublishTimeoutError::Vetoed(1))
        );
        assert_eq!(
            publisher.publish_deadline(1, soon()),
            Err(PublishTimeoutError::Vetoed(1))
        );
        drop(publisher);
        let mut publisher = topic.exclusive_publisher().unwrap();
        assert_eq!(publisher.publish(1), Err(PublishError::Vetoed(1)));
        assert_eq!(publisher.try_publish(1), Err(TryPublishError::Vetoed(1)));
        assert_eq!(
            publisher.publish_timeout(1, Duration::MAX),
            Err(PublishTimeoutError::Vetoed(1))
        );
        assert_eq!(
            publisher.publish_deadline(1, soon()),
            Err(PublishTimeoutError::Vetoed(1))
        );
        let refused = publisher.publish_with(|| 1).unwrap_err();
        assert!(matches!(refused, PublishError::Vetoed(Draft::Event(1))));
        drop(publisher);
        assert_eq!(topic.publish(1), Err(PublishError::Vetoed(1)));
        assert_eq!(topic.snapshot().published, 0);
    }
    // The topic that a bus finds by type.
    let _veto = bus.topic::<u64>().observe_with(0, only_even);
    assert_eq!(bus.publish(1_u64), Err(PublishError::Vetoed(1)));
    bus.publish(2_u64).unwrap();
}

#[test]
fn vetoed_events_of_a_batch_come_back_and_the_others_are_published() {
    let bus = Bus::new();
    let topic = fresh(&bus);
    let mut subscriber = topic.subscribe();
    let _veto = topic.observe_with(0, only_even);
    let publisher = topic.publisher().unwrap();
    match publisher.publish_batch([1, 2, 3, 4]) {
        Err(PublishBatchError::Vetoed {
            events, published, ..
        }) => {
            assert_eq!(events, [1, 3]);
            assert_eq!(published, 0..2);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(taken(&mut subscriber), [2, 4]);
    assert_eq!(publisher.publish_batch([6, 8]).unwrap(), 2..4);
    assert_eq!(taken(&mut subscriber), [6, 8]);
    match publisher.try_publish_batch([1]) {
        Err(PublishBatchError::Vetoed {
            events, published, ..
        }) => {
            assert_eq!(events, [1]);
            assert!(published.is_empty());
        }
        other => panic!("{other:?}"),
    }
    drop(publisher);

    let mut publisher = topic.exclusive_publisher().unwrap();
    match publisher.publish_batch([1, 2, 3, 4]) {
        Err(PublishBatchError::Vetoed {
            events, published, ..
        }) => {
            assert_eq!(events.len(), 2);
            assert_eq!(events.collect::<Vec<_>>(), [1, 3]);
            assert_eq!(published, 4..6);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(taken(&mut subscriber), [2, 4]);
    publisher.publish_batch([10, 12]).unwrap();
    assert_eq!(taken(&mut subscriber), [10, 12]);
}

#[test]
fn a_batch_that_finds_no_room_is_not_shown() {
    let bus = Bus::new();
    let topic = fresh(&bus);
    let log = Log::default();
    let _subscriber = topic.subscribe();
    let _observer = topic.observe(log.named(""));
    let publisher = topic.publisher().unwrap();
    publisher.publish_batch([1, 2]).unwrap();
    assert_eq!(log.take(), ["1", "2"]);
    let refused = publisher.try_publish_batch([3, 4, 5]).unwrap_err();
    assert!(matches!(&refused, PublishBatchError::Full(_)));
    assert_eq!(refused.into_events(), [3, 4, 5]);
    let refused = publisher.publish_batch([0; 5]).unwrap_err();
    assert!(matches!(&refused, PublishBatchError::TooLarge { .. }));
    publisher.publish_batch([3, 4]).unwrap();
    assert_eq!(log.take(), ["3", "4"]);
    assert_eq!(publisher.try_publish(5), Err(TryPublishError::Full(5)));
    assert!(log.take().is_empty(), "a full ring is seen before");
    drop(publisher);

    let mut publisher = topic.exclusive_publisher().unwrap();
    assert_eq!(publisher.try_publish(5), Err(TryPublishError::Full(5)));
    let refused = publisher.try_publish_batch([5]).unwrap_err();
    assert!(matches!(&refused, PublishBatchError::Full(_)));
    assert_eq!(refused.into_events().collect::<Vec<_>>(), [5]);
    assert!(log.take().is_empty());
}

#[test]
fn a_batch_refused_after_it_was_shown_gives_everything_back() {
    let bus = Bus::new();
    for exclusive in [false, true] {
        let topic = fresh(&bus);
        let mut subscriber = topic.subscribe();
        subscriber.poll(1, |_, _| ()).unwrap();
        let _veto = topic.observe_with(0, only_even);
        topic.publisher().unwrap().publish_batch([0; 4]).unwrap();
        // This thread reads the subscriber, so the wait for room is refused, which only the claim finds.
        let events: Vec<u64> = if exclusive {
            let mut publisher = topic.exclusive_publisher().unwrap();
            let refused = publisher.publish_batch([2, 3, 4]).unwrap_err();
            assert!(matches!(&refused, PublishBatchError::WouldDeadlock(_)));
            refused.into_events().collect()
        } else {
            let refused = topic
                .publisher()
                .unwrap()
                .publish_batch([2, 3, 4])
                .unwrap_err();
            assert!(matches!(&refused, PublishBatchError::WouldDeadlock(_)));
            refused.into_events()
        };
        assert_eq!(events, [3, 2, 4], "the vetoed ones first");
    }
}

#[test]
fn nothing_is_shown_to_the_observers_of_a_closed_topic() {
    let bus = Bus::new();
    for heard in [false, true] {
        for (topic, mut publish) in publishers(|| fresh(&bus)) {
            let _subscriber = heard.then(|| topic.subscribe());
            let log = Log::default();
            let _observer = topic.observe(log.named(""));
            topic.close();
            assert_eq!(publish(1), Err(PublishError::Closed(1)));
            assert!(log.take().is_empty());
        }
    }
}

#[test]
fn events_pass_through_observers_without_a_copy_or_a_leak() {
    let census = Census::new();
    let bus = Bus::new();
    let topic = bus.topic::<Counted>();
    let refuse = topic.observe_with(0, |event: &Counted| {
        if event.id.is_multiple_of(3) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let publisher = topic.publisher().unwrap();
    for heard in [false, true] {
        let _subscriber = heard.then(|| topic.subscriber().overflow(Overflow::Latest).open());
        for id in 0..10 {
            match publisher.publish(census.event(id)) {
                Ok(_) => assert!(!id.is_multiple_of(3)),
                Err(refused) => assert!(refused.into_event().id.is_multiple_of(3)),
            }
        }
        let refused = publisher
            .publish_batch((0..10).map(|id| census.event(id)))
            .unwrap_err();
        assert_eq!(refused.into_events().len(), 4);
    }
    assert_eq!(census.born(), 40);
    drop((refuse, publisher, topic, bus));
    census.assert_all_dropped_once();
}

#[test]
fn a_topic_with_observers_alone_allocates_no_ring() {
    let bus = Bus::new();
    for (topic, mut publish) in publishers(|| fresh(&bus)) {
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let _observer = topic.observe(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        for event in 0..100 {
            assert_eq!(publish(event), Ok(event));
        }
        let snapshot = topic.snapshot();
        assert_eq!((snapshot.allocated, snapshot.published), (false, 100));
        assert_eq!(seen.load(Ordering::Relaxed), 100);

        let mut subscriber = topic.subscribe();
        assert_eq!(publish(100), Ok(100), "sequences go on");
        assert_eq!(subscriber.recv(), Ok(100));
        let snapshot = topic.snapshot();
        assert_eq!((snapshot.allocated, snapshot.published), (true, 101));
    }
}

#[test]
fn an_observer_sees_what_is_published_while_it_exists() {
    let bus = Bus::new();
    for (topic, mut publish) in publishers(|| fresh(&bus)) {
        let log = Log::default();
        publish(1).unwrap();
        let one = topic.observe(log.named("one"));
        assert!(topic.has_observers());
        publish(2).unwrap();
        let two = topic.observe(log.named("two"));
        publish(3).unwrap();
        drop(one);
        publish(4).unwrap();
        two.keep();
        publish(5).unwrap();
        assert_eq!(log.take(), ["one2", "one3", "two3", "two4", "two5"]);
    }
    let topic = fresh(&bus);
    drop(topic.observe(|_| ()));
    assert!(!topic.has_observers());
}

#[test]
fn a_removed_observer_lets_go_of_what_it_owns_at_once() {
    let bus = Bus::new();
    for (topic, mut publish) in publishers(|| fresh(&bus)) {
        let owned = Arc::new(());
        let theirs = Arc::clone(&owned);
        let observer = topic.observe(move |_| {
            let _ = &theirs;
        });
        publish(1).unwrap();
        assert_eq!(Arc::strong_count(&owned), 2);
        // The publisher still exists, and has not published since.
        drop(observer);
        assert_eq!(Arc::strong_count(&owned), 1);
        publish(2).unwrap();
    }
}

#[test]
fn a_kept_observer_goes_with_the_topic() {
    let owned = Arc::new(());
    let bus = Bus::new();
    let topic = fresh(&bus);
    let publisher = topic.publisher().unwrap();
    let theirs = Arc::clone(&owned);
    topic
        .observe(move |_| {
            let _ = &theirs;
        })
        .keep();
    publisher.publish(1).unwrap();
    drop((bus, topic));
    assert_eq!(Arc::strong_count(&owned), 2);
    drop(publisher);
    assert_eq!(Arc::strong_count(&owned), 1);
}

#[test]
fn an_observer_may_publish_to_its_own_topic() {
    let bus = Bus::new();
    let topic = fresh(&bus);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    let log = Log::default();
    let of = topic.clone();
    let write = log.clone();
    let _observer = topic.observe(move |event: &u64| {
        write.write(format!("begin{event}"));
        if *event < 3 {
            of.publish(event + 1).unwrap();
        }
        write.write(format!("end{event}"));
    });
    let _second = topic.observe(log.named("second"));
    publisher.publish(1).unwrap();
    // Depth first: the inner publish is complete before the outer one goes on.
    assert_eq!(
        log.take(),
        [
            "begin1", "begin2", "begin3", "end3", "second3", "end2", "second2", "end1", "second1"
        ]
    );
    assert_eq!(taken(&mut subscriber), [3, 2, 1]);
}

/// A publisher inside of an observer of its own topic, used again inside of its own publish.
#[test]
fn an_observer_may_use_the_publisher_that_called_it() {
    thread_local! {
        static PUBLISHER: std::cell::RefCell<Option<std::rc::Rc<Publisher<u64>>>> =
            const { std::cell::RefCell::new(None) };
    }
    let current = || PUBLISHER.with_borrow(|publisher| publisher.clone().unwrap());
    let bus = Bus::new();
    let topic = fresh(&bus);
    PUBLISHER.set(Some(std::rc::Rc::new(topic.publisher().unwrap())));
    let log = Log::default();
    let write = log.named("");
    let slot: Arc<Mutex<Option<Observer>>> = Arc::default();
    let own = Arc::clone(&slot);
    let observer = topic.observe(move |event| {
        write(event);
        if *event < 4 {
            current().publish(event + 1).unwrap();
        } else {
            // From the innermost of its own calls.
            drop(own.lock().unwrap().take());
        }
    });
    *slot.lock().unwrap() = Some(observer);
    current().publish(0).unwrap();
    assert_eq!(log.take(), ["0", "1", "2", "3", "4"]);
    current().publish(9).unwrap();
    assert!(log.take().is_empty());
    assert_eq!(
        Arc::strong_count(&slot),
        1,
        "the closure went with its last call"
    );
    PUBLISHER.take();
}

#[test]
fn observers_may_add_remove_subscribe_and_close() {
    let bus = Bus::new();
    let topic = fresh(&bus);
    let other = fresh(&bus);
    let mut elsewhere = other.subscribe();
    let log = Log::default();
    let held: Arc<Mutex<Vec<Observer>>> = Arc::default();

    // The second is removed by the first while the event is shown, and is not called any more.
    let removes = {
        let (held, log, other) = (Arc::clone(&held), log.clone(), other.clone());
        topic.observe_with(5, move |event| {
            log.write(format!("first{event}"));
            let all = std::mem::take(&mut *held.lock().unwrap());
            drop(all);
            other.publish(*event).unwrap();
            ControlFlow::Continue(())
        })
    };
    held.lock()
        .unwrap()
        .push(topic.observe(log.named("second")));
    let third = topic.observe(log.named("third"));
    let publisher = topic.publisher().unwrap();
    publisher.publish(1).unwrap();
    assert_eq!(log.take(), ["first1", "third1"]);
    assert_eq!(elsewhere.try_recv(), Ok(1));
    drop((removes, third));

    // One that is added while an event is shown does not see that event, wherever it is in the order.
    let adds = {
        let (held, log, of) = (Arc::clone(&held), log.clone(), topic.clone());
        topic.observe_with(0, move |event| {
            for priority in [9, 0, -9] {
                let log = log.clone();
                let added = of.observe_with(priority, move |event| {
                    log.write(format!("{priority} sees {event}"));
                    ControlFlow::Continue(())
                });
                held.lock().unwrap().push(added);
            }
            log.write(format!("added at {event}"));
            ControlFlow::Continue(())
        })
    };
    publisher.publish(2).unwrap();
    drop(adds);
    publisher.publish(3).unwrap();
    assert_eq!(
        log.take(),
        ["added at 2", "9 sees 3", "0 sees 3", "-9 sees 3"]
    );
    held.lock().unwrap().clear();

    // It allocates the ring under the publisher that calls it; the event is still to enter it.
    let late = Arc::new(Mutex::new(None));
    let subscribes = {
        let (of, late) = (topic.clone(), Arc::clone(&late));
        topic.observe(move |_| {
            late.lock().unwrap().get_or_insert_with(|| of.subscribe());
        })
    };
    publisher.publish(4).unwrap();
    let mut late = late.lock().unwrap().take().unwrap();
    assert_eq!(late.try_recv(), Ok(4));
    drop(subscribes);

    let closes = {
        let of = topic.clone();
        topic.observe(move |_| of.close())
    };
    assert_eq!(publisher.publish(5), Err(PublishError::Closed(5)));
    drop(closes);
}

#[test]
fn an_observer_that_removes_itself_runs_to_its_end_and_never_again() {
    let bus = Bus::new();
    for (topic, mut publish) in publishers(|| fresh(&bus)) {
        let log = Log::default();
        let slot: Arc<Mutex<Option<Observer>>> = Arc::default();
        let owned = Arc::new(());
        let observer = {
            let (slot, log, owned) = (Arc::clone(&slot), log.clone(), Arc::clone(&owned));
            topic.observe(move |event: &u64| {
                let own = slot.lock().unwrap().take();
                drop(own);
                // What it owns is still there.
                assert_eq!(Arc::strong_count(&owned), 2);
                log.write(format!("end{event}"));
            })
        };
        *slot.lock().unwrap() = Some(observer);
        publish(1).unwrap();
        publish(2).unwrap();
        assert_eq!(log.take(), ["end1"]);
        assert_eq!(Arc::strong_count(&owned), 1);
    }
}

#[test]
fn a_drop_waits_for_the_call_on_another_thread() {
    finishes("the drop", || {
        let bus = Bus::new();
        let topic = fresh(&bus);
        let publisher = topic.publisher().unwrap();
        let (entered, inside) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let done = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&done);
        let observer = topic.observe(move |_| {
            entered.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
            thread::sleep(Duration::from_millis(20));
            over.store(true, Ordering::SeqCst);
        });
        let publishing = thread::spawn(move || {
            publisher.publish(1).unwrap();
            publisher
        });
        inside.recv().unwrap();
        let dropping = thread::spawn(move || {
            drop(observer);
            done.load(Ordering::SeqCst)
        });
        let_others_park();
        assert!(!dropping.is_finished(), "the closure still runs");
        go.send(()).unwrap();
        assert!(
            dropping.join().unwrap(),
            "the call was over when the drop returned"
        );
        publishing.join().unwrap().publish(2).unwrap();
    });
}

/// Observers come and go while publishers of all kinds run: none is called after its drop has returned.
#[test]
fn no_observer_is_called_after_its_drop_has_returned() {
    finishes("observers that come and go", || {
        let rounds = if cfg!(miri) { 10 } else { 3_000 };
        let bus = Bus::new();
        let topic = bus.topic_builder::<u64>().keep_open().open().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let publishing: Vec<_> = (0..3)
            .map(|kind| {
                let (topic, stop) = (topic.clone(), Arc::clone(&stop));
                thread::spawn(move || {
                    let publisher = topic.publisher().unwrap();
                    while !stop.load(Ordering::Relaxed) {
                        match kind {
                            0 => drop(topic.publish(0)),
                            1 => drop(publisher.publish_batch([1, 2])),
                            _ => drop(publisher.publish(3)),
                        }
                        thread::yield_now();
                    }
                })
            })
            .collect();
        let mut calls = 0;
        for _ in 0..rounds {
            // What the closure owns says whether it is alive; `gone` must not be seen by a call.
            let gone = Arc::new(AtomicBool::new(false));
            let count = Arc::new(AtomicUsize::new(0));
            let (seen, counted) = (Arc::clone(&gone), Arc::clone(&count));
            let observer = topic.observe(move |_| {
                assert!(!seen.load(Ordering::SeqCst), "called after the drop");
                counted.fetch_add(1, Ordering::Relaxed);
            });
            thread::yield_now();
            drop(observer);
            gone.store(true, Ordering::SeqCst);
            assert_eq!(Arc::strong_count(&gone), 1, "the closure is gone");
            calls += count.load(Ordering::Relaxed);
        }
        stop.store(true, Ordering::Relaxed);
        for publishing in publishing {
            publishing.join().unwrap();
        }
        let panics: u64 = topic
            .snapshot()
            .observers
            .iter()
            .map(|seen| seen.panics)
            .sum();
        assert_eq!(panics, 0);
        assert!(calls > 0 || cfg!(miri), "the test has shown nothing");
    });
}

#[test]
fn observers_on_two_threads_that_drop_each_other_return() {
    finishes("the mutual drop", || {
        let bus = Bus::new();
        for _ in 0..50 {
            let topics = [fresh(&bus), fresh(&bus)];
            let slots: [Arc<Mutex<Option<Observer>>>; 2] = Default::default();
            let both_inside = Arc::new(std::sync::Barrier::new(2));
            let owned = Arc::new(());
            for (index, topic) in topics.iter().enumerate() {
                let other = Arc::clone(&slots[1 - index]);
                let (both_inside, owned) = (Arc::clone(&both_inside), Arc::clone(&owned));
                let observer = topic.observe(move |_| {
                    both_inside.wait();
                    let other = other.lock().unwrap().take();
                    drop(other);
                    let _ = &owned;
                });
                *slots[index].lock().unwrap() = Some(observer);
            }
            let publishing = topics.clone().map(|topic| {
                thread::spawn(move || {
                    topic.publish(1).unwrap();
                    // Removed, so nobody waits for the other again.
                    topic.publish(2).unwrap();
                })
            });
            for publishing in publishing {
                publishing.join().unwrap();
            }
            assert_eq!(Arc::strong_count(&owned), 1);
            assert!(!topics.iter().any(Topic::has_observers));
        }
    });
}

#[test]
fn a_publisher_that_is_gone_or_leaked_blocks_no_drop() {
    finishes("the drop", || {
        let bus = Bus::new();
        let topic = fresh(&bus);
        let observer = topic.observe(|_| ());
        for leak in [true, false] {
            let publisher = topic.publisher().unwrap();
            publisher.publish(1).unwrap();
            if leak {
                std::mem::forget(publisher);
            }
        }
        drop(observer);
    });
}

#[test]
fn a_forgotten_handle_leaves_the_observer() {
    let bus = Bus::new();
    let topic = fresh(&bus);
    let log = Log::default();
    std::mem::forget(topic.observe(log.named("")));
    topic.publish(1).unwrap();
    assert_eq!(log.take(), ["1"]);
}

#[test]
fn a_once_observer_is_called_once_and_lets_go() {
    let bus = Bus::new();
    for (topic, mut publish) in publishers(|| fresh(&bus)) {
        let log = Log::default();
        let owned = Arc::new(());
        let (write, theirs) = (log.clone(), Arc::clone(&owned));
        let observer = topic.observe_once(move |event: &u64| {
            drop(theirs);
            write.write(format!("once{event}"));
        });
        assert!(topic.snapshot().observers[0].once);
        publish(1).unwrap();
        assert!(!topic.has_observers());
        publish(2).unwrap();
        assert_eq!(log.take(), ["once1"]);
        assert_eq!(Arc::strong_count(&owned), 1);
        drop(observer);

        drop(topic.observe_once(log.clone().named_once()));
        publish(3).unwrap();
        assert!(log.take().is_empty(), "removed before its event");
    }
}

impl Log {
    fn named_once(self) -> impl FnOnce(&u64) + Send {
        move |event| self.write(format!("once{event}"))
    }
}

#[test]
fn a_once_observer_may_publish_to_its_own_topic() {
    let bus = Bus::new();
    let topic = fresh(&bus);
    let log = Log::default();
    let (of, write) = (topic.clone(), log.clone());
    topic
        .observe_once(move |event: &u64| {
            of.publish(event + 1).unwrap();
            write.write(format!("once{event}"));
        })
        .keep();
    topic.publish(1).unwrap();
    assert_eq!(log.take(), ["once1"]);
}

#[test]
fn a_once_observer_is_called_once_over_all_threads() {
    finishes("publishers of one event", || {
        let rounds = if cfg!(miri) { 5 } else { 300 };
        let bus = Bus::new();
        for _ in 0..rounds {
            let topic = fresh(&bus);
            let calls = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&calls);
            let observer = topic.observe_once(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            let start = Arc::new(std::sync::Barrier::new(3));
            let publishing: Vec<_> = (0..3)
                .map(|event| {
                    let start = Arc::clone(&start);
                    let publisher = topic.publisher().unwrap();
                    thread::spawn(move || {
                        start.wait();
                        publisher.publish(event).unwrap();
                    })
                })
                .collect();
            for publishing in publishing {
                publishing.join().unwrap();
            }
            assert_eq!(calls.load(Ordering::Relaxed), 1);
            drop(observer);
            assert_eq!(Arc::strong_count(&calls), 1);
        }
    });
}

#[test]
fn a_panicking_observer_is_isolated_and_reported() {
    let bus = Bus::new();
    for (topic, mut publish) in publishers(|| fresh(&bus)) {
        let mut subscriber = topic.subscribe();
        let log = Log::default();
        let (reports, reported) = mpsc::channel();
        topic.on_observer_panic(move |panic: &ObserverPanic| {
            let message = panic.message().map(str::to_owned);
            reports
                .send((panic.priority, panic.location.line(), message))
                .unwrap();
        });
        let _before = topic.observe_with(9, {
            let write = log.named("before");
            move |event| {
                write(event);
                ControlFlow::Continue(())
            }
        });
        let fail = |event: &u64| -> ControlFlow<()> { panic!("no {event}") };
        let (_faulty, line) = (topic.observe_with(4, fail), line!());
        let _behind = topic.observe(log.named("behind"));
        publish(1).unwrap();
        assert_eq!(log.take(), ["before1", "behind1"]);
        assert_eq!(subscriber.try_recv(), Ok(1));
        assert_eq!(
            reported.try_iter().collect::<Vec<_>>(),
            [(4, line, Some("no 1".to_owned()))]
        );
        publish(2).unwrap();
        let panics: Vec<_> = topic
            .snapshot()
            .observers
            .iter()
            .map(|observer| (observer.priority, observer.panics))
            .collect();
        assert_eq!(panics, [(9, 0), (4, 2), (0, 0)]);
    }
}

/// A payload whose drop panics, with a payload whose drop panics too.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            std::panic::panic_any(Bomb(self.0 - 1));
        }
    }
}

#[test]
fn panics_of_the_report_and_of_the_payload_stay_where_they_are() {
    let bus = Bus::new();
    let topic = fresh(&bus);
    let mut subscriber = topic.subscribe();
    topic.on_observer_panic(|_| std::panic::panic_any(Bomb(2)));
    let log = Log::default();
    let _faulty = topic.observe_with(1, |_| std::panic::panic_any(Bomb(3)));
    let _behind = topic.observe(log.named("behind"));
    topic.publish(1).unwrap();
    assert_eq!(log.take(), ["behind1"]);
    assert_eq!(subscriber.try_recv(), Ok(1));
}

#[test]
fn an_observer_that_panics_while_it_is_removed_is_removed() {
    let bus = Bus::new();
    let topic = fresh(&bus);
    let slot: Arc<Mutex<Option<Observer>>> = Arc::default();
    let own = Arc::clone(&slot);
    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("what the closure owns panics too");
        }
    }
    let bomb = PanicsOnDrop;
    let observer = topic.observe(move |_| {
        let _ = &bomb;
        drop(own.lock().unwrap().take());
        panic!("after its own removal");
    });
    *slot.lock().unwrap() = Some(observer);
    topic.publish(1).unwrap();
    topic.publish(2).unwrap();
    assert!(!topic.has_observers());
    assert_eq!(Arc::strong_count(&slot), 1);
}

#[test]
fn a_once_observer_that_panics_is_removed() {
    let bus = Bus::new();
    let topic = fresh(&bus);
    topic.observe_once(|_| panic!("once")).keep();
    topic.publish(1).unwrap();
    assert!(!topic.has_observers());
    topic.publish(2).unwrap();
}

#[test]
fn observers_are_called_while_the_thread_unwinds() {
    struct PublishesOnDrop(Topic<u64>);
    impl Drop for PublishesOnDrop {
        fn drop(&mut self) {
            self.0.publish(7).unwrap();
        }
    }
    let bus = Bus::new();
    let topic = fresh(&bus);
    let log = Log::default();
    let _faulty = topic.observe_with(1, |_| panic!("inside of an unwinding thread"));
    let _behind = topic.observe(log.named(""));
    let publishes = PublishesOnDrop(topic.clone());
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _publishes = publishes;
        panic!("the outer one");
    }));
    assert!(unwound.is_err());
    assert_eq!(log.take(), ["7"]);
}

#[test]
fn publishes_nest_so_deep_and_no_deeper() {
    finishes("the nesting", || {
        let bus = Bus::new();
        let topics = [fresh(&bus), fresh(&bus)];
        let deepest = Arc::new(AtomicUsize::new(0));
        let refused = Arc::new(AtomicUsize::new(0));
        let mut observers = Vec::new();
        for index in [0, 1] {
            // From one topic to the other and back: the depth is that of the thread.
            let other = topics[1 - index].clone();
            let (deepest, refused) = (Arc::clone(&deepest), Arc::clone(&refused));
            observers.push(topics[index].observe(move |event: &u64| {
                deepest.fetch_max(*event as usize, Ordering::Relaxed);
                match other.publish(event + 1) {
                    Ok(_) => {}
                    Err(PublishError::TooDeep(event)) => {
                        assert_eq!(event as usize, MAX_OBSERVER_DEPTH + 1);
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => panic!("{error}"),
                }
            }));
        }
        for _ in 0..3 {
            topics[0].publish(1).unwrap();
            assert_eq!(deepest.load(Ordering::Relaxed), MAX_OBSERVER_DEPTH);
        }
        assert_eq!(refused.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn a_batch_that_is_too_deep_comes_back_unseen() {
    let bus = Bus::new();
    let topic = fresh(&bus);
    let of = topic.clone();
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&outcomes);
    let _observer = topic.observe(move |event: &u64| {
        let publisher = of.publisher().unwrap();
        if let Err(error) = publisher.publish_batch([event + 1, 1_000]) {
            assert!(matches!(&error, PublishBatchError::TooDeep(_)));
            log.lock().unwrap().push(error.into_events());
        }
    });
    // Batches of two: the second event of each would nest as deep again.
    let _short = topic.observe_with(1, |event| {
        if *event == 1_000 {
            ControlFlow::Break(())
        } else {
            pass(event)
        }
    });
    topic.publish(1).unwrap();
    let outcomes = outcomes.lock().unwrap();
    let first = &outcomes[0];
    assert_eq!(*first, [MAX_OBSERVER_DEPTH as u64 + 1, 1_000]);
}

/// A reactor's outbox offers an event again and again until there is room; observers see it once, when it is
/// published.
#[test]
fn observers_see_an_event_of_an_outbox_once() {
    let bus = Bus::new();
    let topic = fresh(&bus);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    let log = Log::default();
    let _observer = topic.observe_with(1, {
        let write = log.named("");
        move |event| {
            write(event);
            ControlFlow::Continue(())
        }
    });
    let _veto = topic.observe_with(0, |event| match event {
        13 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let mut reactor = Reactor::<()>::builder().outbox(2).build();

    assert_eq!(
        reactor.publish(&publisher, 13),
        Err(OutboxError::Vetoed(13))
    );
    for event in 0..6 {
        reactor.publish(&publisher, event).unwrap();
    }
    assert_eq!(reactor.outbox_room(), 0);
    assert_eq!(log.take(), ["13", "0", "1", "2", "3", "4", "5"]);
    // Ring and outbox are full: it is not shown.
    assert!(reactor.publish(&publisher, 6).is_err());
    assert!(log.take().is_empty());

    for _ in 0..3 {
        reactor.turn(&mut (), Budget::events(10));
    }
    assert_eq!(reactor.outbox_room(), 0, "there was no room");
    assert_eq!(taken(&mut subscriber), [0, 1, 2, 3]);
    reactor.turn(&mut (), Budget::events(10));
    assert_eq!(taken(&mut subscriber), [4, 5]);
    assert!(log.take().is_empty(), "they were shown before");

    topic.close();
    assert_eq!(reactor.publish(&publisher, 7), Err(OutboxError::Closed(7)));
    assert!(log.take().is_empty());
}

#[test]
fn a_reactor_publishes_inside_of_observers_no_deeper_than_others() {
    let bus = Bus::new();
    let topic = fresh(&bus);
    let deep = Arc::new(AtomicUsize::new(0));
    let (of, count) = (topic.clone(), Arc::clone(&deep));
    let _observer = topic.observe(move |event: &u64| {
        let mut reactor = Reactor::<()>::new();
        let publisher = of.publisher().unwrap();
        match reactor.publish(&publisher, event + 1) {
            Ok(()) => {}
            Err(OutboxError::TooDeep(_)) => {
                count.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => panic!("{error}"),
        }
    });
    topic.publish(1).unwrap();
    assert_eq!(deep.load(Ordering::Relaxed), 1);
    assert_eq!(topic.snapshot().published, MAX_OBSERVER_DEPTH as u64);
}

#[test]
fn snapshots_name_observers_by_where_they_were_added() {
    let bus = Bus::new();
    let topic = fresh(&bus);
    let (observer, line) = (topic.observe_with(3, pass), line!());
    topic.observe_once(|_| ()).keep();
    let snapshot = topic.snapshot();
    let seen: Vec<_> = snapshot
        .observers
        .iter()
        .map(|observer| (observer.location.file(), observer.priority, observer.once))
        .collect();
    assert_eq!(seen, [(file!(), 3, false), (file!(), 0, true)]);
    assert_eq!(snapshot.observers[0].location.line(), line);
    assert!(format!("{observer:?}").contains(&format!("{}:{line}", file!())));
    assert!(bus.snapshot().to_string().contains("observer, priority 3"));
}

#[test]
fn observers_cross_threads() {
    fn crosses<T: Send + Sync + 'static>(_: &T) {}
    let bus = Bus::new();
    let topic = fresh(&bus);
    let observer = topic.observe(|_| ());
    crosses(&observer);
    thread::spawn(move || drop(observer)).join().unwrap();
    assert!(!topic.has_observers());
    // A once-closure has to be `Send` and nothing else.
    let cell = std::cell::Cell::new(0);
    topic.observe_once(move |event| cell.set(*event)).keep();
    topic.publish(1).unwrap();
}

#[test]
fn a_blocked_publisher_has_shown_its_event_and_blocks_no_drop() {
    finishes("the drop of an observer beside a blocked publisher", || {
        let bus = Bus::new();
        let topic = fresh(&bus);
        let subscriber = topic.subscribe();
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let observer = topic.observe(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let publisher = topic.publisher().unwrap();
        let publishing = thread::spawn(move || {
            for event in 0..5 {
                publisher.publish(event).unwrap();
            }
        });
        wait_until("the fifth event is shown", || {
            seen.load(Ordering::Relaxed) == 5
        });
        drop(observer);
        drop(subscriber);
        publishing.join().unwrap();
    });
}
