//! One busy channel: what a reactor adds to reading it.

use std::time::{Duration, Instant};

use ringbus::WaitStrategy::Park;
use ringbus::{Budget, Ended, Reactor, Subscriber};

use crate::event::{Check, Event};
use crate::halves::Sender;
use crate::peers::ringbus as ours;
use crate::plan::Plan;
use crate::report::{Section, Target};
use crate::solo::{self, Entry, Window};

/// Events published before they are handled: less than the capacity.
const BURST: u64 = 512;

/// Bursts of one window.
const BURSTS: u64 = 40;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let mut entries = Vec::new();
    let mut entry = |peer, mode, window: &dyn Fn() -> Window| {
        entries.push(Entry::new(peer, mode, window));
    };
    entry("poll", "poll(all)", &poll::<{ usize::MAX }>);
    entry("poll of 64", "poll(64) until dry", &poll::<64>);
    entry("turn", "turn", &turn);
    entry("run", "run until the handler stops it", &running);
    let rows = solo::play(entries, plan);

    let targets = ["poll of 64", "turn", "run"]
        .map(|us| Target::above(&rows, us, "poll", 5.0))
        .into();
    Section {
        title: "one busy topic: bursts of 512 events, handled by poll and by a reactor",
        unit: "ns per event handled, publishing not included",
        rows,
        targets,
        ..Section::default()
    }
}

fn poll<const MOST: usize>() -> Window {
    window(|mut subscriber| {
        move |first| {
            let mut check = Check::new(first);
            while check.count() < BURST {
                let polled = subscriber.poll(MOST, |event, _| check.see(event));
                let _ = polled.expect("the topic is open");
            }
            check
        }
    })
}

fn turn() -> Window {
    window(|subscriber| {
        let mut reactor = Reactor::new();
        reactor.on(subscriber, |check: &mut Check, event, _| check.see(event));
        move |first| {
            let mut check = Check::new(first);
            let turn = reactor.turn(&mut check, Budget::unlimited());
            assert_eq!(turn.handled, BURST, "one turn handles what is there");
            check
        }
    })
}

fn running() -> Window {
    window(|subscriber| {
        let mut reactor = Reactor::new();
        reactor.on(subscriber, |check: &mut Check, event, context| {
            check.see(event);
            if check.count() == BURST {
                context.stop();
            }
        });
        move |first| {
            let mut check = Check::new(first);
            let ended = reactor.run(&mut check);
            assert_eq!(ended, Ok(Ended::Stopped));
            check
        }
    })
}

/// Returns a window that times the handling only.
fn window<H>(handling: impl FnOnce(Subscriber<Event>) -> H) -> Window
where
    H: FnMut(u64) -> Check + 'static,
{
    let (mut sender, mut subscribers) = ours::exclusive::<64>(Park, 1);
    let subscriber = subscribers.pop().expect("there is one");
    let mut handle = handling(subscriber.into_inner());
    let mut first = 0;
    Box::new(move || {
        let mut spent = Duration::ZERO;
        for _ in 0..BURSTS {
            let end = first + BURST;
            (first..end).for_each(|sequence| sender.send(Event::new(sequence)));
            let start = Instant::now();
            let check = handle(first);
            spent += start.elapsed();
            check.verify(BURST);
            first = end;
        }
        spent.as_secs_f64() * 1e9 / (BURST * BURSTS) as f64
    })
}
