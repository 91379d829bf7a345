//! Requests and replies: one answer for each, and none awaited in vain.
#![cfg(feature = "services")]

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{Census, Counted, finishes, let_others_park};
use ringbus::{
    Budget, Bus, CallError, Client, OnPanic, Reactor, RecvError, ReplyError, Request, Server,
    ServiceError, StartError, TryRecvError, WaitStrategy, select,
};

/// How long a call may take before a test calls it a hang.
const LONG: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, PartialEq)]
struct Double(u64);

impl Request for Double {
    type Reply = u64;
}

/// Serves until the bus is closed; tells how many calls it answered.
fn serve_doubles(mut server: Server<Double>) -> thread::JoinHandle<u64> {
    thread::spawn(move || {
        let mut served = 0;
        while let Ok(call) = server.recv() {
            let double = 2 * call.request().0;
            call.reply(double);
            served += 1;
        }
        served
    })
}

#[test]
fn thread_that_pulls_answers_calls() {
    let served = finishes("a call", || {
        let bus = Bus::new();
        let serving = serve_doubles(bus.serve());
        let client = bus.client::<Double>();
        for number in 0..1000 {
            assert_eq!(client.call(Double(number), LONG), Ok(2 * number));
        }
        bus.close();
        serving.join().unwrap()
    });
    assert_eq!(served, 1000);
}

#[test]
fn every_way_of_waiting_is_answered() {
    finishes("a call", || {
        for wait in [WaitStrategy::Spin, WaitStrategy::Yield, WaitStrategy::Park] {
            let bus = Bus::new();
            let server = bus.server_builder().wait(wait).open().unwrap();
            let serving = serve_doubles(server);
            let client = bus.client_builder::<Double>().wait(wait).open().unwrap();
            for number in 0..20 {
                assert_eq!(client.call(Double(number), LONG), Ok(2 * number));
            }
            let_others_park();
            assert_eq!(client.start(Double(9)).unwrap().wait(), Ok(18));
            bus.close();
            serving.join().unwrap();
        }
    });
}

/// Neither `Sync` nor `Clone`.
struct Carry(Cell<u64>, Counted);

impl Request for Carry {
    type Reply = (Cell<u64>, Counted);
}

#[test]
fn requests_and_replies_are_moved_and_dropped_once() {
    let census = Census::new();
    let bus = Bus::new();
    let mut server = bus.server_builder::<Carry>().capacity(4).open().unwrap();
    let client = bus.client::<Carry>();
    for number in 0..20 {
        let ticket = client
            .start(Carry(Cell::new(number), census.event(number)))
            .unwrap();
        let (Carry(cell, counted), responder) = server.recv().unwrap().into_parts();
        assert!(responder.reply((cell, counted)));
        let (cell, counted) = ticket.wait().unwrap();
        assert_eq!((cell.get(), counted.id), (number, number));
    }
    assert_eq!(census.born(), 20);
    census.assert_all_dropped_once();
}

#[test]
fn request_that_nobody_serves_comes_back() {
    let bus = Bus::new();
    let client = bus.client::<Double>();
    assert_eq!(
        client.call(Double(1), LONG),
        Err(CallError::NoResponder(Double(1)))
    );
    let refused = client.start(Double(2)).unwrap_err();
    assert_eq!(refused, StartError::NoResponder(Double(2)));
    assert_eq!(refused.into_request(), Double(2));

    let server = bus.serve::<Double>();
    let ticket = client.start(Double(3)).expect("it is served now");
    drop(server);
    assert_eq!(ticket.wait(), Err(ReplyError::Closed(Double(3))));
    assert_eq!(
        client.call(Double(4), LONG),
        Err(CallError::NoResponder(Double(4)))
    );
}

