//! A bus with many topics: what each takes, and how long it takes to find one by its name.

use std::collections::HashMap;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use ringbus::Bus;

use crate::memory;
use crate::plan::Plan;
use crate::report::{Figure, Section};
use crate::shuffle::Shuffle;
use crate::solo::{self, Entry, Window};

const TOPICS: [usize; 3] = [10, 1_000, 100_000];

/// The names looked up in one window.
const LOOKUPS: usize = 1_000;

/// What 100,000 idle topics may take together, in bytes.
const MOST: f64 = 100e6;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let (mut entries, mut figures) = (Vec::new(), Vec::new());
    for count in TOPICS {
        let names: Rc<Vec<_>> = Rc::new((0..count).map(|n| format!("sensor/{n:06}")).collect());
        let (bus, bytes) = memory::measure(|| {
            let bus = Bus::new();
            for name in names.iter() {
                bus.topic_named::<u64>(name).expect("the name is new");
            }
            bus
        });
        let most = (count == 100_000).then_some(MOST);
        figures.push(Figure {
            what: format!("{count} idle topics, each with a name of 13 bytes, together"),
            value: bytes,
            unit: "bytes",
            at_most: most,
        });
        figures.push(Figure {
            what: format!("one of {count} idle topics"),
            value: bytes / count as f64,
            unit: "bytes",
            at_most: most.map(|most| most / count as f64),
        });
        let bus = Rc::new(bus);
        entries.push(Entry::new(
            format!("ringbus, 1 of {count}"),
            "Bus::topic_named",
            || {
                let bus = Rc::clone(&bus);
                looking_up(&names, move |name| {
                    drop(black_box(bus.topic_named::<u64>(name)));
                })
            },
        ));
        let map: HashMap<_, _> = names.iter().map(|n| (n.clone(), Arc::new(0_u64))).collect();
        let map = Rc::new(RwLock::new(map));
        entries.push(Entry::new(
            format!("control, 1 of {count}"),
            "RwLock<HashMap<String, Arc>>",
            || {
                let map = Rc::clone(&map);
                looking_up(&names, move |name| {
                    let map = map.read().expect("nobody panicked");
                    drop(black_box(map.get(name).cloned()));
                })
            },
        ));
    }
    let rows = solo::play(entries, plan);
    Section {
        title: "a bus with 10, 1,000, 100,000 idle topics: their memory, and a topic found by its name and type",
        unit: "ns per look-up of a random name; the handle that is found is dropped at once",
        rows,
        figures,
        ..Section::default()
    }
}

/// Returns a window that looks names up, in an order that no cache foresees.
fn looking_up(names: &Rc<Vec<String>>, look_up: impl Fn(&str) + 'static) -> Window {
    let names = Rc::clone(names);
    let mut shuffle = Shuffle::new(7);
    Box::new(move || {
        let picked: Vec<_> = (0..LOOKUPS)
            .map(|_| names[shuffle.below(names.len())].as_str())
            .collect();
        let start = Instant::now();
        picked.iter().for_each(|name| look_up(name));
        start.elapsed().as_secs_f64() * 1e9 / LOOKUPS as f64
    })
}
