//! Programs of several topics: on a timeline, read in one order, and merged, read each in its own.
//!
//! Threads publish to topics of one timeline and read them by reactors and by merged subscribers. Nobody waits.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use ringbus::{
    Budget, Bus, MergedSubscriber, Overflow, Publisher, Reactor, Subscriber, Timeline, Topic,
    TryRecvError,
};

use super::check::{Verdict, demand};
use super::record::{MAIN, Span};
use super::threads;
use super::world::{MOST_THREADS, message};

/// Topics, who reads them from the beginning, and what each thread then does.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    capacity: usize,
    topics: usize,
    /// As of the other programs.
    stamped: bool,
    before: Vec<Open>,
    threads: Vec<Vec<Op>>,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Publish(usize),
    Batch(usize, usize),
    Open(Open),
    /// Up to so many events.
    Read(usize, usize),
    Hand(usize),
    Pause,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    /// Merged, or in the timeline's order.
    merged: bool,
    /// Which topics are lossy, one bit each; a merged subscriber is lossy by the first.
    lossy: u8,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..3_usize).prop_map(Op::Publish),
        3 => (0..3_usize, 1..5_usize).prop_map(|(topic, events)| Op::Batch(topic, events)),
        2 => open().prop_map(Op::Open),
        12 => (0..3_usize, 1..12_usize).prop_map(|(who, max)| Op::Read(who, max)),
        1 => (0..3_usize).prop_map(Op::Hand),
        2 => Just(Op::Pause),
    ]
}

fn open() -> impl Strategy<Value = Open> {
    (prop::bool::weighted(0.3), 0..8_u8).prop_map(|(merged, lossy)| Open { merged, lossy })
}

pub(crate) fn program(
    threads: RangeInclusive<usize>,
    most: usize,
) -> impl Strategy<Value = Program> {
    let capacity = (2..=6_u32).prop_map(|shift| 1_usize << shift);
    let threads = prop::collection::vec(prop::collection::vec(op(), 1..=most), threads);
    let before = prop::collection::vec(open(), 0..3);
    (capacity, 1..=3_usize, any::<bool>(), before, threads).prop_map(
        |(capacity, topics, stamped, before, threads)| Program {
            capacity,
            topics,
            stamped,
            before,
            threads,
        },
    )
}

/// What was seen of a program that ran.
#[derive(Clone, Debug, Default)]
struct Record {
    topics: usize,
    attempts: Vec<Attempt>,
    readings: Vec<Reading>,
    failures: Vec<String>,
}

/// Events that were published to one topic, with adjacent sequences.
#[derive(Clone, Debug)]
struct Attempt {
    span: Span,
    topic: usize,
    ids: Vec<u64>,
    first: u64,
}

/// What one reader was shown.
#[derive(Clone, Debug)]
struct Reading {
    opened: Span,
    /// In the order of a timeline.
    ordered: bool,
    lossy: u8,
    seen: Vec<Seen>,
    /// Events missed, for each topic; of a merged one all of them, at the first.
    missed: [u64; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    topic: usize,
    id: u64,
    /// On the timeline; not known to a merged subscriber.
    place: Option<u64>,
}

/// What a reactor's handlers write down.
#[derive(Default)]
struct Notes {
    seen: Vec<Seen>,
    missed: [u64; 3],
}

enum Reader {
    Ordered(Box<(Reactor<Notes>, Notes)>),
    Merged(Box<(MergedSubscriber<u64>, Notes)>),
}

struct Held {
    reader: Reader,
    opened: Span,
    lossy: u8,
}

struct Common {
    bus: Bus,
    timeline: Timeline,
    topics: Vec<Topic<u64>>,
    clock: Option<AtomicU64>,
    handed: std::sync::Mutex<Vec<Held>>,
}

struct Worker {
    thread: usize,
    common: Arc<Common>,
    publishers: Vec<Publisher<u64>>,
    held: Vec<Held>,
    record: Record,
    events: u64,
    index: usize,
    begin: u64,
}

const OF_ALL: u8 = 0b111;

fn overflow(lossy: u8, topic: usize) -> Overflow {
    match lossy >> topic & 1 {
        0 => Overflow::Block,
        _ => Overflow::DropOldest,
    }
}

impl Worker {
    fn new(thread: usize, common: &Arc<Common>) -> Self {
        let publishers = common.topics.iter();
        Self {
            thread,
            common: Arc::clone(common),
            publishers: publishers
                .map(|topic| topic.publisher().expect("the topic is open"))
                .collect(),
            held: Vec::new(),
            record: Record::default(),
            events: 0,
            index: 0,
            begin: 0,
        }
    }

