//! The screen: far too slow for the market, and allowed to be.

use std::time::Duration;

use crate::event::Top;
use crate::reader::{Finished, Reader};

/// How long one frame takes to draw. Tops come up to ten thousand times as often.
const FRAME: Duration = Duration::from_millis(50);

/// Draws the newest top there is, frame after frame. Returns the last frame.
pub(crate) fn run(mut tops: Reader<Top>, names: &[String]) -> (Finished, String) {
    let mut frame = String::from("nothing");
    while tops.wait(1, |top| {
        let quote = top.event.quote;
        frame = format!(
            "{} {} / {}",
            names[top.instrument], quote.bid.price, quote.ask.price
        );
    }) {
        std::thread::sleep(FRAME);
    }
    (tops.finish(), frame)
}
