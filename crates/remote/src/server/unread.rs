//! How many bytes of answers wait for whoever asked.
//!
//! Readers take answers as they come, unless their pace is limited or a server sends more than was expected.
//! Then no more is taken from the line until they have caught up: HTTP/2 holds the server back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// How many bytes may wait before no more are taken from the line.
const MOST: u64 = 64 << 20;

/// A count of bytes that wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Unread(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    bytes: AtomicU64,
    fewer: Notify,
}

/// Some of the bytes that wait, until this is dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    bytes: u64,
    unread: Unread,
}

impl Unread {
    /// Counts bytes that wait from now on.
    pub(super) fn wait(&self, bytes: u64) -> Waiting {
        self.0.bytes.fetch_add(bytes, Ordering::SeqCst);
        Waiting { bytes, unread: self.clone() }
    }

    /// Returns whether no more should be taken from the line.
    pub(super) fn is_full(&self) -> bool {
        self.0.bytes.load(Ordering::SeqCst) > MOST
    }

    /// Waits until fewer bytes wait than before.
    pub(super) async fn fewer(&self) {
        self.0.fewer.notified().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.unread.0.bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        self.unread.0.fewer.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_makes_room() {
        let unread = Unread::default();
        let first = unread.wait(MOST);
        assert!(!unread.is_full());
        let second = unread.wait(1);
        assert!(unread.is_full());
        drop(first);
        assert!(!unread.is_full());
        drop(second);
        assert_eq!(unread.0.bytes.load(Ordering::SeqCst), 0);
    }
}
