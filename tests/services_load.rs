//! Every request gets exactly one answer, whatever becomes of those that serve.
#![cfg(feature = "services")]

mod common;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use common::{Census, Counted, Random, finishes};
// Not that of the standard library, of which the thread sanitizer sees nothing where threads wait for it.
use parking_lot::Mutex;
use ringbus::{
    Balance, Bus, CallError, Client, OnPanic, Reactor, ReplyError, Request, Responder, StartError,
    Ticket, select,
};

/// How long an answer may take before a test calls it a hang.
const LONG: Duration = Duration::from_secs(20);

struct Job(Counted);

impl Request for Job {
    /// The number of the job, and a value that is counted.
    type Reply = Counted;
}

/// How often each job was begun, and what is counted.
#[derive(Clone, Default)]
struct Books {
    begun: Arc<Mutex<HashMap<u64, u32>>>,
    census: Census,
    stop: Arc<AtomicBool>,
}

impl Books {
    fn begin(&self, job: u64) {
        *self.begun.lock().entry(job).or_default() += 1;
    }

    fn begun(&self, job: u64) -> u32 {
        self.begun.lock().get(&job).copied().unwrap_or(0)
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What threads panic with on purpose.
struct Injected;

fn injected<R>(work: impl FnOnce() -> R) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(work))
        && !panic.is::<Injected>()
    {
        resume_unwind(panic);
    }
}

/// Serves with every way to go wrong, in lives of a few calls each.
fn unsteady_server(bus: &Bus, books: &Books, seed: u64) -> JoinHandle<()> {
    let (bus, books) = (bus.clone(), books.clone());
    thread::spawn(move || {
        let mut random = Random(seed);
        let mut kept: Vec<(u64, Responder<Job>)> = Vec::new();
        while !books.stops() {
            injected(|| {
                let capacity = 1 << random.below(5);
                let server = bus.server_builder::<Job>().capacity(capacity);
                let mut server = server.open().unwrap();
                for _ in 0..random.below(40) {
                    let Ok(call) = server.recv_timeout(Duration::from_millis(1)) else {
                        continue;
                    };
                    let (Job(job), responder) = call.into_parts();
                    books.begin(job.id);
                    match random.below(16) {
                        0 => drop(responder),
                        1 => resume_unwind(Box::new(Injected)),
                        2 => thread::sleep(Duration::from_micros(random.below(500))),
                        3 => kept.push((job.id, responder)),
                        4 => {
                            let census = books.census.clone();
                            thread::spawn(move || responder.reply(census.event(job.id)));
                        }
                        _ => {
                            responder.reply(books.census.event(job.id));
                        }
                    }
                }
                if random.below(2) == 0 {
                    server.close();
                }
                for (job, responder) in kept.drain(..) {
                    responder.reply(books.census.event(job));
                }
            });
        }
    })
}

/// Serves in a reactor whose handlers panic now and then.
fn unsteady_reactor(bus: &Bus, books: &Books, policy: OnPanic, seed: u64) -> JoinHandle<()> {
    let (bus, books) = (bus.clone(), books.clone());
    thread::spawn(move || {
        while !books.stops() {
            injected(|| {
                let mut random = Random(seed);
                let mut reactor = Reactor::<()>::builder().on_panic(policy).build();
                for _ in 0..2 {
                    let books = books.clone();
                    let mut random = Random(random.next());
                    reactor.serve(bus.serve::<Job>(), move |(), Job(job), _| {
                        books.begin(job.id);
                        if random.below(30) == 0 {
                            resume_unwind(Box::new(Injected));
                        }
                        books.census.event(job.id)
                    });
                }
                let stop = books.stop.clone();
                reactor.every(Duration::from_millis(1), move |(), cx| {
                    if stop.load(Ordering::Relaxed) || random.below(5) == 0 {
                        cx.stop();
                    }
                });
                reactor.run(&mut ()).unwrap();
            });
        }
    })
}

