//! An order book, and how one is rebuilt from a snapshot and changes.

use std::collections::{BTreeMap, VecDeque};

use crate::event::{Depth, Ids, Level, Quote};
use crate::fixed::Fixed;

/// Changes kept while no snapshot is there. A capture has its snapshot within seconds or not at
/// all, and one without must not fill the memory.
const MAX_WAITING: usize = 1 << 15;

/// The quantities offered at each price.
#[derive(Debug, Default)]
pub(crate) struct Book {
    bids: BTreeMap<Fixed, Fixed>,
    asks: BTreeMap<Fixed, Fixed>,
}

impl Book {
    fn apply(&mut self, depth: &Depth) {
        set(&mut self.bids, &depth.bids);
        set(&mut self.asks, &depth.asks);
    }

    /// The best of both sides, unless one is empty.
    pub(crate) fn quote(&self) -> Option<Quote> {
        let level = |(&price, &quantity)| Level { price, quantity };
        let bid = self.bids.last_key_value().map(level)?;
        let ask = self.asks.first_key_value().map(level)?;
        Some(Quote { bid, ask })
    }
}

fn set(side: &mut BTreeMap<Fixed, Fixed>, levels: &[Level]) {
    for level in levels {
        if level.quantity == Fixed::ZERO {
            side.remove(&level.price);
        } else {
            side.insert(level.price, level.quantity);
        }
    }
}

/// Rebuilds a book from its depth messages.
#[derive(Debug)]
pub(crate) struct Rebuild {
    state: State,
}

#[derive(Debug)]
enum State {
    /// No snapshot yet: it is asked for when the changes already flow, and the changes it does not
    /// contain are those that came before it. `forgotten` is the newest update that was given up
    /// for want of room.
    Waiting {
        diffs: VecDeque<Depth>,
        forgotten: Option<u64>,
    },
    Synchronised(Followed),
}

/// A book that holds all updates from its snapshot on.
#[derive(Debug)]
struct Followed {
    book: Book,
    /// The update of the snapshot, which contains all changes before.
    from: u64,
}

impl Followed {
    fn start(snapshot: &Depth, from: u64) -> Self {
        let mut book = Book::default();
        book.apply(snapshot);
        Self { book, from }
    }

    fn take(&mut self, diff: &Depth, reached: &mut impl FnMut(u64, &Book)) {
        let last = diff.ids.last();
        if last >= self.from {
            self.book.apply(diff);
            reached(last, &self.book);
        }
    }
}

impl Default for Rebuild {
    fn default() -> Self {
        Self {
            state: State::Waiting {
                diffs: VecDeque::new(),
                forgotten: None,
            },
        }
    }
}

impl Rebuild {
    /// Takes the next message. `reached` sees the book after each update that completes a message.
    pub(crate) fn take(&mut self, depth: &Depth, mut reached: impl FnMut(u64, &Book)) {
        match (&mut self.state, depth.ids) {
            (State::Waiting { diffs, forgotten }, Ids::Diff { .. }) => {
                if diffs.len() == MAX_WAITING {
                    *forgotten = diffs
                        .pop_front()
                        .map(|diff| diff.ids.last())
                        .max(*forgotten);
                }
                diffs.push_back(depth.clone());
            }
            (State::Waiting { diffs, forgotten }, Ids::Snapshot { last }) => {
                if forgotten.is_some_and(|forgotten| forgotten >= last) {
                    return;
                }
                let mut followed = Followed::start(depth, last);
                for diff in diffs.iter() {
                    followed.take(diff, &mut reached);
                }
                self.state = State::Synchronised(followed);
            }
            (State::Synchronised(followed), Ids::Diff { .. }) => {
                followed.take(depth, &mut reached);
            }
            // Nothing to learn: a gap in the ids fails the check with or without it.
            (State::Synchronised(_), Ids::Snapshot { .. }) => {}
        }
    }

