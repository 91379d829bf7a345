//! Several instances: who is asked, who leaves, who is asked no more, and what is told about them.
#![cfg(feature = "services")]

mod common;

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use common::{finishes, let_others_park, wait_until};
use ringbus::{
    Balance, Bus, CallError, Client, Idempotent, InstanceSnapshot, ReplyError, Request, Server,
    ServiceChange, ServiceEvent, StartError, Ticket,
};

/// How long a call may take before a test calls it a hang.
const LONG: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, PartialEq)]
struct Task(u64);

impl Request for Task {
    /// The instance that has served it.
    type Reply = u64;
}

impl Idempotent for Task {}

fn servers<const N: usize>(bus: &Bus) -> [Server<Task>; N] {
    [(); N].map(|()| bus.serve())
}

fn client(bus: &Bus, balance: Balance) -> Client<Task> {
    bus.client_builder().balance(balance).open().unwrap()
}

/// Answers what is there; tells how much that was.
fn answer(server: &mut Server<Task>) -> u64 {
    let mut answered = 0;
    while let Ok(call) = server.try_recv() {
        call.reply(server.id());
        answered += 1;
    }
    answered
}

/// How many requests wait at each.
fn waiting(bus: &Bus) -> Vec<u64> {
    let services = bus.services();
    let instances = &services[0].instances;
    instances.iter().map(|instance| instance.waiting).collect()
}

fn start(client: &Client<Task>, tasks: u64) -> Vec<Ticket<Task>> {
    (0..tasks)
        .map(|task| client.start(Task(task)).unwrap())
        .collect()
}

#[test]
fn idle_instance_is_asked_first() {
    let bus = Bus::new();
    let mut servers = servers::<3>(&bus);
    let client = client(&bus, Balance::IdleFirst);
    let first = start(&client, 3);
    assert_eq!(waiting(&bus), [1, 1, 1]);
    // All are busy now, and then one is not.
    let rest = start(&client, 6);
    assert_eq!(waiting(&bus), [3, 3, 3]);
    assert_eq!(answer(&mut servers[1]), 3);
    for _ in 0..3 {
        let ticket = client.start(Task(0)).unwrap();
        assert_eq!(answer(&mut servers[1]), 1);
        assert_eq!(ticket.wait(), Ok(servers[1].id()));
    }
    // One that serves is as busy as one that has a request waiting.
    let call = servers[0].try_recv().unwrap();
    assert_eq!((answer(&mut servers[0]), answer(&mut servers[2])), (2, 3));
    let next = start(&client, 2);
    assert_eq!(waiting(&bus), [0, 1, 1]);
    call.reply(0);
    drop((first, rest, next));
}

#[test]
fn round_robin_takes_turns() {
    let bus = Bus::new();
    let mut servers = servers::<3>(&bus);
    let client = client(&bus, Balance::RoundRobin);
    let tickets = start(&client, 9);
    assert_eq!(waiting(&bus), [3, 3, 3]);
    assert_eq!(answer(&mut servers[0]), 3);
    let more = start(&client, 3);
    assert_eq!(waiting(&bus), [1, 4, 4]);
    drop((tickets, more));
}

#[test]
fn least_outstanding_evens_out() {
    let bus = Bus::new();
    let mut servers = servers::<3>(&bus);
    let client = client(&bus, Balance::LeastOutstanding);
    let tickets = start(&client, 9);
    assert_eq!(waiting(&bus), [3, 3, 3]);
    assert_eq!(answer(&mut servers[2]), 3);
    let more = start(&client, 3);
    assert_eq!(waiting(&bus), [3, 3, 3]);
    drop((tickets, more));
}

#[test]
fn random_of_two_never_takes_the_busiest() {
    let bus = Bus::new();
    let mut servers = servers::<3>(&bus);
    let client = client(&bus, Balance::RandomOfTwo);
    let mut tickets = start(&client, 300);
    // Of two it takes the less busy one, so no two are far apart.
    let counts = waiting(&bus);
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(most - least <= 30, "{counts:?}");
    answer(&mut servers[0]);
    answer(&mut servers[1]);
    let before = waiting(&bus)[2];
    tickets.extend(start(&client, 50));
    assert_eq!(waiting(&bus)[2], before, "another one is always less busy");
}

