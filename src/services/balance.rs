//! Which instance is asked.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::Arc;

use super::instance::Instance;
use super::request::Request;
use crate::sync::{thread_id, thread_local};

/// How a client chooses among the instances of a service.
///
/// An instance that is [ejected](crate::ServerBuilder::eject_after) is passed over, and when the mailbox of the
/// chosen one is full the others are tried in turn. [By key](crate::ClientBuilder::by_key) is another choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Balance {
    /// One that has nothing to do, in turn; if all are busy, the least busy one.
    #[default]
    IdleFirst,
    /// One after the other, however busy they are.
    RoundRobin,
    /// The one with the fewest requests, waiting or being served.
    LeastOutstanding,
    /// The less busy one of two that are chosen at random: nearly as even as the least busy, at the cost of two
    /// looks however many instances there are.
    RandomOfTwo,
}

/// The key of a request, hashed.
type KeyOf<R> = dyn Fn(&R) -> u64 + Send + Sync;

/// A client's choice, and where it is in it.
pub(crate) struct Balancer<R: Request> {
    balance: Balance,
    key_of: Option<Arc<KeyOf<R>>>,
    turn: Cell<usize>,
}

/// The order in which instances are tried for one request.
pub(crate) struct Order {
    first: usize,
    /// The only one to try.
    alone: bool,
}

impl<R: Request> Balancer<R> {
    pub(crate) fn new(balance: Balance) -> Self {
        Self {
            balance,
            key_of: None,
            turn: Cell::new(0),
        }
    }

    pub(crate) fn by_key<K: Hash>(key_of: impl Fn(&R) -> K + Send + Sync + 'static) -> Self {
        // Of fixed keys: all clients are to find the same instance.
        let hasher = BuildHasherDefault::<DefaultHasher>::new();
        let key_of = move |request: &R| hasher.hash_one(key_of(request));
        Self {
            key_of: Some(Arc::new(key_of)),
            ..Self::new(Balance::default())
        }
    }

    /// Where the turns begin, which is not to be the same for all clients.
    pub(crate) fn begin_at(&self, turn: usize) {
        self.turn.set(turn);
    }

    /// The hash of the request's key; runs user code.
    pub(crate) fn key(&self, request: &R) -> Option<u64> {
        self.key_of.as_ref().map(|key_of| key_of(request))
    }

    /// Whom to try first of several, of those that are `fit`.
    pub(crate) fn order(
        &self,
        instances: &[Arc<Instance<R>>],
        key: Option<u64>,
        fit: impl Fn(&Instance<R>) -> bool,
    ) -> Order {
        let count = instances.len();
        if let Some(key) = key {
            let owner = (0..count)
                .filter(|&index| fit(&instances[index]))
                .max_by_key(|&index| weight(key, instances[index].id));
            return Order {
                first: owner.unwrap_or(0),
                alone: true,
            };
        }
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let busy = |index: usize| instances[index].outstanding();
        let in_turn = || {
            let indices = (0..count).map(|step| turn.wrapping_add(step) % count);
            indices.filter(|&index| fit(&instances[index]))
        };
        let first = match self.balance {
            Balance::RoundRobin => in_turn().next(),
            // The first of those that are equal.
            Balance::LeastOutstanding => in_turn().min_by_key(|&index| busy(index)),
            Balance::IdleFirst => {
                let idle = in_turn().find(|&index| busy(index) == 0);
                idle.or_else(|| in_turn().min_by_key(|&index| busy(index)))
            }
            Balance::RandomOfTwo => {
                let one = random() as usize % count;
                let other = (one + 1 + random() as usize % (count - 1)) % count;
                let pair = [one, other].into_iter();
                let pair = pair.filter(|&index| fit(&instances[index]));
                pair.min_by_key(|&index| busy(index))
                    .or_else(|| in_turn().next())
            }
        };
        Order {
            first: first.unwrap_or(0),
            alone: false,
        }
    }
}

impl Order {
    /// Of a service of one instance.
    pub(crate) const ONE: Self = Self {
        first: 0,
        alone: true,
    };

    /// The indices to try, of so many instances.
    pub(crate) fn indices(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let first = self.first;
        let tries = if self.alone { count.min(1) } else { count };
        (0..tries).map(move |step| (first + step) % count)
    }
}

impl<R: Request> Clone for Balancer<R> {
    fn clone(&self) -> Self {
        Self {
            key_of: self.key_of.clone(),
            ..Self::new(self.balance)
        }
    }
}

impl<R: Request> fmt::Debug for Balancer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key_of {
            Some(_) => f.write_str("ByKey"),
            None => self.balance.fmt(f),
        }
    }
}

/// How much an instance is wanted by a key: the highest of a key's weights names its instance, so when one
/// leaves only its own keys move (rendezvous hashing, Thaler and Ravishankar 1998).
fn weight(key: u64, instance: u64) -> u64 {
    mix(key ^ mix(instance.wrapping_add(1)))
}

/// The finalizer of SplitMix64 (Steele et al. 2014).
fn mix(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A number that is different each time and on each thread.
fn random() -> u64 {
    thread_local! {
        #[allow(
            clippy::missing_const_for_thread_local,
            reason = "the models' thread locals have no const form"
        )]
        static STATE: Cell<u64> = Cell::new(0);
    }
    let number = STATE.try_with(|state| {
        state.set(state.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
        mix(state.get() ^ mix(thread_id()))
    });
    // Of a thread whose locals are being destroyed.
    number.unwrap_or(0)
}
