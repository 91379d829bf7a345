//! A handler does not read its own subscriber: the event that it holds is still to be passed.

fn main() {
    let bus = ringbus::Bus::new();
    let mut subscriber = bus.topic::<u8>().subscribe();
    let _ = subscriber.poll(8, |_, _| {
        let _ = subscriber.poll(8, |_, _| {});
    });
}
