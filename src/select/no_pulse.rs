//! Without the feature `services` nobody looks, and nothing is written.

use std::panic::Location;

use super::handler::HandlerId;

#[derive(Debug)]
pub(crate) struct Pulse;

impl Pulse {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) fn name(&self, _id: HandlerId, _location: &'static Location<'static>) {}

    pub(super) fn enter(&self, _id: HandlerId) {}

    pub(super) fn beat(&self) {}

    pub(super) fn leave(&self) {}

    pub(super) fn note_panic(&self, _id: HandlerId) {}

    pub(super) fn note_handled(&self, _handled: u64) {}
}
