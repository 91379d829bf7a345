//! An event that an observer is shown is there for the call only.

use std::sync::Mutex;

fn main() {
    let bus = ringbus::Bus::new();
    let kept: Mutex<Vec<&'static String>> = Mutex::new(Vec::new());
    let _observer = bus.topic::<String>().observe(move |event| kept.lock().unwrap().push(event));
}
