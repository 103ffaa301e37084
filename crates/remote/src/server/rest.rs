//! A Kopia server's REST API: the way into one that was started with `--insecure`, for the user of its UI.
//!
//! Authority: `internal/server/api_object_get.go`, `api_snapshots.go`, `api_sources.go`. Contents are objects
//! there, each by its id. The key of the hash is not given, so contents cannot be compared with their ids,
//! and of all but the newest snapshot of a source only the root's id is listed, not its attributes, which are
//! a guess then.
//!
//! | room | what |
//! |---|---|
//! | `door` | signing in, and what refusals mean |
//! | `listing` | lists of sources and snapshots, as manifests |
//! | `at_once` | many requests at once, within a budget of bytes |
//!
//! It asks by `GET` alone: nothing on the server's machine is changed, restored or mounted.

mod at_once;
mod door;
mod listing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kopia_connection::Connection;
use kopia_connection::storage::{Server, Trust as Certificate};
use kopia_format::{ContentId, ManifestId};
use kopia_storage::server::{Described, Expected, Parameters, ServedManifest};
use kopia_storage::{ContentServer, Error, Failure, Result};

use super::frames::LONGEST;
use crate::connect::Options;
use crate::http::{Network, Origin, Request, Trouble, Trust};
use at_once::{Room, each};
use door::{Door, Entrant};
use listing::{Listing, Source};

/// How many bytes a content may have that is expected to have fewer; one that has more is read by itself.
const LEAST: u64 = 256 << 10;

/// How many bytes may be under way at once.
const MOST_BYTES: u64 = 64 << 20;

/// How many bytes of payloads of manifests are kept at most.
const MOST_PAYLOADS: usize = 256 << 20;

/// The UI user's way to a server's contents.
pub(super) struct RestServer {
    door: Door,
    place: String,
    parameters: Parameters,
    room: Room,
    /// The payloads of the manifests that were listed last.
    payloads: Mutex<HashMap<ManifestId, Vec<u8>>>,
}

/// Signs in, and asks how contents are named.
pub(super) fn open(
    origin: Origin,
    server: &Server,
    connection: &Connection,
    options: &Options,
) -> Result<RestServer, Failure> {
    let trust = match &server.trust {
        Certificate::System => Trust::System,
        Certificate::Fingerprint(hex) => Trust::Fingerprint(hex.clone()),
        Certificate::Roots(pem) => Trust::Roots(pem.clone()),
        _ => return Err(unusable("the server's certificate is told in no known way".into())),
    };
    if !origin.is_secure() && trust != Trust::System {
        return Err(unusable(format!(
            "{origin} has no certificate to be compared with the given one: write https:// for a server with TLS"
        )));
    }
    let entrant = Entrant::of(connection, &options.environment)?;
    let place = origin.to_string();
    let client = Network::new(options, &connection.limits).client(origin, &trust, "a Kopia server")?;
    let door = Door::new(client, entrant);
    let parameters = door.enter(&options.patience, &*options.notice)?;
    (options.notice)(&format!(
        "{place} gives no key to compare contents with their ids, so damage may go unseen that the server does \
         not see"
    ));
    let (room, payloads) = (Room::new(MOST_BYTES), Mutex::default());
    Ok(RestServer { door, place, parameters, room, payloads })
}

fn unusable(what: String) -> Failure {
    Failure::Unusable { what }
}

impl RestServer {
    /// Reads one content, by itself if it has more bytes than was expected.
    fn read(&self, wanted: &Expected) -> Result<Vec<u8>> {
        let most = LONGEST as u64;
        let usual = wanted.length.clamp(LEAST, most);
        let read = match self.read_within(&wanted.content, usual) {
            Err(Trouble::Failed(Failure::TooLong { .. })) if usual < most => {
                self.read_within(&wanted.content, most)
            }
            read => read,
        };
        read.map_err(|trouble| self.no_content(&wanted.content, trouble))
    }

    fn read_within(&self, content: &ContentId, most: u64) -> Result<Vec<u8>, Trouble> {
        let _room = self.room.take(most);
        let request = Request { limit: most, ..object(&content.to_string()) };
        let mut body = self.door.object(&request)?.body;
        body.shrink_to_fit();
        Ok(body)
    }

