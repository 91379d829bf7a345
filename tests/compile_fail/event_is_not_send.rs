//! An event is dropped by whichever thread overwrites it.

fn main() {
    let bus = ringbus::Bus::new();
    let _topic = bus.topic::<std::sync::MutexGuard<'static, u8>>();
}
