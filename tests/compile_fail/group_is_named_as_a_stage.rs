//! Nobody comes after a group: its members are done with events in no order.

fn main() {
    let bus = ringbus::Bus::new();
    let topic = bus.topic::<String>();
    let member = topic.group("workers").join().unwrap();
    let _ = topic.subscriber().after(&member).open();
}
