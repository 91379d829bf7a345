//! Of those who come after others: each saw an event when all before it were done with it, and what they did.

use std::collections::HashMap;

use super::check::{Log, Verdict, consumes, demand};
use super::event::edited;
use super::record::{Glance, Membership, Record, Sight, Sighting, Span};
use super::world::MOST_THREADS;

/// The subscribers and editors of a record, by their numbers.
pub(crate) struct Places<'a> {
    log: &'a Log<'a>,
    of_number: HashMap<usize, Seen<'a>>,
    /// In their order.
    editors: Vec<Seen<'a>>,
}

#[derive(Clone)]
struct Seen<'a> {
    member: &'a Membership,
    glances: HashMap<u64, &'a Glance>,
    /// For each call the last count that it moved.
    last_turns: HashMap<usize, u64>,
    /// Every event that it was done with is in the record.
    is_whole: bool,
}

impl<'a> Seen<'a> {
    fn of(member: &'a Membership) -> Self {
        let mut last_turns = HashMap::new();
        for glance in &member.place.glances {
            if let Some(turn) = glance.turn {
                let last = last_turns.entry(glance.call).or_insert(turn);
                *last = turn.max(*last);
            }
        }
        Self {
            member,
            glances: member
                .place
                .glances
                .iter()
                .map(|glance| (glance.id, glance))
                .collect(),
            last_turns,
            is_whole: !member.sightings.contains(&Sighting::Slipped),
        }
    }

    fn refuses(&self, id: u64) -> bool {
        self.member.sightings.contains(&Sighting::Refused(id))
    }

    fn consumes(&self, id: u64) -> bool {
        let mut all = self.member.sightings.iter();
        all.any(|sighting| consumes(sighting) == Some(id))
    }
}

impl<'a> Places<'a> {
    pub(crate) fn of(record: &'a Record, log: &'a Log<'a>) -> Self {
        let staged = record.members.iter().map(Seen::of);
        let of_number: HashMap<_, _> = staged
            .map(|seen| (seen.member.place.number, seen))
            .collect();
        let mut editors: Vec<_> = of_number
            .values()
            .filter(|seen| seen.member.place.editor.is_some())
            .cloned()
            .collect();
        editors.sort_by_key(|seen| seen.member.place.editor);
        Self {
            log,
            of_number,
            editors,
        }
    }

    /// What subscribers and editors saw of those before them.
    pub(crate) fn check(&self, record: &Record) -> Verdict {
        for member in &record.members {
            let place = &member.place;
            for glance in &place.glances {
                let span = place.calls.get(glance.call);
                let Some(span) = span else {
                    return Err(format!("event {} is seen outside of all calls", glance.id));
                };
                self.check_sight(glance.id, &place.after, &glance.sight, span)
                    .map_err(|claim| format!("subscriber {}: {claim}", place.number))?;
                match place.editor {
                    Some(editor) => self.check_edit(glance, editor)?,
                    None => self.check_trail(glance.id, &glance.sight, None)?,
                }
            }
        }
        Ok(())
    }

    /// Whether all of these were surely done with an event before this call, or had left.
    pub(crate) fn have_passed(&self, id: u64, before: &[usize], call: &Span) -> bool {
        before.iter().all(|number| {
            let seen = &self.of_number[number];
            let done = seen
                .glances
                .get(&id)
                .and_then(|glance| seen.member.place.calls.get(glance.call));
            done.is_some_and(|done| done.is_before(call)) || seen.member.left.is_before(call)
        })
    }

    /// One that comes after these saw an event in this call.
    pub(crate) fn check_sight(
        &self,
        id: u64,
        after: &[usize],
        sight: &Sight,
        call: &Span,
    ) -> Verdict {
        for (index, number) in after.iter().enumerate() {
            let before = &self.of_number[number];
            if !before.consumes(id) {
                let entry = self.log.entry(id)?;
                let owed = entry.low >= before.member.position;
                demand!(
                    !owed || !before.is_whole || !call.is_before(&before.member.left),
                    "event {id} is seen, and {number} before it has not passed it"
                );
                continue;
            }
            let Some(glance) = before.glances.get(&id) else {
                continue;
            };
            if let Some(done) = before.member.place.calls.get(glance.call) {
                demand!(
                    !call.is_before(done),
                    "event {id} is seen before {number} is done with it"
                );
            }
            // A call that waits may have refused some and been done with them before it showed others.
            let turn = match before.refuses(id) {
                true => glance.turn.as_ref(),
                false => before.last_turns.get(&glance.call),
            };
            if let (Some(turn), Some(seen)) = (turn, sight.ahead.get(index)) {
                demand!(
                    seen > turn,
                    "event {id} is seen while {number} is at it: {seen} of its events are known, and not {}",
                    turn + 1
                );
            }
        }
        Ok(())
    }

    /// An editor finds what those before it left, and leaves what it is to.
    fn check_edit(&self, glance: &Glance, editor: u64) -> Verdict {
        let id = glance.id;
        self.check_trail(id, &glance.sight, Some(editor))?;
        let seen = glance.sight.trail.unwrap_or_default();
        let wanted = match id / MOST_THREADS % 4 {
            3 => seen,
            _ => edited(seen, editor),
        };
        demand!(
            glance.left == wanted,
            "editor {editor} leaves {:o} in event {id}, and not {wanted:o}",
            glance.left
        );
        Ok(())
    }

    /// What was found in an event is what the editors left in it, up to one of them.
    pub(crate) fn check_trail(&self, id: u64, sight: &Sight, until: Option<u64>) -> Verdict {
        let Some(trail) = sight.trail else {
            return Ok(());
        };
        let before = self
            .editors
            .iter()
            .filter(|seen| until.is_none_or(|until| seen.member.place.editor < Some(until)));
        let left = before
            .filter_map(|seen| seen.glances.get(&id))
            .map(|glance| glance.left)
            .next_back()
            .unwrap_or(0);
        demand!(
            trail == left,
            "event {id} is seen with {trail:o} of the editors, who left {left:o} in it"
        );
        Ok(())
    }
}