#[test]
fn names_are_services_of_their_own() {
    let bus = Bus::new();
    let mut left = bus
        .server_builder::<Double>()
        .service("left")
        .open()
        .unwrap();
    let right = bus
        .client_builder::<Double>()
        .service("right")
        .open()
        .unwrap();
    assert!(matches!(
        right.start(Double(1)),
        Err(StartError::NoResponder(Double(1)))
    ));
    let plain = bus.client::<Double>();
    assert!(plain.start(Double(1)).is_err());
    let client = bus
        .client_builder::<Double>()
        .service("left")
        .open()
        .unwrap();
    let ticket = client.start(Double(1)).unwrap();
    left.recv().unwrap().reply(2);
    assert_eq!(ticket.wait(), Ok(2));
    assert_eq!(
        (left.service(), client.service()),
        (Some("left"), Some("left"))
    );
    assert_eq!(plain.service(), None);

    let too_long = "x".repeat(256);
    for (wrong, length) in [("", 0), (too_long.as_str(), 256)] {
        let error = ServiceError::Name(length);
        let server = bus.server_builder::<Double>();
        assert_eq!(server.service(wrong).open().unwrap_err(), error);
        let server = bus.server_builder::<Double>();
        assert_eq!(server.instance(wrong).open().unwrap_err(), error);
        let client = bus.client_builder::<Double>();
        assert_eq!(client.service(wrong).open().unwrap_err(), error);
    }
    let none = bus.server_builder::<Double>().capacity(0).open();
    assert_eq!(none.unwrap_err(), ServiceError::Capacity(0));
}

#[test]
fn full_mailbox_gives_the_request_back() {
    let bus = Bus::new();
    let mut server = bus.server_builder::<Double>().capacity(2).open().unwrap();
    let client = bus.client::<Double>();
    let first = client.start(Double(1)).unwrap();
    let second = client.start(Double(2)).unwrap();
    for _ in 0..3 {
        assert_eq!(
            client.start(Double(3)).unwrap_err(),
            StartError::Overloaded(Double(3))
        );
        assert_eq!(
            client.call(Double(4), LONG),
            Err(CallError::Overloaded(Double(4)))
        );
    }
    let call = server.recv().unwrap();
    let third = client.start(Double(5)).expect("there is room again");
    call.reply(2);
    server.recv().unwrap().reply(4);
    server.recv().unwrap().reply(10);
    assert_eq!(
        (first.wait(), second.wait(), third.wait()),
        (Ok(2), Ok(4), Ok(10))
    );
}

#[test]
fn call_without_a_reply_in_time_is_cancelled() {
    let bus = Bus::new();
    let mut server = bus.serve::<Double>();
    let client = bus.client::<Double>();
    for timeout in [Duration::ZERO, Duration::from_millis(5)] {
        assert_eq!(client.call(Double(1), timeout), Err(CallError::Timeout));
    }
    assert_eq!(server.try_recv().unwrap_err(), TryRecvError::Empty);

    // One that was taken in time is answered in vain.
    let mut ticket = client.start(Double(2)).unwrap();
    let call = server.recv().unwrap();
    assert_eq!(ticket.wait_timeout(Duration::from_millis(1)), None);
    assert!(!call.is_abandoned());
    drop(ticket);
    assert!(call.is_abandoned());
    assert!(!call.reply(4), "the caller has gone");
    let ticket = client.start(Double(3)).unwrap();
    assert!(server.recv().unwrap().reply(6));
    assert_eq!(ticket.wait(), Ok(6));
}

#[test]
fn dropped_ticket_cancels_its_request() {
    let census = Census::new();
    let bus = Bus::new();
    let mut server = bus.serve::<Carry>();
    let client = bus.client::<Carry>();
    let start = |number| {
        let request = Carry(Cell::new(number), census.event(number));
        client.start(request).unwrap()
    };
    drop(start(1));
    let kept = start(2);
    let call = server.recv().unwrap();
    assert_eq!(call.request().0.get(), 2, "the first one is not served");
    assert_eq!(census.dropped(), 1);
    drop(call);
    assert!(matches!(kept.wait(), Err(ReplyError::Cancelled)));

    // A reply that nobody has taken goes with its ticket.
    let answered = start(3);
    let (request, responder) = server.recv().unwrap().into_parts();
    assert!(responder.reply((request.0, request.1)));
    drop(answered);
    census.assert_all_dropped_once();
}

