//! Steady state allocates nothing. Alone in its binary, as the allocator counts for the whole process; and
//! one test, as tests run beside each other.

mod counting;

use std::ops::ControlFlow;

use counting::allocates_nothing;
use ringbus::{Bus, Overflow, Subscriber, WaitStrategy};

#[test]
fn steady_state_allocates_nothing() {
    let bus = Bus::new();
    for wait in [WaitStrategy::Spin, WaitStrategy::Yield, WaitStrategy::Park] {
        let topic = bus
            .topic_builder::<u64>()
            .name(format!("{wait:?}"))
            .capacity(64)
            .wait(wait)
            .keep_open()
            .open()
            .unwrap();
        let mut subscriber = topic.subscribe();
        let mut lossy = topic
            .subscriber()
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap();
        let mut latest = topic
            .subscriber()
            .overflow(Overflow::Latest)
            .open()
            .unwrap();
        let mut filtered = topic
            .subscriber()
            .filter(|event: &u64| event.is_multiple_of(2))
            .open()
            .unwrap();

        let publisher = topic.publisher().unwrap();
        allocates_nothing("publish and recv", || {
            publisher.publish(1).unwrap();
            publisher.publish(2).unwrap();
            assert_eq!(subscriber.recv(), Ok(1));
            assert_eq!(subscriber.try_recv(), Ok(2));
            assert_eq!(filtered.recv(), Ok(2));
        });
        allocates_nothing("try_publish and poll", || {
            publisher.try_publish(2).unwrap();
            assert_eq!(subscriber.poll(64, |_, _| ()), Ok(1));
            assert_eq!(filtered.poll(64, |_, _| ()), Ok(1));
        });
        allocates_nothing("batches of a shared publisher", || {
            publisher.publish_batch([1, 2, 3, 4]).unwrap();
            publisher.try_publish_batch([1, 2, 3, 4]).unwrap();
            let sum = subscriber.poll_batch(64, |batch| batch.map(|(event, _)| *event).sum());
            assert_eq!(sum, Ok(Some(20_u64)));
            assert_eq!(filtered.poll(64, |_, _| ()), Ok(4));
        });
        allocates_nothing("refused publishes", || {
            while publisher.try_publish(2).is_ok() {}
            assert_eq!(subscriber.try_iter().count(), 64);
            assert_eq!(filtered.try_iter().count(), 64);
        });
        allocates_nothing("a lossy overrun and what is read after it", || {
            for _ in 0..10 {
                publisher.publish_batch([2; 20]).unwrap();
                subscriber.poll(64, |_, _| ()).unwrap();
                filtered.poll(64, |_, _| ()).unwrap();
            }
            // What it holds from the last time comes before the notice of the loss.
            assert!((0..16).any(|_| lossy.recv().is_err()));
            assert!(lossy.poll(16, |_, _| ()).unwrap() > 0);
            // Holds on to events, which publishers step over.
            lossy
                .poll_batch(8, |mut batch| batch.next().map(drop))
                .unwrap();
            assert_eq!(latest.poll(16, |_, _| ()), Ok(1));
            publisher.publish(2).unwrap();
            assert_eq!(latest.recv(), Ok(2));
            subscriber.poll(64, |_, _| ()).unwrap();
            filtered.poll(64, |_, _| ()).unwrap();
        });
        drop(publisher);

        let mut publisher = topic.exclusive_publisher().unwrap();
        allocates_nothing("an exclusive publisher", || {
            publisher.publish(1).unwrap();
            publisher.try_publish(2).unwrap();
            publisher.publish_with(|| 3).unwrap();
            publisher.publish_batch([4, 5, 6]).unwrap();
            assert_eq!(subscriber.try_iter().count(), 6);
            assert_eq!(filtered.poll(64, |_, _| ()), Ok(3));
            assert!(lossy.poll(64, |_, _| ()).unwrap() > 0);
            assert_eq!(latest.poll(64, |_, _| ()), Ok(1));
        });
        drop(publisher);

        let groups = [
            topic.group("plain"),
            topic.group("by key").by_key(|event| *event),
        ];
        for group in groups {
            let mut one = group.join().unwrap();
            let mut other = topic.group(one.group()).join().unwrap();
            allocates_nothing("a group", || {
                topic.publish(2).unwrap();
                topic.publish(3).unwrap();
                assert!(one.try_recv().is_ok());
                assert_eq!(other.poll(64, |_, _| ()), Ok(1));
                assert_eq!(subscriber.try_iter().count(), 2);
                assert_eq!(filtered.poll(64, |_, _| ()), Ok(1));
            });
        }
        let mut sharing = topic
            .group("lossy")
            .overflow(Overflow::DropOldest)
            .join()
            .unwrap();
        allocates_nothing("a lossy group", || {
            for event in 0..100 {
                topic.publish(event).unwrap();
                subscriber.recv().unwrap();
                let _ = filtered.try_recv();
            }
            assert!(sharing.poll(64, |_, _| ()).unwrap() > 0);
        });
        drop(sharing);

        allocates_nothing("waiting in vain", || {
            let timeout = std::time::Duration::from_micros(10);
            assert!(subscriber.recv_timeout(timeout).is_err());
        });
        let grown = bus
            .topic_builder::<u64>()
            .name(format!("grown {wait:?}"))
            .capacity(2)
            .grow_to(64)
            .wait(wait)
            .keep_open()
            .open()
            .unwrap();
        let mut reader = grown.subscribe();
        let publisher = grown.publisher().unwrap();
        publisher.publish_batch(0..64).unwrap();
        assert_eq!(grown.capacity(), 64);
        let frame = |publish: &mut dyn FnMut(u64), reader: &mut Subscriber<u64>| {
            for event in 0..64 {
                publish(event);
            }
            let mut read = 0;
            while read < 64 {
                read += reader.poll(64, |_, _| ()).unwrap();
            }
        };
        reader.poll(64, |_, _| ()).unwrap();
        allocates_nothing("a topic that has grown", || {
            frame(
                &mut |event| {
                    publisher.publish(event).unwrap();
                },
                &mut reader,
            );
        });
        drop(publisher);
        let mut publisher = grown.exclusive_publisher().unwrap();
        allocates_nothing("an exclusive publisher of a topic that has grown", || {
            frame(
                &mut |event| {
                    publisher.publish(event).unwrap();
                },
                &mut reader,
            );
        });

        allocates_nothing("publishing without a publisher", || {
            topic.publish(2).unwrap();
            assert_eq!(subscriber.recv(), Ok(2));
            assert_eq!(filtered.recv(), Ok(2));
        });
    }
    observers_allocate_nothing(&bus);
}

