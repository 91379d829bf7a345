//! A market that is made up: the same messages as a recorded one, from a seed.
//!
//! It writes the text of a capture, so that a run without files goes through the parser and all
//! checks like any other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;

use crate::capture::Capture;

/// Each step is one change of a book and gives one line or two.
pub(crate) const STEPS: usize = 100_000;
const LEVELS: u64 = 200;
const START_NS: i64 = 1_723_161_254_000_000_000;

/// One capture of each kind of market.
pub(crate) fn captures(seed: u64, steps: usize) -> Vec<Capture> {
    let markets = [
        Market {
            name: "cm_ethusd_perp",
            kind: Kind::CoinFutures,
            mid: 268_217,
            decimals: 2,
        },
        Market {
            name: "spot_btcusdt",
            kind: Kind::Spot,
            mid: 6_183_763,
            decimals: 2,
        },
        Market {
            name: "usdm_btcusdt",
            kind: Kind::UsdFutures,
            mid: 618_002,
            decimals: 1,
        },
    ];
    let capture = |(index, market): (usize, Market)| {
        let name = market.name;
        let text = Exchange::new(market, seed.wrapping_add(index as u64)).run(steps);
        Capture::in_memory(name, text.into_bytes())
    };
    markets.into_iter().enumerate().map(capture).collect()
}

struct Market {
    name: &'static str,
    kind: Kind,
    /// Where the book starts, in units of the last decimal.
    mid: u64,
    decimals: u32,
}

/// The markets differ in their ids, in how often they send changes, and in how they wrap a
/// snapshot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Spot,
    UsdFutures,
    CoinFutures,
}

/// The exchange's side: the true book, and what it has told of it.
struct Exchange {
    market: Market,
    symbol: String,
    random: Random,
    bids: BTreeMap<u64, u64>,
    asks: BTreeMap<u64, u64>,
    changed_bids: BTreeSet<u64>,
    changed_asks: BTreeSet<u64>,
    update: u64,
    /// The first update that no depth message has told yet.
    first: Option<u64>,
    /// The last update of the previous depth message.
    previous: u64,
    trades: u64,
    /// Tops travel on their own stream and may come later than the changes they go with.
    tops: VecDeque<String>,
    clock: i64,
    text: String,
}

impl Exchange {
    fn new(market: Market, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut side = |price: fn(u64, u64) -> u64| {
            (1..=LEVELS)
                .map(|n| (price(market.mid, n), 1 + random.below(5_000)))
                .collect()
        };
        let (bids, asks) = (side(|mid, n| mid - n), side(|mid, n| mid + n));
        let symbol = market
            .name
            .split_once('_')
            .map_or(market.name, |(_, symbol)| symbol);
        let update = 1_000_000_000 + random.below(1_000_000_000);
        Self {
            symbol: symbol.to_owned(),
            random,
            bids,
            asks,
            changed_bids: BTreeSet::new(),
            changed_asks: BTreeSet::new(),
            update,
            first: None,
            previous: update,
            trades: 0,
            tops: VecDeque::new(),
            clock: START_NS,
            text: String::new(),
            market,
        }
    }

    fn run(mut self, steps: usize) -> String {
        let changes_per_message = match self.market.kind {
            Kind::Spot => 16,
            Kind::UsdFutures => 8,
            Kind::CoinFutures => 2,
        };
        // The snapshot is asked for while changes flow and arrives when more of them are there
        // already.
        let (asked, answered) = (41, 41 + 3 * changes_per_message);
        let mut snapshot = None;
        for step in 0..steps {
            self.step();
            if step == asked {
                snapshot = Some(self.snapshot());
            }
            if step == answered
                && let Some(snapshot) = snapshot.take()
            {
                self.line(&snapshot);
            }
            if self.random.below(changes_per_message as u64) == 0 {
                self.send_depth();
            }
            while !self.tops.is_empty() && self.random.below(8) != 0 {
                let top = self.tops.pop_front().unwrap_or_default();
                self.line(&top);
            }
        }
        self.text
    }

    /// One change of the book.
    fn step(&mut self) {
        let before = (self.bids.last_key_value(), self.asks.first_key_value());
        let before = (before.0.map(owned), before.1.map(owned));
        self.clock += self.random.gap();
        self.update += match self.market.kind {
            Kind::Spot => 1,
            // Ids of futures are shared by all their symbols.
            _ => 1 + self.random.below(40),
        };
        self.first.get_or_insert(self.update);
        let buys = self.random.below(2) == 0;
        if self.random.below(5) == 0 {
            self.trade(buys);
        } else {
            self.quote(buys);
        }
        let after = (self.bids.last_key_value(), self.asks.first_key_value());
        if before != (after.0.map(owned), after.1.map(owned)) {
            let top = self.top();
            self.tops.push_back(top);
        }
    }

