//! The events on the bus, a topic for each type.

use crate::actor::{Actor, Body};

/// What the report calls an event.
pub(crate) trait Event: Copy + Send + Sync + 'static {
    const KIND: &'static str;
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spawn {
    pub(crate) actor: Actor,
    pub(crate) body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Despawn {
    pub(crate) actor: Actor,
}

/// Where a body is and how fast it goes, in centimetres (near enough) and seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Motion {
    pub(crate) actor: Actor,
    pub(crate) position: [f32; 3],
    pub(crate) velocity: [f32; 3],
}

/// What a player does to the car.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Control {
    pub(crate) actor: Actor,
    pub(crate) input: Lever,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lever {
    /// 128 is neutral.
    Throttle(u8),
    /// 128 is straight on.
    Steer(u8),
    Handbrake(bool),
}

/// How much boost a car has, of 255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Boost {
    pub(crate) car: Actor,
    pub(crate) amount: u8,
}

/// A car took boost from a pad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pickup {
    pub(crate) car: Actor,
}

/// The ball went over to a team.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Touch {
    pub(crate) team: u8,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Demolish {
    /// None when the car did it to itself.
    pub(crate) attacker: Option<Actor>,
    pub(crate) victim: Actor,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Goal {
    pub(crate) team: u8,
}

/// What the clock over the pitch shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Clock {
    pub(crate) seconds: u32,
}

/// A car has got faster than its engine alone can make it. Published by the physics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Supersonic {
    pub(crate) car: Actor,
}

/// Something to be seen begins or ends. Published by the effects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Effect {
    pub(crate) look: Look,
    pub(crate) begins: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Fireworks,
    Explosion,
    Trail,
    Sparks,
}

/// What a match tells from outside; the rest comes from systems.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Input {
    Spawn(Spawn),
    Despawn(Despawn),
    Motion(Motion),
    Control(Control),
    Boost(Boost),
    Pickup(Pickup),
    Touch(Touch),
    Demolish(Demolish),
    Goal(Goal),
    Clock(Clock),
}

macro_rules! kinds {
    ($($event:ty => $kind:literal,)*) => {
        $(impl Event for $event {
            const KIND: &'static str = $kind;
        })*
    };
}

kinds! {
    Spawn => "spawn",
    Despawn => "despawn",
    Motion => "motion",
    Control => "control",
    Boost => "boost",
    Pickup => "pickup",
    Touch => "touch",
    Demolish => "demolish",
    Goal => "goal",
    Clock => "clock",
    Supersonic => "supersonic",
    Effect => "effect",
}
