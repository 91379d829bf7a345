//! Two pinned threads that run the windows of all peers, interleaved in random order.

use std::hint;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::clock::Clock;
use crate::halves::{
    Half, Job, Load, Outcome, Receiver, Receiving, Returning, Sender, Sending, Serving, Timing,
};
use crate::machine;
use crate::plan::{COPIES, Plan};
use crate::stats::{Row, Samples};

/// The events of one window: well above four times the capacity, so that a backlog drained after an
/// interruption does not pass for speed.
pub const EVENTS: u64 = 20_000;

/// A channel between the two threads.
pub struct Channel {
    pub near: Box<dyn Half>,
    pub far: Box<dyn Half>,
}

impl Channel {
    pub fn new(near: impl Half + 'static, far: impl Half + 'static) -> Self {
        Self {
            near: Box::new(near),
            far: Box::new(far),
        }
    }
}

/// Creates a channel from one end to the other.
pub fn one_way<S, R, const WORDS: usize>((sender, receiver): (S, R)) -> Channel
where
    S: Sender<WORDS> + 'static,
    R: Receiver<WORDS> + 'static,
{
    Channel::new(Sending(sender), Receiving(receiver))
}

/// Creates a channel from one end to the other that takes latencies.
pub fn timed<S, R>((sender, receiver): (S, R)) -> Channel
where
    S: Sender + 'static,
    R: Receiver + 'static,
{
    Channel::new(Sending::<_, 8>(sender), Timing(receiver))
}

/// Creates a channel there and back.
pub fn round_trip<S, R>(there: (S, R), back: (S, R)) -> Channel
where
    S: Sender + 'static,
    R: Receiver + 'static,
{
    Channel::new(Serving(there.0, back.1), Returning(back.0, there.1))
}

/// Takes the only reader of a fan-out.
pub fn only<S, R>((sender, mut receivers): (S, Vec<R>)) -> (S, R) {
    let receiver = receivers.pop().expect("there is a reader");
    assert!(receivers.is_empty(), "there is one reader only");
    (sender, receiver)
}

/// A peer, its mode and how to make its channel.
pub type Lineup<New = fn() -> Channel> = Vec<(&'static str, &'static str, New)>;

/// One row of the table: a channel under a load.
pub struct Entry {
    pub row: Row,
    /// Index of the channel.
    pub channel: usize,
    pub load: Load,
}

impl Entry {
    /// Gives each channel one row.
    pub fn each<New>(lineup: &Lineup<New>, load: Load) -> Vec<Entry> {
        let rows = lineup.iter().enumerate();
        rows.map(|(channel, (peer, mode, _))| Entry {
            row: Row::new(*peer, *mode),
            channel,
            load,
        })
        .collect()
    }
}

/// Runs the windows of each entry and returns the rows with their samples.
///
/// This thread is the near end; one further thread, alive for all windows of all channels, is the
/// far end. All channels are made before the first window.
pub fn play<New: Fn() -> Channel>(
    lineup: &Lineup<New>,
    entries: Vec<Entry>,
    events: u64,
    plan: &mut Plan,
) -> Vec<Row> {
    machine::pin(0);
    let channels = (0..COPIES).flat_map(|_| lineup).map(|(_, _, new)| new());
    let (mut near, far): (Vec<_>, Vec<_>) = channels.map(|c| (c.near, c.far)).unzip();
    let table = Table::default();
    let mut samples = vec![Samples::default(); entries.len()];

    thread::scope(|scope| {
        scope.spawn(|| {
            machine::pin(1);
            table.serve(far);
        });

        let clock = Clock::get();
        let mut sequences = vec![0; near.len()];
        let mut order: Vec<_> = (0..entries.len()).collect();
        for round in plan.rounds() {
            plan.shuffle.shuffle(&mut order);
            for &index in &order {
                let entry = &entries[index];
                let channel = round.copy * lineup.len() + entry.channel;
                let first = &mut sequences[channel];
                let job = Job {
                    first: *first,
                    count: events,
                    load: entry.load,
                    // Later than the hand-over of the job to the other thread takes.
                    begins: clock.now() + clock.ticks(5_000.0) as u64,
                };
                *first += events;
                let (ours, theirs) = table.window(channel, job, near[channel].as_mut());
                if round.counts {
                    let span = ours.ended.max(theirs.ended) - ours.began;
                    let spanned = span.as_secs_f64() * 1e9 / events as f64;
                    samples[index].span(spanned);
                    let latencies = [ours.latencies, theirs.latencies].concat();
                    let nanoseconds = if latencies.is_empty() {
                        ours.measured.unwrap_or(spanned)
                    } else {
                        samples[index].latencies(&latencies)
                    };
                    samples[index].push(
                        nanoseconds,
                        events as f64 / theirs.looks.full.max(1) as f64,
                        theirs.looks.empty as f64 / events as f64,
                    );
                }
            }
        }
        table.close();
    });

    let rows = entries.into_iter().map(|entry| entry.row);
    rows.zip(samples).map(|(row, s)| row.with(s)).collect()
}

/// Where the near thread names the next window and the far thread leaves what it saw.
#[derive(Default)]
struct Table {
    /// Windows named so far, or `CLOSED`.
    named: AtomicUsize,
    /// Windows the far thread has taken up.
    taken: AtomicUsize,
    /// Windows the far thread has ended.
    ended: AtomicUsize,
    job: Mutex<Option<(usize, Job)>>,
    outcome: Mutex<Option<Outcome>>,
}

const CLOSED: usize = usize::MAX;

impl Table {
    /// Runs one window on both threads.
    fn window(&self, channel: usize, job: Job, near: &mut dyn Half) -> (Outcome, Outcome) {
        *self.job.lock().unwrap() = Some((channel, job));
        // ORDERING: edge `named`, `taken`, `ended`: each pairs with the spin on the same word.
        let turn = self.named.fetch_add(1, Ordering::AcqRel) + 1;
        spin_until(&self.taken, |taken| taken == turn);
        let ours = near.run(&job);
        spin_until(&self.ended, |ended| ended == turn);
        let theirs = self.outcome.lock().unwrap().take();
        (ours, theirs.expect("the far thread leaves its outcome"))
    }

    fn close(&self) {
        self.named.store(CLOSED, Ordering::Release);
    }

    /// Runs the far end of the windows until the table closes.
    fn serve(&self, mut far: Vec<Box<dyn Half>>) {
        for turn in 1.. {
            let named = spin_until(&self.named, |named| named >= turn);
            if named == CLOSED {
                return;
            }
            let (channel, job) = self.job.lock().unwrap().take().expect("a window is named");
            self.taken.store(turn, Ordering::Release);
            let outcome = far[channel].run(&job);
            *self.outcome.lock().unwrap() = Some(outcome);
            self.ended.store(turn, Ordering::Release);
        }
    }
}

fn spin_until(word: &AtomicUsize, done: impl Fn(usize) -> bool) -> usize {
    loop {
        let value = word.load(Ordering::Acquire);
        if done(value) {
            return value;
        }
        hint::spin_loop();
    }
}