    pub(crate) fn is_synchronised(&self) -> bool {
        matches!(self.state, State::Synchronised(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: u64, quantity: u64) -> Level {
        Level {
            price: Fixed::from_units(price, 0),
            quantity: Fixed::from_units(quantity, 0),
        }
    }

    fn depth(ids: Ids, bids: &[(u64, u64)], asks: &[(u64, u64)]) -> Depth {
        let levels = |side: &[(u64, u64)]| side.iter().map(|&(p, q)| level(p, q)).collect();
        Depth {
            ids,
            bids: levels(bids),
            asks: levels(asks),
        }
    }

    fn diff(last: u64, bids: &[(u64, u64)], asks: &[(u64, u64)]) -> Depth {
        depth(
            Ids::Diff {
                first: last,
                last,
                previous: None,
            },
            bids,
            asks,
        )
    }

    fn snapshot(last: u64, bids: &[(u64, u64)], asks: &[(u64, u64)]) -> Depth {
        depth(Ids::Snapshot { last }, bids, asks)
    }

    /// All states that the messages lead to: update, best bid, best ask, as (price, quantity).
    fn states(messages: &[Depth]) -> Vec<(u64, Option<Quote>)> {
        let mut rebuild = Rebuild::default();
        let mut states = Vec::new();
        for message in messages {
            rebuild.take(message, |update, book| states.push((update, book.quote())));
        }
        states
    }

    fn quote(bid: (u64, u64), ask: (u64, u64)) -> Option<Quote> {
        Some(Quote {
            bid: level(bid.0, bid.1),
            ask: level(ask.0, ask.1),
        })
    }

    #[test]
    fn the_best_bid_is_the_highest_and_the_best_ask_the_lowest() {
        let states = states(&[
            snapshot(1, &[(9, 1), (8, 2)], &[(11, 3), (12, 4)]),
            diff(2, &[(10, 5)], &[]),
            diff(3, &[(10, 0), (9, 0)], &[(11, 7)]),
            diff(4, &[], &[(11, 0)]),
        ]);
        assert_eq!(
            states,
            [
                (2, quote((10, 5), (11, 3))),
                (3, quote((8, 2), (11, 7))),
                (4, quote((8, 2), (12, 4)))
            ]
        );
    }

    #[test]
    fn removing_a_level_that_is_not_there_changes_nothing() {
        let states = states(&[
            snapshot(1, &[(9, 1)], &[(11, 3)]),
            diff(2, &[(7, 0)], &[(13, 0)]),
        ]);
        assert_eq!(states, [(2, quote((9, 1), (11, 3)))]);
    }

    #[test]
    fn changes_that_came_before_the_snapshot_are_applied_on_top_of_it() {
        let states = states(&[
            diff(4, &[(10, 9)], &[]),
            diff(5, &[(9, 5)], &[]),
            diff(6, &[(9, 6)], &[]),
            snapshot(5, &[(9, 5)], &[(11, 3)]),
            diff(7, &[(9, 7)], &[]),
        ]);
        assert_eq!(
            states,
            [
                (5, quote((9, 5), (11, 3))),
                (6, quote((9, 6), (11, 3))),
                (7, quote((9, 7), (11, 3)))
            ]
        );
    }

    #[test]
    fn changes_that_the_snapshot_contains_are_skipped_after_it_too() {
        let states = states(&[
            snapshot(5, &[(9, 5)], &[(11, 3)]),
            diff(4, &[(10, 9)], &[]),
            diff(6, &[(9, 6)], &[]),
        ]);
        assert_eq!(states, [(6, quote((9, 6), (11, 3)))]);
    }

    #[test]
    fn a_second_snapshot_does_not_disturb_the_book() {
        let states = states(&[
            snapshot(1, &[(9, 1)], &[(11, 1)]),
            diff(2, &[(9, 2)], &[]),
            snapshot(1, &[(8, 1)], &[(11, 1)]),
            diff(3, &[], &[(11, 3)]),
        ]);
        assert_eq!(states[1], (3, quote((9, 2), (11, 3))));
    }

    #[test]
    fn without_a_snapshot_no_state_is_reached_and_memory_is_bounded() {
        let mut rebuild = Rebuild::default();
        let reached = |_: u64, _: &Book| panic!("reached a state without a snapshot");
        for update in 1..=MAX_WAITING as u64 + 10 {
            rebuild.take(&diff(update, &[], &[]), reached);
        }
        rebuild.take(&snapshot(10, &[], &[]), reached);
        assert!(
            !rebuild.is_synchronised(),
            "update 10 is needed and was given up"
        );
        let State::Waiting { diffs, .. } = &rebuild.state else {
            unreachable!()
        };
        assert_eq!(diffs.len(), MAX_WAITING);
        let mut reached = 0;
        rebuild.take(&snapshot(11, &[], &[]), |_, _| reached += 1);
        assert!(rebuild.is_synchronised());
        assert_eq!(reached, MAX_WAITING);
    }
}
