//! The loop.

use std::time::Duration;

use ringbus::Bus;

use crate::frames::Frames;
use crate::recording::Recording;
use crate::report::{FrameCounts, Report};
use crate::screen::Screen;
use crate::simulation::{STEP, Simulation};

/// Steps in one frame: what a longer frame owes is spread over the next ones, so that steps which take longer
/// than their time cannot make frames ever longer.
const MOST_STEPS: u64 = 8;

/// Plays a match to its end.
pub(crate) fn run(recording: Recording, mut frames: Frames) -> Report {
    let bus = Bus::new();
    let (name, length) = (recording.name.clone(), recording.length());
    let inputs = recording.inputs.len();
    let mut screen = Screen::new(&bus);
    let mut simulation = Simulation::new(recording.inputs, &bus);
    let mut counts = FrameCounts::default();
    let mut owed = Duration::ZERO;
    while !simulation.is_over() {
        let frame = frames.next();
        owed += frame;
        let mut steps = 0;
        while owed >= STEP && steps < MOST_STEPS && !simulation.is_over() {
            simulation.step();
            owed -= STEP;
            steps += 1;
        }
        counts.add(frame, steps, owed >= STEP);
        screen.draw();
    }
    let drawn = screen.finish();
    Report {
        name,
        length,
        inputs,
        expected: recording.score,
        counts,
        drawn,
        shown: screen.shown(),
        simulation,
    }
}
