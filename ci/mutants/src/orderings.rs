//! Every ordering stronger than Relaxed, and every barrier, made weaker one at a time.
//!
//! The sites are found in the source, so none is forgotten. `orderings.txt` has a line for each mutant:
//!
//! ```text
//! file function n From->To | model                   this model fails when the mutant is on
//! file function n From->To | model without OTHER; .. as above while other mutants are on, with which alone
//!                                                    the model passes
//! file function n From->To | none: reason            no model can catch it, and why
//! ```
//!
//! The others are for barriers that are fences in a model and nothing in production: one that a model does not
//! need can hide there what production needs.
//!
//! A mutant without a line, a line without a mutant, and a model that does not fail are errors.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use crate::pieces::{Done, Shard, in_parallel};
use crate::scratch::{self, Checker, Models, Scratch};

/// How long a model may take to fail.
const LIMIT: Duration = Duration::from_secs(60);

/// What stands for no barrier.
const NOTHING: &str = "nothing";

/// Files that are not of a protocol, or stand for what is behind `sync`.
const LEFT_OUT: [&str; 4] = [
    "models/",
    "sync/native.rs",
    "sync/modelled.rs",
    "sync/barrier.rs",
];

/// One place made weaker.
#[derive(Debug)]
struct Site {
    file: String,
    line: usize,
    /// Where the token begins and what it is; the whole line for a barrier.
    column: usize,
    from: &'static str,
    /// What stands there instead, each a mutant of its own, with its name.
    weaker: Vec<(String, &'static str)>,
}

/// What catches a mutant.
#[derive(Debug)]
struct Catch {
    model: String,
    /// Other mutants that are on.
    without: Vec<String>,
}

impl Catch {
    fn parse(text: &str) -> Self {
        let (model, without) = match text.split_once(" without ") {
            Some((model, without)) => (model, without.split("; ").map(str::to_owned).collect()),
            None => (text, Vec::new()),
        };
        Self {
            model: model.to_owned(),
            without,
        }
    }
}

/// Demands that each mutant is caught by the model that is written beside it.
pub(crate) fn verify(root: &Path, shard: Shard) -> Result<bool, String> {
    let sites = sites(root)?;
    let ledger = ledger(root)?;
    let names = names(&sites);
    let mut faults = Vec::new();
    for name in &names {
        if !ledger.contains_key(*name) {
            faults.push(format!("no line in orderings.txt: {name}"));
        }
    }
    let others = ledger.values().flatten().flat_map(|by| &by.without);
    for name in ledger.keys().chain(others) {
        if !names.contains(&name.as_str()) {
            faults.push(format!("no such place any more: {name}"));
        }
    }
    if !faults.is_empty() {
        return Err(faults.join("\n"));
    }

    let models = build(root, &sites)?;
    let done = Done::open(root, "orderings", "ci/mutants/orderings.txt", shard)?;
    let entries = shard.of(&ledger);
    let caught: Vec<_> = entries
        .iter()
        .filter_map(|(name, by)| Some((name.as_str(), by.as_ref()?)))
        .collect();
    let survivors = Mutex::new(Vec::new());
    in_parallel(&caught, |&(name, Catch { model, without })| {
        if done.contains(name) {
            return Ok(());
        }
        let mut on: Vec<&str> = without.iter().map(String::as_str).collect();
        if !on.is_empty() {
            models.must_pass(model, &on, LIMIT)?;
        }
        on.push(name);
        if models.run(model, &on, LIMIT)?.caught {
            return done.note(name);
        }
        lock(&survivors).push(format!("SURVIVED  {name} | {model}"));
        Ok(())
    })?;
    done.finish()?;
    let survivors = lock(&survivors);
    for survivor in survivors.iter() {
        println!("{survivor}");
    }
    println!(
        "{} orderings and barriers weakened, {} caught, {} argued, {} survived",
        entries.len(),
        caught.len() - survivors.len(),
        entries.len() - caught.len(),
        survivors.len()
    );
    Ok(survivors.is_empty() && !caught.is_empty())
}

/// Prints a line for each mutant that has none, with the first model that catches it; those that are known
/// to catch something in the same file are tried first. What was found before is not looked for again, so
/// this may be stopped and called once more.
pub(crate) fn find(root: &Path) -> Result<bool, String> {
    let sites = sites(root)?;
    let ledger = ledger(root)?;
    let models = build(root, &sites)?;
    let all = models.names()?;
    let unknown: Vec<_> = names(&sites)
        .into_iter()
        .filter(|name| !ledger.contains_key(*name))
        .collect();
    let known = ledger
        .iter()
        .filter_map(|(name, by)| Some((name.clone(), by.as_ref()?.model.clone())));
    let found = Mutex::new(known.collect::<Vec<_>>());
    in_parallel(&unknown, |&name| {
        let file = name.split(' ').next().unwrap_or_default();
        let known = lock(&found).clone();
        let mut order: Vec<_> = all.iter().collect();
        order.sort_by_key(|&model| {
            let here = known
                .iter()
                .any(|(other, by)| by == model && other.starts_with(file));
            (!here, !known.iter().any(|(_, by)| by == model))
        });
        for model in order {
            if models.run(model, &[name], LIMIT)?.caught {
                println!("{name} | {model}");
                lock(&found).push((name.to_owned(), model.clone()));
                return Ok(());
            }
        }
        println!("{name} | none: ");
        Ok(())
    })?;
    Ok(true)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn names(sites: &[Site]) -> Vec<&str> {
    let weaker = sites.iter().flat_map(|site| &site.weaker);
    weaker.map(|(name, _)| name.as_str()).collect()
}

/// What catches each mutant; `None` where there is a reason instead.
fn ledger(root: &Path) -> Result<BTreeMap<String, Option<Catch>>, String> {
    let path = root.join("ci/mutants/orderings.txt");
    let text =
        fs::read_to_string(path).map_err(|error| format!("cannot read orderings.txt: {error}"))?;
    let mut ledger = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = |what: &str| format!("orderings.txt:{}: {what}", number + 1);
        let (name, by) = line
            .split_once(" | ")
            .ok_or_else(|| fault("no ` | ` between a mutant and its model"))?;
        let catch = match by.strip_prefix("none:").map(str::trim) {
            None => Some(Catch::parse(by)),
            Some("") => return Err(fault("`none` needs a reason")),
            Some(_) => None,
        };
        if ledger.insert(name.to_owned(), catch).is_some() {
            return Err(fault("a second line for the same mutant"));
        }
    }
    Ok(ledger)
}

/// Every site of the source.
fn sites(root: &Path) -> Result<Vec<Site>, String> {
    let source = root.join("src");
    let mut files = Vec::new();
    list(&source, &mut files).map_err(|error| format!("cannot list the source: {error}"))?;
    files.sort();
    let mut sites = Vec::new();
    for path in files {
        let file = path
            .strip_prefix(&source)
            .map_err(|error| error.to_string())?
            .to_string_lossy()
            .replace('\\', "/");
        if LEFT_OUT.iter().any(|left_out| file.starts_with(left_out)) {
            continue;
        }
        let text =
            fs::read_to_string(&path).map_err(|error| format!("cannot read {file}: {error}"))?;
        sites_of(&file, &text, &mut sites);
    }
    Ok(sites)
}

fn list(folder: &Path, files: &mut Vec<std::path::PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn sites_of(file: &str, text: &str, sites: &mut Vec<Site>) {
    let mut function = "";
    let mut numbers = BTreeMap::new();
    for (line, content) in text.lines().enumerate() {
        let code = content.split("//").next().unwrap_or_default();
        if let Some(name) = function_name(code) {
            function = name;
        }
        for (column, from, weaker) in tokens(code) {
            let number = numbers.entry(function.to_owned()).or_insert(0);
            *number += 1;
            let name = |to: &str| format!("{file} {function} {number} {from}->{to}");
            sites.push(Site {
                file: file.to_owned(),
                line,
                column,
                from,
                weaker: weaker.iter().map(|&to| (name(to), to)).collect(),
            });
        }
    }
}

fn function_name(code: &str) -> Option<&str> {
    let (before, after) = code.split_once("fn ")?;
    let is_word = before.is_empty() || before.ends_with([' ', '(']);
    let name = after.split(['(', '<']).next()?;
    (is_word && !name.is_empty() && !name.contains(' ')).then_some(name)
}

/// The orderings and barriers of one line: column, what, what is weaker.
fn tokens(code: &str) -> Vec<(usize, &'static str, &'static [&'static str])> {
    const ORDERINGS: [(&str, &[&str]); 4] = [
        ("Acquire", &["Relaxed"]),
        ("Release", &["Relaxed"]),
        ("AcqRel", &["Acquire", "Release"]),
        ("SeqCst", &["AcqRel"]),
    ];
    // A fence cannot be relaxed: it is there or not.
    if code.trim_start().starts_with("fence(Ordering::") {
        return vec![(0, "fence", &[NOTHING])];
    }
    let mut found = Vec::new();
    for (from, weaker) in ORDERINGS {
        let token = format!("Ordering::{from}");
        found.extend(
            code.match_indices(&token)
                .map(|(column, _)| (column, from, weaker)),
        );
    }
    found.sort_unstable();
    for barrier in ["light", "heavy"] {
        if code.trim_end().ends_with(&format!(".{barrier}();")) {
            found.push((0, barrier, &[NOTHING]));
        }
    }
    found
}

/// Builds a copy in which each mutant has its switch.
fn build(root: &Path, sites: &[Site]) -> Result<Models, String> {
    let copy = Scratch::new(root, "orderings", Checker::Loom)?;
    let mut files: BTreeMap<&str, Vec<&Site>> = BTreeMap::new();
    for site in sites {
        files.entry(&site.file).or_default().push(site);
    }
    for (file, sites) in files {
        copy.edit(file, |text| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            // From the end of a line to its start, so that columns stay.
            for site in sites.iter().rev() {
                let line = &mut lines[site.line];
                *line = weakened(line, site);
            }
            Ok(lines.join("\n") + "\n")
        })?;
    }
    copy.build()
}

fn weakened(line: &str, site: &Site) -> String {
    if let [(name, NOTHING)] = &site.weaker[..] {
        return format!("if !{} {{ {} }}", scratch::switch(name), line.trim());
    }
    let token = format!("Ordering::{}", site.from);
    let mut switched = String::from("(");
    for (name, to) in &site.weaker {
        switched += &format!("if {} {{ Ordering::{to} }} else ", scratch::switch(name));
    }
    switched += &format!("{{ {token} }})");
    let (before, after) = line.split_at(site.column);
    format!("{before}{switched}{}", &after[token.len()..])
}
