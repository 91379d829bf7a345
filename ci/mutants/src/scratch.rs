//! A copy of the crate's source that is mutated, built once, and run once for each mutant.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Where the copy is edited, beside what was built the last time.
const EDITED: &str = "src.edited";

const SWITCH: &str = r#"
pub(crate) fn mutant(name: &str) -> bool {
    static ON: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    ON.get_or_init(|| std::env::var("RINGBUS_MUTANT").unwrap_or_default())
        .split(',')
        .any(|on| on == name)
}
"#;

/// What stands in the mutated source where a mutant is switched on.
pub(crate) fn switch(mutant: &str) -> String {
    format!("crate::sync::mutant(\"{mutant}\")")
}

/// The copy. It has a name and a target directory of its own, so that no mutated binary is ever taken for
/// the real one.
pub(crate) struct Scratch {
    folder: PathBuf,
}

/// The models of a mutated copy.
pub(crate) struct Models {
    binary: PathBuf,
}

/// How a model went.
pub(crate) struct Run {
    /// It failed, in a way that counts.
    pub(crate) caught: bool,
    pub(crate) report: String,
}

impl Scratch {
    /// Copies the library below `root` to `target/mutants/NAME`.
    pub(crate) fn new(root: &Path, name: &str) -> Result<Self, String> {
        let folder = root.join("target/mutants").join(name);
        let source = folder.join(EDITED);
        clear(&source)?;
        copy_dir(&root.join("src"), &source).map_err(|error| failed("copy the source", error))?;
        let manifest = fs::read_to_string(root.join("Cargo.toml"))
            .map_err(|error| failed("read Cargo.toml", error))?;
        let library: Vec<_> = manifest
            .split("\n\n")
            .filter(|section| {
                ["[package]", "[features]", "[dependencies]", "[target."]
                    .iter()
                    .any(|kept| section.starts_with(kept))
            })
            .collect();
        let manifest = library.join("\n\n").replacen(
            "name = \"ringbus\"",
            &format!("name = \"ringbus-{name}\""),
            1,
        );
        let manifest = format!("{manifest}\n\n[lib]\nname = \"ringbus\"\n\n[workspace]\n");
        fs::write(folder.join("Cargo.toml"), manifest)
            .map_err(|error| failed("write the copy's Cargo.toml", error))?;
        fs::write(folder.join("README.md"), "")
            .map_err(|error| failed("write README.md", error))?;
        let scratch = Self { folder };
        scratch.edit("sync/mod.rs", |text| Ok(text.to_owned() + SWITCH))?;
        Ok(scratch)
    }

    /// Changes a file of the copy, named from `src`.
    pub(crate) fn edit(
        &self,
        file: &str,
        change: impl FnOnce(&str) -> Result<String, String>,
    ) -> Result<(), String> {
        let path = self.folder.join(EDITED).join(file);
        let text =
            fs::read_to_string(&path).map_err(|error| failed(&format!("read {file}"), error))?;
        fs::write(&path, change(&text)?).map_err(|error| failed("write a mutant", error))
    }

    /// Builds the models; not anew if nothing differs from the last time.
    pub(crate) fn build(&self) -> Result<Models, String> {
        let (edited, built) = (self.folder.join(EDITED), self.folder.join("src"));
        if is_same(&edited, &built) {
            clear(&edited)?;
        } else {
            clear(&built)?;
            fs::rename(&edited, &built).map_err(|error| failed("place the copy", error))?;
        }
        let output = Command::new(env!("CARGO"))
            .args([
                "test",
                "--release",
                "--lib",
                "--all-features",
                "--no-run",
                "--message-format=json",
            ])
            .current_dir(&self.folder)
            .env("RUSTFLAGS", "--cfg ringbus_loom --cap-lints allow")
            // Beside the copies: they share what they depend on, and differ in their names.
            .env("CARGO_TARGET_DIR", self.folder.join("../target"))
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| failed("run cargo", error))?;
        if !output.status.success() {
            return Err("the mutated copy must build".to_owned());
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        messages
            .lines()
            .rev()
            .filter_map(|line| line.split_once("\"executable\":\""))
            .find_map(|(_, rest)| rest.split_once('"'))
            .map(|(path, _)| Models {
                binary: PathBuf::from(path),
            })
            .ok_or_else(|| "cargo named no test binary".to_owned())
    }
}

impl Models {
    /// The names of all models, without `models::`.
    pub(crate) fn names(&self) -> Result<Vec<String>, String> {
        let output = Command::new(&self.binary)
            .arg("--list")
            .output()
            .map_err(|error| failed("list the models", error))?;
        let list = String::from_utf8_lossy(&output.stdout);
        Ok(list
            .lines()
            .filter_map(|line| line.strip_prefix("models::")?.strip_suffix(": test"))
            .map(str::to_owned)
            .collect())
    }

    /// Runs one model, in a process of its own, as a deadlock in a model ends its process. A panic, a race
    /// and a deadlock count as caught; a run that takes longer than `limit` or ends in loom's branch limit
    /// does not.
    pub(crate) fn run(
        &self,
        model: &str,
        mutants: &[&str],
        limit: Duration,
    ) -> Result<Run, String> {
        let mut command = Command::new(&self.binary);
        command
            .args([&format!("models::{model}"), "--exact"])
            .env("RINGBUS_MUTANT", mutants.join(","))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let failed = |error| failed(&format!("run {model}"), error);
        let mut child = command.spawn().map_err(failed)?;
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                let Output { stdout, stderr, .. } = child.wait_with_output().map_err(failed)?;
                let report = String::from_utf8_lossy(&stdout).into_owned()
                    + &String::from_utf8_lossy(&stderr);
                let cut_short = report.contains("maximum number of branches");
                return Ok(Run {
                    caught: !status.success() && !cut_short,
                    report,
                });
            }
            if start.elapsed() > limit {
                child.kill().map_err(failed)?;
                child.wait().map_err(failed)?;
                return Ok(Run {
                    caught: false,
                    report: format!("{model} took longer than {limit:?}"),
                });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Demands that a model passes.
    pub(crate) fn must_pass(
        &self,
        model: &str,
        mutants: &[&str],
        limit: Duration,
    ) -> Result<(), String> {
        let Run { caught, report } = self.run(model, mutants, limit)?;
        if caught || !report.contains("1 passed") {
            return Err(format!(
                "model {model} must pass with {mutants:?}:\n{report}"
            ));
        }
        Ok(())
    }
}

fn failed(what: &str, error: std::io::Error) -> String {
    format!("cannot {what}: {error}")
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

fn clear(folder: &Path) -> Result<(), String> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| failed("clear the copy", error))?;
    }
    Ok(())
}

/// Whether two folders have the same files; what cannot be read differs.
fn is_same(one: &Path, other: &Path) -> bool {
    let names = |folder: &Path| -> Option<BTreeSet<OsString>> {
        let entries = fs::read_dir(folder).ok()?;
        entries.map(|entry| Some(entry.ok()?.file_name())).collect()
    };
    if !one.is_dir() {
        return matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other);
    }
    names(one).is_some_and(|found| {
        names(other).as_ref() == Some(&found)
            && found
                .iter()
                .all(|name| is_same(&one.join(name), &other.join(name)))
    })
}
