//! TLS for the HTTP client, with our own idea of trust, and an end of patience.
//!
//! The client's own connector knows roots and no fingerprints. [`Tls`] takes its place in the chain: it gets a
//! connection, to the server or through a proxy, and speaks TLS on it. [`Bounded`] comes last.

use std::cell::Cell;
use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

/// Speaks TLS where the scheme wants it.
pub(super) struct Tls(pub(super) Option<Arc<ClientConfig>>);

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let config = self.0.as_ref().ok_or(ureq::Error::TlsRequired)?;
        let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let name =
            ServerName::try_from(host.to_string()).map_err(|_| ureq::Error::Tls("not a name for TLS"))?;
        let mut connection = ClientConnection::new(Arc::clone(config), name)?;
        let mut socket =
            TransportAdapter::new(Box::new(transport) as Box<dyn Transport>, details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned::new(connection, socket) })))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// A connection that TLS is spoken on.
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = self.buffers.output();
        self.stream.write_all(output.get(..amount).unwrap_or_default())?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        // TLS reads until a record is whole: the limit of one read holds for all of it, or bytes could
        // trickle in for days.
        self.stream.get_mut().set_timeout(timeout.for_read());
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}

thread_local! {
    /// When what this thread reads has to end.
    static END: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Has all reads of this thread fail from an instant on, until it is dropped.
///
/// The client reads until a byte of the body comes, and each byte of anything else, such as trailers without
/// end, lets it wait anew.
pub(super) struct Until(());

impl Until {
    /// Bounds reads to a time from now.
    pub(super) fn after(patience: Duration) -> Self {
        END.set(Instant::now().checked_add(patience));
        Self(())
    }
}

impl Drop for Until {
    fn drop(&mut self) {
        END.set(None);
    }
}

/// Keeps to the [`Until`] of whoever reads.
#[derive(Debug)]
pub(super) struct Bounded;

impl<In: Transport> Connector<In> for Bounded {
    type Out = BoundedTransport<In>;

    fn connect(
        &self,
        _details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        Ok(chained.map(BoundedTransport))
    }
}

/// A connection whose reads have an end.
#[derive(Debug)]
pub(super) struct BoundedTransport<In>(In);

impl<In: Transport> Transport for BoundedTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        if END.get().is_some_and(|end| Instant::now() >= end) {
            return Err(ureq::Error::Timeout(ureq::Timeout::PerRead));
        }
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}
