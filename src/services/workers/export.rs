//! The numbers of workers, for a recorder of metrics.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Arc;

use metrics::Unit;

use super::snapshot::{WorkerSnapshot, WorkerStatus};
use crate::bus::{Series, export, labels};

/// Numbers of workers of one name, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkerTotals {
    delivered: u64,
    restarts: u64,
    running: u64,
}

const WORKERS: [Series<WorkerTotals>; 3] = [
    Series::counter(
        "ringbus_worker_delivered_total",
        Unit::Count,
        "Events that a worker's handlers were given.",
        |worker| worker.delivered,
    ),
    Series::counter(
        "ringbus_worker_restarts_total",
        Unit::Count,
        "How often a worker was restarted.",
        |worker| worker.restarts,
    ),
    Series::gauge(
        "ringbus_worker_running",
        "Whether a worker runs, or is about to.",
        |worker| worker.running,
    ),
];

impl WorkerTotals {
    pub(crate) fn of(worker: &WorkerSnapshot) -> Self {
        Self {
            delivered: worker.delivered,
            restarts: worker.restarts,
            running: u64::from(!matches!(worker.status, WorkerStatus::Ended(_))),
        }
    }
}

impl AddAssign for WorkerTotals {
    fn add_assign(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.restarts += other.restarts;
        self.running += other.running;
    }
}

/// Exports the numbers of workers.
pub(super) fn workers(totals: &BTreeMap<Arc<str>, WorkerTotals>) {
    let numbers = totals
        .iter()
        .map(|(name, totals)| (labels([("worker", Some(&**name))]), totals));
    export(&WORKERS, numbers);
}