#[test]
fn ticket_gives_its_answer_once() {
    let bus = Bus::new();
    let mut server = bus.serve::<Double>();
    let mut ticket = bus.client::<Double>().start(Double(1)).unwrap();
    assert!(!ticket.is_ready());
    assert_eq!(ticket.try_take(), None);
    server.recv().unwrap().reply(2);
    assert!(ticket.is_ready());
    assert_eq!(ticket.try_take(), Some(Ok(2)));
    assert_eq!(ticket.try_take(), Some(Err(ReplyError::Taken)));
    assert_eq!(ticket.wait_timeout(LONG), Some(Err(ReplyError::Taken)));
    assert_eq!(ticket.wait(), Err(ReplyError::Taken));
}

#[test]
fn call_that_is_dropped_is_told_at_once() {
    finishes("a caller", || {
        let bus = Bus::new();
        let mut server = bus.serve::<Double>();
        let serving = thread::spawn(move || {
            drop(server.recv().unwrap());
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _call = server.recv().unwrap();
                panic!("in the middle of a call");
            }));
            assert!(panicked.is_err());
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let (_request, _responder) = server.recv().unwrap().into_parts();
                panic!("in the middle of a call");
            }));
            assert!(panicked.is_err());
            server.recv().unwrap().reply(8);
        });
        let client = bus.client::<Double>();
        assert_eq!(client.call(Double(1), LONG), Err(CallError::Cancelled));
        assert_eq!(client.call(Double(2), LONG), Err(CallError::Panicked));
        assert_eq!(client.call(Double(3), LONG), Err(CallError::Panicked));
        assert_eq!(client.call(Double(4), LONG), Ok(8));
        serving.join().unwrap();
    });
}

#[test]
fn call_may_be_answered_on_another_thread() {
    finishes("a call", || {
        let bus = Bus::new();
        let mut server = bus.serve::<Double>();
        let serving = thread::spawn(move || {
            let call = server.recv().unwrap();
            thread::spawn(move || {
                let_others_park();
                assert!(call.reply(2));
            })
            .join()
            .unwrap();
        });
        assert_eq!(bus.client::<Double>().call(Double(1), LONG), Ok(2));
        serving.join().unwrap();
    });
}

#[test]
fn reactor_serves() {
    let bus = Bus::new();
    let mut reactor = Reactor::new();
    reactor.serve(
        bus.serve::<Double>(),
        |served: &mut u64, Double(number), _| {
            *served += 1;
            2 * number
        },
    );
    let client = bus.client::<Double>();
    let tickets: Vec<_> = (0..200).map(|n| client.start(Double(n)).unwrap()).collect();
    let mut served = 0;
    assert_eq!(reactor.turn(&mut served, Budget::events(150)).pending, 50);
    assert_eq!(served, 150);
    assert_eq!(reactor.turn(&mut served, Budget::unlimited()).handled, 50);
    for (number, ticket) in (0..).zip(tickets) {
        assert_eq!(ticket.wait(), Ok(2 * number));
    }
}

#[test]
fn reactor_that_runs_is_woken_and_ends_with_the_bus() {
    finishes("the reactor", || {
        let bus = Bus::new();
        let server = bus.serve::<Double>();
        let running = thread::spawn(move || {
            let mut reactor = Reactor::new();
            reactor.serve(server, |served: &mut u64, Double(number), _| {
                *served += 1;
                2 * number
            });
            let mut served = 0;
            reactor.run(&mut served).unwrap();
            served
        });
        let client = bus.client::<Double>();
        for number in 0..5 {
            let_others_park();
            assert_eq!(client.call(Double(number), LONG), Ok(2 * number));
        }
        bus.close();
        assert_eq!(running.join().unwrap(), 5);
        assert_eq!(
            client.call(Double(9), LONG),
            Err(CallError::Closed(Double(9)))
        );
    });
}

