//! What verifying would read of what lies in an archive.

use std::collections::HashSet;

use kopia_format::BlobId;

use super::contents::{self, Selection};
use super::walk::Survey;
use super::{Options, promised};
use crate::cold::{ColdBlobs, Step};
use crate::{Entry, Repository, Result};

impl Repository {
    /// Finds the packs that verifying would read and that have to be fetched from an archive: those of
    /// directories, which are walked in every part, and when there are none, those of the part itself. Where
    /// everything is to be read, all that is known by then are named at once.
    ///
    /// Without entries, everything is to be verified. Where nothing lies in an archive, that is known from
    /// listings. Otherwise the directories of entries are walked to find out; those of all snapshots only where
    /// contents in an archive are marked deleted, as some of these may be needed, or contents anywhere if a part
    /// of the packs is to be read: which ones are in it depends on all that are needed.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage), and without entries as for [`Repository::verify`].
    pub fn cold_to_verify(&self, entries: &[&Entry], options: &Options) -> Result<ColdBlobs> {
        let archived = self.cold_packs()?;
        if archived.is_empty() {
            return Ok(ColdBlobs::none(Step::Files));
        }
        let directories = self.cold_holding(Step::Directories, &[], Some(&archived))?;
        if !directories.is_empty() {
            return if entries.is_empty() && options.is_whole() {
                self.cold_holding(Step::Files, &[], Some(&archived))
            } else {
                Ok(directories)
            };
        }
        let listed = self.contents().listed();
        let mut survey = Survey::new(self, (!entries.is_empty()).then(HashSet::new));
        if !entries.is_empty() {
            survey.run(entries.iter().copied(), options.chosen.as_ref());
        } else if contents::any_marked(self, &listed, options.is_whole().then_some(&archived)) {
            let snapshots = self.list_snapshots(true)?;
            let roots: Vec<_> = promised(&snapshots).filter_map(|snapshot| snapshot.root().ok()).collect();
            survey.run(roots.iter(), None);
        }
        // Directories that are needed although they are marked deleted show only where one is to be read.
        if !survey.cold.is_empty() {
            let cold: Vec<BlobId> = survey.cold.iter().cloned().collect();
            // They may have come to the archive, or to the repository, since it was listed.
            let directories = self.cold_named(Step::Directories, &cold, None)?;
            if !directories.is_empty() {
                return Ok(directories);
            }
        }
        let chosen = contents::choose(self, &listed, Selection::of(&survey), options);
        self.cold_among(&chosen.packs, Some(&archived))
    }
}
