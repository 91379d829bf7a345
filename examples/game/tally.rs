//! Who handled how many of which events.

/// What was published of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    pub(crate) kind: &'static str,
    pub(crate) published: u64,
    /// Given back to a handler, for want of room: lost.
    pub(crate) refused: u64,
}

/// What a system handled of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handled {
    pub(crate) kind: &'static str,
    pub(crate) system: &'static str,
    pub(crate) handled: u64,
    /// Did not have the number that was next.
    pub(crate) irregular: u64,
}

impl Handled {
    pub(crate) fn new(kind: &'static str, system: &'static str) -> Self {
        Self {
            kind,
            system,
            handled: 0,
            irregular: 0,
        }
    }

    pub(crate) fn count(&mut self, number: u64) {
        self.irregular += u64::from(number != self.handled);
        self.handled += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_twice_there_or_out_of_order_is_noticed() {
        for (numbers, irregular) in [
            (&[0, 1, 2][..], 0),
            (&[0, 2], 1),
            (&[0, 0, 1], 2),
            (&[1, 0, 2], 2),
        ] {
            let mut row = Handled::new("kind", "system");
            numbers.iter().for_each(|&number| row.count(number));
            assert_eq!(row.irregular, irregular, "{numbers:?}");
        }
    }
}
