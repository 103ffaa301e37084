//! Restores to a disk whose ext4 is new, and to one whose ext4 has aged.
//!
//! Each restore has a file system of its own in an image file, so that nobody finds what others left. Images
//! of an aged one are copies of a single image, in which files were created and deleted before.

mod aging;
mod image;

use std::fs;
use std::path::Path;

use crate::Result;
use crate::backup::Repositories;
use crate::contestants::{Contestant, Place};
use crate::figures::Disk;
use crate::rounds::{Comparison, is_whole, warm};
use crate::step::Step;
use crate::turns::Ran;
use image::Image;

impl Comparison<'_> {
    /// Has one contestant restore `bytes` to a disk of its own.
    pub(crate) fn run_on_disk(
        &self,
        contestant: Contestant,
        (disk, bytes): (Disk, u64),
        repositories: &Repositories,
        folder: &Path,
        is_first: bool,
    ) -> Result<Ran> {
        fs::create_dir_all(folder)?;
        let (file, size) = (folder.join("disk"), image::size_for(bytes));
        let image = match disk {
            Disk::Fresh => Image::make(&file, size)?,
            Disk::Aged => aging::aged(self.work, size)?.copy(&file)?,
        };
        self.flush()?;
        let mounted = image.mount(&folder.join("mounted"))?;
        warm(&contestant.input(repositories))?;
        let place = Place {
            tools: self.tools,
            repositories,
            folder: folder.into(),
            target: mounted.point().join("restored"),
            kept: folder.into(),
        };
        let taken = Step::run_all(&contestant.steps(&place)?, folder)?;
        if is_first {
            is_whole(repositories, &place.target)?;
        }
        mounted.end()?;
        fs::remove_file(file)?;
        Ok((taken, None))
    }
}
