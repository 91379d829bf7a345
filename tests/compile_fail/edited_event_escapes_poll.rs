//! An event that an editor is lent is there for the call only.

fn main() {
    let bus = ringbus::Bus::new();
    let (_topic, [mut editor]) = bus.topic_builder::<String>().open_edited(["editor"]).unwrap();
    let mut kept: Vec<&mut String> = Vec::new();
    let _ = editor.poll(8, |event, _| kept.push(event));
    println!("{kept:?}");
}
