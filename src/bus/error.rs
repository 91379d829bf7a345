//! What can go wrong when a topic is opened.

use thiserror::Error;

use crate::channel::{MAX_CAPACITY, MAX_NAME, PublisherError};
use crate::ring::MAX_SEQUENCE;

/// Why a topic was not opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TopicError {
    /// The name is empty or longer than [`MAX_NAME`] bytes.
    #[error("topic name must have 1 to {MAX_NAME} bytes, got {0}")]
    Name(usize),
    /// The capacity is 0 or beyond [`MAX_CAPACITY`].
    #[error("capacity must be 1 to {MAX_CAPACITY} events, got {0}")]
    Capacity(usize),
    /// More events are to be retained than the topic has capacity for.
    #[error("a topic of capacity {capacity} can retain at most {capacity} events, not {retain}")]
    #[non_exhaustive]
    Retain {
        /// The number that was asked for.
        retain: usize,
        /// The topic's capacity.
        capacity: usize,
    },
    /// The topic is to grow to less than its capacity.
    #[error("a topic of capacity {capacity} cannot grow to {grow_to}")]
    #[non_exhaustive]
    GrowTo {
        /// The number that was asked for.
        grow_to: usize,
        /// The topic's capacity.
        capacity: usize,
    },
    /// The topic is to grow and to retain events for later subscribers.
    #[error("a topic that grows cannot retain events")]
    GrowRetaining,
    /// The topic is to grow and to be on a timeline.
    #[error("a topic that grows is on no timeline")]
    GrowTimeline,
    /// The topic is to grow and to have editors.
    #[error("a topic that grows takes no editors")]
    GrowEdited,
    /// The topic is to grow and to move what is missed to another one.
    #[error("a topic that grows moves no missed events")]
    GrowMissed,
    /// Lanes are to move what is missed to a topic.
    #[error("lanes move no missed events")]
    MissedLanes,
    /// The topic is to move what is missed to another one, and is open already.
    #[error("topic is open already, where its missed events go was decided then")]
    MissedOpen,
    /// The topic that missed events are to go to takes none.
    #[error("the topic for missed events takes none: {0}")]
    MissedLetters(PublisherError),
    /// The first sequence is beyond the last one there is.
    #[error("first sequence must be below {MAX_SEQUENCE}, got {0}")]
    FirstSequence(u64),
    /// The name of an editor is empty or longer than [`MAX_NAME`] bytes.
    #[error("editor name must have 1 to {MAX_NAME} bytes, got {0}")]
    EditorName(usize),
    /// A topic with editors is on no timeline.
    #[error("topic on a timeline takes no editors")]
    EditedTimeline,
    /// The topic is open already, and its editors are with whoever opened it.
    #[error("topic is open already, its editors were given to whoever opened it")]
    Open,
    /// More patterns that lossy subscribers follow match its name than a ring of its capacity has room for.
    #[error(
        "topic takes at most {0} lossy subscribers, and more follow its name; a larger capacity takes more"
    )]
    TooManyLossy(u64),
    /// The topic is open already, with other settings.
    #[error(
        "topic {} is open with another {setting}: {existing}, not {wanted}",
        called(.name.as_deref(), .type_name)
    )]
    #[non_exhaustive]
    Conflict {
        /// The topic's name; `None` for the one found by its type alone.
        name: Option<String>,
        /// The type of its events, as the compiler names it.
        type_name: &'static str,
        /// The setting that differs.
        setting: &'static str,
        /// Its value in the open topic.
        existing: String,
        /// The value that was asked for.
        wanted: String,
    },
}

/// What a topic is called in a sentence.
fn called(name: Option<&str>, type_name: &str) -> String {
    match name {
        Some(name) => format!("{name:?} of {type_name}"),
        None => format!("of {type_name}"),
    }
}
