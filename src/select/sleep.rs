//! What a round ends with: the outbox, a look at quiet sources, sleep.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crossbeam_channel::Select;

use super::context::Context;
use super::drive::Unwind;
use super::handler::OnPanic;
use super::outbox::Outbox;
use crate::sync::{Arc, Barrier, Waiter};

impl<S> Context<S> {
    /// Whether nothing will come any more.
    pub(super) fn is_finished(&self) -> bool {
        // When no subscription is open.
        self.totals.open == self.foreign.len()
            && if self.control.is_finishing() {
                let mut foreign = self.foreign.iter();
                foreign.all(|id| {
                    let source = self.slots.source(id.index());
                    source.is_none_or(|source| !source.is_ready())
                })
            } else {
                self.foreign.is_empty() && (self.had_source || self.live_timers == 0)
            }
    }

    /// Publishes what waits in the outbox; tells whether anything found room.
    #[inline]
    pub(super) fn flush(&mut self) -> Result<bool, Unwind> {
        if self.outbox.len() == 0 {
            return Ok(false);
        }
        self.flush_by(Outbox::flush)
    }

    /// Publishing drops events, which may panic.
    #[inline(never)]
    fn flush_by(&mut self, flush: impl FnOnce(&mut Outbox) -> bool) -> Result<bool, Unwind> {
        match catch_unwind(AssertUnwindSafe(|| flush(&mut self.outbox))) {
            Ok(flushed) => Ok(flushed),
            Err(unwind) if self.policy == OnPanic::Propagate => Err(unwind),
            Err(_) => {
                self.totals.panicked += 1;
                Ok(true)
            }
        }
    }

    /// Looks at sources that had something a moment ago, and arms them when that does not pay.
    #[inline]
    pub(super) fn look(&mut self) {
        let Self {
            schedule, slots, ..
        } = self;
        let is_ready = |index| {
            let source = slots.source(index);
            source.is_some_and(|source| source.is_ready())
        };
        if schedule.look(is_ready) {
            self.arm();
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn arm(&mut self) {
        self.arm_cooling();
        let Self {
            schedule, slots, ..
        } = self;
        schedule.send_away(|index| {
            let source = slots.source(index);
            source.is_some_and(|source| source.is_ready())
        });
    }

    pub(super) fn arm_cooling(&mut self) {
        let Self {
            schedule, slots, ..
        } = self;
        schedule.arm(|index, waiter| {
            if let Some(source) = slots.source(index) {
                source.enlist(waiter);
            }
        });
    }

    /// Sleeps until there is something to do, or until a time.
    #[cold]
    pub(super) fn sleep(&mut self, until: Option<Instant>) -> Result<(), Unwind> {
        self.arm();
        if self.schedule.has_hot() || self.flush_by(Outbox::arm)? {
            return Ok(());
        }
        let mut deadline = self.timers.earliest();
        if deadline.is_some() && self.clock.is_manual() {
            if self.arm_clock() {
                return Ok(());
            }
            deadline = None;
        }
        let deadline = deadline.into_iter().chain(until).min();
        self.totals.parked += 1;
        if self.foreign.is_empty() {
            self.schedule.park(deadline);
        } else {
            self.park_with_foreign(deadline);
        }
        Ok(())
    }

    /// Has the manual clock ring; tells whether a timer is due after all.
    fn arm_clock(&mut self) -> bool {
        if self.clock_bell.arm() {
            self.clock
                .enlist(&Waiter::Bell(Arc::clone(&self.clock_bell)));
        }
        // ORDERING: edge `wake`. As in `join_all`.
        Barrier::of_process().heavy();
        let now = self.clock.now();
        self.timers.earliest().is_some_and(|at| at <= now)
    }

    fn park_with_foreign(&mut self, deadline: Option<Instant>) {
        let set = self.control.set();
        let alarm = self.alarm.get_or_insert_with(|| {
            let (ring, alarm) = crossbeam_channel::bounded(1);
            set.set_alarm(move || {
                // A full channel rings already.
                let _ = ring.try_send(());
            });
            alarm
        });
        set.park_by(|| {
            let mut select = Select::new();
            select.recv(alarm);
            for id in &self.foreign {
                if let Some(source) = self.slots.source(id.index()) {
                    source.select(&mut select);
                }
            }
            match deadline {
                Some(deadline) => {
                    let _ = select.ready_deadline(deadline);
                }
                None => {
                    select.ready();
                }
            }
        });
        while alarm.try_recv().is_ok() {}
    }
}