    /// Somebody places, changes or cancels an order.
    fn quote(&mut self, buys: bool) {
        let (best_bid, best_ask) = self.best();
        let inside = best_ask - best_bid - 1;
        // Mostly near the top, where books move most.
        let reach = if self.random.below(4) == 0 { LEVELS } else { 6 };
        let mut behind = self.random.below(reach) as i64;
        if inside > 0 && self.random.below(3) == 0 {
            behind = -(1 + self.random.below(inside.min(3)) as i64);
        }
        let quantity = match self.random.below(3) {
            0 => 0,
            _ => 1 + self.random.below(5_000),
        };
        let (side, changed, best) = if buys {
            (&mut self.bids, &mut self.changed_bids, best_bid)
        } else {
            (&mut self.asks, &mut self.changed_asks, best_ask)
        };
        let price = best.saturating_add_signed(if buys { -behind } else { behind });
        changed.insert(price);
        if quantity == 0 && side.len() as u64 > LEVELS / 4 {
            side.remove(&price);
        } else {
            side.insert(price, quantity.max(1));
        }
    }

    /// Somebody takes what the best level of the other side offers, or a part of it.
    fn trade(&mut self, buys: bool) {
        let (best_bid, best_ask) = self.best();
        let (side, changed, price) = if buys {
            (&mut self.asks, &mut self.changed_asks, best_ask)
        } else {
            (&mut self.bids, &mut self.changed_bids, best_bid)
        };
        let enough = side.len() as u64 > LEVELS / 4;
        let offered = side.entry(price).or_default();
        let taken = 1 + self.random.below(*offered);
        if taken < *offered {
            *offered -= taken;
        } else if enough {
            side.remove(&price);
        }
        changed.insert(price);
        self.trades += 1;
        let json = format!(
            r#"{{"stream":"{}@trade","data":{{"e":"trade","E":{time},"s":"{}","t":{},"p":"{}","q":"{}","T":{time},"m":{}}}}}"#,
            self.symbol,
            self.symbol.to_uppercase(),
            self.trades,
            self.price(price),
            quantity(taken),
            !buys,
            time = self.clock / 1_000_000,
        );
        self.line(&json);
    }

    fn top(&self) -> String {
        let (bid, ask) = self.best();
        format!(
            r#"{{"stream":"{}@bookTicker","data":{{"u":{},"s":"{}","b":"{}","B":"{}","a":"{}","A":"{}"}}}}"#,
            self.symbol,
            self.update,
            self.symbol.to_uppercase(),
            self.price(bid),
            quantity(self.bids[&bid]),
            self.price(ask),
            quantity(self.asks[&ask]),
        )
    }

