//! Hands the versions of the peers, as Cargo resolved them, and of the compiler to the report.

use std::path::Path;
use std::process::Command;

fn main() {
    let manifest_dir = std::env::var("CARGO_MANIFEST_DIR").expect("Cargo sets CARGO_MANIFEST_DIR");
    let lock = Path::new(&manifest_dir).join("Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    println!("cargo::rerun-if-changed=build.rs");

    // A build with `--lockfile-path` has no lock file here; the report then says so.
    let text = std::fs::read_to_string(&lock).unwrap_or_default();
    let mut versions = Vec::new();
    let mut name = None;
    for line in text.lines() {
        if let Some(value) = quoted(line, "name = ") {
            name = Some(value);
        } else if let Some(version) = quoted(line, "version = ") {
            // The file's own format version comes before the first name and has none.
            if let Some(name) = name.take() {
                versions.push(format!("{name} {version}"));
            }
        }
    }
    println!("cargo::rustc-env=RESOLVED_VERSIONS={}", versions.join(","));

    let rustc = std::env::var("RUSTC").expect("Cargo sets RUSTC");
    let output = Command::new(rustc).arg("--version").output();
    let version = output.expect("the compiler runs").stdout;
    let version = String::from_utf8_lossy(&version);
    println!("cargo::rustc-env=RUSTC_VERSION={}", version.trim());
}

fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix('"')?.strip_suffix('"')
}
