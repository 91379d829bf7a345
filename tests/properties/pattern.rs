//! What holds of every text as a pattern and every text as a name. `tests/pattern.rs` asks it of random ones, and
//! `fuzz` of those that a fuzzer comes to.

use ringbus::{MAX_NAME, Pattern};

/// Whether a text is a pattern, token by token.
fn is_pattern(text: &str) -> bool {
    let tokens: Vec<_> = text.split('.').collect();
    let whole = |token: &&str| match *token {
        "" => false,
        "*" | ">" => true,
        token => !token.contains(['*', '>']),
    };
    let last = tokens.len() - 1;
    text.len() <= MAX_NAME
        && tokens.iter().all(whole)
        && tokens
            .iter()
            .position(|token| *token == ">")
            .is_none_or(|at| at == last)
}

/// Whether a pattern matches, as the table in the documentation says it, by recursion over tokens.
fn matches(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([">"], [_, ..]) => true,
        (["*", pattern @ ..], [_, name @ ..]) => matches(pattern, name),
        ([wanted, pattern @ ..], [token, name @ ..]) => wanted == token && matches(pattern, name),
        _ => false,
    }
}

/// # Panics
///
/// When `text` is a pattern and refused, or none and taken; when what it says of itself or of `name` is wrong.
pub(crate) fn check(text: &str, name: &str) {
    let pattern = match Pattern::new(text) {
        Ok(pattern) => pattern,
        Err(error) => {
            assert!(!is_pattern(text), "{text:?} was refused: {error}");
            let position = error.position();
            assert!(position <= text.len(), "{position} is behind {text:?}");
            if text.len() <= MAX_NAME {
                assert!(text.is_char_boundary(position), "{position} in {text:?}");
                assert!(error.to_string().contains(&format!("byte {position}")));
            }
            return;
        }
    };
    assert!(is_pattern(text), "{text:?} was taken");
    assert_eq!(pattern.as_str(), text);
    assert_eq!(text.parse(), Ok(pattern.clone()));
    let split = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (tokens, of_name) = (split(text), split(name));
    let tokens: Vec<_> = tokens.iter().map(String::as_str).collect();
    let of_name: Vec<_> = of_name.iter().map(String::as_str).collect();
    assert_eq!(
        pattern.matches(name),
        matches(&tokens, &of_name),
        "{text:?} and {name:?}"
    );
    // Wildcards match themselves, so a pattern matches its own text.
    assert!(pattern.matches(text), "{text:?} and itself");
}
