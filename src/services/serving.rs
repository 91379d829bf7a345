//! Servers and tickets as sources of a reactor and of `select!`.

use std::ops::ControlFlow;

use super::answer::{Asked, Promised};
use super::call::Call;
use super::error::ReplyError;
use super::instance::Instance;
use super::request::Request;
use super::server::{Ended, Server};
use super::ticket::Ticket;
use crate::channel::{RecvError, WaitStrategy};
use crate::select::{Context, HandlerId, Outcome, Selectable, Source, Waiting};
use crate::sync::Waiter;

impl<S> Context<S> {
    /// Serves an instance: calls `handler` with each request, and answers the call with what it returns.
    ///
    /// A handler that panics answers its call with `Panicked`; what becomes of the panic the reactor decides, see
    /// [`OnPanic`](crate::OnPanic). Removing the handler drops the server, which [leaves](Server#leaving).
    ///
    /// ```
    /// use ringbus::{Budget, Bus, Reactor, Request};
    ///
    /// struct Deposit(u64);
    ///
    /// impl Request for Deposit {
    ///     type Reply = u64; // the balance
    /// }
    ///
    /// let bus = Bus::new();
    /// let mut reactor = Reactor::new();
    /// reactor.serve(bus.serve::<Deposit>(), |balance: &mut u64, deposit, _| {
    ///     *balance += deposit.0;
    ///     *balance
    /// });
    ///
    /// let mut ticket = bus.client::<Deposit>().start(Deposit(100))?;
    /// let mut balance = 7;
    /// assert_eq!(reactor.turn(&mut balance, Budget::unlimited()).handled, 1);
    /// assert!(matches!(ticket.try_take(), Some(Ok(107))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn serve<R, F>(&mut self, server: Server<R>, mut handler: F) -> HandlerId
    where
        R: Request,
        F: FnMut(&mut S, R, &mut Context<S>) -> R::Reply + Send + 'static,
    {
        let answer =
            move |server: &mut Server<R>, state: &mut S, asked: Asked<R>, cx: &mut Self| {
                let Asked {
                    request, promised, ..
                } = asked;
                let mut answering = Answering {
                    instance: server.shared(),
                    promised,
                };
                let reply = handler(state, request, cx);
                answering.instance.reply(&mut answering.promised, reply);
            };
        self.add_source(Box::new(Serving { server, answer }))
    }

    /// Serves an instance: calls `handler` with each call, which may be answered at once, or later, or on
    /// another thread.
    ///
    /// A call that the handler drops is answered with `Cancelled`, and with `Panicked` when the handler panics.
    ///
    /// ```
    /// use ringbus::{Budget, Bus, Call, Reactor, Request};
    ///
    /// struct NextTick;
    ///
    /// impl Request for NextTick {
    ///     type Reply = u64;
    /// }
    ///
    /// let bus = Bus::new();
    /// let ticks = bus.topic::<u64>();
    /// let mut reactor = Reactor::<Vec<Call<NextTick>>>::new();
    /// reactor.serve_calls(bus.serve::<NextTick>(), |waiting, call, _| waiting.push(call));
    /// reactor.on(ticks.subscribe(), |waiting, tick, _| {
    ///     for call in waiting.drain(..) {
    ///         call.reply(*tick);
    ///     }
    /// });
    ///
    /// let mut ticket = bus.client::<NextTick>().start(NextTick)?;
    /// let mut waiting = Vec::new();
    /// let _ = reactor.turn(&mut waiting, Budget::unlimited());
    /// ticks.publish(7)?;
    /// let _ = reactor.turn(&mut waiting, Budget::unlimited());
    /// assert!(matches!(ticket.try_take(), Some(Ok(7))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn serve_calls<R, F>(&mut self, server: Server<R>, mut handler: F) -> HandlerId
    where
        R: Request,
        F: FnMut(&mut S, Call<R>, &mut Context<S>) + Send + 'static,
    {
        let answer =
            move |server: &mut Server<R>, state: &mut S, asked: Asked<R>, cx: &mut Self| {
                handler(state, server.call(asked), cx);
            };
        self.add_source(Box::new(Serving { server, answer }))
    }

    /// Calls `handler` with the answer of a ticket, once; the handler is then removed. Removing it before
    /// cancels the request.
    ///
    /// ```
    /// use ringbus::{Budget, Bus, Reactor, Request};
    ///
    /// struct Square(u64);
    ///
    /// impl Request for Square {
    ///     type Reply = u64;
    /// }
    ///
    /// let bus = Bus::new();
    /// let mut server = bus.serve::<Square>();
    /// let mut reactor = Reactor::new();
    /// let ticket = bus.client::<Square>().start(Square(3))?;
    /// reactor.on_reply(ticket, |sum: &mut u64, answer, _| *sum += answer.unwrap_or(0));
    ///
    /// server.recv()?.reply(9);
    /// let mut sum = 0;
    /// let _ = reactor.turn(&mut sum, Budget::unlimited());
    /// assert_eq!(sum, 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn on_reply<R, F>(&mut self, ticket: Ticket<R>, handler: F) -> HandlerId
    where
        R: Request,
        F: FnOnce(&mut S, Result<R::Reply, ReplyError<R>>, &mut Context<S>) + Send + 'static,
    {
        self.add_source(Box::new(Reply {
            ticket,
            handler: Some(handler),
        }))
    }
}

