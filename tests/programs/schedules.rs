//! Executions that no model comes to, on made-up schedules.
//!
//! The model checker takes the count of an `Arc` and a sequentially consistent fence for an order of everything
//! before and behind them, and so leaves executions out that happen. Each of these tests is about one of those, and
//! `ci/mutants/scheduled.txt` has the fault that it must find.

use ringbus::{Bus, Overflow, Topic, TryPublishError};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner, thread};

/// Of each kind.
const SCHEDULES: usize = 2_000;

/// Runs `program` on schedules that change the running thread at random, and on such as do so once or twice.
fn on_all_schedules(program: fn()) {
    fn run(scheduler: impl Scheduler + 'static, program: fn()) {
        let mut config = Config::new();
        // That all orderings are taken for sequentially consistent ones is known.
        config.silence_warnings = true;
        Runner::new(scheduler, config).run(program);
    }
    run(RandomScheduler::new_from_seed(0, SCHEDULES), program);
    run(PctScheduler::new_from_seed(0, 2, SCHEDULES), program);
}

/// A topic that grows from one slot to four.
fn growing(bus: &Bus) -> Topic<u64> {
    let builder = bus.topic_builder().capacity(1).grow_to(4);
    builder.keep_open().open().expect("the topic opens")
}

#[test]
fn scheduled_one_that_takes_a_seat_just_given_back_keeps_what_is_reserved_for_it() {
    on_all_schedules(|| {
        let bus = Bus::new();
        let topic = growing(&bus);
        let leaving = topic.subscribe();
        let publisher = topic.publisher().expect("the topic is open");
        let joining = {
            let topic = topic.clone();
            thread::spawn(move || {
                let mut subscriber = topic.subscribe();
                // The second event has the ring grow, with a place in the larger one for each subscriber.
                let mut published = 0;
                while published < 8 {
                    match publisher.try_publish(published) {
                        Ok(_) => published += 1,
                        Err(TryPublishError::Full(_)) => break,
                        Err(error) => panic!("{error}"),
                    }
                    if published == 2 {
                        // It has grown.
                        thread::yield_now();
                    }
                }
                assert_eq!(published, 4, "publishers wait for the subscriber");
                for event in 0..published {
                    let read = subscriber.try_recv();
                    assert_eq!(read, Ok(event));
                }
            })
        };
        drop(leaving);
        joining.join().expect("it keeps its place");
    });
}

#[test]
fn scheduled_what_is_taken_just_before_a_topic_grows_is_counted_once() {
    on_all_schedules(|| {
        let bus = Bus::new();
        let topic = growing(&bus);
        let mut lossless = topic.subscribe();
        let newest = topic.subscriber().overflow(Overflow::Latest);
        let mut newest = newest.open().expect("the topic is open");
        let publisher = topic.publisher().expect("the topic is open");
        publisher.try_publish(0).expect("there is room");
        let publishing = thread::spawn(move || {
            assert_eq!(lossless.try_recv(), Ok(0));
            // It takes the first event from the other one, then has the ring grow.
            publisher.try_publish(1).expect("there is room");
            publisher.try_publish(2).expect("the topic grows");
            lossless
        });
        let _ = newest.try_iter().next();
        let _lossless = publishing.join().expect("it publishes");
        while newest.try_iter().next().is_some() {}
        let numbers = newest.snapshot();
        assert_eq!(numbers.published, 3);
        assert_eq!(numbers.delivered + numbers.missed, 3);
    });
}
