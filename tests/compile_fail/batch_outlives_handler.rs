//! The events of a batch that a handler is given must not outlive the call.

use ringbus::{Bus, Reactor};

fn main() {
    let bus = Bus::new();
    let topic = bus.topic::<String>();
    let mut reactor = Reactor::<Vec<&String>>::new();
    reactor.on_batch(topic.subscribe(), |kept, batch, _| {
        kept.extend(batch.map(|(event, _)| event));
    });
}
