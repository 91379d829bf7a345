//! An allocator that counts, for the whole process: so each test that uses it is alone in its binary.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicIsize = AtomicIsize::new(0);

#[expect(unsafe_code, reason = "an allocator that counts is the test")]
// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's obligations are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        LIVE.fetch_add(size as isize - layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that are allocated and not given back.
pub(crate) fn live() -> isize {
    LIVE.load(Ordering::Relaxed)
}

/// Runs `work` until it is warm, then checks that it allocates nothing.
#[track_caller]
pub(crate) fn allocates_nothing(what: &str, mut work: impl FnMut()) {
    for _ in 0..300 {
        work();
    }
    // The test harness has threads of its own, which allocate now and then.
    let fewest = (0..5)
        .map(|_| {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            for _ in 0..300 {
                work();
            }
            ALLOCATIONS.load(Ordering::Relaxed) - before
        })
        .min();
    assert_eq!(fewest, Some(0), "{what} allocates");
}

/// Runs `work` until it is warm, then checks that it leaves no memory behind.
#[track_caller]
pub(crate) fn leaves_nothing(what: &str, mut work: impl FnMut()) {
    for _ in 0..300 {
        work();
    }
    let least = (0..3)
        .map(|_| {
            let before = LIVE.load(Ordering::Relaxed);
            for _ in 0..300 {
                work();
            }
            LIVE.load(Ordering::Relaxed) - before
        })
        .min()
        .unwrap();
    assert!(least < 300, "{what} leaves {least} bytes in 300 rounds");
}
