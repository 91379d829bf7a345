//! A match, to be played.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::event::Input;
use crate::replay;

/// What happened in a match, and when.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    pub(crate) name: String,
    /// In order of time, which counts from the first.
    pub(crate) inputs: Vec<(Duration, Input)>,
    /// How the match ended by its own account.
    pub(crate) score: [u32; 2],
}

/// A file that is no match.
#[derive(Debug)]
pub(crate) struct RecordingError {
    file: PathBuf,
    reason: String,
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {}: {}", self.file.display(), self.reason)
    }
}

impl Recording {
    pub(crate) fn read(file: &Path) -> Result<Self, RecordingError> {
        let error = |what: &str, reason: String| RecordingError {
            file: file.to_owned(),
            reason: what.to_owned() + &uncapitalised(&reason),
        };
        let bytes = fs::read(file).map_err(|reason| error("", reason.to_string()))?;
        let name = file.file_name().unwrap_or(file.as_os_str());
        replay::parse(name.to_string_lossy().into_owned(), &bytes)
            .map_err(|reason| error("not a replay: ", reason.to_string()))
    }

    pub(crate) fn length(&self) -> Duration {
        self.inputs.last().map_or(Duration::ZERO, |&(at, _)| at)
    }
}

/// Other people's messages begin with a capital, and go on in ours.
fn uncapitalised(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().into_iter().flat_map(char::to_lowercase);
    first.chain(letters).collect()
}
