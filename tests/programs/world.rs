//! Running a program, and writing down what is seen.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ringbus::{
    Bus, DeadLetter, Editor, LetterCause, MAX_SEQUENCE, Observer, Overflow, Subscriber, Topic,
};

use super::editor::Editing;
use super::event::{Event, Planned, Yard, blow};
use super::group::Crew;
use super::handle::Handle;
use super::program::{Extra, Nature, Program, Terms};
use super::publishing::AnyPublisher;
use super::record::{Facts, Letter, MAIN, Membership, Numbers, Place, Record, Span};
use super::stage::{EDITOR, Eyes, Standings};
use super::threads;
use super::worker::Worker;

/// An event's number tells its thread, modulo this.
pub(crate) const MOST_THREADS: u64 = 16;

/// What the threads of a program share.
pub(crate) struct Common {
    pub(crate) topic: Topic<Event>,
    pub(crate) yard: Arc<Yard>,
    clock: Option<AtomicU64>,
    /// Subscribers that are on their way from one thread to another.
    pub(crate) handed: Mutex<Vec<Handle>>,
    pub(crate) names: AtomicU64,
    pub(crate) leaked: AtomicBool,
    /// Batches are taken out of their iterators before any of them is published.
    pub(crate) watched: bool,
    pub(crate) closes: Mutex<Vec<Span>>,
    /// What each thread waits for, if it does.
    pub(crate) waits: Vec<Mutex<Option<Wait>>>,
    /// Some come after others.
    pub(crate) staged: bool,
    pub(crate) standings: Standings,
    crews: OnceLock<Vec<Crew>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Wait {
    /// For an event, with this subscriber.
    Event(String),
    /// For an event, with this subscriber or editor, which comes after others.
    Behind(String, Vec<usize>),
    /// For an event, as a member of this group, which may come after others.
    Group(usize, Vec<usize>),
    /// For room for so many events.
    Room(usize),
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When what lasts until the end ends.
pub(crate) fn after_all() -> Span {
    Span {
        thread: MAIN,
        index: usize::MAX,
        begin: u64::MAX,
        end: u64::MAX,
    }
}

/// Runs a program on real threads, or on the scheduler's, and tells what was seen.
pub(crate) fn run(program: &Program) -> Record {
    let setup = &program.setup;
    let bus = Bus::new();
    let letters = bus.topic::<DeadLetter<Event>>();
    let mut dead = letters.subscribe();
    let mut builder = bus
        .topic_builder::<Event>()
        .capacity(setup.capacity)
        .first_sequence(setup.first_sequence);
    if setup.keep_open {
        builder = builder.keep_open();
    }
    builder = match setup.extra {
        Extra::Retain(events) => builder.retain(events),
        Extra::GrowTo(events) => builder.grow_to(events),
        Extra::MissedLetters => builder.missed_letters_to(&letters),
        Extra::Nothing | Extra::UnheardLetters => builder,
    };
    let bounds = "the setup is within its bounds";
    let (topic, editors) = match setup.editors {
        0 => (builder.open().expect(bounds), Vec::new()),
        1 => {
            let (topic, editors) = builder.open_edited(["e0"]).expect(bounds);
            (topic, Vec::from(editors))
        }
        _ => {
            let (topic, editors) = builder.open_edited(["e0", "e1"]).expect(bounds);
            (topic, Vec::from(editors))
        }
    };
    if setup.extra == Extra::UnheardLetters {
        topic.dead_letters_to(&letters).expect("letters are open");
    }
    let shown = Arc::new(Mutex::new(Vec::new()));
    let observer = setup.observed.then(|| observe(&topic, &shown));

    let common = Arc::new(Common {
        topic: topic.clone(),
        yard: Yard::new(),
        clock: setup.stamped.then(|| AtomicU64::new(1)),
        handed: Mutex::default(),
        names: AtomicU64::new(0),
        leaked: AtomicBool::new(false),
        watched: setup.observed
            || matches!(setup.extra, Extra::MissedLetters | Extra::UnheardLetters),
        closes: Mutex::default(),
        waits: program.threads.iter().map(|_| Mutex::default()).collect(),
        staged: setup.staged,
        standings: Standings::default(),
        crews: OnceLock::new(),
    });
    let mut main = Worker::new(MAIN, &common, None);
    let mut workers: Vec<_> = (0..program.threads.len())
        .map(|thread| {
            let publisher = match setup.exclusive {
                true if thread > 0 => None,
                true => topic
                    .exclusive_publisher()
                    .ok()
                    .map(AnyPublisher::Exclusive),
                false => topic.publisher().ok().map(AnyPublisher::Shared),
            };
            Worker::new(thread, &common, publisher)
        })
        .collect();
    for (number, editor) in editors.into_iter().enumerate() {
        let editing = edit(&common, editor, number as u64, setup.first_sequence);
        let to = number % workers.len();
        workers[to].handles.push(Handle::Editor(editing));
    }
    for (number, &open) in program.before.iter().enumerate() {
        main.join(open);
        let opened = std::mem::take(&mut main.handles);
        let to = number % workers.len();
        workers[to].handles.extend(opened);
    }
    common.form(&setup.groups);
    let kept = (0..setup.groups.len()).filter(|&group| setup.groups[group].kept);
    let mut left: Vec<_> = kept
        .flat_map(|group| main.enrol(group))
        .map(Handle::Grouped)
        .collect();

    let works = workers
        .into_iter()
        .zip(&program.threads)
        .map(|(worker, ops)| {
            let ops = ops.clone();
            let work: Box<dyn FnOnce() -> Worker + Send> = Box::new(move || worker.run(ops));
            work
        })
        .collect();
    let slept = Arc::new(Mutex::new(None));
    let rescue = {
        let common = Arc::clone(&common);
        let slept = Arc::clone(&slept);
        move || {
            *lock(&slept) = common.sleeper();
            let begin = common.now(1);
            common.topic.close();
            lock(&common.closes).push(Span {
                thread: MAIN - 1,
                index: 0,
                begin,
                end: common.now(u64::MAX - 1),
            });
        }
    };
    let warden = Arc::new(Mutex::new(Worker::new(MAIN - 1, &common, None)));
    let relieve = {
        let warden = Arc::clone(&warden);
        let common = Arc::clone(&common);
        move || {
            // With stages some wait, also after the close, for what nobody reads any more.
            let handles = match common.staged {
                true => std::mem::take(&mut *lock(&common.handed)),
                false => Vec::new(),
            };
            for handle in handles {
                let mut warden = lock(&warden);
                warden.begin();
                handle.leave(&mut warden);
            }
        }
    };
    let mut born = Vec::new();
    for answer in threads::run(works, setup.patience, rescue, relieve) {
        match answer {
            Ok(worker) => {
                let (record, members, events) = worker.into_parts();
                main.record.add(record);
                left.extend(members);
                born.extend(events);
            }
            Err(payload) => main.record.failures.push(message(&*payload)),
        }
    }
    left.append(&mut lock(&common.handed));
    main.record.add(std::mem::take(&mut lock(&warden).record));
    drop(warden);
    main.record.failures.extend(lock(&slept).take());

    // Nobody publishes or reads now.
    common.yard.disarm();
    let numbers = |all: &[Crew]| -> Vec<_> {
        let numbers = all.iter().map(|crew| crew.numbers(&topic));
        numbers.collect()
    };
    let before = numbers(common.crews());
    let keepers = main.finish(left);
    let after = numbers(common.crews());
    keepers
        .into_iter()
        .for_each(|handle| handle.leave(&mut main));
    let (mut record, _, _) = main.into_parts();
    record.published = topic.snapshot().published;
    record.closes = std::mem::take(&mut lock(&common.closes));
    record.facts = Facts {
        first_sequence: setup.first_sequence,
        capacity: topic.max_capacity() as u64,
        stays_open: setup.keep_open && setup.first_sequence < MAX_SEQUENCE / 2,
        observed: setup.observed,
        leaked: common.leaked.load(Ordering::Relaxed),
    };
    drop(observer);
    record.shown = std::mem::take(&mut lock(&shown));
    record.letters = read_letters(&mut dead);
    let yard = Arc::clone(&common.yard);
    let mut common = Arc::into_inner(common).expect("the threads have ended");
    let crews = common.crews.take().unwrap_or_default();
    record.groups = crews
        .into_iter()
        .zip(before.into_iter().zip(after))
        .map(|(crew, (before, after))| crew.into_record(before.into_iter().chain(after).collect()))
        .collect();
    drop((topic, common));
    // The ring gives up what was missed and still lay in it.
    record.letters.extend(read_letters(&mut dead));
    drop((dead, letters, bus));
    record.drops = born
        .into_iter()
        .map(|(id, dropped)| (id, dropped.load(Ordering::Relaxed)))
        .collect();
    record.clones = yard.clones();
    record
}

/// An editor, which is there before everything.
fn edit(common: &Common, editor: Editor<Event>, number: u64, first: u64) -> Editing {
    let name = format!("e{number}");
    let before = common.standings.before(&[]);
    let standing = common.standings.add(&name, before.after.clone(), EDITOR);
    Editing {
        name,
        editor,
        eyes: Eyes::new(common.standings.turns(standing), before.ahead),
        membership: Membership {
            overflow: Overflow::Block,
            opened: Span {
                thread: MAIN,
                index: 0,
                begin: 0,
                end: 0,
            },
            from_now: true,
            position: first,
            left: after_all(),
            sightings: Vec::new(),
            place: Place {
                number: standing,
                after: before.after,
                editor: Some(number),
                ..Place::default()
            },
        },
    }
}

fn observe(topic: &Topic<Event>, shown: &Arc<Mutex<Vec<u64>>>) -> Observer {
    let shown = Arc::clone(shown);
    topic.observe_with(0, move |event| {
        lock(&shown).push(event.id());
        match event.nature() {
            Nature::Unwelcome => ControlFlow::Break(()),
            Nature::Shocking => blow(Planned::Observer),
            _ => ControlFlow::Continue(()),
        }
    })
}

fn read_letters(dead: &mut Subscriber<DeadLetter<Event>>) -> Vec<Letter> {
    let mut letters = Vec::new();
    while dead.poll(64, |letter, _| {
        letters.push(Letter {
            id: letter.event.id(),
            sequence: letter.sequence,
            missed: letter.cause == LetterCause::Missed,
        });
    }) != Ok(0)
    {}
    letters
}

pub(crate) fn message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied());
    match (text, payload.downcast_ref::<Planned>()) {
        (Some(text), _) => text.to_string(),
        (None, Some(planned)) => format!("{planned:?} panicked where it must not reach"),
        (None, None) => "a panic without a message".to_string(),
    }
}

