//! Any bytes as a capture of the market example.
#![no_main]
#![allow(
    dead_code,
    reason = "of the example's modules only what a feed needs is used"
)]

#[path = "../../examples/market/any_bytes.rs"]
mod any_bytes;
#[path = "../../examples/market/bar.rs"]
mod bar;
#[path = "../../examples/market/book.rs"]
mod book;
#[path = "../../examples/market/capture.rs"]
mod capture;
#[path = "../../examples/market/event.rs"]
mod event;
#[path = "../../examples/market/fixed.rs"]
mod fixed;
#[path = "../../examples/market/message.rs"]
mod message;
#[path = "../../examples/market/oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    any_bytes::check(bytes);
});
