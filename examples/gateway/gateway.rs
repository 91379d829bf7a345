//! The HTTP side, as long as it is open.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringbus::Bus;

use crate::acceptor::Acceptor;
use crate::tally::Tally;

/// As many requests are answered at once.
const ACCEPTORS: usize = 8;

/// Serves HTTP until it is closed.
pub(crate) struct Gateway {
    http: Arc<tiny_http::Server>,
    address: SocketAddr,
    acceptors: Vec<JoinHandle<Tally>>,
}

impl Gateway {
    /// Serves at an address, port 0 of which is any that is free; a call of a service may take so long.
    pub(crate) fn open(
        address: &str,
        bus: &Bus,
        patience: Duration,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let http = Arc::new(tiny_http::Server::http(address)?);
        let address = http.server_addr().to_ip().expect("it listens to TCP");
        let mut gateway = Self {
            http,
            address,
            acceptors: Vec::new(),
        };
        for number in 0..ACCEPTORS {
            let acceptor = Acceptor::new(bus, patience)?;
            let http = Arc::clone(&gateway.http);
            let thread = thread::Builder::new()
                .name(format!("acceptor/{number}"))
                .spawn(move || acceptor.run(&http))?;
            gateway.acceptors.push(thread);
        }
        Ok(gateway)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers what has come, ends, and tells what was answered.
    pub(crate) fn close(mut self) -> Tally {
        let acceptors = std::mem::take(&mut self.acceptors);
        // Each call ends one of them.
        acceptors.iter().for_each(|_| self.http.unblock());
        let mut tally = Tally::default();
        for acceptor in acceptors {
            tally.add(&acceptor.join().expect("an acceptor has no panics"));
        }
        tally
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.acceptors.iter().for_each(|_| self.http.unblock());
    }
}
