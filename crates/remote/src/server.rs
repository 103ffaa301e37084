//! A Kopia repository server: contents and manifests over HTTP/2.
//!
//! Authority: `repo/grpc_repository_client.go`, `internal/server/grpc_session.go`. gRPC is little more than
//! HTTP/2 with five bytes before each message, so it is spoken here by `h2`, `tokio-rustls` and protocol
//! buffers by hand.
//!
//! | room | what |
//! |---|---|
//! | `address`, `user` | from the connection: where the server is, and who asks |
//! | `link`, `status` | an open call, or in words why there is none |
//! | `protobuf`, `frames`, `messages` | what is said on it |
//! | `desk`, `unread` | which questions wait and which are asked, and how much of what came waits |
//! | `session` | the task that does all that, session after session |
//! | `rest` | the other way, into a server without TLS |
//!
//! It writes nothing: no request that could is in `messages`. Callers block; the task runs on a thread of its
//! own.

mod address;
mod desk;
mod frames;
mod link;
mod messages;
mod protobuf;
mod rest;
mod session;
mod status;
#[cfg(feature = "testing")]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod unread;
mod user;

use std::fmt;
use std::sync::mpsc::{channel, sync_channel};

use kopia_connection::Connection;
use kopia_connection::storage::{Server, Trust as Certificate};
use kopia_format::{ContentId, ManifestId};
use kopia_storage::server::{Described, Expected, Extent, Parameters, ServedManifest};
use kopia_storage::{ContentServer, Error, Failure, Result};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::connect::Options;
use crate::http::Origin;
use crate::pace::Pace;
use crate::runtime::Runtime;
use crate::tls::Trust;
use address::Address;
use desk::{Outcome, Question, Reply};
use link::Link;
use messages::{Answer, Request};
use session::Sessions;
use user::User;

/// How many bytes a question about a content, or a payload, counts for.
const SMALL: u64 = 4 << 10;

/// How many bytes of payloads are read at most: those of some 500,000 snapshots.
const MOST_PAYLOADS: usize = 512 << 20;

/// A session with a repository server, or the next one.
pub(crate) struct KopiaServer {
    place: String,
    host: String,
    parameters: Parameters,
    pace: Pace,
    // The task ends with this, before the runtime does.
    questions: UnboundedSender<Vec<Question>>,
    _runtime: Runtime,
}

/// Opens what the URL of a server leads to: a session, or the REST API.
pub(crate) fn open(
    server: &Server,
    connection: &Connection,
    options: &Options,
) -> Result<Box<dyn ContentServer>> {
    if !server.is_rest() {
        return Ok(Box::new(open_session(server, connection, options)?));
    }
    let origin =
        Origin::of_url(server.url.strip_prefix("kopia+").unwrap_or(&server.url)).map(|(origin, ..)| origin);
    let place = origin.as_ref().map_or_else(|_| "the Kopia server".into(), ToString::to_string);
    let opened = origin.and_then(|origin| rest::open(origin, server, connection, options));
    match opened {
        Ok(server) => Ok(Box::new(server)),
        Err(failure) => Err(Error::Open { place, source: failure.into() }),
    }
}

/// Opens a session with the server of a connection.
fn open_session(server: &Server, connection: &Connection, options: &Options) -> Result<KopiaServer> {
    let address = Address::parse(&server.url);
    let place = address.as_ref().map_or_else(|_| "the Kopia repository server".into(), Address::place);
    let opened = address.and_then(|address| KopiaServer::begin(address, &server.trust, connection, options));
    opened.map_err(|failure| Error::Open { place, source: failure.into() })
}

impl KopiaServer {
    fn begin(
        address: Address,
        certificate: &Certificate,
        connection: &Connection,
        options: &Options,
    ) -> Result<Self, Failure> {
        let trust = match certificate {
            Certificate::System => Trust::System,
            Certificate::Fingerprint(hex) => Trust::Fingerprint(hex.clone()),
            Certificate::Roots(pem) => Trust::Roots(pem.clone()),
            _ => {
                return Err(Failure::Unusable {
                    what: "the server's certificate is told in no known way".into(),
                });
            }
        };
        let tls = trust.config(&options.environment, &[b"h2"])?;
        let user = User::of(connection, &options.environment)?;
        let (place, host) = (address.place(), address.authority());
        let runtime = Runtime::start("kopia server").map_err(|error| lost(&host, &error.to_string()))?;
        let (questions, inbox) = unbounded_channel();
        let link = Link { address, tls, user, patience: options.patience.clone() };
        let (ready, opened) = sync_channel(1);
        runtime.spawn(Sessions::new(link, inbox, options.notice.clone()).hold(ready));
        let parameters = opened.recv().map_err(|_| lost(&host, "its thread ended"))??;
        // Kopia's other limits are of stores, which the server keeps to by itself.
        let pace = Pace::new(&connection.limits, options.limit_download);
        Ok(Self { place, host, parameters, pace, questions, _runtime: runtime })
    }

