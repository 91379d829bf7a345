//! While an iterator reads, the subscriber does not.

fn main() {
    let bus = ringbus::Bus::new();
    let mut subscriber = bus.topic::<u8>().subscribe();
    let mut events = subscriber.iter();
    let _ = subscriber.try_recv();
    events.next();
}
