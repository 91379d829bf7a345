//! A request that is looked at is still the call's.

use ringbus::{Bus, Request};

#[derive(Debug)]
struct Ask(String);

impl Request for Ask {
    type Reply = u8;
}

fn main() {
    let mut server = Bus::new().serve::<Ask>();
    let call = server.recv().unwrap();
    let request = call.request();
    call.reply(1);
    println!("{request:?}");
}
