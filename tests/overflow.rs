//! What a full ring does to each kind of subscriber, and how losses are told and counted.

mod common;

use std::sync::Mutex;
use std::time::Duration;

use common::{assert_conserved, finishes, let_others_park, numbers};
use ringbus::{
    Bus, Overflow, PollError, RecvError, Start, Subscriber, Topic, TryPublishError, TryRecvError,
};

fn topic(capacity: usize) -> Topic<u64> {
    leaked_bus()
        .topic_builder()
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

/// A bus that outlives the test, so that the topic does not close under it.
fn leaked_bus() -> &'static Bus {
    // In a static, so that whoever looks for lost memory finds it.
    static KEPT: Mutex<Vec<&Bus>> = Mutex::new(Vec::new());
    let bus: &'static Bus = Box::leak(Box::new(Bus::new()));
    KEPT.lock().unwrap().push(bus);
    bus
}

fn join(topic: &Topic<u64>, overflow: Overflow) -> Subscriber<u64> {
    topic
        .subscriber()
        .name("it")
        .overflow(overflow)
        .open()
        .unwrap()
}

fn publish(topic: &Topic<u64>, events: std::ops::Range<u64>) {
    let publisher = topic.publisher().unwrap();
    for event in events {
        publisher.publish(event).unwrap();
    }
}

fn rest(subscriber: &mut Subscriber<u64>) -> Vec<(u64, u64)> {
    subscriber
        .try_iter()
        .map(|(event, meta)| (event, meta.missed))
        .collect()
}

#[test]
fn drop_oldest_keeps_the_last_events_of_the_capacity() {
    for capacity in [1, 2, 4, 8] {
        let topic = topic(capacity);
        let mut subscriber = join(&topic, Overflow::DropOldest);
        publish(&topic, 0..100);
        let events: Vec<_> = rest(&mut subscriber)
            .into_iter()
            .map(|(event, _)| event)
            .collect();
        assert_eq!(events, (100 - capacity as u64..100).collect::<Vec<_>>());
    }
}

#[test]
fn drop_oldest_gives_up_at_most_a_sixteenth_of_the_capacity_more_than_it_must() {
    for capacity in [16, 64, 1024] {
        let topic = topic(capacity);
        let mut subscriber = join(&topic, Overflow::DropOldest);
        publish(&topic, 0..5000);
        let capacity = capacity as u64;
        let kept = rest(&mut subscriber).len() as u64;
        assert!(
            (capacity - capacity / 16..=capacity).contains(&kept),
            "{kept} of {capacity}"
        );
    }
}

#[test]
fn nothing_is_lost_up_to_the_capacity() {
    for overflow in [Overflow::DropOldest, Overflow::Disconnect] {
        for capacity in [1, 2, 8, 64, 1024] {
            let topic = topic(capacity);
            let mut subscriber = join(&topic, overflow);
            let events: Vec<_> = (0..capacity as u64).map(|event| (event, 0)).collect();
            publish(&topic, 0..capacity as u64);
            assert_eq!(rest(&mut subscriber), events);
        }
    }
}

#[test]
fn a_loss_is_told_once_with_the_exact_count_before_the_next_event() {
    let topic = topic(4);
    let mut subscriber = join(&topic, Overflow::DropOldest);
    publish(&topic, 0..10);
    assert_eq!(subscriber.recv(), Err(RecvError::Missed(6)));
    assert_eq!(subscriber.recv(), Ok(6));
    assert_eq!(subscriber.recv(), Ok(7));
    publish(&topic, 10..20);
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Missed(8)));
    assert_eq!(subscriber.try_recv(), Ok(16));
    assert_eq!(rest(&mut subscriber), [(17, 0), (18, 0), (19, 0)]);
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_loss_comes_with_the_next_event_of_a_poll() {
    let topic = topic(4);
    let mut subscriber = join(&topic, Overflow::DropOldest);
    publish(&topic, 0..10);
    assert_eq!(rest(&mut subscriber), [(6, 6), (7, 0), (8, 0), (9, 0)]);
    publish(&topic, 10..15);
    let mut lent = Vec::new();
    while subscriber
        .poll_batch(64, |batch| {
            lent.extend(batch.map(|(event, meta)| (*event, meta.missed)))
        })
        .unwrap()
        .is_some()
    {}
    assert_eq!(lent, [(11, 1), (12, 0), (13, 0), (14, 0)]);
}

