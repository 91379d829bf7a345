//! What a thread reads with.

use super::editor::Editing;
use super::group::GroupReader;
use super::program::Way;
use super::subscriber::Member;
use super::worker::Worker;
use super::world::Wait;

/// A subscriber, a member of a group, or an editor.
pub(crate) enum Handle {
    Subscriber(Member),
    Grouped(GroupReader),
    Editor(Editing),
}

impl Handle {
    /// Those that it comes after.
    pub(crate) fn after(&self) -> &[usize] {
        match self {
            Self::Subscriber(member) => &member.membership.place.after,
            Self::Grouped(reader) => &reader.after,
            Self::Editor(editing) => &editing.membership.place.after,
        }
    }

    /// Its number among those that others may come after.
    pub(crate) fn number(&self) -> Option<usize> {
        match self {
            Self::Subscriber(member) => Some(member.membership.place.number),
            Self::Editor(editing) => Some(editing.membership.place.number),
            Self::Grouped(_) => None,
        }
    }

    /// Whether others may wait for what only its reader does.
    pub(crate) fn holds_up(&self) -> bool {
        match self {
            Self::Subscriber(member) => member.is_lossless(),
            Self::Grouped(_) | Self::Editor(_) => true,
        }
    }

    pub(crate) fn wait(&self) -> Wait {
        let after = self.after().to_vec();
        match self {
            Self::Subscriber(member) if after.is_empty() => Wait::Event(member.name.clone()),
            Self::Subscriber(member) => Wait::Behind(member.name.clone(), after),
            Self::Editor(editing) => Wait::Behind(editing.name.clone(), after),
            Self::Grouped(reader) => Wait::Group(reader.group, after),
        }
    }

    pub(crate) fn read(&mut self, way: Way, worker: &mut Worker) {
        match self {
            Self::Subscriber(member) => member.read(way, worker),
            Self::Grouped(reader) => reader.read(way, worker),
            Self::Editor(editing) => editing.read(way, worker),
        }
    }

    pub(crate) fn is_told_closed(&self) -> bool {
        match self {
            Self::Subscriber(member) => member.is_told_closed(),
            Self::Grouped(reader) => reader.is_told_closed(),
            Self::Editor(editing) => editing.is_told_closed(),
        }
    }

    pub(crate) fn leave(self, worker: &mut Worker) {
        match self {
            Self::Subscriber(member) => worker.leave(member),
            Self::Grouped(reader) => reader.leave(worker),
            Self::Editor(editing) => editing.leave(worker),
        }
    }
}
