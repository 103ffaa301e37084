//! From the number of a version to the entry that is meant.

use super::{Track, sightings, versions};
use crate::select::{Query, Selection};
use crate::{Error, Repository, Result, Snapshot};

impl Repository {
    /// Finds a version of what a query names by its number, 1 for the oldest, as [`versions`] counts those of
    /// the snapshots that it admits, whatever their time.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the versions there are, and as for [`Track::named`] and
    /// [`Repository::snapshots`].
    pub fn select_version(&self, query: &Query<'_>, number: u32) -> Result<Selection> {
        let name = query.name;
        let snapshots = self.snapshots()?.some_admitted(&query.filter)?;
        let tracks = Track::named(&snapshots, name, query.here)?;
        let wanted = |snapshot: &&Snapshot| query.incomplete || snapshot.is_complete();
        let spans = versions(&sightings(self, snapshots.iter().filter(wanted), &tracks));
        let candidates = spans.iter().filter_map(|span| {
            let version = span.version?;
            Some(format!("--version {version}: snapshot {} of {}", span.last.id(), span.last.start_time()))
        });
        let not_found = || Error::NotFound {
            what: format!("version {number} of {name}"),
            candidates: candidates.collect(),
        };
        let span = spans.iter().find(|span| span.version == Some(number)).ok_or_else(not_found)?;
        let entry = span
            .entry
            .clone()
            .ok_or_else(|| Error::NotFound { what: name.into(), candidates: Vec::new() })?;
        Ok(Selection { snapshot: Some(span.last.clone()), entry, path: span.path.clone(), passed_over: None })
    }
}
