//! The strategy: one thread, and a reactor over the tapes of all instruments, their bars and their
//! stale-feed deadlines.
//!
//! Its clock is moved by the receive times of the captures, so what it does depends on what was
//! recorded and on nothing else: not on the speed of the replay, nor on which thread ran when.

use std::time::Duration;

use ringbus::{Budget, Bus, Clock, ExclusivePublisher, Reactor};

use crate::bar::Bar;
use crate::digest::Digest;
use crate::event::{Quote, Stamped, Tick, Trade};
use crate::merge::Merge;
use crate::reader::{Finished, Reader};

const BAR: Duration = Duration::from_secs(1);

/// A feed that is silent for as long is stale.
const STALE: Duration = Duration::from_millis(500);

/// Follows the tapes to their end.
pub(crate) fn run(tapes: Vec<Reader<Tick>>) -> (Vec<Finished>, Strategy) {
    let instruments = tapes.len();
    let mut merge = Merge::new(tapes);
    let strategy = follow(instruments, merge.by_ref());
    (merge.finish(), strategy)
}

/// Handles ticks at the times at which they were received.
fn follow(instruments: usize, ticks: impl Iterator<Item = Stamped<Tick>>) -> Strategy {
    let bus = Bus::new();
    let clock = Clock::manual();
    let mut reactor = Reactor::builder().clock(clock.clone()).build();
    let mut publishers = subscribe(&mut reactor, &bus, instruments);

    let mut strategy = Strategy::new(instruments);
    let mut first = None;
    for tick in ticks {
        let first = *first.get_or_insert(tick.received);
        // One that was received before the tick in front of it does not turn the clock back.
        let elapsed = tick.received.saturating_sub(first).max(0);
        clock.advance_to(Duration::from_nanos(elapsed.unsigned_abs()));
        // A turn of its own for what is due before the tick: a tick that waits in line would pass
        // for one that came before the deadline.
        let _ = reactor.turn(&mut strategy, Budget::unlimited());
        publishers[tick.instrument]
            .publish(tick)
            .expect("the turn before has made room");
        let _ = reactor.turn(&mut strategy, Budget::unlimited());
    }
    strategy
}

/// Opens topics for the reactor alone, one to each instrument, and adds everything that it reacts to: one
/// handler for all tapes, whichever there will be, and two timers for each.
fn subscribe(
    reactor: &mut Reactor<Strategy>,
    bus: &Bus,
    instruments: usize,
) -> Vec<ExclusivePublisher<Stamped<Tick>>> {
    let tapes = bus
        .subscribe_pattern::<Stamped<Tick>>("tape.*")
        .expect("the pattern is a valid one");
    reactor.on_merged(tapes, |strategy, tick, _, _| {
        strategy.tick(tick.instrument, tick);
    });
    let subscribe = |instrument: usize| {
        let topic = bus
            .topic_builder::<Stamped<Tick>>()
            .name(format!("tape.{instrument}"))
            .capacity(2)
            .open()
            .expect("a short name is a valid one");
        reactor.on_silence(topic.subscribe(), STALE, move |strategy, _| {
            strategy.desks[instrument].stale += 1;
        });
        reactor.every(BAR, move |strategy, _| strategy.close_bar(instrument));
        topic.exclusive_publisher().expect("the topic is new")
    };
    (0..instruments).map(subscribe).collect()
}

/// All that the handlers work on: they run one at a time, on one thread.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Strategy {
    pub(crate) desks: Vec<Desk>,
    /// Of all bars and signals, in order.
    pub(crate) digest: Digest,
}

impl Strategy {
    fn new(instruments: usize) -> Self {
        Self {
            desks: vec![Desk::default(); instruments],
            digest: Digest::default(),
        }
    }

