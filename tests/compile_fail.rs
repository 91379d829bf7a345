//! Programs that must not compile, each for one reason.
//!
//! The expected messages are those of one compiler and differ from version to version, so the test runs
//! only where it is asked for: `cargo test --all-features --test compile_fail -- --ignored`. After an upgrade of the
//! compiler the same with `TRYBUILD=overwrite` writes them anew.

#[ignore = "the expected messages are those of one version of the compiler"]
#[test]
fn references_do_not_escape_and_threads_do_not_share_what_they_must_not() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
    if cfg!(feature = "services") {
        cases.compile_fail("tests/compile_fail/services/*.rs");
    }
}
