//! The asymmetric fence: free on the side that publishes, dear on the side that waits or joins.
//!
//! Every store-then-load decision of the crate (park against publish, join against reclaim, close
//! against claim) is a Dekker pair: each side stores its own word, passes a barrier, then loads the
//! other's. The frequent side passes [`Barrier::light`], the rare one [`Barrier::heavy`]. With
//! `membarrier(2)` the heavy side runs a full barrier on every processor that runs a thread of this
//! process, so that the light side need only keep the compiler from reordering. Where the system has
//! no such call, or refuses it, both sides are `fence(SeqCst)`; so they are in the models, and under Miri.
//!
//! Source of the technique: the C++ proposal P1202, asymmetric thread fences.

use super::{Ordering, fence};

/// Which of the two pairs this process uses; one value for its whole life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// The heavy side asks the kernel.
    #[cfg_attr(
        any(not(target_os = "linux"), ringbus_loom, ringbus_shuttle, miri),
        expect(dead_code)
    )]
    Asymmetric,
    /// Both sides fence.
    Symmetric,
}

impl Barrier {
    /// The pair of this process, found on first use.
    pub(crate) fn of_process() -> Self {
        #[cfg(all(target_os = "linux", not(any(ringbus_loom, ringbus_shuttle, miri))))]
        {
            static FOUND: once_cell::sync::OnceCell<Barrier> = once_cell::sync::OnceCell::new();
            *FOUND.get_or_init(linux::register)
        }
        #[cfg(any(not(target_os = "linux"), ringbus_loom, ringbus_shuttle, miri))]
        Self::Symmetric
    }

    /// The side of a thread that publishes, claims or advances.
    #[inline(always)]
    pub(crate) fn light(self) {
        match self {
            Self::Asymmetric => std::sync::atomic::compiler_fence(Ordering::SeqCst),
            Self::Symmetric => fence(Ordering::SeqCst),
        }
    }

    /// The side of a thread that is about to park, joins or closes.
    ///
    /// # Panics
    ///
    /// When the kernel refuses a barrier that it had granted: a sandbox that forbids `membarrier` was
    /// entered after the first topic was made.
    pub(crate) fn heavy(self) {
        match self {
            #[cfg(all(target_os = "linux", not(any(ringbus_loom, ringbus_shuttle, miri))))]
            Self::Asymmetric => linux::barrier(),
            #[cfg(any(not(target_os = "linux"), ringbus_loom, ringbus_shuttle, miri))]
            Self::Asymmetric => unreachable!(),
            Self::Symmetric => fence(Ordering::SeqCst),
        }
    }
}

#[cfg(all(target_os = "linux", not(any(ringbus_loom, ringbus_shuttle, miri))))]
mod linux {
    use super::Barrier;
    use rustix::io::Errno;
    use rustix::thread::{MembarrierCommand, membarrier};

    pub(super) fn register() -> Barrier {
        // The first barrier is tried at once: some sandboxes grant one command and refuse the other.
        let granted = membarrier(MembarrierCommand::RegisterPrivateExpedited)
            .and_then(|()| membarrier(MembarrierCommand::PrivateExpedited));
        match granted {
            Ok(()) => Barrier::Asymmetric,
            Err(_) => Barrier::Symmetric,
        }
    }

    pub(super) fn barrier() {
        loop {
            match membarrier(MembarrierCommand::PrivateExpedited) {
                Ok(()) => return,
                // The kernel had no memory for its processor mask: a passing state.
                Err(Errno::NOMEM | Errno::AGAIN) => std::thread::yield_now(),
                Err(error) => panic!(
                    "membarrier must stay allowed once a topic exists; the kernel now says: {error}"
                ),
            }
        }
    }
}
