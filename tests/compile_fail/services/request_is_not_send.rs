//! A request goes to another thread.

use std::rc::Rc;

use ringbus::Request;

struct Local(Rc<u8>);

impl Request for Local {
    type Reply = ();
}

fn main() {
    let _ = Local(Rc::new(0)).0;
}
