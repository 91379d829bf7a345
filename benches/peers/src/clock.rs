//! The clock of the latencies: the processor's counter where it can be trusted, else the system's clock.

use std::fmt;
use std::hint::black_box;
use std::sync::OnceLock;

/// Reads ticks and turns them into nanoseconds.
#[derive(Clone, Debug)]
pub struct Clock {
    clock: quanta::Clock,
    /// The nanoseconds of a tick.
    tick: f64,
}

impl Clock {
    /// Returns the clock of this process, calibrated once.
    pub fn get() -> Clock {
        static CLOCK: OnceLock<Clock> = OnceLock::new();
        CLOCK.get_or_init(Clock::calibrated).clone()
    }

    fn calibrated() -> Self {
        const SPAN: u64 = 1 << 32;
        let clock = quanta::Clock::new();
        let tick = clock.delta_as_nanos(0, SPAN) as f64 / SPAN as f64;
        Self { clock, tick }
    }

    /// Returns the ticks so far.
    #[inline(always)]
    pub fn now(&self) -> u64 {
        self.clock.raw()
    }

    /// Returns these nanoseconds in ticks.
    pub fn ticks(&self, nanoseconds: f64) -> f64 {
        nanoseconds / self.tick
    }

    /// Returns these ticks in nanoseconds.
    pub fn nanoseconds(&self, ticks: u64) -> u64 {
        (ticks as f64 * self.tick) as u64
    }

    /// Returns what one reading costs, in nanoseconds.
    fn cost(&self) -> f64 {
        const READINGS: u32 = 100_000;
        // The fastest of several: an interruption only ever makes a try longer.
        let spans = (0..20).map(|_| {
            let start = self.now();
            for _ in 0..READINGS {
                black_box(self.now());
            }
            self.now() - start
        });
        let fastest = spans.min().expect("there is at least one try");
        self.nanoseconds(fastest) as f64 / f64::from(READINGS)
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "clock: a reading costs {:.1} ns, a tick is {:.3} ns",
            self.cost(),
            self.tick
        )
    }
}
