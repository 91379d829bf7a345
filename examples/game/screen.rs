//! What the player sees: drawn once a frame, in whatever time is left.

use std::time::Duration;

use ringbus::{Budget, Bus, Reactor};

use crate::event::{Effect, Event};
use crate::outlet::Numbered;
use crate::tally::Handled;

const TIME: Duration = Duration::from_millis(2);

/// Reads effects on a reactor of its own, by the time on the wall: what the simulation does must not depend on
/// it, and does not, as nothing comes back from here.
#[derive(Debug)]
pub(crate) struct Screen {
    reactor: Reactor<Picture>,
    picture: Picture,
    hurry: bool,
}

#[derive(Debug)]
struct Picture {
    handled: Handled,
    shown: i64,
}

impl Screen {
    pub(crate) fn new(bus: &Bus) -> Self {
        let mut reactor = Reactor::<Picture>::new();
        let effects = bus.topic::<Numbered<Effect>>().subscribe();
        reactor.on(effects, |picture, effect, _| {
            picture.handled.count(effect.number);
            picture.shown += if effect.event.begins { 1 } else { -1 };
        });
        Self {
            reactor,
            picture: Picture {
                handled: Handled::new(Effect::KIND, "screen"),
                shown: 0,
            },
            hurry: false,
        }
    }

    /// Draws what has happened since. What there is no time for comes with the next frame, and then whatever
    /// it takes: a screen that falls further and further behind would fill the ring of its topic.
    pub(crate) fn draw(&mut self) {
        let budget = Budget::unlimited();
        let budget = if self.hurry {
            budget
        } else {
            budget.within(TIME)
        };
        let turn = self.reactor.turn(&mut self.picture, budget);
        self.hurry = turn.pending > 0;
    }

    /// Draws the rest.
    pub(crate) fn finish(&mut self) -> Handled {
        let _all = self.reactor.turn(&mut self.picture, Budget::unlimited());
        self.picture.handled
    }

    /// Effects that are still to be seen.
    pub(crate) fn shown(&self) -> i64 {
        self.picture.shown
    }
}
