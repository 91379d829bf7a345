//! The numbers of services, for a recorder of metrics.

use metrics::Unit;

use super::snapshot::{InstanceSnapshot, ServiceSnapshot};
use crate::bus::{Series, export, labels};

/// Numbers of instances of one service.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceTotals {
    received: u64,
    replied: u64,
    late: u64,
    dropped: u64,
    panicked: u64,
    abandoned: u64,
    handed_on: u64,
    instances: u64,
    waiting: u64,
    serving: u64,
    ejected: u64,
}

const SERVICES: [Series<ServiceTotals>; 11] = [
    Series::counter(
        "ringbus_service_received_total",
        Unit::Count,
        "Requests sent to instances of a service.",
        |service| service.received,
    ),
    Series::counter(
        "ringbus_service_replied_total",
        Unit::Count,
        "Replies.",
        |service| service.replied,
    ),
    Series::counter(
        "ringbus_service_late_total",
        Unit::Count,
        "Replies whose caller had gone.",
        |service| service.late,
    ),
    Series::counter(
        "ringbus_service_dropped_total",
        Unit::Count,
        "Calls dropped without a reply.",
        |service| service.dropped,
    ),
    Series::counter(
        "ringbus_service_panicked_total",
        Unit::Count,
        "Calls in which an instance panicked.",
        |service| service.panicked,
    ),
    Series::counter(
        "ringbus_service_abandoned_total",
        Unit::Count,
        "Requests dropped unserved, as their caller had gone.",
        |service| service.abandoned,
    ),
    Series::counter(
        "ringbus_service_handed_on_total",
        Unit::Count,
        "Requests given to others, or back, as an instance left.",
        |service| service.handed_on,
    ),
    Series::gauge(
        "ringbus_service_instances",
        "Instances of a service.",
        |service| service.instances,
    ),
    Series::gauge(
        "ringbus_service_waiting",
        "Requests that wait to be served.",
        |service| service.waiting,
    ),
    Series::gauge(
        "ringbus_service_serving",
        "Requests that are being served.",
        |service| service.serving,
    ),
    Series::gauge(
        "ringbus_service_ejected",
        "Instances that are asked nothing for a while.",
        |service| service.ejected,
    ),
];

impl ServiceTotals {
    /// Keeps the numbers of an instance that has left.
    pub(crate) fn keep(&mut self, instance: &InstanceSnapshot) {
        self.received += instance.received;
        self.replied += instance.replied;
        self.late += instance.late;
        self.dropped += instance.dropped;
        self.panicked += instance.panicked;
        self.abandoned += instance.abandoned;
        self.handed_on += instance.handed_on;
    }

    fn add(&mut self, instance: &InstanceSnapshot) {
        self.keep(instance);
        self.instances += 1;
        self.waiting += instance.waiting;
        self.serving += instance.serving;
        self.ejected += u64::from(instance.ejected);
    }
}

/// Exports the numbers of services, each with those of the instances that have left.
pub(super) fn services(services: impl Iterator<Item = (ServiceTotals, ServiceSnapshot)>) {
    let totals: Vec<_> = services
        .map(|(mut totals, service)| {
            service
                .instances
                .iter()
                .for_each(|instance| totals.add(instance));
            (service, totals)
        })
        .collect();
    let numbers = totals.iter().map(|(service, totals)| {
        let names = [
            ("request", Some(service.request)),
            ("service", service.name.as_deref()),
        ];
        (labels(names), totals)
    });
    export(&SERVICES, numbers);
}
