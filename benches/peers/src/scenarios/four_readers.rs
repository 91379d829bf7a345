//! One thread publishes a thousand events, and four subscribers on it read them all by reference.

use std::time::Instant;

use ringbus::WaitStrategy::{Park, Spin};

use crate::event::{BATCH, Check, Event};
use crate::halves::{Receiver, Sender};
use crate::peers::frames::{self, Frame, Plain};
use crate::peers::{bus, disruptor, ringbus as ours, tokio};
use crate::plan::Plan;
use crate::report::{Section, Target};
use crate::solo::{self, Entry, Window};

const READERS: usize = 4;

/// Events published before they are read.
const BURST: u64 = 1_000;

/// Bursts of one window.
const BURSTS: u64 = 20;

/// Events of one window.
const EVENTS: f64 = (BURST * BURSTS) as f64;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let mut entries = Vec::new();
    let mut entry = |peer, mode, window: &dyn Fn() -> Window| {
        entries.push(Entry::new(peer, mode, window));
    };
    #[rustfmt::skip]
    let () = {
        entry("Vec", "push, iter, clear", &|| framed(Plain::default(), false));
        entry("Vec", "extend, iter, clear", &|| framed(Plain::default(), true));
        entry("bevy_ecs", "write, read, update", &|| framed(frames::bevy(READERS), false));
        entry("bevy_ecs", "write_batch, read, update", &|| framed(frames::bevy(READERS), true));
        entry("shrev", "single_write, read", &|| framed(frames::shrev(READERS), false));
        entry("shrev", "iter_write, read", &|| framed(frames::shrev(READERS), true));
        entry("ringbus", "publish, poll(1024)", &|| one_by_one(ours::exclusive::<1024>(Spin, READERS)));
        entry("ringbus", "publish, poll(64)", &|| one_by_one(ours::exclusive::<64>(Spin, READERS)));
        entry("ringbus batched", "publish_batch, poll(1024)", &|| batched(ours::exclusive::<1024>(Spin, READERS)));
        entry("ringbus shared", "publish, poll(1024)", &|| one_by_one(ours::shared::<1024>(Spin, READERS)));
        entry("ringbus Park", "publish, poll(1024)", &|| one_by_one(ours::exclusive::<1024>(Park, READERS)));
        entry("disruptor", "publish, poll", &|| one_by_one(disruptor::fan_out(READERS)));
        entry("disruptor", "batch_publish, poll", &|| batched(disruptor::fan_out(READERS)));
        entry("bus", "try_broadcast, try_recv", &|| one_by_one(bus::fan_out(READERS)));
        entry("tokio broadcast", "send, try_recv", &|| one_by_one(tokio::fan_out(READERS)));
    };
    let rows = solo::play(entries, plan);

    let mut targets = Vec::new();
    for us in ["ringbus", "ringbus batched", "ringbus Park"] {
        targets.push(Target::new(&rows, us, "Vec", 1.2));
        targets.push(Target::new(&rows, us, "bevy_ecs", 1.0));
        targets.push(Target::new(&rows, us, "shrev", 1.0));
    }
    Section {
        title: "one thread publishes 1000 events, and four subscribers on it read them all",
        unit: "ns per event published and read four times",
        rows,
        targets,
        ..Section::default()
    }
}

/// Returns a window of frames, each published one by one or all at once, read by all, and ended.
fn framed<F: Frame + 'static>(mut frame: F, all_at_once: bool) -> Window {
    let mut first = 0;
    Box::new(move || {
        let start = Instant::now();
        for _ in 0..BURSTS {
            let end = first + BURST;
            if all_at_once {
                frame.publish_all(first, end);
            } else {
                (first..end).for_each(|sequence| frame.publish(Event::new(sequence)));
            }
            for reader in 0..READERS {
                let mut check = Check::new(first);
                frame.read(reader, |event| check.see(event));
                check.verify(BURST);
            }
            frame.end();
            first = end;
        }
        start.elapsed().as_secs_f64() * 1e9 / EVENTS
    })
}

fn one_by_one<S, R>(channel: (S, Vec<R>)) -> Window
where
    S: Sender + 'static,
    R: Receiver + 'static,
{
    window(channel, |sender, first, end| {
        (first..end).for_each(|sequence| sender.send(Event::new(sequence)));
    })
}

fn batched<S, R>(channel: (S, Vec<R>)) -> Window
where
    S: Sender + 'static,
    R: Receiver + 'static,
{
    window(channel, |sender, first, end| {
        let tail = end - (end - first) % BATCH as u64;
        (first..tail)
            .step_by(BATCH)
            .for_each(|sequence| sender.send_batch(sequence));
        (tail..end).for_each(|sequence| sender.send(Event::new(sequence)));
    })
}

/// Returns a window that times publishing and reading.
fn window<S, R>(
    (mut sender, mut receivers): (S, Vec<R>),
    publish: impl Fn(&mut S, u64, u64) + 'static,
) -> Window
where
    S: Sender + 'static,
    R: Receiver + 'static,
{
    let mut first = 0;
    Box::new(move || {
        let start = Instant::now();
        for _ in 0..BURSTS {
            let end = first + BURST;
            publish(&mut sender, first, end);
            for receiver in &mut receivers {
                let mut check = Check::new(first);
                while receiver.receive(|event| check.see(event)) > 0 {}
                check.verify(BURST);
            }
            first = end;
        }
        start.elapsed().as_secs_f64() * 1e9 / EVENTS
    })
}