#[test]
fn every_balance_passes_over_a_full_mailbox() {
    for balance in [
        Balance::IdleFirst,
        Balance::RoundRobin,
        Balance::LeastOutstanding,
        Balance::RandomOfTwo,
    ] {
        let bus = Bus::new();
        let _servers = [2, 4, 8].map(|capacity| {
            let server = bus.server_builder::<Task>().capacity(capacity);
            server.open().unwrap()
        });
        let client = client(&bus, balance);
        let tickets = start(&client, 14);
        assert_eq!(waiting(&bus), [2, 4, 8]);
        assert_eq!(
            client.start(Task(7)).unwrap_err(),
            StartError::Overloaded(Task(7))
        );
        drop(tickets);
    }
}

/// Which instance each key's requests come to.
fn owners(client: &Client<Task>, servers: &mut [Server<Task>]) -> HashMap<u64, u64> {
    let tickets: Vec<_> = (0..3)
        .flat_map(|_| 0..100)
        .map(|key| (key, client.start(Task(key)).unwrap()))
        .collect();
    for server in servers {
        answer(server);
    }
    let mut owners = HashMap::new();
    for (key, ticket) in tickets {
        let owner = ticket.wait().unwrap();
        assert_eq!(*owners.entry(key).or_insert(owner), owner, "key {key}");
    }
    owners
}

#[test]
fn key_stays_with_its_instance() {
    let bus = Bus::new();
    let mut servers: Vec<_> = servers::<4>(&bus).into();
    let by_key = || bus.client_builder().by_key(|task: &Task| task.0);
    let client = by_key().open().unwrap();
    let before = owners(&client, &mut servers);
    for server in &servers {
        let keys = before.values().filter(|owner| **owner == server.id());
        assert!((10..=40).contains(&keys.count()), "{before:?}");
    }
    assert_eq!(owners(&by_key().open().unwrap(), &mut servers), before);
    assert_eq!(owners(&client.clone(), &mut servers), before);

    let gone = servers.remove(1);
    let id = gone.id();
    drop(gone);
    let after = owners(&client, &mut servers);
    for (key, owner) in &before {
        assert_ne!(after[key], id);
        assert!(*owner == id || after[key] == *owner, "key {key} has moved");
    }

    servers.push(bus.serve());
    let joined = servers[3].id();
    for (key, owner) in owners(&client, &mut servers) {
        assert!(
            owner == joined || owner == after[&key],
            "key {key} has moved"
        );
    }
}

#[test]
fn key_whose_instance_is_full_is_not_sent_elsewhere() {
    let bus = Bus::new();
    let _servers = [(); 2].map(|()| bus.server_builder::<Task>().capacity(1).open().unwrap());
    let client = bus.client_builder().by_key(|_: &Task| 7).open().unwrap();
    let _ticket = client.start(Task(0)).unwrap();
    assert_eq!(
        client.start(Task(1)).unwrap_err(),
        StartError::Overloaded(Task(1))
    );
}

#[test]
fn closed_server_finishes_what_it_has() {
    let bus = Bus::new();
    let [mut first, mut second] = servers(&bus);
    let client = client(&bus, Balance::RoundRobin);
    let tickets = start(&client, 6);
    first.close();
    first.close();
    assert_eq!(client.instances(), 1);
    let more = start(&client, 3);
    assert_eq!((answer(&mut first), answer(&mut second)), (3, 6));
    assert!(first.recv().is_err());
    drop(first);
    for ticket in tickets.into_iter().chain(more) {
        assert!(ticket.wait().is_ok());
    }
}

#[test]
fn instance_that_panics_leaves_its_other_calls_to_the_rest() {
    finishes("a caller", || {
        let bus = Bus::new();
        let mut doomed = bus.serve::<Task>();
        let client = bus.client::<Task>();
        let mut tickets = start(&client, 5);
        let mut other = bus.serve::<Task>();
        let dying = thread::spawn(move || {
            let _call = doomed.recv().unwrap();
            panic!("in its first call");
        });
        assert!(dying.join().is_err());
        assert_eq!(answer(&mut other), 4);
        let first = tickets.remove(0);
        assert_eq!(first.wait(), Err(ReplyError::Panicked));
        for ticket in tickets {
            assert_eq!(ticket.wait(), Ok(other.id()));
        }
    });
}

