//! One thread's place to sleep.

use std::time::Instant;

use super::{Condvar, Mutex};

/// Blocks one thread until another hands it the token.
///
/// A token that comes before the park is kept, so `unpark` then `park` returns at once. A token may be
/// stale; whoever parks re-checks its condition in a loop. `std::thread::park` is not used: its token
/// belongs to the whole thread, and other libraries take it.
#[derive(Debug)]
pub(crate) struct Parker {
    token: Mutex<bool>,
    handed: Condvar,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self {
            token: Mutex::new(false),
            handed: Condvar::new(),
        }
    }

    /// Blocks until a token is there and takes it; `false` when `deadline` passed first.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> bool {
        let mut token = self.token.lock();
        while !*token {
            match deadline {
                None => token = self.handed.wait(token),
                Some(deadline) => {
                    let passed;
                    (token, passed) = self.handed.wait_until(token, deadline);
                    if passed && !*token {
                        return false;
                    }
                }
            }
        }
        *token = false;
        true
    }

    pub(crate) fn unpark(&self) {
        *self.token.lock() = true;
        self.handed.notify_one();
    }
}
