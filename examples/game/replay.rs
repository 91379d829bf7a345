//! Rocket League replays: what they record of a match, as inputs.

use std::collections::HashMap;
use std::time::Duration;

use boxcars::{
    ActorId, Attribute, Frame, HeaderProp, ObjectId, ParseError, ParserBuilder, Replay,
    UpdatedAttribute,
};

use crate::actor::{Actor, Body};
use crate::event::{
    Boost, Clock, Control, Demolish, Despawn, Goal, Input, Lever, Motion, Pickup, Spawn, Touch,
};
use crate::recording::Recording;

/// In one frame.
const MOST_GOALS: i32 = 10;

pub(crate) fn parse(name: String, bytes: &[u8]) -> Result<Recording, ParseError> {
    let replay = ParserBuilder::new(bytes)
        .must_parse_network_data()
        .on_error_check_crc()
        .parse()?;
    let frames = replay
        .network_frames
        .as_ref()
        .map_or(&[][..], |network| &network.frames);
    let mut reader = Reader::new(&replay);
    let begin = frames.first().map_or(0.0, |frame| frame.time);
    for frame in frames {
        // Time that is broken or goes back must not hold up what follows.
        let at = Duration::try_from_secs_f32(frame.time - begin).unwrap_or_default();
        reader.now = reader.now.max(at);
        reader.frame(frame);
    }
    let score = ["Team0Score", "Team1Score"].map(|team| score(&replay, team));
    Ok(Recording {
        name,
        inputs: reader.inputs,
        score,
    })
}

/// A score of 0 is left out.
fn score(replay: &Replay, team: &str) -> u32 {
    replay
        .properties
        .iter()
        .find_map(|(key, value)| match value {
            HeaderProp::Int(goals) if key == team => u32::try_from(*goals).ok(),
            _ => None,
        })
        .unwrap_or(0)
}

struct Reader<'a> {
    objects: &'a [String],
    inputs: Vec<(Duration, Input)>,
    now: Duration,
    known: HashMap<ActorId, Known>,
    actors: u32,
    scores: [i32; 2],
    seconds: Option<u32>,
}

/// An actor of the replay that is there now.
struct Known {
    actor: Actor,
    object: ObjectId,
    body: Option<Body>,
    /// The car that a component belongs to.
    vehicle: Option<ActorId>,
    /// The last value of each attribute.
    told: HashMap<ObjectId, Attribute>,
}

impl<'a> Reader<'a> {
    fn new(replay: &'a Replay) -> Self {
        Self {
            objects: &replay.objects,
            inputs: Vec::new(),
            now: Duration::ZERO,
            known: HashMap::new(),
            actors: 0,
            scores: [0; 2],
            seconds: None,
        }
    }

    fn frame(&mut self, frame: &Frame) {
        for id in &frame.deleted_actors {
            self.despawn(*id);
        }
        for new in &frame.new_actors {
            self.spawn(new.actor_id, new.object_id);
        }
        // Some components tell their news before they tell whose they are.
        for update in &frame.updated_actors {
            self.link(update);
        }
        for update in &frame.updated_actors {
            self.update(update);
        }
    }

