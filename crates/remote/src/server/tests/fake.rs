//! A server of one script: it speaks TLS and HTTP/2 as Kopia's does, and answers what the test says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Response, StatusCode};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::runtime::Runtime;
use crate::server::frames::{Frames, frame};
use crate::server::protobuf::{Fields, Message, Value};

const CERTIFICATE: &[u8] = include_bytes!("certificate.pem");
// It guards nothing: tests alone use it.
const KEY: &[u8] = include_bytes!("key.pem");

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// The number of the session, from 1.
    pub(super) session: usize,
    pub(super) id: u64,
    /// The number of the field that holds it: 14 asks for a content.
    pub(super) field: u32,
    /// What is in there.
    pub(super) bytes: Vec<u8>,
}

/// What a script has the server do.
pub(super) enum Act {
    Say(Message),
    /// Sends bytes as they are.
    Raw(Vec<u8>),
    /// Sends bytes as they are, a while later.
    Drop(Vec<u8>),
    /// Ends the call with a status.
    End(&'static str),
    /// Closes the connection.
    Hang,
}

type Script = dyn Fn(Asked) -> Vec<Act> + Send + Sync;

/// How the server greets whoever begins a call.
#[derive(Clone, Copy)]
pub(super) enum Greeting {
    Grpc,
    /// Refuses with a status alone.
    Status(&'static str, &'static str),
    /// Answers as a web server does.
    Html,
}

pub(super) struct Fake {
    pub(super) address: SocketAddr,
    sessions: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Fake {
    /// Starts a server that offers `protocols` and follows a script.
    pub(super) fn start(
        protocols: &[&[u8]],
        greeting: Greeting,
        script: impl Fn(Asked) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let runtime = Runtime::start("fake server").unwrap();
        let listener = runtime.wait(TcpListener::bind("127.0.0.1:0")).unwrap().unwrap();
        let (address, sessions) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (acceptor, script): (_, Arc<Script>) = (acceptor(protocols), Arc::new(script));
        let count = sessions.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session = count.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(serve(acceptor.clone(), stream, session, greeting, script.clone()));
            }
        });
        Self { address, sessions, _runtime: runtime }
    }

    /// Returns how many connections were made.
    pub(super) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::SeqCst)
    }
}

/// Returns the certificate's SHA-256 in hex.
pub(super) fn fingerprint() -> String {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Returns an answer to a request.
pub(super) fn answer(id: u64, field: u32, message: &Message) -> Act {
    Act::Say(Message::new().number(1, id).message(field, message))
}

/// Returns the answer to the first request of a session.
pub(super) fn greet(asked: &Asked, secret: &[u8]) -> Act {
    let parameters = Message::new().text(1, "BLAKE2B-256-128").bytes(2, secret).text(3, "DYNAMIC");
    answer(asked.id, 10, &Message::new().message(1, &parameters))
}

fn acceptor(protocols: &[&[u8]]) -> TlsAcceptor {
    TlsAcceptor::from(config(protocols))
}

/// Returns how the server speaks TLS.
pub(super) fn config(protocols: &[&[u8]]) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

async fn serve(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    session: usize,
    greeting: Greeting,
    script: Arc<Script>,
) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    // Requests are small; this side would take many of them for an attack.
    let handshake = h2::server::Builder::new().data_frame_budget(16 << 20).handshake(stream);
    let Ok(mut connection) = handshake.await else { return };
    let (hang, mut hung) = tokio::sync::mpsc::channel::<()>(1);
    loop {
        let accepted = std::future::poll_fn(|cx| {
            if hung.poll_recv(cx).is_ready() {
                return std::task::Poll::Ready(None);
            }
            connection.poll_accept(cx)
        });
        let Some(Ok((request, respond))) = accepted.await else { return };
        assert_eq!(request.uri().path(), "/kopia_repository.KopiaRepository/Session");
        tokio::spawn(converse(request.into_body(), respond, session, greeting, script.clone(), hang.clone()));
    }
}

async fn converse(
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    session: usize,
    greeting: Greeting,
    script: Arc<Script>,
    hang: tokio::sync::mpsc::Sender<()>,
) {
    let head = Response::builder().header("content-type", "application/grpc");
    let mut send = match greeting {
        Greeting::Grpc => respond.send_response(head.body(()).unwrap(), false).unwrap(),
        Greeting::Status(code, message) => {
            let head = head.header("grpc-status", code).header("grpc-message", message);
            return drop(respond.send_response(head.body(()).unwrap(), true));
        }
        Greeting::Html => {
            let head = Response::builder().status(StatusCode::NOT_FOUND).header("content-type", "text/html");
            return drop(respond.send_response(head.body(()).unwrap(), true));
        }
    };
    let mut frames = Frames::default();
    while let Some(Ok(bytes)) = body.data().await {
        body.flow_control().release_capacity(bytes.len()).unwrap();
        frames.push(&bytes);
        while let Some(message) = frames.next().unwrap() {
            for act in script(asked(session, &message)) {
                if !perform(act, &mut send, &hang).await {
                    return;
                }
            }
        }
    }
}

/// Does what the script says, and returns whether the call goes on.
async fn perform(act: Act, send: &mut SendStream<Bytes>, hang: &tokio::sync::mpsc::Sender<()>) -> bool {
    match act {
        Act::Say(message) => send.send_data(frame(&message.0), false).is_ok(),
        Act::Raw(bytes) => send.send_data(bytes.into(), false).is_ok(),
        Act::Drop(bytes) => {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            send.send_data(bytes.into(), false).is_ok()
        }
        Act::End(code) => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", code.parse().unwrap());
            let _ = send.send_trailers(trailers);
            false
        }
        Act::Hang => {
            // What was said before is to arrive.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            let _ = hang.send(()).await;
            false
        }
    }
}

/// Reads a request.
pub(super) fn asked(session: usize, message: &[u8]) -> Asked {
    let mut asked = Asked { session, id: 0, field: 0, bytes: Vec::new() };
    for field in Fields::new(message) {
        match field.unwrap() {
            (1, Value::Number(id)) => asked.id = id,
            (field, Value::Bytes(bytes)) => (asked.field, asked.bytes) = (field, bytes.to_vec()),
            other => panic!("{other:?}"),
        }
    }
    asked
}
