//! Two subscribers, one of them slow: who waits for it, and who does not.

use std::time::Instant;

use ringbus::WaitStrategy::Spin;

use crate::clock::Clock;
use crate::duet::{self, Channel, EVENTS, Entry, Lineup};
use crate::halves::{self, Half, Job, Load, Looks, Outcome, Patience, Sending};
use crate::peers::lossy::{self, Account, Lossless, Receiver};
use crate::peers::tokio::{Progress, paced};
use crate::peers::{bus, crossbeam, disruptor, multiqueue2, ringbus as ours};
use crate::plan::{COPIES, Plan};
use crate::report::{Section, Target};
use crate::scenarios::fan_out::many;

/// The slow one takes this many events at most, once in [`PERIOD`].
const TAKES: usize = 16;

/// In nanoseconds.
const PERIOD: f64 = 10_000.0;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    #[rustfmt::skip]
    let lineup: Lineup = vec![
        ("ringbus, nobody slow", "publish, poll", || {
            let (sender, fast, slow) = lossy::beside();
            drop(slow);
            beside(sender, fast, None::<lossy::Poll>)
        }),
        ("ringbus, the slow one lossy", "publish, poll", || {
            let (sender, fast, slow) = lossy::beside();
            beside(sender, fast, Some(slow))
        }),
        ("tokio broadcast, nobody slow", "send, try_recv", || tokio(false)),
        ("tokio broadcast, the slow one lossy", "send, try_recv", || tokio(true)),
        ("ringbus, waited for", "publish, poll", || waiting(ours::exclusive::<TAKES>(Spin, 2))),
        ("disruptor, waited for", "publish, take", || waiting(disruptor::fan_out_of::<TAKES>(2))),
        ("bus, waited for", "try_broadcast, try_recv", || waiting(bus::fan_out(2))),
        ("multiqueue2, waited for", "try_send, try_recv_view", || waiting(multiqueue2::fan_out(2))),
        ("crossbeam-channel x 2, waited for", "try_send to each, try_recv", || waiting(many(2, crossbeam::trying))),
    ];
    let entries = Entry::each(&lineup, Load::Flat);
    // Those who wait take 12 ms for a window.
    let rows = duet::play(&lineup, entries, EVENTS, &mut plan.at_most(6 * COPIES));
    let (ours, alone) = ("ringbus, the slow one lossy", "ringbus, nobody slow");
    let targets = vec![Target::new(&rows, ours, alone, 1.1)];
    Section {
        title: "one publisher, a fast subscriber, and a slow one that takes 16 events in 10 us; both on one thread",
        unit: "ns per event; waited for, the slow one sets a pace of 625. Losses are counted exactly",
        rows,
        targets,
        ..Section::default()
    }
}

/// Puts a fast and a slow reader, if any, on the far thread.
fn beside<S, F, R>(sender: S, fast: F, slow: Option<R>) -> Channel
where
    S: halves::Sender + 'static,
    F: Receiver + 'static,
    R: Receiver + 'static,
{
    let far = Beside {
        fast: (fast, Account::default()),
        slow: slow.map(|slow| (slow, Account::default())),
    };
    Channel::new(Sending::<_, 8>(sender), far)
}

/// The slow one is waited for.
fn waiting<S, R>((sender, mut readers): (S, Vec<R>)) -> Channel
where
    S: halves::Sender + 'static,
    R: halves::Receiver + 'static,
{
    let (fast, slow) = (readers.pop(), readers.pop());
    let fast = Lossless(fast.expect("there are two"));
    beside(sender, fast, slow.map(Lossless))
}

/// A broadcast whose sender waits for its fast receiver, by the same means as in the other scenarios.
fn tokio(slow: bool) -> Channel {
    let (sender, mut receivers) = lossy::tokio(1 + usize::from(slow));
    let fast = receivers.remove(0);
    let (sender, fast) = paced((sender, Whole(fast)));
    beside(sender, Lossless::<Progress<_>>(fast), receivers.pop())
}

/// A receiver that must not lose anything.
struct Whole<R>(R);

impl<R: Receiver> halves::Receiver for Whole<R> {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&crate::event::Event)) -> usize {
        self.0.receive(1, |event, lost| {
            assert_eq!(lost, 0, "the fast one lost events");
            each(event);
        })
    }
}

/// A reader that takes all there is, and another that takes little at a time.
struct Beside<F, R> {
    fast: (F, Account),
    slow: Option<(R, Account)>,
}

impl<F: Receiver, R: Receiver> Half for Beside<F, R> {
    fn run(&mut self, job: &Job) -> Outcome {
        let clock = Clock::get();
        let period = clock.ticks(PERIOD) as u64;
        let end = job.first + job.count;
        let mut looks = Looks::default();
        let mut patience = Patience::default();
        let began = Instant::now();
        let mut next = clock.now();
        let (fast, had) = &mut self.fast;
        loop {
            if fast.receive(64, |event, lost| had.see(event, lost)) > 0 {
                looks.full += 1;
            } else {
                looks.empty += 1;
                std::hint::spin_loop();
                patience.count();
            }
            let now = clock.now();
            let over = had.passed() == end;
            match &mut self.slow {
                // What is left when all is published is taken at once.
                Some((slow, account)) if over || now >= next => {
                    next = now + period;
                    slow.receive(TAKES, |event, lost| account.see(event, lost));
                    if over && account.passed() == end {
                        break;
                    }
                }
                None if over => break,
                _ => {}
            }
        }
        let ended = Instant::now();
        had.verify(end);
        assert_eq!(had.lost(), 0, "the fast one lost events");
        if let Some((_, account)) = &self.slow {
            account.verify(end);
        }
        Outcome::span(began, ended, looks)
    }
}