#[test]
fn idempotent_request_is_sent_again_to_another() {
    finishes("a caller", || {
        let bus = Bus::new();
        let [bad, good] = servers(&bus);
        let good_id = good.id();
        let serve = |mut server: Server<Task>, fails: bool| {
            thread::spawn(move || {
                let mut calls = 0;
                while let Ok(call) = server.recv() {
                    calls += 1;
                    if !fails {
                        call.reply(server.id());
                    }
                }
                calls
            })
        };
        let threads = [serve(bad, true), serve(good, false)];
        let client = client(&bus, Balance::RoundRobin);
        for task in 0..100 {
            assert_eq!(client.call_again(Task(task), LONG, 1), Ok(good_id));
        }
        // Every other one came to the bad one first, and without a retry it stays there.
        let failed = (0..10).filter(|task| client.call(Task(*task), LONG).is_err());
        assert_eq!(failed.count(), 5);
        bus.close();
        let [bad, good] = threads.map(|thread| thread.join().unwrap());
        assert_eq!(good, 105);
        assert!((10..=105).contains(&bad), "{bad}");
    });
}

#[test]
fn retries_are_bounded() {
    finishes("a caller", || {
        let bus = Bus::new();
        let mut server = bus.serve::<Task>();
        let serving = thread::spawn(move || {
            let mut calls = 0;
            while let Ok(call) = server.recv() {
                drop(call);
                calls += 1;
            }
            calls
        });
        let client = bus.client();
        let answer = client.call_again(Task(1), LONG, 3);
        assert_eq!(answer, Err(CallError::Cancelled));
        bus.close();
        assert_eq!(serving.join().unwrap(), 4);
        let answer = client.call_again(Task(1), LONG, 3);
        assert_eq!(answer, Err(CallError::Closed(Task(1))));
    });
}

fn snapshot(bus: &Bus, id: u64) -> InstanceSnapshot {
    let services = bus.services();
    let mut instances = services.iter().flat_map(|service| &service.instances);
    instances
        .find(|instance| instance.id == id)
        .unwrap()
        .clone()
}

#[test]
fn failing_instance_is_ejected_and_comes_back() {
    let bus = Bus::new();
    let mut news = bus.topic::<ServiceEvent>().subscribe();
    let pause = Duration::from_millis(100);
    let mut bad = bus
        .server_builder::<Task>()
        .eject_after(2, pause)
        .open()
        .unwrap();
    let mut good = bus.serve::<Task>();
    let client = client(&bus, Balance::RoundRobin);
    let fail = |server: &mut Server<Task>| drop(server.try_recv().unwrap());

    // A reply in between begins the count anew.
    let tickets = start(&client, 6);
    fail(&mut bad);
    assert!(bad.try_recv().unwrap().reply(0));
    fail(&mut bad);
    assert!(!snapshot(&bus, bad.id()).ejected);
    assert_eq!(answer(&mut good), 3);
    drop(tickets);

    let tickets = start(&client, 2);
    fail(&mut bad);
    assert!(snapshot(&bus, bad.id()).ejected);
    drop(tickets);
    assert_eq!(answer(&mut good), 0, "its caller has gone");
    let tickets = start(&client, 6);
    // As far as the pause was not over before.
    let ejected = bad.try_recv().is_err();
    assert!(ejected || snapshot(&bus, bad.id()).received > 4);
    answer(&mut good);
    drop(tickets);

    // After the pause it is tried with one request, fails again, and is tried once more.
    for answers in [false, true] {
        thread::sleep(2 * pause);
        let tickets = start(&client, 4);
        assert_eq!(snapshot(&bus, bad.id()).waiting, 1);
        let call = bad.try_recv().unwrap();
        if answers {
            assert!(call.reply(0));
        }
        assert_eq!(snapshot(&bus, bad.id()).ejected, !answers);
        answer(&mut good);
        drop(tickets);
    }
    let tickets = start(&client, 4);
    assert_eq!(snapshot(&bus, bad.id()).waiting, 2);
    drop(tickets);

    let mut changes = Vec::new();
    while let Ok(event) = news.try_recv() {
        assert_eq!(event.number, changes.len() as u64);
        changes.push((event.id == bad.id(), event.change));
    }
    let expected = [
        (true, ServiceChange::Joined),
        (false, ServiceChange::Joined),
        (true, ServiceChange::Ejected),
        (true, ServiceChange::Restored),
    ];
    assert_eq!(changes, expected);
}

