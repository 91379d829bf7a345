//! The screen: far too slow for the market, and allowed to be.

use std::time::Duration;

use crate::builder::Best;
use crate::event::Top;
use crate::reader::{Finished, Reader};

/// How long one frame takes to draw. Tops come up to ten thousand times as often.
const FRAME: Duration = Duration::from_millis(50);

/// Draws a frame for the newest top there is, again and again. Returns how many it drew.
pub(crate) fn run(mut tops: Reader<Top>, names: &[String], bests: &[Best]) -> (Finished, u64) {
    let mut frames = 0;
    while tops.wait(1, |_| {
        std::hint::black_box(draw(names, bests));
        frames += 1;
    }) {
        std::thread::sleep(FRAME);
    }
    (tops.finish(), frames)
}

/// The best of every instrument, as it is now: nobody need have subscribed before.
pub(crate) fn draw(names: &[String], bests: &[Best]) -> String {
    let show = |(name, best): (&String, &Best)| {
        best.read(|quote, _| match quote {
            Some(quote) => format!("{name} {} / {}", quote.bid.price, quote.ask.price),
            None => format!("{name} -"),
        })
    };
    let shown: Vec<String> = names.iter().zip(bests).map(show).collect();
    shown.join(", ")
}
