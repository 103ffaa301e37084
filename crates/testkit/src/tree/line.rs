//! One line of a golden tree.

use serde::Deserialize;

use super::{Entry, Kind};

/// As `testdata/make-golden.py` writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    path: String,
    #[serde(rename = "type")]
    kind: LineKind,
    /// Octal; links have none.
    mode: Option<String>,
    uid: u32,
    gid: u32,
    mtime_ns: i64,
    size: Option<u64>,
    sha256: Option<String>,
    target: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum LineKind {
    Dir,
    File,
    Symlink,
}

pub(super) fn parse(text: &str) -> Result<Entry, serde_json::Error> {
    let line: Line = serde_json::from_str(text)?;
    let mode = line.mode.as_deref().map_or(Ok(0), |mode| u32::from_str_radix(mode, 8));
    Ok(Entry {
        kind: match line.kind {
            LineKind::Dir => Kind::Directory,
            LineKind::File => Kind::File,
            LineKind::Symlink => Kind::Symlink,
        },
        mode: mode.map_err(serde::de::Error::custom)?,
        path: line.path,
        uid: line.uid,
        gid: line.gid,
        mtime_ns: line.mtime_ns.into(),
        size: line.size.unwrap_or(0),
        sha256: line.sha256,
        target: line.target,
    })
}
