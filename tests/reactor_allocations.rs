//! Steady state of a reactor allocates nothing, and what comes and goes leaves nothing. Alone in its binary, as
//! the allocator counts for the whole process; and one test, as tests run beside each other.

mod counting;

use std::time::Duration;

use counting::{allocates_nothing, leaves_nothing};
use ringbus::{Budget, Bus, Clock, Ended, MissedTicks, Overflow, Reactor, Timeline, Topic};

const MS: Duration = Duration::from_millis(1);

fn open(bus: &Bus, name: &str, capacity: usize) -> Topic<u64> {
    bus.topic_builder()
        .name(name)
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

#[test]
fn steady_state_allocates_nothing_and_what_goes_leaves_nothing() {
    let bus = Bus::new();
    let clock = Clock::manual();
    let mut reactor = Reactor::builder().clock(clock.clone()).build();
    let (input, output) = (open(&bus, "in", 64), open(&bus, "out", 64));
    let quiet = open(&bus, "quiet", 64);
    let small = open(&bus, "small", 2);
    let (to_output, to_small) = (output.publisher().unwrap(), small.publisher().unwrap());

    type State = (u64, u64);
    reactor.on(input.subscribe(), move |state: &mut State, event, cx| {
        state.0 += event;
        cx.publish(&to_output, *event).unwrap();
        // Three for a ring of two: by way of the outbox.
        cx.publish(&to_small, *event).unwrap();
    });
    reactor.on(output.subscribe(), |state, _, _| state.1 += 1);
    reactor.on_batch(output.subscribe(), |state, batch, _| {
        state.1 += batch.count() as u64;
    });
    let latest = output
        .subscriber()
        .overflow(Overflow::Latest)
        .open()
        .unwrap();
    let latest = reactor.on(latest, |_, _, _| ());
    reactor.on_missed(latest, |state, missed, _| state.1 += missed);
    let guarded = reactor.on(output.subscribe(), |_, _, _| ());
    let _guard = reactor.guard(guarded).unwrap();
    reactor.on(quiet.subscribe(), |_, _, _| ());
    reactor.on_silence(input.subscribe(), 5 * MS, |_, _| ());
    let mut small_reader = small.subscribe();
    for missed in [MissedTicks::Skip, MissedTicks::Burst, MissedTicks::Delay] {
        reactor.every_with(MS, missed, |state, _| state.1 += 1);
    }
    let (sender, receiver) = crossbeam_channel::bounded(8);
    let mut state = (0, 0);

    let mut feed = |reactor: &mut Reactor<State>, state: &mut State| {
        for event in 0..3 {
            input.publish(event).unwrap();
        }
        clock.advance(MS);
        let _ = reactor.turn(state, Budget::events(5));
        let _ = reactor.turn(state, Budget::unlimited().within(MS));
        small_reader.poll(8, |_, _| ()).unwrap();
        let _ = reactor.turn(state, Budget::unlimited());
        small_reader.poll(8, |_, _| ()).unwrap();
        reactor.poll_one(state);
    };
    allocates_nothing("turns", || feed(&mut reactor, &mut state));

    // A run that comes to nothing, arms its sources, and is stopped by its idle handler.
    reactor.on_idle(|_, cx| cx.stop());
    allocates_nothing("runs", || {
        feed(&mut reactor, &mut state);
        assert_eq!(reactor.run(&mut state), Ok(Ended::Stopped));
    });
    let stop = reactor.stop_handle();
    allocates_nothing("stops", || {
        stop.stop();
        assert_eq!(reactor.run(&mut state), Ok(Ended::Stopped));
    });
    reactor.on_channel(receiver, |state: &mut State, (), _| state.1 += 1);
    allocates_nothing("foreign messages", || {
        sender.send(()).unwrap();
        feed(&mut reactor, &mut state);
    });
    allocates_nothing("a snapshot of the reactor", || {
        assert!(reactor.snapshot().handled > 0);
    });

    leaves_nothing("a source that comes and goes", || {
        let id = reactor.on(quiet.subscribe(), |_, _, _| ());
        let guard = reactor.guard(id).unwrap();
        let _ = reactor.turn(&mut state, Budget::unlimited());
        if state.0 % 2 == 0 {
            assert!(reactor.remove(id));
        }
        drop(guard);
        let _ = reactor.turn(&mut state, Budget::unlimited());
    });
    leaves_nothing("a timer that is cancelled", || {
        let id = reactor.after(Duration::from_secs(3600), |_, _| ());
        assert!(reactor.remove(id));
    });
    leaves_nothing("an expectation that comes and goes", || {
        let id = reactor.on_silence(quiet.subscribe(), 3600 * MS, |_, _| ());
        assert!(reactor.remove(id));
    });
    leaves_nothing("a reactor that slept on a quiet topic", || {
        let mut reactor = Reactor::builder().clock(clock.clone()).build();
        reactor.on(quiet.subscribe(), |_: &mut (), _, _| ());
        // Armed and asleep, until its timer.
        let stop = reactor.stop_handle();
        reactor.after(3600 * MS, |_, _| ());
        let runner = std::thread::spawn(move || {
            reactor.run(&mut ()).unwrap();
            assert!(reactor.snapshot().parked > 0 || reactor.snapshot().handled == 0);
        });
        std::thread::sleep(Duration::from_micros(300));
        stop.stop();
        runner.join().unwrap();
    });
    let own_input = open(&bus, "own", 64);
    leaves_nothing("an outbox that is dropped full", || {
        let mut reactor = Reactor::new();
        let publisher = small.publisher().unwrap();
        reactor.on(own_input.subscribe(), move |(): &mut (), event, cx| {
            for _ in 0..10 {
                cx.publish(&publisher, *event).unwrap();
            }
        });
        own_input.publish(0).unwrap();
        let turn = reactor.turn(&mut (), Budget::unlimited());
        assert!(turn.outbox > 0);
        drop(reactor);
    });
    a_timeline(&bus);
}

fn a_timeline(bus: &Bus) {
    let timeline = Timeline::new();
    let topics = ["one", "other"].map(|name| {
        let builder = bus.topic_builder::<u64>().name(name).timeline(&timeline);
        builder.capacity(64).keep_open().open().unwrap()
    });
    let mut reactor = Reactor::<u64>::new();
    for topic in &topics {
        let mut order = reactor.timeline(&timeline);
        order.on(topic.subscribe(), |sum, event, _| *sum += event);
        let lossy = topic.subscriber().overflow(Overflow::DropOldest);
        order.on(lossy.open().unwrap(), |sum, event, _| *sum += event);
    }
    reactor.on_idle(|_, cx| cx.stop());
    let mut sum = 0;
    let feed = || {
        for number in 0..10 {
            topics[number % 3 / 2].publish(1).unwrap();
        }
    };
    allocates_nothing("turns in the order of a timeline", || {
        feed();
        let _ = reactor.turn(&mut sum, Budget::events(7));
        let _ = reactor.turn(&mut sum, Budget::unlimited());
    });
    allocates_nothing("runs in the order of a timeline", || {
        feed();
        assert_eq!(reactor.run(&mut sum), Ok(Ended::Stopped));
    });
    leaves_nothing("a handler of a timeline that comes and goes", || {
        let mut order = reactor.timeline(&timeline);
        let id = order.on(topics[0].subscribe(), |_, _, _| ());
        feed();
        assert_eq!(reactor.run(&mut sum), Ok(Ended::Stopped));
        assert!(reactor.remove(id));
    });
    leaves_nothing("a timeline that comes and goes", || {
        let mut reactor = Reactor::<u64>::new();
        let mut order = reactor.timeline(&timeline);
        let id = order.on(topics[0].subscribe(), |_, _, _| ());
        assert_eq!(reactor.turn(&mut sum, Budget::unlimited()).open, 1);
        assert!(reactor.remove(id));
        assert_eq!(reactor.turn(&mut sum, Budget::unlimited()).open, 0);
    });
}
