//! Many sources on one thread: the reactor, and `select!`.
//!
//! | file        | what                                                         |
//! |-------------|--------------------------------------------------------------|
//! | `reactor`, `builder`, `budget` | running, in one's own loop or somebody else's |
//! | `context`   | what handlers and owners do to a reactor                     |
//! | `drive`     | calling handlers with their events                           |
//! | `fire`, `turn`, `sleep` | timers; the fences of a turn; the end of a round  |
//! | `slots`     | the handlers                                                 |
//! | `source`, `edit` | what is served: subscriptions, foreign channels; editors |
//! | `timeline`  | handlers of several topics in one order                      |
//! | `membership` | members of groups                                         |
//! | `schedule`, `line` | whose turn it is, and who rings                       |
//! | `timers`    | what is due                                                  |
//! | `outbox`    | events that find no room yet                                 |
//! | `control`, `handler` | what other threads ask for; names, guards, panics   |
//! | `pulse`     | which handler runs, for other threads to see                 |
//! | `arms`, `macros`, `conflated` | `select!`, and its arms                    |
//! | `merged`, `merged_builder`, `merged_source` | many topics read as one source |
//! | `intake`    | where topics that appear come to a merged subscriber         |

mod arms;
#[cfg(feature = "services")]
mod attend;
mod budget;
mod builder;
mod conflated;
mod context;
mod control;
mod drive;
mod edit;
mod fire;
mod handler;
mod intake;
mod line;
mod macros;
mod membership;
mod merged;
mod merged_builder;
mod merged_source;
mod outbox;
#[cfg(feature = "services")]
mod pulse;
#[cfg(not(feature = "services"))]
#[path = "no_pulse.rs"]
mod pulse;
mod reactor;
pub(crate) mod schedule;
mod sleep;
mod slots;
mod snapshot;
mod source;
mod timeline;
mod timers;
mod turn;

#[cfg(feature = "services")]
pub(crate) use arms::Waiting;
#[cfg(feature = "services")]
pub(crate) use source::{Outcome, Source};

#[doc(hidden)]
pub use arms::{Arms, Chosen, Patience, select};
pub use arms::{Ready, Selectable};
pub use budget::{Budget, Turn};
pub use builder::ReactorBuilder;
pub use context::Context;
pub use control::StopHandle;
pub use handler::{HandlerGuard, HandlerId, HandlerPanic, OnPanic, Priority};
pub use merged::{Delivery, MergedMeta, MergedSnapshot, MergedSubscriber};
pub use merged_builder::MergedBuilder;
pub use outbox::OutboxError;
#[cfg(feature = "services")]
pub(crate) use pulse::Beat;
#[cfg(feature = "services")]
pub use pulse::HandlerName;
pub use reactor::{Ended, Reactor, RunError};
pub use snapshot::ReactorSnapshot;
pub use timeline::TimelineHandlers;
pub use timers::MissedTicks;
