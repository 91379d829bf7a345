//! Steady state of a merged subscriber allocates nothing, and topics, lanes and subscribers that come and go
//! leave nothing. Alone in its binary, as the allocator counts for the whole process; and one test, as tests
//! run beside each other.

mod counting;

use counting::{allocates_nothing, leaves_nothing};
use ringbus::{Budget, Bus, Ended, Overflow, Reactor, Topic, TryRecvError};

fn open(bus: &Bus, name: &str) -> Topic<u64> {
    let topic = bus.topic_builder().name(name).capacity(16);
    topic.keep_open().open().unwrap()
}

#[test]
fn steady_state_allocates_nothing_and_what_goes_leaves_nothing() {
    let bus = Bus::new();
    let topics: Vec<_> = (0..100).map(|name| open(&bus, &name.to_string())).collect();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    let builder = bus.pattern_subscriber::<u64>("*").unwrap();
    let lossy = builder
        .overflow(Overflow::DropOldest)
        .filter(|event| event % 3 == 0);
    let mut lossy = lossy.open().unwrap();
    let mut reactor = Reactor::<u64>::new();
    reactor.on_merged(bus.subscribe_pattern("*").unwrap(), |sum, event, _, _| {
        *sum += event
    });
    reactor.on_idle(|_, cx| cx.stop());
    let (mut sum, mut turn) = (0, 0);

    // Each topic is ready, silent, armed and ready again in turn.
    allocates_nothing("reading what is ready", || {
        for event in 0..20 {
            turn += 7;
            topics[turn % topics.len()].publish(event).unwrap();
            merged.poll(64, |event, _| sum += event).unwrap();
            assert_eq!(reactor.turn(&mut sum, Budget::unlimited()).handled, 1);
            lossy.poll(64, |event, _| sum += event).unwrap();
        }
        for _ in 0..20 {
            assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
        }
        topics[turn % topics.len()].publish(1).unwrap();
        assert_eq!(reactor.run(&mut sum), Ok(Ended::Stopped));
        assert_eq!(merged.recv().unwrap().event, 1);
        lossy.poll(64, |event, _| sum += event).unwrap();
    });
    allocates_nothing("a select that times out", || {
        let event = ringbus::select! {
            delivery = merged => Some(delivery),
            default(std::time::Duration::from_micros(10)) => None,
        };
        assert!(event.is_none());
    });
    allocates_nothing("its numbers", || assert_eq!(merged.snapshot().topics, 100));

    leaves_nothing("a subscriber that comes and goes", || {
        let mut merged = bus.subscribe_pattern::<u64>("1.>").unwrap();
        assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
    });
    leaves_nothing("a reader of topics that goes before it has read", || {
        let builder = bus.pattern_subscriber::<u64>("*").unwrap();
        let newcomer = builder.overflow(Overflow::Latest).open().unwrap();
        topics[0].publish(1).unwrap();
        drop(newcomer);
        let _ = reactor.turn(&mut sum, Budget::unlimited());
        merged.poll(64, |_, _| {}).unwrap();
    });
    leaves_nothing("a topic that comes and goes", || {
        let topic = open(&bus, "brief");
        topic.publish(1).unwrap();
        topic.close();
        merged.poll(64, |_, _| {}).unwrap();
        lossy.poll(64, |_, _| {}).unwrap();
        let _ = reactor.turn(&mut sum, Budget::unlimited());
    });
    assert_eq!(merged.snapshot().topics, 100);

    let lanes = bus
        .topic_builder::<u64>()
        .capacity(16)
        .keep_open()
        .open_lanes()
        .unwrap();
    let mut merged = lanes.subscribe();
    leaves_nothing("a lane that comes and goes", || {
        lanes.publisher().unwrap().publish(1).unwrap();
        assert_eq!(merged.recv().unwrap().event, 1);
        assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
        assert_eq!(merged.snapshot().topics, 0);
        drop(lanes.subscribe());
    });
    leaves_nothing("lanes that come and go", || {
        let lanes = bus.lanes::<u64>("brief").unwrap();
        let merged = lanes.subscribe();
        lanes.publisher().unwrap().publish(1).unwrap();
        assert!(lanes.is_closed());
        drop(merged);
    });
}
