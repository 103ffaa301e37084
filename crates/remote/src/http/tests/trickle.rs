//! Servers whose answers come byte by byte: each byte ends a silence, and yet they get nowhere.
//!
//! What is tested here would otherwise take hours, so a test that hangs has failed.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

const CERTIFICATE: &[u8] = include_bytes!("../../../tests/keys/localhost.pem");
// It guards nothing: tests alone use it.
const KEY: &[u8] = include_bytes!("../../../tests/keys/localhost.key.pem");

/// How long there is no byte.
const PAUSE: Duration = Duration::from_millis(20);

/// As many tries as a test needs whose server is silent for good.
const FEW: u32 = 2;

/// As many as none needs whose server answers, also where a busy machine seems to be a silent server.
const MANY: u32 = 50;

/// Starts a server that says the same to each connection, and returns a client that has so many tries.
fn client(
    secure: bool,
    tries: u32,
    say: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let say = Arc::new(say);
    // It ends with the process. A client that goes away is no fault of the server.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let say = Arc::clone(&say);
            std::thread::spawn(move || drop(say(stream)));
        }
    });
    let mut options = impatient();
    // Also of a server whose first answer seems not to come.
    (options.patience.tries, options.patience.dead) = (tries, options.patience.total);
    let network = Network::new(&options, &Limits::default());
    network.client(Origin::new(secure, &address).unwrap(), &Trust::Nothing, "a test server").unwrap()
}

/// Says some bytes at once, and others again and again with pauses.
fn trickle(
    stream: &mut TcpStream,
    at_once: &str,
    then: impl Iterator<Item = Vec<u8>>,
) -> std::io::Result<()> {
    let _request = stream.read(&mut [0; 4096])?;
    stream.write_all(at_once.as_bytes())?;
    for piece in then {
        std::thread::sleep(PAUSE);
        stream.write_all(&piece)?;
    }
    Ok(())
}

#[test]
fn a_head_without_end_counts_as_silence() {
    let header = client(false, FEW, |mut stream| {
        trickle(&mut stream, "HTTP/1.1 200 OK\r\nx: ", std::iter::repeat_with(|| b"a".to_vec()))
    });
    assert!(matches!(failed(header.call(&Plain, &Request::get("/"))), Failure::TimedOut { .. }));
    let interim = client(false, FEW, |mut stream| {
        let hint = || b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec();
        trickle(&mut stream, "", std::iter::repeat_with(hint))
    });
    assert!(matches!(failed(interim.call(&Plain, &Request::get("/"))), Failure::TimedOut { .. }));
}

/// They come as fast as they can: no read is ever silent, and none gets a byte of the body.
#[test]
fn trailers_without_end_count_as_silence() {
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n \r\n0\r\n";
    let client = |tries| {
        client(false, tries, move |mut stream| {
            let _request = stream.read(&mut [0; 4096])?;
            stream.write_all(chunk.as_bytes())?;
            loop {
                stream.write_all(&b"x-a: b\r\n".repeat(1000))?;
            }
        })
    };
    assert!(matches!(failed(client(FEW).call(&Plain, &Request::get("/"))), Failure::TimedOut { .. }));
    // Of a blob, what was asked for is there.
    assert_eq!(range(&client(MANY), 0, 1).unwrap(), b" ");
}

#[test]
fn the_words_of_a_refusal_are_not_waited_for() {
    for status in ["404 Not Found", "403 Forbidden"] {
        let client = client(false, MANY, move |mut stream| {
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: 60000\r\n\r\n");
            trickle(&mut stream, &head, std::iter::repeat_with(|| b"a".to_vec()))
        });
        let error = client.call(&Plain, &Request::get("/")).unwrap_err();
        let told = match status {
            "404 Not Found" => matches!(error, Trouble::Missing),
            _ => matches!(error, Trouble::Failed(Failure::Nonsense { .. })),
        };
        assert!(told, "{status}: {error:?}");
    }
    // What is no answer to a request for bytes.
    let encoded = client(false, MANY, |mut stream| {
        let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 60000\r\n\r\n";
        trickle(&mut stream, head, std::iter::repeat_with(|| b"a".to_vec()))
    });
    assert!(matches!(failed(range(&encoded, 0, 100)), Failure::Nonsense { .. }));
}

#[test]
fn a_record_of_tls_that_never_gets_whole_counts_as_silence() {
    let client = client(true, FEW, |stream| {
        let mut tls = rustls::StreamOwned::new(rustls::ServerConnection::new(config()).unwrap(), stream);
        let _request = tls.read(&mut [0; 4096])?;
        tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 16000\r\n\r\n")?;
        // One record, encrypted before a byte of it is sent.
        tls.conn.writer().write_all(&[7; 16_000])?;
        let mut record = Vec::new();
        tls.conn.write_tls(&mut record)?;
        for byte in record {
            std::thread::sleep(PAUSE);
            tls.sock.write_all(&[byte])?;
        }
        Ok(())
    });
    assert!(matches!(failed(range(&client, 0, 16_000)), Failure::TimedOut { .. }));
}

fn config() -> Arc<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let builder = rustls::ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![certificate], key).unwrap())
}
