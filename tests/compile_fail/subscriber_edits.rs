//! A subscriber, also of a topic with editors, is shown events by shared reference.

fn main() {
    let bus = ringbus::Bus::new();
    let (topic, [_editor]) = bus.topic_builder::<String>().open_edited(["editor"]).unwrap();
    let mut subscriber = topic.subscribe();
    let _ = subscriber.poll(8, |event, _| event.push('!'));
}
