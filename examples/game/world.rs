//! The state that all systems share, and how they get at it.

use ringbus::{Bus, Context, Priority, Reactor};

use crate::boost::BoostBook;
use crate::checksum::Checksum;
use crate::effects::Effects;
use crate::event::Event;
use crate::outlet::Numbered;
use crate::physics::Physics;
use crate::scoreboard::Scoreboard;
use crate::tally::Handled;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) physics: Physics,
    pub(crate) scoreboard: Scoreboard,
    pub(crate) boosts: BoostBook,
    pub(crate) effects: Effects,
    pub(crate) handled: Vec<Handled>,
}

impl World {
    pub(crate) fn new(bus: &Bus) -> Self {
        Self {
            physics: Physics::new(bus),
            scoreboard: Scoreboard::default(),
            boosts: BoostBook::default(),
            effects: Effects::new(bus),
            handled: Vec::new(),
        }
    }

    pub(crate) fn fold(&self, checksum: &mut Checksum) {
        self.physics.fold(checksum);
        self.scoreboard.fold(checksum);
        self.boosts.fold(checksum);
        self.effects.fold(checksum);
    }
}

/// Connects systems to the topics they read.
pub(crate) struct Wiring<'a> {
    pub(crate) bus: &'a Bus,
    pub(crate) reactor: &'a mut Reactor<World>,
    pub(crate) world: &'a mut World,
}

impl Wiring<'_> {
    /// Calls `handler` for the events of a type, and keeps count of them.
    pub(crate) fn on<T: Event>(
        &mut self,
        system: &'static str,
        priority: Priority,
        mut handler: impl FnMut(&mut World, &T, &mut Context<World>) + Send + 'static,
    ) {
        let row = self.world.handled.len();
        self.world.handled.push(Handled::new(T::KIND, system));
        let subscriber = self.bus.topic::<Numbered<T>>().subscribe();
        let id = self.reactor.on(subscriber, move |world, numbered, cx| {
            world.handled[row].count(numbered.number);
            handler(world, &numbered.event, cx);
        });
        self.reactor.set_priority(id, priority);
    }
}
