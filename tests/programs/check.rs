//! The sequential specification: what was seen must be explained by one log of events.

use std::collections::{HashMap, HashSet};

use ringbus::Overflow;

use super::check_groups;
use super::check_stages::Places;
use super::record::{Attempt, Membership, Numbers, Outcome, Record, Sighting, Told, Why};

/// What is known of an event's place in the log. Mostly the receipt tells it; where a batch has gaps, or a panic
/// took the receipt away, those who saw the event tell it, or else it is somewhere from `low` to `high`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) low: u64,
    pub(crate) high: u64,
    /// It was published; otherwise perhaps.
    pub(crate) sure: bool,
    /// It went to the dead letters, as nobody listened, and no subscriber is to see it.
    pub(crate) dead: bool,
    pub(crate) attempt: usize,
}

/// Every event that was published, or perhaps was, in the order of the topic as far as it is known.
pub(crate) struct Log<'a> {
    record: &'a Record,
    pub(crate) entries: Vec<Entry>,
    of_id: HashMap<u64, usize>,
}

/// Between how many and how many.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    least: u64,
    most: u64,
}

pub(crate) type Verdict = Result<(), String>;

macro_rules! demand {
    ($holds:expr, $($claim:tt)+) => {
        if !$holds {
            return Err(format!($($claim)+));
        }
    };
}
pub(crate) use demand;

/// Whether the record is one of a topic that does what it promises; says what is wrong otherwise.
pub(crate) fn check(record: &Record) -> Verdict {
    if let Some(failure) = record.failures.first() {
        return Err(failure.clone());
    }
    check_refusals(record)?;
    let log = Log::of(record)?;
    log.check_order()?;
    log.check_times()?;
    log.check_closes()?;
    let places = Places::of(record, &log);
    for (number, member) in record.members.iter().enumerate() {
        Replay::new(&log, &places, member)
            .run()
            .map_err(|claim| format!("subscriber {number} ({:?}): {claim}", member.overflow))?;
    }
    places.check(record)?;
    check_groups::check(record, &log, &places)?;
    log.check_published()?;
    log.check_letters()?;
    log.check_shown()?;
    check_drops(record)
}

fn published_ids(attempt: &Attempt) -> (Vec<u64>, usize) {
    match &attempt.outcome {
        Outcome::Published { vetoed, .. } => {
            let ids: Vec<_> = but_for(&attempt.events, vetoed);
            let sure = ids.len();
            (ids, sure)
        }
        Outcome::Refused { back, .. } => {
            // What did not come back of a batch that went in parts.
            let ids = but_for(&attempt.events, back);
            let sure = ids.len();
            (ids, sure)
        }
        &Outcome::Blew { sure, most } => (attempt.events[..most].to_vec(), sure),
    }
}

fn but_for(ids: &[u64], others: &[u64]) -> Vec<u64> {
    ids.iter()
        .copied()
        .filter(|id| !others.contains(id))
        .collect()
}

/// A refusal gives its events back, each once.
fn check_refusals(record: &Record) -> Verdict {
    for attempt in &record.attempts {
        let back = match &attempt.outcome {
            Outcome::Refused { back, .. } => back,
            Outcome::Published { vetoed, .. } => vetoed,
            Outcome::Blew { .. } => continue,
        };
        let mut left = attempt.events.clone();
        for id in back {
            let Some(index) = left.iter().position(|other| other == id) else {
                return Err(format!(
                    "event {id} came back, and was not given or came back before"
                ));
            };
            left.remove(index);
        }
        let in_parts = attempt.events.len() > 1;
        if let Outcome::Refused { why, .. } = &attempt.outcome {
            demand!(
                left.is_empty() || in_parts && *why != Why::TooLarge,
                "a refusal ({why:?}) keeps the events {left:?}"
            );
        }
    }
    Ok(())
}

fn check_drops(record: &Record) -> Verdict {
    for &(id, drops) in &record.drops {
        let fair = drops == 1 || record.facts.leaked && drops == 0;
        demand!(fair, "event {id} was dropped {drops} times");
    }
    let (made, dropped) = record.clones;
    demand!(made == dropped, "of {made} clones {dropped} were dropped");
    Ok(())
}

