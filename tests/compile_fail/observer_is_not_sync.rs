//! Several publishers call an observer at once.

use std::cell::Cell;

fn main() {
    let bus = ringbus::Bus::new();
    let seen = Cell::new(0);
    let _observer = bus.topic::<u8>().observe(move |_| seen.set(seen.get() + 1));
}
