//! Two threads share the work of one channel; one of them publishes it too, a burst at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use ringbus::WaitStrategy::{Park, Spin};
use ringbus::{Bus, GroupMember, Publisher, WaitStrategy};

use crate::duet::{self, Channel, EVENTS, Entry, Lineup};
use crate::event::{CAPACITY, Event};
use crate::halves::{Half, Job, Load, Looks, Outcome, Patience};
use crate::plan::Plan;
use crate::report::{Section, Target};

/// Events that are published before their publisher works along.
const BURST: u64 = 512;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    #[rustfmt::skip]
    let lineup: Lineup = vec![
        ("crossbeam-channel", "try_send, try_recv", crossbeam),
        ("ringbus", "try_publish, poll(64)", || group(Spin, false)),
        ("ringbus Park", "try_publish, poll(64)", || group(Park, false)),
        ("ringbus by key", "try_publish, poll(64)", || group(Spin, true)),
    ];
    let entries = Entry::each(&lineup, Load::Flat);
    let rows = duet::play(&lineup, entries, EVENTS, plan);
    let targets = ["ringbus", "ringbus Park"]
        .map(|us| Target::new(&rows, us, "crossbeam-channel", 1.0))
        .into();
    Section {
        title: "two threads share the events of one channel, hashing each",
        unit: "ns per event",
        rows,
        targets,
        ..Section::default()
    }
}

/// The end that publishes.
trait Offer: Send {
    /// Sends an event if there is room.
    fn offer(&mut self, event: Event) -> bool;
}

/// The end that works.
trait Share: Send {
    /// Hands what is there for this end to `each`; returns how many.
    fn share(&mut self, each: impl FnMut(&Event)) -> usize;
}

impl Offer for Publisher<Event> {
    #[inline(always)]
    fn offer(&mut self, event: Event) -> bool {
        self.try_publish(event).is_ok()
    }
}

impl Share for GroupMember<Event> {
    #[inline(always)]
    fn share(&mut self, mut each: impl FnMut(&Event)) -> usize {
        let polled = self.poll(64, |event, _| each(event));
        polled.expect("the topic is open")
    }
}

impl Offer for Sender<Event> {
    #[inline(always)]
    fn offer(&mut self, event: Event) -> bool {
        self.try_send(event).is_ok()
    }
}

impl Share for Receiver<Event> {
    #[inline(always)]
    fn share(&mut self, mut each: impl FnMut(&Event)) -> usize {
        match self.try_recv() {
            Ok(event) => {
                each(&event);
                1
            }
            Err(_) => 0,
        }
    }
}

fn crossbeam() -> Channel {
    let (sender, receiver) = crossbeam_channel::bounded(CAPACITY);
    channel(sender, receiver.clone(), receiver)
}

fn group(wait: WaitStrategy, by_key: bool) -> Channel {
    let bus = Bus::new();
    let builder = bus.topic_builder::<Event>().capacity(CAPACITY).wait(wait);
    let topic = builder.open().expect("the topic is new");
    let join = || {
        let builder = topic.group("workers");
        let builder = match by_key {
            true => builder.by_key(Event::hash),
            false => builder,
        };
        builder.join().expect("the settings are the group's")
    };
    let publisher = topic.publisher().expect("the topic is open");
    let (near, far) = (join(), join());
    // The topic closes with its bus.
    std::mem::forget(bus);
    channel(publisher, near, far)
}

fn channel<O, S>(offer: O, near: S, far: S) -> Channel
where
    O: Offer + 'static,
    S: Share + 'static,
{
    let done = Arc::new(Done::default());
    Channel::new(
        Publishing {
            offer,
            working: Working {
                share: near,
                done: Arc::clone(&done),
                until: 0,
            },
            sum: 0,
        },
        Working {
            share: far,
            done,
            until: 0,
        },
    )
}

/// What both ends have handled, over all windows.
#[derive(Default)]
struct Done {
    events: AtomicU64,
    sum: AtomicU64,
}

/// Works, and leaves what it has done where the other end sees it.
struct Working<S> {
    share: S,
    done: Arc<Done>,
    /// Events of all windows.
    until: u64,
}

/// Publishes in bursts and works in between.
struct Publishing<O, S> {
    offer: O,
    working: Working<S>,
    /// What all windows must sum up to.
    sum: u64,
}

impl<S: Share> Working<S> {
    /// Works until there is nothing, and notes what was done.
    #[inline(always)]
    fn work(&mut self, looks: &mut Looks) {
        let mut sum = 0_u64;
        let mut events = 0;
        loop {
            let shared = self
                .share
                .share(|event| sum = sum.wrapping_add(event.hash()));
            if shared == 0 {
                break;
            }
            looks.full += 1;
            events += shared as u64;
        }
        looks.empty += 1;
        if events > 0 {
            self.done.sum.fetch_add(sum, Ordering::Relaxed);
            self.done.events.fetch_add(events, Ordering::Release);
        }
    }

    fn work_until_done(&mut self, looks: &mut Looks) {
        let mut patience = Patience::default();
        while self.done.events.load(Ordering::Acquire) < self.until {
            self.work(looks);
            std::hint::spin_loop();
            patience.count();
        }
    }
}

impl<S: Share> Half for Working<S> {
    fn run(&mut self, job: &Job) -> Outcome {
        let began = Instant::now();
        let mut looks = Looks::default();
        self.until += job.count;
        self.work_until_done(&mut looks);
        Outcome::span(began, Instant::now(), looks)
    }
}

impl<O: Offer, S: Share> Half for Publishing<O, S> {
    fn run(&mut self, job: &Job) -> Outcome {
        let end = job.first + job.count;
        let mut looks = Looks::default();
        self.working.until += job.count;
        let began = Instant::now();
        let mut next = job.first;
        while next < end {
            let burst = end.min(next + BURST);
            while next < burst && self.offer.offer(Event::new(next)) {
                next += 1;
            }
            self.working.work(&mut looks);
        }
        self.working.work_until_done(&mut looks);
        let ended = Instant::now();
        for sequence in job.first..end {
            self.sum = self.sum.wrapping_add(Event::<8>::new(sequence).hash());
        }
        let done = &self.working.done;
        assert_eq!(done.events.load(Ordering::Acquire), self.working.until);
        assert_eq!(
            done.sum.load(Ordering::Relaxed),
            self.sum,
            "events lost, repeated or damaged"
        );
        Outcome::span(began, ended, looks)
    }
}
