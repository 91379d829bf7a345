//! A reactor is lent to a handler for the call only.

use ringbus::{Bus, Context, Reactor};

struct Kept(Option<&'static mut Context<Kept>>);

fn main() {
    let bus = Bus::new();
    let mut reactor = Reactor::<Kept>::new();
    reactor.on(bus.topic::<u32>().subscribe(), |kept, _, context| kept.0 = Some(context));
}