/// What became of the jobs of one caller.
#[derive(Debug, Default)]
struct Outcomes {
    replied: u64,
    /// They came back, and were served by nobody.
    back: u64,
    /// They were served, without a reply.
    failed: u64,
    /// The caller did not wait.
    late: u64,
}

impl Outcomes {
    fn replied(&mut self, books: &Books, job: u64, reply: &Counted) {
        assert_eq!(reply.id, job, "the reply is that of the request");
        assert_eq!(books.begun(job), 1, "it was served once");
        self.replied += 1;
    }

    fn back(&mut self, books: &Books, job: u64, request: Job) {
        assert_eq!(request.0.id, job, "the request is one's own");
        assert_eq!(books.begun(job), 0, "nobody has served it");
        self.back += 1;
        // There is nobody, or no room: others need the processor for that to change.
        thread::yield_now();
    }

    fn failed(&mut self, books: &Books, job: u64) {
        assert_eq!(books.begun(job), 1, "it failed where it was served");
        self.failed += 1;
    }

    fn call(&mut self, client: &Client<Job>, books: &Books, job: u64, timeout: Duration) {
        let request = Job(books.census.event(job));
        match client.call(request, timeout) {
            Ok(reply) => self.replied(books, job, &reply),
            Err(CallError::Cancelled | CallError::Panicked) => self.failed(books, job),
            Err(CallError::Timeout) => {
                assert!(timeout < LONG, "an answer was lost");
                self.late += 1;
            }
            Err(CallError::WouldDeadlock(_)) => unreachable!("a caller serves nothing"),
            Err(error) => {
                let request = error.into_request().expect("nobody has taken it");
                self.back(books, job, request);
            }
        }
    }

    fn start(&mut self, client: &Client<Job>, books: &Books, job: u64) -> Option<Ticket<Job>> {
        match client.start(Job(books.census.event(job))) {
            Ok(ticket) => return Some(ticket),
            Err(error @ (StartError::NoResponder(_) | StartError::Overloaded(_))) => {
                self.back(books, job, error.into_request());
            }
            Err(_) => unreachable!("the bus is open"),
        }
        None
    }

    fn answer(&mut self, books: &Books, job: u64, answer: Result<Counted, ReplyError<Job>>) {
        match answer {
            Ok(reply) => self.replied(books, job, &reply),
            Err(ReplyError::Closed(request)) => self.back(books, job, request),
            Err(ReplyError::Cancelled | ReplyError::Panicked) => self.failed(books, job),
            Err(error) => unreachable!("{error}"),
        }
    }
}

/// Sends jobs in every way there is; tells how many and what became of them.
fn caller(bus: &Bus, books: &Books, balance: Balance, name: u64) -> JoinHandle<(u64, Outcomes)> {
    let client = bus.client_builder().balance(balance).open().unwrap();
    let books = books.clone();
    thread::spawn(move || {
        let mut random = Random(name);
        let mut outcomes = Outcomes::default();
        let jobs = if cfg!(miri) { 50 } else { 3000 };
        let mut next = name << 32;
        let mut job = || {
            next += 1;
            next
        };
        for _ in 0..jobs {
            match random.below(8) {
                0 => {
                    let job = job();
                    let timeout = Duration::from_micros(random.below(300));
                    outcomes.call(&client, &books, job, timeout);
                }
                1 => {
                    let job = job();
                    if let Some(ticket) = outcomes.start(&client, &books, job) {
                        drop(ticket);
                        outcomes.late += 1;
                    }
                }
                2 => {
                    let mut tickets: Vec<_> = (0..random.below(20))
                        .map(|_| job())
                        .filter_map(|job| Some((job, outcomes.start(&client, &books, job)?)))
                        .collect();
                    while let Some((job, ticket)) = tickets.pop() {
                        let answer = ticket.wait();
                        outcomes.answer(&books, job, answer);
                    }
                }
                3 => {
                    let (one, other) = (job(), job());
                    let first = outcomes.start(&client, &books, one);
                    let second = outcomes.start(&client, &books, other);
                    let (mut first, mut second) = match (first, second) {
                        (Some(first), Some(second)) => (first, second),
                        (first, second) => {
                            // One that was started is cancelled here.
                            outcomes.late += first.iter().chain(&second).count() as u64;
                            continue;
                        }
                    };
                    let (job, answer, last, rest) = select! {
                        answer = first => (one, answer, other, second),
                        answer = second => (other, answer, one, first),
                        default(LONG) => unreachable!("an answer was lost"),
                    };
                    outcomes.answer(&books, job, answer);
                    outcomes.answer(&books, last, rest.wait());
                }
                _ => {
                    let job = job();
                    outcomes.call(&client, &books, job, LONG);
                }
            }
        }
        (next - (name << 32), outcomes)
    })
}

