//! A thread that sleeps until an event comes, and tells the sender when it had it.

use std::hint;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use ringbus::WaitStrategy::Park;
use ringbus::{Bus, Ended, ExclusivePublisher, Reactor, Subscriber, Topic};

use event_listener::Listener;

use crate::duet::Channel;
use crate::event::{CAPACITY, Check, Event};
use crate::halves::{Half, Job, Looks, Outcome, Patience, Receiver, Sender};
use crate::machine;
use crate::peers::control;
use crate::stats::percentile;

/// How long the sender waits before it sends: the other end is asleep by then.
const PAUSE: Duration = Duration::from_micros(200);

/// When the last event was there: nanoseconds since the beginning, zero for none. The same for all peers.
#[derive(Debug)]
struct Seen {
    began: Instant,
    at: AtomicU64,
}

impl Seen {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            at: AtomicU64::new(0),
        })
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    /// Tells that an event is there.
    #[inline(always)]
    fn tell(&self) {
        // ORDERING: carries nothing but the time.
        self.at.store(self.now().max(1), Ordering::Relaxed);
    }
}

/// Sends an event after each pause. Its time is the median over the window's events of the time from before
/// the sending until the other end had the event.
struct Waking<S> {
    sender: S,
    seen: Arc<Seen>,
}

impl<S: Sender> Half for Waking<S> {
    fn run(&mut self, job: &Job) -> Outcome {
        let Self { sender, seen } = self;
        let began = Instant::now();
        let mut latencies = Vec::with_capacity(job.count as usize);
        for sequence in job.first..job.first + job.count {
            let paused = Instant::now();
            while paused.elapsed() < PAUSE {
                hint::spin_loop();
            }
            seen.at.store(0, Ordering::Relaxed);
            let sent = seen.now();
            sender.send(Event::new(sequence));
            let mut patience = Patience::default();
            let at = loop {
                match seen.at.load(Ordering::Relaxed) {
                    0 => {
                        hint::spin_loop();
                        patience.count();
                    }
                    at => break at,
                }
            };
            latencies.push(at as f64 - sent as f64);
        }
        Outcome {
            measured: Some(percentile(latencies, 50)),
            ..Outcome::span(began, Instant::now(), Looks::default())
        }
    }
}

/// Counts the sleeps of a window.
fn asleep(job: &Job, handle: impl FnOnce() -> Check) -> Outcome {
    let before = machine::sleeps();
    let began = Instant::now();
    let check = handle();
    let ended = Instant::now();
    check.verify(job.count);
    let looks = Looks {
        full: job.count,
        empty: machine::sleeps() - before,
    };
    Outcome::span(began, ended, looks)
}

/// Receives by a call that sleeps.
struct Sleeping<R> {
    receiver: R,
    seen: Arc<Seen>,
}

impl<R: Receiver> Half for Sleeping<R> {
    fn run(&mut self, job: &Job) -> Outcome {
        let Self { receiver, seen } = self;
        asleep(job, || {
            let mut check = Check::new(job.first);
            while check.count() < job.count {
                receiver.receive(|event| {
                    seen.tell();
                    check.see(event);
                });
            }
            check
        })
    }
}

/// Creates a channel whose receiver sleeps in `receive`.
pub fn receiving<S, R>((sender, receiver): (S, R)) -> Channel
where
    S: Sender + 'static,
    R: Receiver + 'static,
{
    let seen = Seen::new();
    let sender = Waking {
        sender,
        seen: Arc::clone(&seen),
    };
    Channel::new(sender, Sleeping { receiver, seen })
}

/// The events of a window, and how many they are to be.
struct Window {
    check: Check,
    count: u64,
}

/// Sleeps in a reactor's `run`, which the handler of the window's last event stops.
struct Reacting {
    reactor: Reactor<Window>,
}

impl Half for Reacting {
    fn run(&mut self, job: &Job) -> Outcome {
        asleep(job, || {
            let mut window = Window {
                check: Check::new(job.first),
                count: job.count,
            };
            let ended = self.reactor.run(&mut window);
            assert_eq!(ended, Ok(Ended::Stopped));
            window.check
        })
    }
}

