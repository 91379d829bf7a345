//! Many values from one thread to another, with an end that says why.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::client::Client;
use super::error::{CallError, SendError, SendTimeoutError, TrySendError};
use super::request::Request;
use crate::channel::{Inbox, MAX_CAPACITY, Mailbox, Patience, Refusal, WaitStrategy};
use crate::select::{Context, HandlerId, Outcome, Selectable, Source, Waiting};
use crate::sync::{Arc, Mutex, Waiter, panicking};

/// A stream with room for `capacity` items, rounded up to a power of two: what is sent by the one is received
/// by the other, moved, in order.
///
/// It is how a call is answered many times, and how a caller feeds one: either end may be in a request or in a
/// reply.
///
/// ```
/// use std::thread;
/// use std::time::Duration;
/// use ringbus::{Bus, Request, Stream, StreamEnd, stream};
///
/// /// Asks for the sums of what it is fed.
/// struct Sums(Stream<u64>);
///
/// impl Request for Sums {
///     type Reply = Stream<u64>;
/// }
///
/// let bus = Bus::new();
/// let mut server = bus.serve::<Sums>();
/// let serving = thread::spawn(move || {
///     let (Sums(numbers), responder) = server.recv().unwrap().into_parts();
///     let (sums, replies) = stream(16);
///     responder.reply(replies);
///     let mut sum = 0;
///     for number in numbers {
///         sum += number;
///         sums.send(sum).unwrap(); // waits while the caller is 16 behind
///     }
///     sums.finish();
/// });
///
/// let (numbers, fed) = stream(16);
/// let mut sums = bus.client().stream(Sums(fed), Duration::from_secs(1))?;
/// numbers.send(3)?;
/// assert_eq!(sums.recv(), Ok(3));
/// numbers.send(4)?;
/// assert_eq!(sums.recv(), Ok(7));
/// numbers.finish();
/// assert_eq!(sums.recv(), Err(StreamEnd::Finished));
/// serving.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
///
/// When the capacity is 0 or beyond [`MAX_CAPACITY`].
pub fn stream<T: Send + 'static>(capacity: usize) -> (StreamSender<T>, Stream<T>) {
    assert!(
        (1..=MAX_CAPACITY).contains(&capacity),
        "a stream must have room for 1 to {MAX_CAPACITY} items, got {capacity}"
    );
    let (mailbox, inbox) = Mailbox::open(capacity.next_power_of_two(), WaitStrategy::default());
    let end = Arc::new(Mutex::new(None));
    let sender = StreamSender {
        mailbox,
        end: Arc::clone(&end),
    };
    (sender, Stream { inbox, end })
}

/// The sending end of a [`stream`].
///
/// Dropping it ends the stream with [`StreamEnd::Cancelled`], or [`StreamEnd::Panicked`] when that is because its
/// thread panics; what was sent before is still received. [`finish`](Self::finish) is the other end.
#[must_use = "a stream ends when its sender is dropped"]
pub struct StreamSender<T: Send + 'static> {
    mailbox: Mailbox<T>,
    end: Arc<Mutex<Option<StreamEnd>>>,
}

/// The receiving end of a [`stream`]; as an iterator it waits for each item, until the end.
///
/// An iterator does not say why it ended: after `for item in &mut stream`, [`recv`](Self::recv) does, also again
/// and again. A loop over the stream by value drops it, and the reason with it.
///
/// It may be handed to a [reactor](crate::Context::on_stream), or be an arm of [`select!`](crate::select!), which
/// is given what [`recv`](Self::recv) returns. Dropping it tells the sender, which gets back what it would send,
/// and drops what was not received.
#[must_use = "a stream that is dropped ends the sending"]
pub struct Stream<T: Send + 'static> {
    inbox: Inbox<T>,
    end: Arc<Mutex<Option<StreamEnd>>>,
}

/// Why a stream has no more items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum StreamEnd {
    /// The sender has finished it.
    #[error("stream finished")]
    Finished,
    /// The sender was dropped before it finished it.
    #[error("stream dropped before it was finished")]
    Cancelled,
    /// The sender's thread panicked.
    #[error("sender of the stream panicked")]
    Panicked,
}