    fn tick(&mut self, instrument: usize, tick: &Stamped<Tick>) {
        let desk = &mut self.desks[instrument];
        desk.ticks += 1;
        match &tick.event {
            Tick::Trade(trade) => desk.trade(trade, tick.received),
            Tick::Top(top) => {
                if let Some(signal) = desk.quote(top.quote) {
                    let price = match signal {
                        Signal::Buy => top.quote.ask.price,
                        Signal::Sell => top.quote.bid.price,
                    };
                    let (time, side) = (tick.received.into(), signal as i128);
                    self.write(&[instrument as i128, time, side, price.units()]);
                }
            }
        }
    }

    fn close_bar(&mut self, instrument: usize) {
        let desk = &mut self.desks[instrument];
        if let Some(bar) = desk.bar.take() {
            desk.last_bar = Some(bar);
            desk.bars += 1;
            let Bar {
                since,
                open,
                high,
                low,
                close,
                volume,
                trades,
            } = bar;
            let prices = [open, high, low, close].map(|price| price.units());
            self.write(&[instrument as i128, since.into()]);
            self.write(&prices);
            self.write(&[volume, trades.into()]);
        }
    }

    fn write(&mut self, numbers: &[i128]) {
        numbers.iter().for_each(|&number| self.digest.add(number));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Buy,
    Sell,
}

/// The strategy's view of one instrument: buy or sell when a lopsided book and the last trades
/// agree, once per change of mind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Desk {
    pub(crate) ticks: u64,
    pub(crate) buys: u64,
    pub(crate) sells: u64,
    /// Bars closed; the one that is open when the tape ends is not.
    pub(crate) bars: u64,
    pub(crate) last_bar: Option<Bar>,
    /// Periods in which the feed was stale.
    pub(crate) stale: u64,
    bar: Option<Bar>,
    /// Bought less sold by those who did not wait in the book, since the last signal.
    flow: i128,
    position: i8,
}

impl Desk {
    fn trade(&mut self, trade: &Trade, received: i64) {
        match &mut self.bar {
            Some(bar) => bar.add(trade),
            None => self.bar = Some(Bar::of(trade, received)),
        }
        let taken = trade.quantity.units();
        self.flow += if trade.buyer_is_maker { -taken } else { taken };
    }