    fn now(&self, unstamped: u64) -> u64 {
        match &self.common.clock {
            _ if self.thread == MAIN => 0,
            Some(clock) => clock.fetch_add(1, Ordering::SeqCst),
            None => unstamped,
        }
    }

    fn begin(&mut self) {
        self.index += 1;
        self.begin = self.now(1);
    }

    fn span(&self) -> Span {
        Span {
            thread: self.thread,
            index: self.index,
            begin: self.begin,
            end: self.now(u64::MAX - 1),
        }
    }

    fn run(mut self, ops: Vec<Op>) -> Self {
        for op in ops {
            self.begin();
            match op {
                Op::Publish(topic) => self.publish(topic % self.publishers.len(), 1),
                Op::Batch(topic, events) => self.publish(topic % self.publishers.len(), events),
                Op::Open(open) => self.open(open),
                Op::Read(who, max) => {
                    let readers = self.held.len();
                    if let Some(held) = self.held.get_mut(who % readers.max(1)) {
                        held.reader.read(max);
                    }
                }
                Op::Hand(who) => {
                    let mut handed = super::world::lock(&self.common.handed);
                    let taken = handed.pop();
                    if !self.held.is_empty() {
                        handed.push(self.held.remove(who % self.held.len()));
                    }
                    drop(handed);
                    self.held.extend(taken);
                }
                Op::Pause => threads::yield_now(),
            }
        }
        self
    }

    fn publish(&mut self, topic: usize, events: usize) {
        let first = self.events;
        self.events += events as u64;
        let ids = (first..self.events).map(|number| number * MOST_THREADS + self.thread as u64);
        let ids: Vec<u64> = ids.collect();
        let publisher = &self.publishers[topic];
        let sequence = match ids[..] {
            [id] => publisher.try_publish(id).ok(),
            _ => {
                let range = publisher.try_publish_batch(ids.iter().copied()).ok();
                range.map(|range| range.start)
            }
        };
        if let Some(first) = sequence {
            let span = self.span();
            self.record.attempts.push(Attempt {
                span,
                topic,
                ids,
                first,
            });
        }
    }

    fn open(&mut self, open: Open) {
        let common = Arc::clone(&self.common);
        let opened = match open.merged {
            true => self.open_merged(open.lossy),
            false => Reader::ordered(&common, open.lossy),
        };
        // Of lossy ones a small ring takes few.
        if let Some(reader) = opened {
            let merged = matches!(reader, Reader::Merged(_));
            let opened = self.span();
            self.held.push(Held {
                reader,
                opened,
                lossy: match (merged, open.lossy & 1) {
                    (true, 1) => OF_ALL,
                    (true, _) => 0,
                    (false, _) => open.lossy,
                },
            });
        }
    }

    fn open_merged(&self, lossy: u8) -> Option<Reader> {
        let builder = self.common.bus.pattern_subscriber::<u64>("t.>");
        let builder = builder.expect("it is a pattern");
        let merged = builder.overflow(overflow(lossy, 0)).open().ok()?;
        Some(Reader::Merged(Box::new((merged, Notes::default()))))
    }
}

impl Reader {
    fn ordered(common: &Common, lossy: u8) -> Option<Self> {
        let mut reactor = Reactor::<Notes>::new();
        let subscribers: Vec<Subscriber<u64>> = common
            .topics
            .iter()
            .enumerate()
            .map(|(topic, of)| of.subscriber().overflow(overflow(lossy, topic)).open().ok())
            .collect::<Option<_>>()?;
        for (topic, subscriber) in subscribers.into_iter().enumerate() {
            let mut order = reactor.timeline(&common.timeline);
            let id = order.on(subscriber, move |notes: &mut Notes, &id, cx| {
                notes.seen.push(Seen {
                    topic,
                    id,
                    place: cx.place(),
                });
            });
            reactor.on_missed(id, move |notes, missed, _| notes.missed[topic] += missed);
        }
        Some(Self::Ordered(Box::new((reactor, Notes::default()))))
    }