/// Creates a reactor of this many topics, the last of which is sent to.
pub fn reactor(topics: usize) -> Channel {
    let bus = Bus::new();
    let seen = Seen::new();
    let mut reactor = Reactor::new();
    let mut publishers = Vec::new();
    for number in 0..topics {
        let topic = topic(&bus, number);
        let seen = Arc::clone(&seen);
        reactor.on(
            topic.subscribe(),
            move |window: &mut Window, event, context| {
                seen.tell();
                window.check.see(event);
                if window.check.count() == window.count {
                    context.stop();
                }
            },
        );
        publishers.push(topic.exclusive_publisher().expect("it is the first"));
    }
    let sender = Publish {
        publisher: publishers.pop().expect("there is a topic"),
        _idle: publishers,
        _bus: bus,
    };
    Channel::new(Waking { sender, seen }, Reacting { reactor })
}

/// Creates a topic whose subscriber sleeps in `poll_wait`.
pub fn poll_wait() -> (impl Sender, impl Receiver) {
    let bus = Bus::new();
    let topic = topic(&bus, 0);
    let receiver = PollWait(topic.subscribe());
    let sender = Publish {
        publisher: topic.exclusive_publisher().expect("it is the first"),
        _idle: Vec::new(),
        _bus: bus,
    };
    (sender, receiver)
}

fn topic(bus: &Bus, number: usize) -> Topic<Event> {
    // Small ones, as there are many; none holds more than one event.
    let topic = bus.topic_builder().name(format!("{number}")).capacity(64);
    topic.wait(Park).open().expect("the topic is new")
}

struct Publish {
    publisher: ExclusivePublisher<Event>,
    _idle: Vec<ExclusivePublisher<Event>>,
    /// Keeps the topics open.
    _bus: Bus,
}

impl Sender for Publish {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        self.publisher.publish(event).expect("the topic is open");
    }
}

struct PollWait(Subscriber<Event>);

impl Receiver for PollWait {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
        let polled = self.0.poll_wait(1, |event, _| each(event));
        polled.expect("the topic is open")
    }
}

/// Creates crossbeam's `Select` over this many channels, the last of which is sent to.
pub fn select(channels: usize) -> (impl Sender, impl Receiver) {
    let ends = (0..channels).map(|_| crossbeam_channel::bounded(CAPACITY));
    let (senders, receivers): (Vec<_>, Vec<_>) = ends.unzip();
    (Send(senders), Select(receivers))
}

struct Send(Vec<crossbeam_channel::Sender<Event>>);

impl Sender for Send {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        let sender = self.0.last().expect("there is a channel");
        sender.send(event).expect("the receiver is there");
    }
}

struct Select(Vec<crossbeam_channel::Receiver<Event>>);

impl Receiver for Select {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
        // Built while nothing is waited for: before the sleep, in the sender's pause.
        let mut select = crossbeam_channel::Select::new();
        for receiver in &self.0 {
            select.recv(receiver);
        }
        let operation = select.select();
        let channel = operation.index();
        each(
            &operation
                .recv(&self.0[channel])
                .expect("the sender is there"),
        );
        1
    }
}

/// Creates the control: a raw ring whose receiver parks its thread.
pub fn parking() -> (impl Sender, impl Receiver) {
    let (sender, receiver) = control::ring::<false>();
    let thread = Arc::new(OnceLock::new());
    let sender = Unpark(sender, Arc::clone(&thread));
    (sender, Parking(receiver, thread))
}

/// Creates a raw ring whose receiver waits by event-listener.
pub fn listening() -> (impl Sender, impl Receiver) {
    let (sender, receiver) = control::ring::<false>();
    let event = Arc::new(event_listener::Event::new());
    let sender = Notify(sender, Arc::clone(&event));
    (sender, Listening(receiver, event))
}

struct Notify<S>(S, Arc<event_listener::Event>);

impl<S: Sender> Sender for Notify<S> {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        self.0.send(event);
        self.1.notify(1);
    }
}

struct Listening<R>(R, Arc<event_listener::Event>);

impl<R: Receiver> Receiver for Listening<R> {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
        loop {
            event_listener::listener!(self.1 => listener);
            match self.0.receive(&mut each) {
                0 => listener.wait(),
                received => return received,
            }
        }
    }
}

struct Unpark<S>(S, Arc<OnceLock<Thread>>);

impl<S: Sender> Sender for Unpark<S> {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        self.0.send(event);
        if let Some(thread) = self.1.get() {
            thread.unpark();
        }
    }
}

struct Parking<R>(R, Arc<OnceLock<Thread>>);

impl<R: Receiver> Receiver for Parking<R> {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
        self.1.get_or_init(thread::current);
        loop {
            match self.0.receive(&mut each) {
                0 => thread::park(),
                received => return received,
            }
        }
    }
}
