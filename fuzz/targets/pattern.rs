//! Any two texts as a pattern and a name.
#![no_main]

#[path = "../../tests/properties/pattern.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (pattern, name) = text.split_once('\n').unwrap_or((&text, ""));
    property::check(pattern, name);
});
