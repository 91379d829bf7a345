//! Patterns of names: what they match, and what is none.

#[path = "properties/pattern.rs"]
mod property;

use proptest::prelude::*;
use ringbus::{MAX_NAME, Pattern, PatternError};

#[track_caller]
fn assert_matches(pattern: &str, names: &[&str]) {
    let pattern = Pattern::new(pattern).unwrap();
    for name in names {
        assert!(pattern.matches(name), "{pattern} must match {name:?}");
    }
}

#[track_caller]
fn assert_misses(pattern: &str, names: &[&str]) {
    let pattern = Pattern::new(pattern).unwrap();
    for name in names {
        assert!(!pattern.matches(name), "{pattern} must not match {name:?}");
    }
}

#[test]
fn a_pattern_without_wildcards_matches_its_own_name_only() {
    assert_matches("md.spot", &["md.spot"]);
    assert_misses(
        "md.spot",
        &[
            "",
            "md",
            "spot",
            "md.spo",
            "md.spot.btc",
            "md.spot.",
            ".md.spot",
            "MD.SPOT",
            "md..spot",
        ],
    );
}

#[test]
fn a_star_matches_one_token_wherever_it_is() {
    assert_matches("*", &["md", "md-spot"]);
    assert_misses("*", &["md.spot"]);
    assert_matches("*.spot", &["md.spot"]);
    assert_matches("md.*.btcusdt", &["md.spot.btcusdt", "md.perp.btcusdt"]);
    assert_misses(
        "md.*.btcusdt",
        &[
            "md.btcusdt",
            "md.a.b.btcusdt",
            "md.spot.ethusdt",
            "md.spot",
            "md.spot.btcusdt.x",
        ],
    );
    assert_matches("*.*", &["a.b"]);
    assert_misses("*.*", &["a", "a.b.c"]);
}

#[test]
fn a_greater_than_matches_the_rest_if_there_is_one() {
    assert_matches(">", &["md", "md.spot", "a.b.c.d"]);
    assert_matches("md.>", &["md.spot", "md.spot.btcusdt"]);
    assert_misses("md.>", &["md", "mdx.spot", "x.md.spot"]);
    assert_matches("*.*.>", &["a.b.c", "a.b.c.d"]);
    assert_misses("*.*.>", &["a.b"]);
}

#[test]
fn an_empty_token_of_a_name_is_a_token_that_only_wildcards_match() {
    assert_matches("*", &[""]);
    assert_matches("md.*", &["md."]);
    assert_matches("md.*.btc", &["md..btc"]);
    assert_matches("md.>", &["md.", "md.."]);
    assert_matches("*.md", &[".md"]);
    assert_misses("md.btc", &["md..btc", "md.btc.", ".md.btc"]);
}

#[test]
fn wildcard_characters_of_a_name_are_like_others() {
    assert_matches("md.*", &["md.*", "md.>", "md.a*b"]);
    assert_matches("md.>", &["md.*.>"]);
    assert_misses("md.spot", &["md.*", "md.>", "*.spot", ">"]);
}

#[test]
fn any_text_may_be_a_token() {
    assert_matches("für.*.€", &["für.ü.€"]);
    assert_misses("für.*.€", &["fur.ü.€"]);
    assert_matches("a b.*", &["a b.c d"]);
}

#[test]
fn what_is_no_pattern_is_refused_with_the_position_of_the_first_fault() {
    for (text, position, says) in [
        ("", 0, "empty token at byte 0"),
        (".", 0, "empty token at byte 0"),
        (".md", 0, "empty token at byte 0"),
        ("md.", 3, "empty token at byte 3"),
        ("md..btc", 3, "empty token at byte 3"),
        ("md.>.", 3, "`>` at byte 3 is not the last token"),
        (">.md", 0, "`>` at byte 0 is not the last token"),
        ("md.>.>", 3, "`>` at byte 3 is not the last token"),
        ("md.b*", 4, "`*` at byte 4 is not a whole token"),
        ("**", 0, "`*` at byte 0 is not a whole token"),
        ("md.>>", 3, "`>` at byte 3 is not a whole token"),
        ("ü.a>", 4, "`>` at byte 4 is not a whole token"),
        ("a*..b>", 1, "`*` at byte 1 is not a whole token"),
    ] {
        let error = Pattern::new(text).unwrap_err();
        assert_eq!(
            (error.position(), error.to_string()),
            (position, says.to_string()),
            "{text:?}"
        );
    }
    assert!(matches!(
        Pattern::new("x>").unwrap_err(),
        PatternError::PartOfToken {
            wildcard: '>',
            position: 1,
            ..
        }
    ));
}

#[test]
fn a_pattern_is_as_long_as_a_name_at_most() {
    let longest = "x".repeat(MAX_NAME);
    assert!(Pattern::new(&longest).unwrap().matches(&longest));
    let error = Pattern::new(&format!("{longest}x")).unwrap_err();
    assert_eq!(error, PatternError::TooLong(MAX_NAME + 1));
    assert_eq!(error.position(), MAX_NAME);
    assert_eq!(
        error.to_string(),
        "pattern must have at most 255 bytes, got 256"
    );
}

#[test]
fn a_pattern_reads_as_it_was_written() {
    let pattern: Pattern = "md.*.>".parse().unwrap();
    assert_eq!(
        (pattern.as_str(), pattern.to_string().as_str()),
        ("md.*.>", "md.*.>")
    );
    assert_eq!(format!("{pattern:>8}"), "  md.*.>");
}

proptest! {
    #[test]
    fn patterns_match_as_a_naive_matcher_does(
        pattern in "((a|b|ab|\\*)\\.){0,4}(a|b|\\*|>)",
        name in "[ab.]{0,9}",
    ) {
        Pattern::new(&pattern).unwrap();
        property::check(&pattern, &name);
    }

    #[test]
    fn a_text_is_a_pattern_or_refused_at_a_byte_of_it(text in "[ab.*>ü]{0,12}", name in "[ab.*>ü]{0,9}") {
        property::check(&text, &name);
    }

    #[test]
    fn any_text_is_a_pattern_or_refused(text in ".{0,300}", name in any::<String>()) {
        property::check(&text, &name);
    }

    #[test]
    fn a_pattern_matches_the_names_it_is_filled_to(
        tokens in prop::collection::vec("[a-z]{1,3}", 1..6),
        stars in prop::collection::vec(any::<bool>(), 6),
        rest in prop::option::of(1_usize..6),
    ) {
        let name = tokens.join(".");
        let mut pattern: Vec<_> = tokens.iter().zip(&stars).map(|(token, star)| if *star { "*" } else { token }).collect();
        if let Some(rest) = rest.filter(|rest| *rest <= pattern.len()) {
            let kept = pattern.len() - rest;
            pattern.truncate(kept);
            pattern.push(">");
        }
        prop_assert!(Pattern::new(&pattern.join(".")).unwrap().matches(&name));
    }
}
