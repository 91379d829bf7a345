//! An embeddable, in-process event bus: typed topics over lock-free rings, synchronous, on threads.
//!
//! A [`Bus`] is a set of [`Topic`]s. What is published to a topic every subscriber of it sees, in one order.
//! An event is written once, into the topic's ring, and read there by reference; nothing but
//! `T: Send + Sync + 'static` is asked of it. There is no thread but yours and those that you ask for, and no bus
//! but those that you make.
//!
//! # Hello, bus
//!
//! ```
//! use ringbus::Bus;
//!
//! let bus = Bus::new();
//! let greetings = bus.topic::<String>();
//! let mut subscriber = greetings.subscribe();
//! bus.publish("hello".to_string())?;
//! assert_eq!(subscriber.recv()?, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Topics
//!
//! A topic is found by its event type, or by type and name; opening it twice gives the same one. Topics of
//! one name and different types are different topics.
//!
//! ```
//! # use ringbus::{Bus, WaitStrategy};
//! let bus = Bus::new();
//! let plain = bus.topic::<u64>();
//! let named = bus.topic_named::<u64>("md.spot.btcusdt")?;
//! let tuned = bus
//!     .topic_builder::<u64>()
//!     .name("ticks")
//!     .capacity(1 << 14)
//!     .wait(WaitStrategy::Spin)
//!     .retain(1024)
//!     .open()?;
//! assert_eq!((plain.capacity(), named.capacity(), tuned.capacity()), (1024, 1024, 1 << 14));
//! # Ok::<(), ringbus::TopicError>(())
//! ```
//!
//! # Publishing
//!
//! A [`Publisher`] is one of several; an [`ExclusivePublisher`] is the only one of its topic, and needs no
//! locked instruction. Both publish one event or a batch, waiting for room or not. Whatever is refused
//! comes back in the error.
//!
//! ```
//! # use ringbus::{Bus, PublishError, TryPublishError};
//! let bus = Bus::new();
//! let topic = bus.topic_builder::<String>().capacity(2).open()?;
//! let mut subscriber = topic.subscribe();
//! let publisher = topic.publisher()?;
//!
//! publisher.publish_batch(["one".to_string(), "two".to_string()])?;
//! let refused = publisher.try_publish("three".to_string()).unwrap_err();
//! assert_eq!(refused, TryPublishError::Full("three".to_string()));
//!
//! // This thread reads the subscriber that is in the way, so waiting for it would never end.
//! assert_eq!(subscriber.recv()?, "one");
//! publisher.publish(refused.into_event())?;
//! let refused = publisher.publish("four".to_string()).unwrap_err();
//! assert_eq!(refused, PublishError::WouldDeadlock("four".to_string()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Receiving
//!
//! By reference, for any type: [`Subscriber::poll`], its blocking twin
//! [`poll_wait`](Subscriber::poll_wait), and [`poll_batch`](Subscriber::poll_batch) for several at once. As
//! clones: [`recv`](Subscriber::recv), [`try_recv`](Subscriber::try_recv),
//! [`recv_timeout`](Subscriber::recv_timeout), [`recv_deadline`](Subscriber::recv_deadline),
//! [`iter`](Subscriber::iter), [`try_iter`](Subscriber::try_iter).
//!
//! # Observing
//!
//! A subscriber is queued, an [`Observer`] is inline: its closure runs on the publisher's thread, before the
//! event enters the ring, and may veto it.
//!
//! ```
//! # use std::ops::ControlFlow;
//! # use ringbus::{Bus, PublishError};
//! let bus = Bus::new();
//! let orders = bus.topic::<u64>();
//! let limit = orders.observe_with(0, |quantity| match quantity {
//!     0..=100 => ControlFlow::Continue(()),
//!     _ => ControlFlow::Break(()),
//! });
//! assert_eq!(bus.publish(1_000_u64), Err(PublishError::Vetoed(1_000)));
//! drop(limit); // when this returns the closure is not running, and never runs again
//! bus.publish(1_000_u64)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Many topics as one
//!
//! Names of tokens between dots can be followed by a [`Pattern`]: `*` is one token, `>` the rest. A
//! [`MergedSubscriber`] reads the topics that match, those that are opened later too, and tells with each
//! event which topic it is of. Names are matched when a topic or a pattern appears, never when an event is
//! published, and reading costs what is ready, not what is followed.
//!
//! ```
//! # use ringbus::Bus;
//! let bus = Bus::new();
//! let mut quotes = bus.subscribe_pattern::<u64>("md.*.btcusdt")?;
//! bus.topic_named::<u64>("md.spot.btcusdt")?.publish(7)?;
//! let quote = quotes.recv()?;
//! assert_eq!((&*quote.topic, quote.event), ("md.spot.btcusdt", 7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Lanes`] are for many publishers that need no common order: each has a ring of its own, and a merged
//! subscriber reads them all.
//!
//! # When the ring is full
//!
//! Each subscriber has its own [`Overflow`], and those of one topic mix. `Block` makes publishers wait.
//! `DropOldest` loses the oldest events and is told how many:
//!
//! ```
//! # use ringbus::{Bus, Overflow, RecvError};
//! let bus = Bus::new();
//! let topic = bus.topic_builder::<u32>().capacity(4).open()?;
//! let mut screen = topic.subscriber().overflow(Overflow::DropOldest).open()?;
//! let publisher = topic.publisher()?;
//! for event in 0..10 {
//!     publisher.publish(event)?; // never waits
//! }
//! assert_eq!(screen.recv(), Err(RecvError::Missed(6)));
//! assert_eq!(screen.recv(), Ok(6));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `Latest` always takes the newest, and counts what it skips:
//!
//! ```
//! # use ringbus::{Bus, Overflow};
//! let bus = Bus::new();
//! let prices = bus.topic::<u32>();
//! let mut display = prices.subscriber().overflow(Overflow::Latest).open()?;
//! for price in 0..10 {
//!     prices.publish(price)?;
//! }
//! display.poll(64, |price, meta| assert_eq!((*price, meta.missed), (9, 9)))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `Disconnect` ends the subscription that falls a full ring behind:
//!
//! ```
//! # use ringbus::{Bus, Overflow, RecvError};
//! let bus = Bus::new();
//! let topic = bus.topic_builder::<u32>().capacity(4).open()?;
//! let mut journal = topic.subscriber().overflow(Overflow::Disconnect).open()?;
//! for event in 0..5 {
//!     topic.publish(event)?;
//! }
//! assert_eq!(journal.recv(), Err(RecvError::Disconnected(4)));
//! assert_eq!(journal.recv(), Err(RecvError::Closed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where one thread publishes and then reads, a topic may also [grow](TopicBuilder::grow_to), up to a bound,
//! before it makes a publisher wait or refuses an event.
//!
//! # Sharing work
//!
//! The members of a group are one subscriber together: each event goes to exactly one of them, the one that is
//! idle; see [`GroupMember`]. One that dies loses the others nothing, and [`by_key`](GroupBuilder::by_key) keeps
//! the order of what belongs together.
//!
//! ```
//! # use ringbus::{Bus, Redeliver};
//! let bus = Bus::new();
//! let jobs = bus.topic::<u32>();
//! let mut dying = jobs.group("workers").redeliver(Redeliver::Once).join()?;
//! let mut other = jobs.group("workers").join()?;
//! jobs.publish(7)?;
//! let died = std::thread::spawn(move || dying.poll(64, |_, _| panic!("out of luck"))).join();
//! assert!(died.is_err());
//! other.poll(64, |job, meta| assert_eq!((*job, meta.redelivered), (7, true)))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Stages
//!
//! A subscriber may come [after](SubscriberBuilder::after) others on the same topic: it sees an event when
//! they are done with it. A stage that leaves holds nobody up; see [`Stage`].
//!
//! ```
//! # use ringbus::Bus;
//! let bus = Bus::new();
//! let orders = bus.topic::<String>();
//! let mut journal = orders.subscribe();
//! let mut replicate = orders.subscriber().after(&journal).open()?;
//! let mut act = orders.subscriber().after(&replicate).open()?;
//!
//! orders.publish("buy".to_string())?;
//! assert_eq!(act.poll(64, |_, _| {}), Ok(0));
//! for stage in [&mut journal, &mut replicate, &mut act] {
//!     assert_eq!(stage.poll(64, |order, _| assert_eq!(order, "buy")), Ok(1));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A topic opened with [editors](TopicBuilder::open_edited) has stages before all subscribers that change
//! events in place, as `&mut T`; see [`Editor`].
//!
//! # States
//!
//! A [`State`] is a topic of which the latest value counts. It always has one; it is read without subscribing;
//! and whoever subscribes is given the latest value, then every later one, without a gap.
//!
//! ```
//! # use ringbus::Bus;
//! let bus = Bus::new();
//! let limit = bus.state_named("risk.limit", 100_u64)?;
//! let mut changes = limit.subscribe();
//! let version = limit.set(150)?;
//! assert_eq!(limit.get(), (150, version));
//! assert_eq!(changes.recv()?, 100);
//! assert_eq!(changes.recv()?, 150);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Conflating by key
//!
//! A reader that cannot keep up may want the newest event of each key instead of every event.
//! [`Subscriber::drain_latest_by`] shows them by reference, out of what the ring holds;
//! [`Subscriber::conflate_by`] keeps them in a table beside the ring, for readers that are slower than the ring
//! is long. Either way what is passed over is counted, and told.
//!
//! Conflation begins when the reader looks: a lossless one holds publishers up until then, and a lossy one may lose
//! the only event of a key that speaks rarely. Where neither may be, give each key a topic of its own and follow them
//! with a [pattern](Bus::pattern_subscriber) and [`Overflow::Latest`]: of each topic the newest event waits, whatever
//! the others do.
//!
//! ```
//! # use ringbus::Bus;
//! let bus = Bus::new();
//! let quotes = bus.topic::<(&str, u32)>();
//! let mut screen = quotes.subscribe();
//! for quote in [("btc", 100), ("eth", 10), ("btc", 101), ("btc", 102)] {
//!     quotes.publish(quote)?;
//! }
//! let mut shown = Vec::new();
//! screen.drain_latest_by(|quote| quote.0, |quote, meta| shown.push((*quote, meta.missed)))?;
//! assert_eq!(shown, [(("eth", 10), 1), (("btc", 102), 1)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Closing
//!
//! See [Closing](Topic#closing): what closes what, and what is still delivered.
//!
//! # Waiting
//!
//! See [`WaitStrategy`]. Waiting threads neither poll nor use timers; a publish makes no system call while
//! nobody sleeps. On Linux the fence that makes this safe is `membarrier(2)`, paid by the thread that goes
//! to sleep; it must stay allowed for as long as the process has topics. Elsewhere both sides pay a fence.
//!
//! # Selecting
//!
//! [`select!`] waits for the first of a handful of sources and runs its arm, in which `break`, `return`
//! and `?` mean what they mean around it:
//!
//! ```
//! # use std::time::Duration;
//! # use ringbus::{Bus, select};
//! # let bus = Bus::new();
//! let (mut quotes, mut trades) = (bus.topic::<u64>().subscribe(), bus.topic::<String>().subscribe());
//! bus.publish(7_u64)?;
//! let what = select! {
//!     quote = quotes => format!("quote {}", quote?),
//!     trade = trades => format!("trade {}", trade?),
//!     default(Duration::from_millis(5)) => "nothing".to_string(),
//! };
//! assert_eq!(what, "quote 7");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Reacting
//!
//! A [`Reactor`] looks after any number of subscriptions, timers and foreign channels on one thread, with one
//! `&mut` state for all their handlers. It waits at the cost of what is ready, not of what is registered. It
//! [runs](Reactor::run) by itself or takes [turns](Reactor::turn) in a loop that is somebody else's.
//!
//! ```
//! # use std::time::Duration;
//! # use ringbus::{Bus, Clock, Budget, Reactor};
//! #[derive(Default)]
//! struct World {
//!     score: u32,
//!     seconds: u32,
//! }
//!
//! let bus = Bus::new();
//! let goals = bus.topic::<u32>();
//! let clock = Clock::manual(); // or the system's, which is the default
//! let mut reactor = Reactor::<World>::builder().clock(clock.clone()).build();
//! reactor.on(goals.subscribe(), |world, goal, _| world.score += goal);
//! reactor.every(Duration::from_secs(1), |world, _| world.seconds += 1);
//!
//! let mut world = World::default();
//! goals.publish(3)?;
//! clock.advance(Duration::from_secs(1));
//! let turn = reactor.turn(&mut world, Budget::events(10_000));
//! assert_eq!((world.score, world.seconds, turn.pending), (3, 1, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Handlers of several topics are called in the order of publication if the topics are on one [`Timeline`].
//!
//! # In a foreign loop
//!
//! A loop that waits by other means, a window's or an `epoll`, is woken by [`Subscriber::on_ready`]; a
//! `crossbeam_channel::select!` is by [`Subscriber::doorbell`]; a loop that comes round anyway, a game's, takes
//! [turns](Reactor::turn) or [polls](Subscriber::poll).
//!
//! ```
//! # use ringbus::Bus;
//! # let bus = Bus::new();
//! # let ticks = bus.topic::<u32>();
//! let mut subscriber = ticks.subscribe();
//! let (wake, woken) = std::sync::mpsc::channel(); // the loop's own way to be woken
//! subscriber.on_ready(move || {
//!     let _ = wake.send(());
//! });
//! ticks.publish(7)?;
//! ticks.close();
//!
//! let mut sum = 0;
//! 'waiting: while woken.recv().is_ok() {
//!     // Until there is nothing: only then is the hook called again.
//!     loop {
//!         match subscriber.poll(64, |tick, _| sum += tick) {
//!             Ok(0) => break,
//!             Ok(_) => {}
//!             Err(_closed) => break 'waiting,
//!         }
//!     }
//! }
//! assert_eq!(sum, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Requests and replies
//!
//! With the feature `services`, a [`Request`] is sent to one of those that [serve](Bus::serve) it, and is
//! answered once: with a reply, with the request, or with the reason why there is neither, which is told at
//! once. A server is pulled by a thread or [served](Context::serve) by a reactor; a [`Client`] waits for the
//! reply, or takes a [`Ticket`] for it.
//!
//! ```
//! # #[cfg(feature = "services")] {
//! # use std::{thread, time::Duration};
//! use ringbus::{Bus, CallError, Request};
//!
//! #[derive(Debug, PartialEq)]
//! struct Add(i64, i64);
//!
//! impl Request for Add {
//!     type Reply = i64;
//! }
//!
//! let bus = Bus::new();
//! let client = bus.client::<Add>();
//! let second = Duration::from_secs(1);
//! assert_eq!(client.call(Add(2, 3), second), Err(CallError::NoResponder(Add(2, 3))));
//!
//! let mut server = bus.serve::<Add>();
//! let serving = thread::spawn(move || {
//!     while let Ok(call) = server.recv() {
//!         let Add(a, b) = *call.request();
//!         call.reply(a + b);
//!     }
//! });
//! assert_eq!(client.call(Add(2, 3), second), Ok(5));
//! bus.close();
//! serving.join().unwrap();
//! # }
//! ```
//!
//! Requests are [balanced](Balance) among the instances that serve them, which [come and go](Server#leaving),
//! may be [ejected](ServerBuilder::eject_after) when they fail, and are [listed](Bus::services), with news of
//! them in a topic of [`ServiceEvent`]s. A call is answered many times by a [`stream`].
//!
//! # Workers
//!
//! With the feature `services`, [`Bus::worker`] runs a reactor on a named thread, pinned to a core if that is asked.
//! After a panic it is restarted with a new state, and loses no event. [`Bus::shutdown`] closes the bus, has the
//! workers handle what was published, and reports by name what they did not; [`Bus::watchdog`] names handlers that
//! take long.
//!
//! ```
//! # #[cfg(feature = "services")]
//! # fn services() -> Result<(), Box<dyn std::error::Error>> {
//! # use std::time::Duration;
//! # use ringbus::{Bus, OnFailure, Reactor, Restarts};
//! let bus = Bus::new();
//! let orders = bus.topic::<u64>();
//! let mut risk = Reactor::<u64>::new();
//! risk.on(orders.subscribe(), |volume, order, _| {
//!     assert_ne!(*order, 13);
//!     *volume += order;
//! });
//! bus.worker("risk")
//!     .restart(Restarts::up_to(3).within(Duration::from_secs(60)))
//!     .on_failure(OnFailure::Escalate)
//!     .spawn(risk, || 0)?
//!     .detach();
//! for order in 10..20 {
//!     orders.publish(order)?;
//! }
//!
//! let report = bus.shutdown(Duration::from_secs(5));
//! assert!(report.is_complete(), "{report}");
//! assert_eq!((report.workers[0].delivered, report.workers[0].restarts), (10, 1));
//! # Ok(())
//! # }
//! # #[cfg(feature = "services")]
//! # services().unwrap();
//! ```
//!
//! # Watching a bus
//!
//! [`Bus::snapshot`] tells the numbers of everything, and prints as a table. A bus that is [asked](Bus::system_events)
//! tells what happens on it as [`SystemEvent`]s: who joins and leaves, loses events, holds publishers up or panics, by
//! name and call site. With the feature `tracing` it logs that too; with the feature `metrics`, `Bus::export_metrics` hands
//! the numbers to a recorder. Nothing of this is paid for where events pass.
//!
//! ```
//! use ringbus::{Bus, Overflow};
//!
//! let bus = Bus::new();
//! let mut events = bus.system_events().subscribe();
//! let ticks = bus.topic_builder::<u32>().name("ticks").capacity(4).open()?;
//! let mut screen = ticks.subscriber().name("screen").overflow(Overflow::DropOldest).open()?;
//! for tick in 0..10 {
//!     ticks.publish(tick)?;
//! }
//! screen.poll(64, |_, _| {})?;
//! let told = [events.recv()?.to_string(), events.recv()?.to_string()];
//! assert!(told[0].contains("ticks: subscriber screen (DropOldest)") && told[0].ends_with("has joined"));
//! assert!(told[1].ends_with("has missed 6 events"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limiting rates
//!
//! With the feature `rate-limit` a publisher, a subscriber or a client keeps to a quota, of its own or shared with
//! others: `RateLimit::per_second(100).burst(10)`. What a publisher has beyond it waits, comes back, or is dropped
//! and counted. `Bus::limit_calls` (feature `services`) bounds how many calls of a service are outstanding.
//!
//! ```
//! # #[cfg(feature = "rate-limit")]
//! # fn limited() -> Result<(), Box<dyn std::error::Error>> {
//! # use ringbus::{Bus, OnLimit, RateLimit};
//! let bus = Bus::new();
//! let alarms = bus.topic::<u32>();
//! let mut subscriber = alarms.subscribe();
//! let noisy = alarms.publisher()?.limited(RateLimit::per_minute(3), OnLimit::Drop);
//! for alarm in 0..10 {
//!     noisy.publish(alarm)?;
//! }
//! assert_eq!((subscriber.poll(64, |_, _| {})?, noisy.dropped()), (3, 7));
//! # Ok(())
//! # }
//! # #[cfg(feature = "rate-limit")]
//! # limited().unwrap();
//! ```
//!
//! # Guarantees
//!
//! | operation                                  | progress                           | allocates      | may block              |
//! |--------------------------------------------|------------------------------------|----------------|------------------------|
//! | [`ExclusivePublisher::try_publish`]        | wait-free but for a walk over the members once in half a ring | no | no |
//! | [`Publisher::try_publish`]                 | lock-free within a stretch of the ring, a lock among publishers between stretches | no | no |
//! | either, to a topic of a [`Timeline`]       | a lock among the timeline's publishers | no         | no                     |
//! | [`publish`](Publisher::publish)            | as above                           | no             | for lossless subscribers, and for a publisher that is a full ring late |
//! | [`Publisher::publish_batch`]               | as above                           | until its buffer has grown | as above   |
//! | [`poll`](Subscriber::poll), lossless       | wait-free                          | no             | no                     |
//! | [`poll`](Editor::poll) of an editor        | wait-free                          | no             | no                     |
//! | [`poll`](Subscriber::poll), lossy          | lock-free; waits two stores of a publisher that is just pushing it | no | no |
//! | [`poll`](GroupMember::poll) of a group     | lock-free; a lock among members for what was handed back, and by key | until its lists have grown | no |
//! | [`MergedSubscriber::poll`]                 | as `poll`                          | when topics have appeared | no          |
//! | [`recv`](Subscriber::recv) and its kin     | as above                           | as `T: Clone`  | for an event           |
//! | [`State::set`]                             | a lock among those who set, held while one value is written | no | for lossless subscribers |
//! | [`State::read`]                            | two short locks among readers; joins the ring for the read while more than eight read at once | once for each of the eight | no |
//! | [`StateReader::read`], [`PlainReader::get`] | lock-free                         | no             | no                     |
//! | [`PlainReader::load`], up to eight bytes   | wait-free                          | no             | no                     |
//! | [`drain_latest_by`](Subscriber::drain_latest_by), [`Conflated`] | as `poll`     | until it has grown | no                 |
//! | [`turn`](Reactor::turn), [`Context::publish`] | as `poll` and `try_publish`         | until the outbox has grown | no          |
//! | [`Client::start`]                          | as `try_publish`, and a short lock among its tickets | until its places have grown | no |
//! | [`Client::call`]                           | as `try_publish`                   | as above       | for the reply          |
//! | [`Server::try_recv`], [`Call::reply`]      | as `poll`; wait-free               | no             | no                     |
//! | [`select!`], [`run`](Reactor::run)         | as `poll`                          | with foreign channels, when it sleeps | for a source |
//! | subscribing, leaving, closing, snapshots   | a lock of the topic's              | yes            | no                     |
//! | publishing to observers                    | as theirs; wait-free around them   | the first time | as they do             |
//! | dropping an [`Observer`], a [`HandlerGuard`], a subscriber with a hook | a lock of the topic's | yes | while it runs elsewhere |
//! | dropping a [`Worker`]                      | a lock of the worker's             | no             | while a handler runs   |
//! | [`Bus::shutdown`]                          | locks of the topics and workers    | yes            | until the workers have ended, or its timeout |
//!
//! No lock is held while user code runs: handlers, observers, filters, hooks, `Clone`, `Drop`, iterators.
//!
//! A stretch is what publishers may claim without looking at who reads: half a ring while the readers keep up,
//! less where one of them is in the way sooner. At its end one publisher looks at all of them, and others that come
//! there meanwhile wait for it.
//!
//! # Trade-offs
//!
//! Memory is taken up front, but for topics that may grow, and an event stays in it until it is overwritten or
//! the topic goes. Sequences have gaps where a publisher stepped over a slot that a lossy subscriber was reading,
//! or where a batch ended early; numbers of events are exact all the same.
//!
//! # When not to use it
//!
//! For a work queue without an order to keep and with nobody else to listen, or a buffer without a bound, use a
//! channel, `crossbeam-channel` for one. In async code use `tokio::sync::broadcast`. For one producer and one
//! consumer in an audio callback use `rtrb`; between processes, `iceoryx2`.

