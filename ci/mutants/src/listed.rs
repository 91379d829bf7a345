//! Mutants written by hand: what is weakened, and the model, or the test on made-up schedules, that must fail. See
//! `mutants.txt` and `scheduled.txt`.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::pieces::{Done, Shard, in_parallel};
use crate::scratch::{self, Checker, Run, Scratch};

const LIMIT: Duration = Duration::from_secs(120);

/// A list of mutants, and by what they are to be caught.
pub(crate) struct List {
    name: &'static str,
    file: &'static str,
    checker: Checker,
}

pub(crate) const MODELLED: List = List {
    name: "listed",
    file: "ci/mutants/mutants.txt",
    checker: Checker::Loom,
};

pub(crate) const SCHEDULED: List = List {
    name: "scheduled",
    file: "ci/mutants/scheduled.txt",
    checker: Checker::Shuttle,
};

struct Mutant {
    name: String,
    model: String,
    edits: Vec<Edit>,
}

struct Edit {
    file: String,
    from: String,
    to: String,
}

/// Runs the mutants of these names, or all of a shard; whether each was caught.
pub(crate) fn run(
    root: &Path,
    list: &List,
    wanted: &[String],
    shard: Shard,
) -> Result<bool, String> {
    let text = fs::read_to_string(root.join(list.file))
        .map_err(|error| format!("cannot read the list of mutants: {error}"))?;
    let mutants = parse(&text).map_err(|error| format!("{}:{error}", list.file))?;
    let copy = Scratch::new(root, list.name, list.checker)?;
    for mutant in &mutants {
        for edit in &mutant.edits {
            copy.edit(&edit.file, |text| {
                replace_once(text, &edit.from, &edit.to)
                    .map_err(|error| format!("{}: {}: {error}", mutant.name, edit.file))
            })?;
        }
    }
    let models = copy.build()?;
    let mutants: Vec<_> = if wanted.is_empty() {
        shard.of(&mutants)
    } else {
        let named = |mutant: &&Mutant| wanted.contains(&mutant.name);
        mutants.iter().filter(named).collect()
    };
    let done = match wanted {
        [] => Some(Done::open(root, list.name, list.file, shard)?),
        _ => None,
    };
    let is_done = |name: &str| done.as_ref().is_some_and(|done| done.contains(name));
    let left: Vec<_> = mutants
        .iter()
        .filter(|mutant| !is_done(&mutant.name))
        .collect();

    let mut needed: Vec<_> = left.iter().map(|mutant| &mutant.model).collect();
    needed.sort();
    needed.dedup();
    in_parallel(&needed, |model| models.must_pass(model, &[], LIMIT))?;

    let survivors = AtomicUsize::new(0);
    in_parallel(&left, |mutant| {
        let start = Instant::now();
        let Run { caught, report } = models.run(&mutant.model, &[&mutant.name], LIMIT)?;
        let seconds = start.elapsed().as_secs_f32();
        let verdict = if caught { "caught" } else { "SURVIVED" };
        println!(
            "{verdict:<9} {:<28} by {:<44} {seconds:>6.1} s",
            mutant.name, mutant.model
        );
        if !caught {
            survivors.fetch_add(1, Ordering::Relaxed);
            println!("{report}");
        } else if let Some(done) = &done {
            done.note(&mutant.name)?;
        }
        Ok(())
    })?;
    if let Some(done) = done {
        done.finish()?;
    }
    let survivors = survivors.into_inner();
    println!("{} mutants, {survivors} survived", mutants.len());
    Ok(survivors == 0 && !mutants.is_empty())
}

/// Entries of `= name`, `model: path` or `test: path`, `file: path`, then `-` lines replaced by `+` lines; `MUTANT` in
/// a `+` line is the switch.
fn parse(list: &str) -> Result<Vec<Mutant>, String> {
    let mut mutants: Vec<Mutant> = Vec::new();
    let mut file = String::new();
    let mut adding = false;
    for (number, line) in list.lines().enumerate() {
        let fault = |what: &str| format!("{}: {what}", number + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("= ") {
            mutants.push(Mutant {
                name: name.to_owned(),
                model: String::new(),
                edits: Vec::new(),
            });
            adding = true;
            continue;
        }
        let mutant = mutants.last_mut().ok_or_else(|| fault("no mutant begun"))?;
        let model = line.strip_prefix("model: ");
        if let Some(model) = model.or_else(|| line.strip_prefix("test: ")) {
            mutant.model = model.to_owned();
        } else if let Some(path) = line.strip_prefix("file: ") {
            file = path.to_owned();
            adding = true;
        } else if let Some(from) = line.strip_prefix("- ") {
            if adding {
                mutant.edits.push(Edit {
                    file: file.clone(),
                    from: String::new(),
                    to: String::new(),
                });
                adding = false;
            }
            let edit = mutant
                .edits
                .last_mut()
                .ok_or_else(|| fault("no edit begun"))?;
            push_line(&mut edit.from, from);
        } else if let Some(to) = line.strip_prefix("+ ") {
            let switch = scratch::switch(&mutant.name);
            let edit = mutant
                .edits
                .last_mut()
                .ok_or_else(|| fault("nothing to replace"))?;
            push_line(&mut edit.to, &to.replace("MUTANT", &switch));
            adding = true;
        } else {
            return Err(fault("not a line of a mutant"));
        }
    }
    Ok(mutants)
}

fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

/// Replaces the one place where `from` stands, line by line and whatever the indentation.
fn replace_once(text: &str, from: &str, to: &str) -> Result<String, String> {
    let wanted: Vec<_> = from.lines().map(str::trim).collect();
    let lines: Vec<_> = text.lines().collect();
    let places: Vec<_> = (0..=lines.len().saturating_sub(wanted.len()))
        .filter(|&at| {
            wanted
                .iter()
                .zip(&lines[at..])
                .all(|(wanted, line)| line.trim() == *wanted)
        })
        .collect();
    let [at] = places[..] else {
        return Err(format!(
            "stands {} times, must stand once: {from}",
            places.len()
        ));
    };
    let mut replaced = lines[..at].to_vec();
    replaced.push(to);
    replaced.extend(&lines[at + wanted.len()..]);
    Ok(replaced.join("\n") + "\n")
}
