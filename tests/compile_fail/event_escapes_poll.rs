//! An event that a handler is shown is there for the call only.

fn main() {
    let bus = ringbus::Bus::new();
    let mut subscriber = bus.topic::<String>().subscribe();
    let mut kept: Vec<&String> = Vec::new();
    let _ = subscriber.poll(8, |event, _| kept.push(event));
    println!("{kept:?}");
}