impl Common {
    /// Settles what the groups will be.
    fn form(&self, groups: &[Terms]) {
        let crews = groups.iter().enumerate().map(|(number, &terms)| {
            let before = self.standings.before(&[terms.after]);
            let stage = before.stages.into_iter().next();
            Crew::new(
                format!("g{number}"),
                terms,
                stage,
                before.after,
                before.ahead,
            )
        });
        let is_first = self.crews.set(crews.collect()).is_ok();
        assert!(is_first, "groups are settled once");
    }

    pub(crate) fn crews(&self) -> &[Crew] {
        self.crews.get().map_or(&[], Vec::as_slice)
    }

    /// A stamp, or `unstamped`.
    pub(crate) fn now(&self, unstamped: u64) -> u64 {
        match &self.clock {
            Some(clock) => clock.fetch_add(1, Ordering::SeqCst),
            None => unstamped,
        }
    }

    /// What some thread sleeps over that it should have been woken for.
    fn sleeper(&self) -> Option<String> {
        (0..self.waits.len()).find_map(|thread| {
            threads::persists(|| self.sleeps_in_vain(thread)).then(|| {
                let wait = lock(&self.waits[thread]).clone();
                let snapshot = self.topic.snapshot();
                format!("thread {thread} sleeps over what it waits for: {wait:?}, {snapshot:#?}")
            })
        })
    }

