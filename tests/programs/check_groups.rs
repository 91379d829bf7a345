//! Of groups: each event goes to one member, in order, and none is lost to a panic.

use std::collections::HashMap;

use ringbus::Redeliver;

use super::check::{Entry, Log, Verdict, demand};
use super::check_stages::Places;
use super::group::{is_touchy, key};
use super::program::Keys;
use super::record::{Answer, Call, Colleague, Group, Record, Showing, Span};

/// A showing, where and when it was.
#[derive(Clone, Copy)]
struct Shown<'a> {
    showing: &'a Showing,
    call: &'a Call,
    member: usize,
    /// The number of the call, and of the showing in it.
    index: (usize, usize),
    entry: Entry,
}

/// One group of a record.
struct Team<'a> {
    log: &'a Log<'a>,
    record: &'a Record,
    group: &'a Group,
    members: Vec<&'a Colleague>,
    shown: Vec<Shown<'a>>,
    of_id: HashMap<u64, Vec<Shown<'a>>>,
}

/// Events that were handed back, or may have been.
struct HandedBack<'a> {
    span: &'a Span,
    from: u64,
    to: u64,
}

pub(crate) fn check(record: &Record, log: &Log<'_>, places: &Places<'_>) -> Verdict {
    for (number, group) in record.groups.iter().enumerate() {
        Team::of(record, log, number, group)
            .and_then(|team| team.check(places))
            .map_err(|claim| format!("group {number}: {claim}"))?;
    }
    Ok(())
}

impl Shown<'_> {
    /// Whether this one was surely over when the other began.
    fn is_before(&self, other: &Self) -> bool {
        self.call.span.is_before(&other.call.span)
            || self.member == other.member && self.index < other.index
    }
}

impl<'a> Team<'a> {
    fn of(
        record: &'a Record,
        log: &'a Log<'a>,
        number: usize,
        group: &'a Group,
    ) -> Result<Self, String> {
        let colleagues = record.colleagues.iter();
        let members: Vec<_> = colleagues.filter(|one| one.group == number).collect();
        let mut shown = Vec::new();
        for (member, colleague) in members.iter().enumerate() {
            for (number, call) in colleague.calls.iter().enumerate() {
                for (index, showing) in call.shown.iter().enumerate() {
                    shown.push(Shown {
                        showing,
                        call,
                        member,
                        index: (number, index),
                        entry: log.entry(showing.id)?,
                    });
                }
            }
        }
        let mut of_id: HashMap<u64, Vec<Shown<'a>>> = HashMap::new();
        for &one in &shown {
            of_id.entry(one.showing.id).or_default().push(one);
        }
        Ok(Self {
            log,
            record,
            group,
            members,
            shown,
            of_id,
        })
    }

    fn check(&self, places: &Places<'_>) -> Verdict {
        self.check_calls(places)?;
        self.check_once()?;
        self.check_reports()?;
        self.check_all_are_shown()?;
        self.check_order()?;
        self.check_keys()?;
        self.check_numbers()?;
        for one in &self.shown {
            let span = &one.call.span;
            let after = &self.group.after;
            let Showing { id, sight, .. } = one.showing;
            places.check_sight(*id, after, sight, span)?;
            places.check_trail(*id, sight, None)?;
        }
        Ok(())
    }

    fn is_lossy(&self) -> bool {
        self.group.terms.lossy
    }

    fn is_keyed(&self) -> bool {
        self.group.terms.keys != Keys::None
    }

    /// How often an event may be begun.
    fn chances(&self) -> usize {
        match self.group.terms.redeliver {
            Redeliver::Once => 2,
            _ => 1,
        }
    }

    fn is_abandoned(&self, id: u64) -> bool {
        self.group.reports.contains(&id)
    }

    fn check_calls(&self, places: &Places<'_>) -> Verdict {
        for member in &self.members {
            let mut is_closed = false;
            for call in &member.calls {
                demand!(
                    call.shown.len() <= call.most,
                    "a call shows {} events, and was to show {}",
                    call.shown.len(),
                    call.most
                );
                demand!(
                    !is_closed || call.shown.is_empty(),
                    "a member is shown event {} after the end",
                    call.shown[0].id
                );
                match call.answer {
                    Answer::Missed(missed) => {
                        demand!(
                            self.is_lossy() && missed > 0,
                            "a member is told that {missed} were missed"
                        );
                    }
                    Answer::Closed => {
                        is_closed = true;
                        self.check_closed(&call.span)?;
                    }
                    Answer::Nothing => self.check_nothing(&call.span, places)?,
                    Answer::Shown | Answer::Blew | Answer::WouldDeadlock => {}
                }
            }
        }
        Ok(())
    }

    /// When a member was told that all is over, it was.
    fn check_closed(&self, told: &Span) -> Verdict {
        let late = self.shown.iter().find(|one| told.is_before(&one.call.span));
        demand!(
            late.is_none(),
            "a member is told closed, and event {} is shown later",
            late.map_or(0, |one| one.showing.id)
        );
        Ok(())
    }

