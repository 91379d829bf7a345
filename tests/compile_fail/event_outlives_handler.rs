//! An event that a handler is given must not outlive the call.

use ringbus::{Bus, Reactor};

fn main() {
    let bus = Bus::new();
    let topic = bus.topic::<String>();
    let mut reactor = Reactor::<Vec<&str>>::new();
    reactor.on(topic.subscribe(), |kept, event, _| kept.push(event));
}