impl<T: Send + 'static> StreamSender<T> {
    /// Sends an item, and waits for room while the receiver is behind by the stream's capacity.
    ///
    /// # Errors
    ///
    /// Gives the item back, with `Closed` when the receiver has gone, and with `WouldDeadlock` when there is no
    /// room and the calling thread was the last to receive.
    ///
    /// # Blocking
    ///
    /// Until there is room: first it spins, then it yields, then it sleeps.
    pub fn send(&self, item: T) -> Result<(), SendError<T>> {
        match self.mailbox.send(Patience::Until(None), item) {
            Ok(_) => Ok(()),
            Err((Refusal::WouldDeadlock, item)) => Err(SendError::WouldDeadlock(item)),
            Err((_, item)) => Err(SendError::Closed(item)),
        }
    }

    /// Sends an item if there is room for it now.
    ///
    /// # Errors
    ///
    /// Gives the item back, with `Closed` when the receiver has gone, and with `Full` when there is no room.
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        match self.mailbox.send(Patience::Try, item) {
            Ok(_) => Ok(()),
            Err((Refusal::Closed, item)) => Err(TrySendError::Closed(item)),
            Err((_, item)) => Err(TrySendError::Full(item)),
        }
    }

    /// As [`send`](Self::send), waiting for `timeout` at most.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and when there was no room in time.
    ///
    /// # Blocking
    ///
    /// As [`send`](Self::send), until the timeout.
    pub fn send_timeout(&self, item: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        let patience = Patience::Until(Instant::now().checked_add(timeout));
        match self.mailbox.send(patience, item) {
            Ok(_) => Ok(()),
            Err((Refusal::WouldDeadlock, item)) => Err(SendTimeoutError::WouldDeadlock(item)),
            Err((Refusal::Closed, item)) => Err(SendTimeoutError::Closed(item)),
            Err((_, item)) => Err(SendTimeoutError::Timeout(item)),
        }
    }

    /// Whether the receiver has gone.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.mailbox.is_closed()
    }

    /// Ends the stream: its receiver is told `Finished` behind the last item.
    pub fn finish(self) {
        self.end(StreamEnd::Finished);
    }

    fn end(&self, end: StreamEnd) {
        // Before the close, which hands it over.
        self.end.lock().get_or_insert(end);
        self.mailbox.close();
    }
}

impl<T: Send + 'static> Drop for StreamSender<T> {
    fn drop(&mut self) {
        self.end(if panicking() {
            StreamEnd::Panicked
        } else {
            StreamEnd::Cancelled
        });
    }
}

impl<T: Send + 'static> Stream<T> {
    /// Waits for the next item.
    ///
    /// # Errors
    ///
    /// When everything is received and the sender has gone, with the reason.
    ///
    /// # Blocking
    ///
    /// Until there is an item: first it spins, then it yields, then it sleeps.
    pub fn recv(&mut self) -> Result<T, StreamEnd> {
        loop {
            if let Some(received) = self.recv_until(None) {
                return received;
            }
        }
    }

    /// Waits for the next item, for `timeout` at most; `None` when there was none by then.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Blocking
    ///
    /// As [`recv`](Self::recv), until the timeout.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<Result<T, StreamEnd>> {
        // A timeout beyond what the clock can tell is no timeout.
        self.recv_until(Instant::now().checked_add(timeout))
    }

    /// Takes the next item, if there is one.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Option<Result<T, StreamEnd>> {
        match self.inbox.take() {
            Ok(item) => item.map(Ok),
            Err(_) => {
                let end = *self.end.lock();
                // Who closes it says why before that, but for sequences that have run out.
                Some(Err(end.unwrap_or(StreamEnd::Cancelled)))
            }
        }
    }

    fn recv_until(&mut self, deadline: Option<Instant>) -> Option<Result<T, StreamEnd>> {
        loop {
            let received = self.try_recv();
            if received.is_some() || !self.inbox.wait(deadline) {
                return received;
            }
        }
    }
}

