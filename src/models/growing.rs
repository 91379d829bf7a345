//! A ring that another one follows: against its reader, its publishers, joining, leaving and closing.

use loom::thread;

use super::{explore, publish, publish_shared, read, ring};
use crate::channel::{Core, Overflow, PublishError, RecvError, Settings, Topic, TryRecvError};
use crate::ring::{Found, Origin, Policy, Reader, Ring, Seat, Shape, SoleWriter, Whose};
use crate::sync::Arc;

/// Ends a ring whose members are these, and goes on in one of twice the capacity.
fn grow<'a>(ring: &'a Ring<u64>, seats: impl Iterator<Item = &'a Seat> + Clone) -> Arc<Ring<u64>> {
    let shape = Shape {
        capacity: ring.capacity() * 2,
        slots: (ring.capacity() * 2).max(4),
        first: 0,
    };
    ring.succeed(shape, seats.map(|seat| (ring, seat)))
}

/// Reads until nothing is left, also over gaps; tells what there is then.
fn read_on(reader: &mut Reader<u64>, seen: &mut Vec<(u64, u64, u64)>) -> Found {
    loop {
        match reader.find(4) {
            Found::Some => seen.extend(read(reader, 4)),
            found => return found,
        }
    }
}

fn drain_beside_a_growth(preemptions: usize, policy: Policy) {
    explore(Some(preemptions), move || {
        let ring = ring(1, 2);
        let mut reader = Reader::join(&ring, policy, Origin::Now).unwrap();
        publish_shared(&ring, 0).unwrap();
        let seat = reader.seat().clone();
        let grower = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                let successor = grow(&ring, std::iter::once(&seat));
                assert_eq!(successor.next_sequence(), 1);
                publish_shared(&successor, 1).unwrap();
            })
        };
        let mut seen = read(&mut reader, 2);
        seen.extend(read(&mut reader, 2));
        assert_ne!(reader.find(1), Found::Closed);
        grower.join().unwrap();
        read_on(&mut reader, &mut seen);
        match policy {
            Policy::Newest => {
                assert_eq!(seen.iter().map(|(_, _, missed)| missed + 1).sum::<u64>(), 2)
            }
            _ => assert_eq!(seen, [(0, 0, 0), (1, 1, 0)]),
        }
        assert_eq!(reader.find(1), Found::Empty);
    });
}

/// A reader that drains while its ring is ended sees each event once, in order, and no close.
#[test]
fn drain_beside_a_growth_lossless() {
    drain_beside_a_growth(5, Policy::Lossless);
}

#[test]
fn drain_beside_a_growth_lossy() {
    drain_beside_a_growth(4, Policy::Lossy);
}

#[test]
fn drain_beside_a_growth_newest() {
    drain_beside_a_growth(4, Policy::Newest);
}

/// A claim in flight when the ring is ended is carried out before the end or refused; none is lost and none
/// is read behind the end.
#[test]
fn claim_beside_a_growth() {
    explore(Some(3), || {
        let ring = ring(4, 4);
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        // So that the next claim needs no plan, whose lock would show it the end.
        publish_shared(&ring, 0).unwrap();
        let publisher = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                (1..3)
                    .filter(|&event| publish_shared(&ring, event).is_ok())
                    .count() as u64
            })
        };
        let seat = reader.seat().clone();
        let grower = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                let successor = grow(&ring, std::iter::once(&seat));
                publish_shared(&successor, 7).unwrap();
            })
        };
        let mut seen = read(&mut reader, 4);
        let accepted = publisher.join().unwrap();
        grower.join().unwrap();
        read_on(&mut reader, &mut seen);
        let events: Vec<_> = seen.iter().map(|&(_, event, _)| event).collect();
        let expected: Vec<_> = (0..=accepted).chain([7]).collect();
        assert_eq!(events, expected);
        assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
    });
}

/// Publishers of the new ring wait for a reader that is still in the old one, and overwrite nothing under it;
/// what it has read there makes room once they look behind.
#[test]
fn successor_waits_for_a_reader_in_the_old_ring() {
    explore(Some(3), || {
        let ring = ring(1, 1);
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        publish_shared(&ring, 0).unwrap();
        let seat = reader.seat().clone();
        let shape = Shape {
            capacity: 2,
            slots: 2,
            first: 0,
        };
        let successor = ring.succeed(shape, std::iter::once((&*ring, &seat)));
        let publisher = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                let mut accepted = 1;
                for _ in 0..2 {
                    while accepted < 5 && publish_shared(&successor, accepted).is_ok() {
                        accepted += 1;
                    }
                    successor.look_behind(std::iter::once((&*ring, &seat)));
                }
                accepted
            })
        };
        let mut seen = read(&mut reader, 1);
        seen.extend(read(&mut reader, 1));
        let accepted = publisher.join().unwrap();
        // Never more unread than the capacity.
        assert!(accepted <= seen.len() as u64 + 2);
        read_on(&mut reader, &mut seen);
        let expected: Vec<_> = (0..accepted).map(|event| (event, event, 0)).collect();
        assert_eq!(seen, expected);
        assert!(accepted >= 2);
    });
}

