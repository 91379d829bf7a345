//! Telling somebody that a lossy reader has lost events, when it finds that out.

use std::fmt;

use super::{Policy, Reader};

/// What publishers did to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// They have taken so many events.
    Missed(u64),
    /// They have ended the membership, and so many events were lost by that.
    Expelled(u64),
}

/// What is called with a loss: on the reader's thread, while it holds nothing. It must not panic.
pub(crate) struct Alarm {
    hook: Box<dyn FnMut(Loss) + Send>,
    /// Of the events that publishers have counted, those that were told.
    told: u64,
}

impl<T> Reader<T> {
    /// Sets what is called from now on.
    pub(crate) fn set_alarm(&mut self, hook: Box<dyn FnMut(Loss) + Send>) {
        let told = self.lost;
        self.alarm = Some(Box::new(Alarm { hook, told }));
    }

    /// As `lost_before`, of a cursor that publishers have pushed since the reader moved it.
    #[cold]
    #[inline(never)]
    pub(super) fn overtaken(&mut self, next: u64) -> u64 {
        let lost = self.lost_before(next);
        self.raise_missed(lost);
        lost
    }

    /// Tells what publishers have counted and was not told.
    pub(in crate::ring) fn raise_missed(&mut self, lost: u64) {
        if let Some(alarm) = &mut self.alarm
            && self.policy == Policy::Lossy
            && lost > alarm.told
        {
            let missed = lost - alarm.told;
            alarm.told = lost;
            (alarm.hook)(Loss::Missed(missed));
        }
    }

    /// The reader has moved over to a ring in which publishers count anew.
    pub(in crate::ring) fn count_anew(&mut self) {
        if let Some(alarm) = &mut self.alarm {
            alarm.told = 0;
        }
    }

    #[cold]
    pub(super) fn raise_expelled(&mut self, missed: u64) {
        if let Some(alarm) = &mut self.alarm {
            (alarm.hook)(Loss::Expelled(missed));
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}
