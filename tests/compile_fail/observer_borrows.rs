//! An observer may outlive the frame that made it.

use std::sync::atomic::{AtomicU32, Ordering};

fn main() {
    let bus = ringbus::Bus::new();
    let seen = AtomicU32::new(0);
    let _observer = bus.topic::<u8>().observe(|_| {
        seen.fetch_add(1, Ordering::Relaxed);
    });
}
