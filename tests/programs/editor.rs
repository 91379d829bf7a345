//! Changing events in place.

use std::time::{Duration, Instant};

use ringbus::{Editor, Meta, PollError};

use super::event::{Event, Planned, blow, caught};
use super::program::{Then, Way};
use super::record::{Glance, Membership, Sighting};
use super::stage::Eyes;
use super::threads;
use super::worker::Worker;

/// An editor, and what it has done.
pub(crate) struct Editing {
    pub(crate) name: String,
    pub(crate) editor: Editor<Event>,
    pub(crate) eyes: Eyes,
    pub(crate) membership: Membership,
}

impl Editing {
    pub(crate) fn is_told_closed(&self) -> bool {
        self.membership.sightings.last() == Some(&Sighting::Closed)
    }

    /// Edits all but each fourth event, and panics at one, before or after it has changed it.
    pub(crate) fn read(&mut self, way: Way, worker: &mut Worker) {
        let (max, panics_at) = match way {
            Way::Poll(max, panics_at) => (max, panics_at),
            Way::Batch(max, take, Then::Panic) => (max, Some(take + 1)),
            Way::PollWait(max)
            | Way::PollWithin(max, _)
            | Way::Batch(max, ..)
            | Way::BatchWait(max, _)
            | Way::Iter(max)
            | Way::TryIter(max) => (max, None),
            Way::TryRecv | Way::Recv | Way::RecvWithin(_) => (1, None),
        };
        let Self {
            editor,
            eyes,
            membership,
            ..
        } = self;
        let number = membership.place.editor.expect("an editor has a number");
        let sightings = &mut membership.sightings;
        let glances = &mut membership.place.glances;
        let mut shown = 0;
        let mut edit = |event: &mut Event, meta: Meta| {
            shown += 1;
            sightings.push(Sighting::seen(event.id(), meta));
            let seen = eyes.glance(event);
            let changes = event.id() / super::world::MOST_THREADS % 4 != 3;
            if changes {
                event.edit(number);
            }
            let left = event.trail();
            glances.push(Glance { left, ..seen });
            if panics_at == Some(shown) {
                blow(Planned::Handler);
            }
        };
        let result = caught(|| match way {
            way if way.waits() => editor.poll_wait(max, &mut edit),
            Way::PollWithin(_, micros) | Way::RecvWithin(micros) => {
                let micros = if threads::TIME_PASSES { micros } else { 0 };
                let deadline = Instant::now() + Duration::from_micros(micros);
                editor.poll_deadline(max, deadline, &mut edit)
            }
            _ => editor.poll(max, &mut edit),
        });
        let sighting = match result {
            Ok(Ok(count)) => {
                let fair = count == shown && shown <= max;
                worker
                    .record
                    .check(fair, "an editor is told how many events it was lent");
                None
            }
            Ok(Err(PollError::Closed)) => Some(Sighting::Closed),
            Ok(Err(PollError::WouldDeadlock)) => {
                worker.note_own_wait(&membership.place.after);
                Some(Sighting::WouldDeadlock)
            }
            Ok(Err(error)) => {
                worker
                    .record
                    .check(false, &format!("{error}, of an editor"));
                None
            }
            Err(_) => None,
        };
        membership.sightings.extend(sighting);
        membership.place.calls.push(worker.span());
        eyes.next_call();
    }

    pub(crate) fn leave(self, worker: &mut Worker) {
        let Self {
            name,
            editor,
            mut membership,
            ..
        } = self;
        if let Some((numbers, _)) = worker.common.numbers(&name) {
            membership.sightings.push(Sighting::Numbers {
                numbers,
                at_rest: worker.is_at_rest(),
            });
        }
        drop(editor);
        if !worker.is_at_rest() {
            membership.left = worker.span();
        }
        worker.record.members.push(membership);
    }
}
