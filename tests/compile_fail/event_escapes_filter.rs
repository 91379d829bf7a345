//! A filter keeps no event.

fn main() {
    let bus = ringbus::Bus::new();
    let topic = bus.topic::<String>();
    let mut kept: Vec<&'static String> = Vec::new();
    let _ = topic
        .subscriber()
        .filter(move |event| {
            kept.push(event);
            true
        })
        .open();
}