    /// Whether a thread waits for what is there, as it looks now.
    fn sleeps_in_vain(&self, thread: usize) -> bool {
        let wait = lock(&self.waits[thread]).clone();
        match wait {
            None => false,
            Some(Wait::Event(name)) => {
                self.numbers(&name)
                    .is_some_and(|(numbers, _)| numbers.pending > 0)
                    || self.topic.is_closed()
            }
            Some(Wait::Behind(name, after)) => {
                let pending = self.numbers(&name).map(|(numbers, _)| numbers.pending);
                self.is_let_through(&after)
                    && pending.is_some_and(|pending| pending > 0 || self.topic.is_closed())
            }
            Some(Wait::Group(group, after)) => {
                let numbers = self.crews()[group].numbers(&self.topic);
                // What a lossy member has left it may keep.
                let lossless = !self.crews()[group].terms.lossy;
                let pending = numbers.map(|numbers| numbers.pending);
                lossless
                    && self.is_let_through(&after)
                    && pending.is_some_and(|pending| pending > 0 || self.topic.is_closed())
            }
            Some(Wait::Room(events)) => {
                let snapshot = self.topic.snapshot();
                // A group may be before its position, with what was handed back.
                let mut groups = snapshot.groups.iter();
                if !snapshot.closed && !groups.all(|group| group.pending == 0) {
                    return false;
                }
                let mut lossless = snapshot
                    .subscribers
                    .iter()
                    .filter(|numbers| numbers.overflow == Overflow::Block);
                // What a lossy one holds is stepped over, which takes room; how far its slots reach is not told.
                let held = snapshot.subscribers.iter().any(|numbers| {
                    numbers.overflow != Overflow::Block && numbers.pending > numbers.lag
                });
                // In a ring without slots to spare gaps take room as events do.
                let room = snapshot.max_capacity.saturating_sub(events) as u64;
                snapshot.closed || !held && lossless.all(|numbers| numbers.lag <= room)
            }
        }
    }

