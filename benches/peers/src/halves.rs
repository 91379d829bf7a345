//! What a peer implements, and the loops built from it: one copy per peer, without a call through a
//! pointer for each event.

use std::hint;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::event::{BATCH, Check, Event};
use crate::work::work;

/// The sending end of a peer.
pub trait Sender<const WORDS: usize = 8>: Send {
    /// Sends one event, waiting while the channel is full.
    fn send(&mut self, event: Event<WORDS>);

    /// Sends [`BATCH`] events from this sequence on, in one operation where the peer has one.
    #[inline(always)]
    fn send_batch(&mut self, first: u64) {
        for sequence in first..first + BATCH as u64 {
            self.send(Event::new(sequence));
        }
    }
}

/// A sending end that tells when its channel is full.
pub trait TrySender: Sender {
    /// Sends one event, unless the channel is full.
    fn try_send(&mut self, event: Event) -> Result<(), Event>;
}

/// The receiving end of a peer.
pub trait Receiver<const WORDS: usize = 8>: Send {
    /// Hands what is there to `each`, oldest first, by reference where the peer can; returns how many.
    fn receive(&mut self, each: impl FnMut(&Event<WORDS>)) -> usize;

    /// Waits a moment after finding nothing.
    #[inline(always)]
    fn idle() {
        hint::spin_loop();
    }
}

/// How the sender publishes in a window.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// One at a time, as fast as the peer takes them.
    Flat,
    /// [`BATCH`] at a time, as fast as the peer takes them.
    Batched,
    /// One at a time, with this many turns of [`work`] before each.
    Paced(u32),
    /// On a schedule, whatever has become of the events before.
    Open(Schedule),
}

/// When each event of a window is due. A sender that is late sends at once, and its lateness counts.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The ticks from one burst to the next.
    pub period: f64,
    /// The events of a burst, all due at once.
    pub burst: u64,
}

impl Schedule {
    /// Returns the ticks from the window's beginning until the event of this index is due.
    #[inline(always)]
    pub fn due(&self, index: u64) -> u64 {
        ((index / self.burst) as f64 * self.period) as u64
    }
}

/// One window of one thread.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub first: u64,
    pub count: u64,
    pub load: Load,
    /// The tick at which a schedule begins.
    pub begins: u64,
}

/// What a thread saw of its window.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub began: Instant,
    pub ended: Instant,
    pub looks: Looks,
    /// The nanoseconds per event, from a half that takes them itself: the span of the window is not asked
    /// then.
    pub measured: Option<f64>,
    /// The latencies in nanoseconds, from a half that takes them.
    pub latencies: Vec<u64>,
}

impl Outcome {
    /// Returns what a half saw that takes no figures itself.
    pub fn span(began: Instant, ended: Instant, looks: Looks) -> Self {
        Self {
            began,
            ended,
            looks,
            measured: None,
            latencies: Vec::new(),
        }
    }
}

/// How often a receiver looked into its channel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looks {
    /// Looks that found at least one event.
    pub full: u64,
    /// Looks that found nothing, or sleeps where the scenario says so.
    pub empty: u64,
}

/// One thread's part in a window.
pub trait Half: Send {
    fn run(&mut self, job: &Job) -> Outcome;
}

/// Sends a window.
pub struct Sending<S, const WORDS: usize = 8>(pub S);

impl<S: Sender<WORDS>, const WORDS: usize> Half for Sending<S, WORDS> {
    fn run(&mut self, job: &Job) -> Outcome {
        let end = job.first + job.count;
        let began = Instant::now();
        match job.load {
            Load::Flat => (job.first..end).for_each(|sequence| self.0.send(Event::new(sequence))),
            Load::Batched => (job.first..end)
                .step_by(BATCH)
                .for_each(|sequence| self.0.send_batch(sequence)),
            Load::Paced(turns) => {
                let mut value = job.first;
                for sequence in job.first..end {
                    value = work(turns, value);
                    self.0.send(Event::new(sequence));
                }
            }
            Load::Open(schedule) => {
                let clock = Clock::get();
                for burst in (job.first..end).step_by(schedule.burst as usize) {
                    let due = job.begins + schedule.due(burst - job.first);
                    while clock.now() < due {
                        hint::spin_loop();
                    }
                    (burst..end.min(burst + schedule.burst))
                        .for_each(|sequence| self.0.send(Event::new(sequence)));
                }
            }
        }
        Outcome::span(began, Instant::now(), Looks::default())
    }
}

