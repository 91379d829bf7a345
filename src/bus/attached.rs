//! What the floors above keep with a bus.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::sync::Mutex;

/// One value of each type that was asked for, with the lifetime of its bus.
pub(crate) struct Attached {
    by_type: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Attached {
    /// The value of this type, made if there is none. Its `Default` must not ask in turn.
    pub(crate) fn get<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut by_type = self.by_type.lock();
        let value = by_type
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Arc::new(T::default()));
        let value = Arc::clone(value).downcast();
        value.expect("the key is the type")
    }
}

impl Default for Attached {
    fn default() -> Self {
        Self {
            by_type: Mutex::new(HashMap::new()),
        }
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").finish_non_exhaustive()
    }
}
