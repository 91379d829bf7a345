//! A filter goes where its subscriber goes.

fn main() {
    let bus = ringbus::Bus::new();
    let seen = std::rc::Rc::new(std::cell::Cell::new(0));
    let _ = bus
        .topic::<u8>()
        .subscriber()
        .filter(move |_| {
            seen.set(seen.get() + 1);
            true
        })
        .open();
}
