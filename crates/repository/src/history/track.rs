//! In which snapshots a path is to be looked for.

use kopia_format::snapshot::Source;

use crate::select::{by_prefix, split};
use crate::{Error, Result, Snapshots};

/// A source that a path lies in, and the path below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// The source.
    pub source: Source,
    /// The path below it, without `/` around it; empty for all of the source.
    pub path: String,
}

impl Track {
    /// Finds the tracks of a name: `user@host:/path`, or `latest` or a snapshot's id with a path below, whose
    /// source is meant. Several sources may hold one path.
    ///
    /// The path itself need not be in the newest snapshot, or in any.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::Ambiguous`] with what there is instead.
    pub fn named(snapshots: &Snapshots, name: &str) -> Result<Vec<Self>> {
        let trimmed = name.trim_end_matches('/');
        let (head, path) = trimmed.split_once('/').unwrap_or((trimmed, ""));
        let one =
            |source: &Source| vec![Self { source: source.clone(), path: path.trim_matches('/').into() }];
        if head == "latest" {
            return match &snapshots.sources()[..] {
                [source] => Ok(one(source)),
                several => Err(Error::Ambiguous {
                    what: "latest".into(),
                    candidates: several.iter().map(ToString::to_string).collect(),
                }),
            };
        }
        if let Some(sources) = split(snapshots, name) {
            let known = |(source, path)| Self { source, path };
            let tracks: Vec<_> = sources.into_iter().map(known).collect();
            let is_known = |track: &Self| snapshots.iter().any(|snapshot| *snapshot.source() == track.source);
            if !tracks.iter().any(is_known) {
                let candidates = snapshots.sources().iter().map(ToString::to_string).collect();
                return Err(Error::NotFound { what: format!("source {name:?}"), candidates });
            }
            return Ok(tracks);
        }
        by_prefix(snapshots, head, name).map(|snapshot| one(snapshot.source()))
    }
}
