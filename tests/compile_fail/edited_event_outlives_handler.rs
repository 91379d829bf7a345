//! An event that a handler may change must not outlive the call.

use ringbus::{Bus, Reactor};

fn main() {
    let bus = Bus::new();
    let (_topic, [editor]) = bus.topic_builder::<String>().open_edited(["editor"]).unwrap();
    let mut reactor = Reactor::<Vec<&'static mut String>>::new();
    reactor.on_edit(editor, |kept, event, _| kept.push(event));
}
