//! A hook is called by whichever thread publishes.

use std::cell::Cell;

fn main() {
    let bus = ringbus::Bus::new();
    let mut subscriber = bus.topic::<u8>().subscribe();
    let rung = Cell::new(false);
    subscriber.on_ready(move || rung.set(true));
}