impl<'a> Log<'a> {
    fn of(record: &'a Record) -> Result<Self, String> {
        let mut entries = Vec::new();
        for (attempt, published) in record.attempts.iter().enumerate() {
            let (ids, sure) = published_ids(published);
            let count = ids.len() as u64;
            let (low, high) = match &published.outcome {
                Outcome::Published { range, .. } => {
                    let length = range.end.saturating_sub(range.start);
                    demand!(
                        length >= count && (count > 0 || length == 0),
                        "{count} events were published at {range:?}"
                    );
                    (range.start, range.end)
                }
                _ => Self::around(record, attempt),
            };
            demand!(
                low >= record.facts.first_sequence,
                "sequence {low} is before the first one"
            );
            let sure = sure as u64;
            for (number, id) in (0..).zip(ids) {
                // Of those that are only perhaps there nothing is known but that they come behind the others.
                entries.push(Entry {
                    id,
                    low: low.saturating_add(sure.min(number)),
                    high: high.saturating_sub(sure.saturating_sub(number).max(1)),
                    sure: number < sure,
                    dead: false,
                    attempt,
                });
            }
        }
        let mut log = Self {
            record,
            entries,
            of_id: HashMap::new(),
        };
        log.index();
        log.pin()?;
        log.entries.sort_by_key(|entry| (entry.low, entry.high));
        log.index();
        Ok(log)
    }

    /// Between which sequences the same thread's receipts before and after an attempt leave it.
    fn around(record: &Record, attempt: usize) -> (u64, u64) {
        let span = record.attempts[attempt].span;
        let mut bounds = (record.facts.first_sequence, u64::MAX);
        for other in &record.attempts {
            let Outcome::Published { range, .. } = &other.outcome else {
                continue;
            };
            if range.is_empty() {
                continue;
            }
            if other.span.is_before(&span) {
                bounds.0 = bounds.0.max(range.end);
            } else if span.is_before(&other.span) {
                bounds.1 = bounds.1.min(range.start);
            }
        }
        bounds
    }

    fn index(&mut self) {
        self.of_id = self
            .entries
            .iter()
            .enumerate()
            .map(|(index, entry)| (entry.id, index))
            .collect();
    }

    pub(crate) fn entry(&self, id: u64) -> Result<Entry, String> {
        match self.of_id.get(&id) {
            Some(&index) => Ok(self.entries[index]),
            None => Err(format!("event {id} is seen, and was never published")),
        }
    }

    /// Takes it from those who saw an event where it is.
    fn pin(&mut self) -> Verdict {
        let seen = self
            .record
            .members
            .iter()
            .flat_map(|member| &member.sightings);
        let told = seen.filter_map(|sighting| match *sighting {
            Sighting::Seen {
                id,
                sequence: Some(sequence),
                ..
            } => Some((id, sequence)),
            _ => None,
        });
        let letters = self.record.letters.iter();
        let grouped = self.record.grouped().filter_map(|(_, showing)| {
            let (sequence, _) = showing.told?;
            Some((showing.id, sequence))
        });
        let told: Vec<_> = told
            .chain(grouped)
            .chain(letters.map(|letter| (letter.id, letter.sequence)))
            .collect();
        for (id, sequence) in told {
            let Entry { low, high, .. } = self.entry(id)?;
            demand!(
                (low..=high).contains(&sequence),
                "event {id} is seen at {sequence}, and was published from {low} to {high}"
            );
            let entry = &mut self.entries[self.of_id[&id]];
            (entry.low, entry.high, entry.sure) = (sequence, sequence, true);
        }
        for letter in self.record.letters.iter().filter(|letter| !letter.missed) {
            self.entries[self.of_id[&letter.id]].dead = true;
        }
        Ok(())
    }

    /// One place for each event, and each publisher's events in its order.
    fn check_order(&self) -> Verdict {
        let mut places = HashMap::new();
        for entry in self
            .entries
            .iter()
            .filter(|entry| entry.low == entry.high && entry.sure)
        {
            if let Some(other) = places.insert(entry.low, entry.id) {
                return Err(format!(
                    "events {other} and {} are both at {}",
                    entry.id, entry.low
                ));
            }
        }
        for attempt in &self.record.attempts {
            let (ids, _) = published_ids(attempt);
            let mut last = None;
            for id in ids {
                let entry = self.entry(id)?;
                if !entry.sure {
                    continue;
                }
                demand!(
                    last < Some(entry.high),
                    "event {id} is before those before it in its batch"
                );
                last = last.max(Some(entry.low));
            }
        }
        Ok(())
    }

