//! Each member of a group joins it; what it was handed is its own.

fn main() {
    let bus = ringbus::Bus::new();
    let member = bus.topic::<u8>().group("workers").join().unwrap();
    let _other = member.clone();
}
