//! Memory that nobody frees or holds. For `ci/sanitize`, which demands that it is reported.

#[inline(never)]
fn canary() {
    std::hint::black_box(Box::leak(Box::new([7_u64; 100])));
}

fn main() {
    for _ in 0..10 {
        canary();
    }
}
