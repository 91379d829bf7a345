//! An editor is alone on its level.

fn main() {
    let bus = ringbus::Bus::new();
    let (_topic, [editor]) = bus.topic_builder::<String>().open_edited(["editor"]).unwrap();
    let _second = editor.clone();
}
