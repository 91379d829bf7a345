//! Publishes a match as its time comes.

use std::time::Duration;
use std::vec;

use ringbus::Bus;

use crate::event::{
    Boost, Clock, Control, Demolish, Despawn, Goal, Input, Motion, Pickup, Spawn, Touch,
};
use crate::outlet::Outlet;
use crate::tally::Published;

#[derive(Debug)]
pub(crate) struct Feed {
    inputs: vec::IntoIter<(Duration, Input)>,
    /// Times that a ring was full.
    pub(crate) held: u64,
    spawn: Outlet<Spawn>,
    despawn: Outlet<Despawn>,
    motion: Outlet<Motion>,
    control: Outlet<Control>,
    boost: Outlet<Boost>,
    pickup: Outlet<Pickup>,
    touch: Outlet<Touch>,
    demolish: Outlet<Demolish>,
    goal: Outlet<Goal>,
    clock: Outlet<Clock>,
}

impl Feed {
    pub(crate) fn new(inputs: Vec<(Duration, Input)>, bus: &Bus) -> Self {
        Self {
            inputs: inputs.into_iter(),
            held: 0,
            spawn: Outlet::new(bus),
            despawn: Outlet::new(bus),
            motion: Outlet::new(bus),
            control: Outlet::new(bus),
            boost: Outlet::new(bus),
            pickup: Outlet::new(bus),
            touch: Outlet::new(bus),
            demolish: Outlet::new(bus),
            goal: Outlet::new(bus),
            clock: Outlet::new(bus),
        }
    }

    /// Publishes what happened until `now`. Where a ring is full it stops, and goes on there in the next step:
    /// what comes later must not overtake.
    pub(crate) fn publish(&mut self, now: Duration) {
        while let Some(&(at, input)) = self.inputs.as_slice().first() {
            if at > now {
                break;
            }
            if !self.offer(input) {
                self.held += 1;
                break;
            }
            self.inputs.next();
        }
    }

    fn offer(&mut self, input: Input) -> bool {
        match input {
            Input::Spawn(event) => self.spawn.offer(event),
            Input::Despawn(event) => self.despawn.offer(event),
            Input::Motion(event) => self.motion.offer(event),
            Input::Control(event) => self.control.offer(event),
            Input::Boost(event) => self.boost.offer(event),
            Input::Pickup(event) => self.pickup.offer(event),
            Input::Touch(event) => self.touch.offer(event),
            Input::Demolish(event) => self.demolish.offer(event),
            Input::Goal(event) => self.goal.offer(event),
            Input::Clock(event) => self.clock.offer(event),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.inputs.as_slice().is_empty()
    }

    pub(crate) fn counts(&self) -> Vec<Published> {
        vec![
            self.spawn.count(),
            self.despawn.count(),
            self.motion.count(),
            self.control.count(),
            self.boost.count(),
            self.pickup.count(),
            self.touch.count(),
            self.demolish.count(),
            self.goal.count(),
            self.clock.count(),
        ]
    }
}
