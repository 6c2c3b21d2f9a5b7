//! A callback that can be cloned and shown: how a long call says what it is doing while it does it.

use std::fmt;
use std::sync::Arc;

/// A function called with each event, from whichever task it happens on; it must not block.
pub struct Hook<E>(Arc<dyn Fn(E) + Send + Sync>);

impl<E> Hook<E> {
    /// The hook that calls `function`.
    pub fn new(function: impl Fn(E) + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    pub(super) fn call(&self, event: E) {
        (self.0)(event);
    }
}

impl<E> Clone for Hook<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> fmt::Debug for Hook<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook(…)")
    }
}
