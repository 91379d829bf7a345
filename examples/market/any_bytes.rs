//! What holds of any bytes as a capture: each line is read or refused, and nothing that it says makes anything panic.
//! The tests ask it of damaged captures, and `fuzz` of what a fuzzer comes to.

use crate::bar::Bar;
use crate::book::Rebuild;
use crate::capture::Capture;
use crate::event::{Level, Quote};
use crate::fixed::Fixed;
use crate::message::{self, Message};
use crate::oracle::Oracle;

/// Reads `bytes` as a feed does, and does with each message what its readers do; gives how many lines were
/// understood.
///
/// # Panics
///
/// When a line is not the capture's, a number is not exact, or anything on the way panics.
pub(crate) fn check(bytes: &[u8]) -> usize {
    let mut expected = bytes
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty());
    let mut lines = Capture::in_memory("any", bytes.to_vec()).into_lines();
    let (mut rebuild, mut oracle) = (Rebuild::default(), Oracle::default());
    let mut bar: Option<Bar> = None;
    let mut understood = 0;
    while let Some(step) = lines.advance() {
        step.expect("what is in memory can be read");
        let line = lines.text();
        assert_eq!(Some(line.trim_ascii()), expected.next());
        let (received, message) = match message::parse(line) {
            Ok(read) => read,
            Err(error) => {
                assert!(!error.to_string().is_empty(), "a refusal says why");
                continue;
            }
        };
        assert_eq!(message::received(line), Some(received));
        understood += 1;
        match message {
            Message::Trade(trade) => {
                is_exact(trade.price);
                is_exact(trade.quantity);
                match &mut bar {
                    Some(bar) => bar.add(&trade),
                    None => bar = Some(Bar::of(&trade, received)),
                }
            }
            Message::Top(top) => {
                let Quote { bid, ask } = top.quote;
                is_exact_level(bid);
                is_exact_level(ask);
                oracle.top(top);
            }
            Message::Depth(depth) => {
                depth
                    .bids
                    .iter()
                    .chain(&depth.asks)
                    .copied()
                    .for_each(is_exact_level);
                oracle.ids(depth.ids);
                rebuild.take(&depth, |update, book| {
                    let quote = book.quote();
                    for level in quote.into_iter().flat_map(|Quote { bid, ask }| [bid, ask]) {
                        assert!(level.quantity > Fixed::ZERO, "an empty level was kept");
                    }
                    oracle.book(update, quote);
                });
            }
            Message::Other => {}
        }
    }
    assert_eq!(expected.next(), None, "a line was left out");
    let verdict = oracle.verdict();
    assert!(verdict.matched <= verdict.compared);
    understood
}

fn is_exact_level(level: Level) {
    is_exact(level.price);
    is_exact(level.quantity);
}

fn is_exact(number: Fixed) {
    assert_eq!(number.to_string().parse(), Ok(number));
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::generate;

    /// The text of each made-up capture.
    static CAPTURES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let captures = generate::captures(1, 10).into_iter();
        let text = |capture: Capture| {
            let (mut lines, mut text) = (capture.into_lines(), Vec::new());
            while lines.advance().is_some() {
                text.extend_from_slice(lines.text());
            }
            text
        };
        captures.map(text).collect()
    });

    #[test]
    fn whole_captures_are_understood() {
        for text in CAPTURES.iter() {
            let lines = text
                .split(|&byte| byte == b'\n')
                .filter(|line| !line.is_empty());
            assert_eq!(check(text), lines.count());
        }
    }

    #[test]
    fn numbers_at_the_edge_do_not_overflow_what_is_summed() {
        let trade =
            r#"1 {"stream":"a@trade","data":{"p":"1","q":"1547425049106725343.6","m":true}}"#;
        assert_eq!(check(format!("{trade}\n").repeat(1000).as_bytes()), 1000);
        let larger = trade.replace("43.6", "44");
        assert_eq!(check(larger.as_bytes()), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            check(&bytes);
        }

        #[test]
        fn damaged_captures_are_read_or_refused(
            which in 0_usize..3,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..9), 1..20),
        ) {
            let mut text = CAPTURES[which].clone();
            for (at, byte, length) in damage {
                // One byte, or a run of what stands elsewhere, in place of so many.
                let at = at.index(text.len());
                let end = text.len().min(at + length);
                let from = usize::from(byte).min(text.len());
                let run = if length % 2 == 0 { vec![byte] } else { text[from..text.len().min(from + length)].to_vec() };
                text.splice(at..end, run);
            }
            check(&text);
        }
    }
}
