//! A value in words: no torn one is ever accepted, and none goes back.

use loom::thread;

use super::explore;
use crate::bus::Bus;
use crate::channel::words::Words;
use crate::sync::Arc;

/// A value of two words that tells its version twice.
fn value(version: u64) -> [u8; 16] {
    let mut value = [0; 16];
    value[..8].copy_from_slice(&version.to_ne_bytes());
    value[8..].copy_from_slice(&version.to_ne_bytes());
    value
}

fn load(words: &Words, last: &mut u64) {
    let mut loaded = [0; 16];
    if let Some(version) = words.try_load(&mut loaded) {
        assert_eq!(loaded, value(version), "a torn value was accepted");
        assert!(version >= *last, "a version went back");
        *last = version;
    }
}

/// The writer comes round to the cell that the reader loads.
#[test]
fn two_cells() {
    explore(Some(4), || {
        let words = Arc::new(Words::new(2, 0, &value(0)));
        let writer = {
            let words = Arc::clone(&words);
            thread::spawn(move || {
                for version in 1..=3 {
                    words.store(version, &value(version));
                }
            })
        };
        let mut last = 0;
        load(&words, &mut last);
        load(&words, &mut last);
        writer.join().unwrap();
        last = 3;
        load(&words, &mut last);
        assert_eq!(last, 3);
    });
}

/// Who has loaded the word alone finds that value, or a newer one, in the cell.
#[test]
fn word_then_cell() {
    explore(None, || {
        let words = Arc::new(Words::new(2, 0, &0_u64.to_ne_bytes()));
        let writer = {
            let words = Arc::clone(&words);
            thread::spawn(move || words.store(1, &1_u64.to_ne_bytes()))
        };
        let (mut word, mut value) = ([0; 8], [0; 8]);
        words.load_first(&mut word);
        let version = words
            .try_load(&mut value)
            .expect("one store does not come round");
        let [word, value] = [word, value].map(u64::from_ne_bytes);
        assert_eq!(version, value);
        assert!(word <= value, "the cell is behind the word");
        writer.join().unwrap();
    });
}

/// The copies are made in the order of the versions, whoever sets.
#[test]
fn two_setters_one_order() {
    explore(Some(2), || {
        let bus = Bus::new();
        let state = bus.state(0_u64).unwrap();
        let reader = state.plain_reader();
        let setters: Vec<_> = (0..2)
            .map(|_| {
                let state = state.clone();
                thread::spawn(move || state.set(1).unwrap())
            })
            .collect();
        let (_, seen) = reader.get();
        let last = setters
            .into_iter()
            .map(|setter| setter.join().unwrap())
            .max();
        let (value, version) = reader.get();
        assert!(seen <= version);
        assert_eq!((Some(version), value), (last, 1));
    });
}
