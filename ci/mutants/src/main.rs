//! Weakens the source one place at a time and demands that the model named for it fails.
//!
//! `cargo run --manifest-path ci/mutants/Cargo.toml [NAME ...]` from the root of the project. All mutants
//! of `mutants.txt` go into one scratch copy, each behind a switch that an environment variable throws, so
//! there is one build; each mutant then is one run of one model. A panic, a race or a deadlock (which ends
//! the process) counts as caught; a run that takes longer than `LIMIT` or ends in loom's branch limit does
//! not. The copy has a target directory of its own, so that no mutated binary is ever taken for the real one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);
const SWITCH: &str = r#"
pub(crate) fn mutant(name: &str) -> bool {
    static ON: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    ON.get_or_init(|| std::env::var("RINGBUS_MUTANT").ok()).as_deref() == Some(name)
}
"#;

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

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let list = fs::read_to_string(root.join("ci/mutants/mutants.txt"))
        .map_err(|error| format!("cannot read the list of mutants: {error}"))?;
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mutants = parse(&list)?;
    let scratch = root.join("target/mutants");
    copy(&root, &scratch, &mutants)?;
    let binary = build(&scratch)?;

    let mut models: Vec<_> = mutants.iter().map(|mutant| &mutant.model).collect();
    models.sort();
    models.dedup();
    for model in models {
        let (caught, report) = check(&binary, model, None)?;
        if caught || !report.contains("1 passed") {
            return Err(format!(
                "model {model} must pass without a mutant:\n{report}"
            ));
        }
    }

    let mut survivors = 0;
    let mut count = 0;
    for mutant in &mutants {
        if !wanted.is_empty() && !wanted.contains(&mutant.name) {
            continue;
        }
        count += 1;
        let start = Instant::now();
        let (caught, report) = check(&binary, &mutant.model, Some(&mutant.name))?;
        let seconds = start.elapsed().as_secs_f32();
        let verdict = if caught { "caught" } else { "SURVIVED" };
        println!(
            "{verdict:<9} {:<28} by {:<44} {seconds:>6.1} s",
            mutant.name, mutant.model
        );
        if !caught {
            survivors += 1;
            println!("{report}");
        }
    }
    println!("{count} mutants, {survivors} survived");
    Ok(survivors == 0 && count > 0)
}

/// Entries of `= name`, `model: path`, `file: path`, then `-` lines replaced by `+` lines; `MUTANT` in
/// a `+` line is the switch.
fn parse(list: &str) -> Result<Vec<Mutant>, String> {
    let mut mutants: Vec<Mutant> = Vec::new();
    let mut file = String::new();
    let mut adding = false;
    for (number, line) in list.lines().enumerate() {
        let fault = |what: &str| format!("mutants.txt:{}: {what}", number + 1);
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
        if let Some(model) = line.strip_prefix("model: ") {
            mutant.model = format!("models::{model}");
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
            let switch = format!("crate::sync::mutant(\"{}\")", mutant.name);
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

/// Copies the crate and applies every edit; each must stand in its file once, but for white space.
fn copy(root: &Path, scratch: &Path, mutants: &[Mutant]) -> Result<(), String> {
    let failed = |what: &str, error: std::io::Error| format!("cannot {what}: {error}");
    let source = scratch.join("src");
    if source.exists() {
        fs::remove_dir_all(&source).map_err(|error| failed("clear the copy", error))?;
    }
    copy_dir(&root.join("src"), &source).map_err(|error| failed("copy the source", error))?;
    let manifest = fs::read_to_string(root.join("Cargo.toml"))
        .map_err(|error| failed("read Cargo.toml", error))?;
    let library: Vec<_> = manifest
        .split("\n\n")
        .filter(|section| {
            ["[package]", "[dependencies]", "[target."]
                .iter()
                .any(|kept| section.starts_with(kept))
        })
        .collect();
    let manifest = format!("{}\n\n[workspace]\n", library.join("\n\n"));
    fs::write(scratch.join("Cargo.toml"), manifest)
        .map_err(|error| failed("write the copy's Cargo.toml", error))?;
    fs::write(scratch.join("README.md"), "").map_err(|error| failed("write README.md", error))?;

    for mutant in mutants {
        for edit in &mutant.edits {
            let path = source.join(&edit.file);
            let text = fs::read_to_string(&path)
                .map_err(|error| failed(&format!("read {}", edit.file), error))?;
            let text = replace_once(&text, &edit.from, &edit.to)
                .map_err(|error| format!("{}: {}: {error}", mutant.name, edit.file))?;
            fs::write(&path, text).map_err(|error| failed("write a mutant", error))?;
        }
    }
    let sync = source.join("sync/mod.rs");
    let text = fs::read_to_string(&sync).map_err(|error| failed("read sync/mod.rs", error))?;
    fs::write(&sync, text + SWITCH).map_err(|error| failed("write the switch", error))
}

fn copy_dir(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
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

/// Builds the models of the copy; the path of their binary.
fn build(scratch: &Path) -> Result<PathBuf, String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "test",
            "--release",
            "--lib",
            "--no-run",
            "--message-format=json",
        ])
        .current_dir(scratch)
        .env("RUSTFLAGS", "--cfg ringbus_loom --cap-lints allow")
        .env("CARGO_TARGET_DIR", scratch.join("target"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err("the mutated copy must build".to_owned());
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    messages
        .lines()
        .rev()
        .filter_map(|line| line.split_once("\"executable\":\""))
        .find_map(|(_, rest)| rest.split_once('"'))
        .map(|(path, _)| PathBuf::from(path))
        .ok_or_else(|| "cargo named no test binary".to_owned())
}

/// Runs one model; whether it failed in a way that counts, and what it said.
fn check(binary: &Path, model: &str, mutant: Option<&str>) -> Result<(bool, String), String> {
    let mut command = Command::new(binary);
    command
        .args([model, "--exact"])
        .env_remove("RINGBUS_MUTANT")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(mutant) = mutant {
        command.env("RINGBUS_MUTANT", mutant);
    }
    let failed = |error: std::io::Error| format!("cannot run {model}: {error}");
    let mut child = command.spawn().map_err(failed)?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            let Output { stdout, stderr, .. } = child.wait_with_output().map_err(failed)?;
            let report =
                String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
            let cut_short = report.contains("maximum number of branches");
            return Ok((!status.success() && !cut_short, report));
        }
        if start.elapsed() > LIMIT {
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
            return Ok((false, format!("{model} took longer than {LIMIT:?}")));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
