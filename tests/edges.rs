//! The tables of edges say what the code says: at every ordering stronger than relaxed and at every barrier stands
//! which edge it is part of, and each edge has a row with these places and the model that needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The floors, lowest first: code names edges of its own floor and of those below.
const FLOORS: [&str; 6] = ["sync", "ring", "channel", "bus", "select", "services"];

/// What the protocols are written in: the orderings there are not of an edge.
const BELOW: [&str; 3] = ["sync/native.rs", "sync/modelled.rs", "sync/barrier.rs"];

const STRONGER: [&str; 4] = ["Acquire", "Release", "AcqRel", "SeqCst"];

/// One ordering or barrier, or several in one function that are part of the same edges.
#[derive(Debug)]
struct Place {
    at: String,
    /// `Type::function`.
    function: String,
    edges: Vec<String>,
    /// With what it pairs: the names of functions.
    partners: Vec<String>,
}

/// One row of a table.
#[derive(Debug)]
struct Edge {
    floor: usize,
    /// Where it is stored and loaded: `Type::function`.
    functions: BTreeSet<String>,
    models: Vec<String>,
    /// Why there is no model.
    reason: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// What stands between back quotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// `Type::{a, b}` is `Type::a` and `Type::b`.
fn spread(name: &str) -> Vec<String> {
    match name.split_once("::{") {
        Some((owner, rest)) => rest
            .trim_end_matches('}')
            .split(", ")
            .map(|function| format!("{owner}::{function}"))
            .collect(),
        None => vec![name.to_owned()],
    }
}

/// The word that a text begins with.
fn word(text: &str) -> &str {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    &text[..end.unwrap_or(text.len())]
}

fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

/// The type of an `impl`, if the line begins one.
fn implemented(line: &str) -> Option<&str> {
    let mut rest = line.strip_prefix("impl")?;
    if rest.starts_with('<') {
        let mut depth = 0;
        let end = rest.find(|letter| {
            depth += i32::from(letter == '<') - i32::from(letter == '>');
            depth == 0
        })?;
        rest = &rest[end + 1..];
    }
    Some(word(
        rest.split_once(" for ")
            .map_or(rest, |(_, owner)| owner)
            .trim(),
    ))
}

fn function(code: &str) -> Option<&str> {
    let (before, after) = code.split_once("fn ")?;
    let name = word(after);
    (!name.is_empty() && (before.is_empty() || before.ends_with(' '))).then_some(name)
}

/// Whether a line, without its comment, has an ordering or a barrier.
fn is_strong(code: &str) -> bool {
    let ordering = |name: &str| code.contains(&format!("Ordering::{name}"));
    let barrier = |name: &str| code.contains(&format!(".{name}();"));
    STRONGER.iter().any(|name| ordering(name))
        || ["light", "heavy"].iter().any(|name| barrier(name))
}

/// The comment on the statement that line `at` is of.
fn comment(lines: &[&str], at: usize) -> String {
    let mut first = at;
    while first > 0 {
        let above = lines[first - 1].trim();
        if above.starts_with("//") || above.is_empty() || above.ends_with([';', '{', '}']) {
            break;
        }
        first -= 1;
    }
    let begin = (0..first)
        .rev()
        .take_while(|&line| lines[line].trim().starts_with("// "))
        .last()
        .unwrap_or(first);
    let texts = lines[begin..first]
        .iter()
        .map(|line| line.trim().trim_start_matches("// "));
    texts.collect::<Vec<_>>().join(" ")
}

/// The places of one file, and what is wrong with their comments.
fn places(file: &str, text: &str, faults: &mut Vec<String>) -> Vec<Place> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut owner, mut here) = ("", "");
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        owner = implemented(code).unwrap_or(owner);
        if code.starts_with('}') {
            owner = "";
        }
        here = function(code).unwrap_or(here);
        if !is_strong(code) {
            continue;
        }
        let at = format!("{file}:{}", number + 1);
        let comment = comment(&lines, number);
        let Some((_, note)) = comment.split_once("ORDERING: edge") else {
            faults.push(format!("{at}: no edge is named"));
            continue;
        };
        let (edges, rest) = note.split_once(['.', ':']).unwrap_or((note, ""));
        let sentence = |text: &str| {
            let ends = [". ", ": ", "; "].map(|end| text.find(end));
            text[..ends.into_iter().flatten().min().unwrap_or(text.len())].to_owned()
        };
        let partners = match rest.split_once("airs with") {
            Some((_, partners)) => sentence(partners),
            None => sentence(rest.split_once("As in").map_or("", |(_, like)| like)),
        };
        let partners: Vec<String> = quoted(&partners)
            .iter()
            .map(|name| last(name).to_owned())
            .collect();
        if partners.is_empty() && !rest.contains("airs with itself") {
            faults.push(format!("{at}: no partner is named"));
        }
        found.push(Place {
            at,
            function: if owner.is_empty() {
                here.to_owned()
            } else {
                format!("{owner}::{here}")
            },
            edges: quoted(edges).iter().map(|&edge| edge.to_owned()).collect(),
            partners,
        });
    }
    found
}