    /// Tells whether there may be more, now or later.
    fn read(&mut self, max: usize) -> bool {
        match self {
            Self::Ordered(reading) => {
                let (reactor, notes) = &mut **reading;
                let _ = reactor.turn(notes, Budget::events(max as u64));
                reactor.snapshot().open > 0
            }
            Self::Merged(reading) => {
                let (merged, Notes { seen, missed }) = &mut **reading;
                let shown = merged.poll(max, |&id, meta| {
                    missed[0] += meta.missed;
                    let topic = meta.topic.strip_prefix("t.");
                    let topic = topic.and_then(|number| number.parse().ok());
                    seen.push(Seen {
                        topic: topic.expect("a topic has a number"),
                        id,
                        place: None,
                    });
                });
                if shown.is_ok() {
                    return true;
                }
                // A loss that no event follows.
                match merged.try_recv() {
                    Err(TryRecvError::Missed(more)) => missed[0] += more,
                    answer => assert!(answer.is_err(), "it is told the end"),
                }
                false
            }
        }
    }
}

impl Held {
    fn into_reading(self) -> Reading {
        let (ordered, Notes { seen, missed }) = match self.reader {
            Reader::Ordered(reading) => (true, reading.1),
            Reader::Merged(reading) => (false, reading.1),
        };
        Reading {
            opened: self.opened,
            ordered,
            lossy: self.lossy,
            seen,
            missed,
        }
    }
}

/// Runs a program; says what is wrong.
pub(crate) fn run(program: &Program) -> Result<(), String> {
    let record = record(program);
    check(&record).map_err(|claim| format!("{claim}\n{record:#?}"))
}

fn record(program: &Program) -> Record {
    let bus = Bus::new();
    let timeline = Timeline::new();
    let topics: Vec<Topic<u64>> = (0..program.topics)
        .map(|number| {
            let builder = bus.topic_builder().name(format!("t.{number}"));
            let builder = builder.capacity(program.capacity).timeline(&timeline);
            builder.open().expect("the topic opens")
        })
        .collect();
    let common = Arc::new(Common {
        bus,
        timeline,
        topics,
        clock: program.stamped.then(|| AtomicU64::new(1)),
        handed: std::sync::Mutex::default(),
    });
    let mut main = Worker::new(MAIN, &common);
    for &open in &program.before {
        main.open(open);
    }
    let mut before = std::mem::take(&mut main.held);
    let mut works = Vec::new();
    for (thread, ops) in program.threads.iter().enumerate() {
        let mut worker = Worker::new(thread, &common);
        worker.held.extend(before.pop());
        let ops = ops.clone();
        let work: Box<dyn FnOnce() -> Worker + Send> = Box::new(move || worker.run(ops));
        works.push(work);
    }
    let mut record = Record {
        topics: program.topics,
        ..Record::default()
    };
    let mut held = before;
    for answer in threads::run(works, 0, || {}, || {}) {
        match answer {
            Ok(mut worker) => {
                record.attempts.append(&mut worker.record.attempts);
                held.append(&mut worker.held);
            }
            Err(payload) => record.failures.push(message(&*payload)),
        }
    }
    held.append(&mut super::world::lock(&common.handed));
    // Nobody publishes or reads now.
    common.bus.close();
    for mut held in held {
        let mut turns = 0;
        while held.reader.read(5) {
            turns += 1;
            if turns == 10_000 {
                let claim = "a closed timeline is read to its end";
                record.failures.push(claim.to_string());
                break;
            }
        }
        record.readings.push(held.into_reading());
    }
    record
}

/// Whether the record is one of topics that do what they promise; says what is wrong otherwise.
fn check(record: &Record) -> Verdict {
    if let Some(failure) = record.failures.first() {
        return Err(failure.clone());
    }
    let mut published = HashMap::new();
    for attempt in &record.attempts {
        for (sequence, &id) in (attempt.first..).zip(&attempt.ids) {
            published.insert((attempt.topic, id), (sequence, attempt));
        }
    }
    let mut places: HashMap<(usize, u64), u64> = HashMap::new();
    for (number, reading) in record.readings.iter().enumerate() {
        check_reading(record, reading, &published)
            .map_err(|claim| format!("reader {number}: {claim}"))?;
        for seen in &reading.seen {
            let Some(place) = seen.place else { continue };
            let known = *places.entry((seen.topic, seen.id)).or_insert(place);
            demand!(
                known == place,
                "event {} has the places {known} and {place}",
                seen.id
            );
        }
    }
    check_places(&published, &places)
}

type Published<'a> = HashMap<(usize, u64), (u64, &'a Attempt)>;

