//! The one public macro, thin over `arms`.

/// Waits for the first of several sources, and runs its arm.
///
/// ```
/// use std::time::Duration;
/// use ringbus::{Bus, RecvError, select};
///
/// let bus = Bus::new();
/// let (quotes, trades) = (bus.topic::<u64>(), bus.topic::<&'static str>());
/// let (mut quotes_seen, mut trades_seen) = (quotes.subscribe(), trades.subscribe());
/// quotes.publish(41)?;
/// trades.publish("sold")?;
///
/// let (mut best, mut tape) = (0, Vec::new());
/// loop {
///     select! {
///         quote = quotes_seen => best = quote?, // the `?` of the function around it
///         trade = trades_seen => match trade {
///             Ok(trade) => tape.push(trade),
///             Err(RecvError::Closed) => break,
///             Err(error) => return Err(error.into()),
///         },
///         default(Duration::from_millis(5)) => trades.close(),
///     }
/// }
/// assert_eq!((best, tape), (41, vec!["sold"]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An arm is `pattern = source => expression`. A source is a place or a value that is
/// [`Selectable`](crate::Selectable):
///
/// | source                                  | the pattern is given                          |
/// |-----------------------------------------|-----------------------------------------------|
/// | a [`Subscriber<T>`](crate::Subscriber), `T: Clone` | `Result<T, RecvError>`, as of `recv` |
/// | a [`GroupMember<T>`](crate::GroupMember), `T: Clone` | `Result<T, RecvError>`, as of `recv` |
/// | [`subscriber.ready()`](crate::Subscriber::ready)   | `()`: there may be something to `poll` |
/// | a [`MergedSubscriber<T>`](crate::MergedSubscriber), `T: Clone` | `Result<Delivery<T>, RecvError>` |
/// | a [`Conflated<T, K, G>`](crate::Conflated), `T: Clone` | `Result<(T, Meta), PollError>`, as of `recv` |
/// | [`member.ready()`](crate::GroupMember::ready)      | `()`: there may be something to `poll` |
/// | [`merged.ready()`](crate::MergedSubscriber::ready) | `()`: there may be something to `poll` |
/// | a `crossbeam_channel::Receiver<M>`      | `Result<M, crossbeam_channel::RecvError>`     |
/// | with `services`: a `Server`, a `Ticket`, a `Stream` | what its `recv` or `wait` returns |
///
/// If several have something, one of them is taken at random, so that none starves; after `biased;` it is
/// the first. If none has, `default` runs at once, `default(timeout)` after the timeout; without a default
/// the thread waits. A closed source always has its error, so leave the loop, or the arm out, when it says so.
///
/// Exactly one arm runs, and it runs outside of any hidden loop or closure: `break`, `continue`, `return` and
/// `?` mean what they mean around the macro, and the arm may use the sources. The value is that of the arm.
/// Patterns must match whatever they are given.
///
/// # Blocking
///
/// Waits by the most patient [`WaitStrategy`](crate::WaitStrategy) of the sources' topics; a foreign channel
/// parks. Waiting costs each source; for more than a handful use a [`Reactor`](crate::Reactor).
#[macro_export]
macro_rules! select {
    (biased; $($arms:tt)+) => {
        $crate::__select!(@arms true, [], [], $($arms)+)
    };
    ($($arms:tt)+) => {
        $crate::__select!(@arms false, [], [], $($arms)+)
    };
}

/// Collects the arms, each with as many `+` as there are arms before it.
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (@arms $biased:tt, $before:tt, $arms:tt, default($timeout:expr) => $body:expr $(,)?) => {
        $crate::__select!(@all $biased, $crate::__private::Patience::For($timeout), $arms, $body)
    };
    (@arms $biased:tt, $before:tt, $arms:tt, default => $body:expr $(,)?) => {
        $crate::__select!(@all $biased, $crate::__private::Patience::Try, $arms, $body)
    };
    (@arms $biased:tt, $before:tt, $arms:tt, default $($rest:tt)*) => {
        ::core::compile_error!("`default => ..` or `default(timeout) => ..` must be the last arm of `select!`")
    };
    (@arms $biased:tt, $before:tt, $arms:tt,) => {
        $crate::__select!(
            @all $biased, $crate::__private::Patience::Forever, $arms,
            ::core::unreachable!("without a default an arm is taken")
        )
    };
    (@arms $biased:tt, [$($before:tt)*], [$($arms:tt)*],
        $pattern:pat = $source:expr => $body:block, $($rest:tt)*) => {
        $crate::__select!(
            @arms $biased, [$($before)* +], [$($arms)* {[$($before)*] ($pattern) ($source) $body}], $($rest)*
        )
    };
    (@arms $biased:tt, [$($before:tt)*], [$($arms:tt)*],
        $pattern:pat = $source:expr => $body:block $($rest:tt)*) => {
        $crate::__select!(
            @arms $biased, [$($before)* +], [$($arms)* {[$($before)*] ($pattern) ($source) $body}], $($rest)*
        )
    };
    (@arms $biased:tt, [$($before:tt)*], [$($arms:tt)*],
        $pattern:pat = $source:expr => $body:expr $(, $($rest:tt)*)?) => {
        $crate::__select!(
            @arms $biased, [$($before)* +], [$($arms)* {[$($before)*] ($pattern) ($source) {$body}}],
            $($($rest)*)?
        )
    };
    (@all $biased:tt, $patience:expr,
        [$({$before:tt ($pattern:pat) ($source:expr) $body:block})+], $default:expr) => {{
        let chosen = {
            let mut arms = $crate::__select!(@list $(($source))+);
            $crate::__private::select(&mut arms, $biased, $patience)
        };
        match chosen {
            $(::core::option::Option::Some($crate::__select!(@place $before $pattern)) => $body)+
            ::core::option::Option::None => $default,
        }
    }};
    (@list) => { () };
    (@list ($source:expr) $($rest:tt)*) => {
        (&mut $source, $crate::__select!(@list $($rest)*))
    };
    (@place [] $pattern:pat) => {
        $crate::__private::Chosen::Here($pattern)
    };
    (@place [+ $($before:tt)*] $pattern:pat) => {
        $crate::__private::Chosen::There($crate::__select!(@place [$($before)*] $pattern))
    };
    (@arms $($wrong:tt)*) => {
        ::core::compile_error!("an arm of `select!` must be `pattern = source => expression`")
    };
}