    /// Whether all of these have passed everything, or left.
    fn is_let_through(&self, after: &[usize]) -> bool {
        let snapshot = self.topic.snapshot();
        let names = self.standings.names(after);
        let mut these = snapshot.subscribers.iter().filter(|numbers| {
            let name = numbers.name.as_deref();
            names.iter().any(|other| Some(other.as_str()) == name)
        });
        these.all(|numbers| numbers.lag == 0)
    }

    pub(crate) fn numbers(&self, name: &str) -> Option<(Numbers, u64)> {
        let snapshot = self.topic.snapshot();
        let numbers = snapshot
            .subscribers
            .iter()
            .find(|numbers| numbers.name.as_deref() == Some(name))?;
        Some((
            Numbers {
                published: numbers.published,
                delivered: numbers.delivered,
                filtered: numbers.filtered,
                missed: numbers.missed,
                pending: numbers.pending,
            },
            numbers.position,
        ))
    }
}

impl Record {
    pub(crate) fn add(&mut self, mut other: Self) {
        self.attempts.append(&mut other.attempts);
        self.members.append(&mut other.members);
        self.colleagues.append(&mut other.colleagues);
        self.refused_joins.append(&mut other.refused_joins);
        self.failures.append(&mut other.failures);
    }

    pub(crate) fn check(&mut self, holds: bool, claim: &str) {
        if !holds {
            self.failures.push(claim.to_string());
        }
    }
}
