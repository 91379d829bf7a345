//! The two checks that a feed carries in itself; a bus that loses or reorders one event fails them.
//!
//! 1. The ids of depth messages have no gap.
//! 2. The rebuilt book has the same top as the exchange's own, wherever a top carries the update id
//!    at which a depth message ends, and is never crossed.
//!
//! Tops and books arrive over different topics on different threads, so either may be ahead; each
//! side waits in here for the other. A top whose id lies inside a depth message meets no book and
//! cannot be checked.

use std::collections::BTreeMap;

use crate::event::{Ids, Quote, Top};

/// How many of each kind may wait for the other where the ids do not say sooner that it will not
/// come.
const MAX_WAITING: usize = 1 << 15;

/// The checks of one instrument.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    verdict: Verdict,
    /// `last` of the previous depth message.
    previous: Option<u64>,
    /// The update of the newest book.
    newest: Option<u64>,
    /// Tops that are ahead of the book; the second part of the key keeps several of one update
    /// apart.
    tops: BTreeMap<(u64, u64), Quote>,
    arrivals: u64,
    /// Books that the tops have not passed yet.
    books: BTreeMap<u64, Option<Quote>>,
}

/// What the checks found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) gaps: u64,
    pub(crate) crossed: u64,
    pub(crate) compared: u64,
    pub(crate) matched: u64,
    pub(crate) mismatch: Option<Mismatch>,
}

/// The first top that differed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) update: u64,
    pub(crate) exchange: Quote,
    pub(crate) rebuilt: Option<Quote>,
}

impl Oracle {
    /// A depth message arrived, whether or not the book can use it yet.
    pub(crate) fn ids(&mut self, ids: Ids) {
        let Ids::Diff {
            first,
            last,
            previous,
        } = ids
        else {
            return;
        };
        if let Some(before) = self.previous {
            let follows = match previous {
                Some(previous) => previous == before,
                None => before.checked_add(1) == Some(first),
            };
            self.verdict.gaps += u64::from(!follows);
        }
        self.previous = Some(last);
    }

    /// The rebuilt book has reached `update`.
    pub(crate) fn book(&mut self, update: u64, quote: Option<Quote>) {
        if let Some(Quote { bid, ask }) = quote {
            self.verdict.crossed += u64::from(bid.price >= ask.price);
        }
        while let Some(top) = self.tops.first_entry()
            && top.key().0 <= update
        {
            let (of, _) = *top.key();
            let exchange = top.remove();
            if of == update {
                self.compare(update, exchange, quote);
            }
        }
        self.newest = self.newest.max(Some(update));
        self.books.insert(update, quote);
    }

    /// The exchange told its top.
    pub(crate) fn top(&mut self, top: Top) {
        if Some(top.update) > self.newest {
            self.arrivals += 1;
            self.tops.insert((top.update, self.arrivals), top.quote);
            if self.tops.len() > MAX_WAITING {
                self.tops.pop_first();
            }
        } else if let Some(&rebuilt) = self.books.get(&top.update) {
            self.compare(top.update, top.quote, rebuilt);
        }
        // The exchange sends tops in order of their ids: no later one will ask for a book before
        // this one. The slack is for a feed that breaks this rule.
        while self.books.len() > MAX_WAITING
            && let Some(book) = self.books.first_entry()
            && *book.key() < top.update
        {
            book.remove();
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    fn compare(&mut self, update: u64, exchange: Quote, rebuilt: Option<Quote>) {
        self.verdict.compared += 1;
        if rebuilt == Some(exchange) {
            self.verdict.matched += 1;
        } else {
            let mismatch = Mismatch {
                update,
                exchange,
                rebuilt,
            };
            self.verdict.mismatch.get_or_insert(mismatch);
        }
    }
}

/// The checks of a whole run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) gaps: u64,
    pub(crate) matched: u64,
    pub(crate) compared: u64,
    pub(crate) crossed: u64,
    /// Events that a lossless subscriber should have handled and did not.
    pub(crate) missed: u64,
}

impl Total {
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        self.gaps += verdict.gaps;
        self.matched += verdict.matched;
        self.compared += verdict.compared;
        self.crossed += verdict.crossed;
    }

