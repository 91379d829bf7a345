//! A batch is there for the call only.

fn main() {
    let bus = ringbus::Bus::new();
    let mut subscriber = bus.topic::<String>().subscribe();
    let batch = subscriber.poll_batch(8, |batch| batch);
    drop(batch);
}