#[test]
fn turn_serves_what_came_before_it() {
    let bus = Bus::new();
    let client = bus.client::<Double>();
    let mut reactor = Reactor::<Vec<ringbus::Ticket<Double>>>::new();
    reactor.serve(bus.serve::<Double>(), move |tickets, Double(number), _| {
        tickets.push(client.start(Double(number + 1)).unwrap());
        2 * number
    });
    let mut tickets = vec![bus.client::<Double>().start(Double(0)).unwrap()];
    for turn in 1..5 {
        let handled = reactor.turn(&mut tickets, Budget::unlimited()).handled;
        assert_eq!((handled, tickets.len()), (1, 1 + turn));
    }
}

#[test]
fn handler_that_panics_answers_so() {
    let bus = Bus::new();
    let client = bus.client::<Double>();
    for policy in [OnPanic::Propagate, OnPanic::Isolate, OnPanic::Remove] {
        let mut reactor = Reactor::<()>::builder().on_panic(policy).build();
        reactor.serve(bus.serve::<Double>(), |(), Double(number), _| {
            assert_ne!(number, 1, "not one");
            2 * number
        });
        let mut one = client.start(Double(1)).unwrap();
        let mut two = client.start(Double(2)).unwrap();
        let turn = catch_unwind(AssertUnwindSafe(|| {
            let _ = reactor.turn(&mut (), Budget::unlimited());
        }));
        assert_eq!(turn.is_err(), policy == OnPanic::Propagate);
        assert_eq!(one.try_take(), Some(Err(ReplyError::Panicked)));
        let _ = reactor.turn(&mut (), Budget::unlimited());
        let expected = match policy {
            // It has left with its handler, and nobody else serves.
            OnPanic::Remove => Err(ReplyError::Closed(Double(2))),
            _ => Ok(4),
        };
        assert_eq!(two.try_take(), Some(expected));
    }
}

#[test]
fn call_of_oneself_is_refused() {
    let bus = Bus::new();
    let client = bus.client::<Double>();
    let mut reactor = Reactor::<Vec<_>>::new();
    reactor.serve(bus.serve::<Double>(), move |seen, Double(number), _| {
        seen.push(client.call(Double(7), LONG));
        seen.push(client.start(Double(8)).unwrap().wait().map_err(|error| {
            assert_eq!(error, ReplyError::WouldDeadlock);
            CallError::WouldDeadlock(Double(8))
        }));
        2 * number
    });
    let mut ticket = bus.client::<Double>().start(Double(1)).unwrap();
    let mut seen = Vec::new();
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(
        seen,
        [
            Err(CallError::WouldDeadlock(Double(7))),
            Err(CallError::WouldDeadlock(Double(8)))
        ]
    );
    assert_eq!(ticket.try_take(), Some(Ok(2)));

    // A call that was taken may be answered on another thread.
    let mut server = bus.serve::<Double>();
    let client = bus.client::<Double>();
    assert_eq!(server.try_recv().unwrap_err(), TryRecvError::Empty);
    drop(reactor);
    let mut ticket = client.start(Double(2)).unwrap();
    let would_deadlock = Some(Err(ReplyError::WouldDeadlock));
    assert_eq!(ticket.wait_timeout(LONG), would_deadlock);
    let call = server.try_recv().unwrap();
    let replying = thread::spawn(move || {
        let_others_park();
        call.reply(4)
    });
    assert_eq!(finishes("the reply", || ticket.wait()), Ok(4));
    assert!(replying.join().unwrap());

    // With another instance there is somebody who can answer.
    finishes("the other instance", || {
        let bus = Bus::new();
        let mut own = bus.serve::<Double>();
        assert_eq!(own.try_recv().unwrap_err(), TryRecvError::Empty);
        let other = serve_doubles(bus.serve());
        assert_eq!(bus.client::<Double>().call(Double(4), LONG), Ok(8));
        bus.close();
        assert_eq!(other.join().unwrap(), 1);
    });
}

