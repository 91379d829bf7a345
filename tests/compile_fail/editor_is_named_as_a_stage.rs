//! Everybody comes after an editor as it is; there is no naming it.

fn main() {
    let bus = ringbus::Bus::new();
    let (topic, [editor]) = bus.topic_builder::<String>().open_edited(["editor"]).unwrap();
    let _ = topic.subscriber().after(&editor).open();
}
