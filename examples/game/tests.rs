//! What must hold for whole runs.

use std::path::Path;
use std::time::Duration;

use crate::event::{Clock, Goal, Input};
use crate::frames::Frames;
use crate::game;
use crate::generate;
use crate::recording::Recording;
use crate::report::Report;
use crate::simulation::STEP;

fn play(seed: u64, frames: Frames) -> Report {
    let report = game::run(generate::recording(seed), frames);
    assert!(report.holds(), "{report}");
    report
}

/// Whatever a run comes to, but for its frames.
fn end(report: &Report) -> (String, u64, u64, Vec<u64>) {
    let simulation = &report.simulation;
    (
        simulation.checksum.to_string(),
        simulation.steps,
        simulation.carried.turns,
        report.handled().map(|row| row.handled).collect(),
    )
}

#[test]
fn a_seed_gives_a_checksum() {
    let first = play(1, Frames::seeded(1));
    let again = play(1, Frames::seeded(1));
    let other = play(2, Frames::seeded(1));
    // Not only the end: the frames too.
    assert_eq!(first.to_string(), again.to_string());
    assert_ne!(
        first.simulation.checksum.to_string(),
        other.simulation.checksum.to_string()
    );
}

#[test]
fn frames_do_not_change_the_end() {
    let expected = end(&play(1, Frames::Even(STEP)));
    let lengths = [
        Duration::from_millis(1),
        STEP / 2 + Duration::from_nanos(1),
        STEP * 3,
        Duration::from_secs(1),
        Duration::from_secs(1000),
    ];
    for length in lengths {
        assert_eq!(end(&play(1, Frames::Even(length))), expected, "{length:?}");
    }
    for seed in 0..20 {
        assert_eq!(end(&play(1, Frames::seeded(seed))), expected, "seed {seed}");
    }
}

#[test]
fn every_event_is_handled_once() {
    for seed in 1..10 {
        let report = play(seed, Frames::seeded(seed));
        let published = report.published();
        for row in report.handled() {
            let of_kind = published.iter().find(|other| other.kind == row.kind);
            assert_eq!(of_kind.unwrap().published, row.handled, "{row:?}");
            assert_eq!(row.irregular, 0, "{row:?}");
        }
        let world = &report.simulation.world;
        assert_eq!(world.scoreboard.score, report.expected);
        assert_eq!(world.physics.strays, 0);
        assert_eq!(report.shown, 0);
    }
}

#[test]
fn the_made_up_match_shows_every_case() {
    let report = play(1, Frames::seeded(1));
    let counts = report.counts;
    assert!(
        counts.skipped > 0 && counts.several > 0 && counts.cut > 0,
        "{counts:?}"
    );
    assert!(report.simulation.carried.turns > 0);
    for row in report.published() {
        assert!(row.published > 0, "no {}", row.kind);
    }
}

#[test]
fn inputs_that_find_no_room_wait() {
    let inputs = || {
        let clock = |seconds| (Duration::ZERO, Input::Clock(Clock { seconds }));
        let goal = (Duration::ZERO, Input::Goal(Goal { team: 1 }));
        (0..5000).map(clock).chain([goal]).collect()
    };
    let ends = [Frames::Even(STEP), Frames::seeded(1), Frames::seeded(2)].map(|frames| {
        let inputs = inputs();
        let report = game::run(
            Recording {
                inputs,
                ..Recording::default()
            },
            frames,
        );
        assert!(report.holds(), "{report}");
        assert!(report.simulation.feed.held > 0);
        assert_eq!(report.simulation.world.scoreboard.seconds, 4999);
        end(&report)
    });
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
}

#[test]
fn a_match_without_events_is_over() {
    let report = game::run(Recording::default(), Frames::seeded(1));
    assert!(report.holds(), "{report}");
}

#[test]
fn what_is_no_replay_is_refused() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["Cargo.toml", "no such file", "src"] {
        let error = Recording::read(&root.join(file)).unwrap_err().to_string();
        assert!(error.starts_with("cannot read "), "{error}");
    }
}

#[test]
#[ignore = "needs RINGBUS_CAPTURES, a folder with rocketleague/b2a19.replay"]
fn a_recorded_match_ends_as_it_did() {
    let captures = std::env::var_os("RINGBUS_CAPTURES").expect("RINGBUS_CAPTURES is set");
    let file = Path::new(&captures).join("rocketleague/b2a19.replay");
    let run = |frames| {
        let report = game::run(Recording::read(&file).unwrap(), frames);
        assert!(report.holds(), "{report}");
        let world = &report.simulation.world;
        assert_eq!(world.scoreboard.score, report.expected);
        // A fifth record of a demolition is a repetition, for those who jump there.
        assert_eq!((world.scoreboard.demolitions, world.physics.strays), (4, 0));
        end(&report)
    };
    let expected = run(Frames::Even(STEP));
    for seed in 0..3 {
        assert_eq!(run(Frames::seeded(seed)), expected, "seed {seed}");
    }
}
