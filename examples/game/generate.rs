//! A match that is made up: the events of a recorded one, from a seed.

use std::time::Duration;

use crate::actor::{Actor, Body};
use crate::event::{
    Boost, Clock, Control, Demolish, Despawn, Goal, Input, Lever, Motion, Pickup, Spawn, Touch,
};
use crate::random::Random;
use crate::recording::Recording;

/// A replay has 30 frames a second.
const RATE: u32 = 30;
const FRAMES: u32 = 90 * RATE;
const CARS: u64 = 6;
const RESPAWN: u32 = 3 * RATE;
/// From the centre of the pitch, in cm.
const SIDE_WALL: f32 = 4096.0;
const BACK_WALL: f32 = 5120.0;
const GOAL: f32 = 900.0;
const FASTEST: f32 = 2300.0;

pub(crate) fn recording(seed: u64) -> Recording {
    let mut game = Match {
        random: Random(seed),
        inputs: Vec::new(),
        now: Duration::ZERO,
        actors: 0,
        ball: Rolling::default(),
        cars: Vec::new(),
        absent: Vec::new(),
        holder: None,
        score: [0; 2],
    };
    game.kick_off();
    for frame in 0..FRAMES {
        game.now = Duration::from_secs(1) * frame / RATE;
        game.frame(frame);
    }
    Recording {
        name: format!("a made-up match, seed {seed}"),
        inputs: game.inputs,
        score: game.score,
    }
}

struct Match {
    random: Random,
    inputs: Vec<(Duration, Input)>,
    now: Duration,
    actors: u32,
    ball: Rolling,
    cars: Vec<Car>,
    /// When demolished cars come back.
    absent: Vec<u32>,
    holder: Option<u8>,
    score: [u32; 2],
}

struct Car {
    rolling: Rolling,
    team: u8,
    tank: u8,
    boosting: bool,
}

#[derive(Clone, Copy)]
struct Rolling {
    actor: Actor,
    position: [f32; 3],
    velocity: [f32; 3],
}

impl Default for Rolling {
    fn default() -> Self {
        Self {
            actor: Actor(0),
            position: [0.0; 3],
            velocity: [0.0; 3],
        }
    }
}

impl Rolling {
    /// Goes on for a frame, and comes back from the walls.
    fn roll(&mut self) {
        let walls = [SIDE_WALL, BACK_WALL];
        for (axis, wall) in walls.into_iter().enumerate() {
            self.velocity[axis] = self.velocity[axis].clamp(-FASTEST, FASTEST);
            self.position[axis] += self.velocity[axis] / RATE as f32;
            if self.position[axis].abs() > wall {
                self.position[axis] = wall.copysign(self.position[axis]);
                self.velocity[axis] *= -0.5;
            }
        }
    }
}

impl Match {
    fn input(&mut self, input: Input) {
        self.inputs.push((self.now, input));
    }

    fn spawn(&mut self, body: Body, position: [f32; 3]) -> Rolling {
        self.actors += 1;
        let actor = Actor(self.actors);
        self.input(Input::Spawn(Spawn { actor, body }));
        Rolling {
            actor,
            position,
            velocity: [0.0; 3],
        }
    }

    fn despawn(&mut self, actor: Actor) {
        self.input(Input::Despawn(Despawn { actor }));
    }

    /// Everything anew.
    fn kick_off(&mut self) {
        if self.actors > 0 {
            self.despawn(self.ball.actor);
            for car in std::mem::take(&mut self.cars) {
                self.despawn(car.rolling.actor);
            }
        }
        self.absent.clear();
        self.holder = None;
        self.ball = self.spawn(Body::Ball, [0.0, 0.0, 93.0]);
        for car in 0..CARS {
            self.arrive(car);
        }
    }

