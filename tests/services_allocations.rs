//! Requests in a steady state allocate nothing, on either side.
#![cfg(feature = "services")]

mod counting;

use std::thread;
use std::time::Duration;

use counting::allocates_nothing;
use ringbus::{Budget, Bus, Reactor, Request, WaitStrategy, stream};

struct Double(u64);

impl Request for Double {
    type Reply = u64;
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn steady_state_allocates_nothing() {
    let bus = Bus::new();
    let mut server = bus.serve::<Double>();
    let serving = thread::spawn(move || {
        while let Ok(call) = server.recv() {
            let double = 2 * call.request().0;
            call.reply(double);
        }
    });
    for wait in [WaitStrategy::Yield, WaitStrategy::Park] {
        let client = bus.client_builder::<Double>().wait(wait).open().unwrap();
        allocates_nothing("a call", || {
            assert!(matches!(client.call(Double(21), LONG), Ok(42)));
        });
        let mut tickets = Vec::with_capacity(16);
        allocates_nothing("a request that is started", || {
            tickets.extend((0..16).map(|number| client.start(Double(number)).unwrap()));
            for (number, ticket) in (0..).zip(tickets.drain(..)) {
                assert!(matches!(ticket.wait(), Ok(double) if double == 2 * number));
            }
        });
    }
    bus.close();
    serving.join().unwrap();

    let bus = Bus::new();
    let mut reactor = Reactor::new();
    for _ in 0..3 {
        reactor.serve(
            bus.serve::<Double>(),
            |served: &mut u64, Double(number), _| {
                *served += 1;
                2 * number
            },
        );
    }
    let client = bus.client::<Double>();
    let mut served = 0;
    let mut tickets = Vec::with_capacity(16);
    allocates_nothing("serving in a reactor", || {
        tickets.extend((0..16).map(|number| client.start(Double(number)).unwrap()));
        let _ = reactor.turn(&mut served, Budget::unlimited());
        assert!(
            tickets
                .drain(..)
                .all(|mut ticket| ticket.try_take().is_some())
        );
    });

    let (sender, mut received) = stream(8);
    allocates_nothing("a stream", || {
        (0..8).for_each(|number| sender.send(number).unwrap());
        assert!((0..8).all(|number| received.recv() == Ok(number)));
    });
}
