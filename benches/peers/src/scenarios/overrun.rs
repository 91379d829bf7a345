//! A subscriber that never reads and loses all the time: what that costs its publisher, on one thread.

use std::time::Instant;

use crate::event::Event;
use crate::halves::Sender;
use crate::peers::lossy::{self, Account, Receiver};
use crate::plan::Plan;
use crate::report::{Section, Target};
use crate::solo::{self, Entry, Window};

/// Events of one window: twenty laps of the ring.
const EVENTS: u64 = 20_480;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let mut entries = Vec::new();
    let mut entry = |peer, mode, window: &dyn Fn() -> Window| {
        entries.push(Entry::new(peer, mode, window));
    };
    #[rustfmt::skip]
    let () = {
        entry("ringbus, nobody behind", "publish", &|| overrun(lossy::exclusive(0)));
        entry("ringbus, 1 overrun", "publish", &|| overrun(lossy::exclusive(1)));
        entry("ringbus, 4 overrun", "publish", &|| overrun(lossy::exclusive(4)));
        entry("ringbus shared, nobody behind", "publish", &|| overrun(lossy::shared(0)));
        entry("ringbus shared, 1 overrun", "publish", &|| overrun(lossy::shared(1)));
        entry("ringbus shared, 4 overrun", "publish", &|| overrun(lossy::shared(4)));
        entry("tokio broadcast, 1 overrun", "send", &|| overrun(lossy::tokio(1)));
        entry("tokio broadcast, 4 overrun", "send", &|| overrun(lossy::tokio(4)));
    };
    let rows = solo::play(entries, plan);
    let targets = ["ringbus", "ringbus shared"].map(|us| {
        let (ours, theirs) = (format!("{us}, 1 overrun"), format!("{us}, nobody behind"));
        Target::new(&rows, &ours, &theirs, 1.1)
    });
    Section {
        title: "one publisher and subscribers that lose all the time, as they read only between the windows",
        unit: "ns per event published; each window's losses are counted exactly",
        rows,
        targets: targets.into(),
        ..Section::default()
    }
}

/// Returns a window that times the publishing only, and checks the losses afterwards.
fn overrun<S, R>((mut sender, mut receivers): (S, Vec<R>)) -> Window
where
    S: Sender + 'static,
    R: Receiver + 'static,
{
    let mut first = 0;
    let mut accounts: Vec<_> = receivers.iter().map(|_| Account::default()).collect();
    Box::new(move || {
        let end = first + EVENTS;
        let start = Instant::now();
        (first..end).for_each(|sequence| sender.send(Event::new(sequence)));
        let spent = start.elapsed();
        for (receiver, account) in receivers.iter_mut().zip(&mut accounts) {
            while receiver.receive(64, |event, lost| account.see(event, lost)) > 0 {}
            account.verify(end);
        }
        first = end;
        spent.as_secs_f64() * 1e9 / EVENTS as f64
    })
}