/// A lossy reader in the old ring is pushed in the new one while it comes to it; what it misses is counted.
#[test]
fn lossy_reader_is_overtaken_on_its_way() {
    explore(Some(3), || {
        let ring = ring(2, 2);
        let mut reader = Reader::join(&ring, Policy::Lossy, Origin::Now).unwrap();
        publish_shared(&ring, 0).unwrap();
        let seat = reader.seat().clone();
        let shape = Shape {
            capacity: 2,
            slots: 2,
            first: 0,
        };
        let successor = ring.succeed(shape, std::iter::once((&*ring, &seat)));
        let publisher = thread::spawn(move || {
            let mut writer = SoleWriter::new(successor);
            for event in 1..5 {
                publish(&mut writer, event).expect("a lossy reader is never waited for");
            }
        });
        let mut seen = read(&mut reader, 2);
        seen.extend(read(&mut reader, 2));
        publisher.join().unwrap();
        read_on(&mut reader, &mut seen);
        let mut expected = 0;
        for (_, event, missed) in seen {
            assert_eq!(event, expected + missed);
            expected = event + 1;
        }
        assert_eq!(expected, 5);
    });
}

fn topic(capacity: usize, grow_to: usize) -> Topic<u64> {
    let settings = Settings {
        capacity,
        grow_to: Some(grow_to),
        keep_open: true,
        ..Settings::default()
    };
    Topic::of(Core::new(None, settings))
}

/// Two publishers meet a full ring; one makes the next, and both go on there.
#[test]
fn two_publishers_meet_a_full_ring() {
    explore(Some(2), || {
        let topic = topic(1, 4);
        let mut subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        publisher.publish(0).unwrap();
        let other = {
            let publisher = publisher.clone();
            thread::spawn(move || publisher.try_publish(1).unwrap())
        };
        publisher.try_publish(2).unwrap();
        other.join().unwrap();
        assert_eq!(topic.capacity(), 4);
        let seen: Vec<_> = (0..3).map(|_| subscriber.recv().unwrap()).collect();
        assert_eq!(seen[0], 0);
        assert_eq!(seen[1] + seen[2], 3);
    });
}

/// A reader that sleeps at the end of the old ring is woken by what is published in the new one.
#[test]
fn sleeping_reader_moves_over() {
    explore(Some(3), || {
        let topic = topic(1, 2);
        let mut slow = topic.subscribe();
        let mut subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        let sender = thread::spawn(move || {
            publisher.publish(0).unwrap();
            publisher.publish(1).unwrap();
        });
        assert_eq!(subscriber.recv(), Ok(0));
        assert_eq!(subscriber.recv(), Ok(1));
        sender.join().unwrap();
        assert_eq!(slow.recv(), Ok(0));
        assert_eq!(slow.recv(), Ok(1));
    });
}

/// A publisher that waits at the bound is woken by a reader that is still in the old ring.
#[test]
fn blocked_publisher_looks_behind() {
    explore(Some(3), || {
        let topic = topic(1, 2);
        let mut subscriber = topic.subscribe();
        let mut publisher = topic.exclusive_publisher().unwrap();
        publisher.publish(0).unwrap();
        publisher.publish(1).unwrap();
        let sender = thread::spawn(move || publisher.publish(2).unwrap());
        assert_eq!(subscriber.recv(), Ok(0));
        sender.join().unwrap();
        assert_eq!(subscriber.recv(), Ok(1));
        assert_eq!(subscriber.recv(), Ok(2));
    });
}

/// A subscriber that joins beside a growth sees everything from its start on.
#[test]
fn join_beside_a_growth() {
    explore(Some(3), || {
        let topic = topic(1, 2);
        let mut first = topic.subscribe();
        let mut publisher = topic.exclusive_publisher().unwrap();
        publisher.publish(0).unwrap();
        let sender = thread::spawn(move || {
            publisher.publish(1).unwrap();
            publisher
        });
        let mut subscriber = topic.subscribe();
        let mut publisher = sender.join().unwrap();
        assert_eq!(first.recv(), Ok(0));
        publisher.publish(2).unwrap();
        let seen = [subscriber.try_recv(), subscriber.try_recv()];
        assert!(seen == [Ok(1), Ok(2)] || seen == [Ok(2), Err(TryRecvError::Empty)]);
        assert_eq!(first.recv(), Ok(1));
        assert_eq!(first.recv(), Ok(2));
    });
}

