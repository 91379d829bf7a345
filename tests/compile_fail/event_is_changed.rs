//! Events are read, never changed.

fn main() {
    let bus = ringbus::Bus::new();
    let mut subscriber = bus.topic::<String>().subscribe();
    let _ = subscriber.poll(8, |event, _| event.push('!'));
}
