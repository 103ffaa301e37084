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
