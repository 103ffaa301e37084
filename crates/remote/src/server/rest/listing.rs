//! Lists of sources and snapshots, as manifests.
//!
//! The list of sources has the whole manifest of the newest snapshot of each. Of others there is the id, the
//! times and the root's id. No other request has their manifests: objects are read by their ids, and that of
//! the content that a manifest lies in is told nowhere. So mode and owner of the root are taken from the newest
//! one, its time is the snapshot's, and [`ServedManifest::root_is_guessed`] says that this is a guess: good
//! enough to look at the snapshot, but not to be restored.

use kopia_format::manifest::{TYPE_LABEL, TYPE_SNAPSHOT};
use kopia_format::{ManifestId, Timestamp};
use kopia_storage::Failure;
use kopia_storage::server::ServedManifest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::objects::encoded;

/// How many sources there are at most.
const MOST_SOURCES: usize = 1 << 16;

/// A manifest and its payload.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) manifest: ServedManifest,
    pub(super) payload: Vec<u8>,
}

/// A source, and its newest snapshot.
#[derive(Debug)]
pub(super) struct Source {
    info: Info,
    last: Option<Last>,
}

/// Why snapshots cannot be listed.
#[derive(Debug)]
pub(super) enum Flaw {
    /// The list is not as it should be.
    Malformed(String),
    /// What had to be asked besides did not come.
    Failed(Failure),
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
struct Info {
    host: String,
    #[serde(rename = "userName")]
    user: String,
    path: String,
}

/// The newest snapshot of a source.
#[derive(Debug)]
struct Last {
    id: String,
    /// The manifest as it is.
    text: Box<RawValue>,
    root: LastRoot,
}

/// What is taken from the newest snapshot's root for the others'.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct LastRoot {
    #[serde(rename = "type")]
    kind: String,
    mode: String,
    uid: u32,
    gid: u32,
}

#[derive(Deserialize)]
struct Sources<'t> {
    #[serde(borrow)]
    sources: Vec<Status<'t>>,
}

#[derive(Deserialize)]
struct Status<'t> {
    source: Info,
    #[serde(borrow, default, rename = "lastSnapshot")]
    last: Option<&'t RawValue>,
}

#[derive(Deserialize)]
struct LastSnapshot {
    id: String,
    #[serde(default, rename = "rootEntry")]
    root: Option<LastRoot>,
}

#[derive(Deserialize)]
struct Snapshots<'t> {
    #[serde(borrow)]
    snapshots: Vec<Snapshot<'t>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot<'t> {
    id: String,
    #[serde(default)]
    description: String,
    start_time: String,
    end_time: String,
    #[serde(default)]
    incomplete: Option<String>,
    #[serde(borrow, default)]
    summary: Option<&'t RawValue>,
    #[serde(rename = "rootID")]
    root: String,
    #[serde(default)]
    pins: Option<Vec<String>>,
}

/// A manifest of a snapshot, as far as it is known.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    id: &'a str,
    source: &'a Info,
    description: &'a str,
    start_time: &'a str,
    end_time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pins: &'a [String],
    root_entry: Root<'a>,
}

#[derive(Serialize)]
struct Root<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    mode: &'a str,
    mtime: &'a str,
    uid: u32,
    gid: u32,
    size: u64,
    obj: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    summ: Option<&'a RawValue>,
}

impl Source {
    /// Returns what the snapshots of the source are asked for by.
    pub(super) fn path_of_snapshots(&self) -> String {
        let Info { host, user, path } = &self.info;
        let [user, host, path] = [user, host, path].map(|text| encoded(text));
        format!("/api/v1/snapshots?userName={user}&host={host}&path={path}&all=1")
    }
}

impl Flaw {
    pub(super) fn failure(self, protocol: impl Fn(String) -> Failure) -> Failure {
        match self {
            Self::Malformed(why) => protocol(why),
            Self::Failed(failure) => failure,
        }
    }
}

impl From<String> for Flaw {
    fn from(why: String) -> Self {
        Self::Malformed(why)
    }
}

/// Reads the list of sources.
pub(super) fn sources(body: &[u8]) -> Result<Vec<Source>, String> {
    let listed: Sources<'_> = parse("list of sources", body)?;
    if listed.sources.len() > MOST_SOURCES {
        return Err(format!("its list of sources has {} of them", listed.sources.len()));
    }
    let source = |Status { source, last }: Status<'_>| {
        let last = last.map(last_of).transpose()?;
        Ok(Source { info: source, last })
    };
    listed.sources.into_iter().map(source).collect()
}

