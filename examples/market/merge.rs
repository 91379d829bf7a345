//! The tapes of all instruments as one.

use std::collections::VecDeque;

use crate::event::{Stamped, Tick};
use crate::reader::{Finished, Reader};

/// Ticks taken from a tape at a time.
const PAGE: usize = 256;

/// Merges tapes by receive time; ticks received at the same time come in the order of the
/// instruments.
///
/// Which tick is next is known when every tape that is still open has shown one, so that is what it
/// waits for, and the order depends on nothing but the tapes. Meanwhile the other tapes may fill up
/// and stop their feeds. That always ends: the feed that it waits for can itself only be waiting
/// for threads that read one topic each, and those get on whatever the others do.
///
/// A tick is counted as handled when it is taken from its tape: how long it then waits for the
/// other tapes says nothing of the bus.
pub(crate) struct Merge {
    tapes: Vec<Tape>,
}

struct Tape {
    reader: Reader<Tick>,
    open: bool,
    /// Taken, and waiting for the ticks of other tapes.
    page: VecDeque<Stamped<Tick>>,
}

impl Merge {
    pub(crate) fn new(tapes: Vec<Reader<Tick>>) -> Self {
        let tape = |reader| Tape {
            reader,
            open: true,
            page: VecDeque::with_capacity(PAGE),
        };
        Self {
            tapes: tapes.into_iter().map(tape).collect(),
        }
    }

    pub(crate) fn finish(self) -> Vec<Finished> {
        let finish = |tape: Tape| tape.reader.finish();
        self.tapes.into_iter().map(finish).collect()
    }
}

impl Iterator for Merge {
    type Item = Stamped<Tick>;

    fn next(&mut self) -> Option<Stamped<Tick>> {
        self.tapes.iter_mut().for_each(Tape::show);
        let shown = self.tapes.iter_mut().filter(|tape| !tape.page.is_empty());
        // The first of those that are least.
        let next = shown.min_by_key(|tape| tape.page[0].received)?;
        next.page.pop_front()
    }
}

impl Tape {
    /// Waits until there is a tick, or will be none.
    fn show(&mut self) {
        while self.open && self.page.is_empty() {
            let page = &mut self.page;
            self.open = self.reader.wait(PAGE, |tick| page.push_back(tick.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use ringbus::Bus;

    use super::*;
    use crate::event::Trade;
    use crate::fixed::Fixed;

    /// Instrument and receive time of what the merge gives, for tapes with ticks at these times.
    fn merged(times: &[&[i64]], pause: impl Fn(usize) -> Duration + Sync) -> Vec<(usize, i64)> {
        let bus = Bus::new();
        let (mut readers, mut publishers) = (Vec::new(), Vec::new());
        for instrument in 0..times.len() {
            let name = format!("tape {instrument}");
            // Fewer than there are ticks: feeds have to wait for the merge.
            let topic = bus.topic_builder::<Stamped<Tick>>().name(&name).capacity(2);
            let topic = topic.open().unwrap();
            readers.push(Reader::lossless("merge", &name, topic.subscribe()));
            publishers.push(topic.exclusive_publisher().unwrap());
        }
        thread::scope(|scope| {
            for (instrument, (mut publisher, times)) in
                publishers.into_iter().zip(times).enumerate()
            {
                let pause = &pause;
                scope.spawn(move || {
                    for &received in *times {
                        thread::sleep(pause(instrument));
                        let tick = Stamped {
                            instrument,
                            received,
                            published: Instant::now(),
                            event: Tick::Trade(Trade {
                                price: Fixed::ZERO,
                                quantity: Fixed::ZERO,
                                buyer_is_maker: false,
                            }),
                        };
                        publisher.publish(tick).unwrap();
                    }
                });
            }
            let mut merge = Merge::new(readers);
            let order = merge.by_ref().map(|tick| (tick.instrument, tick.received));
            let order = order.collect();
            let handled = merge.finish().into_iter().map(|tape| tape.tally.handled);
            assert!(handled.eq(times.iter().map(|times| times.len() as u64)));
            order
        })
    }

    #[test]
    fn ticks_come_by_receive_time_whoever_is_late() {
        let times: &[&[i64]] = &[&[10, 20, 20, 50], &[5, 20, 60, 70, 80], &[], &[30]];
        let right = [
            (1, 5),
            (0, 10),
            (0, 20),
            (0, 20),
            (1, 20),
            (3, 30),
            (0, 50),
            (1, 60),
            (1, 70),
            (1, 80),
        ];
        for late in 0..times.len() {
            let pause = |instrument| Duration::from_millis(if instrument == late { 5 } else { 0 });
            assert_eq!(merged(times, pause), right, "{late} was late");
        }
    }

    #[test]
    fn a_tape_keeps_its_own_order() {
        let order = merged(&[&[1, 9, 3], &[4]], |_| Duration::ZERO);
        assert_eq!(order, [(0, 1), (1, 4), (0, 9), (0, 3)]);
    }
}
