//! The floor under everything: one set of names for atomics, locks, cells and threads.
//!
//! The same protocols run in production (`native`), under the model checker and under the deterministic scheduler
//! (`modelled`, both); nothing above this floor asks which of them it is. What waits and wakes is built here too, from those
//! names alone: [`Barrier`], [`Latest`], [`Parker`], [`WaitSet`], [`ReadySet`], [`Calls`], [`Lender`].
//!
//! # Edges
//!
//! | edge       | store                                     | load                        | carries                          | model                                         |
//! |------------|-------------------------------------------|-----------------------------|----------------------------------|-----------------------------------------------|
//! | `wake`     | a waiter; heavy in `WaitSet::join_all`    | light in `WaitSet::notify`  | Dekker: waiter against notifier  | `wait::one_waiter`, `select::arm_ring_park_2_sources` |
//! | `ring`     | `ReadySet::{ring, mark_quietly}`          | `ReadySet::take`            | what made the source ready       | `select::ready_set`, `select::ready_set_call` |
//! | `park`     | `ReadySet::park_by`                       | `ReadySet::mark_quietly`    | the alarm of a foreign select    | none: foreign to the checker                  |
//! | `watch`    | `ReadySet::watch`                         | `ReadySet::mark_quietly`    | whom the alarm is to wake        | `merged::ready_set_watch`                     |
//! | `ended`    | `Calls::end`                              | `Calls::sever`              | what the call did                | `select::sever_waits_for_calls`               |
//! | `recall`   | a place; light in `Visit::{enter, leave}` | heavy in `Lender::wait_for` | Dekker: borrower against owner   | `observe::recall_against_a_use`               |
//! | `circle`   | who waits; heavy in `Lender::wait_for`    | the same                    | Dekker: those who close a circle | none: see `ci/mutants/orderings.txt`          |
//! | `returned` | `Visit::leave`                            | `Place::is_at`              | what was done with the loan      | `observe::recall_against_a_use`               |

#[cfg(not(any(ringbus_loom, ringbus_shuttle)))]
mod native;
#[cfg(not(any(ringbus_loom, ringbus_shuttle)))]
pub(crate) use native::*;

#[cfg(any(ringbus_loom, ringbus_shuttle))]
mod modelled;
#[cfg(any(ringbus_loom, ringbus_shuttle))]
pub(crate) use modelled::*;

#[cfg(ringbus_loom)]
pub(crate) use loom::cell::UnsafeCell;
#[cfg(not(ringbus_loom))]
mod cell;
#[cfg(not(ringbus_loom))]
pub(crate) use cell::UnsafeCell;

#[cfg(feature = "services")]
mod affinity;
mod barrier;
mod calls;
mod contain;
mod counter;
#[cfg(feature = "rate-limit")]
mod in_turn;
mod latest;
mod lender;
mod parker;
mod ready_set;
mod telling;
mod wait_set;
mod waiter;

#[cfg(feature = "services")]
pub(crate) use affinity::pin_to;
pub(crate) use barrier::Barrier;
pub(crate) use calls::Calls;
pub(crate) use contain::contain;
pub(crate) use counter::Counter;
#[cfg(feature = "rate-limit")]
pub(crate) use in_turn::InTurn;
pub(crate) use latest::Latest;
pub(crate) use lender::{Borrower, Lender, Uses, Visit};
pub(crate) use parker::Parker;
pub(crate) use ready_set::{BITS, Bell, ReadySet};
pub(crate) use telling::Telling;
pub(crate) use wait_set::WaitSet;
pub(crate) use waiter::{Hook, Waiter};

/// A cell that is set, if at all, before its owner is shared: the models have nothing to see there.
pub(crate) use ::once_cell::sync::OnceCell as Early;
/// What one thread makes when it needs it. That of `std` gives out a reference, when it makes the value, that ends when
/// the cell is asked again: by the aliasing rules that Miri knows it may not be used after that, as nested walks would.
pub(crate) use ::once_cell::unsync::OnceCell as LocalCell;
pub(crate) use crossbeam_utils::CachePadded;