mod bus;
mod channel;
mod ring;
mod select;
#[cfg(feature = "services")]
mod services;
mod sync;

#[cfg(all(test, ringbus_loom))]
mod models;

pub use bus::{
    Bus, Lanes, Pattern, PatternError, Snapshot, StateBuilder, TopicBuilder, TopicError,
};
#[cfg(feature = "plain")]
pub use channel::PlainReader;
pub use channel::{
    Batch, BatchRest, Clock, Conflated, DeadLetter, Draft, Editor, ExclusivePublisher,
    GroupBuilder, GroupError, GroupMember, GroupMeta, GroupSnapshot, Iter, LetterCause,
    ListenerKind, ListenerName, MAX_CAPACITY, MAX_NAME, MAX_OBSERVER_DEPTH, Meta, Observer,
    ObserverPanic, ObserverSnapshot, Overflow, PollError, PublishBatchError, PublishError,
    PublishTimeoutError, Publisher, PublisherError, RecvError, RecvTimeoutError, Redeliver, Stage,
    Start, State, StateReader, SubscribeError, Subscriber, SubscriberBuilder, SubscriberSnapshot,
    SystemChange, SystemEvent, Timeline, Topic, TopicName, TopicSnapshot, TryIter, TryPublishError,
    TryRecvError, WaitStrategy,
};
#[cfg(feature = "rate-limit")]
pub use channel::{
    LimitedError, LimitedPublisher, LimitedSubscriber, OnLimit, RateLimit, RateLimiter,
};
#[cfg(feature = "services")]
pub use select::HandlerName;
pub use select::{
    Budget, Context, Delivery, Ended, HandlerGuard, HandlerId, HandlerPanic, MergedBuilder,
    MergedMeta, MergedSnapshot, MergedSubscriber, MissedTicks, OnPanic, OutboxError, Priority,
    Reactor, ReactorBuilder, ReactorSnapshot, Ready, RunError, Selectable, StopHandle,
    TimelineHandlers, Turn,
};

#[cfg(feature = "services")]
pub use services::{
    Balance, Call, CallError, Client, ClientBuilder, Idempotent, InstanceSnapshot, OnFailure, Pool,
    ReplyError, Request, Responder, Restarts, SendError, SendTimeoutError, Server, ServerBuilder,
    ServiceChange, ServiceError, ServiceEvent, ServiceSnapshot, ShutdownReport, SlowHandler,
    StartError, Stream, StreamEnd, StreamSender, Ticket, TrySendError, Watchdog, Worker,
    WorkerBuilder, WorkerEnd, WorkerError, WorkerPanic, WorkerSnapshot, WorkerStatus, stream,
};

#[cfg(all(feature = "rate-limit", feature = "services"))]
pub use services::LimitedClient;

/// What `select!` expands to; not for users.
#[doc(hidden)]
pub mod __private {
    pub use crate::select::{Arms, Chosen, Patience, select};
}

/// The end of a topic's sequences: one that comes there closes. At a thousand million events a second that
/// takes 146 years.
pub const MAX_SEQUENCE: u64 = ring::MAX_SEQUENCE;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
