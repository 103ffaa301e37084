//! Bodies of responses, and the hand that writes them from a thread that may block.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// How long a client may take no bytes before it is left.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many bytes are handed over at a time.
const PIECE: usize = 128 << 10;

/// Why a body ends before its end; clients see that the connection is closed.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the rest cannot be read")]
pub(crate) struct Broken;

/// The client is gone, or takes no bytes: writing more is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client has gone away")]
pub(crate) struct Gone;

/// A body that is there as a whole, or that a [`Sink`] writes.
#[derive(Debug)]
pub(crate) enum Body {
    Whole(Bytes),
    Written {
        pieces: mpsc::Receiver<Result<Bytes, Broken>>,
        /// How many bytes are still to come, if that is known.
        left: Option<u64>,
    },
}

/// Takes the bytes of a body; one piece waits while the client takes another.
#[derive(Debug)]
pub(crate) struct Sink {
    pieces: mpsc::Sender<Result<Bytes, Broken>>,
    runtime: Handle,
}

impl Body {
    /// Makes a body that the sink writes.
    pub(crate) fn written(length: Option<u64>, runtime: &Handle) -> (Self, Sink) {
        let (sender, pieces) = mpsc::channel(1);
        (Self::Written { pieces, left: length }, Sink { pieces: sender, runtime: runtime.clone() })
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Written { pieces, left } => pieces.poll_recv(context).map(|piece| match piece {
                Some(Ok(bytes)) => {
                    if let Some(left) = left {
                        *left = left.saturating_sub(bytes.len() as u64);
                    }
                    Some(Ok(Frame::data(bytes)))
                }
                Some(Err(broken)) => Some(Err(broken)),
                None if left.is_some_and(|left| left > 0) => Some(Err(Broken)),
                None => None,
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Written { left, .. } => *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Written { left: Some(left), .. } => SizeHint::with_exact(*left),
            Self::Written { left: None, .. } => SizeHint::default(),
        }
    }
}

impl Sink {
    /// Hands bytes over, in pieces; waits while the client takes those before.
    ///
    /// Not for threads of the runtime, which must not block.
    pub(crate) fn send(&self, mut bytes: Bytes) -> Result<(), Gone> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            let sending = self.pieces.send(Ok(piece));
            let sent = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, sending).await });
            sent.map_err(|_| Gone)?.map_err(|_| Gone)?;
        }
        Ok(())
    }

    /// Ends the body before its end.
    pub(crate) fn fail(&self) {
        // Whoever is gone need not be told.
        let _ = self.pieces.blocking_send(Err(Broken));
    }

    /// Returns whether nobody takes the bytes any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.pieces.is_closed()
    }
}

impl Write for &Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE)];
        self.send(Bytes::copy_from_slice(piece))
            .map_err(|gone| io::Error::new(io::ErrorKind::BrokenPipe, gone))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
