//! What a thread that panics does for those who would wait for it.

/// Calls a function if it is dropped by a panic, so that nobody waits for a thread that is gone.
pub(crate) struct AbortOnPanic<F: Fn()>(pub(crate) F);

impl<F: Fn()> Drop for AbortOnPanic<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use super::*;

    #[test]
    fn a_panic_calls_and_nothing_else() {
        let called = Cell::new(0);
        let guard = || AbortOnPanic(|| called.set(called.get() + 1));
        drop(guard());
        assert_eq!(called.get(), 0);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _guard = guard();
            resume_unwind(Box::new(()))
        }));
        assert!(panicked.is_err());
        assert_eq!(called.get(), 1);
    }
}
