//! All numbers of a bus, as a table.

use std::collections::HashMap;
use std::fmt;

use crate::channel::{GroupSnapshot, TopicSnapshot, short_type_name};

/// The numbers of every topic of a bus at one moment; prints as a table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// The topics, by name, those without one first.
    pub topics: Vec<TopicSnapshot>,
}

/// A line for each topic, and below it one for each of those that listen to it. Topics without a name go by the types
/// of their events, without the paths to them unless that would make two the same. What has not happened is left out.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_row(
            f,
            "topic / subscriber",
            [
                "position",
                "published",
                "delivered",
                "filtered",
                "missed",
                "pending",
            ],
        )?;
        writeln!(f)?;
        let names = self.names();
        for (topic, name) in self.topics.iter().zip(&names) {
            write_topic(f, name, topic)?;
            for subscriber in &topic.subscribers {
                let name = subscriber.name.as_deref().unwrap_or("-");
                write_row(
                    f,
                    &format!("  {name} ({:?})", subscriber.overflow),
                    [
                        subscriber.position,
                        subscriber.published,
                        subscriber.delivered,
                        subscriber.filtered,
                        subscriber.missed,
                        subscriber.pending,
                    ],
                )?;
                writeln!(f)?;
            }
            for group in &topic.groups {
                let GroupSnapshot {
                    name,
                    overflow,
                    members,
                    ..
                } = group;
                write_row(
                    f,
                    &format!("  {name} ({overflow:?}, group of {members})"),
                    [
                        group.position,
                        group.published,
                        group.delivered,
                        0,
                        group.missed,
                        group.pending,
                    ],
                )?;
                write_times(f, "returned", group.returned)?;
                write_times(f, "redelivered", group.redelivered)?;
                write_times(f, "abandoned", group.abandoned)?;
                writeln!(f)?;
            }
            for observer in &topic.observers {
                write!(
                    f,
                    "  observer, priority {}, {}",
                    observer.priority, observer.location
                )?;
                write_times(f, "panics", observer.panics)?;
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

impl Snapshot {
    /// How each topic is shown.
    fn names(&self) -> Vec<String> {
        let unnamed = self.topics.iter().filter(|topic| topic.name.is_none());
        let mut times = HashMap::new();
        for topic in unnamed {
            *times.entry(short_type_name(topic.type_name)).or_insert(0) += 1;
        }
        let name = |topic: &TopicSnapshot| {
            if let Some(name) = &topic.name {
                return name.clone();
            }
            let short = short_type_name(topic.type_name);
            match times[&short] {
                1 => short,
                _ => topic.type_name.to_owned(),
            }
        };
        self.topics.iter().map(name).collect()
    }
}

fn write_row(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    [position, rest @ ..]: [impl fmt::Display; 6],
) -> fmt::Result {
    write!(f, "{name:<32} {position:>10}")?;
    rest.iter()
        .try_for_each(|number| write!(f, " {number:>12}"))
}

fn write_topic(f: &mut fmt::Formatter<'_>, name: &str, topic: &TopicSnapshot) -> fmt::Result {
    let state = if topic.closed { "closed" } else { "open" };
    let plural = if topic.publishers == 1 { "" } else { "s" };
    write!(
        f,
        "{name:<32} {:>10} {:>12} {state}, {} publisher{plural}",
        "", topic.published, topic.publishers,
    )?;
    if topic.blocked > 0 {
        write!(
            f,
            ", blocked {} times {:.1?}",
            topic.blocked, topic.blocked_time
        )?;
    }
    if topic.parked > 0 {
        write!(
            f,
            ", parked {} times {:.1?}",
            topic.parked, topic.parked_time
        )?;
    }
    write_times(f, "dead letters", topic.dead_letters)?;
    write_times(f, "dead letters lost", topic.dead_letters_lost)?;
    writeln!(f)
}

/// How often something has happened, if it has.
fn write_times(f: &mut fmt::Formatter<'_>, what: &str, times: u64) -> fmt::Result {
    match times {
        0 => Ok(()),
        times => write!(f, ", {times} {what}"),
    }
}