fn last_of(text: &RawValue) -> Result<Last, String> {
    let LastSnapshot { id, root } = parse("newest snapshot of a source", text.get().as_bytes())?;
    Ok(Last { id, text: text.to_owned(), root: root.unwrap_or_default() })
}

/// Reads the list of a source's snapshots. `length` says how many bytes a file has that is a root by itself.
pub(super) fn snapshots(
    source: &Source,
    body: &[u8],
    length: impl Fn(&str) -> Result<u64, Failure>,
) -> Result<Vec<Listing>, Flaw> {
    let listed: Snapshots<'_> = parse("list of snapshots", body)?;
    listed.snapshots.iter().map(|snapshot| source.listing(snapshot, &length)).collect()
}

impl Source {
    fn listing(
        &self,
        snapshot: &Snapshot<'_>,
        length: impl Fn(&str) -> Result<u64, Failure>,
    ) -> Result<Listing, Flaw> {
        let bad = |what: &str| format!("its list of snapshots has {what}");
        let id = ManifestId::new(&snapshot.id).map_err(|_| bad("one without an id"))?;
        let modified: Timestamp = snapshot.end_time.parse().map_err(|_| bad("one of no time"))?;
        let whole = self.last.as_ref().filter(|last| last.id == snapshot.id);
        let payload = match whole {
            Some(last) => last.text.get().as_bytes().to_vec(),
            None => serde_json::to_vec(&self.payload(snapshot, length)?)
                .map_err(|_| bad("one that cannot be written down"))?,
        };
        let Info { host, user, path } = &self.info;
        let labels = [(TYPE_LABEL, TYPE_SNAPSHOT), ("hostname", host), ("username", user), ("path", path)];
        let labels = labels.map(|(name, value)| (name.to_string(), value.to_string())).to_vec();
        let manifest = ServedManifest { id, modified, labels, root_is_guessed: whole.is_none() };
        Ok(Listing { manifest, payload })
    }

    fn payload<'a>(
        &'a self,
        snapshot: &'a Snapshot<'_>,
        length: impl Fn(&str) -> Result<u64, Failure>,
    ) -> Result<Payload<'a>, Flaw> {
        // Directories alone have contents of their own kind.
        let is_directory = snapshot.root.trim_start_matches(['I', 'Z', 'D']).starts_with('k');
        let kind = if is_directory { "d" } else { "f" };
        let size = if is_directory { 0 } else { length(checked(&snapshot.root)?).map_err(Flaw::Failed)? };
        let known = self.last.as_ref().map(|last| &last.root).filter(|root| root.kind == kind);
        let (mode, uid, gid) = match known {
            Some(root) => (&*root.mode, root.uid, root.gid),
            None => (if is_directory { "0700" } else { "0600" }, 0, 0),
        };
        let name = self.info.path.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or("root");
        Ok(Payload {
            id: &snapshot.id,
            source: &self.info,
            description: &snapshot.description,
            start_time: &snapshot.start_time,
            end_time: &snapshot.end_time,
            incomplete: snapshot.incomplete.as_deref().filter(|reason| !reason.is_empty()),
            pins: snapshot.pins.as_deref().unwrap_or_default(),
            root_entry: Root {
                name,
                kind,
                mode,
                mtime: &snapshot.start_time,
                uid,
                gid,
                size,
                obj: &snapshot.root,
                summ: snapshot.summary,
            },
        })
    }
}

/// Lets nothing but an id into a path that is asked for.
fn checked(object: &str) -> Result<&str, String> {
    let is_id =
        !object.is_empty() && object.len() <= 200 && object.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_id { Ok(object) } else { Err("its list of snapshots has one without a root".into()) }
}

