//! The checker is checked: records of groups, stages and editors.

use ringbus::{Overflow, Redeliver};

use super::check::check;
use super::forged::{
    Forgery, after_all, all_are_found_out, before_all, member, numbers, published, seen, span,
};
use super::program::{Keys, Terms};
use super::record::{
    Answer, Call, Colleague, Facts, Glance, Group, GroupNumbers, Letter, Membership, Place, Record,
    Showing, Sight, Sighting, Span,
};

/// Events 0 to 3, and one whose key is not told, from sequence 10 on.
const IDS: [u64; 5] = [0, 16, 32, 48, 96];

/// What the editor leaves in an event: it passes each fourth one by.
fn trail(id: u64) -> u64 {
    u64::from(id != 48)
}

fn sequence(id: u64) -> u64 {
    10 + IDS.iter().position(|other| *other == id).expect("an event") as u64
}

/// One subscriber that is done with events in so many calls; each with its turn and the turns ahead.
fn staged(
    number: usize,
    after: &[usize],
    calls: Vec<Span>,
    glances: &[(u64, usize, Option<u64>, &[u64])],
) -> Membership {
    let mut sightings: Vec<_> = IDS.map(|id| seen(id, sequence(id), 0)).to_vec();
    sightings.extend([numbers(5, 0, 0), Sighting::Closed]);
    let glances = glances
        .iter()
        .map(|&(id, call, turn, ahead)| Glance {
            id,
            call,
            turn,
            sight: Sight {
                ahead: ahead.to_vec(),
                trail: Some(trail(id)),
            },
            left: trail(id),
        })
        .collect();
    Membership {
        place: Place {
            number,
            after: after.to_vec(),
            editor: None,
            calls,
            glances,
        },
        ..member(Overflow::Block, sightings)
    }
}

fn editor() -> Membership {
    let calls = vec![span(1, 1, 20), span(1, 2, 22)];
    let mut editor = staged(
        0,
        &[],
        calls,
        &[
            (0, 0, Some(0), &[]),
            (16, 0, Some(1), &[]),
            (32, 0, Some(2), &[]),
            (48, 1, Some(3), &[]),
            (96, 1, Some(4), &[]),
        ],
    );
    editor.place.editor = Some(0);
    for glance in &mut editor.place.glances {
        glance.sight.trail = Some(0);
    }
    editor
}

fn showing(id: u64, again: bool, done: bool, turns: Option<(u64, u64)>) -> Showing {
    Showing {
        id,
        told: Some((sequence(id), again)),
        missed: 0,
        done,
        turns,
        sight: Sight {
            ahead: vec![5],
            trail: Some(trail(id)),
        },
    }
}

fn call(span: Span, shown: Vec<Showing>, answer: Answer) -> Call {
    Call {
        span,
        most: 4,
        shown,
        answer,
    }
}

fn colleague(group: usize, calls: Vec<Call>) -> Colleague {
    Colleague {
        group,
        opened: before_all(),
        left: after_all(),
        calls,
    }
}

fn group(lossy: bool, redeliver: Redeliver, keys: Keys, reports: &[u64]) -> Group {
    let given_up = reports.len() as u64;
    let missed = if lossy { 3 } else { 0 };
    Group {
        terms: Terms {
            lossy,
            batch: 2,
            redeliver,
            keys,
            after: None,
            kept: true,
        },
        after: vec![0],
        reports: reports.to_vec(),
        numbers: vec![GroupNumbers {
            published: 5,
            delivered: 5 - missed - given_up,
            missed,
            pending: 0,
            redelivered: u64::from(redeliver == Redeliver::Once),
            abandoned: given_up,
        }],
    }
}

const EDITOR: usize = 0;
const STAGE: usize = 1;
const BEHIND: usize = 2;

const AGAIN: usize = 0;
const KEYED: usize = 1;
const LOSSY: usize = 2;

/// The members of the first group, of that with keys, and of the lossy one; the first two have a keeper too.
const ONE: usize = 0;
const OTHER: usize = 1;
const KEEPER: usize = 2;
const KEY_ONE: usize = 3;
const LOSER: usize = 6;

