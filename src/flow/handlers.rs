//! In forward mode, the requests that one outcome is handed on to: those of the callback and its doubles.

use std::sync::Arc;

use crate::sync::{Mutex, MutexGuard, PoisonError};

/// What the handlers of one sign-in have made of it.
#[derive(Default)]
pub(crate) struct Handlers(Mutex<State>);

#[derive(Default)]
struct State {
    at_work: usize,
    has_let_in: bool,
    is_refused: bool,
}

/// A handler that has not answered yet.
pub(crate) struct Handler(Option<Arc<Handlers>>);

impl Handlers {
    /// One more begins; `None` where all have refused, and the session is gone.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<Handler> {
        let mut state = self.lock();
        if state.is_refused {
            return None;
        }
        state.at_work += 1;
        drop(state);
        Some(Handler(Some(Arc::clone(self))))
    }

    /// No code of anyone else's runs under this lock, so a poisoned state is still whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler {
    pub(crate) fn let_in(self) {
        if let Some(handlers) = &self.0 {
            handlers.lock().has_let_in = true;
        }
    }

    /// Whether the session is nobody's: no other handler has let somebody in, nor can any still.
    pub(crate) fn refuse(mut self) -> bool {
        let Some(handlers) = self.0.take() else { return false };
        let mut state = handlers.lock();
        state.at_work = state.at_work.saturating_sub(1);
        state.is_refused = state.at_work == 0 && !state.has_let_in;
        state.is_refused
    }
}

/// One whose client went away has said nothing, and the next try may be let in.
impl Drop for Handler {
    fn drop(&mut self) {
        if let Some(handlers) = &self.0 {
            let mut state = handlers.lock();
            state.at_work = state.at_work.saturating_sub(1);
        }
    }
}
