//! What can be asked.

/// A request, and what it is answered with.
///
/// A request is moved to the instance that serves it, and its reply is moved back; neither is cloned, and
/// nothing but [`Send`] is asked of them.
///
/// ```
/// use ringbus::Request;
///
/// struct Add(i64, i64);
///
/// impl Request for Add {
///     type Reply = i64;
/// }
/// ```
pub trait Request: Send + 'static {
    /// What the caller gets.
    type Reply: Send + 'static;
}

/// A request that may be served more than once to the same effect as once, and so again when an instance fails
/// in it; see [`Client::call_again`](crate::Client::call_again).
pub trait Idempotent: Request + Clone {}
