//! The feed of one instrument: reads its capture and publishes what it says.

use std::time::{Duration, Instant};

use ringbus::{ExclusivePublisher, Publisher};

use crate::capture::Lines;
use crate::event::{Depth, Stamped, Tick, Top};
use crate::message::{self, Message};

pub(crate) struct Feed {
    pub(crate) instrument: usize,
    pub(crate) lines: Lines,
    /// Topics of this instrument alone have this feed as their only publisher.
    pub(crate) depths: ExclusivePublisher<Stamped<Depth>>,
    /// Trades and tops, in the order received.
    pub(crate) tape: ExclusivePublisher<Stamped<Tick>>,
    /// The tops of all instruments are one topic too, which all feeds share.
    pub(crate) tops: Publisher<Stamped<Top>>,
    pub(crate) pace: Option<Pace>,
}

/// What a feed read and published.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Volume {
    pub(crate) lines: u64,
    pub(crate) depths: u64,
    pub(crate) trades: u64,
    pub(crate) tops: u64,
    pub(crate) other: u64,
    /// Lines that could not be read, each reported where it was met.
    pub(crate) malformed: u64,
}

impl Volume {
    /// Trades and tops: what is on the tape.
    pub(crate) fn ticks(&self) -> u64 {
        self.trades + self.tops
    }

    /// All events on all topics.
    pub(crate) fn published(&self) -> u64 {
        self.depths + self.ticks() + self.tops
    }
}

impl Feed {
    /// Publishes the whole capture. Topics close behind the last feed.
    pub(crate) fn run(mut self) -> Volume {
        let mut volume = Volume::default();
        while let Some(step) = self.lines.advance() {
            let message = match step {
                Ok(()) => message::parse(self.lines.text()).map_err(|error| error.to_string()),
                Err(error) => Err(format!("cannot read on: {error}")),
            };
            volume.lines += 1;
            match message {
                Ok((received, message)) => {
                    if !self.publish(received, message, &mut volume) {
                        break;
                    }
                }
                Err(reason) => {
                    volume.malformed += 1;
                    eprintln!("{}: {reason}", self.lines.place());
                }
            }
        }
        volume
    }

    /// False if the bus takes no more.
    fn publish(&mut self, received: i64, message: Message, volume: &mut Volume) -> bool {
        if let Some(pace) = &self.pace {
            pace.wait_for(received);
        }
        let instrument = self.instrument;
        let (count, accepted) = match message {
            Message::Depth(event) => {
                let event = stamped(instrument, received, event);
                (&mut volume.depths, self.depths.publish(event).is_ok())
            }
            Message::Trade(event) => {
                let tick = stamped(instrument, received, Tick::Trade(event));
                (&mut volume.trades, self.tape.publish(tick).is_ok())
            }
            Message::Top(event) => {
                let tick = stamped(instrument, received, Tick::Top(event));
                let event = stamped(instrument, received, event);
                let accepted = self.tape.publish(tick).is_ok() && self.tops.publish(event).is_ok();
                (&mut volume.tops, accepted)
            }
            Message::Other => (&mut volume.other, true),
        };
        *count += u64::from(accepted);
        accepted
    }
}

fn stamped<T>(instrument: usize, received: i64, event: T) -> Stamped<T> {
    Stamped {
        instrument,
        received,
        published: Instant::now(),
        event,
    }
}

/// Replays at the recorded speed, or a multiple of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    multiple: f64,
    /// The receive time of the first message of all feeds, and when it is replayed: the instruments
    /// keep step.
    first: i64,
    start: Instant,
}

impl Pace {
    pub(crate) fn new(multiple: f64, first: i64, start: Instant) -> Self {
        Self {
            multiple,
            first,
            start,
        }
    }

    fn wait_for(&self, received: i64) {
        let recorded = received.saturating_sub(self.first).max(0);
        let due = Duration::try_from_secs_f64(recorded as f64 / 1e9 / self.multiple);
        let early = due
            .unwrap_or(Duration::MAX)
            .saturating_sub(self.start.elapsed());
        if !early.is_zero() {
            std::thread::sleep(early);
        }
    }
}