fn parse<'t, T: Deserialize<'t>>(what: &str, body: &'t [u8]) -> Result<T, String> {
    // What it says may be a secret or long; where it is wrong is enough.
    serde_json::from_slice(body).map_err(|error| {
        format!("its {what} cannot be read at line {}, column {}", error.line(), error.column())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: &[u8] = br#"{"localUsername":"alice","multiUser":true,"sources":[
        {"source":{"host":"laptop","userName":"alice","path":"/home/a b"},"status":"IDLE","lastSnapshot":
          {"id":"m2","source":{},"x":1,
           "rootEntry":{"name":"a b","type":"d","mode":"0750","uid":7,"obj":"k22"}}},
        {"source":{"host":"h","userName":"u","path":"C:\\"},"lastSnapshot":null},
        {"source":{"host":"h","userName":"u","path":""}}]}"#;

    const SNAPSHOTS: &[u8] = br#"{"snapshots":[
        {"id":"m1","description":"d","startTime":"2026-11-28T20:32:51Z","endTime":"2026-11-28T20:32:52Z",
         "rootID":"k11","summary":{"size":5,"files":1},"retention":["latest-1"],"pins":["keep"]},
        {"id":"m2","description":"","startTime":"2026-11-28T20:32:53Z","endTime":"2026-11-28T20:32:54Z",
         "rootID":"k22","incomplete":"checkpoint","summary":null,"pins":null},
        {"id":"m3","startTime":"2026-11-28T20:32:53Z","endTime":"2026-11-28T20:32:54Z","rootID":"Ix33"}],
        "unfilteredCount":2}"#;

    fn listed(source: &Source) -> Result<Vec<Listing>, Flaw> {
        snapshots(source, SNAPSHOTS, |object| {
            assert_eq!(object, "Ix33");
            Ok(99)
        })
    }

    fn json(listing: &Listing) -> serde_json::Value {
        serde_json::from_slice(&listing.payload).unwrap()
    }

    #[test]
    fn what_is_not_listed_is_taken_from_the_newest() {
        let sources = sources(SOURCES).unwrap();
        assert_eq!(
            sources[0].path_of_snapshots(),
            "/api/v1/snapshots?userName=alice&host=laptop&path=%2Fhome%2Fa%20b&all=1"
        );
        let listed = listed(&sources[0]).unwrap();
        let root = &json(&listed[0])["rootEntry"];
        assert_eq!((&root["mode"], &root["uid"], &root["name"]), (&"0750".into(), &7.into(), &"a b".into()));
        assert_eq!((&root["obj"], &root["mtime"]), (&"k11".into(), &"2026-11-28T20:32:51Z".into()));
        assert_eq!((&root["summ"]["size"], &json(&listed[0])["pins"][0]), (&5.into(), &"keep".into()));
        assert_eq!(json(&listed[1])["x"], 1, "the whole manifest is there");
        let guessed: Vec<_> = listed.iter().map(|listing| listing.manifest.root_is_guessed).collect();
        assert_eq!(guessed, [true, false, true], "the others' roots are a guess");
        // A file, of which the newest directory says nothing.
        let root = &json(&listed[2])["rootEntry"];
        assert_eq!((&root["type"], &root["size"], &root["mode"]), (&"f".into(), &99.into(), &"0600".into()));
        assert_eq!(listed[0].manifest.labels[3], ("path".into(), "/home/a b".into()));
        assert_eq!(listed[0].manifest.modified.to_string(), "2026-11-28T20:32:52Z");
    }

    #[test]
    fn a_source_without_snapshots_or_path_is_no_flaw() {
        let sources = sources(SOURCES).unwrap();
        assert!(sources[1].last.is_none() && sources[2].last.is_none());
        let payload = json(&listed(&sources[2]).unwrap()[0]);
        assert_eq!(
            (&payload["rootEntry"]["name"], &payload["rootEntry"]["mode"]),
            (&"root".into(), &"0700".into())
        );
    }

    #[test]
    fn what_is_no_list_is_refused_without_its_words() {
        for bad in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"sources":null}"#,
            r#"{"sources":[{"source":"hunter2"}]}"#,
            "<html>hunter2",
        ] {
            let why = sources(bad.as_bytes()).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
        let source = &sources(SOURCES).unwrap()[0];
        let entry = |id: &str, time: &str, root: &str| {
            format!(
                r#"{{"snapshots":[{{"id":"{id}","startTime":"{time}","endTime":"{time}",
                    "rootID":"{root}"}}]}}"#
            )
        };
        let time = "2026-11-28T20:32:51Z";
        assert!(snapshots(source, entry("m", time, "x1").as_bytes(), |_| Ok(1)).is_ok());
        for bad in
            [entry("", time, "k1"), entry("m", "never", "k1"), entry("m", time, "../x"), entry("m", time, "")]
        {
            assert!(snapshots(source, bad.as_bytes(), |_| Ok(1)).is_err(), "{bad}");
        }
    }
}
