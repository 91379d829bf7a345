//! The checker is checked: a true record passes, and each one that was tampered with does not.

use ringbus::Overflow;

use super::check::{Verdict, check};
use super::record::{
    Attempt, Facts, Letter, MAIN, Membership, Numbers, Outcome, Place, Record, Sighting, Span,
    Told, Why,
};

pub(crate) fn span(thread: usize, index: usize, begin: u64) -> Span {
    Span {
        thread,
        index,
        begin,
        end: begin + 1,
    }
}

pub(crate) fn after_all() -> Span {
    Span {
        thread: MAIN,
        index: 0,
        begin: u64::MAX,
        end: u64::MAX,
    }
}

pub(crate) fn before_all() -> Span {
    Span {
        thread: MAIN,
        index: 0,
        begin: 0,
        end: 0,
    }
}

pub(crate) fn published(
    thread: usize,
    index: usize,
    begin: u64,
    events: &[u64],
    first: u64,
) -> Attempt {
    Attempt {
        span: span(thread, index, begin),
        events: events.to_vec(),
        outcome: Outcome::Published {
            range: first..first + events.len() as u64,
            vetoed: Vec::new(),
        },
    }
}

pub(crate) fn seen(id: u64, sequence: u64, missed: u64) -> Sighting {
    Sighting::Seen {
        id,
        sequence: Some(sequence),
        missed: Told::Exactly(missed),
    }
}

pub(crate) fn numbers(delivered: u64, filtered: u64, missed: u64) -> Sighting {
    Sighting::Numbers {
        numbers: Numbers {
            published: delivered + filtered + missed,
            delivered,
            filtered,
            missed,
            pending: 0,
        },
        at_rest: true,
    }
}

pub(crate) fn member(overflow: Overflow, sightings: Vec<Sighting>) -> Membership {
    Membership {
        overflow,
        opened: before_all(),
        from_now: true,
        position: 10,
        left: after_all(),
        sightings,
        place: Place::default(),
    }
}

const LOSSLESS: usize = 0;
const LOSSY: usize = 1;
const FILTERED: usize = 2;
const DISCONNECTED: usize = 3;

/// Two publishers and four subscribers of six events, then a close and a refusal.
fn honest() -> Record {
    let recv = |id| Sighting::Seen {
        id,
        sequence: None,
        missed: Told::Exactly(0),
    };
    Record {
        facts: Facts {
            first_sequence: 10,
            capacity: 6,
            stays_open: true,
            observed: true,
            leaked: false,
        },
        attempts: vec![
            published(0, 1, 1, &[0], 10),
            published(0, 2, 5, &[4, 8], 12),
            Attempt {
                span: span(0, 3, 20),
                events: vec![12],
                outcome: Outcome::Refused {
                    why: Why::Closed,
                    back: vec![12],
                },
            },
            published(1, 1, 3, &[1], 11),
            published(1, 2, 9, &[5], 14),
            published(1, 3, 11, &[9], 15),
        ],
        members: vec![
            member(
                Overflow::Block,
                vec![
                    seen(0, 10, 0),
                    seen(1, 11, 0),
                    recv(4),
                    seen(8, 13, 0),
                    seen(5, 14, 0),
                    Sighting::Nothing(span(2, 1, 10)),
                    seen(9, 15, 0),
                    numbers(6, 0, 0),
                    Sighting::Closed,
                ],
            ),
            member(
                Overflow::DropOldest,
                vec![
                    seen(1, 11, 1),
                    Sighting::Missed(2),
                    recv(5),
                    seen(9, 15, 0),
                    numbers(3, 0, 3),
                    Sighting::Closed,
                ],
            ),
            member(
                Overflow::Block,
                vec![
                    Sighting::Refused(0),
                    seen(1, 11, 0),
                    Sighting::FilterBlew(4),
                    Sighting::Slipped,
                    Sighting::CloneBlew {
                        id: 5,
                        missed: Told::Exactly(0),
                    },
                    Sighting::Refused(9),
                    numbers(4, 2, 0),
                    Sighting::Closed,
                ],
            ),
            member(
                Overflow::Disconnect,
                vec![
                    seen(0, 10, 0),
                    Sighting::Disconnected(5),
                    Sighting::Closed,
                    numbers(1, 0, 5),
                ],
            ),
        ],
        groups: Vec::new(),
        colleagues: Vec::new(),
        refused_joins: Vec::new(),
        closes: vec![span(3, 1, 15)],
        letters: vec![Letter {
            id: 4,
            sequence: 12,
            missed: true,
        }],
        shown: vec![0, 1, 4, 8, 5, 9, 12],
        published: 6,
        drops: [0, 1, 4, 5, 8, 9, 12].map(|id| (id, 1)).to_vec(),
        clones: (2, 2),
        failures: Vec::new(),
    }
}

