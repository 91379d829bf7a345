//! A reply comes from another thread.

use std::rc::Rc;

use ringbus::Request;

struct Ask;

impl Request for Ask {
    type Reply = Rc<u8>;
}

fn main() {
    let _ = Ask;
}
