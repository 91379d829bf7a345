//! Steady state of a merged subscriber allocates nothing, and topics, lanes and subscribers that come and go
//! leave nothing. Alone in its binary, as the allocator counts for the whole process; and one test, as tests
//! run beside each other.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use ringbus::{Budget, Bus, Ended, Overflow, Reactor, Topic, TryRecvError};

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

/// Runs `work` until it is warm, then checks that it leaves no memory behind.
#[track_caller]
fn leaves_nothing(what: &str, mut work: impl FnMut()) {
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

fn open(bus: &Bus, name: &str) -> Topic<u64> {
    let topic = bus.topic_builder().name(name).capacity(16);
    topic.keep_open().open().unwrap()
}

#[test]
fn steady_state_allocates_nothing_and_what_goes_leaves_nothing() {
    let bus = Bus::new();
    let topics: Vec<_> = (0..100).map(|name| open(&bus, &name.to_string())).collect();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    let builder = bus.pattern_subscriber::<u64>("*").unwrap();
    let lossy = builder
        .overflow(Overflow::DropOldest)
        .filter(|event| event % 3 == 0);
    let mut lossy = lossy.open().unwrap();
    let mut reactor = Reactor::<u64>::new();
    reactor.on_merged(bus.subscribe_pattern("*").unwrap(), |sum, event, _, _| {
        *sum += event
    });
    reactor.idle(|_, cx| cx.stop());
    let (mut sum, mut turn) = (0, 0);

    // Each topic is ready, silent, armed and ready again in turn.
    allocates_nothing("reading what is ready", || {
        for event in 0..20 {
            turn += 7;
            topics[turn % topics.len()].publish(event).unwrap();
            merged.poll(64, |event, _| sum += event).unwrap();
            assert_eq!(reactor.turn(&mut sum, Budget::unlimited()).handled, 1);
            lossy.poll(64, |event, _| sum += event).unwrap();
        }
        for _ in 0..20 {
            assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
        }
        topics[turn % topics.len()].publish(1).unwrap();
        assert_eq!(reactor.run(&mut sum), Ok(Ended::Stopped));
        assert_eq!(merged.recv().unwrap().event, 1);
        lossy.poll(64, |event, _| sum += event).unwrap();
    });
    allocates_nothing("a select that times out", || {
        let event = ringbus::select! {
            delivery = merged => Some(delivery),
            default(std::time::Duration::from_micros(10)) => None,
        };
        assert!(event.is_none());
    });
    allocates_nothing("its numbers", || assert_eq!(merged.snapshot().topics, 100));

    leaves_nothing("a subscriber that comes and goes", || {
        let mut merged = bus.subscribe_pattern::<u64>("1.>").unwrap();
        assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
    });
    leaves_nothing("a reader of topics that goes before it has read", || {
        let builder = bus.pattern_subscriber::<u64>("*").unwrap();
        let newcomer = builder.overflow(Overflow::Latest).open().unwrap();
        topics[0].publish(1).unwrap();
        drop(newcomer);
        let _ = reactor.turn(&mut sum, Budget::unlimited());
        merged.poll(64, |_, _| {}).unwrap();
    });
    leaves_nothing("a topic that comes and goes", || {
        let topic = open(&bus, "brief");
        topic.publish(1).unwrap();
        topic.close();
        merged.poll(64, |_, _| {}).unwrap();
        lossy.poll(64, |_, _| {}).unwrap();
        let _ = reactor.turn(&mut sum, Budget::unlimited());
    });
    assert_eq!(merged.snapshot().topics, 100);

    let lanes = bus
        .topic_builder::<u64>()
        .capacity(16)
        .keep_open()
        .open_lanes()
        .unwrap();
    let mut merged = lanes.subscribe();
    leaves_nothing("a lane that comes and goes", || {
        lanes.publisher().unwrap().publish(1).unwrap();
        assert_eq!(merged.recv().unwrap().event, 1);
        assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
        assert_eq!(merged.snapshot().topics, 0);
        lanes.subscribe();
    });
    leaves_nothing("lanes that come and go", || {
        let lanes = bus.lanes::<u64>("brief").unwrap();
        let merged = lanes.subscribe();
        lanes.publisher().unwrap().publish(1).unwrap();
        assert!(lanes.is_closed());
        drop(merged);
    });
}
