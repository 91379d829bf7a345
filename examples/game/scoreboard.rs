//! The board over the pitch.

use ringbus::Priority;

use crate::checksum::Checksum;
use crate::event::{Clock, Demolish, Goal, Touch};
use crate::world::Wiring;

#[derive(Debug, Default)]
pub(crate) struct Scoreboard {
    pub(crate) score: [u32; 2],
    pub(crate) demolitions: u64,
    /// Times that a team took the ball.
    pub(crate) touches: [u64; 2],
    pub(crate) seconds: u32,
}

impl Scoreboard {
    pub(crate) fn join(wiring: &mut Wiring<'_>) {
        wiring.on("scoreboard", Priority::Normal, |world, goal: &Goal, _| {
            world.scoreboard.score[usize::from(goal.team)] += 1;
        });
        wiring.on("scoreboard", Priority::Normal, |world, _: &Demolish, _| {
            world.scoreboard.demolitions += 1;
        });
        wiring.on("scoreboard", Priority::Normal, |world, touch: &Touch, _| {
            world.scoreboard.touches[usize::from(touch.team)] += 1;
        });
        wiring.on("scoreboard", Priority::Normal, |world, clock: &Clock, _| {
            world.scoreboard.seconds = clock.seconds;
        });
    }

    pub(crate) fn fold(&self, checksum: &mut Checksum) {
        self.score
            .iter()
            .for_each(|&goals| checksum.word(goals.into()));
        self.touches
            .iter()
            .for_each(|&touches| checksum.word(touches));
        checksum.word(self.demolitions);
        checksum.word(self.seconds.into());
    }
}