/// Each topic in its order, and what is owed; a timeline in the order of its places.
fn check_reading(record: &Record, reading: &Reading, published: &Published<'_>) -> Verdict {
    let mut last = [None; 3];
    let mut last_place = None;
    for seen in &reading.seen {
        let id = seen.id;
        let Some((sequence, attempt)) = published.get(&(seen.topic, id)) else {
            return Err(format!("event {id} is seen, and was never published"));
        };
        demand!(
            last[seen.topic] < Some(*sequence),
            "event {id} of topic {} is seen after {:?}",
            seen.topic,
            last[seen.topic]
        );
        last[seen.topic] = Some(*sequence);
        demand!(
            !attempt.span.is_before(&reading.opened),
            "event {id} is seen, and was published before"
        );
        demand!(
            seen.place.is_some() == reading.ordered,
            "event {id} is seen at the place {:?}",
            seen.place
        );
        demand!(
            !reading.ordered || last_place < seen.place,
            "event {id} at {:?} is seen after {last_place:?}",
            seen.place
        );
        last_place = seen.place;
    }
    let merged = !reading.ordered;
    let mut in_all = (0, 0, 0);
    for topic in 0..record.topics {
        let of_topic = record.attempts.iter().filter(|one| one.topic == topic);
        let (mut least, mut most) = (0, 0);
        for attempt in of_topic {
            let events = attempt.ids.len() as u64;
            if reading.opened.is_before(&attempt.span) {
                least += events;
            }
            if !attempt.span.is_before(&reading.opened) {
                most += events;
            }
        }
        let seen = reading.seen.iter().filter(|seen| seen.topic == topic);
        let seen = seen.count() as u64;
        in_all = (in_all.0 + least, in_all.1 + seen, in_all.2 + most);
        if reading.lossy >> topic & 1 == 0 {
            demand!(
                merged || reading.missed[topic] == 0,
                "a lossless reader missed {} of topic {topic}",
                reading.missed[topic]
            );
            demand!(
                (least..=most).contains(&seen),
                "{seen} events of topic {topic} are seen of {least} to {most}"
            );
        } else if !merged {
            let known = seen + reading.missed[topic];
            demand!(
                (least..=most).contains(&known),
                "{known} events of topic {topic} are seen or missed of {least} to {most}"
            );
        }
    }
    let (least, seen, most) = in_all;
    let known = seen + reading.missed[0];
    demand!(
        !merged || (least..=most).contains(&known),
        "{known} events are seen or missed of {least} to {most}"
    );
    Ok(())
}

/// Each place is of one event, and places come in the order of sequences and of time.
fn check_places(published: &Published<'_>, places: &HashMap<(usize, u64), u64>) -> Verdict {
    let mut all: Vec<_> = places
        .iter()
        .map(|(event, &place)| {
            let (sequence, attempt) = published[event];
            (place, event.0, sequence, event.1, attempt)
        })
        .collect();
    all.sort_by_key(|&(place, ..)| place);
    for pair in all.windows(2) {
        demand!(
            pair[0].0 < pair[1].0,
            "events {} and {} are both at the place {}",
            pair[0].3,
            pair[1].3,
            pair[0].0
        );
    }
    for (index, early) in all.iter().enumerate() {
        for late in &all[index + 1..] {
            demand!(
                early.1 != late.1 || early.2 < late.2,
                "event {} of topic {} has a place before {}",
                early.3,
                early.1,
                late.3
            );
            demand!(
                !late.4.span.is_before(&early.4.span),
                "event {} was published before {}, and has a place behind it",
                late.3,
                early.3
            );
        }
    }
    Ok(())
}

mod forged {
    use super::*;
    use crate::forged::{Forgery, all_are_found_out};

    fn span(thread: usize, index: usize, begin: u64) -> Span {
        Span {
            thread,
            index,
            begin,
            end: begin + 1,
        }
    }

    fn attempt(thread: usize, begin: u64, topic: usize, ids: &[u64], first: u64) -> Attempt {
        Attempt {
            span: span(thread, begin as usize, begin),
            topic,
            ids: ids.to_vec(),
            first,
        }
    }

    fn seen(topic: usize, id: u64, place: u64) -> Seen {
        Seen {
            topic,
            id,
            place: Some(place),
        }
    }

    fn reading(ordered: bool, lossy: u8, seen: &[Seen], missed: u64) -> Reading {
        let mut seen = seen.to_vec();
        if !ordered {
            seen.iter_mut().for_each(|seen| seen.place = None);
        }
        Reading {
            opened: Span {
                begin: 0,
                end: 0,
                ..span(MAIN, 0, 0)
            },
            ordered,
            lossy,
            seen,
            missed: [missed, 0, 0],
        }
    }

