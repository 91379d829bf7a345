//! A long run in pieces: shards of it, and what an interrupted one has done already.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Every `of`-th mutant, beginning with number `this`, which counts from 1.
#[derive(Clone, Copy)]
pub(crate) struct Shard {
    this: usize,
    of: usize,
}

impl Shard {
    pub(crate) const WHOLE: Self = Self { this: 1, of: 1 };

    /// From a text like `2/3`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        text.split_once('/')
            .and_then(|(this, of)| Some((this.parse().ok()?, of.parse().ok()?)))
            .map(|(this, of)| Self { this, of })
            .filter(|shard| (1..=shard.of).contains(&shard.this))
            .ok_or_else(|| format!("a shard is K/N with K from 1 to N, not {text}"))
    }

    pub(crate) fn of<T>(self, all: impl IntoIterator<Item = T>) -> Vec<T> {
        all.into_iter()
            .skip(self.this - 1)
            .step_by(self.of)
            .collect()
    }
}

/// The mutants that were caught, in a file below `target`: a run that was interrupted goes on behind them, unless
/// anything that it depends on has changed.
pub(crate) struct Done {
    path: PathBuf,
    before: BTreeSet<String>,
    file: Mutex<File>,
}

impl Done {
    /// What was done of the run of this kind: `list` is the file that says what catches each mutant.
    pub(crate) fn open(root: &Path, kind: &str, list: &str, shard: Shard) -> Result<Self, String> {
        let failed = |error| format!("cannot note what is done: {error}");
        let mut hash = DefaultHasher::new();
        for path in [list, "src", "Cargo.toml", "ci/mutants/src"] {
            digest(&root.join(path), &mut hash).map_err(failed)?;
        }
        let fingerprint = format!("{:016x}", hash.finish());
        let Shard { this, of } = shard;
        let folder = root.join("target/mutants");
        fs::create_dir_all(&folder).map_err(failed)?;
        let path = folder.join(format!("{kind}-{this}-of-{of}.done"));
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut lines = text.lines().map(str::to_owned);
        let before = match lines.next() {
            Some(first) if first == fingerprint => lines.collect(),
            _ => BTreeSet::new(),
        };
        let mut file = File::create(&path).map_err(failed)?;
        writeln!(file, "{fingerprint}").map_err(failed)?;
        for name in &before {
            writeln!(file, "{name}").map_err(failed)?;
        }
        if !before.is_empty() {
            println!("{} were caught before the interruption", before.len());
        }
        Ok(Self {
            path,
            before,
            file: Mutex::new(file),
        })
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.before.contains(name)
    }

    pub(crate) fn note(&self, name: &str) -> Result<(), String> {
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        writeln!(file, "{name}").map_err(|error| format!("cannot note {name}: {error}"))
    }

    /// The run came to its end: the next one is a whole one.
    pub(crate) fn finish(self) -> Result<(), String> {
        fs::remove_file(&self.path).map_err(|error| format!("cannot forget the run: {error}"))
    }
}

fn digest(path: &Path, hash: &mut DefaultHasher) -> std::io::Result<()> {
    hash.write(path.as_os_str().as_encoded_bytes());
    if path.is_dir() {
        let entries = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
        let mut paths = entries.collect::<Result<Vec<_>, _>>()?;
        paths.sort();
        return paths.iter().try_for_each(|path| digest(path, hash));
    }
    hash.write(&fs::read(path)?);
    Ok(())
}

/// Does something for each of `items`, on as many threads as there are processors.
pub(crate) fn in_parallel<T: Sync>(
    items: &[T],
    each: impl Fn(&T) -> Result<(), String> + Sync,
) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let worker = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            each(item)?;
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err("a worker panicked".into()))
        })
    })
}