#[test]
fn a_loss_before_events_that_the_filter_refuses_is_told_with_the_one_it_accepts() {
    let topic = topic(4);
    let mut subscriber = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .filter(|event| *event == 9)
        .open()
        .unwrap();
    publish(&topic, 0..10);
    assert_eq!(rest(&mut subscriber), [(9, 6)]);
    assert_conserved(&topic);
}

#[test]
fn the_count_of_missed_events_is_the_same_in_band_and_outside() {
    let topic = topic(8);
    let mut subscriber = join(&topic, Overflow::DropOldest);
    let publisher = topic.publisher().unwrap();
    let mut told = 0;
    for round in 0..50_u64 {
        for event in 0..round % 20 {
            publisher.publish(event).unwrap();
        }
        told += subscriber
            .try_iter()
            .take(3)
            .map(|(_, meta)| meta.missed)
            .sum::<u64>();
        assert_conserved(&topic);
    }
    told += rest(&mut subscriber)
        .iter()
        .map(|(_, missed)| missed)
        .sum::<u64>();
    assert_eq!(numbers(&topic, "it").missed, told);
    assert_conserved(&topic);
}

#[test]
fn a_loss_is_counted_without_the_help_of_the_one_who_lost() {
    let topic = topic(4);
    let _subscriber = join(&topic, Overflow::DropOldest);
    publish(&topic, 0..10);
    let numbers = numbers(&topic, "it");
    assert_eq!(
        (numbers.published, numbers.missed, numbers.pending),
        (10, 6, 4)
    );
    assert_eq!(numbers.lag, 4);
}

#[test]
fn numbers_add_up_between_the_notice_of_a_loss_and_the_event_behind_it() {
    let topic = topic(4);
    let mut subscriber = join(&topic, Overflow::DropOldest);
    publish(&topic, 0..10);
    assert_eq!(subscriber.recv(), Err(RecvError::Missed(6)));
    assert_conserved(&topic);
    assert_eq!(numbers(&topic, "it").pending, 4);
}

#[test]
fn numbers_add_up_when_a_lossy_subscriber_leaves_a_part_of_its_batch() {
    for overflow in [Overflow::DropOldest, Overflow::Disconnect] {
        let topic = topic(64);
        let mut subscriber = join(&topic, overflow);
        publish(&topic, 0..3);
        let first = subscriber
            .poll_batch(64, |mut batch| *batch.next().unwrap().0)
            .unwrap();
        assert_eq!(first, Some(0));
        assert_conserved(&topic);
        assert_eq!(rest(&mut subscriber), [(1, 0), (2, 0)]);
    }
}

#[test]
fn numbers_add_up_when_the_filter_refuses_a_whole_ring_of_events() {
    let topic = topic(1);
    let mut subscriber = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .filter(|event| *event > 1)
        .open()
        .unwrap();
    publish(&topic, 0..2);
    assert_eq!(
        subscriber.recv_timeout(Duration::ZERO),
        Err(ringbus::RecvTimeoutError::Missed(1))
    );
    publish(&topic, 2..3);
    // The refused event and the accepted one are more than a ring of capacity 1.
    let shown = subscriber.poll(1, |_, _| ()).unwrap();
    assert_conserved(&topic);
    assert_eq!(shown + rest(&mut subscriber).len(), 1);
}

#[test]
fn a_poll_of_no_batch_claims_nothing() {
    let topic = topic(4);
    let mut subscriber = join(&topic, Overflow::DropOldest);
    publish(&topic, 0..1);
    assert_eq!(subscriber.poll_batch(0, |_| ()), Ok(None));
    assert_conserved(&topic);
    assert_eq!(numbers(&topic, "it").pending, 1);
}

#[test]
fn latest_takes_the_newest_event_and_counts_what_it_skips() {
    let topic = topic(8);
    let mut subscriber = join(&topic, Overflow::Latest);
    publish(&topic, 0..5);
    assert_eq!(rest(&mut subscriber), [(4, 4)]);
    publish(&topic, 5..6);
    assert_eq!(rest(&mut subscriber), [(5, 0)]);
    publish(&topic, 6..106);
    assert_eq!(rest(&mut subscriber), [(105, 99)]);
    assert_eq!(numbers(&topic, "it").missed, 103);
    assert_conserved(&topic);
}