    fn arrive(&mut self, car: u64) {
        let team = (car % 2) as u8;
        let end = if team == 0 { -1.0 } else { 1.0 };
        let place = [self.random.around(2000), end * 3000.0, 17.0];
        let rolling = self.spawn(Body::Car, place);
        let tank = 85;
        self.cars.push(Car {
            rolling,
            team,
            tank,
            boosting: false,
        });
        self.input(Input::Boost(Boost {
            car: rolling.actor,
            amount: tank,
        }));
    }

    fn frame(&mut self, frame: u32) {
        if frame.is_multiple_of(RATE) {
            let seconds = (FRAMES - frame) / RATE;
            self.input(Input::Clock(Clock { seconds }));
        }
        let back = self.absent.len();
        self.absent.retain(|&due| due > frame);
        for _ in self.absent.len()..back {
            let car = self.random.below(CARS);
            self.arrive(car);
        }
        let mut cars = std::mem::take(&mut self.cars);
        cars.iter_mut().for_each(|car| self.drive(car));
        self.cars = cars;
        if self.cars.len() > 2 && self.random.once_in(250) {
            self.demolish(frame + RESPAWN);
        }
        self.play();
    }

    fn drive(&mut self, car: &mut Car) {
        let actor = car.rolling.actor;
        if self.random.once_in(3) {
            let turn = self.random.around(127);
            car.rolling.velocity[0] += turn;
            let input = Lever::Steer((128.0 + turn) as u8);
            self.input(Input::Control(Control { actor, input }));
        }
        if self.random.once_in(4) {
            let push = self.random.around(127);
            car.rolling.velocity[1] += 4.0 * push;
            let input = Lever::Throttle((128.0 + push) as u8);
            self.input(Input::Control(Control { actor, input }));
        }
        if self.random.once_in(60) {
            let input = Lever::Handbrake(self.random.once_in(2));
            self.input(Input::Control(Control { actor, input }));
        }
        if self.random.once_in(40) {
            car.boosting = car.tank > 20;
        }
        let before = car.tank;
        if car.boosting {
            car.tank = car.tank.saturating_sub(3);
            car.boosting = car.tank > 0;
            car.rolling.velocity[1] += 30.0_f32.copysign(car.rolling.velocity[1]);
        }
        if self.random.once_in(90) {
            car.tank = car
                .tank
                .saturating_add(if self.random.once_in(5) { 255 } else { 31 });
            self.input(Input::Pickup(Pickup { car: actor }));
        }
        if car.tank != before {
            let amount = car.tank;
            self.input(Input::Boost(Boost { car: actor, amount }));
        }
        car.rolling.roll();
        self.tell(car.rolling);
    }

    fn demolish(&mut self, back: u32) {
        let victim = self.random.below(self.cars.len() as u64) as usize;
        let victim = self.cars.swap_remove(victim).rolling.actor;
        let attacker = Some(self.cars[0].rolling.actor);
        self.input(Input::Demolish(Demolish { attacker, victim }));
        self.despawn(victim);
        self.absent.push(back);
    }

    /// The ball: somebody hits it now and then, mostly towards the other team's goal.
    fn play(&mut self) {
        if self.random.once_in(25) {
            let hitter = self.random.below(self.cars.len() as u64) as usize;
            let team = self.cars[hitter].team;
            let ahead = if team == 0 { 1.0 } else { -1.0 };
            self.ball.velocity = [
                self.random.around(1200),
                ahead * (1200.0 + self.random.around(900)),
                0.0,
            ];
            if self.holder.replace(team) != Some(team) {
                self.input(Input::Touch(Touch { team }));
            }
        }
        self.ball.roll();
        self.tell(self.ball);
        let [across, along, _] = self.ball.position;
        if along.abs() >= BACK_WALL && across.abs() < GOAL {
            let team = u8::from(along < 0.0);
            self.score[usize::from(team)] += 1;
            self.input(Input::Goal(Goal { team }));
            self.kick_off();
        }
    }

    fn tell(&mut self, rolling: Rolling) {
        let Rolling {
            actor,
            position,
            velocity,
        } = rolling;
        self.input(Input::Motion(Motion {
            actor,
            position,
            velocity,
        }));
    }
}
