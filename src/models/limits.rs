//! Whoever waits for a quota is woken by what it waits for: the clock, the close.

use std::time::Duration;

use loom::thread;

use super::explore;
use crate::channel::{
    Clock, Core, LimitedError, LimitedPublisher, OnLimit, PublishError, RateLimit, RateLimiter,
    Settings, Topic,
};

const HOUR: Duration = Duration::from_secs(3600);

/// A publisher whose quota is used up until the clock has moved an hour on.
fn exhausted(topic: &Topic<u64>, clock: &Clock) -> LimitedPublisher<u64> {
    let limiter = RateLimiter::with_clock(RateLimit::every(HOUR), clock.clone());
    assert_eq!(limiter.try_acquire(), Ok(()));
    let publisher = topic.publisher().expect("the topic is open");
    publisher.limited(limiter, OnLimit::Wait)
}

#[test]
fn close_against_a_wait_for_the_quota() {
    explore(None, || {
        let topic = Topic::<u64>::of(Core::new(None, Settings::default()));
        let publisher = exhausted(&topic, &Clock::manual());
        let closing = thread::spawn(move || topic.close());
        let refused = publisher.publish(7).expect_err("the clock stands still");
        assert_eq!(refused, LimitedError::Refused(PublishError::Closed(7)));
        closing.join().unwrap();
    });
}

#[test]
fn clock_against_a_wait_for_the_quota() {
    explore(None, || {
        let topic = Topic::<u64>::of(Core::new(None, Settings::default()));
        let clock = Clock::manual();
        let publisher = exhausted(&topic, &clock);
        let moving = thread::spawn(move || clock.advance(HOUR));
        assert_eq!(publisher.publish(7).expect("its time has come"), Some(0));
        moving.join().unwrap();
    });
}
