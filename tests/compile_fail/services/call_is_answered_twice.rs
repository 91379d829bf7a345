//! A call has one answer.

use ringbus::{Bus, Request};

struct Ask;

impl Request for Ask {
    type Reply = u8;
}

fn main() {
    let bus = Bus::new();
    let mut server = bus.serve::<Ask>();
    let call = server.recv().unwrap();
    call.reply(1);
    call.reply(2);
}