    /// What was published before another publish began comes before it.
    fn check_times(&self) -> Verdict {
        let published: Vec<_> = self
            .record
            .attempts
            .iter()
            .filter_map(|attempt| match &attempt.outcome {
                Outcome::Published { range, .. } if !range.is_empty() => {
                    Some((attempt.span, range))
                }
                _ => None,
            })
            .collect();
        for (span, range) in &published {
            for (later, behind) in &published {
                demand!(
                    !span.is_before(later) || range.end <= behind.start,
                    "{behind:?} was published after {range:?}"
                );
            }
        }
        Ok(())
    }

    /// Nothing is taken after a close, and nothing is refused as closed without one.
    fn check_closes(&self) -> Verdict {
        let attempts = &self.record.attempts;
        let refused = |attempt: &&Attempt| {
            matches!(
                &attempt.outcome,
                Outcome::Refused {
                    why: Why::Closed,
                    ..
                }
            )
        };
        let ends = self
            .record
            .closes
            .iter()
            .chain(attempts.iter().filter(refused).map(|a| &a.span));
        for end in ends {
            for attempt in attempts
                .iter()
                .filter(|attempt| end.is_before(&attempt.span))
            {
                let took = match &attempt.outcome {
                    Outcome::Published { range, .. } => !range.is_empty(),
                    Outcome::Blew { sure, .. } => *sure > 0,
                    Outcome::Refused { .. } => false,
                };
                demand!(
                    !took,
                    "events {:?} were taken after the close",
                    attempt.events
                );
            }
        }
        if self.record.facts.stays_open {
            for attempt in attempts.iter().filter(refused) {
                let closes = &self.record.closes;
                demand!(
                    closes.iter().any(|close| !attempt.span.is_before(close)),
                    "event {:?} was refused as closed before the close",
                    attempt.events
                );
            }
        }
        self.check_fullness()
    }

    /// A publisher is refused for want of room only where something may be in its way.
    fn check_fullness(&self) -> Verdict {
        for attempt in &self.record.attempts {
            let span = &attempt.span;
            if !matches!(
                &attempt.outcome,
                Outcome::Refused {
                    why: Why::Full | Why::WouldDeadlock,
                    ..
                }
            ) {
                continue;
            }
            let lossless = self.record.members.iter().any(|member| {
                member.overflow == Overflow::Block
                    && !span.is_before(&member.opened)
                    && !member.left.is_before(span)
            });
            let grouped = self.record.colleagues.iter().any(|colleague| {
                !span.is_before(&colleague.opened) && !colleague.left.is_before(span)
            });
            let joining = self
                .record
                .refused_joins
                .iter()
                .any(|join| join.overlaps(span))
                || self
                    .record
                    .members
                    .iter()
                    .any(|member| member.opened.overlaps(span));
            let others = self
                .record
                .attempts
                .iter()
                .any(|other| other.span != *span && other.span.overlaps(span));
            demand!(
                lossless || grouped || joining || others,
                "event {:?} was refused as there was no room, and nobody was in the way",
                attempt.events
            );
        }
        Ok(())
    }

    /// Events between two places, neither of them counted.
    fn between(&self, from: (u64, u64), to: (u64, u64), but: [u64; 2]) -> Count {
        let mut count = Count::default();
        for entry in &self.entries {
            if entry.low >= to.1 {
                break;
            }
            if entry.dead || but.contains(&entry.id) {
                continue;
            }
            if entry.high > from.0 {
                count.most += 1;
                if entry.sure && entry.low > from.1 && entry.high < to.0 {
                    count.least += 1;
                }
            }
        }
        count
    }

    fn check_published(&self) -> Verdict {
        let least = self.entries.iter().filter(|entry| entry.sure).count() as u64;
        let most = self.entries.len() as u64;
        demand!(
            (least..=most).contains(&self.record.published),
            "the topic says {} events were published, which were {least} to {most}",
            self.record.published
        );
        Ok(())
    }

