//! Handing the numbers of a bus to a recorder of metrics.

use metrics::{Label, Unit};

use super::bus::Bus;
use crate::channel::{GroupTotals, ListenerKey, SubscriberTotals, TopicName, TopicTotals};

/// A number that is exported of each `N`.
pub(crate) struct Series<N> {
    name: &'static str,
    unit: Unit,
    about: &'static str,
    number: Number<N>,
}

enum Number<N> {
    /// Never falls.
    Counter(fn(&N) -> u64),
    Gauge(fn(&N) -> u64),
}

impl<N> Series<N> {
    pub(crate) const fn counter(
        name: &'static str,
        unit: Unit,
        about: &'static str,
        number: fn(&N) -> u64,
    ) -> Self {
        Self {
            name,
            unit,
            about,
            number: Number::Counter(number),
        }
    }

    pub(crate) const fn gauge(
        name: &'static str,
        about: &'static str,
        number: fn(&N) -> u64,
    ) -> Self {
        Self {
            name,
            unit: Unit::Count,
            about,
            number: Number::Gauge(number),
        }
    }
}

/// Hands each number of each to the recorder of the calling thread.
pub(crate) fn export<'a, N: 'a>(
    series: &[Series<N>],
    numbers: impl Iterator<Item = (Vec<Label>, &'a N)>,
) {
    for series in series {
        match series.number {
            Number::Counter(_) => {
                metrics::describe_counter!(series.name, series.unit, series.about)
            }
            Number::Gauge(_) => metrics::describe_gauge!(series.name, series.unit, series.about),
        }
    }
    for (labels, numbers) in numbers {
        for series in series {
            match series.number {
                Number::Counter(number) => {
                    metrics::counter!(series.name, labels.clone()).absolute(number(numbers));
                }
                Number::Gauge(number) => {
                    metrics::gauge!(series.name, labels.clone()).set(number(numbers) as f64);
                }
            }
        }
    }
}

/// A label for each name that is there.
pub(crate) fn labels<'a>(
    pairs: impl IntoIterator<Item = (&'static str, Option<&'a str>)>,
) -> Vec<Label> {
    let pairs = pairs.into_iter();
    pairs
        .filter_map(|(key, name)| Some(Label::new(key, name?.to_owned())))
        .collect()
}

const TOPICS: [Series<TopicTotals>; 10] = [
    Series::counter(
        "ringbus_published_total",
        Unit::Count,
        "Events published.",
        |topic| topic.published,
    ),
    Series::counter(
        "ringbus_blocked_total",
        Unit::Count,
        "How often a publisher had to wait for room.",
        |topic| topic.blocked,
    ),
    Series::counter(
        "ringbus_blocked_nanoseconds_total",
        Unit::Nanoseconds,
        "How long publishers waited for room.",
        |topic| topic.blocked_nanos,
    ),
    Series::counter(
        "ringbus_parked_total",
        Unit::Count,
        "How often a reader went to sleep.",
        |topic| topic.parked,
    ),
    Series::counter(
        "ringbus_parked_nanoseconds_total",
        Unit::Nanoseconds,
        "How long readers slept.",
        |topic| topic.parked_nanos,
    ),
    Series::counter(
        "ringbus_dead_letters_total",
        Unit::Count,
        "Events moved to topics of dead letters.",
        |topic| topic.dead_letters,
    ),
    Series::counter(
        "ringbus_dead_letters_lost_total",
        Unit::Count,
        "Dead letters that found no room.",
        |topic| topic.dead_letters_lost,
    ),
    Series::gauge("ringbus_publishers", "Publishers.", |topic| {
        topic.publishers as u64
    }),
    Series::gauge("ringbus_subscribers", "Subscribers.", |topic| {
        topic.subscribers as u64
    }),
    Series::gauge("ringbus_observers", "Observers.", |topic| {
        topic.observers as u64
    }),
];

const SUBSCRIBERS: [Series<SubscriberTotals>; 5] = [
    Series::counter(
        "ringbus_delivered_total",
        Unit::Count,
        "Events that a subscriber was given.",
        |subscriber| subscriber.delivered,
    ),
    Series::counter(
        "ringbus_filtered_total",
        Unit::Count,
        "Events that a subscriber's filter refused.",
        |subscriber| subscriber.filtered,
    ),
    Series::counter(
        "ringbus_missed_total",
        Unit::Count,
        "Events that a subscriber lost or skipped.",
        |subscriber| subscriber.missed,
    ),
    Series::gauge(
        "ringbus_pending",
        "Events that a subscriber has still to read.",
        |subscriber| subscriber.pending,
    ),
    Series::gauge(
        "ringbus_lag",
        "Sequences that a subscriber is behind.",
        |subscriber| subscriber.lag,
    ),
];

