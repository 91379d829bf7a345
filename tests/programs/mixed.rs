//! Programs with groups, stages and editors.

use std::ops::RangeInclusive;

use proptest::prelude::*;
use ringbus::Redeliver;

use super::program::{
    Extra, How, Keys, Nature, Op, Open, Program, Setup, Terms, Way, leak, op, open, setup,
};

fn after() -> impl Strategy<Value = [Option<usize>; 2]> {
    (
        prop::option::weighted(0.5, 0..8_usize),
        prop::option::weighted(0.2, 0..8_usize),
    )
        .prop_map(|(one, other)| [one, other])
}

fn open_staged() -> impl Strategy<Value = Open> {
    (open(), after()).prop_map(|(open, after)| Open { after, ..open })
}

fn terms() -> impl Strategy<Value = Terms> {
    let keys = prop_oneof![
        3 => Just(Keys::None),
        1 => Just(Keys::Few),
        1 => Just(Keys::Touchy),
    ];
    let batch = prop_oneof![1 => 1..=4_usize, 1 => Just(64_usize)];
    (
        prop::bool::weighted(0.25),
        batch,
        any::<bool>(),
        keys,
        prop::option::weighted(0.3, 0..3_usize),
        prop::bool::weighted(0.7),
    )
        .prop_map(|(lossy, batch, again, keys, after, kept)| Terms {
            lossy: lossy && keys == Keys::None,
            batch,
            redeliver: match again {
                true => Redeliver::Once,
                false => Redeliver::Never,
            },
            keys,
            after,
            kept,
        })
}

fn staged_op() -> impl Strategy<Value = Op> {
    let panics = prop::option::weighted(0.4, 1..4_usize);
    prop_oneof![
        24 => (op(), after()).prop_map(|(op, after)| match op {
            Op::Join(open) => Op::Join(Open { after, ..open }),
            op => op,
        }),
        8 => Just(Op::Publish(Nature::Plain, How::Try)),
        8 => (0..4_usize, 1..8_usize, panics)
            .prop_map(|(who, max, panics)| Op::Read(who, Way::Poll(max, panics))),
        2 => (0..2_usize).prop_map(Op::Enrol),
        1 => (0..4_usize).prop_map(Op::Hand),
        1 => Just(Op::Take),
    ]
}

/// What a thread does, often as a member of a group to begin with.
fn staged_ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    let first = prop::option::weighted(0.6, 0..2_usize);
    (first, prop::collection::vec(staged_op(), 1..=most)).prop_map(|(first, ops)| {
        let first = first.map(Op::Enrol);
        first.into_iter().chain(ops).collect()
    })
}

fn staged_setup() -> impl Strategy<Value = Setup> {
    let groups = prop_oneof![1 => 0..=0_usize, 3 => 1..=2_usize]
        .prop_flat_map(|groups| prop::collection::vec(terms(), groups));
    let editors = prop_oneof![3 => Just(0_usize), 1 => Just(1), 1 => Just(2)];
    (setup(), editors, groups).prop_map(|(setup, editors, groups)| Setup {
        extra: match setup.extra {
            // Such a topic takes neither stages nor editors nor groups.
            Extra::GrowTo(_) => Extra::Nothing,
            // A topic with editors is always heard.
            Extra::UnheardLetters if editors > 0 => Extra::Nothing,
            extra => extra,
        },
        staged: true,
        editors,
        groups,
        ..setup
    })
}

/// As `program`, of the other kind.
pub(crate) fn mixed(
    threads: RangeInclusive<usize>,
    most: usize,
    may_leak: bool,
) -> impl Strategy<Value = Program> {
    let threads = prop::collection::vec(staged_ops(most), threads);
    let leaks = prop::bool::weighted(0.03);
    let before = prop::collection::vec(open_staged(), 0..3);
    (staged_setup(), before, threads, leaks).prop_map(move |(setup, before, threads, leaks)| {
        Program {
            setup,
            before,
            threads: leak(threads, may_leak && leaks),
        }
    })
}
