//! Whole handles: blocking publishers and readers, leaving and closing under them.

use loom::thread;

use super::explore;
use crate::channel::{Core, Overflow, PollError, PublishError, RecvError, Settings, Topic};

fn topic(capacity: usize) -> Topic<u64> {
    let settings = Settings {
        capacity,
        ..Settings::default()
    };
    Topic::of(Core::new(None, settings))
}

/// Both sides park: the reader for events, the publisher for room.
fn publish_and_receive(preemptions: usize, exclusive: bool, filtered: bool) {
    explore(Some(preemptions), move || {
        let topic = topic(1);
        let mut subscriber = match filtered {
            true => topic.subscriber().filter(|_| true).open().unwrap(),
            false => topic.subscribe(),
        };
        let publisher = if exclusive {
            let mut publisher = topic.exclusive_publisher().unwrap();
            thread::spawn(move || {
                for event in 0..2 {
                    publisher.publish(event).unwrap();
                }
            })
        } else {
            let publisher = topic.publisher().unwrap();
            thread::spawn(move || {
                for event in 0..2 {
                    publisher.publish(event).unwrap();
                }
            })
        };
        assert_eq!(subscriber.recv(), Ok(0));
        assert_eq!(subscriber.recv(), Ok(1));
        publisher.join().unwrap();
        // The last publisher is gone.
        assert_eq!(subscriber.recv(), Err(RecvError::Closed));
    });
}

#[test]
fn exclusive_publish_and_receive() {
    publish_and_receive(2, true, false);
}

#[test]
fn shared_publish_and_receive() {
    publish_and_receive(2, false, false);
}

/// A filter has what is received go another way.
#[test]
fn exclusive_publish_and_receive_filtered() {
    publish_and_receive(2, true, true);
}

/// Dropping the subscriber in the way frees a publisher that waits already.
#[test]
fn leaving_frees_a_blocked_publisher() {
    explore(Some(3), || {
        let topic = topic(1);
        let subscriber = topic.subscribe();
        let mut publisher = topic.exclusive_publisher().unwrap();
        publisher.publish(0).unwrap();
        let leaving = thread::spawn(move || drop(subscriber));
        publisher.publish(1).unwrap();
        leaving.join().unwrap();
    });
}

/// In a ring without slots to spare what a lossy subscriber has in hand is stepped over, for which there may be no
/// room behind a lossless one. The publisher that waits for that goes on when the slots are let go.
fn letting_go_frees_a_blocked_publisher(overflow: Overflow) {
    explore(Some(2), move || {
        let topic = topic(64);
        let mut reader = topic.subscribe();
        let mut lossy = topic.subscriber().overflow(overflow).open().unwrap();
        let mut publisher = topic.exclusive_publisher().unwrap();
        publisher.publish_batch(vec![0; 64]).unwrap();
        assert_eq!(reader.poll(1, |_, _| {}), Ok(1));
        let letting_go = thread::spawn(move || {
            let shown = lossy.poll(1, |_, _| {});
            assert!(matches!(shown, Ok(1) | Err(PollError::Disconnected(_))));
            lossy
        });
        let publishing = thread::spawn(move || publisher.publish(1).unwrap());
        let sequence = publishing.join().unwrap();
        assert_eq!(
            sequence, 64,
            "the reader has not moved, so there is room for no gap"
        );
        let _lossy = letting_go.join().unwrap();
    });
}

#[test]
fn letting_go_of_what_was_read_frees_a_blocked_publisher() {
    letting_go_frees_a_blocked_publisher(Overflow::DropOldest);
}

/// The publisher has ended the membership, and then found the pin that the reader had set before it knew.
#[test]
fn letting_go_of_what_was_not_claimed_frees_a_blocked_publisher() {
    letting_go_frees_a_blocked_publisher(Overflow::Disconnect);
}

/// Closing wakes a reader and a publisher, and gives the event back.
#[test]
fn close_wakes_both_sides() {
    explore(Some(2), || {
        let topic = topic(1);
        let _in_the_way = topic.subscribe();
        let mut reader = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        publisher.publish(0).unwrap();
        let closer = {
            let topic = topic.clone();
            thread::spawn(move || topic.close())
        };
        let blocked = thread::spawn(move || publisher.publish(1));
        assert_eq!(reader.recv(), Ok(0));
        assert_eq!(reader.recv(), Err(RecvError::Closed));
        assert_eq!(blocked.join().unwrap(), Err(PublishError::Closed(1)));
        closer.join().unwrap();
    });
}

