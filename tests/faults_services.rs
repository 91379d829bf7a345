//! Threads that die, or never come back, while they serve or wait for a reply: the others go on as documented.
#![cfg(feature = "services")]

mod common;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{finishes, wait_until};
use ringbus::{
    Budget, Bus, CallError, Client, Reactor, ReplyError, Request, Restarts, Server, WorkerEnd,
};

/// How long a call may take before a test calls it a hang.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(5);

/// Doubles a number; some have the one who serves them die or stay for ever.
#[derive(Clone, Debug, PartialEq)]
enum Double {
    Of(u64),
    Dies,
    Stays,
}

impl Request for Double {
    type Reply = u64;
}

fn die() -> ! {
    resume_unwind(Box::new("the thread dies"))
}

/// Says that it is there, and never returns.
fn stay(there: &AtomicBool) -> ! {
    there.store(true, Ordering::Release);
    loop {
        thread::park();
    }
}

/// How requests are served, on a thread of their own.
type Serve = fn(Server<Double>, Arc<AtomicBool>) -> thread::JoinHandle<()>;

/// By pulling them; the call is open when the thread dies or stays.
fn pull(mut server: Server<Double>, there: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while let Ok(call) = server.recv() {
            match *call.request() {
                Double::Of(number) => drop(call.reply(2 * number)),
                Double::Dies => die(),
                Double::Stays => stay(&there),
            }
        }
    })
}

/// In a reactor's handler.
fn react(server: Server<Double>, there: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut reactor = Reactor::new();
        reactor.serve(server, move |(), request, _| match request {
            Double::Of(number) => 2 * number,
            Double::Dies => die(),
            Double::Stays => stay(&there),
        });
        let _ = reactor.run(&mut ());
    })
}

const WAYS: [(&str, Serve); 2] = [("pull", pull), ("react", react)];

fn flag() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(false))
}

#[test]
fn a_server_whose_thread_dies_in_a_call_fails_that_call_and_frees_the_others() {
    for (way, serve) in WAYS {
        finishes(way, move || {
            let bus = Bus::new();
            let client = bus.client::<Double>();
            let server = bus.serve();
            let dying = client.start(Double::Dies).expect("there is room");
            let waiting = client.start(Double::Of(1)).expect("there is room");
            assert!(serve(server, flag()).join().is_err(), "{way}");
            assert_eq!(dying.wait(), Err(ReplyError::Panicked), "{way}");
            // It was not taken, and nobody else is there to take it.
            let back = waiting.wait();
            assert_eq!(back, Err(ReplyError::Closed(Double::Of(1))), "{way}");
            let refused = client.call(Double::Of(2), LONG);
            assert_eq!(refused, Err(CallError::NoResponder(Double::Of(2))), "{way}");

            let other = serve(bus.serve(), flag());
            assert_eq!(client.call(Double::Of(3), LONG), Ok(6), "{way}");
            bus.close();
            other.join().expect("the other has ended");
        });
    }
}

#[test]
fn what_a_dead_server_has_not_taken_goes_to_another() {
    for (way, serve) in WAYS {
        finishes(way, move || {
            let bus = Bus::new();
            let client = bus.client::<Double>();
            let server = bus.serve();
            let dying = client.start(Double::Dies).expect("there is room");
            let waiting: Vec<_> = (0..8)
                .map(|number| client.start(Double::Of(number)).expect("there is room"))
                .collect();
            let other = serve(bus.serve(), flag());
            assert!(serve(server, flag()).join().is_err(), "{way}");
            assert_eq!(dying.wait(), Err(ReplyError::Panicked), "{way}");
            for (number, ticket) in (0..).zip(waiting) {
                assert_eq!(ticket.wait(), Ok(2 * number), "{way}");
            }
            bus.close();
            other.join().expect("the other has ended");
        });
    }
}