    /// A letter is of an event that was published, once, and that somebody missed or nobody heard.
    fn check_letters(&self) -> Verdict {
        let mut all = HashSet::new();
        for letter in &self.record.letters {
            let id = letter.id;
            demand!(all.insert(id), "event {id} went to the letters twice");
            let mut consumed = self.record.members.iter().map(|member| {
                let seen = member
                    .sightings
                    .iter()
                    .any(|sighting| consumes(sighting) == Some(id));
                (member.overflow, seen)
            });
            let of_group = |group: usize| {
                let mut shown = self.record.grouped();
                shown.any(|(of, showing)| of == group && showing.id == id)
            };
            let mut groups = (0..self.record.groups.len())
                .map(|group| (self.record.groups[group].terms.lossy, of_group(group)));
            if letter.missed {
                let by_group = groups.any(|(lossy, shown)| lossy && !shown);
                demand!(
                    by_group
                        || consumed
                            .any(|(overflow, seen)| overflow == Overflow::DropOldest && !seen),
                    "event {id} went to the letters, and nobody missed it"
                );
            } else {
                demand!(
                    consumed.all(|(_, seen)| !seen) && groups.all(|(_, shown)| !shown),
                    "event {id} went to the letters, and somebody heard it"
                );
            }
        }
        Ok(())
    }

    /// The observer was shown every event once before it was published.
    fn check_shown(&self) -> Verdict {
        if !self.record.facts.observed {
            return Ok(());
        }
        let mut times: HashMap<u64, u64> = HashMap::new();
        for &id in &self.record.shown {
            *times.entry(id).or_default() += 1;
        }
        for attempt in &self.record.attempts {
            for id in &attempt.events {
                let shown = times.get(id).copied().unwrap_or(0);
                demand!(
                    shown <= 1,
                    "event {id} was shown to the observer {shown} times"
                );
            }
            let (ids, sure) = published_ids(attempt);
            for id in &ids[..sure] {
                demand!(
                    times.contains_key(id),
                    "event {id} was published unobserved"
                );
            }
        }
        Ok(())
    }
}

/// The event that a subscriber was done with then.
pub(crate) fn consumes(sighting: &Sighting) -> Option<u64> {
    match *sighting {
        Sighting::Seen { id, .. }
        | Sighting::Refused(id)
        | Sighting::FilterBlew(id)
        | Sighting::CloneBlew { id, .. } => Some(id),
        _ => None,
    }
}

/// One subscriber's way through the log.
struct Replay<'a> {
    log: &'a Log<'a>,
    places: &'a Places<'a>,
    member: &'a Membership,
    /// The place of the last event that it was done with; before its first, where it may have started.
    at: (u64, u64),
    at_id: u64,
    /// Events that it has passed by since it was last told how many.
    passed: Count,
    /// What it was told ahead of the event.
    told: u64,
    /// That was the last thing.
    just_told: bool,
    told_in_all: u64,
    delivered: u64,
    filtered: u64,
    slipped: u64,
    disconnected: bool,
    closed: bool,
    rest: Option<Numbers>,
}

const NOBODY: u64 = u64::MAX;

impl<'a> Replay<'a> {
    fn new(log: &'a Log<'a>, places: &'a Places<'a>, member: &'a Membership) -> Self {
        Self {
            log,
            places,
            member,
            at: Self::start(log, member),
            at_id: NOBODY,
            passed: Count::default(),
            told: 0,
            just_told: false,
            told_in_all: 0,
            delivered: 0,
            filtered: 0,
            slipped: 0,
            disconnected: false,
            closed: false,
            rest: None,
        }
    }

    /// The place before the first event of the membership. A lossless one stands there until it reads. One that
    /// is pushed may have started before that, but not before what was published when it began to join, if it
    /// starts with what comes then.
    fn start(log: &Log<'_>, member: &Membership) -> (u64, u64) {
        let latest = member.position;
        let earliest = if member.overflow == Overflow::Block {
            latest
        } else if member.from_now {
            let before = log.entries.iter().filter(|entry| {
                let attempt = &log.record.attempts[entry.attempt];
                entry.sure && attempt.span.is_before(&member.opened)
            });
            before
                .map(|entry| entry.low + 1)
                .max()
                .unwrap_or(log.record.facts.first_sequence)
        } else {
            log.record.facts.first_sequence
        };
        // In terms of a place that is passed: one less, where 0 is before all.
        (earliest.min(latest), latest)
    }

    fn run(mut self) -> Verdict {
        self.check_start()?;
        for sighting in &self.member.sightings {
            self.step(sighting)?;
        }
        Ok(())
    }