#[test]
fn answer_of_oneself_comes_to_a_handler() {
    let bus = Bus::new();
    let client = bus.client::<Double>();
    let mut reactor = Reactor::<Vec<u64>>::new();
    reactor.serve(bus.serve::<Double>(), |_, Double(number), _| 2 * number);
    let topic = bus.topic::<u64>();
    reactor.on(topic.subscribe(), move |_, number, cx| {
        let ticket = client.start(Double(*number)).unwrap();
        cx.on_reply(ticket, |seen: &mut Vec<u64>, answer, _| {
            seen.push(answer.unwrap())
        });
    });
    topic.publish(3).unwrap();
    topic.publish(4).unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let _ = reactor.turn(&mut seen, Budget::unlimited());
    }
    seen.sort_unstable();
    assert_eq!(seen, [6, 8]);
}

#[test]
fn removed_reply_handler_cancels_its_request() {
    let bus = Bus::new();
    let mut server = bus.serve::<Double>();
    let mut reactor = Reactor::<()>::new();
    let ticket = bus.client::<Double>().start(Double(1)).unwrap();
    let id = reactor.on_reply(ticket, |(), _, _| unreachable!("it is removed"));
    assert!(reactor.remove(id));
    assert_eq!(server.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn reactor_sleeps_for_a_reply() {
    finishes("the reply", || {
        let bus = Bus::new();
        let mut server = bus.serve::<Double>();
        let ticket = bus.client::<Double>().start(Double(1)).unwrap();
        let serving = thread::spawn(move || {
            let_others_park();
            server.recv().unwrap().reply(2);
        });
        let mut reactor = Reactor::new();
        reactor.on_reply(ticket, |answer: &mut u64, reply, _| {
            *answer = reply.unwrap()
        });
        let mut answer = 0;
        // It has ended when its only source has.
        reactor.run(&mut answer).unwrap();
        assert_eq!(answer, 2);
        serving.join().unwrap();
    });
}

#[test]
fn ticket_and_server_are_arms_of_select() {
    finishes("select", || {
        let bus = Bus::new();
        let mut server = bus.serve::<Double>();
        let client = bus.client::<Double>();
        let mut events = bus.topic::<u64>().subscribe();
        let calling = thread::spawn(move || {
            let_others_park();
            let mut ticket = client.start(Double(4)).unwrap();
            select! {
                answer = ticket => answer,
                default(LONG) => unreachable!("it is served"),
            }
        });
        let call = select! {
            call = server => call.unwrap(),
            event = events => unreachable!("{event:?}"),
        };
        let_others_park();
        call.reply(8);
        assert_eq!(calling.join().unwrap(), Ok(8));

        bus.close();
        let closed = select! {
            call = server => call.map(drop),
            default(LONG) => unreachable!("it is closed"),
        };
        assert_eq!(closed, Err(RecvError::Closed));
    });
}

#[test]
fn closed_bus_serves_what_it_accepted() {
    finishes("the close", || {
        let bus = Bus::new();
        let mut server = bus.serve::<Double>();
        let client = bus.client::<Double>();
        let ticket = client.start(Double(1)).unwrap();
        bus.close();
        assert_eq!(
            client.start(Double(2)).unwrap_err(),
            StartError::Closed(Double(2))
        );
        server.recv().unwrap().reply(2);
        assert_eq!(ticket.wait(), Ok(2));
        assert_eq!(server.recv().unwrap_err(), RecvError::Closed);

        let mut late = bus.serve::<Double>();
        assert_eq!(late.recv().unwrap_err(), RecvError::Closed);
        let late = bus.client::<Double>();
        assert_eq!(
            late.call(Double(3), LONG),
            Err(CallError::Closed(Double(3)))
        );
    });
}

#[test]
fn last_handle_of_a_bus_closes_its_services() {
    finishes("the server", || {
        let bus = Bus::new();
        let serving = serve_doubles(bus.serve());
        let client = bus.client::<Double>();
        assert_eq!(client.call(Double(1), LONG), Ok(2));
        drop(bus);
        serving.join().unwrap();
        assert_eq!(
            client.call(Double(2), LONG),
            Err(CallError::Closed(Double(2)))
        );
    });
}

#[test]
fn server_that_leaves_hands_its_requests_on() {
    let bus = Bus::new();
    let leaving = bus.serve::<Double>();
    let client = bus.client::<Double>();
    let tickets: Vec<_> = (0..10).map(|n| client.start(Double(n)).unwrap()).collect();
    let mut first = bus.server_builder::<Double>().capacity(4).open().unwrap();
    let mut second = bus.server_builder::<Double>().capacity(4).open().unwrap();
    drop(leaving);
    for server in [&mut first, &mut second] {
        for _ in 0..4 {
            let call = server.try_recv().unwrap();
            let double = 2 * call.request().0;
            assert!(call.reply(double));
        }
        assert_eq!(server.try_recv().unwrap_err(), TryRecvError::Empty);
    }
    for (number, ticket) in (0..).zip(tickets) {
        let expected = match number {
            0..8 => Ok(2 * number),
            // There was no room for it.
            _ => Err(ReplyError::Closed(Double(number))),
        };
        assert_eq!(ticket.wait(), expected);
    }
}

#[test]
fn call_that_was_taken_outlives_its_server() {
    let bus = Bus::new();
    let mut server = bus.serve::<Double>();
    let ticket = bus.client::<Double>().start(Double(1)).unwrap();
    let call = server.recv().unwrap();
    drop(server);
    drop(bus);
    assert!(call.reply(2));
    assert_eq!(ticket.wait(), Ok(2));
}

struct Chain(u32);

impl Request for Chain {
    type Reply = String;
}

#[test]
fn instances_call_each_other() {
    finishes("the chain", || {
        let bus = Bus::new();
        const NAMES: [&str; 3] = ["c", "b", "a"];
        let threads: Vec<_> = NAMES
            .iter()
            .enumerate()
            .map(|(place, name)| {
                let server = bus.server_builder::<Chain>().service(*name).open().unwrap();
                let next: Option<Client<Chain>> = (place > 0).then(|| {
                    let next = bus.client_builder().service(NAMES[place - 1]);
                    next.open().unwrap()
                });
                thread::spawn(move || {
                    let mut reactor = Reactor::<()>::new();
                    reactor.serve(server, move |(), Chain(number), _| match &next {
                        Some(next) => {
                            let rest = next.call(Chain(number + 1), LONG);
                            format!("{name}{number} {}", rest.expect("it is served"))
                        }
                        None => format!("{name}{number}"),
                    });
                    reactor.run(&mut ()).unwrap();
                })
            })
            .collect();
        let client = bus.client_builder::<Chain>().service("a").open().unwrap();
        for round in 0..100 {
            let answer = client.call(Chain(round), LONG).ok();
            let expected = format!("a{round} b{} c{}", round + 1, round + 2);
            assert_eq!(answer, Some(expected));
        }
        bus.close();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn thousand_callers_each_get_their_reply() {
    let threads = if cfg!(miri) { 8 } else { 1000 };
    finishes("a caller", move || {
        let bus = Bus::new();
        let servers: Vec<_> = (0..2).map(|_| serve_doubles(bus.serve())).collect();
        let callers: Vec<_> = (0..threads)
            .map(|caller: u64| {
                let client = bus.client::<Double>();
                thread::Builder::new()
                    .stack_size(128 << 10)
                    .spawn(move || {
                        for call in 0..10 {
                            let number = 1000 * caller + call;
                            assert_eq!(client.call(Double(number), LONG), Ok(2 * number));
                        }
                    })
                    .unwrap()
            })
            .collect();
        callers
            .into_iter()
            .for_each(|caller| caller.join().unwrap());
        bus.close();
        let served: u64 = servers
            .into_iter()
            .map(|server| server.join().unwrap())
            .sum();
        assert_eq!(served, 10 * threads);
    });
}

#[test]
fn what_is_leaked_holds_nobody_up() {
    finishes("the others", || {
        let bus = Bus::new();
        let mut server = bus.serve::<Double>();
        let client = bus.client::<Double>();
        std::mem::forget(client.start(Double(1)).unwrap());
        server.recv().unwrap().reply(2);
        let mut unanswered = client.start(Double(2)).unwrap();
        std::mem::forget(server.recv().unwrap());
        assert_eq!(unanswered.wait_timeout(Duration::from_millis(1)), None);
        std::mem::forget(server);
        let short = Duration::from_millis(1);
        // This thread was the last to pull it.
        let refused = client.call(Double(3), short);
        assert_eq!(refused, Err(CallError::WouldDeadlock(Double(3))));
        let other = bus.client::<Double>();
        let calling = thread::spawn(move || other.call(Double(3), short));
        assert_eq!(calling.join().unwrap(), Err(CallError::Timeout));
        bus.close();
        assert_eq!(
            client.call(Double(4), LONG),
            Err(CallError::Closed(Double(4)))
        );
    });
}

/// Panics when it is dropped, unless that was forbidden.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        if !thread::panicking() {
            panic!("dropped");
        }
    }
}

struct Armed {
    _bomb: Bomb,
}

impl Request for Armed {
    type Reply = ();
}

#[test]
fn request_whose_drop_panics_stops_no_other() {
    let drops = Arc::new(AtomicUsize::new(0));
    let bus = Bus::new();
    let mut server = bus.serve::<Armed>();
    let client = bus.client::<Armed>();
    let start = || {
        let _bomb = Bomb(Arc::clone(&drops));
        client.start(Armed { _bomb }).unwrap()
    };
    for _ in 0..3 {
        drop(start());
    }
    let kept = start();
    let call = server.try_recv().expect("those before it are dropped");
    assert_eq!(drops.load(Ordering::Relaxed), 3);
    let (request, responder) = call.into_parts();
    assert!(responder.reply(()));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(request))).is_err());
    assert!(kept.wait().is_ok());

    let unserved = [start(), start()];
    drop(server);
    for ticket in unserved {
        let back = ticket.wait().expect_err("nobody serves it").into_request();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(back))).is_err());
    }
    assert_eq!(drops.load(Ordering::Relaxed), 6);
}