/// Receives a window and verifies it.
pub struct Receiving<R, const WORDS: usize = 8>(pub R);

impl<R: Receiver<WORDS>, const WORDS: usize> Half for Receiving<R, WORDS> {
    fn run(&mut self, job: &Job) -> Outcome {
        let began = Instant::now();
        let mut check = Check::new(job.first);
        let mut looks = Looks::default();
        receive_until(&mut self.0, &mut check, &mut looks, job.count);
        let ended = Instant::now();
        check.verify(job.count);
        Outcome::span(began, ended, looks)
    }
}

/// Receives a window, verifies it, and takes the time from when the last event of each burst was due until it
/// was handled.
pub struct Timing<R>(pub R);

impl<R: Receiver> Half for Timing<R> {
    fn run(&mut self, job: &Job) -> Outcome {
        let Load::Open(schedule) = job.load else {
            panic!("latencies need a schedule");
        };
        let clock = Clock::get();
        // Only stored while events come; what the figures make of them is left for afterwards.
        let mut handled = Vec::with_capacity(job.count as usize);
        let began = Instant::now();
        let mut check = Check::new(job.first);
        let mut looks = Looks::default();
        let mut patience = Patience::default();
        while check.count() < job.count {
            let seen = self.0.receive(|event| {
                check.see(event);
                handled.push(clock.now());
            });
            if seen == 0 {
                looks.empty += 1;
                R::idle();
                patience.count();
            } else {
                looks.full += 1;
            }
        }
        let ended = Instant::now();
        check.verify(job.count);
        let last = schedule.burst as usize - 1;
        let latencies = handled.iter().enumerate().skip(last);
        let latencies = latencies
            .step_by(schedule.burst as usize)
            .map(|(index, &at)| at.saturating_sub(job.begins + schedule.due(index as u64)))
            .map(|ticks| clock.nanoseconds(ticks));
        Outcome {
            latencies: latencies.collect(),
            ..Outcome::span(began, ended, looks)
        }
    }
}

/// Takes no part but the clock's: the time from when an event was due until it could have been sent.
pub struct Due;

impl Half for Due {
    fn run(&mut self, job: &Job) -> Outcome {
        let Load::Open(schedule) = job.load else {
            panic!("latencies need a schedule");
        };
        let clock = Clock::get();
        let began = Instant::now();
        let mut sent = Vec::with_capacity((job.count / schedule.burst) as usize);
        for index in (0..job.count).step_by(schedule.burst as usize) {
            let due = job.begins + schedule.due(index);
            let mut now = clock.now();
            while now < due {
                hint::spin_loop();
                now = clock.now();
            }
            sent.push(now - due);
        }
        let latencies = sent.into_iter().map(|ticks| clock.nanoseconds(ticks));
        Outcome {
            latencies: latencies.collect(),
            ..Outcome::span(began, Instant::now(), Looks::default())
        }
    }
}

/// Sends one event at a time on one channel and waits for each to come back on another.
pub struct Serving<S, R>(pub S, pub R);

impl<S: Sender, R: Receiver> Half for Serving<S, R> {
    fn run(&mut self, job: &Job) -> Outcome {
        let Self(sender, receiver) = self;
        let began = Instant::now();
        let mut check = Check::new(job.first);
        let mut looks = Looks::default();
        for turn in 0..job.count {
            sender.send(Event::new(job.first + turn));
            receive_until(receiver, &mut check, &mut looks, turn + 1);
        }
        let ended = Instant::now();
        check.verify(job.count);
        Outcome::span(began, ended, looks)
    }
}

/// Sends each event back as it arrives.
pub struct Returning<S, R>(pub S, pub R);

impl<S: Sender, R: Receiver> Half for Returning<S, R> {
    fn run(&mut self, job: &Job) -> Outcome {
        let Self(sender, receiver) = self;
        let began = Instant::now();
        let mut check = Check::new(job.first);
        let mut looks = Looks::default();
        for turn in 0..job.count {
            receive_until(receiver, &mut check, &mut looks, turn + 1);
            sender.send(Event::new(job.first + turn));
        }
        let ended = Instant::now();
        check.verify(job.count);
        Outcome::span(began, ended, looks)
    }
}

/// One thread's end of a channel that both threads send on, and on which each receives what both send.
pub trait Duplex: Send {
    /// Sends one event, unless the channel is full.
    fn try_send(&mut self, event: Event) -> Result<(), Event>;

