//! Each thread has a publisher of its own.

fn main() {
    let bus = ringbus::Bus::new();
    let publisher = bus.topic::<u8>().publisher().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| publisher.publish(1));
        scope.spawn(|| publisher.publish(2));
    });
}