/// A publish that the close turns into a hole wakes the reader that waits for it.
#[test]
fn refused_claim_wakes_the_reader() {
    explore(Some(3), || {
        let topic = topic(2);
        let mut subscriber = topic.subscribe();
        let mut publisher = topic.exclusive_publisher().unwrap();
        let publishing = thread::spawn(move || {
            let accepted = publisher.publish(0).is_ok();
            // Kept: its drop would wake the reader too.
            (accepted, publisher)
        });
        let closer = {
            let topic = topic.clone();
            thread::spawn(move || topic.close())
        };
        let received = subscriber.recv().is_ok();
        if received {
            assert_eq!(subscriber.recv(), Err(RecvError::Closed));
        }
        let (accepted, _publisher) = publishing.join().unwrap();
        closer.join().unwrap();
        assert_eq!(accepted, received);
    });
}

/// Two publishers wait for each other's slots and for the reader.
#[test]
fn two_blocking_publishers() {
    explore(Some(1), || {
        let topic = topic(1);
        let mut subscriber = topic.subscribe();
        // Both exist before one can be the last.
        let publishers = [topic.publisher().unwrap(), topic.publisher().unwrap()];
        let publishers: Vec<_> = (0..)
            .zip(publishers)
            .map(|(event, publisher)| thread::spawn(move || publisher.publish(event).map(drop)))
            .collect();
        let mut seen = [subscriber.recv().unwrap(), subscriber.recv().unwrap()];
        seen.sort_unstable();
        assert_eq!(seen, [0, 1]);
        for publisher in publishers {
            publisher.join().unwrap().unwrap();
        }
    });
}

/// A publisher a lap ahead waits for one that is in the middle of a publish; no reader would wake it.
#[test]
fn finishing_frees_a_blocked_publisher() {
    explore(Some(3), || {
        let topic = topic(1);
        let _lossy = topic
            .subscriber()
            .overflow(Overflow::Latest)
            .open()
            .unwrap();
        let other = topic.publisher().unwrap();
        let publisher = topic.publisher().unwrap();
        let publishing = thread::spawn(move || {
            other.publish(1).unwrap();
            other
        });
        publisher.publish(2).unwrap();
        drop(publishing.join().unwrap());
    });
}

/// The first subscriber allocates the ring beside a publisher that has found none.
#[test]
fn ring_appears_under_a_publisher() {
    explore(Some(3), || {
        let topic = topic(2);
        let mut publisher = topic.exclusive_publisher().unwrap();
        let publishing = thread::spawn(move || {
            publisher.publish(0).unwrap();
            publisher.publish(1).unwrap();
        });
        let mut subscriber = topic.subscribe();
        publishing.join().unwrap();
        let mut next = None;
        while let Ok(event) = subscriber.recv() {
            assert!(next.is_none_or(|next| next == event));
            next = Some(event + 1);
        }
        assert!(next.is_none_or(|next| next == 2));
        assert_eq!(topic.snapshot().published, 2);
    });
}

/// The first subscriber allocates the ring beside two publishers that have found none: no sequence is given
/// to two events, and what was taken in vain is not counted.
#[test]
fn ring_appears_under_two_publishers() {
    explore(Some(2), || {
        let topic = topic(2);
        let publishers = [topic.publisher().unwrap(), topic.publisher().unwrap()];
        let [one, other] = publishers.map(|publisher| {
            thread::spawn(move || {
                let sequence = publisher.publish(0).unwrap();
                (sequence, publisher)
            })
        });
        let mut subscriber = topic.subscribe();
        let (one, _one) = one.join().unwrap();
        let (other, _other) = other.join().unwrap();
        assert_ne!(one, other);
        assert_eq!(topic.snapshot().published, 2);
        let heard = std::iter::from_fn(|| subscriber.try_recv().ok()).count();
        assert!(heard <= 2);
    });
}
