//! Requests: each gets one answer, and nobody waits in vain.

use std::sync::Arc as StdArc;
use std::time::Duration;

use loom::thread;

use super::explore;
use crate::channel::{Inbox, Mailbox, Patience, Refusal, WaitStrategy};
use crate::ring::{Awaited, Idle, Parcel, Ring, Shape};
use crate::services::balance::{Balance, Balancer};
use crate::services::instance::InstanceSettings;
use crate::services::permits::Permits;
use crate::services::service::Service;
use crate::services::ticket::wait;
use crate::services::{CallError, Client, ReplyError, Request, Server, StreamEnd, stream};
use crate::sync::{Arc, AtomicU64, Barrier, Bell, Ordering, ReadySet, Waiter};

/// A value that counts its drops.
struct Left(u64, Arc<AtomicU64>);

impl Drop for Left {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

fn park<V>(awaited: &Awaited<V>) {
    assert!(wait(awaited, WaitStrategy::Park, || None));
}

/// The value of one turn comes to who waits for it, and the place is used again.
#[test]
fn keep_against_a_wait() {
    explore(None, || {
        let (awaited, promise) = Idle::new().begin();
        let keeping = thread::spawn(move || promise.keep(7).expect("it is awaited"));
        park(&awaited);
        let (value, idle) = awaited.take().expect("it is there");
        assert_eq!(value, 7);
        keeping.join().unwrap();
        let (awaited, promise) = idle.begin();
        promise.keep(8).expect("it is awaited");
        assert_eq!(awaited.take().expect("it is there").0, 8);
    });
}

/// The wake-up of one turn may come in the next, whose waiter it takes off: that one is not lost.
#[test]
fn keep_two_turns() {
    explore(Some(3), || {
        let (awaited, promise) = Idle::new().begin();
        let first = thread::spawn(move || promise.keep(1).expect("it is awaited"));
        park(&awaited);
        let (value, idle) = awaited.take().expect("it is there");
        assert_eq!(value, 1);
        let (awaited, promise) = idle.begin();
        let second = thread::spawn(move || promise.keep(2).expect("it is awaited"));
        park(&awaited);
        assert_eq!(awaited.take().expect("it is there").0, 2);
        first.join().unwrap();
        second.join().unwrap();
    });
}

/// Whoever gives up while the value comes: it is on one side, and dropped once.
fn keep_against_abandon(enlists: bool) {
    explore(None, move || {
        let drops = Arc::new(AtomicU64::new(0));
        let (awaited, promise) = Idle::new().begin();
        let left = Left(7, Arc::clone(&drops));
        let keeping = thread::spawn(move || match promise.keep(left) {
            Ok(()) => false,
            Err(back) => back.0 == 7,
        });
        if enlists {
            let set = ReadySet::new();
            awaited.enlist(&Waiter::Bell(Bell::new(&set, Some(0))));
        }
        let taken = match awaited.abandon() {
            Some((value, idle)) => {
                assert_eq!(value.0, 7);
                let (awaited, promise) = idle.begin();
                assert!(!awaited.is_settled());
                drop(awaited.unite(promise));
                true
            }
            None => false,
        };
        let back = keeping.join().unwrap();
        assert!(taken != back, "the value is on one side");
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn keep_against_a_cancel() {
    keep_against_abandon(false);
}

#[test]
fn keep_against_a_timeout() {
    keep_against_abandon(true);
}

/// Two values to one owner, who sleeps for both at once.
#[test]
fn keep_wakes_a_ready_set() {
    explore(Some(3), || {
        let set = ReadySet::new();
        let (mut awaited, keeping): (Vec<_>, Vec<_>) = (0..2)
            .map(|index| {
                let (awaited, promise) = Idle::new().begin();
                awaited.enlist(&Waiter::Bell(Bell::new(&set, Some(index))));
                let keeping = thread::spawn(move || promise.keep(index).expect("it is awaited"));
                (Some(awaited), keeping)
            })
            .unzip();
        let mut taken = 0;
        while taken < 2 {
            for (index, place) in awaited.iter_mut().enumerate() {
                if let Some(awaiting) = place.take_if(|awaited| awaited.is_settled()) {
                    assert_eq!(awaiting.take().expect("it is there").0, index);
                    taken += 1;
                }
            }
            if taken < 2 {
                set.take(|_| {});
                if awaited
                    .iter()
                    .flatten()
                    .all(|awaited| !awaited.is_settled())
                {
                    set.park(None);
                }
            }
        }
        for keeping in keeping {
            keeping.join().unwrap();
        }
    });
}

/// Values that are moved through one slot: each is written when the one before is out.
#[test]
fn take_out_1_slot() {
    explore(None, || {
        let shape = Shape {
            capacity: 1,
            slots: 1,
            first: 0,
        };
        let (ring, mut readers) = Ring::edited(shape, Barrier::of_process(), 1);
        let mut inbox = readers.pop().expect("it has an editor");
        let sending = thread::spawn(move || {
            let mut sent = 0;
            for number in 0..2_u64 {
                if let Ok(claimed) = ring.claim_shared(1) {
                    ring.fill(claimed).write(Parcel::new(Box::new(number)));
                    sent += 1;
                }
            }
            sent
        });
        let mut taken: Vec<_> = (0..2).filter_map(|_| inbox.take_out()).collect();
        let sent = sending.join().unwrap();
        taken.extend(std::iter::from_fn(|| inbox.take_out()));
        let taken: Vec<_> = taken.into_iter().map(|number| *number).collect();
        // Numbers that found no room are not sent, so only the first may be missing behind.
        assert_eq!(taken.len(), sent);
        assert_eq!(taken, (0..sent as u64).collect::<Vec<_>>());
    });
}

/// Values that are moved through a mailbox of one place: none is lost and none comes twice.
#[test]
fn mailbox_capacity_1() {
    explore(Some(3), || {
        let drops = Arc::new(AtomicU64::new(0));
        let (mailbox, mut inbox) = Mailbox::open(1, WaitStrategy::Park);
        let sent = Arc::clone(&drops);
        let sending = thread::spawn(move || {
            for number in 0..2 {
                let left = Left(number, Arc::clone(&sent));
                let sent = mailbox.send(Patience::Until(None), left);
                assert!(sent.is_ok(), "it is open");
            }
        });
        for number in 0..2 {
            assert_eq!(take(&mut inbox).0, number);
        }
        sending.join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 2);
    });
}

fn take<T: Send + 'static>(inbox: &mut Inbox<T>) -> T {
    loop {
        match inbox.take() {
            Ok(Some(value)) => return value,
            Ok(None) => assert!(inbox.wait(None)),
            Err(_) => panic!("it is open"),
        }
    }
}

/// The inbox goes while something is sent: it is dropped there, or comes back.
#[test]
fn inbox_leaves() {
    explore(Some(4), || {
        let drops = Arc::new(AtomicU64::new(0));
        let (mailbox, inbox) = Mailbox::open(1, WaitStrategy::Park);
        let left = Left(7, Arc::clone(&drops));
        let leaving = thread::spawn(move || drop(inbox));
        match mailbox.send(Patience::Try, left) {
            Ok(_) => leaving.join().unwrap(),
            Err((refusal, left)) => {
                assert_eq!(refusal, Refusal::Closed);
                assert_eq!(drops.load(Ordering::Relaxed), 0);
                drop(left);
                leaving.join().unwrap();
            }
        }
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

struct Double(u64);

impl Request for Double {
    type Reply = u64;
}

fn service() -> StdArc<Service<Double>> {
    StdArc::new(Service::new(None, false, None))
}

fn server(service: &StdArc<Service<Double>>, id: u64) -> Server<Double> {
    let settings = InstanceSettings {
        id,
        name: None,
        capacity: 1,
        wait: WaitStrategy::Park,
        breaker: None,
    };
    Server::join(service, settings)
}

fn client(service: &StdArc<Service<Double>>) -> Client<Double> {
    let balancer = Balancer::new(Balance::RoundRobin);
    Client::new(StdArc::clone(service), WaitStrategy::Park, balancer)
}

const LONG: Duration = Duration::from_secs(3600);

/// A call, and its server on another thread; both sleep.
#[test]
fn call_and_serve() {
    explore(Some(4), || {
        let service = service();
        let mut server = server(&service, 0);
        let client = client(&service);
        let serving = thread::spawn(move || {
            let call = server.recv().expect("the service is open");
            let double = 2 * call.request().0;
            assert!(call.reply(double), "the caller waits");
        });
        assert_eq!(client.call(Double(21), LONG).ok(), Some(42));
        serving.join().unwrap();
    });
}

/// The server goes while a request is sent: its caller gets it back, this way or the other.
#[test]
fn server_leaves() {
    explore(Some(3), || {
        let service = service();
        let server = server(&service, 0);
        let client = client(&service);
        let leaving = thread::spawn(move || drop(server));
        let error = client.call(Double(7), LONG).expect_err("nobody serves it");
        assert!(matches!(
            error,
            CallError::Closed(Double(7)) | CallError::NoResponder(Double(7))
        ));
        leaving.join().unwrap();
    });
}

/// All servers go while a request is sent: its caller gets it back, and is not told of an overload.
#[test]
fn servers_leave() {
    explore(Some(2), || {
        let service = service();
        let servers = [server(&service, 0), server(&service, 1)];
        let client = client(&service);
        let leaving = thread::spawn(move || drop(servers));
        let error = client.call(Double(7), LONG).expect_err("nobody serves it");
        assert!(matches!(
            error,
            CallError::Closed(Double(7)) | CallError::NoResponder(Double(7))
        ));
        leaving.join().unwrap();
    });
}

/// One of two servers goes while a request is sent, to it or to the other: the other one answers.
#[test]
fn server_leaves_another() {
    explore(Some(2), || {
        let service = service();
        let leaves = server(&service, 0);
        let mut stays = server(&service, 1);
        let client = client(&service);
        let leaving = thread::spawn(move || drop(leaves));
        let ticket = client.start(Double(4)).expect("one of them is there");
        leaving.join().unwrap();
        let call = stays.try_recv().expect("it is here now");
        let double = 2 * call.request().0;
        assert!(call.reply(double), "the caller waits");
        assert_eq!(ticket.wait().ok(), Some(8));
    });
}

/// The service closes while a request is sent: what was accepted is served.
#[test]
fn close_against_a_call() {
    explore(Some(2), || {
        let service = service();
        let mut server = server(&service, 0);
        let client = client(&service);
        let serving = thread::spawn(move || {
            let mut served = 0;
            while let Ok(call) = server.recv() {
                call.reply(0);
                served += 1;
            }
            served
        });
        let closing = {
            let service = StdArc::clone(&service);
            thread::spawn(move || service.close())
        };
        let served = match client.start(Double(1)) {
            Ok(ticket) => {
                assert_eq!(ticket.wait().ok(), Some(0));
                1
            }
            Err(error) => {
                assert_eq!(error.into_request().0, 1);
                0
            }
        };
        closing.join().unwrap();
        assert_eq!(serving.join().unwrap(), served);
    });
}

/// As many calls as may be outstanding are, and no more.
#[test]
fn permits_of_two_callers() {
    explore(None, || {
        let permits = StdArc::new(Permits::new());
        permits.limit_to(1);
        let inside = Arc::new(AtomicU64::new(0));
        let call = |permits: &StdArc<Permits>, inside: &AtomicU64| {
            let Some(permit) = Permits::take(permits) else {
                return false;
            };
            assert!(permit.is_some(), "there is a limit");
            assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0, "one at a time");
            inside.fetch_sub(1, Ordering::Relaxed);
            true
        };
        let other = {
            let (permits, inside) = (StdArc::clone(&permits), Arc::clone(&inside));
            thread::spawn(move || call(&permits, &inside))
        };
        let here = call(&permits, &inside);
        assert!(other.join().unwrap() || here, "one of them was first");
        assert!(call(&permits, &inside), "it was given back");
    });
}

/// Who has an answer may call again at once.
#[test]
fn answer_gives_the_permit_back() {
    explore(Some(2), || {
        let service = service();
        service.permits().limit_to(1);
        let mut server = server(&service, 0);
        let client = client(&service);
        let first = client.start(Double(1)).expect("there is a permit");
        assert!(client.start(Double(2)).is_err());
        let call = server.try_recv().expect("it was sent");
        let serving = thread::spawn(move || call.reply(2));
        assert_eq!(first.wait().ok(), Some(2));
        assert!(client.start(Double(2)).is_ok());
        assert!(serving.join().unwrap());
    });
}

/// The service closes while a call waits for its quota.
#[cfg(feature = "rate-limit")]
#[test]
fn close_against_a_limited_call() {
    use crate::channel::{Clock, LimitedError, RateLimit, RateLimiter};

    explore(None, || {
        let service = service();
        let limiter = RateLimiter::with_clock(RateLimit::every(LONG), Clock::manual());
        assert_eq!(limiter.try_acquire(), Ok(()));
        let client = client(&service).limited(limiter);
        let closing = thread::spawn(move || service.close());
        let refused = client
            .call(Double(7), LONG)
            .expect_err("the clock stands still");
        assert!(matches!(
            refused,
            LimitedError::Refused(CallError::Closed(Double(7)))
        ));
        closing.join().unwrap();
    });
}

/// A call is dropped on one thread while its caller waits on another.
#[test]
fn call_is_dropped() {
    explore(None, || {
        let service = service();
        let mut server = server(&service, 0);
        let ticket = client(&service).start(Double(1)).expect("there is room");
        let call = server.try_recv().expect("it was sent");
        let dropping = thread::spawn(move || drop(call));
        assert!(matches!(ticket.wait(), Err(ReplyError::Cancelled)));
        dropping.join().unwrap();
    });
}

/// What was sent is received before the end, and the end says why.
#[test]
fn stream_ends() {
    explore(Some(3), || {
        let (sender, mut received) = stream(1);
        let sending = thread::spawn(move || {
            sender.send(7).expect("it is received");
            sender.finish();
        });
        assert_eq!(received.recv(), Ok(7));
        assert_eq!(received.recv(), Err(StreamEnd::Finished));
        sending.join().unwrap();
    });
}

/// The receiver goes while the sender waits for room: it gets its item back.
#[test]
fn stream_is_abandoned() {
    explore(Some(3), || {
        let drops = Arc::new(AtomicU64::new(0));
        let (sender, received) = stream(1);
        let item = |number| Left(number, Arc::clone(&drops));
        assert!(sender.try_send(item(0)).is_ok(), "there is room for one");
        let leaving = thread::spawn(move || drop(received));
        let refused = sender
            .send(item(1))
            .expect_err("there is no room for another");
        assert_eq!(refused.into_item().0, 1);
        leaving.join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 2);
    });
}
