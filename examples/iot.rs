//! A gateway of many sensors: rate limits, averages of windows, alarms for silent sensors, a slow dashboard.
//!
//! `cargo run --release --example iot --features rate-limit [-- SEED]`
//!
//! The sensors are made up, from a seed, and so is the time: the clock is moved by hand, so that a minute passes in
//! a moment, and a seed always gives the same run. At the end everything is counted: each reading that a sensor
//! had was dropped by its limit or published, and what was published is in one window and on the dashboard, shown or
//! passed over. If not, the program fails.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use ringbus::{
    Budget, Bus, Clock, LimitedPublisher, OnLimit, Overflow, RateLimit, RateLimiter, Reactor,
    Subscriber, Topic,
};

const SITES: usize = 8;
const SENSORS: usize = 50;
/// The time between two looks at the sensors.
const STEP: Duration = Duration::from_millis(100);
const STEPS: usize = 600;
/// A sensor reads once in so many steps; the noisy one of each site in every step.
const PERIOD: usize = 10;
const WINDOW_STEPS: usize = 10;
/// The dashboard is drawn once in so many steps.
const FRAME: usize = 50;
/// What a sensor may send.
const LIMIT: RateLimit = RateLimit::per_second(2).burst(4);
/// An important sensor that is silent for so long raises an alarm.
const SILENCE: Duration = Duration::from_secs(3);

/// The sensors of a site that are not like the others.
const IMPORTANT: usize = 0;
const NOISY: usize = 1;

/// What a sensor measured, in thousandths of a degree.
#[derive(Clone, Copy, Debug)]
struct Reading {
    site: usize,
    sensor: usize,
    value: i64,
}

/// The readings of a site in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Window {
    site: usize,
    count: u64,
    sum: i64,
}

/// A silence of a site's important sensor, and when it was noticed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Alarm {
    site: usize,
    at: Duration,
}

/// What the reactor works on.
struct Analytics {
    open: [Window; SITES],
    alarms: Vec<Alarm>,
}

/// One sensor and its way onto the bus.
struct Sensor {
    publisher: LimitedPublisher<Reading>,
    phase: usize,
    value: i64,
    /// The steps in which it does not work.
    silent: std::ops::Range<usize>,
    had: u64,
}

/// What the dashboard has shown of a site.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Shown {
    readings: u64,
    passed_over: u64,
}

/// What came of one run.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    /// Of each site: readings that its sensors had, and those of the noisy one.
    had: Vec<(u64, u64)>,
    /// Those that were dropped by the limits, and those of the noisy one.
    dropped: Vec<(u64, u64)>,
    /// The windows as the sensors know them, and as the reactor computed them.
    true_windows: Vec<Window>,
    windows: Vec<Window>,
    true_alarms: Vec<Alarm>,
    alarms: Vec<Alarm>,
    shown: Vec<Shown>,
    /// What the topics' own numbers say was published.
    published: Vec<u64>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let seed = match std::env::args().nth(1) {
        Some(seed) => seed.parse()?,
        None => 7,
    };
    let outcome = run(seed)?;
    outcome.print();
    Ok(match outcome.verify() {
        Ok(()) => {
            println!("every reading is accounted for");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("FAILED: {fault}");
            ExitCode::FAILURE
        }
    })
}

