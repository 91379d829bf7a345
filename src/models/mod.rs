//! The protocols under the model checker: `RUSTFLAGS="--cfg ringbus_loom" cargo test --release --lib`.
//!
//! Each model is small enough for seconds; its preemption bound is written beside it. No model retries in
//! a loop: what is refused is given up, so that every execution ends. `ci/mutants` weakens the source one
//! place at a time and demands that the model named there fails.

mod filled;
mod group;
mod growing;
mod join;
#[cfg(feature = "rate-limit")]
mod limits;
mod lossless;
mod lossy;
mod merged;
mod missed;
mod observe;
#[cfg(feature = "plain")]
mod plain;
mod select;
#[cfg(feature = "services")]
mod services;
mod shared;
mod stages;
mod state;
mod timeline;
mod topic;
mod vouching;
mod wait;
#[cfg(feature = "services")]
mod workers;

use std::ops::Range;

use crate::ring::{Found, Obstacle, Reader, Ring, Shape, SoleWriter};
use crate::sync::{Arc, Barrier};

/// Runs a model with at most `preemptions` preemptive switches; `None` explores everything.
fn explore(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = std::sync::Arc::clone(&runs);
    let mut builder = loom::model::Builder::new();
    assert!(
        builder.max_duration.is_none() && builder.max_permutations.is_none(),
        "a model that is cut short proves nothing"
    );
    builder.preemption_bound = preemptions;
    // What is longer fails, so that a loop without an end is found; of what ends, some is longer than the 1000
    // of the default.
    builder.max_branches = 2_000;
    builder.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        model();
    });
    let runs = runs.load(std::sync::atomic::Ordering::Relaxed);
    let bound = preemptions.map(|most| format!("those of {most} preemptions"));
    println!("{runs} executions, {}", bound.as_deref().unwrap_or("all"));
    assert!(runs > 1, "a model with one execution has no concurrency");
}

fn ring<T>(capacity: u64, slots: u64) -> Arc<Ring<T>> {
    let shape = Shape {
        capacity,
        slots,
        first: 0,
    };
    Ring::new(shape, Barrier::of_process(), None)
}

/// Publishes one event if there is room.
fn publish(writer: &mut SoleWriter<u64>, event: u64) -> Result<u64, Obstacle> {
    let claimed = writer.claim(1)?;
    Ok(writer.ring().fill(claimed).write(event).0)
}

/// Publishes these events, the first one that there is no room for excepted and all after it; tells how many.
fn publish_until_full(writer: &mut SoleWriter<u64>, events: Range<u64>) -> u64 {
    events
        .take_while(|&event| publish(writer, event).is_ok())
        .count() as u64
}

/// Publishes one event if there is room, beside others.
fn publish_shared(ring: &Ring<u64>, event: u64) -> Result<u64, Obstacle> {
    let claimed = ring.claim_shared(1)?;
    Ok(ring.fill(claimed).write(event).0)
}

/// Reads until nothing is left.
fn read_all(reader: &mut Reader<u64>, seen: &mut Vec<(u64, u64, u64)>) {
    loop {
        let more = read(reader, 4);
        if more.is_empty() {
            return;
        }
        seen.extend(more);
    }
}

/// Everything a reader finds now: sequence, event, missed before it.
fn read(reader: &mut Reader<u64>, max: u64) -> Vec<(u64, u64, u64)> {
    let mut read = Vec::new();
    if reader.find(max) == Found::Some {
        reader.lend(|mut events| {
            while (read.len() as u64) < max
                && events
                    .next_with(|event, sequence, account| {
                        read.push((sequence, *event, account.take_missed()));
                    })
                    .is_some()
            {}
        });
    }
    read
}