#[test]
fn handles_may_go_to_other_threads() {
    fn is_send<T: Send>() {}
    is_send::<Client<Carry>>();
    is_send::<Server<Carry>>();
    is_send::<ringbus::Call<Carry>>();
    is_send::<ringbus::Responder<Carry>>();
    is_send::<ringbus::Ticket<Carry>>();
    is_send::<ringbus::Stream<Cell<u64>>>();
    is_send::<ringbus::StreamSender<Cell<u64>>>();
}

#[test]
fn key_that_panics_leaves_the_client_working() {
    let bus = Bus::new();
    let mut servers = [bus.serve::<Double>(), bus.serve()];
    let client = bus.client_builder().by_key(|double: &Double| {
        assert_ne!(double.0, 1, "no key");
        double.0
    });
    let client = client.open().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| client.start(Double(1)).map(drop)));
    assert!(panicked.is_err());
    let ticket = client.start(Double(2)).unwrap();
    for server in &mut servers {
        if let Ok(call) = server.try_recv() {
            call.reply(4);
        }
    }
    assert_eq!(ticket.wait(), Ok(4));
}

#[test]
fn request_is_not_handed_on_to_its_waiting_caller() {
    finishes("the caller", || {
        let bus = Bus::new();
        let leaving = bus.serve::<Double>();
        let calling = {
            let bus = bus.clone();
            thread::spawn(move || {
                let mut own = bus.serve::<Double>();
                assert_eq!(own.try_recv().unwrap_err(), TryRecvError::Empty);
                let answer = bus.client::<Double>().call(Double(1), LONG);
                assert_eq!(own.try_recv().unwrap_err(), TryRecvError::Empty);
                answer
            })
        };
        let waits = || bus.services()[0].instances[0].waiting == 1;
        common::wait_until("the request is there", waits);
        drop(leaving);
        assert_eq!(calling.join().unwrap(), Err(CallError::Closed(Double(1))));
    });
}
