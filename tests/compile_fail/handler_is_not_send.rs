//! A handler must be `Send`, as a reactor may run on another thread than the one that made it.

use std::rc::Rc;

use ringbus::{Bus, Reactor};

fn main() {
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    let local = Rc::new(0);
    let mut reactor = Reactor::<u32>::new();
    reactor.on(topic.subscribe(), move |sum, event, _| *sum += event + *local);
}