    /// Who joins while nobody publishes, or after a publish and before another, starts between the two.
    fn check_start(&self) -> Verdict {
        let Membership {
            opened,
            position,
            from_now,
            ..
        } = self.member;
        for entry in &self.log.entries {
            let span = &self.log.record.attempts[entry.attempt].span;
            if *from_now && entry.sure && span.is_before(opened) {
                demand!(
                    entry.low < *position,
                    "it starts at {position}, and event {} was published before it joined",
                    entry.id
                );
            }
            if opened.is_before(span) && self.member.overflow == Overflow::Block {
                demand!(
                    entry.high >= *position,
                    "it starts at {position}, behind event {}, which was published later",
                    entry.id
                );
            }
        }
        Ok(())
    }

    /// Events from the last one that it was done with to this place.
    fn gap(&self, to: (u64, u64), to_id: u64) -> Count {
        let from = match self.at_id {
            // It has passed nothing: what is at the start counts.
            NOBODY => (self.at.0.wrapping_sub(1), self.at.1.wrapping_sub(1)),
            _ => self.at,
        };
        if self.at_id == NOBODY && self.at.0 == 0 {
            return self.gap_from_the_first(to, to_id);
        }
        self.log.between(from, to, [self.at_id, to_id])
    }

    fn gap_from_the_first(&self, to: (u64, u64), to_id: u64) -> Count {
        let mut count = Count::default();
        for entry in &self.log.entries {
            if entry.dead || entry.id == to_id || entry.low >= to.1 {
                continue;
            }
            count.most += 1;
            if entry.sure && entry.low >= self.at.1 && entry.high < to.0 {
                count.least += 1;
            }
        }
        count
    }

    /// The subscriber is done with an event.
    fn consume(&mut self, id: u64) -> Verdict {
        demand!(
            !self.closed && !self.disconnected,
            "event {id} is seen after the end"
        );
        let entry = self.log.entry(id)?;
        let place = (entry.low, entry.high);
        let in_order = match self.at_id {
            NOBODY => place.1 >= self.at.0,
            _ => place.1 > self.at.0 && id != self.at_id,
        };
        demand!(
            in_order,
            "event {id} at {place:?} is seen after {:?}",
            self.at
        );
        let gap = self.gap(place, id);
        self.passed.least += gap.least;
        self.passed.most += gap.most;
        self.at = place;
        self.at_id = id;
        self.just_told = false;
        Ok(())
    }

    /// Of what was passed by until now so much was told.
    fn account(&mut self, missed: Told, id: u64) -> Verdict {
        let ahead = std::mem::take(&mut self.told);
        let passed = std::mem::take(&mut self.passed);
        let slipped = std::mem::take(&mut self.slipped);
        let Told::Exactly(missed) = missed else {
            return Ok(());
        };
        let told = ahead + missed;
        self.told_in_all += missed;
        if self.member.overflow == Overflow::Block {
            demand!(
                told == 0,
                "a lossless subscriber is told that it missed {told}"
            );
        }
        let counted = told + slipped;
        demand!(
            (passed.least..=passed.most).contains(&counted),
            "it is told {told} before event {id}, and passed by {} to {} events",
            passed.least,
            passed.most
        );
        Ok(())
    }

    fn step(&mut self, sighting: &Sighting) -> Verdict {
        match *sighting {
            Sighting::Seen { id, missed, .. } | Sighting::CloneBlew { id, missed } => {
                self.consume(id)?;
                self.delivered += 1;
                self.account(missed, id)
            }
            Sighting::Refused(id) => {
                self.filtered += 1;
                self.consume(id)
            }
            Sighting::FilterBlew(id) => {
                self.delivered += 1;
                self.consume(id)
            }
            Sighting::Slipped => {
                self.slipped += 1;
                self.delivered += 1;
                Ok(())
            }
            Sighting::Missed(missed) => {
                demand!(
                    self.member.overflow == Overflow::DropOldest && missed > 0,
                    "it is told that it missed {missed}"
                );
                demand!(!self.just_told, "a loss is told twice");
                // Even after the close: a poll that found no event to tell it with has told the close alone.
                self.told += missed;
                self.just_told = true;
                self.told_in_all += missed;
                Ok(())
            }
            Sighting::Nothing(span) => self.check_nothing(&span),
            Sighting::Disconnected(missed) => {
                demand!(
                    self.member.overflow == Overflow::Disconnect
                        && !self.disconnected
                        && !self.closed,
                    "it is disconnected"
                );
                let rest = self.gap((u64::MAX, u64::MAX), NOBODY);
                demand!(
                    (1..=self.passed.most + rest.most).contains(&missed),
                    "it is told that it missed {missed} at the end, and passed by {}",
                    self.passed.most + rest.most
                );
                self.told_in_all += missed;
                self.disconnected = true;
                Ok(())
            }
            Sighting::Ended | Sighting::WouldDeadlock => Ok(()),
            Sighting::Closed => self.check_closed(),
            Sighting::Numbers { numbers, at_rest } => self.check_numbers(numbers, at_rest),
        }
    }