    /// There was nothing for a member, although nobody else was at anything, and an event was published before
    /// that was shown later.
    fn check_nothing(&self, told: &Span, places: &Places<'_>) -> Verdict {
        let attempts = &self.record.attempts;
        let calls = self.members.iter().flat_map(|member| &member.calls);
        let others = calls
            .map(|call| &call.span)
            .filter(|span| *span != told)
            .any(|span| span.overlaps(told));
        let publishers = attempts.iter().any(|attempt| attempt.span.overlaps(told));
        if others || publishers || self.is_lossy() {
            return Ok(());
        }
        let late = self.shown.iter().find(|one| {
            let published = &attempts[one.entry.attempt].span;
            published.is_before(told)
                && told.is_before(&one.call.span)
                && places.have_passed(one.showing.id, &self.group.after, told)
        });
        demand!(
            late.is_none(),
            "there was nothing for a member, and event {} was there",
            late.map_or(0, |one| one.showing.id)
        );
        Ok(())
    }

    /// Each event is handled once; one whose handler panicked is shown once more, if it is to be.
    fn check_once(&self) -> Verdict {
        for (id, all) in &self.of_id {
            demand!(
                all.len() <= self.chances(),
                "event {id} is shown {} times",
                all.len()
            );
            let again = |one: &Shown<'_>| one.showing.told.map(|(_, again)| again);
            let (first, second) = match all[..] {
                [one] => (one, None),
                [one, other] if again(&one) == Some(true) || again(&other) == Some(false) => {
                    (other, Some(one))
                }
                [one, other] if one.showing.done && again(&other) != Some(true) => {
                    (other, Some(one))
                }
                [one, other] if again(&other).is_none() && other.is_before(&one) => {
                    (other, Some(one))
                }
                [one, other] => (one, Some(other)),
                _ => unreachable!("it was counted"),
            };
            demand!(
                again(&first) != Some(true),
                "event {id} is shown again, and was not shown"
            );
            if let Some(second) = second {
                demand!(
                    !first.showing.done,
                    "event {id} is handled, and shown again"
                );
                demand!(
                    again(&second) != Some(false),
                    "event {id} is shown again as if for the first time"
                );
                demand!(
                    !second.is_before(&first),
                    "event {id} is shown again before it was shown"
                );
            }
            let from_now = self
                .members
                .iter()
                .all(|member| self.published(&first).is_before(&member.opened));
            demand!(
                !from_now,
                "event {id} is shown, and was published before the group was made"
            );
        }
        Ok(())
    }

    fn published(&self, one: &Shown<'_>) -> &Span {
        &self.record.attempts[one.entry.attempt].span
    }

    /// An event that is given up is reported once.
    fn check_reports(&self) -> Verdict {
        let reports = &self.group.reports;
        for (index, id) in reports.iter().enumerate() {
            demand!(
                !reports[..index].contains(id),
                "event {id} is reported twice"
            );
            let all = self.of_id.get(id).map_or(&[][..], Vec::as_slice);
            let gave_up = all.len() == self.chances() && all.iter().all(|one| !one.showing.done);
            let no_key = self.group.terms.keys == Keys::Touchy && is_touchy(*id) && all.is_empty();
            demand!(
                gave_up || no_key,
                "event {id} is reported, and was not given up"
            );
        }
        for (id, all) in &self.of_id {
            let gave_up = all.len() == self.chances() && all.iter().all(|one| !one.showing.done);
            demand!(
                !gave_up || self.is_abandoned(*id),
                "event {id} was given up, and is not reported"
            );
        }
        Ok(())
    }

    /// What was published while the group was there and stayed, some member has handled, or it was given up.
    fn check_all_are_shown(&self) -> Verdict {
        if self.is_lossy() {
            return Ok(());
        }
        // One that was leaked stays too, and does not read to the end.
        let is_told = |member: &Colleague| {
            let last = member.calls.last();
            last.is_some_and(|call| call.answer == Answer::Closed)
        };
        let stays = |member: &&&Colleague| member.left.is_after_all() && is_told(member);
        let stayers: Vec<_> = self.members.iter().filter(stays).collect();
        for entry in self
            .log
            .entries
            .iter()
            .filter(|entry| entry.sure && !entry.dead)
        {
            let published = &self.record.attempts[entry.attempt].span;
            let owed = stayers
                .iter()
                .any(|member| member.opened.is_before(published));
            let id = entry.id;
            let handled = self
                .of_id
                .get(&id)
                .is_some_and(|all| all.iter().any(|one| one.showing.done));
            demand!(
                !owed || handled || self.is_abandoned(id),
                "event {id} was handled by no member"
            );
        }
        Ok(())
    }

