//! Requests that are answered: a caller on the near thread, who answers on the far one.

use std::hint;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use ringbus::{Bus, Client, Request, Server, Ticket, WaitStrategy};

use crate::duet::Channel;
use crate::event::{CAPACITY, Check, Event};
use crate::halves::{Half, Job, Looks, Outcome, Patience};

/// The requests that are on their way at once in the scenario of that name.
pub const OUTSTANDING: u64 = 1_000;

/// An answer that takes longer has been lost.
const LONG: Duration = Duration::from_secs(30);

/// An event that comes back.
struct Echo(Event);

impl Request for Echo {
    type Reply = Event;
}

/// Asks for the events of a window, one after the other or many at once.
trait Asking: Send {
    fn ask(&mut self, first: u64, count: u64, check: &mut Check);
}

/// Answers one request, or tells that there is none yet.
trait Answering: Send {
    fn answer(&mut self) -> bool;
}

struct Near<A>(A);

struct Far<A>(A);

impl<A: Asking> Half for Near<A> {
    fn run(&mut self, job: &Job) -> Outcome {
        let began = Instant::now();
        let mut check = Check::new(job.first);
        self.0.ask(job.first, job.count, &mut check);
        let ended = Instant::now();
        check.verify(job.count);
        Outcome::span(began, ended, Looks::default())
    }
}

impl<A: Answering> Half for Far<A> {
    fn run(&mut self, job: &Job) -> Outcome {
        let began = Instant::now();
        let mut looks = Looks::default();
        let mut patience = Patience::default();
        while looks.full < job.count {
            if self.0.answer() {
                looks.full += 1;
                patience = Patience::default();
            } else {
                looks.empty += 1;
                hint::spin_loop();
                patience.count();
            }
        }
        Outcome::span(began, Instant::now(), looks)
    }
}

/// Calls, one after the other.
struct Calls {
    client: Client<Echo>,
    /// Keeps the service open.
    _bus: Bus,
}

impl Asking for Calls {
    fn ask(&mut self, first: u64, count: u64, check: &mut Check) {
        for sequence in first..first + count {
            match self.client.call(Echo(Event::new(sequence)), LONG) {
                Ok(event) => check.see(&event),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Starts many, then waits for them in order.
struct Starts {
    client: Client<Echo>,
    tickets: Vec<Ticket<Echo>>,
    _bus: Bus,
}

impl Asking for Starts {
    fn ask(&mut self, first: u64, count: u64, check: &mut Check) {
        for first in (first..first + count).step_by(OUTSTANDING as usize) {
            for sequence in first..first + OUTSTANDING {
                match self.client.start(Echo(Event::new(sequence))) {
                    Ok(ticket) => self.tickets.push(ticket),
                    Err(error) => panic!("{error}"),
                }
            }
            for ticket in self.tickets.drain(..) {
                match ticket.wait() {
                    Ok(event) => check.see(&event),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

/// Pulls, without waiting or by a call that waits.
struct Pulls<const WAITS: bool>(Server<Echo>);

impl<const WAITS: bool> Answering for Pulls<WAITS> {
    fn answer(&mut self) -> bool {
        let call = if WAITS {
            Some(self.0.recv().expect("the bus is open"))
        } else {
            self.0.try_recv().ok()
        };
        call.is_some_and(|call| {
            let (Echo(event), responder) = call.into_parts();
            responder.reply(event)
        })
    }
}

fn service(wait: WaitStrategy) -> (Bus, Server<Echo>, Client<Echo>) {
    let bus = Bus::new();
    let server = bus.server_builder().capacity(CAPACITY).wait(wait);
    let server = server.open().expect("the settings are good");
    let client = bus.client_builder().wait(wait).open();
    (bus, server, client.expect("the settings are good"))
}

/// Creates a client that calls, and a server; both spin.
pub fn spinning() -> Channel {
    let (_bus, server, client) = service(WaitStrategy::Spin);
    Channel::new(Near(Calls { client, _bus }), Far(Pulls::<false>(server)))
}

/// Creates a client that calls, and a server; both wait as by default.
pub fn waiting() -> Channel {
    let (_bus, server, client) = service(WaitStrategy::Park);
    Channel::new(Near(Calls { client, _bus }), Far(Pulls::<true>(server)))
}

/// Creates a client that has many requests on their way, and a server.
pub fn outstanding() -> Channel {
    let (_bus, server, client) = service(WaitStrategy::Park);
    let starts = Starts {
        client,
        tickets: Vec::with_capacity(OUTSTANDING as usize),
        _bus,
    };
    Channel::new(Near(starts), Far(Pulls::<true>(server)))
}

/// A request with the channel for its reply.
type Asked = (Event, Sender<Event>);

/// Asks by a channel, with another one for each reply.
struct OneShots(Sender<Asked>);

impl OneShots {
    fn start(&mut self, sequence: u64) -> Receiver<Event> {
        let (reply, answer) = crossbeam_channel::bounded(1);
        let asked = (Event::new(sequence), reply);
        self.0.send(asked).expect("the receiver is there");
        answer
    }
}

impl Asking for OneShots {
    fn ask(&mut self, first: u64, count: u64, check: &mut Check) {
        for sequence in first..first + count {
            let answer = self.start(sequence);
            check.see(&answer.recv_timeout(LONG).expect("it is answered"));
        }
    }
}

/// As `OneShots`, many at once.
struct ManyOneShots(OneShots, Vec<Receiver<Event>>);

impl Asking for ManyOneShots {
    fn ask(&mut self, first: u64, count: u64, check: &mut Check) {
        let Self(asking, answers) = self;
        for first in (first..first + count).step_by(OUTSTANDING as usize) {
            answers.extend((first..first + OUTSTANDING).map(|sequence| asking.start(sequence)));
            for answer in answers.drain(..) {
                check.see(&answer.recv().expect("it is answered"));
            }
        }
    }
}

struct Replies(Receiver<Asked>);

impl Answering for Replies {
    fn answer(&mut self) -> bool {
        let (event, reply) = self.0.recv().expect("the sender is there");
        reply.send(event).is_ok()
    }
}

/// Creates the same by `crossbeam-channel`: a channel of requests, and a channel for each reply.
pub fn one_shots() -> Channel {
    let (sender, receiver) = crossbeam_channel::bounded(CAPACITY);
    Channel::new(Near(OneShots(sender)), Far(Replies(receiver)))
}

/// Creates the same with many requests on their way.
pub fn many_one_shots() -> Channel {
    let (sender, receiver) = crossbeam_channel::bounded(CAPACITY);
    let answers = Vec::with_capacity(OUTSTANDING as usize);
    let asking = ManyOneShots(OneShots(sender), answers);
    Channel::new(Near(asking), Far(Replies(receiver)))
}