    fn send_depth(&mut self) {
        let Some(first) = self.first.take() else {
            return;
        };
        let levels = |changed: &BTreeSet<u64>, side: &BTreeMap<u64, u64>| {
            self.levels(
                changed
                    .iter()
                    .map(|price| (*price, side.get(price).copied().unwrap_or(0))),
            )
        };
        let bids = levels(&self.changed_bids, &self.bids);
        let asks = levels(&self.changed_asks, &self.asks);
        let (interval, previous) = match self.market.kind {
            Kind::Spot => ("100ms", String::new()),
            _ => ("0ms", format!(r#""pu":{},"#, self.previous)),
        };
        let json = format!(
            r#"{{"stream":"{}@depth@{interval}","data":{{"e":"depthUpdate","E":{},"U":{first},"u":{},{previous}"b":{bids},"a":{asks}}}}}"#,
            self.symbol,
            self.clock / 1_000_000,
            self.update,
        );
        self.line(&json);
        self.previous = self.update;
        self.changed_bids.clear();
        self.changed_asks.clear();
    }

    fn snapshot(&self) -> String {
        let bids = self.levels(self.bids.iter().rev().map(owned));
        let asks = self.levels(self.asks.iter().map(owned));
        let book = format!(
            r#"{{"lastUpdateId":{},"bids":{bids},"asks":{asks}}}"#,
            self.update
        );
        match self.market.kind {
            Kind::Spot => book,
            Kind::UsdFutures => format!(r#"{{"id":1,"status":200,"result":{book}}}"#),
            Kind::CoinFutures => format!(r#"{{"data":{book}}}"#),
        }
    }

    fn best(&self) -> (u64, u64) {
        let bid = self.bids.last_key_value().map_or(0, |(&price, _)| price);
        let ask = self
            .asks
            .first_key_value()
            .map_or(u64::MAX, |(&price, _)| price);
        (bid, ask)
    }

    fn levels(&self, levels: impl Iterator<Item = (u64, u64)>) -> String {
        let pairs: Vec<String> = levels
            .map(|(price, offered)| format!(r#"["{}","{}"]"#, self.price(price), quantity(offered)))
            .collect();
        format!("[{}]", pairs.join(","))
    }

    fn price(&self, units: u64) -> String {
        decimal(units, self.market.decimals)
    }

    fn line(&mut self, json: &str) {
        // The capture's clock runs on a little with every line.
        self.clock += 1 + self.random.below(700) as i64;
        let _ = writeln!(self.text, "{} {json}", self.clock);
    }
}

fn owned((&price, &quantity): (&u64, &u64)) -> (u64, u64) {
    (price, quantity)
}

fn quantity(units: u64) -> String {
    decimal(units, 3)
}

fn decimal(units: u64, decimals: u32) -> String {
    let one = 10u64.pow(decimals);
    format!(
        "{}.{:0width$}",
        units / one,
        units % one,
        width = decimals as usize
    )
}

/// SplitMix64: a few lines, and the same numbers on every platform and with every version.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; the bias is far too small to matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// The time to the next change: bursts, and pauses between them.
    fn gap(&mut self) -> i64 {
        let longest = match self.below(10) {
            0..2 => 1_000,
            2..8 => 50_000,
            _ => 300_000,
        };
        self.below(longest) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::Rebuild;
    use crate::message::{self, Message};
    use crate::oracle::{Oracle, Verdict};

    /// What the checks say of a capture, with some of its lines left out.
    fn judge(text: &str, keep: impl Fn(usize) -> bool) -> Verdict {
        let (mut oracle, mut rebuild) = (Oracle::default(), Rebuild::default());
        for (index, line) in text.lines().enumerate() {
            let (_, message) = message::parse(line.as_bytes()).unwrap();
            match message {
                _ if !keep(index) => {}
                Message::Depth(depth) => {
                    oracle.ids(depth.ids);
                    rebuild.take(&depth, |update, book| oracle.book(update, book.quote()));
                }
                Message::Top(top) => oracle.top(top),
                Message::Trade(_) => {}
                Message::Other => panic!("not part of a generated feed: {line}"),
            }
        }
        assert!(rebuild.is_synchronised());
        oracle.verdict()
    }

    fn text(kind: Kind, seed: u64) -> String {
        let market = Market {
            name: "x_btcusdt",
            kind,
            mid: 50_000,
            decimals: 2,
        };
        Exchange::new(market, seed).run(3_000)
    }

    #[test]
    fn a_generated_feed_passes_the_checks() {
        for kind in [Kind::Spot, Kind::UsdFutures, Kind::CoinFutures] {
            for seed in 0..20 {
                let verdict = judge(&text(kind, seed), |_| true);
                assert_eq!((verdict.gaps, verdict.crossed), (0, 0), "seed {seed}");
                assert_eq!(verdict.mismatch, None, "seed {seed}");
                assert!(verdict.compared > 20, "only {} tops", verdict.compared);
            }
        }
    }

    #[test]
    fn a_lost_depth_message_fails_the_checks() {
        for kind in [Kind::Spot, Kind::UsdFutures, Kind::CoinFutures] {
            let text = text(kind, 1);
            let lost = text
                .lines()
                .enumerate()
                .filter(|(_, line)| line.contains("@depth"))
                .nth(50)
                .map(|(index, _)| index);
            assert_eq!(judge(&text, |index| Some(index) != lost).gaps, 1);
        }
    }

    #[test]
    fn a_seed_gives_the_same_feed_and_another_one_another() {
        assert_eq!(text(Kind::Spot, 7), text(Kind::Spot, 7));
        assert_ne!(text(Kind::Spot, 7), text(Kind::Spot, 8));
    }

    #[test]
    fn tops_come_before_and_after_the_depth_message_they_go_with() {
        let text = text(Kind::UsdFutures, 3);
        let (mut newest, mut before, mut after) = (0, 0, 0);
        for line in text.lines() {
            match message::parse(line.as_bytes()).unwrap().1 {
                Message::Depth(depth) => {
                    if let crate::event::Ids::Diff { last, .. } = depth.ids {
                        newest = last;
                    }
                }
                Message::Top(top) if top.update > newest => before += 1,
                Message::Top(_) => after += 1,
                _ => {}
            }
        }
        assert!(
            before > 100 && after > 100,
            "{before} before, {after} after"
        );
    }
}
