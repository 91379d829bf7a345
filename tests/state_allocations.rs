//! Steady state allocates nothing. Alone in its binary, as the allocator counts for the whole process; and
//! one test, as tests run beside each other.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use ringbus::{Bus, Overflow, WaitStrategy};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator that counts is the test")]
// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's obligations are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` until it is warm, then checks that it allocates nothing.
#[track_caller]
fn allocates_nothing(what: &str, mut work: impl FnMut()) {
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

#[test]
fn states_and_conflation_allocate_nothing_in_steady_state() {
    let bus = Bus::new();
    for wait in [WaitStrategy::Spin, WaitStrategy::Yield, WaitStrategy::Park] {
        let name = format!("{wait:?}");
        let state = bus
            .state_builder()
            .name(name.clone())
            .wait(wait)
            .open([0_u64; 3])
            .unwrap();
        let mut reader = state.reader().unwrap();
        #[cfg(feature = "plain")]
        let plain = state.plain_reader();
        allocates_nothing("setting and reading a state", || {
            let (version, _) = state.get();
            for value in 0..3 {
                state.set([value; 3]).unwrap();
                assert_eq!(state.read(|latest, _| latest[0]), value);
                assert_eq!(reader.get().1, [value; 3]);
                #[cfg(feature = "plain")]
                assert_eq!(plain.get().1, [value; 3]);
            }
            reader.wait_newer(version).unwrap();
            let soon = std::time::Instant::now() + std::time::Duration::from_micros(10);
            assert_eq!(reader.wait_newer_deadline(u64::MAX, soon), Ok(false));
            // Reading at once what others read.
            state.read(|_, _| state.read(|_, _| state.get()));
        });

        let topic = bus
            .topic_builder::<(u32, u64)>()
            .name(name)
            .capacity(64)
            .wait(wait)
            .keep_open()
            .open()
            .unwrap();
        let mut subscriber = topic.subscribe();
        let lossy = topic
            .subscriber()
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap();
        let mut conflated = lossy.conflate_by(48, |quote| quote.0);
        let mut key = 0_u32;
        allocates_nothing("conflating by key", || {
            for value in 0..64 {
                // New keys all the time, and some of them twice.
                key = key.wrapping_add(value as u32 % 2);
                topic.publish((key, value)).unwrap();
            }
            let shown = subscriber.drain_latest_by(|quote| quote.0, |_, _| ());
            assert!(matches!(shown, Ok(32..=33)));
            while conflated.try_recv().unwrap().is_some() {}
        });
    }
}
