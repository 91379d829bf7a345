//! Several subscribers hold references to one event at once.

fn main() {
    let bus = ringbus::Bus::new();
    let _topic = bus.topic::<std::cell::Cell<u8>>();
}