    /// Hands what is there to `each`, in the order of each sender; returns how many.
    fn receive(&mut self, each: impl FnMut(&Event)) -> usize;
}

/// A sending and a receiving end of one channel.
pub struct Both<S, R>(pub S, pub R);

impl<S: TrySender, R: Receiver> Duplex for Both<S, R> {
    #[inline(always)]
    fn try_send(&mut self, event: Event) -> Result<(), Event> {
        self.0.try_send(event)
    }

    #[inline(always)]
    fn receive(&mut self, each: impl FnMut(&Event)) -> usize {
        self.1.receive(each)
    }
}

/// Sends a window, and receives it and that of the other thread meanwhile.
pub struct Exchanging<D> {
    duplex: D,
    side: usize,
}

/// Tells the events of the two sides apart.
const SIDE: u64 = 1 << 40;

/// Events that are sent before the next look, and looks at most then: of some peers one look gives one event.
const RUN: u64 = 64;

impl<D: Duplex> Exchanging<D> {
    /// Takes one side of an exchange, 0 or 1; side 0 sends the sequences of a plain sender.
    pub fn new(duplex: D, side: usize) -> Self {
        Self { duplex, side }
    }
}

/// What has come of both sides.
struct Arrivals {
    checks: [Check; 2],
    looks: Looks,
}

impl Arrivals {
    /// Receives what is there; returns how many.
    #[inline(always)]
    fn receive(&mut self, duplex: &mut impl Duplex) -> usize {
        let Self { checks, looks } = self;
        let seen = duplex.receive(|event| checks[(event.sequence() / SIDE) as usize].see(event));
        *if seen > 0 {
            &mut looks.full
        } else {
            &mut looks.empty
        } += 1;
        seen
    }
}

impl<D: Duplex> Half for Exchanging<D> {
    fn run(&mut self, job: &Job) -> Outcome {
        let Self { duplex, side } = self;
        let began = Instant::now();
        let mut arrivals = Arrivals {
            checks: [0, SIDE].map(|side| Check::new(job.first + side)),
            looks: Looks::default(),
        };
        let first = job.first + *side as u64 * SIDE;
        for sequence in first..first + job.count {
            insist(Event::new(sequence), |event| {
                duplex.try_send(event).inspect_err(|_| {
                    arrivals.receive(duplex);
                })
            });
            if sequence.is_multiple_of(RUN) {
                (0..RUN)
                    .take_while(|_| arrivals.receive(duplex) > 0)
                    .count();
            }
        }
        let mut patience = Patience::default();
        while (arrivals.checks.iter()).any(|check| check.count() < job.count) {
            if arrivals.receive(duplex) == 0 {
                hint::spin_loop();
                patience.count();
            }
        }
        let ended = Instant::now();
        let Arrivals { checks, looks } = arrivals;
        checks.iter().for_each(|check| check.verify(job.count));
        Outcome::span(began, ended, looks)
    }
}

/// Takes no part: the other thread runs alone.
pub struct Absent;

impl Half for Absent {
    fn run(&mut self, _job: &Job) -> Outcome {
        let now = Instant::now();
        Outcome::span(now, now, Looks::default())
    }
}

/// Receives until `check` has seen `count` events.
#[inline(always)]
fn receive_until<R: Receiver<WORDS>, const WORDS: usize>(
    receiver: &mut R,
    check: &mut Check<WORDS>,
    looks: &mut Looks,
    count: u64,
) {
    let mut patience = Patience::default();
    while check.count() < count {
        if receiver.receive(|event| check.see(event)) == 0 {
            looks.empty += 1;
            R::idle();
            patience.count();
        } else {
            looks.full += 1;
        }
    }
}

/// Repeats `attempt` until it takes the event.
#[inline(always)]
pub fn insist<E>(mut event: E, mut attempt: impl FnMut(E) -> Result<(), E>) {
    let mut patience = Patience::default();
    while let Err(returned) = attempt(event) {
        event = returned;
        hint::spin_loop();
        patience.count();
    }
}

/// Ends the run when nothing moves any more.
#[derive(Debug, Default)]
pub struct Patience {
    turns: u32,
    since: Option<Instant>,
}

impl Patience {
    /// Counts one turn of a spin.
    #[inline(always)]
    pub fn count(&mut self) {
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(1 << 24) {
            self.lose();
        }
    }

    #[cold]
    fn lose(&mut self) {
        let since = *self.since.get_or_insert_with(Instant::now);
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "a window stands still: an event was lost"
        );
    }
}
