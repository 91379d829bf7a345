//! Which handles go to another thread, and which may be shared: a table of all of them, so that a field that is added
//! cannot change it unnoticed.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;

use ringbus::*;

/// Answers whether a type is `Send` and whether it is `Sync`: its own constants, if their bounds hold, come before
/// those of the traits.
struct Ask<T: ?Sized>(PhantomData<T>);

trait NotSend {
    const SEND: bool = false;
}
impl<T: ?Sized> NotSend for Ask<T> {}
impl<T: ?Sized + Send> Ask<T> {
    const SEND: bool = true;
}

trait NotSync {
    const SYNC: bool = false;
}
impl<T: ?Sized> NotSync for Ask<T> {}
impl<T: ?Sized + Sync> Ask<T> {
    const SYNC: bool = true;
}

const NEITHER: (bool, bool) = (false, false);
const SEND: (bool, bool) = (true, false);
const BOTH: (bool, bool) = (true, true);

macro_rules! table {
    ($($expected:ident: $($type:ty),+;)+) => {
        let mut faults = Vec::new();
        $($({
            let found = (Ask::<$type>::SEND, Ask::<$type>::SYNC);
            if found != $expected {
                faults.push(format!("{}: {found:?}", stringify!($type)));
            }
        })+)+
        assert!(faults.is_empty(), "(Send, Sync) are not as in the table: {faults:#?}");
    };
}

#[test]
fn the_question_has_both_answers() {
    table! {
        NEITHER: Rc<u8>;
        SEND: Cell<u8>;
        BOTH: u8;
    }
}

#[test]
fn handles_are_sent_and_shared_as_documented() {
    table! {
        // Opened by many, held by all.
        BOTH: Bus, Topic<u8>, State<u8>, Timeline, Clock, Lanes<u8>, Stage<u8>, Observer, StopHandle, HandlerGuard,
            Pattern, Snapshot, TopicSnapshot, ReactorSnapshot;
        // One thread at a time.
        SEND: Publisher<u8>, ExclusivePublisher<u8>, Subscriber<u8>, Editor<u8>, MergedSubscriber<u8>,
            Conflated<u8, u8, fn(&u8) -> u8>, Reactor<u8>;
        // The same; what reads asks for `&mut`.
        BOTH: GroupMember<u8>, StateReader<u8>;
        // A reactor's state is made where it runs, or lent to it there.
        SEND: Reactor<Rc<u8>>, Context<Rc<u8>>;
    }
}

#[test]
fn errors_are_sent_and_shared_as_what_they_give_back() {
    table! {
        BOTH: PublishError<u8>, TryPublishError<u8>, PublishTimeoutError<u8>, RecvError, PollError, TopicError,
            SubscribeError, PublisherError, RunError, DeadLetter<u8>;
        // They have the payload of the panic.
        SEND: HandlerPanic, ObserverPanic;
        SEND: PublishError<Cell<u8>>, OutboxError<Cell<u8>>;
        NEITHER: PublishError<Rc<u8>>, Draft<Rc<u8>, u8>;
    }
}

#[cfg(feature = "plain")]
#[test]
fn a_plain_reader_is_shared() {
    table! { BOTH: PlainReader<u64>; }
}

#[cfg(feature = "rate-limit")]
#[test]
fn what_keeps_to_a_quota_is_sent_and_shared_as_what_it_limits() {
    table! {
        BOTH: RateLimit, RateLimiter;
        SEND: LimitedPublisher<u8>, LimitedSubscriber<u8>;
    }
}

#[cfg(feature = "services")]
#[test]
fn services_move_what_cannot_be_shared() {
    struct Lookup;
    impl Request for Lookup {
        type Reply = Cell<u8>;
    }
    struct AskCell(#[expect(dead_code, reason = "it is there for its type")] Cell<u8>);
    impl Request for AskCell {
        type Reply = u8;
    }
    table! {
        BOTH: Worker, Pool, HandlerName, ShutdownReport;
        SEND: Client<Lookup>, Server<Lookup>, Client<AskCell>, Server<AskCell>;
        // A call shows its request, and nothing shows a reply before it is moved out.
        BOTH: Ticket<Lookup>, Call<Lookup>, Responder<Lookup>, Ticket<AskCell>, Responder<AskCell>;
        SEND: Call<AskCell>;
        // Several threads may send; none looks at what is on its way.
        BOTH: StreamSender<Cell<u8>>;
        SEND: Stream<Cell<u8>>;
    }
}
