//! What a program is, and how one is made up.

use std::ops::RangeInclusive;

use proptest::prelude::*;
use ringbus::{MAX_SEQUENCE, Overflow, Redeliver};

/// A topic, the subscribers that it has before anything runs, and what each thread then does.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) setup: Setup,
    pub(crate) before: Vec<Open>,
    pub(crate) threads: Vec<Vec<Op>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) capacity: usize,
    pub(crate) extra: Extra,
    pub(crate) first_sequence: u64,
    pub(crate) keep_open: bool,
    /// The first thread has the only publisher; otherwise each thread has one.
    pub(crate) exclusive: bool,
    pub(crate) observed: bool,
    /// Operations are stamped by a clock that all threads share. That tells which came first, and is a barrier
    /// around each of them; so half of the programs do without.
    pub(crate) stamped: bool,
    /// How long nothing may happen before the topic is closed from outside.
    pub(crate) patience: u32,
    /// What subscribers see of each other is noted, as some come after others.
    pub(crate) staged: bool,
    pub(crate) editors: usize,
    pub(crate) groups: Vec<Terms>,
}

/// What the members of a group have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) lossy: bool,
    pub(crate) batch: usize,
    pub(crate) redeliver: Redeliver,
    pub(crate) keys: Keys,
    /// It comes after this one of the subscribers that are there before.
    pub(crate) after: Option<usize>,
    /// It has a member that nobody reads before the end.
    pub(crate) kept: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    None,
    Few,
    /// The function that tells them panics now and then.
    Touchy,
}

/// Of these, a topic has one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    Nothing,
    Retain(usize),
    GrowTo(usize),
    /// Events that nobody listens to are dead letters.
    UnheardLetters,
    /// What is missed by `DropOldest` goes to the dead letters.
    MissedLetters,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) overflow: Overflow,
    pub(crate) from: From,
    pub(crate) filter: Filter,
    /// It comes after these of the subscribers that may have others after them.
    pub(crate) after: [Option<usize>; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Now,
    Latest,
    Oldest,
    /// So far before the last event of one's own.
    Behind(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    None,
    Thirds,
    /// Panics now and then.
    Touchy,
}

/// What an event does to those who handle it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    Plain,
    /// Its drop panics.
    Bomb,
    /// Its clone panics.
    Single,
    /// An observer vetoes it.
    Unwelcome,
    /// An observer panics at it.
    Shocking,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Try,
    Block,
    /// For so many microseconds.
    Within(u64),
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Publish(Nature, How),
    /// With an iterator that panics in place of one event, if it says so.
    Batch(Vec<Nature>, How, Option<usize>),
    /// `publish_with`, of an exclusive publisher; panics if it says so.
    Build(Nature, bool),
    Join(Open),
    /// Becomes a member of this group.
    Enrol(usize),
    Read(usize, Way),
    /// Hands a subscriber to whoever takes one.
    Hand(usize),
    Take,
    Leave(usize),
    /// Leaks a subscriber.
    Forget(usize),
    Retire,
    /// Makes a publisher, exclusive if it says so.
    Enlist(bool),
    Close,
    Pause,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// With a handler that panics at one of the events, if it says so.
    Poll(usize, Option<usize>),
    PollWait(usize),
    PollWithin(usize, u64),
    TryRecv,
    Recv,
    RecvWithin(u64),
    Iter(usize),
    TryIter(usize),
    /// Up to so many, of which so many are taken.
    Batch(usize, usize, Then),
    BatchWait(usize, usize),
}

impl Way {
    /// Whether it may wait for ever.
    pub(crate) fn waits(self) -> bool {
        matches!(
            self,
            Self::PollWait(_) | Self::Recv | Self::Iter(_) | Self::BatchWait(..)
        )
    }

    /// The same for a while.
    pub(crate) fn bounded(self) -> Self {
        match self {
            Self::PollWait(max) => Self::PollWithin(max, 100),
            Self::Recv => Self::RecvWithin(100),
            Self::Iter(max) => Self::TryIter(max),
            Self::BatchWait(max, take) => Self::Batch(max, take, Then::Return),
            way => way,
        }
    }
}

/// How the handler of a batch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Return,
    Panic,
    /// Leaks what is left of the batch.
    Leak,
}

pub(crate) fn nature() -> impl Strategy<Value = Nature> {
    prop_oneof![
        20 => Just(Nature::Plain),
        1 => Just(Nature::Bomb),
        1 => Just(Nature::Single),
        1 => Just(Nature::Unwelcome),
        1 => Just(Nature::Shocking),
    ]
}

pub(crate) fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        3 => Just(How::Try),
        3 => Just(How::Block),
        1 => (0..200_u64).prop_map(How::Within),
    ]
}

pub(crate) fn overflow() -> impl Strategy<Value = Overflow> {
    prop_oneof![
        2 => Just(Overflow::Block),
        1 => Just(Overflow::DropOldest),
        1 => Just(Overflow::Latest),
        1 => Just(Overflow::Disconnect),
    ]
}

