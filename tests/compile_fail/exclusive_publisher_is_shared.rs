//! Who publishes alone does so through a reference that nobody else has.

fn main() {
    let bus = ringbus::Bus::new();
    let mut publisher = bus.topic::<u8>().exclusive_publisher().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| publisher.publish(1));
        scope.spawn(|| publisher.publish(2));
    });
}