const GROUPS: [Series<GroupTotals>; 8] = [
    Series::counter(
        "ringbus_group_delivered_total",
        Unit::Count,
        "Events that members of a group have handled.",
        |group| group.delivered,
    ),
    Series::counter(
        "ringbus_group_missed_total",
        Unit::Count,
        "Events that a group lost.",
        |group| group.missed,
    ),
    Series::counter(
        "ringbus_group_returned_total",
        Unit::Count,
        "How many times an event was handed back unhandled.",
        |group| group.returned,
    ),
    Series::counter(
        "ringbus_group_redelivered_total",
        Unit::Count,
        "Events handed out once more after a panic.",
        |group| group.redelivered,
    ),
    Series::counter(
        "ringbus_group_abandoned_total",
        Unit::Count,
        "Events given up after a panic.",
        |group| group.abandoned,
    ),
    Series::gauge(
        "ringbus_group_pending",
        "Events that no member has handled yet.",
        |group| group.pending,
    ),
    Series::gauge(
        "ringbus_group_lag",
        "Sequences that a group is behind.",
        |group| group.lag,
    ),
    Series::gauge("ringbus_group_members", "Members of a group.", |group| {
        group.members as u64
    }),
];

fn of_topic(topic: &TopicName) -> [(&'static str, Option<&str>); 2] {
    [
        ("topic", topic.name.as_deref()),
        ("event_type", Some(topic.type_name)),
    ]
}

fn of_listener(kind: &'static str, key: &ListenerKey) -> Vec<Label> {
    let (topic, name) = key;
    labels(of_topic(topic).into_iter().chain([(kind, name.as_deref())]))
}

impl Bus {
    /// Hands the bus's numbers to the recorder of [`metrics`] that is installed, as they are now.
    ///
    /// They are what [`snapshot`](Self::snapshot) and the like tell, so that nothing is counted where events pass. Call
    /// it when they are to be new: from a timer of a reactor, or before they are scraped. Where no recorder is
    /// installed nothing comes of it.
    ///
    /// | labels | counters | gauges |
    /// |--------|----------|--------|
    /// | `topic`, `event_type` | `ringbus_published_total`, `_blocked_total`, `_blocked_nanoseconds_total`, `_parked_total`, `_parked_nanoseconds_total`, `_dead_letters_total`, `_dead_letters_lost_total` | `ringbus_publishers`, `_subscribers`, `_observers` |
    /// | these and `subscriber` | `ringbus_delivered_total`, `_filtered_total`, `_missed_total` | `ringbus_pending`, `_lag` |
    /// | these and `group` | `ringbus_group_delivered_total`, `_missed_total`, `_returned_total`, `_redelivered_total`, `_abandoned_total` | `ringbus_group_pending`, `_lag`, `_members` |
    /// | `request`, `service` | `ringbus_service_received_total`, `_replied_total`, `_late_total`, `_dropped_total`, `_panicked_total`, `_abandoned_total`, `_handed_on_total` | `ringbus_service_instances`, `_waiting`, `_serving`, `_ejected` |
    /// | `worker` | `ringbus_worker_delivered_total`, `_restarts_total` | `ringbus_worker_running` |
    ///
    /// The last two rows come with the feature `services`. What has no name has no label of that kind. Numbers are
    /// summed over all of one name, lags are those of the farthest behind; the lanes of one publisher each count under
    /// the name of the [`Lanes`](crate::Lanes), as does any other topic whose name ends in `#` and a number.
    ///
    /// # Counters
    ///
    /// They do not fall when somebody leaves or a topic is opened anew: from the first call on, what those have done who
    /// have gone is kept, by their names. So there is memory for every name that there ever was, as there is in most
    /// recorders; name subscribers by what they are for, not each by itself. What had gone before the first call is not
    /// counted, and neither is a call of a service that is answered after its server was dropped.
    ///
    /// A gauge of a name that nobody has any more becomes 0.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ringbus::{Bus, Reactor};
    ///
    /// let bus = Bus::new();
    /// let mut reactor = Reactor::<()>::new();
    /// let exported = bus.clone();
    /// reactor.every(Duration::from_secs(1), move |_, _| exported.export_metrics());
    /// ```
    pub fn export_metrics(&self) {
        let ledger = self.registry().system().ledger();
        ledger.begin();
        // Looking at the lanes forgets those that have gone; it must not do so between the next two.
        self.registry().tidy();
        // In this order, see `Ledger`.
        let mut totals = ledger.gone();
        for topic in self.registry().snapshot() {
            totals.add(&topic);
        }
        let topics = totals.topics.iter();
        export(
            &TOPICS,
            topics.map(|(key, topic)| (labels(of_topic(key)), topic)),
        );
        let subscribers = totals.subscribers.iter();
        export(
            &SUBSCRIBERS,
            subscribers.map(|(key, subscriber)| (of_listener("subscriber", key), subscriber)),
        );
        let groups = totals.groups.iter();
        export(
            &GROUPS,
            groups.map(|(key, group)| (of_listener("group", key), group)),
        );
        #[cfg(feature = "services")]
        self.export_attached();
    }
}