fn from() -> impl Strategy<Value = From> {
    prop_oneof![
        5 => Just(From::Now),
        1 => Just(From::Latest),
        1 => Just(From::Oldest),
        1 => (0..20_u64).prop_map(From::Behind),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    prop_oneof![
        6 => Just(Filter::None),
        1 => Just(Filter::Thirds),
        1 => Just(Filter::Touchy),
    ]
}

pub(crate) fn open() -> impl Strategy<Value = Open> {
    (overflow(), from(), filter()).prop_map(|(overflow, from, filter)| Open {
        overflow,
        from,
        filter,
        after: [None, None],
    })
}

fn then() -> impl Strategy<Value = Then> {
    prop_oneof![
        4 => Just(Then::Return),
        1 => Just(Then::Panic),
        1 => Just(Then::Leak),
    ]
}

pub(crate) fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        6 => (0..8_usize, prop::option::weighted(0.15, 1..4_usize))
            .prop_map(|(max, panics)| Way::Poll(max, panics)),
        1 => Just(Way::Poll(usize::MAX, None)),
        2 => (1..8_usize).prop_map(Way::PollWait),
        1 => (1..8_usize, 0..200_u64).prop_map(|(max, micros)| Way::PollWithin(max, micros)),
        3 => Just(Way::TryRecv),
        2 => Just(Way::Recv),
        1 => (0..200_u64).prop_map(Way::RecvWithin),
        1 => (1..4_usize).prop_map(Way::Iter),
        2 => (1..8_usize).prop_map(Way::TryIter),
        4 => (1..8_usize, 0..8_usize, then()).prop_map(|(max, take, then)| Way::Batch(max, take, then)),
        1 => (1..8_usize, 0..8_usize).prop_map(|(max, take)| Way::BatchWait(max, take)),
    ]
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        30 => (nature(), how()).prop_map(|(nature, how)| Op::Publish(nature, how)),
        3 => (prop::collection::vec(nature(), 8..40), how())
            .prop_map(|(natures, how)| Op::Batch(natures, how, None)),
        8 => (prop::collection::vec(nature(), 0..6), how(), prop::option::weighted(0.15, 0..6_usize))
            .prop_map(|(natures, how, panics)| Op::Batch(natures, how, panics)),
        4 => (nature(), prop::bool::weighted(0.3)).prop_map(|(nature, panics)| Op::Build(nature, panics)),
        5 => open().prop_map(Op::Join),
        30 => (0..4_usize, way()).prop_map(|(who, way)| Op::Read(who, way)),
        2 => (0..4_usize).prop_map(Op::Hand),
        3 => Just(Op::Take),
        3 => (0..4_usize).prop_map(Op::Leave),
        1 => (0..4_usize).prop_map(Op::Forget),
        1 => Just(Op::Retire),
        2 => any::<bool>().prop_map(Op::Enlist),
        1 => prop_oneof![3 => Just(Op::Pause), 1 => Just(Op::Close)],
        4 => Just(Op::Pause),
    ]
}

pub(crate) fn setup() -> impl Strategy<Value = Setup> {
    let first = prop_oneof![
        4 => Just(0),
        1 => 0..1000_u64,
        1 => (1..60_u64).prop_map(|left| MAX_SEQUENCE - left),
    ];
    let extra = prop_oneof![
        6 => Just(Extra::Nothing),
        2 => (1..=16_usize).prop_map(Extra::Retain),
        2 => (1..=64_usize).prop_map(Extra::GrowTo),
        1 => Just(Extra::UnheardLetters),
        2 => Just(Extra::MissedLetters),
    ];
    // A small ring has slots to spare; in one of 64 each lap overwrites what is a full ring behind.
    let capacity = prop_oneof![3 => 1..=16_usize, 1 => Just(64_usize)];
    (
        capacity,
        extra,
        first,
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.2),
        any::<bool>(),
        0..4_u32,
    )
        .prop_map(
            |(
                capacity,
                extra,
                first_sequence,
                keep_open,
                exclusive,
                observed,
                stamped,
                patience,
            )| {
                let capacity = capacity.next_power_of_two();
                Setup {
                    capacity,
                    extra: match extra {
                        Extra::Retain(retain) => Extra::Retain(retain.min(capacity)),
                        Extra::GrowTo(most) => Extra::GrowTo(most.max(capacity)),
                        other => other,
                    },
                    first_sequence,
                    keep_open,
                    exclusive,
                    observed,
                    stamped,
                    patience,
                    staged: false,
                    editors: 0,
                    groups: Vec::new(),
                }
            },
        )
}

/// Leaves everything that was to be leaked, if nothing may be.
pub(crate) fn leak(mut threads: Vec<Vec<Op>>, leaks: bool) -> Vec<Vec<Op>> {
    for op in threads.iter_mut().flatten() {
        match *op {
            Op::Forget(who) if !leaks => *op = Op::Leave(who),
            _ => {}
        }
    }
    threads
}

/// Programs of so many threads, of which each does at most so many things; some leak subscribers, if they may.
pub(crate) fn program(
    threads: RangeInclusive<usize>,
    most: usize,
    may_leak: bool,
) -> impl Strategy<Value = Program> {
    let threads = prop::collection::vec(prop::collection::vec(op(), 1..=most), threads);
    let leaks = prop::bool::weighted(0.03);
    (setup(), prop::collection::vec(open(), 0..4), threads, leaks).prop_map(
        move |(setup, before, threads, leaks)| Program {
            setup,
            before,
            threads: leak(threads, may_leak && leaks),
        },
    )
}
