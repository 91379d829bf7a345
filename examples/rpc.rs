//! A calculator as a service: calls, many at once, streams, timeouts, and an instance that dies.
//!
//! `cargo run --example rpc --features services`

use std::error::Error;
use std::thread;
use std::time::Duration;

use ringbus::{
    Bus, CallError, Client, Idempotent, Reactor, ReplyError, Request, Server, ServiceChange,
    ServiceEvent, Stream, StreamEnd, stream,
};

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the calculator computes.
#[derive(Clone, Copy, Debug)]
enum Compute {
    Add(i64, i64),
    Divide(i64, i64),
    /// Takes its time.
    Ponder(Duration),
    /// Ends the instance that takes it.
    Die,
}

impl Request for Compute {
    type Reply = Result<i64, &'static str>;
}

// Computing something twice gives the same.
impl Idempotent for Compute {}

/// Asks for the sums so far of the numbers it is fed.
struct Sums(Stream<i64>);

impl Request for Sums {
    type Reply = Stream<i64>;
}

/// Serves on a thread of its own, in a reactor that counts what it has done.
fn calculator(server: Server<Compute>) -> thread::JoinHandle<u64> {
    thread::spawn(move || {
        let mut reactor = Reactor::new();
        reactor.serve(server, |served: &mut u64, compute, _| {
            *served += 1;
            match compute {
                Compute::Add(a, b) => Ok(a + b),
                Compute::Divide(_, 0) => Err("division by zero"),
                Compute::Divide(a, b) => Ok(a / b),
                Compute::Ponder(time) => {
                    thread::sleep(time);
                    Ok(42)
                }
                Compute::Die => std::panic::resume_unwind(Box::new("asked to die")),
            }
        });
        let mut served = 0;
        let _ = reactor.run(&mut served);
        served
    })
}

/// Serves sums by pulling the calls, one after the other.
fn summer(mut server: Server<Sums>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while let Ok(call) = server.recv() {
            let (Sums(numbers), responder) = call.into_parts();
            let (sums, replies) = stream(8);
            responder.reply(replies);
            let mut sum = 0;
            for number in numbers {
                sum += number;
                if sums.send(sum).is_err() {
                    break; // the caller has gone
                }
            }
            sums.finish();
        }
    })
}

fn calls(client: &Client<Compute>) -> Result<(), Box<dyn Error>> {
    assert_eq!(client.call(Compute::Add(19, 23), PATIENCE)?, Ok(42));
    let refused = client.call(Compute::Divide(1, 0), PATIENCE)?;
    assert_eq!(refused, Err("division by zero"));
    println!("19 + 23 = 42, 1 / 0 is {}", refused.unwrap_err());

    let tickets: Vec<_> = (0..1000)
        .map(|number| client.start(Compute::Add(number, number)))
        .collect::<Result<_, _>>()?;
    for (number, ticket) in (0..).zip(tickets) {
        assert_eq!(ticket.wait()?, Ok(2 * number));
    }
    println!("1000 sums were on their way at once");
    Ok(())
}

fn timeouts(client: &Client<Compute>) -> Result<(), Box<dyn Error>> {
    let long = Compute::Ponder(Duration::from_millis(50));
    match client.call(long, Duration::from_millis(5)) {
        Err(CallError::Timeout) => println!("pondering took too long"),
        answer => unreachable!("{answer:?}"),
    }
    let mut ticket = client.start(long)?;
    assert!(ticket.try_take().is_none());
    assert_eq!(ticket.wait()?, Ok(42));
    println!("with patience the answer is 42");
    Ok(())
}

fn streams(client: &Client<Sums>) -> Result<(), Box<dyn Error>> {
    let (numbers, fed) = stream(8);
    let mut sums = client.stream(Sums(fed), PATIENCE)?;
    let feeding = thread::spawn(move || {
        for number in 1..=100 {
            if numbers.send(number).is_err() {
                return;
            }
        }
        numbers.finish();
    });
    let last = sums.by_ref().last();
    assert_eq!((last, sums.recv()), (Some(5050), Err(StreamEnd::Finished)));
    feeding.join().expect("it feeds the stream");
    println!("the numbers to 100 sum up to 5050, a hundred replies to one request");
    Ok(())
}

/// One of the instances dies in a call; the others take over.
fn dying(client: &Client<Compute>) -> Result<(), Box<dyn Error>> {
    let before = client.instances();
    let ticket = client.start(Compute::Die)?;
    let waiting: Vec<_> = (0..100)
        .map(|number| client.start(Compute::Add(number, 1)))
        .collect::<Result<_, _>>()?;
    assert!(matches!(ticket.wait(), Err(ReplyError::Panicked)));
    for (number, ticket) in (0..).zip(waiting) {
        assert_eq!(ticket.wait()?, Ok(number + 1));
    }
    // Sent again when it comes to one that is about to go.
    assert_eq!(client.call_again(Compute::Add(1, 1), PATIENCE, 3)?, Ok(2));
    println!("one of {before} instances has died, and no other call has noticed");
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let bus = Bus::new();
    let mut news = bus.topic::<ServiceEvent>().subscribe();
    let client = bus.client::<Compute>();
    match client.call(Compute::Add(1, 1), PATIENCE) {
        Err(CallError::NoResponder(_)) => println!("nobody serves yet"),
        answer => unreachable!("{answer:?}"),
    }

    let calculators: Vec<_> = ["first", "second", "third"]
        .into_iter()
        .map(|name| {
            let server = bus.server_builder().instance(name).open()?;
            Ok(calculator(server))
        })
        .collect::<Result<_, Box<dyn Error>>>()?;
    let summer = summer(bus.serve());
    assert_eq!(client.wait_for_instances(3, PATIENCE), 3);

    calls(&client)?;
    timeouts(&client)?;
    streams(&bus.client())?;
    dying(&client)?;

    bus.close();
    let served: Vec<_> = calculators
        .into_iter()
        .map(|thread| thread.join())
        .collect();
    let died = served.iter().filter(|served| served.is_err()).count();
    assert_eq!(died, 1);
    println!(
        "served by those that lived: {:?}",
        served.iter().flatten().collect::<Vec<_>>()
    );
    summer.join().expect("the summer has ended with the bus");

    // What happened before the bus was closed.
    let mut left = Vec::new();
    while let Ok(event) = news.try_recv() {
        if event.change == ServiceChange::Left {
            left.extend(event.instance);
        }
    }
    assert_eq!(left.len(), 1);
    println!("the news tell of the {} instance that it has left", left[0]);
    Ok(())
}
