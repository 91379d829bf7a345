//! Readers that change events in place, before anybody else reads them.
#![expect(
    unsafe_code,
    reason = "an editor lends out events that it alone may touch"
)]

use std::ops::ControlFlow;

use super::{Commit, Policy, Reader};
use crate::ring::member::{Cursor, Standing};
use crate::ring::members::Seat;
use crate::ring::upstream::Upstream;
use crate::ring::{Ring, Shape};
use crate::sync::{Arc, Barrier, thread_id};

impl<T> Ring<T> {
    /// A ring with this many editors, each of which comes after those before it, and before everybody else.
    pub(crate) fn edited(
        shape: Shape,
        barrier: Barrier,
        editors: usize,
    ) -> (Arc<Self>, Vec<Reader<T>>) {
        let mut ring = Self::unshared(shape, barrier, None);
        // In their seats before there is a publisher, so no plan can miss them.
        let seats: Vec<Seat> = (0..editors)
            .map(|_| {
                let seat = ring.members.seat();
                let cursor = Cursor::new(shape.first, Standing::Gating);
                seat.member().enter(cursor, thread_id());
                seat
            })
            .collect();
        ring.editors = seats.iter().map(Upstream::of).collect();
        let ring = Arc::new(ring);
        let readers = (0..)
            .zip(seats)
            .map(|(place, seat)| {
                let mut reader = Reader::in_seat(&ring, seat, Policy::Lossless, 0, shape.first);
                reader.start_at(shape.first, Standing::Gating);
                reader.come_after(&ring.editors[..place]);
                reader.edits = true;
                reader
            })
            .collect();
        (ring, readers)
    }
}

impl<T> Reader<T> {
    /// Lets `f` change up to `max` events, one after the other, until it breaks; tells how many it was given.
    ///
    /// # Panics
    ///
    /// When the reader is no editor.
    pub(crate) fn edit(
        &mut self,
        max: u64,
        mut f: impl FnMut(&mut T, u64) -> ControlFlow<()>,
    ) -> u64 {
        assert!(self.edits, "only editors may change events");
        let commit = Commit(self);
        let mut edited = 0;
        while edited < max {
            let Some(sequence) = commit.0.take() else {
                break;
            };
            edited += 1;
            let slot = commit.0.ring.slot(sequence);
            // SAFETY: `take` saw the stamp of an event (R2). The editor's cursor has not passed it: that is
            // done when `commit` is dropped, behind this loop, so no publisher writes the slot (R4), and all
            // who come after this editor keep away (R8). The editors before it have passed the event, as `take`
            // stays before the limit (R7). So the event is this editor's, which is not shared, alone.
            let flow = unsafe { slot.edit(|event| f(event, sequence)) };
            if flow.is_break() {
                break;
            }
        }
        edited
    }
}
