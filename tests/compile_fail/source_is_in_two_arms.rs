//! A source has one arm.

fn main() {
    let bus = ringbus::Bus::new();
    let mut subscriber = bus.topic::<u8>().subscribe();
    ringbus::select! {
        _ = subscriber => {}
        _ = subscriber => {}
    }
}
