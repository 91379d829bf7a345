//! A loop that waits in `poll(2)` reads topics too: `on_ready` writes to a pipe.
#![cfg(unix)]

mod common;

use std::thread;

use ringbus::{Bus, PollError};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{read, write};
use rustix::pipe::pipe;

#[test]
fn a_loop_in_poll_is_woken_for_every_event_and_for_the_close() {
    common::finishes("a loop in poll(2)", || {
        let bus = Bus::new();
        let topic = bus.topic_builder::<u64>().capacity(64).open().unwrap();
        let mut subscriber = topic.subscribe();
        let (readable, writable) = pipe().unwrap();
        subscriber.on_ready(move || {
            // The pipe is read before the events, so there is always room for a byte.
            write(&writable, &[1]).unwrap();
        });
        // Another source of the same loop, which is not the bus.
        let (quit, quitter) = pipe().unwrap();

        let publisher = topic.publisher().unwrap();
        let thread = thread::spawn(move || {
            for event in 0..20_000_u64 {
                publisher.publish(event).unwrap();
                if event % 1024 == 0 {
                    // Let the loop run dry now and then.
                    thread::yield_now();
                }
            }
            drop(publisher);
            quitter
        });

        let (mut next, mut closed) = (0, false);
        while !closed {
            let mut sources = [
                PollFd::new(&readable, PollFlags::IN),
                PollFd::new(&quit, PollFlags::IN),
            ];
            poll(&mut sources, None).unwrap();
            assert!(sources[1].revents().is_empty(), "nobody wrote to it");
            let mut bytes = [0; 64];
            read(&readable, &mut bytes).unwrap();
            loop {
                let shown = subscriber.poll(64, |event, _| {
                    assert_eq!(*event, next);
                    next += 1;
                });
                match shown {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(PollError::Closed) => {
                        closed = true;
                        break;
                    }
                    Err(error) => panic!("a lossless subscriber was told: {error}"),
                }
            }
        }
        assert_eq!(next, 20_000);
        drop(thread.join().unwrap());
    });
}
