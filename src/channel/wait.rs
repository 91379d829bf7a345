//! How threads wait: for an event, for room.

use std::time::{Duration, Instant};

use crate::sync::{Arc, Backoff, Counter, WaitSet, Waiter, current_parker, spin_loop, yield_now};

/// How the threads of a topic wait, readers for events and publishers for room.
///
/// | strategy | latency of a wake-up | processor use of a waiting thread |
/// |----------|----------------------|-----------------------------------|
/// | `Spin`   | one cache line       | one core                          |
/// | `Yield`  | a scheduler's turn   | what nobody else wants            |
/// | `Park`   | a system call        | none                              |
///
/// They are ordered by patience.
///
/// A loop of one's own around `poll` does well to pause when it finds nothing, and for longer where several
/// publishers share the ring: each look takes the cache line away that one of them is writing. With 16
/// [spin hints](std::hint::spin_loop) between two looks, in place of one, a shared publisher has got through twice as
/// many events (`benches/README.md`); the price is the latency of the hints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WaitStrategy {
    /// Look again and again, and never enter the kernel: for threads that have a core to themselves.
    Spin,
    /// Look, then offer the core to others.
    Yield,
    /// Spin a little, yield a little, then sleep until woken.
    #[default]
    Park,
}

/// How often threads waited, and for how long altogether.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    times: Counter,
    nanos: Counter,
}

impl Waits {
    pub(crate) fn note(&self, since: Instant) {
        self.times.add(1);
        self.nanos.add(since.elapsed().as_nanos() as u64);
    }

    pub(crate) fn times(&self) -> u64 {
        self.times.get()
    }

    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.nanos.get())
    }
}

impl WaitStrategy {
    /// As [`wait_for_any`](Self::wait_for_any), for one condition.
    pub(crate) fn wait<R>(
        self,
        set: &WaitSet,
        parked: Option<&Waits>,
        deadline: Option<Instant>,
        look: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        self.wait_for_any(&[set], parked, deadline, look)
    }

    /// Calls `look` until it has an answer; `None` when `deadline` passed without one.
    ///
    /// Whatever gives `look` an answer notifies one of `sets` afterwards.
    pub(crate) fn wait_for_any<R>(
        self,
        sets: &[&WaitSet],
        parked: Option<&Waits>,
        deadline: Option<Instant>,
        mut look: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        let passed = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let backoff = Backoff::new();
        loop {
            if let Some(answer) = look() {
                return Some(answer);
            }
            if passed() {
                return None;
            }
            match self {
                Self::Spin => spin_loop(),
                Self::Yield => yield_now(),
                Self::Park if backoff.is_completed() => break,
                Self::Park => backoff.snooze(),
            }
        }
        let since = Instant::now();
        let parker = current_parker();
        let waiter = Waiter::Thread(Arc::clone(&parker));
        let answer = loop {
            WaitSet::join_all(sets, &waiter);
            let mut answer = look();
            let in_time = answer.is_some() || parker.park(deadline);
            sets.iter().for_each(|set| set.leave(&waiter));
            // Before it joins again, as that passes a heavy barrier.
            answer = answer.or_else(&mut look);
            if answer.is_some() || !in_time {
                break answer;
            }
        };
        if let Some(parked) = parked {
            parked.note(since);
        }
        answer
    }
}
