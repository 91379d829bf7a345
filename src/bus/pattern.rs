//! Patterns of topic names.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::channel::MAX_NAME;

/// A pattern of topic names, in tokens between dots, as NATS has them.
///
/// | token | matches                                        |
/// |-------|------------------------------------------------|
/// | `*`   | any one token                                  |
/// | `>`   | one or more tokens, to the end; only the last  |
/// | other | the same token, byte by byte                   |
///
/// A pattern has no empty token, and a wildcard is a whole token. A topic's name may be anything, so this
/// is what a pattern makes of it: a name is split at its dots, whatever comes of that. An empty token of a
/// name is a token, which only wildcards match. `*` and `>` in a name are characters like others: no other
/// token names them, and wildcards match them.
///
/// ```
/// use ringbus::Pattern;
///
/// let pattern: Pattern = "md.*.btcusdt".parse()?;
/// assert!(pattern.matches("md.spot.btcusdt"));
/// assert!(!pattern.matches("md.btcusdt"));
/// assert!(!pattern.matches("md.spot.binance.btcusdt"));
///
/// let below = Pattern::new("md.>")?;
/// assert!(below.matches("md.spot") && below.matches("md.spot.btcusdt"));
/// assert!(!below.matches("md"));
///
/// let error = Pattern::new("md.b*").unwrap_err();
/// assert_eq!((error.position(), error.to_string()), (4, "`*` at byte 4 is not a whole token".to_string()));
/// # Ok::<(), ringbus::PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(Box<str>);

/// What is wrong with a pattern, and where: positions are bytes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternError {
    /// A token is empty: the pattern is, or begins or ends with a dot, or has two of them together.
    #[error("empty token at byte {0}")]
    EmptyToken(usize),
    /// A wildcard is part of a longer token.
    #[error("`{wildcard}` at byte {position} is not a whole token")]
    #[non_exhaustive]
    PartOfToken {
        /// The wildcard.
        wildcard: char,
        /// Where it is.
        position: usize,
    },
    /// Something follows the token `>`.
    #[error("`>` at byte {0} is not the last token")]
    NotLast(usize),
    /// The pattern is longer than [`MAX_NAME`], at which byte this points.
    #[error("pattern must have at most {MAX_NAME} bytes, got {0}")]
    TooLong(usize),
}

impl PatternError {
    /// The byte of the pattern at which the fault is.
    pub fn position(&self) -> usize {
        match *self {
            Self::EmptyToken(position)
            | Self::PartOfToken { position, .. }
            | Self::NotLast(position) => position,
            Self::TooLong(_) => MAX_NAME,
        }
    }
}

impl Pattern {
    /// A pattern, if `text` is one.
    ///
    /// # Errors
    ///
    /// With the position of the first fault.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let mut position = 0;
        let mut open_end = None;
        for token in text.split('.') {
            if let Some(position) = open_end {
                return Err(PatternError::NotLast(position));
            }
            if token.is_empty() {
                return Err(PatternError::EmptyToken(position));
            }
            if token == ">" {
                open_end = Some(position);
            } else if token != "*"
                && let Some(at) = token.find(['*', '>'])
            {
                return Err(PatternError::PartOfToken {
                    wildcard: char::from(token.as_bytes()[at]),
                    position: position + at,
                });
            }
            position += token.len() + 1;
        }
        if text.len() > MAX_NAME {
            return Err(PatternError::TooLong(text.len()));
        }
        Ok(Self(text.into()))
    }

    /// Whether a topic of this name is one of those the pattern means.
    pub fn matches(&self, name: &str) -> bool {
        let mut tokens = name.split('.');
        for wanted in self.0.split('.') {
            match (wanted, tokens.next()) {
                (_, None) => return false,
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(token)) if wanted == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::new(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
