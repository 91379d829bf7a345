//! A worker outlives the frame that spawned it.

use ringbus::{Bus, Reactor};

fn main() {
    let bus = Bus::new();
    let first = String::new();
    let reactor = Reactor::<String>::new();
    let _ = bus.worker("worker").spawn(reactor, || first.clone());
}
