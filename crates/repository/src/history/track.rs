//! In which snapshots a path is to be looked for.

use kopia_format::snapshot::Source;

use crate::select::{Pick, by_prefix, of_source, sources_of};
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
    /// Finds the tracks of a name, as [`Repository::select`](crate::Repository::select) understands it: a
    /// source or a part of one, or `latest` or a snapshot's id, whose source is meant, each with a path below.
    /// Several sources may hold one path.
    ///
    /// The path itself need not be in the newest snapshot, or in any. `here` is the user and host whose
    /// sources a path alone names first.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::Ambiguous`] with what there is instead.
    pub fn named(snapshots: &Snapshots, name: &str, here: (&str, &str)) -> Result<Vec<Self>> {
        let trimmed = name.trim_end_matches('/');
        let (head, path) = trimmed.split_once('/').unwrap_or((trimmed, ""));
        let one =
            |source: &Source| vec![Self { source: source.clone(), path: path.trim_matches('/').into() }];
        if Pick::named(head).is_some() {
            return match &snapshots.sources()[..] {
                [source] => Ok(one(source)),
                several => Err(Error::Ambiguous {
                    what: head.into(),
                    candidates: several.iter().map(ToString::to_string).collect(),
                }),
            };
        }
        if let Some(sources) = sources_of(snapshots, name, here) {
            let known = |(source, path)| Self { source, path };
            let tracks: Vec<_> = sources.into_iter().map(known).collect();
            let is_known = |track: &Self| snapshots.iter().any(|snapshot| *snapshot.source() == track.source);
            if !tracks.iter().any(is_known) {
                let candidates = snapshots.sources().iter().map(ToString::to_string).collect();
                return Err(Error::NotFound { what: format!("source {name:?}"), candidates });
            }
            return Ok(tracks);
        }
        match by_prefix(snapshots, head, name) {
            Ok(snapshot) => Ok(one(snapshot.source())),
            Err(unknown @ Error::NotFound { .. }) => {
                of_source(snapshots, head)?.map_or(Err(unknown), |source| Ok(one(source)))
            }
            Err(error) => Err(error),
        }
    }
}
