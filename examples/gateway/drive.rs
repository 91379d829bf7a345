//! From the first request to the last.

use std::error::Error;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use ringbus::{Bus, Reactor, ServiceEvent, ServiceSnapshot};

use crate::backend;
use crate::client::Client;
use crate::gateway::Gateway;
use crate::report::Report;

/// How many send requests at once.
const CLIENTS: usize = 4;

/// How long a call may take: longer than it ever does, as a slow machine is not to fail the run.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the services may take to end.
const CLOSING: Duration = Duration::from_secs(5);

/// Sends so many requests over HTTP, to services that begin after the first of them and end before the last.
pub(crate) fn run(requests: usize) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let since = Instant::now();
    let bus = Bus::new();
    let gateway = Gateway::open("127.0.0.1:0", &bus, PATIENCE)?;
    let mut sent = Client::new(gateway.address());
    sent.expect("/health", 503);
    sent.expect("/quote?item=tea", 503);

    let ledger = backend::spawn(&bus)?;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|first| {
                let mut client = Client::new(gateway.address());
                scope.spawn(move || {
                    (first..requests)
                        .step_by(CLIENTS)
                        .for_each(|number| client.send_numbered(number));
                    client
                })
            })
            .collect();
        for client in clients {
            sent.add(client.join().expect("a client has no panics"));
        }
    });
    let services = settled(&bus);
    let shutdown = bus.shutdown(CLOSING);

    sent.expect("/health", 503);
    sent.expect("/quote?item=tea", 503);
    Ok(Report {
        sent,
        answered: gateway.close(),
        services,
        shutdown,
        booked: ledger.sums(),
        elapsed: since.elapsed(),
    })
}

/// Serves until it has been waited for; whether nothing was left undone.
pub(crate) fn serve(
    address: &str,
    wait: impl FnOnce(SocketAddr),
) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let bus = Bus::new();
    let mut news = Reactor::new();
    news.on(bus.topic::<ServiceEvent>().subscribe(), |(), event, _| {
        let instance = event.instance.as_deref().unwrap_or("an instance");
        println!("{instance}: {:?}", event.change);
    });
    bus.worker("news").spawn(news, || ())?.detach();
    let gateway = Gateway::open(address, &bus, PATIENCE)?;
    backend::spawn(&bus)?;
    println!("serving at http://{}; a line ends it", gateway.address());
    wait(gateway.address());
    let shutdown = bus.shutdown(CLOSING);
    print!("{}{shutdown}", gateway.close());
    Ok(shutdown.is_complete())
}

/// The numbers of the services when they have nothing to do: an answer is counted a moment after it is given.
pub(crate) fn settled(bus: &Bus) -> Vec<ServiceSnapshot> {
    let deadline = Instant::now() + CLOSING;
    loop {
        let services = bus.services();
        let mut instances = services.iter().flat_map(|service| &service.instances);
        let busy = instances.any(|instance| instance.waiting + instance.serving > 0);
        if !busy || Instant::now() > deadline {
            return services;
        }
        thread::sleep(Duration::from_millis(1));
    }
}
