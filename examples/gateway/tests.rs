//! The gateway as an HTTP client sees it.

use std::thread;
use std::time::Duration;

use ringbus::{Bus, Server};
use serde_json::{Value, json};

use crate::client::Client;
use crate::gateway::Gateway;
use crate::ledger::Sale;
use crate::quote::{self, Quote};
use crate::{backend, drive, order};

const LONG: Duration = Duration::from_secs(10);

fn open(bus: &Bus, patience: Duration) -> (Gateway, Client) {
    let gateway = Gateway::open("127.0.0.1:0", bus, patience).unwrap();
    let client = Client::new(gateway.address());
    (gateway, client)
}

fn get(client: &mut Client, url: &str) -> (u16, Value) {
    client.send(minreq::Method::Get, url).unwrap()
}

/// An instance that nobody runs.
fn idle(bus: &Bus, capacity: usize) -> Server<Quote> {
    let server = bus.server_builder().service(quote::SERVICE);
    server.capacity(capacity).open().unwrap()
}

#[test]
fn a_run_agrees_with_itself_while_instances_of_both_services_die() {
    let report = drive::run(600).unwrap();
    assert!(report.holds(), "{report}");
    for service in [quote::SERVICE, order::SERVICE] {
        assert!(report.died(service) > 0, "{report}");
    }
}

#[test]
fn a_service_without_instances_is_unavailable() {
    let bus = Bus::new();
    let (_gateway, mut client) = open(&bus, LONG);
    assert_eq!(get(&mut client, "/quote?item=tea").0, 503);
    let (status, health) = get(&mut client, "/health");
    assert_eq!((status, &health["instances"]["quote"]), (503, &0.into()));
    quote::spawn(&bus, "only", None).unwrap();
    assert_eq!(get(&mut client, "/quote?item=tea").0, 200);
    // Nobody takes orders.
    let (status, health) = get(&mut client, "/health");
    assert_eq!((status, &health["instances"]["quote"]), (503, &1.into()));
}

#[test]
fn a_full_service_is_told_apart_from_a_slow_one() {
    let bus = Bus::new();
    let mut server = idle(&bus, 1);
    let (_gateway, mut client) = open(&bus, Duration::from_millis(20));
    // It lies in the mailbox until its time is up, and after that: nobody takes it out.
    assert_eq!(get(&mut client, "/quote?item=tea").0, 504);
    assert_eq!(get(&mut client, "/quote?item=tea").0, 429);
    // Its caller has gone.
    assert!(server.try_recv().is_err());
    assert_eq!(get(&mut client, "/quote?item=tea").0, 504);
}

#[test]
fn a_quote_is_sent_again_until_every_try_has_died() {
    let bus = Bus::new();
    let mut server = idle(&bus, 8);
    let (_gateway, mut client) = open(&bus, LONG);
    let dying = thread::spawn(move || {
        // Dropped without a reply: the first two tries of one request, then all of another.
        for replies in [false, false, true, false, false, false] {
            let call = server.recv().unwrap();
            if replies {
                call.reply(Ok(1));
            }
        }
    });
    let (status, body) = get(&mut client, "/quote?item=tea");
    assert_eq!((status, &body["price"]), (200, &1.into()));
    assert_eq!(get(&mut client, "/quote?item=tea").0, 500);
    dying.join().unwrap();
}

#[test]
fn an_order_is_not_sent_again() {
    let bus = Bus::new();
    let sales = bus.topic::<Sale>();
    let mut booked = sales.subscribe();
    quote::spawn(&bus, "quote", None).unwrap();
    order::spawn(&bus, &sales, "order", Some(2)).unwrap();
    let (_gateway, mut client) = open(&bus, LONG);
    let mut order = |url| client.send(minreq::Method::Post, url).unwrap();
    let (status, receipt) = order("/order?item=cake&count=2");
    assert_eq!((status, &receipt["total"]), (200, &1150.into()));
    assert_eq!(order("/order?item=cake&count=3").0, 500);
    let mut totals = Vec::new();
    booked.poll(64, |sale, _| totals.push(sale.total)).unwrap();
    assert_eq!(totals, [1150]);
}

#[test]
fn the_page_of_services_names_the_instances_and_what_they_did() {
    let bus = Bus::new();
    quote::spawn(&bus, "first", None).unwrap();
    let (_gateway, mut client) = open(&bus, LONG);
    for item in ["tea", "gold"] {
        get(&mut client, &format!("/quote?item={item}"));
    }
    drive::settled(&bus);
    let (status, page) = get(&mut client, "/services");
    let services = page.as_array().unwrap();
    let quotes = services
        .iter()
        .find(|service| service["service"] == "quote");
    let first = json!({
        "name": "first", "outstanding": 0, "replied": 2, "panicked": 0, "ejected": false,
    });
    assert_eq!(
        (status, &quotes.unwrap()["instances"]),
        (200, &json!([first]))
    );
}

#[test]
fn it_serves_until_it_has_been_waited_for() {
    let mut served = None;
    let complete = drive::serve("127.0.0.1:0", |address| {
        served = Some(get(&mut Client::new(address), "/quote?item=green+tea"));
    });
    assert!(complete.unwrap());
    let (status, body) = served.unwrap();
    assert_eq!(
        (status, &body["item"], &body["price"]),
        (200, &"green tea".into(), &380.into())
    );
}

#[test]
fn a_closed_gateway_has_answered_what_it_counts() {
    let bus = Bus::new();
    backend::spawn(&bus).unwrap();
    let (gateway, mut client) = open(&bus, LONG);
    for number in 0..60 {
        client.send_numbered(number);
    }
    assert_eq!(client.wrong, [""; 0]);
    assert_eq!(gateway.close(), client.tally);
}