#[test]
fn timeouts_eject_a_slow_instance() {
    let bus = Bus::new();
    let slow = bus.server_builder::<Task>();
    let _slow = slow.eject_after(3, LONG).open().unwrap();
    let client = bus.client::<Task>();
    for task in 0..3 {
        let answer = client.call(Task(task), Duration::from_millis(1));
        assert_eq!(answer, Err(CallError::Timeout));
    }
    let answer = client.call(Task(3), LONG);
    assert_eq!(answer, Err(CallError::NoResponder(Task(3))));
}

#[test]
fn caller_waits_for_instances() {
    finishes("the wait", || {
        let bus = Bus::new();
        let client = bus.client::<Task>();
        assert_eq!(client.wait_for_instances(0, Duration::ZERO), 0);
        assert_eq!(client.wait_for_instances(1, Duration::from_millis(1)), 0);
        let joining = {
            let bus = bus.clone();
            thread::spawn(move || {
                let_others_park();
                let first = bus.serve::<Task>();
                let_others_park();
                (first, bus.serve::<Task>())
            })
        };
        assert_eq!(client.wait_for_instances(2, LONG), 2);
        let servers = joining.join().unwrap();
        let closing = {
            let bus = bus.clone();
            thread::spawn(move || {
                let_others_park();
                bus.close();
            })
        };
        assert_eq!(client.wait_for_instances(3, LONG), 0, "the bus is closed");
        closing.join().unwrap();
        drop(servers);
    });
}

#[test]
fn numbers_of_an_instance_add_up() {
    let bus = Bus::new();
    let server = bus
        .server_builder::<Task>()
        .service("tasks")
        .instance("one");
    let mut server = server.capacity(16).open().unwrap();
    let client = bus.client_builder().service("tasks").open().unwrap();
    let mut tickets = start(&client, 8);
    drop(tickets.remove(0)); // abandoned
    let served = server.recv().unwrap();
    assert!(served.reply(0));
    drop(server.recv().unwrap()); // dropped
    let late = server.recv().unwrap();
    drop(tickets.remove(2));
    assert!(!late.reply(0));
    let serving = server.recv().unwrap();

    let services = bus.services();
    assert_eq!(services.len(), 1);
    assert!(services[0].request.ends_with("Task"));
    assert_eq!(services[0].name.as_deref(), Some("tasks"));
    let one = &services[0].instances[0];
    assert_eq!((one.name.as_deref(), one.id), (Some("one"), server.id()));
    assert_eq!((one.capacity, one.received), (16, 8));
    assert_eq!((one.waiting, one.serving), (3, 1));
    assert_eq!((one.replied, one.late, one.dropped), (2, 1, 1));
    assert_eq!((one.abandoned, one.panicked, one.handed_on), (1, 0, 0));
    assert!(!one.ejected);
    let settled = one.replied + one.dropped + one.panicked + one.abandoned + one.handed_on;
    assert_eq!(one.received, one.waiting + one.serving + settled);

    drop(serving);
    drop(server);
    assert!(bus.services()[0].instances.is_empty());
    drop(tickets);
}

#[test]
fn news_never_hold_an_instance_up() {
    finishes("the instances", || {
        let bus = Bus::new();
        // Lossless, and never read.
        let mut news = bus.topic::<ServiceEvent>().subscribe();
        for _ in 0..2000 {
            drop(bus.serve::<Task>());
        }
        let mut numbers = Vec::new();
        while let Ok(event) = news.try_recv() {
            numbers.push(event.number);
        }
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
        drop(bus.serve::<Task>());
        assert_eq!(
            news.try_recv().unwrap().number,
            4000,
            "the gap tells of the others"
        );
    });
}

#[test]
fn instances_that_join_are_found() {
    finishes("the calls", || {
        let bus = Bus::new();
        let client = bus.client::<Task>();
        let serve = || {
            let mut server = bus.serve::<Task>();
            let id = server.id();
            let thread = thread::spawn(move || while answer_one(&mut server) {});
            (id, thread)
        };
        let (first, _) = serve();
        assert_eq!(client.call(Task(0), LONG), Ok(first));
        let (second, _) = serve();
        wait_until("the second one answers", || {
            client.call(Task(0), LONG) == Ok(second)
        });
        bus.close();
    });
}

fn answer_one(server: &mut Server<Task>) -> bool {
    match server.recv() {
        Ok(call) => call.reply(server.id()),
        Err(_) => false,
    }
}
