//! What runs already goes on when there is no memory left.
//!
//! A program that asks for memory when there is none ends, as every Rust program does. But publishing and receiving
//! ask for none once they are warm; so this allocator gives none to the threads that do that.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use ringbus::{Bus, MAX_CAPACITY, Overflow, TopicError, TryPublishError, WaitStrategy};

struct Exhausted;

thread_local! {
    /// Whether there is no memory left for this thread.
    static EXHAUSTED: Cell<bool> = const { Cell::new(false) };
}

#[expect(unsafe_code, reason = "an allocator that refuses is the test")]
// SAFETY: everything that is not refused is handed to the system's allocator as it came; null is the refusal.
unsafe impl GlobalAlloc for Exhausted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if EXHAUSTED.try_with(Cell::get).unwrap_or(false) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's obligations are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Exhausted = Exhausted;

/// Runs `work` without memory. What asks for some ends the process.
fn without_memory<R>(work: impl FnOnce() -> R) -> R {
    EXHAUSTED.set(true);
    let answer = work();
    EXHAUSTED.set(false);
    answer
}

const EVENTS: u64 = 20_000;

#[test]
fn publishing_and_receiving_go_on_without_memory() {
    let bus = Bus::new();
    // Not parked: a thread that goes to sleep while another is still waking those before it takes a new list for it.
    let topic = bus
        .topic_builder::<u64>()
        .capacity(16)
        .wait(WaitStrategy::Yield)
        .open()
        .unwrap();
    let mut reader = topic.subscribe();
    let mut screen = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let publisher = topic.publisher().unwrap();
    let publishing = thread::spawn(move || {
        // Warm: it has had to wait.
        (0..EVENTS - 8).for_each(|event| assert!(publisher.publish(event).is_ok()));
        publisher.publish_batch(EVENTS - 8..EVENTS).unwrap();
        without_memory(|| {
            (EVENTS..2 * EVENTS).for_each(|event| assert!(publisher.publish(event).is_ok()));
            (2 * EVENTS..3 * EVENTS)
                .step_by(8)
                .for_each(|event| assert!(publisher.publish_batch(event..event + 8).is_ok()));
        });
    });
    let mut expected = 0;
    let mut read = |until: u64| {
        while expected < until {
            reader
                .poll_wait(3, |event, _| {
                    assert_eq!(*event, expected);
                    expected += 1;
                })
                .unwrap();
        }
    };
    read(EVENTS);
    without_memory(|| read(3 * EVENTS));
    without_memory(|| {
        let mut seen = 0;
        screen.poll(64, |_, meta| seen += 1 + meta.missed).unwrap();
        assert!(seen > 0);
    });
    publishing.join().unwrap();
}

#[test]
fn a_refused_event_and_a_planned_panic_need_no_memory_either() {
    let bus = Bus::new();
    let topic = bus.topic_builder::<u64>().capacity(4).open().unwrap();
    let mut reader = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    let mut round = || {
        (0..4).for_each(|event| assert!(publisher.try_publish(event).is_ok()));
        assert_eq!(publisher.try_publish(4), Err(TryPublishError::Full(4)));
        assert_eq!(reader.poll(64, |_, _| {}), Ok(4));
    };
    round();
    without_memory(round);
    // The unwinding itself asks for memory; what the library does on the way must not depend on it.
    topic.publish(7).unwrap();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        reader.poll(1, |_, _| resume_unwind(Box::new(())))
    }));
    assert!(unwound.is_err());
    without_memory(|| {
        publisher.try_publish(8).unwrap();
        assert_eq!(reader.try_recv(), Ok(8));
    });
}

#[test]
fn a_ring_that_no_memory_would_hold_is_refused() {
    let bus = Bus::new();
    let opened = bus.topic_builder::<u64>().capacity(MAX_CAPACITY + 1).open();
    assert_eq!(opened.unwrap_err(), TopicError::Capacity(MAX_CAPACITY + 1));
    let opened = bus.topic_builder::<u64>().capacity(usize::MAX).open();
    assert_eq!(opened.unwrap_err(), TopicError::Capacity(usize::MAX));
    // Nothing is left of the attempts.
    let topic = bus.topic_builder::<u64>().capacity(4).open().unwrap();
    let mut reader = topic.subscribe();
    topic.publish(1).unwrap();
    assert_eq!(reader.recv(), Ok(1));
}
