//! A handler may outlive the frame that made it.

use ringbus::{Bus, Reactor};

fn main() {
    let bus = Bus::new();
    let mut sum = 0;
    let mut reactor = Reactor::<()>::new();
    reactor.on(bus.topic::<u32>().subscribe(), |_, event, _| sum += event);
}
