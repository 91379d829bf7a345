//! Two publishers of one topic and one reader, on two threads: the reader's thread publishes too.

use ringbus::WaitStrategy::{Park, Spin};

use crate::duet::{self, Channel, EVENTS, Entry, Lineup, only};
use crate::halves::{Both, Exchanging, Load, Receiver, Sending, TrySender};
use crate::peers::{
    MANY_TO_ONE, crossbeam, crossfire, disruptor, flume, kanal, mpsc, ringbus as ours, thingbuf,
};
use crate::plan::Plan;
use crate::report::{Section, Target};

/// Has both threads send, and the far one receive.
fn gathered<S, R>((sender, receiver): (S, R)) -> Channel
where
    S: TrySender + Clone + 'static,
    R: Receiver + 'static,
{
    let near = Sending::<_, 8>(sender.clone());
    Channel::new(near, Exchanging::new(Both(sender, receiver), 1))
}

/// As [`gathered`], by a lane for each.
fn by_lanes(wait: ringbus::WaitStrategy) -> Channel {
    let (near, far) = ours::two_lanes(wait);
    Channel::new(Sending::<_, 8>(near), Exchanging::new(far, 1))
}

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    #[rustfmt::skip]
    let lineup: Lineup = vec![
        ("ringbus", "one ring, poll", || gathered(only(ours::shared::<64>(Spin, 1)))),
        ("ringbus Park", "one ring, poll", || gathered(only(ours::shared::<64>(Park, 1)))),
        ("ringbus lanes", "a lane each, poll", || by_lanes(Spin)),
        ("ringbus lanes Park", "a lane each, poll", || by_lanes(Park)),
        ("disruptor multi", "publish, poll", || gathered(disruptor::multi::<{ disruptor::ALL }, true>())),
        ("disruptor multi", "publish, take(64)", || gathered(disruptor::multi::<64, true>())),
        ("crossbeam-channel", "try_send, try_recv", || gathered(crossbeam::trying())),
        ("crossfire mpsc", "try_send, try_recv", || gathered(crossfire::mpsc_trying())),
        ("std mpsc", "try_send, try_recv", || gathered(mpsc::trying())),
        ("thingbuf", "try_send_ref, try_recv_ref", || gathered(thingbuf::by_reference())),
        ("kanal", "try_send, try_recv", || gathered(kanal::one_by_one())),
        ("kanal", "try_send, drain_into", || gathered(kanal::draining())),
        ("flume", "try_send, try_recv", || gathered(flume::one_by_one())),
        ("flume", "try_send, drain", || gathered(flume::draining())),
    ];
    let entries = Entry::each(&lineup, Load::Flat);
    let rows = duet::play(&lineup, entries, EVENTS, plan);
    let held = [
        ("ringbus", 1.0),
        ("ringbus Park", 1.0),
        ("ringbus lanes", 0.5),
        ("ringbus lanes Park", 0.5),
    ];
    let targets = held.map(|(us, most)| Target::best(&rows, us, &MANY_TO_ONE, most));
    Section {
        title: "two publishers to one reader, one event at a time; one of them on the reader's thread",
        unit: "ns per event of each publisher",
        rows,
        targets: targets.into(),
        ..Section::default()
    }
}
