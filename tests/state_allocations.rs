//! Steady state allocates nothing. Alone in its binary, as the allocator counts for the whole process; and
//! one test, as tests run beside each other.

mod counting;

use counting::allocates_nothing;
use ringbus::{Bus, Overflow, WaitStrategy};

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
            let (_, version) = state.get();
            for value in 0..3 {
                state.set([value; 3]).unwrap();
                assert_eq!(state.read(|latest, _| latest[0]), value);
                assert_eq!(reader.get().0, [value; 3]);
                #[cfg(feature = "plain")]
                assert_eq!(plain.get().0, [value; 3]);
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
