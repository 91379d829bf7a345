//! A subscriber reads each event once, so there is one of it.

fn main() {
    let bus = ringbus::Bus::new();
    let subscriber = bus.topic::<u8>().subscribe();
    let _other = subscriber.clone();
}
