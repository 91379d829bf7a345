//! Who has how much boost, and where it went.

use std::collections::BTreeMap;

use ringbus::Priority;

use crate::actor::Actor;
use crate::checksum::Checksum;
use crate::event::{Boost, Despawn, Pickup, Supersonic};
use crate::world::Wiring;

/// A full tank.
pub(crate) const TANK: u64 = 255;

#[derive(Debug, Default)]
pub(crate) struct BoostBook {
    amounts: BTreeMap<Actor, u8>,
    /// Of a tank each.
    pub(crate) used: u64,
    pub(crate) gained: u64,
    pub(crate) pickups: u64,
    pub(crate) bursts: u64,
}

impl BoostBook {
    pub(crate) fn join(wiring: &mut Wiring<'_>) {
        wiring.on("boost", Priority::Normal, |world, boost: &Boost, _| {
            world.boosts.enter(boost);
        });
        wiring.on("boost", Priority::Normal, |world, _: &Pickup, _| {
            world.boosts.pickups += 1;
        });
        wiring.on("boost", Priority::Normal, |world, _: &Supersonic, _| {
            world.boosts.bursts += 1;
        });
        // After the last entry of the car.
        wiring.on(
            "boost",
            Priority::Background,
            |world, despawn: &Despawn, _| {
                world.boosts.amounts.remove(&despawn.actor);
            },
        );
    }

    fn enter(&mut self, boost: &Boost) {
        // The first entry of a car is what it came with.
        if let Some(before) = self.amounts.insert(boost.car, boost.amount) {
            self.used += u64::from(before.saturating_sub(boost.amount));
            self.gained += u64::from(boost.amount.saturating_sub(before));
        }
    }

    pub(crate) fn fold(&self, checksum: &mut Checksum) {
        for (car, &amount) in &self.amounts {
            checksum.word(car.0.into());
            checksum.word(amount.into());
        }
        for count in [self.used, self.gained, self.pickups, self.bursts] {
            checksum.word(count);
        }
    }
}
