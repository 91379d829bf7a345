//! What is to be seen and for how long: turns what happened into events for the screen.

use std::time::Duration;

use ringbus::{Bus, Context, Priority};

use crate::checksum::Checksum;
use crate::event::{Demolish, Effect, Goal, Look, Pickup, Supersonic};
use crate::outlet::Outlet;
use crate::world::{Wiring, World};

#[derive(Debug)]
pub(crate) struct Effects {
    pub(crate) outlet: Outlet<Effect>,
    pub(crate) begun: u64,
    pub(crate) live: u64,
    pub(crate) most: u64,
}

impl Look {
    fn lasts(self) -> Duration {
        Duration::from_millis(match self {
            Self::Fireworks => 3000,
            Self::Explosion => 1200,
            Self::Trail => 700,
            Self::Sparks => 250,
        })
    }
}

impl Effects {
    pub(crate) fn new(bus: &Bus) -> Self {
        Self {
            outlet: Outlet::new(bus),
            begun: 0,
            live: 0,
            most: 0,
        }
    }

    pub(crate) fn join(wiring: &mut Wiring<'_>) {
        wiring.on("effects", Priority::Normal, |world, _: &Goal, cx| {
            begin(Look::Fireworks, world, cx);
        });
        wiring.on("effects", Priority::Normal, |world, _: &Demolish, cx| {
            begin(Look::Explosion, world, cx);
        });
        wiring.on("effects", Priority::Normal, |world, _: &Supersonic, cx| {
            begin(Look::Trail, world, cx);
        });
        wiring.on("effects", Priority::Normal, |world, _: &Pickup, cx| {
            begin(Look::Sparks, world, cx);
        });
    }

    pub(crate) fn fold(&self, checksum: &mut Checksum) {
        checksum.word(self.begun);
        checksum.word(self.live);
    }
}

fn begin(look: Look, world: &mut World, cx: &mut Context<World>) {
    let effects = &mut world.effects;
    effects.begun += 1;
    effects.live += 1;
    effects.most = effects.most.max(effects.live);
    let begins = true;
    effects.outlet.emit(Effect { look, begins }, cx);
    // On the clock of the simulation: an effect lasts the same number of steps in every run.
    cx.after(look.lasts(), move |world: &mut World, cx| {
        let effects = &mut world.effects;
        effects.live -= 1;
        let begins = false;
        effects.outlet.emit(Effect { look, begins }, cx);
    });
}
