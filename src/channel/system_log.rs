//! Logging what a bus tells about itself, with the feature `tracing`.

use tracing::Level;

#[cfg(feature = "services")]
use super::system_event::WorkerEnd;
use super::system_event::{ListenerName, SystemChange, TopicName};

/// The target of everything that is logged.
pub(crate) const TARGET: &str = "ringbus";

/// Whether anything might be logged: a look at the level, while nobody listens.
#[inline]
pub(super) fn is_enabled() -> bool {
    tracing::enabled!(target: TARGET, Level::ERROR)
}

/// One event of the log, about a topic and, if that is given, about a listener of it. A macro, as the fields of a log
/// event are static.
macro_rules! log {
    ($level:ident, $topic:expr, $listener:expr, $message:literal $(, $($field:ident).+ = $value:expr)*) => {{
        let topic: &TopicName = $topic;
        let listener: Option<&ListenerName> = $listener;
        tracing::event!(
            target: TARGET,
            Level::$level,
            topic = topic.name.as_deref(),
            event_type = topic.type_name,
            listener = listener.map(|listener| tracing::field::display(listener.kind)),
            name = listener.and_then(|listener| listener.name.as_deref()),
            id = listener.map(|listener| listener.id),
            overflow = listener.and_then(|listener| listener.overflow).map(tracing::field::debug),
            location = listener.map(|listener| tracing::field::display(listener.location)),
            $($($field).+ = $value,)*
            $message
        );
    }};
}

/// Logs a change.
pub(super) fn log(change: &SystemChange) {
    use SystemChange::*;
    match change {
        Joined { topic, listener } => log!(DEBUG, topic, Some(listener), "joined"),
        Left { topic, listener } => log!(DEBUG, topic, Some(listener), "left"),
        Disconnected {
            topic,
            listener,
            missed,
        } => log!(
            WARN,
            topic,
            Some(listener),
            "disconnected",
            missed = *missed
        ),
        Missed {
            topic,
            listener,
            missed,
        } => log!(
            WARN,
            topic,
            Some(listener),
            "missed events",
            missed = *missed
        ),
        Blocked {
            topic,
            slowest,
            times,
        } => log!(
            WARN,
            topic,
            slowest.as_ref(),
            "publisher blocked",
            times = *times
        ),
        ObserverPanicked {
            topic,
            listener,
            message,
        } => log!(
            WARN,
            topic,
            Some(listener),
            "observer panicked",
            panic = message.as_deref()
        ),
        HandlerPanicked {
            topic,
            listener,
            handler,
            message,
        } => log!(
            WARN,
            topic,
            Some(listener),
            "handler panicked",
            handler = handler.map(tracing::field::display),
            panic = message.as_deref()
        ),
        #[cfg(feature = "services")]
        WorkerStarted { worker } => {
            tracing::event!(target: TARGET, Level::DEBUG, worker = &**worker, "worker started");
        }
        #[cfg(feature = "services")]
        WorkerPanicked {
            worker,
            handler,
            message,
        } => tracing::event!(
            target: TARGET,
            Level::WARN,
            worker = &**worker,
            handler = handler.map(tracing::field::display),
            panic = message.as_deref(),
            "worker panicked"
        ),
        #[cfg(feature = "services")]
        WorkerRestarted { worker, restarts } => {
            tracing::event!(target: TARGET, Level::WARN, worker = &**worker, restarts, "worker restarted");
        }
        #[cfg(feature = "services")]
        WorkerEnded {
            worker,
            end: end @ WorkerEnd::Panicked,
        } => {
            tracing::event!(target: TARGET, Level::ERROR, worker = &**worker, end = %end, "worker ended");
        }
        #[cfg(feature = "services")]
        WorkerEnded { worker, end } => {
            tracing::event!(target: TARGET, Level::DEBUG, worker = &**worker, end = %end, "worker ended");
        }
    }
}