    /// A run that compared nothing has shown nothing.
    pub(crate) fn holds(&self) -> bool {
        self.gaps == 0
            && self.compared > 0
            && self.matched == self.compared
            && self.crossed == 0
            && self.missed == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Level;
    use crate::fixed::Fixed;

    fn quote(bid: u64, ask: u64) -> Quote {
        let level = |price| Level {
            price: Fixed::from_units(price, 0),
            quantity: Fixed::from_units(1, 0),
        };
        Quote {
            bid: level(bid),
            ask: level(ask),
        }
    }

    fn top(update: u64, bid: u64, ask: u64) -> Top {
        Top {
            update,
            quote: quote(bid, ask),
        }
    }

    fn spot(first: u64, last: u64) -> Ids {
        Ids::Diff {
            first,
            last,
            previous: None,
        }
    }

    fn futures(first: u64, last: u64, previous: u64) -> Ids {
        Ids::Diff {
            first,
            last,
            previous: Some(previous),
        }
    }

    fn gaps(messages: &[Ids]) -> u64 {
        let mut oracle = Oracle::default();
        messages.iter().for_each(|&ids| oracle.ids(ids));
        oracle.verdict().gaps
    }

    #[test]
    fn spot_ids_follow_by_one() {
        assert_eq!(
            gaps(&[
                spot(5, 9),
                spot(10, 10),
                Ids::Snapshot { last: 3 },
                spot(11, 14)
            ]),
            0
        );
        assert_eq!(
            gaps(&[spot(5, 9), spot(11, 12), spot(13, 14)]),
            1,
            "update 10 is missing"
        );
        assert_eq!(
            gaps(&[spot(5, 9), spot(15, 19), spot(10, 14)]),
            2,
            "two changed places"
        );
        assert_eq!(gaps(&[spot(5, 9), spot(5, 9)]), 1, "one came twice");
    }

    #[test]
    fn futures_ids_name_the_message_before() {
        assert_eq!(
            gaps(&[futures(5, 9, 1), futures(15, 19, 9), futures(32, 40, 19)]),
            0
        );
        assert_eq!(gaps(&[futures(5, 9, 1), futures(32, 40, 19)]), 1);
    }

    #[test]
    fn a_top_is_compared_whichever_side_comes_first() {
        let mut oracle = Oracle::default();
        oracle.top(top(7, 1, 2));
        oracle.book(7, Some(quote(1, 2)));
        oracle.book(9, Some(quote(1, 3)));
        oracle.book(11, Some(quote(2, 3)));
        oracle.top(top(9, 1, 3));
        oracle.top(top(11, 2, 3));
        let verdict = oracle.verdict();
        assert_eq!((verdict.compared, verdict.matched), (3, 3));
        assert_eq!(verdict.mismatch, None);
    }

    #[test]
    fn several_tops_of_one_update_are_each_compared() {
        let mut oracle = Oracle::default();
        oracle.top(top(7, 1, 2));
        oracle.top(top(7, 1, 2));
        oracle.book(7, Some(quote(1, 2)));
        oracle.top(top(7, 1, 2));
        assert_eq!(oracle.verdict().matched, 3);
    }

    #[test]
    fn a_top_inside_a_depth_message_is_not_compared() {
        let mut oracle = Oracle::default();
        oracle.top(top(6, 1, 2));
        oracle.book(7, Some(quote(3, 4)));
        oracle.book(9, Some(quote(3, 4)));
        oracle.top(top(8, 1, 2));
        oracle.top(top(10, 1, 2));
        assert_eq!(oracle.verdict().compared, 0);
    }

    #[test]
    fn a_different_quantity_is_a_mismatch() {
        let mut oracle = Oracle::default();
        let mut exchange = top(7, 1, 2);
        exchange.quote.ask.quantity = Fixed::from_units(2, 0);
        oracle.book(7, Some(quote(1, 2)));
        oracle.top(exchange);
        oracle.book(8, None);
        oracle.top(top(8, 1, 2));
        let verdict = oracle.verdict();
        assert_eq!((verdict.compared, verdict.matched), (2, 0));
        assert_eq!(verdict.mismatch.unwrap().update, 7);
    }

    #[test]
    fn a_locked_or_crossed_book_is_counted() {
        let mut oracle = Oracle::default();
        oracle.book(7, Some(quote(1, 2)));
        oracle.book(8, Some(quote(2, 2)));
        oracle.book(9, Some(quote(3, 2)));
        assert_eq!(oracle.verdict().crossed, 2);
    }

    #[test]
    fn neither_side_waits_without_bound() {
        let mut oracle = Oracle::default();
        let n = 2 * MAX_WAITING as u64;
        (1..=n).for_each(|update| oracle.top(top(update, 1, 2)));
        assert_eq!(oracle.tops.len(), MAX_WAITING);
        for update in n + 1..=2 * n {
            oracle.book(update, Some(quote(1, 2)));
        }
        assert_eq!(
            oracle.books.len() as u64,
            n,
            "the tops may still come for each of these"
        );
        oracle.top(top(2 * n, 1, 2));
        assert_eq!(oracle.books.len(), MAX_WAITING);
        assert_eq!(oracle.verdict().matched, 1);
    }

    #[test]
    fn a_run_holds_only_if_all_checks_do() {
        let good = Total {
            gaps: 0,
            matched: 2,
            compared: 2,
            crossed: 0,
            missed: 0,
        };
        assert!(good.holds());
        assert!(!Total { gaps: 1, ..good }.holds());
        assert!(!Total { matched: 1, ..good }.holds());
        assert!(!Total { crossed: 1, ..good }.holds());
        assert!(!Total { missed: 1, ..good }.holds());
        assert!(!Total::default().holds(), "nothing was compared");
    }
}