    /// There was nothing to see, although the next event was published before, and no publisher was in the middle
    /// of an earlier one.
    fn check_nothing(&mut self, span: &super::record::Span) -> Verdict {
        if self.member.overflow != Overflow::Block || self.slipped > 0 || self.passed.most > 0 {
            return Ok(());
        }
        let attempts = &self.log.record.attempts;
        if attempts.iter().any(|attempt| attempt.span.overlaps(span)) {
            return Ok(());
        }
        let seen_any_filter = self.filtered > 0;
        let waiting = self.log.entries.iter().find(|entry| {
            let comes = match self.at_id {
                NOBODY => entry.low >= self.at.1,
                _ => entry.low > self.at.1,
            };
            let after = &self.member.place.after;
            entry.sure
                && !entry.dead
                && comes
                && attempts[entry.attempt].span.is_before(span)
                && self.places.have_passed(entry.id, after, span)
        });
        match waiting {
            Some(entry) if !seen_any_filter => Err(format!(
                "there was nothing to see, and event {} was published before",
                entry.id
            )),
            _ => Ok(()),
        }
    }

    /// A lossless subscriber is told after everything. A loss at the very end is told before by `recv`; otherwise
    /// only the numbers tell it.
    fn check_closed(&mut self) -> Verdict {
        if std::mem::replace(&mut self.closed, true) || self.member.overflow != Overflow::Block {
            return Ok(());
        }
        let rest = self.gap((u64::MAX, u64::MAX), NOBODY);
        let left = self.passed.least + rest.least;
        demand!(
            left <= self.slipped,
            "it is told closed before {left} events"
        );
        Ok(())
    }

    fn check_numbers(&mut self, numbers: Numbers, at_rest: bool) -> Verdict {
        let Numbers {
            published,
            delivered,
            filtered,
            missed,
            pending,
        } = numbers;
        demand!(
            (delivered, filtered) == (self.delivered, self.filtered),
            "{} events were delivered and {} filtered, it says {numbers:?}",
            self.delivered,
            self.filtered
        );
        demand!(
            missed >= self.told_in_all,
            "it was told of {} missed events, and it says {numbers:?}",
            self.told_in_all
        );
        if self.member.overflow == Overflow::Block {
            demand!(missed == 0, "a lossless subscriber says {numbers:?}");
        }
        if !at_rest {
            return Ok(());
        }
        demand!(
            published == delivered + filtered + missed + pending,
            "the numbers do not add up: {numbers:?}"
        );
        // One that starts in the past may be passed by a full ring before publishers take notice of it.
        let rings = if self.member.from_now { 1 } else { 2 };
        let most = rings * self.log.record.facts.capacity;
        demand!(
            self.member.overflow != Overflow::Block || pending <= most,
            "it is {pending} events behind, and the ring takes {most}"
        );
        let all = self.all();
        let whole = self.member.overflow != Overflow::Disconnect;
        demand!(
            published <= all.most && (!whole || published >= all.least),
            "it says {numbers:?}, and {} to {} events were published since it joined",
            all.least,
            all.most
        );
        if let Some(before) = self.rest.replace(numbers) {
            demand!(pending == 0, "it is read to the end, and says {numbers:?}");
            demand!(
                published == before.published,
                "nothing was published between {before:?} and {numbers:?}"
            );
        }
        Ok(())
    }

    /// Events from its start to the end of the log.
    fn all(&self) -> Count {
        let start = Self::start(self.log, self.member);
        let mut count = Count::default();
        for entry in &self.log.entries {
            if !entry.dead && entry.high >= start.0 {
                count.most += 1;
                if entry.sure && entry.low >= start.1 {
                    count.least += 1;
                }
            }
        }
        count
    }
}
