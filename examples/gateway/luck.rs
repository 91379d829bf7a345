//! What makes an instance die now and then.

use std::panic::resume_unwind;

/// The state of an instance: it dies at every so many requests, and is then run with a new one.
pub(crate) struct Luck {
    lasts: Option<u32>,
    served: u32,
}

impl Luck {
    /// That of an instance that dies at this request of its life; `None` for one that does not.
    pub(crate) fn new(lasts: Option<u32>) -> Self {
        Self { lasts, served: 0 }
    }

    /// To be called at each request.
    pub(crate) fn try_it(&mut self) {
        self.served += 1;
        if self.lasts == Some(self.served) {
            // A panic, without the message of one.
            resume_unwind(Box::new("out of luck"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn luck_ends_at_the_request_it_lasts_to() {
        let mut luck = Luck::new(Some(3));
        luck.try_it();
        luck.try_it();
        assert!(catch_unwind(AssertUnwindSafe(|| luck.try_it())).is_err());
        let mut good = Luck::new(None);
        (0..100).for_each(|_| good.try_it());
    }
}