/// The subscriber in the way leaves while its seat is taken over to the new ring; nobody is waited for then.
#[test]
fn leave_beside_a_growth() {
    explore(Some(3), || {
        let topic = topic(1, 2);
        let subscriber = topic.subscribe();
        let mut publisher = topic.exclusive_publisher().unwrap();
        publisher.publish(0).unwrap();
        let leaving = thread::spawn(move || drop(subscriber));
        publisher.publish(1).unwrap();
        leaving.join().unwrap();
        for event in 2..5 {
            publisher.try_publish(event).unwrap();
        }
    });
}

/// Every publish that was accepted before the close is read, whichever ring it went to; then the close.
#[test]
fn close_beside_a_growth() {
    explore(Some(2), || {
        let topic = topic(1, 2);
        let mut subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        publisher.publish(0).unwrap();
        let closer = {
            let topic = topic.clone();
            thread::spawn(move || topic.close())
        };
        let sender = thread::spawn(move || publisher.publish(1));
        assert_eq!(subscriber.recv(), Ok(0));
        let second = subscriber.recv();
        closer.join().unwrap();
        match sender.join().unwrap() {
            Ok(_) => {
                assert_eq!(second, Ok(1));
                assert_eq!(subscriber.recv(), Err(RecvError::Closed));
            }
            Err(refused) => {
                assert_eq!(refused, PublishError::Closed(1));
                assert_eq!(second, Err(RecvError::Closed));
            }
        }
    });
}

/// Two threads claim what is left of a lossy reader's account: its numbers add up once all is quiet.
#[test]
fn numbers_add_up_after_a_growth() {
    explore(Some(3), || {
        let topic = topic(1, 2);
        let mut slow = topic.subscribe();
        let mut lossy = topic
            .subscriber()
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap();
        let publisher = topic.publisher().unwrap();
        let sender = thread::spawn(move || {
            publisher.publish(0).unwrap();
            publisher.publish(1).unwrap();
        });
        lossy.poll(2, |_, _| ()).unwrap();
        sender.join().unwrap();
        slow.poll(1, |_, _| ()).unwrap();
        for numbers in topic.snapshot().subscribers {
            assert_eq!(numbers.published, 2);
            assert_eq!(
                numbers.published,
                numbers.delivered + numbers.missed + numbers.pending
            );
        }
    });
}

/// A plan in the old ring pushes a lossy reader just before that is ended; what it pushed is counted once.
#[test]
fn lossy_reader_pushed_beside_a_growth() {
    explore(Some(2), || {
        let ring = ring(2, 2);
        let mut reader = Reader::join(&ring, Policy::Expendable, Origin::Now).unwrap();
        publish_shared(&ring, 0).unwrap();
        publish_shared(&ring, 1).unwrap();
        let publisher = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || u64::from(publish_shared(&ring, 2).is_ok()))
        };
        let joined = reader.seat().clone();
        let seat = joined.clone();
        let grower = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                let successor = grow(&ring, std::iter::once(&seat));
                publish_shared(&successor, 3).unwrap();
            })
        };
        let sent = 3 + publisher.join().unwrap();
        grower.join().unwrap();
        let mut seen = Vec::new();
        let found = read_on(&mut reader, &mut seen);
        let standings = ring.standings(&joined);
        if found == Found::Empty {
            assert_eq!(seen.len() as u64, sent);
        } else {
            // It was cut off in the old ring, is told so there, and is nothing to the new one.
            assert!(matches!(found, Found::Expelled(_)));
            assert_eq!(reader.find(1), Found::Closed);
            assert_eq!(ring.standings(&joined).pending, 0);
        }
        assert_eq!(
            standings.published,
            standings.delivered + standings.missed + standings.pending
        );
    });
}

/// Who looks whether the topic is closed does not take the end of a ring that is being replaced for it.
#[test]
fn look_beside_a_growth() {
    explore(Some(3), || {
        let topic = topic(1, 2);
        let _subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        publisher.publish(0).unwrap();
        let looking = {
            let topic = topic.clone();
            thread::spawn(move || assert!(!topic.core().looks_closed()))
        };
        publisher.try_publish(1).unwrap();
        looking.join().unwrap();
    });
}

/// Which thread reads is known in the new ring, whether it was noted before that ring was there or after.
#[test]
fn thread_noted_beside_a_growth() {
    explore(None, || {
        let ring = ring(1, 2);
        let joining = Arc::clone(&ring);
        let joiner =
            thread::spawn(move || Reader::join(&joining, Policy::Lossless, Origin::Now).unwrap());
        let mut reader = joiner.join().unwrap();
        let seat = reader.seat().clone();
        let grower = thread::spawn(move || grow(&ring, std::iter::once(&seat)));
        reader.note_thread();
        let successor = grower.join().unwrap();
        let in_the_way = successor.crowd_before_shared(successor.capacity() + 1);
        assert_eq!(in_the_way, Some(Whose::ReadHere));
    });
}