    fn quote(&mut self, quote: Quote) -> Option<Signal> {
        let (bid, ask) = (quote.bid.quantity.units(), quote.ask.quantity.units());
        if self.position < 1 && self.flow > 0 && bid / 4 > ask {
            (self.position, self.flow) = (1, 0);
            self.buys += 1;
            Some(Signal::Buy)
        } else if self.position > -1 && self.flow < 0 && ask / 4 > bid {
            (self.position, self.flow) = (-1, 0);
            self.sells += 1;
            Some(Signal::Sell)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::event::{Level, Top};
    use crate::fixed::Fixed;

    const MS: i64 = 1_000_000;
    /// When the first tick comes.
    const FIRST: i64 = 1_723_161_254_000_000_000;

    fn tick(instrument: usize, ms: i64, event: Tick) -> Stamped<Tick> {
        Stamped {
            instrument,
            received: FIRST + ms * MS,
            published: Instant::now(),
            event,
        }
    }

    fn units(units: u64) -> Fixed {
        Fixed::from_units(units, 0)
    }

    /// Somebody buys, or sells less than nothing.
    fn trade(instrument: usize, ms: i64, price: u64, quantity: i64) -> Stamped<Tick> {
        let trade = Trade {
            price: units(price),
            quantity: units(quantity.unsigned_abs()),
            buyer_is_maker: quantity < 0,
        };
        tick(instrument, ms, Tick::Trade(trade))
    }

    /// A top with these quantities.
    fn top(instrument: usize, ms: i64, bid: u64, ask: u64) -> Stamped<Tick> {
        let level = |price, quantity| Level {
            price: units(price),
            quantity: units(quantity),
        };
        let (bid, ask) = (level(99, bid), level(101, ask));
        let quote = Quote { bid, ask };
        tick(instrument, ms, Tick::Top(Top { update: 0, quote }))
    }

    fn bar(ms: i64, prices: [u64; 4], volume: u64, trades: u64) -> Bar {
        let [open, high, low, close] = prices.map(units);
        Bar {
            since: FIRST + ms * MS,
            open,
            high,
            low,
            close,
            volume: units(volume).units(),
            trades,
        }
    }

    fn stream() -> Vec<Stamped<Tick>> {
        vec![
            trade(0, 0, 100, 2),
            trade(0, 300, 104, 3),
            trade(1, 400, 7, 1),
            top(0, 400, 9, 2),
            trade(0, 600, 97, -1),
            trade(0, 999, 99, -1),
            trade(1, 1000, 8, 1),
            trade(0, 1000, 50, -5),
            trade(0, 1400, 60, -5),
            top(0, 1500, 2, 9),
            top(1, 1600, 1, 1),
        ]
    }

    #[test]
    fn a_bar_has_the_trades_of_its_second() {
        let strategy = follow(2, stream().into_iter());
        let [first, second] = &strategy.desks[..] else {
            unreachable!()
        };
        // The trades at 1000 ms are the first of the next bars, which do not close.
        assert_eq!(first.last_bar, Some(bar(0, [100, 104, 97, 99], 7, 4)));
        assert_eq!(second.last_bar, Some(bar(400, [7, 7, 7, 7], 1, 1)));
        assert_eq!((first.bars, second.bars), (1, 1));
        assert_eq!((first.ticks, second.ticks), (8, 3));
    }

    #[test]
    fn seconds_without_a_trade_have_no_bar() {
        let pause = [
            trade(0, 0, 5, 1),
            trade(0, 7_100, 6, 1),
            top(0, 7_999, 1, 1),
            top(0, 8_000, 1, 1),
        ];
        let bars = |ticks: &[_]| {
            let [desk] = follow(1, ticks.iter().cloned()).desks[..] else {
                unreachable!()
            };
            (desk.bars, desk.last_bar)
        };
        assert_eq!(bars(&pause[..3]), (1, Some(bar(0, [5; 4], 1, 1))));
        assert_eq!(bars(&pause), (2, Some(bar(7_100, [6; 4], 1, 1))));
    }

    #[test]
    fn a_lopsided_book_and_the_flow_agree_on_a_signal() {
        let strategy = follow(2, stream().into_iter());
        let signals = |desk: &Desk| (desk.buys, desk.sells);
        let signals: Vec<_> = strategy.desks.iter().map(signals).collect();
        assert_eq!(signals, [(1, 1), (0, 0)]);
    }

    #[test]
    fn a_feed_that_is_silent_is_stale_once() {
        let stale = |times: &[i64]| {
            let ticks = times.iter().map(|&ms| top(0, ms, 1, 1));
            // The other instrument has the time go on.
            let other = (0..5_000).step_by(10).map(|ms| top(1, ms, 1, 1));
            let mut ticks: Vec<_> = ticks.chain(other).collect();
            ticks.sort_by_key(|tick| tick.received);
            let strategy = follow(2, ticks.into_iter());
            assert_eq!(strategy.desks[1].stale, 0);
            strategy.desks[0].stale
        };
        assert_eq!(stale(&[]), 1);
        let lively: Vec<i64> = (0..5_000).step_by(495).collect();
        assert_eq!(stale(&lively), 0);
        let pauses = [400, 899, 1398, 1899, 2300, 4000, 4499, 4900];
        assert_eq!(stale(&pauses), 2, "1398 to 1899, 2300 to 4000");
    }

    #[test]
    fn every_bar_and_signal_counts_in_the_digest() {
        let digest = |ticks: Vec<_>| follow(2, ticks.into_iter()).digest;
        let whole = digest(stream());
        assert_eq!(digest(stream()), whole);
        let mut cheaper = stream();
        cheaper[4] = trade(0, 600, 96, -1);
        assert_ne!(digest(cheaper), whole);
        let mut unmoved = stream();
        unmoved[9] = top(0, 1500, 9, 9);
        assert_ne!(digest(unmoved), whole);
    }
}