    /// Returns how many bytes an object has.
    fn length(&self, object_id: &str) -> Result<u64, Trouble> {
        let request = Request { limit: LEAST, ..object(object_id) }.with("range", "bytes=0-0");
        let answer = self.door.object(&request)?;
        let total = answer.header("content-range").and_then(|range| range.rsplit('/').next());
        match total.and_then(|total| total.parse().ok()) {
            Some(total) => Ok(total),
            // Ranges of what is empty are answered with all of it.
            None if answer.status == 200 => Ok(answer.body.len() as u64),
            None => Err(answer.nonsense().into()),
        }
    }

    fn no_content(&self, content: &ContentId, trouble: Trouble) -> Error {
        match trouble {
            Trouble::Failed(failure) => self.not_served(format!("content {content}"), failure),
            _ => Error::NoContent { content: *content, place: self.place.clone() },
        }
    }

    fn not_served(&self, what: impl Into<String>, failure: Failure) -> Error {
        Error::NotServed { what: what.into(), place: self.place.clone(), source: failure.into() }
    }

    fn payloads_kept(&self) -> MutexGuard<'_, HashMap<ManifestId, Vec<u8>>> {
        self.payloads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists the snapshots of all sources.
    fn list(&self) -> Result<Vec<Listing>, Failure> {
        let answer = self.door.api("/api/v1/sources")?;
        let sources = listing::sources(&answer.body).map_err(|why| self.door.protocol(why))?;
        let (mut all, mut failed, mut bytes) = (Vec::new(), None, 0);
        let list_one = |number: usize| self.list_source(&sources[number]);
        each(sources.len(), list_one, |_, listed: Result<Vec<Listing>, Failure>| match listed {
            Ok(listed) => {
                bytes += listed.iter().map(|one| one.payload.len()).sum::<usize>();
                if bytes > MOST_PAYLOADS {
                    failed = Some(Failure::TooLong { host: self.door.host(), limit: MOST_PAYLOADS as u64 });
                    all.clear();
                } else {
                    all.extend(listed);
                }
            }
            Err(failure) => failed = Some(failure),
        });
        failed.map_or(Ok(all), Err)
    }

    fn list_source(&self, source: &Source) -> Result<Vec<Listing>, Failure> {
        let answer = self.door.api(&source.path_of_snapshots())?;
        let length = |object: &str| self.length(object).map_err(|trouble| trouble.failure(&self.door.host()));
        listing::snapshots(source, &answer.body, length)
            .map_err(|flaw| flaw.failure(|why| self.door.protocol(why)))
    }
}

/// Asks for an object.
fn object(id: &str) -> Request {
    Request::get(format!("/api/v1/objects/{id}"))
}

impl ContentServer for RestServer {
    fn location(&self) -> String {
        self.place.clone()
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn describe(&self, contents: &[ContentId]) -> Vec<Result<Described>> {
        let mut described: Vec<_> = contents.iter().map(|_| None).collect();
        let length = |number: usize| self.length(&contents[number].to_string());
        each(contents.len(), length, |number, length| {
            described[number] = Some(match length {
                Ok(length) => Ok(Described { length, deleted: false }),
                Err(trouble) => Err(self.no_content(&contents[number], trouble)),
            });
        });
        described.into_iter().flatten().collect()
    }

    fn contents(&self, wanted: &[Expected], visit: &mut dyn FnMut(usize, Result<Vec<u8>>)) {
        each(wanted.len(), |number| self.read(&wanted[number]), visit);
    }

    fn manifests(&self, labels: &[(&str, &str)]) -> Result<Vec<ServedManifest>> {
        let listed = self.list().map_err(|failure| self.not_served("the list of snapshots", failure))?;
        let mut payloads = self.payloads_kept();
        payloads.clear();
        let mut manifests = Vec::with_capacity(listed.len());
        for Listing { manifest, payload } in listed {
            let has = |wanted: &(&str, &str)| {
                manifest.labels.iter().any(|(name, value)| (&**name, &**value) == *wanted)
            };
            if labels.iter().all(has) {
                payloads.insert(manifest.id.clone(), payload);
                manifests.push(manifest);
            }
        }
        Ok(manifests)
    }

    fn payloads(&self, manifests: &[ManifestId]) -> Result<Vec<Option<Vec<u8>>>> {
        let kept = self.payloads_kept();
        Ok(manifests.iter().map(|id| kept.get(id).cloned()).collect())
    }
}

impl fmt::Debug for RestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestServer").field("place", &self.place).finish_non_exhaustive()
    }
}