/// An editor, a subscriber, one that comes after it, and three groups.
fn honest() -> Record {
    let closed = || call(after_all(), Vec::new(), Answer::Closed);
    let first = |id| showing(id, false, true, None);
    let keyed = |id, done, began| showing(id, false, done, Some((began, began + 1)));
    let after_two = Showing {
        missed: 1,
        ..first(16)
    };
    Record {
        facts: Facts {
            first_sequence: 10,
            capacity: 8,
            stays_open: true,
            observed: false,
            leaked: false,
        },
        attempts: (1..)
            .zip(IDS)
            .map(|(index, id)| published(0, index, 2 * index as u64, &[id], sequence(id)))
            .collect(),
        members: vec![
            editor(),
            staged(
                1,
                &[0],
                vec![span(2, 1, 30), span(2, 2, 32)],
                &[
                    (0, 0, Some(0), &[3]),
                    (16, 0, Some(1), &[3]),
                    (32, 1, Some(2), &[5]),
                    (48, 1, Some(3), &[5]),
                    (96, 1, Some(4), &[5]),
                ],
            ),
            staged(
                2,
                &[0, 1],
                vec![span(3, 1, 34), span(3, 2, 36), span(3, 3, 38)],
                &[
                    (0, 0, Some(0), &[5, 2]),
                    (16, 0, Some(1), &[5, 2]),
                    (32, 1, None, &[5, 5]),
                    (48, 2, Some(2), &[5, 5]),
                    (96, 2, Some(3), &[5, 5]),
                ],
            ),
        ],
        groups: vec![
            group(false, Redeliver::Once, Keys::None, &[]),
            group(false, Redeliver::Never, Keys::Touchy, &[96, 32]),
            group(true, Redeliver::Never, Keys::None, &[]),
        ],
        colleagues: vec![
            colleague(
                AGAIN,
                vec![
                    call(
                        span(4, 1, 40),
                        vec![first(0), showing(16, false, false, None)],
                        Answer::Blew,
                    ),
                    call(span(4, 2, 44), vec![first(48), first(96)], Answer::Shown),
                ],
            ),
            colleague(
                AGAIN,
                vec![
                    call(
                        span(5, 1, 42),
                        vec![showing(16, true, true, None), first(32)],
                        Answer::Shown,
                    ),
                    call(span(5, 2, 46), Vec::new(), Answer::Nothing),
                    call(span(5, 3, 60), Vec::new(), Answer::Closed),
                ],
            ),
            colleague(AGAIN, vec![closed()]),
            colleague(
                KEYED,
                vec![call(
                    span(6, 1, 40),
                    vec![keyed(0, true, 0), keyed(48, true, 2)],
                    Answer::Shown,
                )],
            ),
            colleague(
                KEYED,
                vec![
                    call(span(7, 1, 40), vec![keyed(16, true, 0)], Answer::Shown),
                    call(span(7, 2, 44), vec![keyed(32, false, 0)], Answer::Blew),
                ],
            ),
            colleague(KEYED, vec![closed()]),
            colleague(
                LOSSY,
                vec![
                    call(span(8, 1, 40), vec![after_two], Answer::Shown),
                    call(span(8, 2, 42), Vec::new(), Answer::Missed(2)),
                    call(span(8, 3, 44), vec![first(96)], Answer::Shown),
                    closed(),
                ],
            ),
        ],
        closes: vec![span(9, 1, 50)],
        letters: vec![Letter {
            id: 32,
            sequence: 12,
            missed: true,
        }],
        published: 5,
        drops: IDS.map(|id| (id, 1)).to_vec(),
        ..Record::default()
    }
}

fn shown(record: &mut Record, member: usize, call: usize) -> &mut Vec<Showing> {
    &mut record.colleagues[member].calls[call].shown
}

fn at(record: &mut Record, member: usize, call: usize) -> &mut Span {
    &mut record.colleagues[member].calls[call].span
}

