//! All numbers of a bus, as a table.

use std::fmt;

use crate::channel::TopicSnapshot;

/// The numbers of every topic of a bus at one moment; prints as a table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// The topics, by name, those without one first.
    pub topics: Vec<TopicSnapshot>,
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<32} {:>10} {:>12} {:>12} {:>12} {:>12} {:>12}",
            "topic / subscriber",
            "position",
            "published",
            "delivered",
            "filtered",
            "missed",
            "pending"
        )?;
        for topic in &self.topics {
            let name = topic.name.as_deref().unwrap_or(topic.type_name);
            let state = if topic.closed { "closed" } else { "open" };
            writeln!(
                f,
                "{name:<32} {:>10} {:>12} {state}, {} publishers, blocked {} times {:.1?}, parked {} times {:.1?}",
                "",
                topic.published,
                topic.publishers,
                topic.blocked,
                topic.blocked_time,
                topic.parked,
                topic.parked_time,
            )?;
            for subscriber in &topic.subscribers {
                let name = subscriber.name.as_deref().unwrap_or("-");
                writeln!(
                    f,
                    "  {:<30} {:>10} {:>12} {:>12} {:>12} {:>12} {:>12}",
                    format!("{name} ({:?})", subscriber.overflow),
                    subscriber.position,
                    subscriber.published,
                    subscriber.delivered,
                    subscriber.filtered,
                    subscriber.missed,
                    subscriber.pending,
                )?;
            }
            for group in &topic.groups {
                writeln!(
                    f,
                    "  {:<30} {:>10} {:>12} {:>12} {:>12} {:>12} {:>12} {} returned, {} redelivered, {} abandoned",
                    format!(
                        "{} ({:?}, group of {})",
                        group.name, group.overflow, group.members
                    ),
                    group.position,
                    group.published,
                    group.delivered,
                    "",
                    group.missed,
                    group.pending,
                    group.returned,
                    group.redelivered,
                    group.abandoned,
                )?;
            }
            for observer in &topic.observers {
                writeln!(
                    f,
                    "  observer, priority {}, {} panics, {}",
                    observer.priority, observer.panics, observer.location
                )?;
            }
        }
        Ok(())
    }
}
