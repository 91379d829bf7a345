//! The name of a topic that comes with an event is there for the call only; it can be cloned.

fn main() {
    let bus = ringbus::Bus::new();
    let mut merged = bus.subscribe_pattern::<u8>("md.>").unwrap();
    let mut kept = Vec::new();
    let _ = merged.poll(8, |_, meta| kept.push(meta.topic));
    println!("{kept:?}");
}
