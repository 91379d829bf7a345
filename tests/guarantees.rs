//! The table of guarantees says what there is: every law has a test, and all that is named exists.

use std::fs;
use std::path::Path;

/// The laws, by number.
const LAWS: usize = 15;

/// One row of the table.
struct Row<'a> {
    law: &'a str,
    promise: &'a str,
    tests: Vec<&'a str>,
    models: Vec<&'a str>,
    gap: &'a str,
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between back quotes.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn row(line: &str) -> Row<'_> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let ["", law, promise, tests, models, gap, ""] = cells[..] else {
        panic!("a row has five cells: {line}");
    };
    Row {
        law,
        promise,
        tests: names(tests),
        models: names(models),
        gap,
    }
}

/// Whether `folder` has a test of this name.
fn is_test(folder: &str, name: &str) -> bool {
    let Some((file, name)) = name.split_once("::") else {
        panic!("{name} must be of the form file::name");
    };
    let source = read(&format!("{folder}/{file}.rs"));
    let function = format!("fn {name}(");
    source.split("#[test]").skip(1).any(|test| {
        test.lines()
            .take(4)
            .any(|line| line.trim().starts_with(&function))
    })
}

#[test]
fn every_law_has_a_test_and_everything_named_exists() {
    let table = read("docs/guarantees.md");
    let rows: Vec<Row<'_>> = table
        .lines()
        .filter(|line| line.starts_with("| L"))
        .map(row)
        .collect();
    let laws: Vec<&str> = rows.iter().map(|row| row.law).collect();
    let expected: Vec<String> = (1..=LAWS).map(|law| format!("L{law}")).collect();
    assert_eq!(laws, expected);
    for Row {
        law,
        promise,
        tests,
        models,
        gap,
    } in rows
    {
        assert!(!promise.is_empty(), "{law} promises nothing");
        assert!(!tests.is_empty(), "{law} has no test");
        for test in tests {
            assert!(is_test("tests", test), "{law}: no test {test}");
        }
        for model in &models {
            assert!(is_test("src/models", model), "{law}: no model {model}");
        }
        assert!(
            !models.is_empty() || !gap.is_empty(),
            "{law} has no model and does not say why"
        );
    }
}

#[test]
fn what_is_not_there_is_found_to_be_missing() {
    assert!(is_test(
        "tests",
        "guarantees::what_is_not_there_is_found_to_be_missing"
    ));
    assert!(!is_test("tests", "guarantees::every_law_has"));
    assert!(!is_test("tests", "guarantees::is_test"));
}