    const ORDERED: usize = 0;
    const LOSSY: usize = 1;
    const MERGED: usize = 2;
    const LOSSY_MERGED: usize = 3;

    /// Two topics, and one reader of each kind.
    fn honest() -> Record {
        let all = [
            seen(0, 0, 0),
            seen(1, 1, 1),
            seen(1, 17, 2),
            seen(0, 16, 5),
            seen(0, 2, 6),
        ];
        Record {
            topics: 2,
            attempts: vec![
                attempt(0, 1, 0, &[0], 0),
                attempt(1, 3, 1, &[1, 17], 0),
                attempt(0, 5, 0, &[16], 1),
                attempt(2, 7, 0, &[2], 2),
            ],
            readings: vec![
                reading(true, 0, &all, 0),
                reading(true, 1, &[all[1], all[2], all[4]], 2),
                reading(false, 0, &[all[1], all[0], all[3], all[2], all[4]], 0),
                reading(false, OF_ALL, &[all[2], all[4]], 3),
            ],
            failures: Vec::new(),
        }
    }

    const FORGERIES: &[Forgery<Record>] = &[
        ("an event is seen twice", "is seen after", |record| {
            let again = record.readings[MERGED].seen[0];
            record.readings[MERGED].seen.insert(1, again);
        }),
        (
            "a topic is seen the wrong way round",
            "event 16 of topic 0 is seen after",
            |record| record.readings[MERGED].seen.swap(2, 4),
        ),
        (
            "an event is seen that was never published",
            "never published",
            |record| record.readings[ORDERED].seen.push(seen(0, 77, 9)),
        ),
        (
            "an event is seen from before",
            "was published before",
            |record| record.readings[ORDERED].opened = span(3, 0, 4),
        ),
        (
            "a lossless reader does not see an event",
            "2 events of topic 0 are seen of 3 to 3",
            |record| {
                record.readings[ORDERED].seen.pop();
            },
        ),
        (
            "a merged reader does not see an event",
            "1 events of topic 1 are seen of 2 to 2",
            |record| {
                record.readings[MERGED].seen.remove(3);
            },
        ),
        (
            "a lossless reader is told of a loss",
            "a lossless reader missed 1",
            |record| record.readings[ORDERED].missed[1] = 1,
        ),
        (
            "a lossy reader is not told of a loss",
            "2 events of topic 0 are seen or missed of 3 to 3",
            |record| record.readings[LOSSY].missed[0] = 1,
        ),
        (
            "a merged reader counts too many losses",
            "6 events are seen or missed of 5 to 5",
            |record| record.readings[LOSSY_MERGED].missed[0] = 4,
        ),
        (
            "a timeline is not read in its order",
            "is seen after Some(5)",
            |record| record.readings[ORDERED].seen.swap(2, 3),
        ),
        (
            "a handler of a timeline is told no place",
            "at the place None",
            |record| record.readings[ORDERED].seen[0].place = None,
        ),
        (
            "an event has two places",
            "has the places 6 and 7",
            |record| record.readings[LOSSY].seen[2].place = Some(7),
        ),
        (
            "two events have one place",
            "are both at the place 5",
            |record| {
                record.readings[LOSSY].seen[2].place = Some(5);
                record.readings[ORDERED].seen.pop();
                record.readings[ORDERED].lossy = 1;
                record.readings[ORDERED].missed[0] = 1;
            },
        ),
        (
            "a topic's places are not in its order",
            "event 2 of topic 0 has a place before 16",
            |record| {
                record.readings[LOSSY].seen[2].place = Some(4);
                record.readings[ORDERED].seen.pop();
                record.readings[ORDERED].lossy = 1;
                record.readings[ORDERED].missed[0] = 1;
            },
        ),
        (
            "what was published first has the later place",
            "event 1 was published before 16, and has a place behind it",
            |record| {
                for reading in [ORDERED, LOSSY] {
                    let seen = &mut record.readings[reading].seen;
                    for one in seen.iter_mut().filter(|one| one.topic == 1) {
                        one.place = one.place.map(|place| place + 20);
                    }
                    seen.sort_by_key(|one| one.place);
                }
            },
        ),
        ("something went wrong on the spot", "a panic", |record| {
            record.failures.push("a panic".to_string());
        }),
    ];

    #[test]
    fn every_forged_record_of_several_topics_is_found_out() {
        all_are_found_out(honest, check, FORGERIES);
    }
}