#[test]
fn every_request_gets_one_answer_while_instances_come_go_and_fail() {
    let books = finishes("an answer", || {
        let bus = Bus::new();
        let books = Books::default();
        let servers = [
            unsteady_server(&bus, &books, 1),
            unsteady_server(&bus, &books, 2),
            unsteady_reactor(&bus, &books, OnPanic::Isolate, 3),
            unsteady_reactor(&bus, &books, OnPanic::Remove, 4),
            unsteady_reactor(&bus, &books, OnPanic::Propagate, 5),
        ];
        let callers = [
            caller(&bus, &books, Balance::IdleFirst, 10),
            caller(&bus, &books, Balance::RoundRobin, 11),
            caller(&bus, &books, Balance::LeastOutstanding, 12),
            caller(&bus, &books, Balance::RandomOfTwo, 13),
        ];
        let mut replied = 0;
        for caller in callers {
            let (jobs, outcomes) = caller.join().unwrap();
            let Outcomes {
                replied: answered,
                back,
                failed,
                late,
            } = outcomes;
            assert_eq!(jobs, answered + back + failed + late, "{outcomes:?}");
            replied += answered;
        }
        assert!(replied > 0);
        books.stop.store(true, Ordering::Relaxed);
        servers
            .into_iter()
            .for_each(|server| server.join().unwrap());
        books
    });
    let begun = books.begun.lock();
    assert!(
        begun.values().all(|times| *times == 1),
        "none is served twice"
    );
    drop(begun);
    // Replies that were on their way on threads of their own.
    common::wait_until("every request and reply is dropped", || {
        books.census.dropped() == books.census.born()
    });
}

struct Plain(u64);

impl Request for Plain {
    type Reply = u64;
}

#[test]
fn close_of_the_bus_under_load_leaves_nobody_waiting() {
    for round in 0..if cfg!(miri) { 2 } else { 50 } {
        finishes("an answer", move || {
            let bus = Bus::new();
            let served = Arc::new(AtomicU64::new(0));
            let servers: Vec<_> = (0..2)
                .map(|_| {
                    let mut server = bus.serve::<Plain>();
                    let served = Arc::clone(&served);
                    thread::spawn(move || {
                        while let Ok(call) = server.recv() {
                            served.fetch_add(1, Ordering::Relaxed);
                            let number = call.request().0;
                            call.reply(number);
                        }
                    })
                })
                .collect();
            let callers: Vec<_> = (0..3)
                .map(|_| {
                    let client = bus.client::<Plain>();
                    thread::spawn(move || {
                        let mut replies = 0;
                        loop {
                            match client.start(Plain(replies)).map(Ticket::wait) {
                                Ok(answer) => assert_eq!(answer.ok(), Some(replies)),
                                Err(StartError::Closed(_)) => return replies,
                                Err(error) => unreachable!("{error}"),
                            }
                            replies += 1;
                        }
                    })
                })
                .collect();
            thread::sleep(Duration::from_micros(100 * round));
            bus.close();
            let replies: u64 = callers
                .into_iter()
                .map(|caller| caller.join().unwrap())
                .sum();
            servers
                .into_iter()
                .for_each(|server| server.join().unwrap());
            // What was accepted before the close was served.
            assert_eq!(served.load(Ordering::Relaxed), replies);
        });
    }
}