const FORGERIES: &[Forgery] = &[
    (
        "an event is seen in the middle of the call that shows it to the one before",
        "event 0 is seen while 1 is at it: 1",
        |record| record.members[BEHIND].place.glances[0].sight.ahead[1] = 1,
    ),
    (
        "an event is seen before the one before has begun",
        "before 1 is done with it",
        |record| record.members[BEHIND].place.calls[0] = span(3, 1, 24),
    ),
    (
        "an event is seen that the one before never came to",
        "1 before it has not passed it",
        |record| {
            let stage = &mut record.members[STAGE];
            stage.sightings.truncate(4);
            stage.place.glances.truncate(4);
            stage.left = span(2, 9, 90);
        },
    ),
    (
        "there is nothing to see although all before are done with it",
        "nothing to see, and event 32",
        |record| {
            let nothing = Sighting::Nothing(span(3, 2, 34));
            record.members[BEHIND].sightings.insert(2, nothing);
        },
    ),
    (
        "an event is seen outside of all calls",
        "outside of all calls",
        |record| record.members[BEHIND].place.glances[0].call = 9,
    ),
    (
        "what an editor did is not seen",
        "seen with 0 of the editors, who left 1",
        |record| record.members[STAGE].place.glances[2].sight.trail = Some(0),
    ),
    (
        "what no editor did is seen",
        "seen with 1 of the editors, who left 0",
        |record| record.members[BEHIND].place.glances[3].sight.trail = Some(1),
    ),
    (
        "an editor finds more than those before it left",
        "seen with 1 of the editors, who left 0",
        |record| record.members[EDITOR].place.glances[0].sight.trail = Some(1),
    ),
    (
        "what an editor does is lost on the spot",
        "editor 0 leaves 0 in event 0, and not 1",
        |record| record.members[EDITOR].place.glances[0].left = 0,
    ),
    (
        "an editor passes an event by",
        "passed by 1 to 1",
        |record| {
            record.members[EDITOR].sightings.remove(1);
        },
    ),
    (
        "a member sees an event while an editor is at it",
        "event 48 is seen while 0 is at it: 4",
        |record| shown(record, ONE, 1)[0].sight.ahead[0] = 4,
    ),
    (
        "a member does not see what an editor did",
        "seen with 0 of the editors, who left 1",
        |record| shown(record, KEY_ONE, 0)[0].sight.trail = Some(0),
    ),
    (
        "a poll shows more than it was to",
        "shows 2 events, and was to show 1",
        |record| record.colleagues[ONE].calls[1].most = 1,
    ),
    (
        "a member is shown an event after it was told the end",
        "shown event 96 after the end",
        |record| {
            let late = shown(record, ONE, 1).pop().expect("there are two");
            let span = Span {
                end: 61,
                ..span(10, 1, 59)
            };
            let late = call(span, vec![late], Answer::Shown);
            record.colleagues[OTHER].calls.remove(1);
            record.colleagues[OTHER].calls.push(late);
        },
    ),
    (
        "a member is told the end while another has events",
        "told closed, and event 48 is shown later",
        |record| {
            record.colleagues[OTHER].calls.remove(1);
            *at(record, ONE, 1) = span(4, 2, 64);
        },
    ),
    (
        "a member of a lossless group is told of a loss",
        "told that 1 were missed",
        |record| record.colleagues[OTHER].calls[1].answer = Answer::Missed(1),
    ),
    (
        "a member is told of no loss",
        "told that 0 were missed",
        |record| record.colleagues[LOSER].calls[1].answer = Answer::Missed(0),
    ),
    (
        "a member is told that there is nothing although there is",
        "nothing for a member, and event 48 was there",
        |record| *at(record, ONE, 1) = span(4, 2, 48),
    ),
    (
        "two members handle an event",
        "is handled, and shown again",
        |record| {
            let again = shown(record, ONE, 0)[0].clone();
            shown(record, OTHER, 0).insert(0, again);
        },
    ),
    (
        "an event has too many chances",
        "is shown 3 times",
        |record| {
            let again = shown(record, OTHER, 0)[0].clone();
            shown(record, ONE, 1).insert(0, again);
        },
    ),
    (
        "a group hands out again what it was not to",
        "is shown 2 times",
        |record| record.groups[AGAIN].terms.redeliver = Redeliver::Never,
    ),
    (
        "an event is said to be shown again the first time",
        "shown again, and was not shown",
        |record| shown(record, ONE, 0)[0].told = Some((10, true)),
    ),
    (
        "an event is not said to be shown again",
        "as if for the first time",
        |record| {
            let again = &mut shown(record, OTHER, 0)[0];
            (again.told, again.done) = (Some((11, false)), false);
        },
    ),
    (
        "an event is shown again before it was shown",
        "shown again before it was shown",
        |record| *at(record, OTHER, 0) = span(5, 1, 38),
    ),
    (
        "a group is shown what was published before it was made",
        "before the group was made",
        |record| {
            for one in [ONE, OTHER, KEEPER] {
                record.colleagues[one].opened = span(10, 0, 15);
            }
        },
    ),
    ("an event is given up twice", "reported twice", |record| {
        record.groups[KEYED].reports.push(32);
    }),
    (
        "an event is given up that was handled",
        "event 0 is reported, and was not given up",
        |record| record.groups[AGAIN].reports.push(0),
    ),
    (
        "an event is given up silently",
        "event 32 was given up, and is not reported",
        |record| {
            record.groups[KEYED].reports.pop();
        },
    ),
    (
        "an event without a key goes nowhere",
        "event 96 was handled by no member",
        |record| {
            record.groups[KEYED].reports.remove(0);
        },
    ),
    (
        "a panic takes the next event with it",
        "event 32 was handled by no member",
        |record| {
            shown(record, OTHER, 0).pop();
        },
    ),
    (
        "an event is not handed out again after a panic",
        "event 16 was handled by no member",
        |record| {
            shown(record, OTHER, 0).remove(0);
        },
    ),
    (
        "a member is shown events the wrong way round",
        "event 48 is shown after 96",
        |record| shown(record, ONE, 1).swap(0, 1),
    ),
    (
        "what was handed back comes after what is later",
        "event 16 is shown after 48",
        |record| {
            *at(record, OTHER, 0) = span(5, 1, 46);
            *at(record, OTHER, 1) = span(5, 2, 48);
        },
    ),
    (
        "two events of a key are handled at once",
        "two events of key 0 are handled at once",
        |record| shown(record, KEY_ONE, 0)[1].turns = Some((1, 3)),
    ),
    (
        "two events of a key are handled the wrong way round",
        "event 0 of key 0 is handled after a later one",
        |record| {
            let shown = shown(record, KEY_ONE, 0);
            shown[0].turns = Some((2, 3));
            shown[1].turns = Some((0, 1));
        },
    ),
    ("a group has no numbers", "has no numbers", |record| {
        record.groups[AGAIN].numbers.clear();
    }),
    (
        "a group's numbers do not add up",
        "do not add up",
        |record| {
            record.groups[AGAIN].numbers[0].published += 1;
        },
    ),
    (
        "a group counts more than was handled",
        "5 events were handled",
        |record| {
            let numbers = &mut record.groups[AGAIN].numbers[0];
            (numbers.published, numbers.delivered) = (6, 6);
        },
    ),
    (
        "a group counts more than was given up",
        "2 events were given up",
        |record| {
            let numbers = &mut record.groups[KEYED].numbers[0];
            (numbers.published, numbers.abandoned) = (6, 3);
        },
    ),
    (
        "a group does not count what it handed out again",
        "1 events were handed out again",
        |record| record.groups[AGAIN].numbers[0].redelivered = 0,
    ),
    (
        "a group is not read to its end",
        "read to the end",
        |record| {
            let numbers = &mut record.groups[AGAIN].numbers[0];
            (numbers.published, numbers.pending) = (6, 1);
        },
    ),
    (
        "a group tells of more than it missed",
        "told of 5 missed events",
        |record| record.colleagues[LOSER].calls[1].answer = Answer::Missed(4),
    ),
    (
        "a lossless group tells of a loss with an event",
        "a lossless group missed 1",
        |record| shown(record, ONE, 0)[0].missed = 1,
    ),
    (
        "a group misses more than was published",
        "5 to 5 events were published",
        |record| {
            let numbers = &mut record.groups[LOSSY].numbers[0];
            (numbers.published, numbers.missed) = (6, 4);
        },
    ),
    (
        "an event goes to the letters that no group missed",
        "nobody missed it",
        |record| {
            record.letters[0] = Letter {
                id: 96,
                sequence: 14,
                missed: true,
            };
        },
    ),
    (
        "a member is shown an event that was never published",
        "never published",
        |record| shown(record, ONE, 1)[1].id = 77,
    ),
    (
        "a member is shown an event elsewhere than where it was published",
        "is seen at 13",
        |record| shown(record, ONE, 1)[1].told = Some((13, false)),
    ),
];

#[test]
fn every_forged_record_with_groups_stages_and_editors_is_found_out() {
    all_are_found_out(honest, check, FORGERIES);
}