fn observers_allocate_nothing(bus: &Bus) {
    let topic = bus.topic_builder::<u64>().keep_open().open().unwrap();
    let _observers: Vec<_> = (0..3)
        .map(|priority| {
            let of = topic.clone();
            topic.observe_with(priority, move |event| {
                // Nested without a publisher of its own.
                if *event > 100 {
                    of.publish(event - 100).unwrap();
                }
                match event {
                    13 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            })
        })
        .collect();
    let mut heard = None;
    for _ in 0..2 {
        let publisher = topic.publisher().unwrap();
        allocates_nothing("observers of a shared publisher", || {
            publisher.publish(1).unwrap();
            publisher.try_publish(2).unwrap();
            publisher.publish(201).unwrap();
            publisher.publish(13).unwrap_err();
            publisher.publish_batch([1, 2, 3]).unwrap();
            topic.publish(4).unwrap();
            heard.iter_mut().for_each(drain);
        });
        drop(publisher);
        heard = Some(topic.subscribe());
    }
    drop(topic);
    let topic = bus
        .topic_builder::<u64>()
        .name("exclusive")
        .keep_open()
        .open()
        .unwrap();
    let _observer = topic.observe(|_| ());
    let mut heard = None;
    for _ in 0..2 {
        let mut publisher = topic.exclusive_publisher().unwrap();
        allocates_nothing("observers of an exclusive publisher", || {
            publisher.publish(1).unwrap();
            publisher.try_publish(2).unwrap();
            publisher.publish_with(|| 3).unwrap();
            publisher.publish_batch([1, 2, 3]).unwrap();
            heard.iter_mut().for_each(drain);
        });
        drop(publisher);
        heard = Some(topic.subscribe());
    }
}

fn drain(subscriber: &mut Subscriber<u64>) {
    while subscriber.poll(64, |_, _| ()).unwrap() > 0 {}
}
