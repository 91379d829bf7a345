//! The world and its steps.

use std::time::Duration;

use ringbus::{Budget, Bus, Clock, Reactor, Turn};

use crate::boost::BoostBook;
use crate::checksum::Checksum;
use crate::effects::Effects;
use crate::event::Input;
use crate::feed::Feed;
use crate::physics::Physics;
use crate::scoreboard::Scoreboard;
use crate::world::{Wiring, World};

/// 60 a second.
pub(crate) const STEP: Duration = Duration::from_nanos(16_666_667);
/// Events and timers for each step: enough for the mean, and less than what comes at a kick-off.
const BUDGET: u64 = 16;

/// Moves by steps, and by nothing else: it is told neither the time nor how many steps a frame has. So it comes
/// to the same end however the frames fall.
///
/// Whose turn it is among topics follows from what was published and from the turns before. So a frame without
/// a step takes no turn either.
pub(crate) struct Simulation {
    clock: Clock,
    reactor: Reactor<World>,
    pub(crate) world: World,
    pub(crate) feed: Feed,
    pub(crate) checksum: Checksum,
    pub(crate) steps: u64,
    pub(crate) carried: Carried,
    last: Turn,
}

/// Turns whose budget ended before their events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carried {
    pub(crate) turns: u64,
    /// The step of the first of them, and what it left.
    pub(crate) first: Option<(u64, u64)>,
    pub(crate) most: u64,
}

impl Simulation {
    pub(crate) fn new(inputs: Vec<(Duration, Input)>, bus: &Bus) -> Self {
        let clock = Clock::manual();
        let mut reactor = Reactor::builder().clock(clock.clone()).build();
        let mut world = World::new(bus);
        let mut wiring = Wiring {
            bus,
            reactor: &mut reactor,
            world: &mut world,
        };
        Physics::join(&mut wiring);
        Scoreboard::join(&mut wiring);
        BoostBook::join(&mut wiring);
        Effects::join(&mut wiring);
        Self {
            clock,
            reactor,
            world,
            feed: Feed::new(inputs, bus),
            checksum: Checksum::default(),
            steps: 0,
            carried: Carried::default(),
            last: Turn::default(),
        }
    }

    /// One step: the time of it, its inputs, and one turn.
    ///
    /// One turn for several steps would not do: the inputs of all of them would be handled together, not each
    /// in its step.
    pub(crate) fn step(&mut self) {
        self.steps += 1;
        self.clock.advance(STEP);
        self.feed.publish(self.clock.elapsed());
        let turn = self.reactor.turn(&mut self.world, Budget::events(BUDGET));
        if turn.pending > 0 {
            let carried = &mut self.carried;
            carried.turns += 1;
            carried.first.get_or_insert((self.steps, turn.pending));
            carried.most = carried.most.max(turn.pending);
        }
        self.last = turn;
        self.world.fold(&mut self.checksum);
    }

    /// Whether the match is over, and nothing follows from it any more. What handlers publish is for the next
    /// turn, so it takes one without events.
    pub(crate) fn is_over(&self) -> bool {
        let Turn {
            handled,
            pending,
            outbox,
            ..
        } = self.last;
        self.feed.is_over()
            && self.world.effects.live == 0
            && (handled, pending, outbox) == (0, 0, 0)
    }
}