    fn name(&self, object: ObjectId) -> &'a str {
        let index = usize::try_from(object.0).ok();
        index
            .and_then(|index| self.objects.get(index))
            .map_or("", String::as_str)
    }

    fn input(&mut self, input: Input) {
        self.inputs.push((self.now, input));
    }

    fn spawn(&mut self, id: ActorId, object: ObjectId) {
        // Every 10 seconds a replay tells everything again, for those who jump there.
        if self
            .known
            .get(&id)
            .is_some_and(|known| known.object == object)
        {
            return;
        }
        self.despawn(id);
        let name = self.name(object);
        let body = if name.starts_with("Archetypes.Ball.") {
            Some(Body::Ball)
        } else if name.starts_with("Archetypes.Car.") {
            Some(Body::Car)
        } else {
            None
        };
        self.actors += 1;
        let actor = Actor(self.actors);
        let known = Known {
            actor,
            object,
            body,
            vehicle: None,
            told: HashMap::new(),
        };
        self.known.insert(id, known);
        if let Some(body) = body {
            self.input(Input::Spawn(Spawn { actor, body }));
        }
    }

    fn despawn(&mut self, id: ActorId) {
        if let Some(known) = self.known.remove(&id)
            && known.body.is_some()
        {
            let actor = known.actor;
            self.input(Input::Despawn(Despawn { actor }));
        }
    }

    fn car(&self, id: ActorId) -> Option<Actor> {
        let known = self.known.get(&id)?;
        (known.body == Some(Body::Car)).then_some(known.actor)
    }

    fn link(&mut self, update: &UpdatedAttribute) {
        if let Attribute::ActiveActor(vehicle) = update.attribute
            && self.name(update.object_id) == "TAGame.CarComponent_TA:Vehicle"
            && let Some(component) = self.known.get_mut(&update.actor_id)
        {
            component.vehicle = Some(vehicle.actor);
        }
    }

    fn update(&mut self, update: &UpdatedAttribute) {
        let Some(known) = self.known.get_mut(&update.actor_id) else {
            return;
        };
        let value = &update.attribute;
        if known.told.get(&update.object_id) == Some(value) {
            return;
        }
        known.told.insert(update.object_id, value.clone());
        let (actor, object, body, vehicle) = (known.actor, known.object, known.body, known.vehicle);
        match (self.name(update.object_id), value) {
            ("TAGame.RBActor_TA:ReplicatedRBState", Attribute::RigidBody(state))
                if body.is_some() =>
            {
                let (at, going) = (state.location, state.linear_velocity);
                self.input(Input::Motion(Motion {
                    actor,
                    position: [at.x, at.y, at.z],
                    // A body that sleeps has none.
                    velocity: going.map_or([0.0; 3], |going| [going.x, going.y, going.z]),
                }));
            }
            ("TAGame.Vehicle_TA:ReplicatedThrottle", &Attribute::Byte(value)) => {
                self.control(actor, body, Lever::Throttle(value));
            }
            ("TAGame.Vehicle_TA:ReplicatedSteer", &Attribute::Byte(value)) => {
                self.control(actor, body, Lever::Steer(value));
            }
            ("TAGame.Vehicle_TA:bReplicatedHandbrake", &Attribute::Boolean(value)) => {
                self.control(actor, body, Lever::Handbrake(value));
            }
            (_, Attribute::ReplicatedBoost(boost)) => {
                self.boost(vehicle, boost.boost_amount);
            }
            ("TAGame.CarComponent_Boost_TA:ReplicatedBoostAmount", &Attribute::Byte(amount)) => {
                self.boost(vehicle, amount);
            }
            (_, Attribute::PickupNew(pickup)) if pickup.picked_up != u8::MAX => {
                self.pickup(pickup.instigator);
            }
            (_, Attribute::Pickup(pickup)) if pickup.picked_up => self.pickup(pickup.instigator),
            ("TAGame.Ball_TA:HitTeamNum", &Attribute::Byte(team @ 0..2)) => {
                self.input(Input::Touch(Touch { team }));
            }
            (_, Attribute::Demolish(demolish)) => {
                self.demolish(demolish.attacker, demolish.victim);
            }
            (_, Attribute::DemolishFx(demolish)) => {
                self.demolish(demolish.attacker, demolish.victim);
            }
            (_, Attribute::DemolishExtended(demolish)) => {
                self.demolish(demolish.attacker.actor, demolish.victim.actor);
            }
            ("Engine.TeamInfo:Score", &Attribute::Int(goals)) => self.goals(object, goals),
            ("TAGame.GameEvent_Soccar_TA:SecondsRemaining", &Attribute::Int(seconds)) => {
                let seconds = u32::try_from(seconds).unwrap_or(0);
                if self.seconds.replace(seconds) != Some(seconds) {
                    self.input(Input::Clock(Clock { seconds }));
                }
            }
            _ => {}
        }
    }

    fn control(&mut self, actor: Actor, body: Option<Body>, input: Lever) {
        if body == Some(Body::Car) {
            self.input(Input::Control(Control { actor, input }));
        }
    }

    fn boost(&mut self, vehicle: Option<ActorId>, amount: u8) {
        if let Some(car) = vehicle.and_then(|id| self.car(id)) {
            self.input(Input::Boost(Boost { car, amount }));
        }
    }

    fn pickup(&mut self, car: Option<ActorId>) {
        if let Some(car) = car.and_then(|id| self.car(id)) {
            self.input(Input::Pickup(Pickup { car }));
        }
    }

    fn demolish(&mut self, attacker: ActorId, victim: ActorId) {
        if let Some(victim) = self.car(victim) {
            let attacker = self.car(attacker);
            self.input(Input::Demolish(Demolish { attacker, victim }));
        }
    }

    /// The actor of a team is made anew after each goal, so its score is told more than once.
    fn goals(&mut self, team: ObjectId, goals: i32) {
        let team: u8 = match self.name(team) {
            "Archetypes.Teams.Team0" => 0,
            "Archetypes.Teams.Team1" => 1,
            _ => return,
        };
        let known = &mut self.scores[usize::from(team)];
        let before = *known;
        // Damage may look like a score, but not like so many goals at once.
        *known = goals.clamp(before, before.saturating_add(MOST_GOALS));
        for _ in before..*known {
            self.input(Input::Goal(Goal { team }));
        }
    }
}