#[test]
fn latest_is_not_told_of_losses_by_recv() {
    let topic = topic(8);
    let mut subscriber = join(&topic, Overflow::Latest);
    publish(&topic, 0..100);
    assert_eq!(subscriber.recv(), Ok(99));
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn latest_counts_skipped_events_from_the_last_one_it_was_given_however_that_was() {
    let topic = topic(8);
    let mut subscriber = join(&topic, Overflow::Latest);
    publish(&topic, 0..5);
    assert_eq!(subscriber.recv(), Ok(4));
    publish(&topic, 5..6);
    let mut missed = None;
    subscriber
        .poll(1, |_, meta| missed = Some(meta.missed))
        .unwrap();
    assert_eq!(
        missed,
        Some(0),
        "nothing was skipped since event 4 was given"
    );
}

#[test]
fn latest_asks_the_filter_about_the_newest_event_only() {
    let topic = topic(8);
    let mut subscriber = topic
        .subscriber()
        .overflow(Overflow::Latest)
        .filter(|event| event.is_multiple_of(2))
        .open()
        .unwrap();
    publish(&topic, 0..4);
    assert_eq!(rest(&mut subscriber), []);
    publish(&topic, 4..5);
    assert_eq!(rest(&mut subscriber), [(4, 3)]);
    assert_conserved(&topic);
}

#[test]
fn disconnect_is_told_once_and_then_closed() {
    let topic = topic(4);
    let mut subscriber = join(&topic, Overflow::Disconnect);
    publish(&topic, 0..5);
    assert_eq!(subscriber.recv(), Err(RecvError::Disconnected(4)));
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
    assert_eq!(subscriber.poll(1, |_, _| ()), Err(PollError::Closed));
    assert!(!topic.is_closed());
    let numbers = numbers(&topic, "it");
    assert_eq!(
        (numbers.published, numbers.missed, numbers.pending),
        (4, 4, 0)
    );
}

#[test]
fn disconnect_counts_every_event_that_it_leaves_unread() {
    for (capacity, exclusive) in [
        (4, false),
        (4, true),
        (64, false),
        (64, true),
        (1024, false),
        (1024, true),
    ] {
        let topic = topic(capacity);
        let mut subscriber = join(&topic, Overflow::Disconnect);
        let capacity = capacity as u64;
        if exclusive {
            let mut publisher = topic.exclusive_publisher().unwrap();
            for event in 0..=capacity {
                publisher.publish(event).unwrap();
            }
        } else {
            publish(&topic, 0..capacity + 1);
        }
        assert_eq!(
            subscriber.recv(),
            Err(RecvError::Disconnected(capacity)),
            "a full ring of {capacity} events was not read (exclusive publisher: {exclusive})"
        );
    }
}

#[test]
fn disconnect_that_keeps_up_is_lossless() {
    let topic = topic(4);
    let mut subscriber = join(&topic, Overflow::Disconnect);
    for round in 0..100 {
        publish(&topic, round * 4..round * 4 + 4);
        let events: Vec<_> = (round * 4..round * 4 + 4).map(|event| (event, 0)).collect();
        assert_eq!(rest(&mut subscriber), events);
    }
}

#[test]
fn a_disconnected_subscriber_is_given_no_event_behind_the_end() {
    let topic = topic(4);
    let mut subscriber = join(&topic, Overflow::Disconnect);
    publish(&topic, 0..3);
    assert_eq!(subscriber.recv(), Ok(0));
    publish(&topic, 3..20);
    assert_eq!(subscriber.recv(), Err(RecvError::Disconnected(4)));
    publish(&topic, 20..22);
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
    assert_conserved(&topic);
}

#[test]
fn a_poll_of_nothing_from_a_closed_topic_is_still_ok() {
    let topic = topic(4);
    let mut subscriber = join(&topic, Overflow::Block);
    topic.close();
    assert_eq!(subscriber.poll(0, |_, _| ()), Ok(0));
    assert_eq!(subscriber.poll(1, |_, _| ()), Err(PollError::Closed));
}

#[test]
fn lossless_refuses_exactly_beyond_the_capacity() {
    for capacity in [1, 2, 4, 64, 256] {
        let topic = topic(capacity);
        let mut subscriber = join(&topic, Overflow::Block);
        let publisher = topic.publisher().unwrap();
        for lap in 0..5 {
            for event in 0..capacity as u64 {
                publisher.try_publish(lap * 1000 + event).unwrap();
            }
            assert_eq!(publisher.try_publish(7), Err(TryPublishError::Full(7)));
            assert_eq!(subscriber.recv(), Ok(lap * 1000));
            publisher.try_publish(8).unwrap();
            assert_eq!(publisher.try_publish(7), Err(TryPublishError::Full(7)));
            assert_eq!(rest(&mut subscriber).len(), capacity);
        }
        assert_conserved(&topic);
    }
}

#[test]
fn subscribers_of_all_kinds_share_a_ring() {
    let topic = topic(4);
    let mut lossless = topic.subscriber().name("block").open().unwrap();
    let mut oldest = topic
        .subscriber()
        .name("oldest")
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let mut latest = topic
        .subscriber()
        .name("latest")
        .overflow(Overflow::Latest)
        .open()
        .unwrap();
    let mut ended = topic
        .subscriber()
        .name("ended")
        .overflow(Overflow::Disconnect)
        .open()
        .unwrap();
    let publisher = topic.publisher().unwrap();
    let mut seen = Vec::new();
    for event in 0..10 {
        publisher.try_publish(event).unwrap();
        seen.push(lossless.recv().unwrap());
    }
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    assert_eq!(rest(&mut oldest), [(6, 6), (7, 0), (8, 0), (9, 0)]);
    assert_eq!(rest(&mut latest), [(9, 9)]);
    assert_eq!(ended.recv(), Err(RecvError::Disconnected(4)));
    assert_conserved(&topic);
    let numbers = numbers(&topic, "block");
    assert_eq!(
        (numbers.delivered, numbers.missed, numbers.pending),
        (10, 0, 0)
    );
}

#[test]
fn a_refused_publish_takes_nothing_from_lossy_subscribers() {
    let topic = topic(4);
    let _lossless = join(&topic, Overflow::Block);
    let mut lossy = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let mut disconnect = topic
        .subscriber()
        .overflow(Overflow::Disconnect)
        .open()
        .unwrap();
    publish(&topic, 0..4);
    let publisher = topic.publisher().unwrap();
    for _ in 0..10 {
        publisher.try_publish(9).unwrap_err();
    }
    let all = [(0, 0), (1, 0), (2, 0), (3, 0)];
    assert_eq!(rest(&mut lossy), all);
    assert_eq!(rest(&mut disconnect), all);
}

#[test]
fn a_lossy_subscriber_that_is_never_read_never_blocks() {
    for overflow in [Overflow::DropOldest, Overflow::Latest, Overflow::Disconnect] {
        for capacity in [1, 2, 16, 64, 128] {
            let topic = topic(capacity);
            let _subscriber = join(&topic, overflow);
            let publisher = topic.publisher().unwrap();
            for event in 0..capacity as u64 * 10 {
                publisher.try_publish(event).unwrap();
            }
            for _ in 0..10 {
                publisher.try_publish_batch(0..capacity as u64).unwrap();
            }
            assert_conserved(&topic);
        }
    }
}

/// A lossy subscriber that has been told of a loss holds on to the event behind it; publishers step over
/// that slot. In a ring of small capacity the step may be longer than the capacity.
#[test]
fn a_lossy_subscriber_that_holds_an_event_never_blocks_a_publish() {
    for exclusive in [false, true] {
        for capacity in [1, 2, 4, 64] {
            let topic = topic(capacity);
            let mut subscriber = join(&topic, Overflow::DropOldest);
            publish(&topic, 0..capacity as u64 + 1);
            subscriber.recv().unwrap_err();
            let refused = if exclusive {
                let mut publisher = topic.exclusive_publisher().unwrap();
                (0..500).find(|&event| publisher.try_publish(event).is_err())
            } else {
                let publisher = topic.publisher().unwrap();
                (0..500).find(|&event| publisher.try_publish(event).is_err())
            };
            assert_eq!(
                refused, None,
                "with capacity {capacity}, exclusive publisher: {exclusive}"
            );
        }
    }
}

#[test]
fn a_lossy_subscriber_that_holds_several_events_never_blocks_a_publish() {
    let topic = topic(2);
    let mut one = join(&topic, Overflow::DropOldest);
    let publisher = topic.publisher().unwrap();
    publisher.try_publish_batch(0..2).unwrap();
    // Lent two events and takes one: both slots stay as they are.
    one.poll_batch(2, |mut batch| {
        assert_eq!(batch.next().map(|(event, _)| *event), Some(0))
    })
    .unwrap();
    for event in 0..500 {
        publisher.try_publish(event).unwrap();
    }
}

#[test]
fn a_lossy_subscriber_that_holds_an_event_never_blocks_a_batch() {
    for capacity in [1, 4, 16, 64] {
        let topic = topic(capacity);
        let mut subscriber = join(&topic, Overflow::DropOldest);
        publish(&topic, 0..capacity as u64 + 1);
        subscriber.recv().unwrap_err();
        let publisher = topic.publisher().unwrap();
        for round in 0..200 {
            publisher
                .try_publish_batch(0..capacity as u64)
                .unwrap_or_else(|error| panic!("capacity {capacity}, round {round}: {error}"));
        }
    }
}

#[test]
fn a_lossy_subscriber_that_holds_an_event_makes_no_lossless_one_full() {
    let topic = topic(1);
    let mut holder = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    publish(&topic, 0..2);
    holder.recv().unwrap_err();
    let mut lossless = join(&topic, Overflow::Block);
    let publisher = topic.publisher().unwrap();
    for event in 0..500 {
        publisher
            .try_publish(event)
            .expect("the lossless subscriber has read everything");
        assert_eq!(lossless.recv(), Ok(event));
    }
    assert_conserved(&topic);
}

#[test]
fn an_event_that_is_held_is_not_overwritten() {
    let topic: Topic<String> = leaked_bus().topic_builder().capacity(4).open().unwrap();
    let mut subscriber = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let publisher = topic.publisher().unwrap();
    for event in 0..5 {
        publisher.publish(format!("event {event}")).unwrap();
    }
    assert_eq!(subscriber.recv(), Err(RecvError::Missed(1)));
    for event in 5..1000 {
        publisher.try_publish(format!("event {event}")).unwrap();
    }
    assert_eq!(subscriber.recv().as_deref(), Ok("event 1"));
    // Four sequences are kept, and one of them may be the slot that was stepped over.
    let missed = match subscriber.recv() {
        Err(RecvError::Missed(missed)) => missed,
        other => panic!("{other:?}"),
    };
    let next = subscriber.recv().unwrap();
    assert_eq!(next, format!("event {}", missed + 2));
    assert_conserved(&topic);
}

#[test]
fn a_lossy_subscriber_inside_its_handler_never_blocks_a_publisher() {
    let topic = topic(4);
    let publisher = topic.publisher().unwrap();
    let mut subscriber = join(&topic, Overflow::DropOldest);
    publisher.publish(0).unwrap();
    subscriber
        .poll(64, |event, _| {
            if *event == 0 {
                for event in 1..100 {
                    publisher.try_publish(event).unwrap();
                }
            }
        })
        .unwrap();
    rest(&mut subscriber);
    assert_conserved(&topic);
    assert_eq!(numbers(&topic, "it").pending, 0);
}

/// The slots that are held are stepped over. They are a lossless subscriber's too where the ring has none to spare.
#[test]
fn what_a_lossy_subscriber_holds_takes_room_from_a_lossless_one_in_a_ring_without_spare_slots() {
    let topic = topic(64);
    let mut publisher = topic.exclusive_publisher().unwrap();
    let mut holds = join(&topic, Overflow::Disconnect);
    let mut other = topic.subscriber().overflow(Overflow::Block).open().unwrap();
    publisher.publish_batch(Vec::from_iter(0..64)).unwrap();
    holds
        .poll_batch(3, |mut batch| batch.next().map(drop))
        .unwrap();

    assert_eq!(other.poll(3, |_, _| {}), Ok(3));
    let refused = publisher.try_publish(64).unwrap_err();
    assert!(matches!(refused, TryPublishError::Full(64)), "{refused}");
    assert_eq!(other.poll(1, |_, _| {}), Ok(1));
    assert_eq!(
        publisher.try_publish(64),
        Ok(67),
        "behind the three that are held"
    );

    let seen: Vec<u64> = other.try_iter().map(|(event, _)| event).collect();
    assert_eq!(seen, (4..65).collect::<Vec<_>>());
    rest(&mut holds);
    assert_conserved(&topic);
}

#[test]
fn a_leaked_lossy_subscriber_never_blocks() {
    for overflow in [Overflow::DropOldest, Overflow::Latest, Overflow::Disconnect] {
        let topic: Topic<String> = leaked_bus().topic_builder().capacity(8).open().unwrap();
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        let publisher = topic.publisher().unwrap();
        publisher.publish("first".to_owned()).unwrap();
        publisher.publish("second".to_owned()).unwrap();
        subscriber
            .poll_batch(8, |mut batch| batch.next().map(|(event, _)| event.len()))
            .unwrap();
        std::mem::forget(subscriber);
        let mut other = topic.subscribe();
        for event in 0..1000 {
            publisher.try_publish(event.to_string()).unwrap();
            assert_eq!(other.recv(), Ok(event.to_string()));
        }
    }
}

#[test]
fn a_leaked_lossless_subscriber_blocks_until_the_close_and_no_longer() {
    let topic: Topic<String> = leaked_bus().topic_builder().capacity(4).open().unwrap();
    std::mem::forget(topic.subscribe());
    let mut other = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    for event in 0..4 {
        publisher.try_publish(event.to_string()).unwrap();
    }
    assert!(matches!(
        publisher.try_publish("4".to_owned()),
        Err(TryPublishError::Full(_))
    ));
    for event in 0..4 {
        assert_eq!(other.recv(), Ok(event.to_string()));
    }
    let closer = topic.clone();
    let refused = finishes("a publish that a close frees", move || {
        std::thread::scope(|scope| {
            let blocked = scope.spawn(move || publisher.publish("4".to_owned()));
            let_others_park();
            closer.close();
            blocked.join().unwrap()
        })
    });
    assert_eq!(refused.unwrap_err().into_event(), "4");
    assert_eq!(other.recv(), Err(RecvError::Closed));
}

#[test]
fn every_kind_starts_in_the_past_with_the_same_events() {
    let bus = Bus::new();
    let topic = bus
        .topic_builder::<u64>()
        .capacity(8)
        .retain(8)
        .open()
        .unwrap();
    let publisher = topic.publisher().unwrap();
    for event in 0..20 {
        publisher.publish(event).unwrap();
    }
    for overflow in [Overflow::Block, Overflow::DropOldest, Overflow::Disconnect] {
        let mut subscriber = topic
            .subscriber()
            .overflow(overflow)
            .start(Start::Oldest)
            .open()
            .unwrap();
        let events: Vec<_> = rest(&mut subscriber)
            .into_iter()
            .map(|(event, _)| event)
            .collect();
        assert_eq!(events, (12..20).collect::<Vec<_>>());
    }
    let mut latest = topic
        .subscriber()
        .overflow(Overflow::Latest)
        .start(Start::Oldest)
        .open()
        .unwrap();
    assert_eq!(rest(&mut latest), [(19, 7)]);
    assert_conserved(&topic);
}

#[test]
fn numbers_add_up_when_a_lossy_subscriber_is_pushed_over_gaps() {
    let topic = topic(4);
    // This one's held event makes a gap in the second lap of the 64 slots.
    let mut holder = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let mut subscriber = join(&topic, Overflow::DropOldest);
    publish(&topic, 0..5);
    holder.recv().unwrap_err();
    publish(&topic, 5..100);
    let numbers = numbers(&topic, "it");
    assert_eq!(numbers.published, 100);
    assert_eq!(numbers.missed + numbers.pending, 100);
    assert_eq!(rest(&mut subscriber).len() as u64, numbers.pending);
    drop(holder);
    assert_conserved(&topic);
}

#[test]
fn a_refused_publish_of_a_new_publisher_takes_nothing_from_lossy_subscribers() {
    for exclusive in [false, true] {
        let topic = topic(4);
        let _lossless = join(&topic, Overflow::Block);
        let mut lossy = topic
            .subscriber()
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap();
        let mut disconnect = topic
            .subscriber()
            .overflow(Overflow::Disconnect)
            .open()
            .unwrap();
        if exclusive {
            publish(&topic, 0..4);
            let mut publisher = topic.exclusive_publisher().unwrap();
            publisher.try_publish(9).unwrap_err();
        } else {
            let mut publisher = topic.exclusive_publisher().unwrap();
            for event in 0..4 {
                publisher.publish(event).unwrap();
            }
            drop(publisher);
            topic.publisher().unwrap().try_publish(9).unwrap_err();
        }
        let all = [(0, 0), (1, 0), (2, 0), (3, 0)];
        assert_eq!(rest(&mut lossy), all, "exclusive publisher: {exclusive}");
        assert_eq!(
            rest(&mut disconnect),
            all,
            "exclusive publisher: {exclusive}"
        );
    }
}

#[test]
fn a_publish_refused_for_a_new_subscriber_takes_nothing_from_lossy_ones() {
    let topic = topic(4);
    let mut lossy = join(&topic, Overflow::DropOldest);
    let publisher = topic.publisher().unwrap();
    for event in 0..4 {
        publisher.publish(event).unwrap();
    }
    let _late = topic.subscriber().start(Start::Oldest).open().unwrap();
    publisher.try_publish(9).unwrap_err();
    let all = [(0, 0), (1, 0), (2, 0), (3, 0)];
    assert_eq!(rest(&mut lossy), all);
}