/// The rows of a floor's table.
fn table(floor: usize, text: &str) -> Vec<(String, Edge)> {
    let rows = text.lines().skip_while(|line| *line != "//! # Edges");
    let rows = rows.take_while(|line| line.starts_with("//!"));
    rows.filter_map(|row| row.strip_prefix("//! | `"))
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [name, store, load, _, model, ""] = cells[..] else {
                panic!("an edge has five cells: {row}");
            };
            let places = [store, load].map(quoted).concat();
            let functions = places.iter().filter(|place| place.contains("::"));
            let edge = Edge {
                floor,
                functions: functions.flat_map(|place| spread(place)).collect(),
                models: quoted(model)
                    .iter()
                    .map(|&model| model.to_owned())
                    .collect(),
                reason: model.strip_prefix("none: ").unwrap_or_default().to_owned(),
            };
            (name.trim_end_matches('`').to_owned(), edge)
        })
        .collect()
}

/// Whether `src/models` has a test of this name.
fn is_model(name: &str) -> bool {
    name.split_once("::").is_some_and(|(file, name)| {
        let path = root().join("src/models").join(file).with_extension("rs");
        let function = format!("fn {name}(");
        fs::read_to_string(path).is_ok_and(|source| {
            source.split("#[test]").skip(1).any(|test| {
                test.lines()
                    .take(4)
                    .any(|line| line.trim().starts_with(&function))
            })
        })
    })
}

