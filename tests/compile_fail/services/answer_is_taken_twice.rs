//! Waiting for an answer uses the ticket up.

use ringbus::{Bus, Request};

struct Ask;

impl Request for Ask {
    type Reply = u8;
}

fn main() {
    let ticket = Bus::new().client::<Ask>().start(Ask).unwrap();
    let _ = ticket.wait();
    let _ = ticket.wait();
}