fn run(seed: u64) -> Result<Outcome, Box<dyn Error>> {
    let bus = Bus::new();
    let clock = Clock::manual();
    let mut random = Random(seed);
    let topics = (0..SITES)
        .map(|site| bus.topic_named::<Reading>(&format!("site.{site}.readings")))
        .collect::<Result<Vec<_>, _>>()?;
    let mut dashboard = topics
        .iter()
        .map(|topic| {
            let subscriber = topic.subscriber().name("dashboard");
            subscriber.overflow(Overflow::DropOldest).open()
        })
        .collect::<Result<Vec<_>, _>>()?;
    let windows = bus.topic::<Window>();
    let mut archive = windows.subscribe();
    let mut reactor = analytics(&bus, &clock, &topics, &windows)?;
    let mut state = Analytics {
        open: std::array::from_fn(new_window),
        alarms: vec![],
    };
    let mut sites = topics
        .iter()
        .enumerate()
        .map(|(site, topic)| sensors(site, topic, &clock, &mut random))
        .collect::<Result<Vec<_>, _>>()?;

    let mut outcome = Outcome {
        had: vec![],
        dropped: vec![],
        true_windows: vec![],
        windows: vec![],
        true_alarms: expected_alarms(&sites),
        alarms: vec![],
        shown: vec![Shown::default(); SITES],
        published: vec![],
    };
    let mut truth: [Window; SITES] = std::array::from_fn(new_window);
    for step in 0..=STEPS {
        clock.advance_to(STEP * step as u32);
        // What is due comes before what is measured now.
        let _ = reactor.turn(&mut state, Budget::unlimited());
        archive.poll(usize::MAX, |window, _| outcome.windows.push(*window))?;
        if step > 0 && step.is_multiple_of(WINDOW_STEPS) {
            for window in &mut truth {
                let next = new_window(window.site);
                outcome.true_windows.push(std::mem::replace(window, next));
            }
        }
        if step.is_multiple_of(FRAME) {
            draw(&mut dashboard, &mut outcome.shown)?;
        }
        if step == STEPS {
            break;
        }
        for (site, sensors) in sites.iter_mut().enumerate() {
            for (number, sensor) in sensors.iter_mut().enumerate() {
                if let Some(reading) = sensor.measure(site, number, step, &mut random)
                    && sensor.publisher.publish(reading)?.is_some()
                {
                    truth[site].add(&reading);
                }
            }
        }
        let _ = reactor.turn(&mut state, Budget::unlimited());
    }
    outcome.alarms = state.alarms;
    for (topic, sensors) in topics.iter().zip(&sites) {
        let dropped = |sensor: &Sensor| sensor.publisher.dropped();
        let noisy = &sensors[NOISY];
        let had = sensors.iter().map(|sensor| sensor.had).sum();
        outcome.had.push((had, noisy.had));
        let all = sensors.iter().map(dropped).sum();
        outcome.dropped.push((all, dropped(noisy)));
        let snapshot = topic.snapshot();
        let screen = snapshot
            .subscribers
            .iter()
            .find(|subscriber| subscriber.name.as_deref() == Some("dashboard"))
            .ok_or("the dashboard is there")?;
        outcome.published.push(screen.published);
    }
    Ok(outcome)
}

/// The reactor that averages the windows and watches the important sensors.
fn analytics(
    bus: &Bus,
    clock: &Clock,
    topics: &[Topic<Reading>],
    windows: &Topic<Window>,
) -> Result<Reactor<Analytics>, Box<dyn Error>> {
    let mut reactor = Reactor::builder().clock(clock.clone()).build();
    let readings = bus.subscribe_pattern::<Reading>("site.*.readings")?;
    reactor.on_merged(readings, |state: &mut Analytics, reading, _, _| {
        state.open[reading.site].add(reading);
    });
    let windows = windows.publisher()?;
    reactor.every(
        STEP * WINDOW_STEPS as u32,
        move |state: &mut Analytics, cx| {
            for window in &mut state.open {
                let closed = std::mem::replace(window, new_window(window.site));
                cx.publish(&windows, closed).expect("the archive keeps up");
            }
        },
    );
    for (site, topic) in topics.iter().enumerate() {
        let important = topic
            .subscriber()
            .filter(|reading: &Reading| reading.sensor == IMPORTANT)
            .open()?;
        reactor.on_silence(important, SILENCE, move |state: &mut Analytics, cx| {
            let at = cx.clock().elapsed();
            state.alarms.push(Alarm { site, at });
        });
    }
    Ok(reactor)
}

/// The sensors of a site, each with a limit of its own. Some of the important ones fall silent for a while, that of
/// the first site always.
fn sensors(
    site: usize,
    topic: &Topic<Reading>,
    clock: &Clock,
    random: &mut Random,
) -> Result<Vec<Sensor>, Box<dyn Error>> {
    (0..SENSORS)
        .map(|number| {
            let limiter = RateLimiter::with_clock(LIMIT, clock.clone());
            // Of every site but the first the important one may fall silent for a while, of the first it does.
            let falls_silent = number == IMPORTANT && (site == 0 || random.below(2) == 0);
            let from = 100 + random.below(300) as usize;
            Ok(Sensor {
                publisher: topic.publisher()?.limited(limiter, OnLimit::Drop),
                phase: random.below(PERIOD as u64) as usize,
                value: 20_000 + random.below(2_000) as i64,
                silent: if falls_silent { from..from + 60 } else { 0..0 },
                had: 0,
            })
        })
        .collect()
}

/// When the silences must be noticed: so long after the last reading before them.
fn expected_alarms(sites: &[Vec<Sensor>]) -> Vec<Alarm> {
    let mut alarms: Vec<_> = sites
        .iter()
        .enumerate()
        .filter(|(_, sensors)| !sensors[IMPORTANT].silent.is_empty())
        .map(|(site, sensors)| {
            let sensor = &sensors[IMPORTANT];
            let last = (0..sensor.silent.start).rfind(|step| step % PERIOD == sensor.phase);
            let last = STEP * last.expect("it reads before it falls silent") as u32;
            Alarm {
                site,
                at: last + SILENCE,
            }
        })
        .collect();
    alarms.sort_by_key(|alarm| (alarm.at, alarm.site));
    alarms
}

