//! Threads and cores.

use std::io;

/// Has the calling thread run on one core and no other.
#[cfg(target_os = "linux")]
pub(crate) fn pin_to(core: usize) -> io::Result<()> {
    use rustix::io::Errno;
    use rustix::thread::{CpuSet, sched_setaffinity};

    if core >= CpuSet::MAX_CPU {
        return Err(Errno::INVAL.into());
    }
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

/// Has the calling thread run on one core and no other.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin_to(core: usize) -> io::Result<()> {
    // Asked first, as not every system refuses a core that it does not have.
    let core = core_affinity::CoreId { id: core };
    let known = core_affinity::get_core_ids().is_some_and(|cores| cores.contains(&core));
    // It tells no more than whether it worked.
    if known && core_affinity::set_for_current(core) {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}
