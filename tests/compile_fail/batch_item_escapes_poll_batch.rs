//! What is taken from a batch is there for the call only.

fn main() {
    let bus = ringbus::Bus::new();
    let mut subscriber = bus.topic::<String>().subscribe();
    let mut kept: Option<&String> = None;
    let _ = subscriber.poll_batch(8, |mut batch| kept = batch.next().map(|(event, _)| event));
    println!("{kept:?}");
}
