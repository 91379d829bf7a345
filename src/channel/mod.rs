//! Topics and their handles: policies, waiting, names and numbers over the ring.
//!
//! | file         | what                                                        |
//! |--------------|-------------------------------------------------------------|
//! | `settings`   | what a topic is opened with                                 |
//! | `core`       | what the handles of one topic share                         |
//! | `topic`      | the handle that makes publishers and subscribers            |
//! | `publish`    | claiming with patience, for both kinds of publisher         |
//! | `publisher`, `exclusive` | the two kinds                                   |
//! | `subscriber`, `batch`, `iter` | reading                                    |
//! | `subscriber_builder` | a subscriber's name, overflow, filter, start        |
//! | `stage`, `editor` | who comes after others, who changes events in place    |
//! | `ready_hook` | waking somebody else's loop                            |
//! | `overflow`, `wait` | the choices                                           |
//! | `snapshot`   | numbers for people                                          |

mod batch;
mod core;
mod editor;
mod error;
mod exclusive;
mod iter;
mod overflow;
mod publish;
mod publisher;
mod ready_hook;
mod settings;
mod snapshot;
mod stage;
mod subscriber;
mod subscriber_builder;
mod topic;
mod wait;

pub(crate) use self::core::Core;
pub(crate) use publish::{GRACE, Refusal};
pub(crate) use settings::Settings;

pub use batch::{Batch, Meta};
pub use editor::Editor;
pub use error::{
    PollError, PublishBatchError, PublishError, PublishTimeoutError, PublisherError, RecvError,
    RecvTimeoutError, SubscribeError, TryPublishError, TryRecvError,
};
pub use exclusive::ExclusivePublisher;
pub use iter::{Iter, TryIter};
pub use overflow::{Overflow, Start};
pub use publisher::Publisher;
pub use settings::{MAX_CAPACITY, MAX_NAME};
pub use snapshot::{SubscriberSnapshot, TopicSnapshot};
pub use stage::Stage;
pub use subscriber::Subscriber;
pub use subscriber_builder::SubscriberBuilder;
pub use topic::Topic;
pub use wait::WaitStrategy;
