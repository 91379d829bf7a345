//! Where everything is: the match tells it some 30 times a second, the steps in between are filled in.

use std::collections::BTreeMap;

use ringbus::{Bus, MissedTicks, Priority};

use crate::actor::{Actor, Body};
use crate::checksum::Checksum;
use crate::event::{Control, Despawn, Lever, Motion, Spawn, Supersonic};
use crate::outlet::Outlet;
use crate::simulation::STEP;
use crate::world::Wiring;

/// In cm/s. The margin is for a car that keeps to the limit.
const SUPERSONIC: f32 = 2200.0;
const SUBSONIC: f32 = 2100.0;
/// After so many steps without news a body stands still: recordings leave out what follows a goal.
const COAST: u32 = 6;

#[derive(Debug)]
pub(crate) struct Physics {
    bodies: BTreeMap<Actor, Moving>,
    /// How far cars and balls have gone, in cm.
    pub(crate) driven: f64,
    pub(crate) rolled: f64,
    /// How far off the filled-in positions were when the next news came, in all and how often.
    pub(crate) error: f64,
    pub(crate) corrections: u64,
    /// Changes of direction or speed by players.
    pub(crate) levers: [u64; 3],
    /// Motions and controls of what is not there.
    pub(crate) strays: u64,
    pub(crate) supersonic: Outlet<Supersonic>,
}

#[derive(Debug)]
struct Moving {
    body: Body,
    position: [f32; 3],
    velocity: [f32; 3],
    quiet: u32,
    placed: bool,
    supersonic: bool,
}

impl Physics {
    pub(crate) fn new(bus: &Bus) -> Self {
        Self {
            bodies: BTreeMap::new(),
            driven: 0.0,
            rolled: 0.0,
            error: 0.0,
            corrections: 0,
            levers: [0; 3],
            strays: 0,
            supersonic: Outlet::new(bus),
        }
    }

    pub(crate) fn join(wiring: &mut Wiring<'_>) {
        // Once for each step, and before the step's events, as timers go first.
        wiring
            .reactor
            .every_with(STEP, MissedTicks::Burst, |world, _| world.physics.advance());
        // A body must be there before its first motion and until its last; only priorities order topics.
        wiring.on("physics", Priority::Urgent, |world, spawn: &Spawn, _| {
            world.physics.spawn(*spawn);
        });
        wiring.on(
            "physics",
            Priority::Background,
            |world, despawn: &Despawn, _| {
                world.physics.bodies.remove(&despawn.actor);
            },
        );
        wiring.on("physics", Priority::Normal, |world, motion: &Motion, cx| {
            if let Some(car) = world.physics.correct(motion) {
                world.physics.supersonic.emit(Supersonic { car }, cx);
            }
        });
        wiring.on(
            "physics",
            Priority::Normal,
            |world, control: &Control, _| world.physics.control(control),
        );
    }

    fn advance(&mut self) {
        let time = STEP.as_secs_f32();
        for moving in self.bodies.values_mut() {
            moving.quiet += 1;
            if moving.quiet > COAST {
                continue;
            }
            for (position, velocity) in moving.position.iter_mut().zip(moving.velocity) {
                *position += velocity * time;
            }
            let gone = f64::from(length(moving.velocity) * time);
            match moving.body {
                Body::Ball => self.rolled += gone,
                Body::Car => self.driven += gone,
            }
        }
    }

    fn spawn(&mut self, Spawn { actor, body }: Spawn) {
        let moving = Moving {
            body,
            position: [0.0; 3],
            velocity: [0.0; 3],
            quiet: 0,
            placed: false,
            supersonic: false,
        };
        self.bodies.insert(actor, moving);
    }

    /// Takes the news of a body; returns it if it is a car that has become supersonic.
    fn correct(&mut self, motion: &Motion) -> Option<Actor> {
        let Some(moving) = self.bodies.get_mut(&motion.actor) else {
            self.strays += 1;
            return None;
        };
        if moving.placed {
            let off: [f32; 3] =
                std::array::from_fn(|axis| motion.position[axis] - moving.position[axis]);
            self.error += f64::from(length(off));
            self.corrections += 1;
        }
        (moving.position, moving.velocity) = (motion.position, motion.velocity);
        (moving.placed, moving.quiet) = (true, 0);
        let speed = length(motion.velocity);
        let was = moving.supersonic;
        moving.supersonic = speed >= if was { SUBSONIC } else { SUPERSONIC };
        (moving.body == Body::Car && moving.supersonic && !was).then_some(motion.actor)
    }

    fn control(&mut self, control: &Control) {
        if !self.bodies.contains_key(&control.actor) {
            self.strays += 1;
        }
        let lever = match control.input {
            Lever::Throttle(_) => 0,
            Lever::Steer(_) => 1,
            Lever::Handbrake(_) => 2,
        };
        self.levers[lever] += 1;
    }

    pub(crate) fn fold(&self, checksum: &mut Checksum) {
        for (actor, moving) in &self.bodies {
            checksum.word(actor.0.into());
            checksum.vector(moving.position);
            checksum.vector(moving.velocity);
        }
        for number in [self.driven, self.rolled, self.error] {
            checksum.word(number.to_bits());
        }
        self.levers.iter().for_each(|&count| checksum.word(count));
    }
}

fn length(vector: [f32; 3]) -> f32 {
    vector.iter().map(|part| part * part).sum::<f32>().sqrt()
}
