//! What a run prints when it is over.

use std::fmt;
use std::time::Duration;

use crate::boost::TANK;
use crate::simulation::Simulation;
use crate::tally::{Handled, Published};

/// A run, over.
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) length: Duration,
    pub(crate) inputs: usize,
    /// The score by the match's own account.
    pub(crate) expected: [u32; 2],
    pub(crate) counts: FrameCounts,
    pub(crate) drawn: Handled,
    pub(crate) shown: i64,
    pub(crate) simulation: Simulation,
}

/// How the frames fell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameCounts {
    pub(crate) frames: u64,
    pub(crate) skipped: u64,
    pub(crate) several: u64,
    /// Steps after the first in their frame.
    pub(crate) catch_up: u64,
    /// Frames after which steps were still owed.
    pub(crate) cut: u64,
    first_skipped: Option<(u64, Duration)>,
    first_several: Option<(u64, Duration, u64)>,
}

impl FrameCounts {
    pub(crate) fn add(&mut self, length: Duration, steps: u64, owes: bool) {
        self.frames += 1;
        self.cut += u64::from(owes);
        self.catch_up += steps.saturating_sub(1);
        match steps {
            0 => {
                self.skipped += 1;
                self.first_skipped.get_or_insert((self.frames, length));
            }
            1 => {}
            _ => {
                self.several += 1;
                self.first_several
                    .get_or_insert((self.frames, length, steps));
            }
        }
    }
}

impl Report {
    /// Whether every system handled every event once and in order, and all of the match was played.
    pub(crate) fn holds(&self) -> bool {
        let published = self.published();
        let from_match: u64 = self
            .simulation
            .feed
            .counts()
            .iter()
            .map(|row| row.published)
            .sum();
        from_match == self.inputs as u64
            && published.iter().all(|row| row.refused == 0)
            && self.handled().all(|row| {
                let of_kind = published
                    .iter()
                    .find(|published| published.kind == row.kind);
                row.irregular == 0
                    && of_kind.is_some_and(|published| published.published == row.handled)
            })
    }

    pub(crate) fn published(&self) -> Vec<Published> {
        let mut all = self.simulation.feed.counts();
        all.push(self.simulation.world.physics.supersonic.count());
        all.push(self.simulation.world.effects.outlet.count());
        all
    }

    pub(crate) fn handled(&self) -> impl Iterator<Item = &Handled> {
        self.simulation
            .world
            .handled
            .iter()
            .chain(std::iter::once(&self.drawn))
    }

    fn loop_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        writeln!(
            f,
            "frames: {}, {} without a step, {} with several, {} cut short",
            counts.frames, counts.skipped, counts.several, counts.cut
        )?;
        if let Some((frame, length)) = counts.first_skipped {
            writeln!(f, "  frame {frame} of {length:.1?} had no step")?;
        }
        if let Some((frame, length, steps)) = counts.first_several {
            writeln!(f, "  frame {frame} of {length:.1?} had {steps}")?;
        }
        let Simulation {
            steps,
            carried,
            feed,
            ..
        } = &self.simulation;
        writeln!(
            f,
            "steps: {steps}, {} of them catching up; turns with pending events: {}, {} at most; inputs held back: {}",
            counts.catch_up, carried.turns, carried.most, feed.held
        )?;
        if let Some((step, left)) = carried.first {
            writeln!(f, "  the turn of step {step} left {left} for the next")?;
        }
        Ok(())
    }

    fn events(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<11} {:>9}  handled", "event", "published")?;
        for row in self.published() {
            write!(f, "{:<11} {:>9} ", row.kind, row.published)?;
            for handled in self.handled().filter(|handled| handled.kind == row.kind) {
                write!(f, " {} {}", handled.system, handled.handled)?;
                if handled.irregular > 0 {
                    write!(f, " ({} irregular)", handled.irregular)?;
                }
            }
            if row.refused > 0 {
                write!(f, " ({} refused)", row.refused)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn systems(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let world = &self.simulation.world;
        let physics = &world.physics;
        let [throttle, steer, handbrake] = physics.levers;
        writeln!(
            f,
            "physics: cars drove {:.2} km, balls rolled {:.2} km, {:.1} cm off at a correction, {} strays",
            physics.driven / 1e5,
            physics.rolled / 1e5,
            physics.error / physics.corrections.max(1) as f64,
            physics.strays
        )?;
        writeln!(
            f,
            "controls: {throttle} throttle, {steer} steer, {handbrake} handbrake"
        )?;
        let board = &world.scoreboard;
        writeln!(
            f,
            "scoreboard: {} : {} (the recording says {} : {}), {} demolitions, possession {} : {}, clock at {} s",
            board.score[0],
            board.score[1],
            self.expected[0],
            self.expected[1],
            board.demolitions,
            board.touches[0],
            board.touches[1],
            board.seconds
        )?;
        let boosts = &world.boosts;
        writeln!(
            f,
            "boost: {} pickups, {} tanks gained, {} used, {} times supersonic",
            boosts.pickups,
            boosts.gained / TANK,
            boosts.used / TANK,
            boosts.bursts
        )?;
        writeln!(
            f,
            "effects: {}, {} at once at most, {} left on the screen",
            world.effects.begun, world.effects.most, self.shown
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} inputs in {:.1} s",
            self.name,
            self.inputs,
            self.length.as_secs_f64()
        )?;
        self.loop_counts(f)?;
        writeln!(f)?;
        self.events(f)?;
        writeln!(f)?;
        self.systems(f)?;
        writeln!(f)?;
        writeln!(f, "checksum: {}", self.simulation.checksum)?;
        let verdict = if self.holds() {
            "every system handled every event once, in order"
        } else {
            "EVENTS WERE LOST, handled twice or out of order"
        };
        writeln!(f, "{verdict}")
    }
}