    /// Where members may have handed something back, and until where.
    fn handed_back(&self) -> Vec<HandedBack<'_>> {
        let batch = self.group.terms.batch as u64;
        let calls = self.members.iter().flat_map(|member| &member.calls);
        let blew: Vec<_> = calls
            .clone()
            .filter(|call| matches!(call.answer, Answer::Blew | Answer::Missed(_)))
            .map(|call| &call.span)
            .collect();
        let mut all = Vec::new();
        for call in calls {
            let last = call.shown.last();
            let place = |id| {
                self.log
                    .entry(id)
                    .map_or((0, u64::MAX), |e| (e.low, e.high))
            };
            let range = match call.answer {
                // What it was told of before the event, which went back.
                Answer::Missed(_) => (0, u64::MAX),
                // What it has handed back again, as it was to show no more.
                Answer::Shown
                    if call.shown.len() == call.most
                        && blew.iter().any(|span| !call.span.is_before(span)) =>
                {
                    last.map_or((0, 0), |last| place(last.id))
                }
                Answer::Blew => last.map_or((0, 0), |last| place(last.id)),
                _ => continue,
            };
            all.push(HandedBack {
                span: &call.span,
                from: range.0,
                to: range.1.saturating_add(batch),
            });
        }
        all
    }

    /// Events are handed out in the topic's order, but for those that were handed back. With keys some wait.
    fn check_order(&self) -> Verdict {
        if self.is_keyed() {
            return Ok(());
        }
        let handed_back = self.handed_back();
        for early in &self.shown {
            for late in &self.shown {
                let (first, then) = (&early.entry, &late.entry);
                if then.high >= first.low || !early.is_before(late) {
                    continue;
                }
                let same_call = early.member == late.member && early.index.0 == late.index.0;
                let fair = handed_back.iter().any(|back| {
                    back.from <= then.high
                        && then.low < back.to
                        && !late.call.span.is_before(back.span)
                        && (same_call || !back.span.is_before(&early.call.span))
                });
                demand!(
                    fair,
                    "event {} is shown after {}, and was not handed back",
                    then.id,
                    first.id
                );
            }
        }
        Ok(())
    }

    /// Events of one key are handled one after the other, in order.
    fn check_keys(&self) -> Verdict {
        if !self.is_keyed() {
            return Ok(());
        }
        let mut of_key: HashMap<u64, Vec<(u64, u64, Entry)>> = HashMap::new();
        for one in &self.shown {
            if let Some((began, ended)) = one.showing.turns {
                let all = of_key.entry(key(one.showing.id)).or_default();
                all.push((began, ended, one.entry));
            }
        }
        for (key, mut all) in of_key {
            all.sort_by_key(|&(began, ..)| began);
            let mut last: Option<Entry> = None;
            let mut next = 0;
            for (began, ended, entry) in all {
                demand!(
                    began == next && ended == began + 1,
                    "two events of key {key} are handled at once, one of them {}",
                    entry.id
                );
                next = ended + 1;
                demand!(
                    last.is_none_or(|last| last.low <= entry.high),
                    "event {} of key {key} is handled after a later one",
                    entry.id
                );
                last = Some(entry);
            }
        }
        Ok(())
    }

    /// What the group says of itself in the end.
    fn check_numbers(&self) -> Verdict {
        if !self.group.terms.kept {
            return Ok(());
        }
        let Some(last) = self.group.numbers.last() else {
            return Err("a group that is kept has no numbers".to_string());
        };
        for numbers in &self.group.numbers {
            demand!(
                numbers.published
                    == numbers.delivered + numbers.missed + numbers.pending + numbers.abandoned,
                "the numbers do not add up: {numbers:?}"
            );
        }
        let count = |is: fn(&Showing) -> bool| {
            let shown = self.shown.iter();
            shown.filter(|one| is(one.showing)).count() as u64
        };
        let delivered = count(|showing| showing.done);
        demand!(
            last.delivered == delivered,
            "{delivered} events were handled, it says {last:?}"
        );
        demand!(
            last.abandoned == self.group.reports.len() as u64,
            "{} events were given up, it says {last:?}",
            self.group.reports.len()
        );
        let blew = count(|showing| !showing.done);
        let again = match self.group.terms.redeliver {
            Redeliver::Once => {
                let keyed = self.group.reports.iter();
                let twice = keyed.filter(|id| self.of_id.contains_key(id)).count();
                blew - twice as u64
            }
            _ => 0,
        };
        demand!(
            last.redelivered == again,
            "{again} events were handed out again, it says {last:?}"
        );
        demand!(
            last.pending == 0,
            "it is read to the end, and says {last:?}"
        );
        let told: u64 = self.shown.iter().map(|one| one.showing.missed).sum();
        let calls = self.members.iter().flat_map(|member| &member.calls);
        let ahead: u64 = calls
            .map(|call| match call.answer {
                Answer::Missed(missed) => missed,
                _ => 0,
            })
            .sum();
        let told = told + ahead;
        match self.is_lossy() {
            true => demand!(
                told <= last.missed,
                "it was told of {told} missed events, and says {last:?}"
            ),
            false => demand!(
                told == 0 && last.missed == 0,
                "a lossless group missed {told}, and says {last:?}"
            ),
        }
        let entries = self.log.entries.iter().filter(|entry| !entry.dead);
        let most = entries.clone().count() as u64;
        let least = entries.filter(|entry| entry.sure).count() as u64;
        demand!(
            (least..=most).contains(&last.published),
            "it says {last:?}, and {least} to {most} events were published"
        );
        Ok(())
    }
}
