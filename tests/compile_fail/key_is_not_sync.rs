//! Several members of a group ask for the key of an event.

use std::cell::Cell;

fn main() {
    let bus = ringbus::Bus::new();
    let turn = Cell::new(0_u64);
    let _ = bus.topic::<u8>().group("workers").by_key(move |_| {
        turn.set(turn.get() + 1);
        turn.get()
    });
}
