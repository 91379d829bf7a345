//! An event may outlive the frame that published it.

fn main() {
    let bus = ringbus::Bus::new();
    let text = String::new();
    bus.publish(text.as_str()).unwrap();
}