/// Shows the newest reading of each sensor.
fn draw(dashboard: &mut [Subscriber<Reading>], shown: &mut [Shown]) -> Result<(), Box<dyn Error>> {
    for (screen, shown) in dashboard.iter_mut().zip(shown) {
        screen.drain_latest_by(
            |reading| reading.sensor,
            |_, meta| {
                shown.readings += 1;
                shown.passed_over += meta.missed;
            },
        )?;
    }
    Ok(())
}

fn new_window(site: usize) -> Window {
    Window {
        site,
        ..Window::default()
    }
}

impl Window {
    fn add(&mut self, reading: &Reading) {
        self.count += 1;
        self.sum += reading.value;
    }
}

impl Sensor {
    /// What it has to say in a step, if anything.
    fn measure(
        &mut self,
        site: usize,
        sensor: usize,
        step: usize,
        random: &mut Random,
    ) -> Option<Reading> {
        let due = sensor == NOISY || step % PERIOD == self.phase;
        if !due || self.silent.contains(&step) {
            return None;
        }
        self.had += 1;
        self.value += random.below(201) as i64 - 100;
        Some(Reading {
            site,
            sensor,
            value: self.value,
        })
    }
}

impl Outcome {
    fn print(&self) {
        println!("site  readings  dropped  published  shown  passed over  last mean");
        for site in 0..SITES {
            let last = self.windows.iter().rfind(|window| window.site == site);
            let mean = last.map_or(f64::NAN, |window| {
                window.sum as f64 / window.count as f64 / 1000.0
            });
            println!(
                "{site:>4}  {:>8}  {:>7}  {:>9}  {:>5}  {:>11}  {mean:>9.3}",
                self.had[site].0,
                self.dropped[site].0,
                self.published[site],
                self.shown[site].readings,
                self.shown[site].passed_over,
            );
        }
        for alarm in &self.alarms {
            let Alarm { site, at } = alarm;
            println!("alarm: the important sensor of site {site} was silent at {at:?}");
        }
    }

    /// Checks that the numbers add up, and that what was computed is what the sensors know.
    fn verify(&self) -> Result<(), String> {
        let seconds = u64::from(STEPS as u32 * STEP.as_millis() as u32 / 1000);
        let pace = 2 * seconds..=2 * seconds + u64::from(LIMIT.burst_size());
        for site in 0..SITES {
            let fault = |what| Err(format!("site {site}: {what}"));
            let ((had, noisy_had), (dropped, noisy_dropped)) = (self.had[site], self.dropped[site]);
            if had != dropped + self.published[site] {
                return fault("a reading was neither dropped nor published");
            }
            if dropped != noisy_dropped {
                return fault("a sensor that keeps to its limit was held to it");
            }
            if !pace.contains(&(noisy_had - noisy_dropped)) {
                return fault("the noisy sensor was not held to its limit");
            }
            let Shown {
                readings,
                passed_over,
            } = self.shown[site];
            if readings + passed_over != self.published[site] {
                return fault("a reading was neither shown nor passed over");
            }
            let windows = self.windows.iter().filter(|window| window.site == site);
            if windows.map(|window| window.count).sum::<u64>() != self.published[site] {
                return fault("a reading is in no window, or in two");
            }
        }
        if self.windows != self.true_windows {
            return Err("the windows are not those of the sensors".into());
        }
        if self.alarms != self.true_alarms || self.alarms.is_empty() {
            return Err("the alarms are not those of the silences".into());
        }
        Ok(())
    }
}

/// A small generator of pseudo-random numbers (SplitMix64, Steele et al. 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_gives_a_run_that_adds_up() {
        for seed in 0..5 {
            let outcome = run(seed).unwrap();
            assert_eq!(outcome.verify(), Ok(()), "seed {seed}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_run_again() {
        assert_eq!(run(3).unwrap(), run(3).unwrap());
        assert_ne!(run(3).unwrap(), run(4).unwrap());
    }

    #[test]
    fn what_is_wrong_is_found() {
        let good = run(1).unwrap();
        let broken: [fn(&mut Outcome); 6] = [
            |outcome| outcome.had[0].0 += 1,
            |outcome| outcome.dropped[2].1 -= 1,
            |outcome| outcome.shown[3].passed_over -= 1,
            |outcome| outcome.windows[10].count += 1,
            |outcome| outcome.windows[10].sum += 1,
            |outcome| outcome.alarms.truncate(0),
        ];
        for (index, break_it) in broken.iter().enumerate() {
            let mut outcome = good.clone();
            break_it(&mut outcome);
            assert!(outcome.verify().is_err(), "fault {index}");
        }
    }
}
