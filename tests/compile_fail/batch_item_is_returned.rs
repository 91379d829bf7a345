//! What is taken from a batch is not handed out either.

fn main() {
    let bus = ringbus::Bus::new();
    let mut subscriber = bus.topic::<String>().subscribe();
    let kept = subscriber.poll_batch_wait(8, |mut batch| batch.next().map(|(event, _)| event));
    println!("{kept:?}");
}
