//! Random programs of topics that come and go, against what each reader must have seen.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ringbus::{Budget, Bus, MergedSubscriber, Overflow, Reactor, Topic};

const NAMES: [&str; 5] = ["a", "b", "a.b", "a.c", "b.c.d"];
const PATTERNS: [&str; 4] = ["*", "a.*", ">", "b.>"];
const CAPACITY: usize = 4;

/// Which opening of a topic, and which of its events.
type Event = (usize, u64);

#[derive(Clone, Debug)]
enum Step {
    Open(usize),
    Publish(usize),
    Close(usize),
    Subscribe(usize),
    Unsubscribe(usize),
    Poll(usize, usize),
    Recv(usize),
    Turn(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    let pattern = 0..PATTERNS.len();
    prop_oneof![
        2 => name.clone().prop_map(Step::Open),
        8 => name.clone().prop_map(Step::Publish),
        1 => name.prop_map(Step::Close),
        1 => pattern.clone().prop_map(Step::Subscribe),
        1 => pattern.clone().prop_map(Step::Unsubscribe),
        3 => (pattern.clone(), 0..20_usize).prop_map(|(pattern, max)| Step::Poll(pattern, max)),
        3 => pattern.prop_map(Step::Recv),
        3 => (0..20_u64).prop_map(Step::Turn),
    ]
}

fn naive(pattern: &str, name: &str) -> bool {
    match pattern {
        "*" => !name.contains('.'),
        "a.*" => name.starts_with("a.") && name.matches('.').count() == 1,
        ">" => true,
        "b.>" => name.starts_with("b."),
        _ => unreachable!(),
    }
}

/// What is still to be read, by opening; and whether that is all.
type Expected = BTreeMap<usize, Vec<Event>>;

#[track_caller]
fn take(expected: &mut Expected, event: Event) {
    let events = expected.get_mut(&event.0).expect("it is followed");
    assert_eq!(events.remove(0), event, "not the next of its topic");
}

fn left(expected: &Expected) -> usize {
    expected.values().map(Vec::len).sum()
}

struct Reader {
    merged: MergedSubscriber<Event>,
    expected: Expected,
}

fn run(steps: &[Step]) {
    let bus = Bus::new();
    let mut open: BTreeMap<usize, (Topic<Event>, usize, u64)> = BTreeMap::new();
    let mut openings = 0;
    let mut readers: BTreeMap<usize, Reader> = BTreeMap::new();
    // Follows everything, from the beginning, in turns.
    let mut reactor = Reactor::<Expected>::new();
    reactor.on_merged(
        bus.subscribe_pattern(">").unwrap(),
        |expected: &mut Expected, event, _, _| {
            take(expected, *event);
        },
    );
    let mut turns = Expected::new();
    // Loses, and is told how much.
    let builder = bus.pattern_subscriber::<Event>(">").unwrap();
    let mut lossy = builder.overflow(Overflow::DropOldest).open().unwrap();
    let mut told = BTreeMap::<usize, u64>::new();

    for step in steps {
        match *step {
            Step::Open(name) => {
                let builder = bus.topic_builder().name(NAMES[name]).capacity(CAPACITY);
                let topic = builder.keep_open().open().unwrap();
                open.entry(name).or_insert_with(|| {
                    openings += 1;
                    (topic, openings, 0)
                });
            }
            Step::Publish(name) => {
                let Some((topic, opening, next)) = open.get_mut(&name) else {
                    continue;
                };
                let event = (*opening, *next);
                let follows = |pattern: &usize| naive(PATTERNS[*pattern], NAMES[name]);
                let behind =
                    |expected: &Expected| expected.get(opening).map_or(0, Vec::len) == CAPACITY;
                let full = behind(&turns)
                    || readers
                        .iter()
                        .any(|(pattern, reader)| follows(pattern) && behind(&reader.expected));
                let published = topic.publisher().unwrap().try_publish(event);
                assert_eq!(published.is_err(), full, "{step:?}");
                if full {
                    continue;
                }
                *next += 1;
                turns.entry(*opening).or_default().push(event);
                for (pattern, reader) in &mut readers {
                    if follows(pattern) {
                        reader.expected.entry(*opening).or_default().push(event);
                    }
                }
            }
            Step::Close(name) => {
                if let Some((topic, ..)) = open.remove(&name) {
                    topic.close();
                }
            }
            Step::Subscribe(pattern) => {
                readers.entry(pattern).or_insert_with(|| Reader {
                    merged: bus.subscribe_pattern(PATTERNS[pattern]).unwrap(),
                    expected: Expected::new(),
                });
            }
            Step::Unsubscribe(pattern) => drop(readers.remove(&pattern)),
            Step::Poll(pattern, max) => {
                if let Some(Reader { merged, expected }) = readers.get_mut(&pattern) {
                    let there = left(expected);
                    let shown = merged.poll(max, |event, meta| {
                        assert_eq!((meta.missed, meta.sequence), (0, event.1));
                        take(expected, *event);
                    });
                    assert_eq!(shown, Ok(there.min(max)));
                }
            }
            Step::Recv(pattern) => {
                if let Some(Reader { merged, expected }) = readers.get_mut(&pattern) {
                    match merged.try_recv() {
                        Ok(delivery) => take(expected, delivery.event),
                        Err(_) => assert_eq!(left(expected), 0),
                    }
                }
                lossy
                    .poll(3, |event, meta| {
                        let next = told.entry(event.0).or_default();
                        assert_eq!(event.1, *next + meta.missed);
                        *next = event.1 + 1;
                    })
                    .unwrap();
            }
            Step::Turn(events) => {
                let there = left(&turns) as u64;
                let turn = reactor.turn(&mut turns, Budget::events(events));
                let handled = there.min(events);
                assert_eq!((turn.handled, turn.pending), (handled, there - handled));
            }
        }
    }
    bus.close();
    for Reader { merged, expected } in readers.values_mut() {
        while merged.poll(64, |event, _| take(expected, *event)).is_ok() {}
        assert_eq!((left(expected), merged.snapshot().topics), (0, 0));
    }
    assert_eq!(reactor.run(&mut turns), Ok(ringbus::Ended::Closed));
    assert_eq!(left(&turns), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 5 } else { 400 }))]

    #[test]
    fn readers_of_patterns_see_what_they_must(steps in prop::collection::vec(step(), 1..120)) {
        run(&steps);
    }
}
