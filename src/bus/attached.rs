//! What the floors above keep with a bus.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::sync::Mutex;

/// What a floor above keeps with a bus.
pub(crate) trait Attachment: Any + Send + Sync {
    /// The bus has closed, and its topics with it.
    fn close(&self) {}

    /// Numbers will be exported: what those have done who go is to be kept from now on.
    #[cfg(feature = "metrics")]
    fn keep_numbers(&self) {}

    /// Hands its numbers to the recorder of metrics.
    #[cfg(feature = "metrics")]
    fn export(&self) {}
}

/// One value of each type that was asked for, with the lifetime of its bus.
pub(crate) struct Attached {
    inner: Mutex<Inner>,
}

struct Inner {
    closed: bool,
    #[cfg(feature = "metrics")]
    exported: bool,
    by_type: HashMap<TypeId, Arc<dyn Attachment>>,
}

impl Attached {
    /// The value of this type, made if there is none; `make` must not ask in turn.
    pub(crate) fn get<A: Attachment>(&self, make: impl FnOnce() -> A) -> Arc<A> {
        let mut inner = self.inner.lock();
        let closed = inner.closed;
        #[cfg(feature = "metrics")]
        let exported = inner.exported;
        let mut new = false;
        let value = inner.by_type.entry(TypeId::of::<A>()).or_insert_with(|| {
            new = true;
            Arc::new(make())
        });
        let value: Arc<dyn Any + Send + Sync> = Arc::clone(value) as _;
        drop(inner);
        let value: Arc<A> = value.downcast().expect("the key is the type");
        #[cfg(feature = "metrics")]
        if new && exported {
            value.keep_numbers();
        }
        if new && closed {
            value.close();
        }
        value
    }

    /// Exports the numbers of every value.
    #[cfg(feature = "metrics")]
    pub(crate) fn export(&self) {
        let mut inner = self.inner.lock();
        inner.exported = true;
        let values: Vec<_> = inner.by_type.values().cloned().collect();
        drop(inner);
        for value in values {
            value.keep_numbers();
            value.export();
        }
    }

    /// Closes every value, and those that are made later.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let values: Vec<_> = inner.by_type.values().cloned().collect();
        drop(inner);
        values.iter().for_each(|value| value.close());
    }
}

impl Default for Attached {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                closed: false,
                #[cfg(feature = "metrics")]
                exported: false,
                by_type: HashMap::new(),
            }),
        }
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").finish_non_exhaustive()
    }
}