#[test]
fn code_and_tables_name_the_same_edges() {
    let mut faults = Vec::new();
    let mut edges: BTreeMap<String, Edge> = BTreeMap::new();
    let mut places_of_floors = Vec::new();
    for (floor, name) in FLOORS.iter().enumerate() {
        let folder = root().join("src").join(name);
        for (edge, row) in table(floor, &read(&folder.join("mod.rs"))) {
            assert!(!edges.contains_key(&edge), "two edges are called `{edge}`");
            edges.insert(edge, row);
        }
        for path in sources(&folder) {
            let file = path
                .strip_prefix(root().join("src"))
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/");
            if !BELOW.contains(&&*file) {
                let places = places(&file, &read(&path), &mut faults);
                places_of_floors.extend(places.into_iter().map(|place| (floor, place)));
            }
        }
    }

    let mut functions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (floor, place) in &places_of_floors {
        let at = &place.at;
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for edge in &place.edges {
            match edges.get(edge) {
                Some(row) if row.floor <= *floor => {
                    known.extend(row.functions.iter().map(|name| last(name)));
                    if row.floor == *floor {
                        functions.entry(edge).or_default().insert(&place.function);
                    }
                }
                _ => faults.push(format!("{at}: no table has the edge `{edge}`")),
            }
        }
        for partner in &place.partners {
            if !known.contains(&**partner) {
                faults.push(format!("{at}: `{partner}` is not of {:?}", place.edges));
            }
        }
    }
    for (name, edge) in &edges {
        let in_code = functions.remove(&**name).unwrap_or_default();
        let in_table: BTreeSet<&str> = edge.functions.iter().map(String::as_str).collect();
        if in_code != in_table {
            faults.push(format!(
                "edge `{name}`: code has {in_code:?}, table has {in_table:?}"
            ));
        }
        if edge.models.is_empty() || !edge.reason.is_empty() {
            if edge.reason.is_empty() {
                faults.push(format!("edge `{name}` has no model and does not say why"));
            }
            continue;
        }
        for model in edge.models.iter().filter(|model| !is_model(model)) {
            faults.push(format!("edge `{name}`: no model `{model}`"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(
        places_of_floors.len() > 50,
        "only {} places were found",
        places_of_floors.len()
    );
}

/// What `docs/orderings.md` begins with.
const TITLE: &str = "\
# Every ordering that is stronger than relaxed, and every barrier

An *edge* is what one thread does that another may rely on: a store or an exchange with release on one side, a load or
an exchange with acquire on the other. Where each side stores first and then loads what the other stores, a Dekker
pair, there are barriers between the two: `light` on the frequent side, `heavy` on the rare one. On Linux the heavy one
is `membarrier` and the light one is for the compiler alone; elsewhere, and in the models, both are fences.

A row says where the edge begins and ends, what travels along it, and which models of `src/models` fail when one of its
orderings is weakened. In the source each of these places says `// ORDERING: edge ...` and with what it pairs. What is in
no table is relaxed.

The tables are those of each floor's `mod.rs`, which are where to change them; `tests/edges.rs` holds them against the
source, and this page against them. `RINGBUS_UPDATE_DOCS=1 cargo test --test edges` writes it.
";

/// The tables of all floors, and what no model catches, from a `ledger`.
fn orderings(ledger: &str) -> String {
    let mut page = TITLE.to_owned();
    for name in FLOORS {
        let text = read(&root().join("src").join(name).join("mod.rs"));
        let rows = text.lines().skip_while(|line| *line != "//! # Edges");
        let rows: Vec<&str> = rows
            .skip(1)
            .take_while(|line| line.starts_with("//!") && !line.starts_with("//! # "))
            .map(|line| line.trim_start_matches("//!").trim())
            .collect();
        let table = rows.join("\n");
        if !table.trim().is_empty() {
            page += &format!("\n## {name}\n\n{}\n", table.trim());
        }
    }
    page += "\n## Weakened, and no model fails\n\n\
        What `ci/mutants` weakens and no model catches, with the argument for each, from `ci/mutants/orderings.txt`.\n\n\
        | place | weakened | why no model |\n|-------|----------|--------------|\n";
    for line in ledger.lines().filter(|line| !line.starts_with('#')) {
        if let Some((place, reason)) = line.split_once(" | none: ") {
            let (place, weakened) = place.rsplit_once(' ').expect("a place is weakened");
            page += &format!("| `{place}` | {weakened} | {reason} |\n");
        }
    }
    page
}

#[test]
fn the_page_of_orderings_is_that_of_the_tables() {
    let path = root().join("docs/orderings.md");
    let ledger = root().join("ci/mutants/orderings.txt");
    if !root().join(".ci").exists() {
        // The package that is published has the page without that.
        return;
    }
    let wanted = orderings(&read(&ledger));
    if std::env::var_os("RINGBUS_UPDATE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    assert!(
        read(&path) == wanted,
        "docs/orderings.md is not what the tables say: RINGBUS_UPDATE_DOCS=1 writes it"
    );
    for edge in ["`wake`", "`publish`", "`join`"] {
        assert!(wanted.contains(edge), "the page has the edge {edge}");
    }
}

#[test]
fn what_is_missing_is_found() {
    let text = "\
impl<T: Fn() -> u8> Lock for Slot<T> {
    fn bare(&self) {
        self.barrier.light();
    }
    fn alone(&self) {
        // ORDERING: edge `publish`. Carries the event.
        self.stamp.load(Ordering::Acquire);
    }
    fn whole(&self) {
        // ORDERING: edges `publish`, `end`. Pairs with the
        // store in `Slot::put`: and `more`.
        self.stamp
            .store(1, Ordering::Release);
        self.stamp.load(Ordering::Relaxed);
    }
}
fn free() {
    // ORDERING: edge `end`. As in `whole`.
    x.load(Ordering::SeqCst); // Ordering::Acquire
}
";
    let mut faults = Vec::new();
    let places = places("a.rs", text, &mut faults);
    assert_eq!(
        faults,
        ["a.rs:3: no edge is named", "a.rs:7: no partner is named"]
    );
    let functions: Vec<_> = places.iter().map(|place| &*place.function).collect();
    assert_eq!(functions, ["Slot::alone", "Slot::whole", "free"]);
    assert_eq!(places[1].edges, ["publish", "end"]);
    assert_eq!(places[1].partners, ["put"]);
    assert_eq!(places[2].partners, ["whole"]);

    let rows = table(
        0,
        "//! # Edges\n//!\n//! | edge | store | load | carries | model |\n//! |---|\n\
         //! | `end` | `closed`; heavy in `A::{b, c}` | `D::e` | it | `m::n`, `m::o` |\n//! | `far` | x | y | z | none: so |\n\n",
    );
    let [(name, end), (_, far)] = &rows[..] else {
        panic!("two rows are there: {rows:?}");
    };
    assert_eq!(name, "end");
    assert!(end.functions.iter().eq(["A::b", "A::c", "D::e"]));
    assert_eq!(
        (&end.models[..], &*far.reason),
        (&["m::n".to_owned(), "m::o".to_owned()][..], "so")
    );
    assert!(is_model("lossless::close_is_exact") && !is_model("lossless::close_is"));
}
