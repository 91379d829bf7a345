//! There is one exclusive publisher.

fn main() {
    let bus = ringbus::Bus::new();
    let publisher = bus.topic::<u8>().exclusive_publisher().unwrap();
    let _other = publisher.clone();
}
