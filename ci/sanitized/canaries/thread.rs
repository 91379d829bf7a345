//! A data race: two threads add to a plain number. For `ci/sanitize`, which demands that it is reported.

use std::cell::UnsafeCell;

struct Shared(UnsafeCell<u64>);

// SAFETY: none. That it is not safe is what this program is for.
unsafe impl Sync for Shared {}

static SHARED: Shared = Shared(UnsafeCell::new(0));

#[inline(never)]
fn canary() {
    for _ in 0..1000 {
        // SAFETY: none, see above.
        unsafe { *SHARED.0.get() += 1 };
    }
}

fn main() {
    let other = std::thread::spawn(canary);
    canary();
    other.join().unwrap();
}