impl<T: Send + 'static> Iterator for Stream<T> {
    type Item = T;

    /// Waits for the next item; `None` at the end, whatever its reason, which [`recv`](Stream::recv) tells.
    fn next(&mut self) -> Option<T> {
        self.recv().ok()
    }
}

/// Its end stays the end.
impl<T: Send + 'static> FusedIterator for Stream<T> {}

impl<R, T> Client<R>
where
    R: Request<Reply = Stream<T>>,
    T: Send + 'static,
{
    /// Sends a request that is answered with a stream, and waits for that; its items come as the instance sends
    /// them, and wait in the stream until they are received. See [`stream`].
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Blocking
    ///
    /// As [`call`](Self::call).
    pub fn stream(&self, request: R, timeout: Duration) -> Result<Stream<T>, CallError<R>> {
        self.call(request, timeout)
    }
}

impl<S> Context<S> {
    /// Calls `handler` with each item of a stream, and once with its end; the handler is then removed.
    ///
    /// ```
    /// use ringbus::{Budget, Reactor, StreamEnd, stream};
    ///
    /// let (numbers, received) = stream(4);
    /// let mut reactor = Reactor::new();
    /// reactor.on_stream(received, |sum: &mut u64, number, _| match number {
    ///     Ok(number) => *sum += number,
    ///     Err(end) => assert_eq!(end, StreamEnd::Finished),
    /// });
    ///
    /// numbers.send(3)?;
    /// numbers.send(4)?;
    /// numbers.finish();
    /// let mut sum = 0;
    /// reactor.run(&mut sum)?;
    /// assert_eq!(sum, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn on_stream<T, F>(&mut self, stream: Stream<T>, handler: F) -> HandlerId
    where
        T: Send + 'static,
        F: FnMut(&mut S, Result<T, StreamEnd>, &mut Context<S>) + Send + 'static,
    {
        self.add_source(Box::new(Streaming { stream, handler }))
    }
}

/// A stream with its handler.
struct Streaming<T: Send + 'static, F> {
    stream: Stream<T>,
    handler: F,
}

impl<S, T, F> Source<S> for Streaming<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut S, Result<T, StreamEnd>, &mut Context<S>) + Send,
{
    fn serve(
        &mut self,
        _id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        max: usize,
        handled: &mut usize,
    ) -> Outcome {
        for _ in 0..max {
            match self.stream.try_recv() {
                None => {
                    self.stream.inbox.take_fence_away();
                    return Outcome::Dry;
                }
                Some(received) => {
                    let ended = received.is_err();
                    *handled += usize::from(!ended);
                    (self.handler)(state, received, context);
                    if ended {
                        return Outcome::Ended(0);
                    }
                }
            }
            if context.flow() == ControlFlow::Break(()) {
                break;
            }
        }
        Outcome::More
    }

    fn is_ready(&self) -> bool {
        self.stream.inbox.is_ready()
    }

    fn enlist(&self, waiter: &Waiter) {
        self.stream.inbox.enlist(waiter);
    }

    fn delist(&self, waiter: &Waiter) {
        self.stream.inbox.delist(waiter);
    }

    fn fence_if_ready(&mut self) -> bool {
        let ready = self.stream.inbox.is_ready();
        if ready {
            self.stream.inbox.fence();
        }
        ready
    }

    fn take_fence_away(&mut self) {
        self.stream.inbox.take_fence_away();
    }

    fn left(&self) -> u64 {
        self.stream.inbox.left()
    }
}

impl<T: Send + 'static> Selectable for Stream<T> {
    type Output = Result<T, StreamEnd>;

    fn try_select(&mut self) -> Option<Self::Output> {
        self.try_recv()
    }

    fn is_ready(&self) -> bool {
        self.inbox.is_ready()
    }

    fn enlist(&self, waiting: &Waiting) {
        self.inbox.enlist(&waiting.0);
    }

    fn delist(&self, waiting: &Waiting) {
        self.inbox.delist(&waiting.0);
    }

    fn strategy(&self) -> WaitStrategy {
        self.inbox.strategy()
    }
}

impl<T: Send + 'static> fmt::Debug for StreamSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSender")
            .field("mailbox", &self.mailbox)
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
