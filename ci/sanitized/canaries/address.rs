//! A read of memory that was freed. For `ci/sanitize`, which demands that it is reported.

#[inline(never)]
fn canary(freed: *const u64) -> u64 {
    // SAFETY: none. That it is not safe is what this program is for.
    unsafe { freed.read_volatile() }
}

fn main() {
    let freed: *const u64 = {
        let boxed = Box::new(7);
        &raw const *boxed
    };
    std::process::exit(i32::from(canary(freed) == 0));
}