    /// Asks for things and gives each answer to `visit` with its number, in no order.
    fn ask(&self, requests: Vec<(Request, u64)>, mut visit: impl FnMut(usize, Outcome)) {
        let (reply, answers) = channel();
        let mut open = vec![true; requests.len()];
        let questions = requests.into_iter().enumerate();
        let questions =
            questions.map(|(number, (request, bytes))| Question::new(request, bytes, number, reply.clone()));
        let questions = questions.collect();
        drop(reply);
        // It fails only where the task is gone; then there are no answers either.
        let _ = self.questions.send(questions);
        for Reply { number, outcome, waiting } in answers {
            open[number] = false;
            visit(number, outcome);
            drop(waiting);
        }
        for number in (0..open.len()).filter(|&number| open[number]) {
            visit(number, Err(lost(&self.host, "its thread ended")));
        }
    }

    fn not_served(&self, what: impl Into<String>, failure: Failure) -> Error {
        Error::NotServed { what: what.into(), place: self.place.clone(), source: failure.into() }
    }

    fn no_content(&self, content: &ContentId, failure: Failure) -> Error {
        match failure {
            Failure::Absent { .. } => Error::NoContent { content: *content, place: self.place.clone() },
            failure => self.not_served(format!("content {content}"), failure),
        }
    }
}

/// Says that there is no one to ask any more.
fn lost(host: &str, why: &str) -> Failure {
    Failure::Disconnected { host: host.into(), why: why.into() }
}

/// Says that an answer is not one to its question, which the desk has ruled out.
fn mistaken(host: &str) -> Failure {
    lost(host, "it answers something else than what was asked")
}

impl ContentServer for KopiaServer {
    fn location(&self) -> String {
        self.place.clone()
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn describe(&self, contents: &[ContentId]) -> Vec<Result<Described>> {
        let mut described: Vec<_> = contents.iter().map(|_| None).collect();
        let requests = contents.iter().map(|content| (Request::Describe(*content), SMALL));
        self.ask(requests.collect(), |number, outcome| {
            described[number] = Some(match outcome {
                Ok(Answer::Described(described)) => Ok(described),
                Ok(_) => Err(mistaken(&self.host)),
                Err(failure) => Err(failure),
            });
        });
        let result = |(content, described): (&ContentId, Option<Result<Described, Failure>>)| {
            let described = described.unwrap_or_else(|| Err(mistaken(&self.host)));
            described.map_err(|failure| self.no_content(content, failure))
        };
        contents.iter().zip(described).map(result).collect()
    }

    fn contents(&self, wanted: &[Expected], visit: &mut dyn FnMut(usize, Result<Vec<u8>>)) {
        let requests =
            wanted.iter().map(|wanted| (Request::Content(wanted.content), wanted.length.max(SMALL)));
        self.ask(requests.collect(), |number, outcome| {
            let plain = match outcome {
                Ok(Answer::Content(bytes)) => {
                    self.pace.received(bytes.len());
                    Ok(bytes.to_vec())
                }
                Ok(_) => Err(mistaken(&self.host)),
                Err(failure) => Err(failure),
            };
            visit(number, plain.map_err(|failure| self.no_content(&wanted[number].content, failure)));
        });
    }

    fn prepare(&self, contents: &[ContentId], extent: Extent) {
        self.ask(vec![(Request::Prepare(contents.to_vec(), extent), 0)], |_, outcome| {
            if let Err(failure) = outcome {
                tracing::debug!(%failure, "the server gets nothing ready");
            }
        });
    }

    fn manifests(&self, labels: &[(&str, &str)]) -> Result<Vec<ServedManifest>> {
        let labels = labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let mut listed = Err(mistaken(&self.host));
        self.ask(vec![(Request::Manifests(labels), SMALL)], |_, outcome| {
            listed = match outcome {
                Ok(Answer::Manifests(manifests)) => Ok(manifests),
                Ok(_) => Err(mistaken(&self.host)),
                Err(failure) => Err(failure),
            };
        });
        listed.map_err(|failure| self.not_served("the list of manifests", failure))
    }

    fn payloads(&self, manifests: &[ManifestId]) -> Result<Vec<Option<Vec<u8>>>> {
        let (mut payloads, mut failed, mut bytes) = (vec![None; manifests.len()], None, 0);
        let requests = manifests.iter().map(|manifest| (Request::Payload(manifest.clone()), SMALL));
        self.ask(requests.collect(), |number, outcome| match outcome {
            Ok(Answer::Payload(payload)) if payload.len() <= MOST_PAYLOADS - bytes => {
                bytes += payload.len();
                payloads[number] = Some(payload.to_vec());
            }
            Ok(Answer::Payload(_)) => {
                let limit = MOST_PAYLOADS as u64;
                failed = Some((number, Failure::TooLong { host: self.host.clone(), limit }));
            }
            Ok(_) => failed = Some((number, mistaken(&self.host))),
            Err(Failure::Absent { .. }) => {}
            Err(failure) => failed = Some((number, failure)),
        });
        match failed {
            Some((number, failure)) => {
                Err(self.not_served(format!("manifest {}", manifests[number].as_str()), failure))
            }
            None => Ok(payloads),
        }
    }
}

impl fmt::Debug for KopiaServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KopiaServer").field("place", &self.place).finish_non_exhaustive()
    }
}