/// What is wrong, a part of the complaint, and how it is made so.
pub(crate) type Forgery<R = Record> = (&'static str, &'static str, fn(&mut R));

/// An honest record passes, and none of the forged ones does.
pub(crate) fn all_are_found_out<R>(
    honest: fn() -> R,
    check: fn(&R) -> Verdict,
    forgeries: &[Forgery<R>],
) {
    assert_eq!(check(&honest()), Ok(()));
    for (what, complaint, forge) in forgeries {
        let mut record = honest();
        forge(&mut record);
        let claim = check(&record).expect_err(what);
        assert!(
            claim.contains(complaint),
            "{what}, and the complaint is: {claim}"
        );
    }
}

const FORGERIES: &[Forgery] = &[
    (
        "a lossless subscriber sees an event twice",
        "is seen after",
        |record| {
            let again = record.members[LOSSLESS].sightings[1];
            record.members[LOSSLESS].sightings.insert(2, again);
        },
    ),
    (
        "a lossless subscriber does not see an event",
        "passed by 1 to 1",
        |record| {
            record.members[LOSSLESS].sightings.remove(1);
        },
    ),
    (
        "a lossless subscriber does not see the last event",
        "closed before 1 events",
        |record| {
            record.members[LOSSLESS].sightings.remove(6);
            record.members[LOSSLESS].sightings.remove(6);
        },
    ),
    (
        "a lossless subscriber sees two events the wrong way round",
        "passed by 1 to 1",
        |record| {
            record.members[LOSSLESS].sightings.swap(0, 1);
        },
    ),
    (
        "a clone comes in the wrong order",
        "passed by 1 to 1",
        |record| {
            record.members[LOSSLESS].sightings.swap(2, 3);
        },
    ),
    (
        "a lossless subscriber is told of a loss",
        "told that it missed 1",
        |record| {
            record.members[LOSSLESS].sightings[0] = seen(0, 10, 1);
        },
    ),
    (
        "an event is seen elsewhere than where it was published",
        "is seen at 12",
        |record| {
            record.members[LOSSLESS].sightings[1] = seen(1, 12, 0);
        },
    ),
    (
        "an event is seen that was never published",
        "never published",
        |record| {
            record.members[LOSSLESS]
                .sightings
                .insert(7, seen(77, 16, 0));
        },
    ),
    ("a refused event is seen", "never published", |record| {
        record.members[LOSSLESS]
            .sightings
            .insert(7, seen(12, 16, 0));
    }),
    (
        "an event is seen after the close",
        "after the end",
        |record| {
            record.members[LOSSLESS].sightings.push(seen(9, 15, 0));
        },
    ),
    (
        "there is nothing to see although there is",
        "nothing to see",
        |record| {
            record.members[LOSSLESS]
                .sightings
                .insert(1, Sighting::Nothing(span(2, 1, 7)));
        },
    ),
    (
        "a loss is told one too high",
        "passed by 2 to 2",
        |record| {
            record.members[LOSSY].sightings[1] = Sighting::Missed(3);
        },
    ),
    ("a loss is told one too low", "passed by 1 to 1", |record| {
        record.members[LOSSY].sightings[0] = seen(1, 11, 0);
    }),
    ("a loss is not told", "passed by 2 to 2", |record| {
        record.members[LOSSY].sightings.remove(1);
    }),
    ("a loss is told twice", "told twice", |record| {
        record.members[LOSSY]
            .sightings
            .insert(1, Sighting::Missed(2));
    }),
    (
        "the number of missed events is not what was told",
        "told of 3 missed",
        |record| {
            record.members[LOSSY].sightings[4] = numbers(3, 0, 2);
        },
    ),
    ("the numbers do not add up", "do not add up", |record| {
        let Sighting::Numbers { numbers, .. } = &mut record.members[LOSSY].sightings[4] else {
            unreachable!()
        };
        numbers.published += 1;
    }),
    (
        "more is delivered than was",
        "3 events were delivered",
        |record| {
            record.members[LOSSY].sightings[4] = numbers(4, 0, 3);
        },
    ),
    (
        "what is left is not read",
        "published since it joined",
        |record| {
            let Sighting::Numbers { numbers, .. } = &mut record.members[LOSSLESS].sightings[7]
            else {
                unreachable!()
            };
            (numbers.published, numbers.pending) = (7, 1);
        },
    ),
    (
        "a lossy subscriber says that nothing was lost",
        "told of 1 missed",
        |record| {
            record.members[LOSSY].sightings.truncate(1);
            record.members[LOSSY].sightings.push(numbers(1, 0, 0));
        },
    ),
    (
        "what the filter refused is not counted",
        "2 filtered",
        |record| {
            record.members[FILTERED].sightings[6] = numbers(4, 1, 0);
        },
    ),
    (
        "the filter is not asked about an event",
        "passed by 1 to 1",
        |record| {
            record.members[FILTERED].sightings.remove(0);
        },
    ),
    ("the filter is asked twice", "is seen after", |record| {
        record.members[FILTERED]
            .sightings
            .insert(0, Sighting::Refused(0));
    }),
    (
        "a panicking filter takes the next event with it",
        "passed by 1 to 1",
        |record| {
            record.members[FILTERED].sightings.remove(3);
        },
    ),
    (
        "a panicking clone takes the next event with it",
        "1 filtered",
        |record| {
            record.members[FILTERED].sightings.remove(5);
        },
    ),
    (
        "a subscriber is disconnected with more missed than there was",
        "missed 6 at the end",
        |record| {
            record.members[DISCONNECTED].sightings[1] = Sighting::Disconnected(6);
        },
    ),
    (
        "a subscriber is disconnected that missed nothing",
        "missed 0 at the end",
        |record| {
            record.members[DISCONNECTED].sightings[1] = Sighting::Disconnected(0);
        },
    ),
    (
        "a subscriber is disconnected twice",
        "it is disconnected",
        |record| {
            record.members[DISCONNECTED]
                .sightings
                .insert(1, Sighting::Disconnected(5));
        },
    ),
    (
        "a disconnected subscriber sees an event",
        "after the end",
        |record| {
            record.members[DISCONNECTED]
                .sightings
                .insert(2, seen(1, 11, 0));
        },
    ),
    (
        "a lossless subscriber is disconnected",
        "it is disconnected",
        |record| {
            record.members[LOSSLESS].sightings[8] = Sighting::Disconnected(1);
        },
    ),
    (
        "a subscriber starts behind what was published after it joined",
        "published later",
        |record| {
            record.members[LOSSLESS].position = 11;
            record.members[LOSSLESS].sightings.remove(0);
            record.members[LOSSLESS].sightings[6] = numbers(5, 0, 0);
        },
    ),
    (
        "a subscriber starts before what was published before it joined",
        "published before it joined",
        |record| {
            record.members[LOSSLESS].opened = span(2, 0, 3);
        },
    ),
    ("two events have one place", "are both at 10", |record| {
        record.attempts[3] = published(1, 1, 3, &[1], 10);
        record.members[LOSSLESS].sightings.remove(1);
        record.members[LOSSLESS].sightings[6] = numbers(5, 0, 0);
        record.members.truncate(1);
        record.letters.clear();
    }),
    (
        "a publisher's events change places",
        "was published after",
        |record| {
            record.attempts[4] = published(1, 2, 9, &[5], 15);
            record.attempts[5] = published(1, 3, 11, &[9], 14);
            record.members.clear();
            record.letters.clear();
        },
    ),
    (
        "what was published first comes last",
        "was published after",
        |record| {
            record.attempts[0] = published(0, 1, 1, &[0], 11);
            record.attempts[3] = published(1, 1, 3, &[1], 10);
            record.members.clear();
            record.letters.clear();
        },
    ),
    (
        "a batch has no room for its events",
        "2 events were published at",
        |record| {
            record.attempts[1].outcome = Outcome::Published {
                range: 12..13,
                vetoed: Vec::new(),
            };
        },
    ),
    (
        "an event is taken after the close",
        "taken after the close",
        |record| {
            record.closes[0] = span(3, 1, 7);
            record.members.clear();
        },
    ),
    (
        "an event is refused as closed before the close",
        "refused as closed",
        |record| {
            record.closes.clear();
        },
    ),
    (
        "a publisher is refused for want of room with nobody in its way",
        "no room",
        |record| {
            let Outcome::Refused { why, .. } = &mut record.attempts[2].outcome else {
                unreachable!()
            };
            *why = Why::Full;
            record.members.remove(FILTERED);
            record.members.remove(LOSSLESS);
        },
    ),
    (
        "a refused event does not come back",
        "keeps the events",
        |record| {
            record.attempts[2].outcome = Outcome::Refused {
                why: Why::Closed,
                back: Vec::new(),
            };
        },
    ),
    (
        "another event comes back than was refused",
        "came back",
        |record| {
            record.attempts[2].outcome = Outcome::Refused {
                why: Why::Closed,
                back: vec![9],
            };
        },
    ),
    (
        "the topic counts an event too many",
        "the topic says 7",
        |record| record.published += 1,
    ),
    (
        "the topic counts an event too few",
        "the topic says 5",
        |record| record.published -= 1,
    ),
    ("an event is dropped twice", "dropped 2 times", |record| {
        record.drops[2].1 = 2
    }),
    ("an event is never dropped", "dropped 0 times", |record| {
        record.drops[2].1 = 0
    }),
    ("a clone is never dropped", "of 2 clones 1", |record| {
        record.clones.1 = 1
    }),
    ("a letter comes twice", "letters twice", |record| {
        let letter = record.letters[0];
        record.letters.push(letter);
    }),
    (
        "a letter is of an event that nobody missed",
        "nobody missed it",
        |record| {
            record.letters[0] = Letter {
                id: 5,
                sequence: 14,
                missed: true,
            };
        },
    ),
    (
        "a dead letter was heard",
        "published since it joined",
        |record| record.letters[0].missed = false,
    ),
    (
        "a lossless subscriber is more than a full ring behind",
        "6 events behind",
        |record| {
            record.facts.capacity = 3;
            let numbers = Numbers {
                published: 6,
                delivered: 0,
                filtered: 0,
                missed: 0,
                pending: 6,
            };
            let at_rest = true;
            record.members[LOSSLESS]
                .sightings
                .insert(0, Sighting::Numbers { numbers, at_rest });
        },
    ),
    ("an event passes the observer by", "unobserved", |record| {
        record.shown.remove(0);
    }),
    (
        "an event is shown to the observer twice",
        "shown to the observer 2 times",
        |record| record.shown.push(12),
    ),
    ("something went wrong on the spot", "a panic", |record| {
        record.failures.push("a panic".to_string());
    }),
];

#[test]
fn every_forged_record_is_found_out() {
    all_are_found_out(honest, check, FORGERIES);
}
