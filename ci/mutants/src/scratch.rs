//! A copy of the crate's source that is mutated, built once, and run once for each mutant.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
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
    checker: Checker,
}

/// The models of a mutated copy, or its tests on made-up schedules.
pub(crate) struct Models {
    binary: PathBuf,
    checker: Checker,
}

/// What runs the copy.
#[derive(Clone, Copy)]
pub(crate) enum Checker {
    /// The models of the library.
    Loom,
    /// Random programs and directed tests.
    Shuttle,
}

impl Checker {
    /// The cfg that chooses it.
    fn flags(self) -> &'static str {
        match self {
            Self::Loom => "--cfg ringbus_loom --cap-lints allow",
            Self::Shuttle => "--cfg ringbus_shuttle --cap-lints allow",
        }
    }

    /// What is built.
    fn target(self) -> &'static [&'static str] {
        match self {
            Self::Loom => &["--lib", "--all-features"],
            Self::Shuttle => &["--test", "programs"],
        }
    }

    /// Where the names of its tests begin.
    fn prefix(self) -> &'static str {
        match self {
            Self::Loom => "models::",
            Self::Shuttle => "",
        }
    }
}

/// How a model went.
pub(crate) struct Run {
    /// It failed, in a way that counts.
    pub(crate) caught: bool,
    pub(crate) report: String,
}

impl Scratch {
    /// Copies the library below `root` to `target/mutants/NAME`.
    pub(crate) fn new(root: &Path, name: &str, checker: Checker) -> Result<Self, String> {
        let folder = root.join("target/mutants").join(name);
        let source = folder.join(EDITED);
        clear(&source)?;
        copy_dir(&root.join("src"), &source).map_err(|error| failed("copy the source", error))?;
        let manifest = manifest_of(root)?;
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
        let tests = match checker {
            Checker::Loom => String::new(),
            Checker::Shuttle => copy_programs(root, &folder, &manifest_of(root)?)?,
        };
        let manifest = format!("{manifest}\n\n{tests}[lib]\nname = \"ringbus\"\n\n[workspace]\n");
        fs::write(folder.join("Cargo.toml"), manifest)
            .map_err(|error| failed("write the copy's Cargo.toml", error))?;
        fs::write(folder.join("README.md"), "")
            .map_err(|error| failed("write README.md", error))?;
        let scratch = Self { folder, checker };
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
            .args(["test", "--release", "--no-run", "--message-format=json"])
            .args(self.checker.target())
            .current_dir(&self.folder)
            .env("RUSTFLAGS", self.checker.flags())
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
                checker: self.checker,
            })
            .ok_or_else(|| "cargo named no test binary".to_owned())
    }
}

impl Models {
    /// The names of all models.
    pub(crate) fn names(&self) -> Result<Vec<String>, String> {
        let output = Command::new(&self.binary)
            .arg("--list")
            .output()
            .map_err(|error| failed("list the models", error))?;
        let list = String::from_utf8_lossy(&output.stdout);
        Ok(list
            .lines()
            .filter_map(|line| {
                line.strip_prefix(self.checker.prefix())?
                    .strip_suffix(": test")
            })
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
        // Random programs go on until one fails; without a mutant, for a moment.
        let seconds = if mutants.is_empty() { "5" } else { "90" };
        let mut command = Command::new(&self.binary);
        command
            .args([&format!("{}{model}", self.checker.prefix()), "--exact"])
            .env("RINGBUS_MUTANT", mutants.join(","))
            .env("RINGBUS_PROGRAMS_SECONDS", seconds)
            .env("RINGBUS_PROGRAMS_SIMPLIFY", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let failed = |error| failed(&format!("run {model}"), error);
        let mut child = command.spawn().map_err(failed)?;
        // Read all the time, or a long report would hold the child up.
        let report = [
            child.stdout.take().map(read_all),
            child.stderr.take().map(read_all),
        ];
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                let parts = report.into_iter().flatten();
                let report: String = parts
                    .map(|reading| reading.join().unwrap_or_default())
                    .collect();
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

/// All that a child says, as a thread reads it.
fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = from.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}

fn manifest_of(root: &Path) -> Result<String, String> {
    fs::read_to_string(root.join("Cargo.toml")).map_err(|error| failed("read Cargo.toml", error))
}

/// Copies the random programs; tells what the manifest needs for them.
fn copy_programs(root: &Path, folder: &Path, manifest: &str) -> Result<String, String> {
    let copied = |error| failed("copy the programs", error);
    let tests = folder.join("tests");
    clear(&tests)?;
    copy_dir(&root.join("tests/programs"), &tests.join("programs")).map_err(copied)?;
    fs::copy(root.join("tests/programs.rs"), tests.join("programs.rs")).map_err(copied)?;
    let mut lines = manifest.lines();
    let needed = lines.find(|line| line.starts_with("proptest = "));
    let needed = needed.ok_or("the programs need proptest")?;
    Ok(format!("[dev-dependencies]\n{needed}\n\n"))
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