#[test]
fn a_server_whose_thread_stays_in_a_call_holds_up_what_lies_in_its_mailbox_alone() {
    for (way, serve) in WAYS {
        finishes(way, move || {
            let bus = Bus::new();
            let client = bus.client::<Double>();
            let there = flag();
            serve(bus.serve(), Arc::clone(&there));
            let mut stuck = client.start(Double::Stays).expect("there is room");
            wait_until("the thread stays", || there.load(Ordering::Acquire));
            assert_eq!(stuck.wait_timeout(SHORT), None, "{way}");
            let late = client.call(Double::Of(1), SHORT);
            assert_eq!(late, Err(CallError::Timeout), "{way}");

            // One that has nothing to do is asked first.
            let other = serve(bus.serve(), flag());
            for number in 0..100 {
                let answer = client.call(Double::Of(number), LONG);
                assert_eq!(answer, Ok(2 * number), "{way}");
            }
            bus.close();
            other.join().expect("the other has ended");
            let closed = client.call(Double::Of(2), LONG);
            assert_eq!(closed, Err(CallError::Closed(Double::Of(2))), "{way}");
        });
    }
}

#[test]
fn a_client_whose_thread_dies_with_a_call_outstanding_holds_nobody_up() {
    finishes("the server", || {
        let bus = Bus::new();
        let mut server = bus.serve::<Double>();
        let client: Client<Double> = bus.client();
        let calling = thread::spawn({
            let client = client.clone();
            move || {
                let _ticket = client.start(Double::Of(1)).expect("there is room");
                let _other = client.start(Double::Of(2)).expect("there is room");
                die();
            }
        });
        assert!(calling.join().is_err());
        let others = client.start(Double::Of(3)).expect("there is room");
        // What nobody waits for any more is not served; what is, whoever asks.
        let mut served = Vec::new();
        while let Ok(call) = server.try_recv() {
            let Double::Of(number) = *call.request() else {
                unreachable!("none dies here")
            };
            served.push(number);
            call.reply(2 * number);
        }
        assert_eq!(served.last(), Some(&3));
        assert_eq!(others.wait(), Ok(6));
    });
}

#[test]
fn a_client_whose_thread_keeps_a_call_for_ever_holds_nobody_up() {
    finishes("the server", || {
        let bus = Bus::new();
        let server = bus.serve::<Double>();
        let client: Client<Double> = bus.client();
        let there = flag();
        thread::spawn({
            let (client, there) = (client.clone(), Arc::clone(&there));
            move || {
                let _ticket = client.start(Double::Of(1)).expect("there is room");
                stay(&there);
            }
        });
        wait_until("the thread stays", || there.load(Ordering::Acquire));
        let serving = pull(server, flag());
        for number in 0..100 {
            assert_eq!(client.call(Double::Of(number), LONG), Ok(2 * number));
        }
        bus.close();
        serving.join().expect("it has ended");
        assert!(bus.shutdown(LONG).is_complete());
    });
}

#[test]
fn a_worker_that_dies_in_a_call_is_restarted_and_serves_on() {
    finishes("the calls", || {
        let bus = Bus::new();
        let mut reactor = Reactor::new();
        reactor.serve(bus.serve(), |(), request, _| match request {
            Double::Of(number) => 2 * number,
            _ => die(),
        });
        let restarts = Restarts::up_to(1).back_off(SHORT / 10, SHORT);
        let worker = bus.worker("doubles").restart(restarts);
        let worker = worker.spawn(reactor, || ());
        let worker = worker.expect("the worker starts");
        let client = bus.client::<Double>();
        assert_eq!(client.call(Double::Dies, LONG), Err(CallError::Panicked));
        assert_eq!(client.call(Double::Of(1), LONG), Ok(2));
        bus.close();
        assert_eq!(worker.join(), Some(WorkerEnd::Drained));
    });
}

#[test]
fn a_call_in_a_reactor_that_is_leaked_is_not_answered_and_holds_nobody_up() {
    finishes("the other instance", || {
        let bus = Bus::new();
        let client = bus.client::<Double>();
        let mut reactor = Reactor::new();
        reactor.serve(bus.serve::<Double>(), |(), _, _| 0);
        assert_eq!(reactor.turn(&mut (), Budget::unlimited()).handled, 0);
        let there = flag();
        thread::spawn({
            let there = Arc::clone(&there);
            move || {
                let _reactor = reactor;
                stay(&there);
            }
        });
        wait_until("the thread stays", || there.load(Ordering::Acquire));
        let mut unanswered = client.start(Double::Of(1)).expect("there is room");
        assert_eq!(unanswered.wait_timeout(SHORT), None);
        let other = pull(bus.serve(), flag());
        for number in 0..100 {
            assert_eq!(client.call(Double::Of(number), LONG), Ok(2 * number));
        }
        drop(unanswered);
        bus.close();
        other.join().expect("the other has ended");
    });
}
