//! Topics and their handles: policies, waiting, names and numbers over the ring.
//!
//! | file         | what                                                        |
//! |--------------|-------------------------------------------------------------|
//! | `settings`   | what a topic is opened with                                 |
//! | `unheard`    | sequences before there is a ring                            |
//! | `core`       | what the handles of one topic share                         |
//! | `topic`      | the handle that makes publishers and subscribers            |
//! | `publish`    | claiming with patience, for both kinds of publisher         |
//! | `growth`     | a larger ring instead of a refusal                          |
//! | `publisher`, `exclusive` | the two kinds                                   |
//! | `given_back` | what refused batches and builds come back in           |
//! | `subscriber`, `batch`, `iter` | reading                                    |
//! | `subscriber_builder` | a subscriber's name, overflow, filter, start        |
//! | `group`, `group_member` | competing consumers                       |
//! | `stage`, `editor` | who comes after others, who changes events in place    |
//! | `timeline`   | topics that share one sequence                              |
//! | `state`, `state_reader`, `plain_reader` | the latest value of a topic that is a state |
//! | `current`, `words` | what a state has beside its topic           |
//! | `conflate`, `conflated` | the newest event of each key           |
//! | `mailbox`    | a queue out of which values are moved                       |
//! | `ready_hook` | waking somebody else's loop                            |
//! | `overflow`, `wait` | the choices                                           |
//! | `clock`      | the time that reactors and rate limits go by                |
//! | `rate_limit` | quotas, and the wait for them                               |
//! | `limited_publisher`, `limited_subscriber` | handles that keep to a quota   |
//! | `observer`, `observers` | who is called inline, and the walk that calls them |
//! | `dead_letters` | events that nobody listened to                            |
//! | `missed`       | events that were missed, on their way to the same place   |
//! | `snapshot`, `type_name` | numbers and names for people                     |
//! | `ledger`     | sums of numbers, also of those who have gone                |
//! | `system_event`, `system`, `throttle`, `system_log` | what a bus tells about itself, how, how often; logged |
//!
//! # Edges
//!
//! | edge     | store                              | load                       | carries                                  | model                                   |
//! |----------|------------------------------------|----------------------------|------------------------------------------|-----------------------------------------|
//! | `seal`   | the seal; heavy in `Unheard::seal` | light in `Unheard::take`   | Dekker: first subscriber against publish | `topic::ring_appears_under_a_publisher` |
//! | `newest` | `Words::store`                     | `Words::try_load`          | the cell of this turn                    | `plain::two_cells`                      |
//! | `lap`    | `Words::store`, a fence            | `Words::try_load`, a fence | "the cell is a later turn's"             | `plain::two_cells`                      |
//! | `first`  | `Words::store`                     | `Words::load_first`        | `newest`                                 | `plain::word_then_cell`                 |

mod batch;
mod clock;
mod conflate;
mod conflated;
mod core;
mod current;
mod dead_letters;
mod editor;
mod error;
mod exclusive;
mod given_back;
mod group;
mod group_member;
mod growth;
mod iter;
#[cfg(feature = "metrics")]
mod ledger;
#[cfg(feature = "rate-limit")]
mod limited_publisher;
#[cfg(feature = "rate-limit")]
mod limited_subscriber;
#[cfg(feature = "services")]
mod mailbox;
mod missed;
mod observer;
mod observers;
mod overflow;
#[cfg(feature = "plain")]
mod plain_reader;
mod publish;
mod publisher;
#[cfg(feature = "rate-limit")]
mod rate_limit;
mod ready_hook;
mod settings;
mod snapshot;
mod stage;
mod state;
mod state_reader;
mod subscriber;
mod subscriber_builder;
mod system;
mod system_event;
#[cfg(feature = "tracing")]
mod system_log;
mod throttle;
mod timeline;
mod topic;
mod type_name;
mod unheard;
mod wait;
#[cfg(feature = "plain")]
pub(crate) mod words;

pub(crate) use self::core::Core;
pub(crate) use error::counted;
pub(crate) use group_member::Next;
#[cfg(feature = "metrics")]
pub(crate) use ledger::{GroupTotals, ListenerKey, SubscriberTotals, TopicTotals};
#[cfg(feature = "services")]
pub(crate) use mailbox::{Inbox, Mailbox};
#[cfg(feature = "services")]
pub(crate) use publish::Patience;
pub(crate) use publish::{GRACE, Refusal};
#[cfg(feature = "services")]
pub(crate) use publisher::try_ambient;
#[cfg(all(feature = "rate-limit", feature = "services"))]
pub(crate) use rate_limit::Denied;
pub(crate) use settings::Settings;
pub(crate) use system::System;
#[cfg(all(feature = "tracing", feature = "services"))]
pub(crate) use system_log::TARGET as LOG_TARGET;
pub(crate) use type_name::short as short_type_name;

pub use batch::{Batch, Meta};
pub use clock::Clock;
pub use conflated::Conflated;
pub use dead_letters::{DeadLetter, LetterCause};
pub use editor::Editor;
pub use error::{
    PollError, PublishBatchError, PublishError, PublishTimeoutError, PublisherError, RecvError,
    RecvTimeoutError, SubscribeError, TryPublishError, TryRecvError,
};
pub use exclusive::ExclusivePublisher;
pub use given_back::{BatchRest, Draft};
pub use group::{GroupBuilder, GroupError, GroupSnapshot, Redeliver};
pub use group_member::{GroupMember, GroupMeta};
pub use iter::{Iter, TryIter};
#[cfg(feature = "rate-limit")]
pub use limited_publisher::LimitedPublisher;
#[cfg(feature = "rate-limit")]
pub use limited_subscriber::LimitedSubscriber;
pub use observer::{Observer, ObserverPanic};
pub use observers::MAX_OBSERVER_DEPTH;
pub use overflow::{Overflow, Start};
#[cfg(feature = "plain")]
pub use plain_reader::PlainReader;
pub use publisher::Publisher;
#[cfg(feature = "rate-limit")]
pub use rate_limit::{LimitedError, OnLimit, RateLimit, RateLimiter};
pub use settings::{MAX_CAPACITY, MAX_NAME};
pub use snapshot::{ObserverSnapshot, SubscriberSnapshot, TopicSnapshot};
pub use stage::Stage;
pub use state::State;
pub use state_reader::StateReader;
pub use subscriber::Subscriber;
pub use subscriber_builder::SubscriberBuilder;
#[cfg(feature = "services")]
pub use system_event::WorkerEnd;
pub use system_event::{ListenerKind, ListenerName, SystemChange, SystemEvent, TopicName};
pub use timeline::Timeline;
pub use topic::Topic;
pub use wait::WaitStrategy;