/// A call that is being answered; one that ends without an answer has panicked.
struct Answering<'a, R: Request> {
    instance: &'a Instance<R>,
    promised: Promised<R>,
}

impl<R: Request> Drop for Answering<'_, R> {
    #[inline]
    fn drop(&mut self) {
        if self.promised.is_open() {
            self.instance.fail(&mut self.promised, true);
        }
    }
}

/// An instance with what answers its calls.
struct Serving<R: Request, F> {
    server: Server<R>,
    answer: F,
}

impl<S, R, F> Source<S> for Serving<R, F>
where
    R: Request,
    F: FnMut(&mut Server<R>, &mut S, Asked<R>, &mut Context<S>) + Send,
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
            match self.server.next() {
                Ok(Some(asked)) => {
                    *handled += 1;
                    (self.answer)(&mut self.server, state, asked, context);
                }
                Ok(None) => {
                    self.server.inbox().take_fence_away();
                    return Outcome::Dry;
                }
                Err(Ended) => return Outcome::Ended(0),
            }
            if context.flow() == ControlFlow::Break(()) {
                break;
            }
        }
        Outcome::More
    }

    fn is_ready(&self) -> bool {
        self.server.is_ready()
    }

    fn enlist(&self, waiter: &Waiter) {
        self.server.enlist(waiter);
    }

    fn delist(&self, waiter: &Waiter) {
        self.server.delist(waiter);
    }

    fn fence_if_ready(&mut self) -> bool {
        let ready = self.server.is_ready();
        if ready {
            self.server.inbox().fence();
        }
        ready
    }

    fn take_fence_away(&mut self) {
        self.server.inbox().take_fence_away();
    }

    fn left(&self) -> u64 {
        self.server.left()
    }

    fn attend(&mut self) {
        self.server.shared().note_thread();
    }
}

/// A ticket with what is told of its answer.
struct Reply<R: Request, F> {
    ticket: Ticket<R>,
    handler: Option<F>,
}

impl<S, R, F> Source<S> for Reply<R, F>
where
    R: Request,
    F: FnOnce(&mut S, Result<R::Reply, ReplyError<R>>, &mut Context<S>) + Send,
{
    fn serve(
        &mut self,
        _id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        _max: usize,
        handled: &mut usize,
    ) -> Outcome {
        let Some(answer) = self.ticket.try_take() else {
            return Outcome::Dry;
        };
        if let Some(handler) = self.handler.take() {
            *handled += 1;
            handler(state, answer, context);
        }
        Outcome::Ended(0)
    }

    fn is_ready(&self) -> bool {
        self.ticket.is_ready()
    }

    fn enlist(&self, waiter: &Waiter) {
        self.ticket.enlist(waiter);
    }

    fn delist(&self, _waiter: &Waiter) {
        self.ticket.delist();
    }

    fn fence_if_ready(&mut self) -> bool {
        self.ticket.is_ready()
    }

    fn take_fence_away(&mut self) {}

    fn left(&self) -> u64 {
        u64::from(self.ticket.is_ready())
    }
}

impl<R: Request> Selectable for Ticket<R> {
    type Output = Result<R::Reply, ReplyError<R>>;

    fn try_select(&mut self) -> Option<Self::Output> {
        self.try_take()
    }

    fn is_ready(&self) -> bool {
        Ticket::is_ready(self)
    }

    fn enlist(&self, waiting: &Waiting) {
        Ticket::enlist(self, &waiting.0);
    }

    fn delist(&self, _waiting: &Waiting) {
        Ticket::delist(self);
    }

    fn strategy(&self) -> WaitStrategy {
        Ticket::strategy(self)
    }
}

impl<R: Request> Selectable for Server<R> {
    type Output = Result<Call<R>, RecvError>;

    fn try_select(&mut self) -> Option<Self::Output> {
        match self.next() {
            Ok(asked) => asked.map(|asked| Ok(self.call(asked))),
            Err(Ended) => Some(Err(RecvError::Closed)),
        }
    }

    fn is_ready(&self) -> bool {
        Server::is_ready(self)
    }

    fn enlist(&self, waiting: &Waiting) {
        Server::enlist(self, &waiting.0);
    }

    fn delist(&self, waiting: &Waiting) {
        Server::delist(self, &waiting.0);
    }

    fn strategy(&self) -> WaitStrategy {
        Server::strategy(self)
    }
}
