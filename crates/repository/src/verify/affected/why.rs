//! Why entries cannot be restored as they were.

use kopia_format::ObjectId;
use kopia_format::directory::EntryKind;

use super::super::contents::Damaged;
use super::super::headed::Unfit;
use super::super::walk::Target;
use super::Search;
use crate::contents::{ContentLocation, Origin};
use crate::object::{Extent, Extents, Made};
use crate::{Defect, Entry};

impl Search<'_> {
    /// Returns why an entry cannot be restored as it was, if that is so.
    pub(super) fn why_affected(&mut self, entry: &Entry) -> Option<Defect> {
        if entry.is_implied() {
            return None;
        }
        let object = entry.object();
        if let Some(why) = self.why_object_affected(object) {
            return Some(why);
        }
        // A restore reports these, too.
        match entry.kind() {
            EntryKind::File => {
                let (found, stated) = (self.length(object)?, entry.size());
                (found != stated).then_some(Defect::Length { found, stated })
            }
            EntryKind::Symlink => self.why_no_target(object),
            EntryKind::Directory => None,
        }
    }

    /// Returns why no link can have an object as its target, if that is so although it can be read.
    fn why_no_target(&self, object: ObjectId) -> Option<Defect> {
        match self.lists.made(self.repository, object)? {
            Made::Nothing => Some(Defect::LinkTarget),
            Made::Several => Some(Defect::LongTarget),
            Made::One(extent) => {
                let of_bytes = self.damaged.targets.get(&Target::from(&extent)).cloned();
                of_bytes.or_else(|| Defect::of_target_length(extent.length?))
            }
        }
    }

    /// Returns how many bytes an object has that was followed and can be read; nothing if only its compressed bytes
    /// tell, and nobody expects others.
    fn length(&self, object: ObjectId) -> Option<u64> {
        if object.indirection() > 0 {
            return self.lists.length(object);
        }
        let extent = Extents::new(self.repository, object).next()?.ok()?;
        extent.length.or_else(|| self.damaged.unpacked(&extent))
    }

    /// Follows an object to its contents until one is not as it should be; returns why it cannot be read whole, if
    /// that is so.
    pub(super) fn why_object_affected(&mut self, object: ObjectId) -> Option<Defect> {
        let Self { repository, damaged, lists, .. } = self;
        let contents = repository.contents();
        let followed = lists.follow(repository, object, &mut |extent, _| {
            let location = contents.locate(&extent.content)?;
            let content = extent.content;
            // Of an object without bytes no content is read.
            let is_empty = !extent.compressed && extent.length == Some(0);
            if let Some(&word) = damaged.contents.get(&content).filter(|_| !is_empty) {
                let Origin { blob, offset, .. } = contents.origin(&location);
                return Err(Defect::Damaged { content, blob, offset, word });
            }
            damaged.why_unfit(extent, &location).map_or(Ok(true), Err)
        });
        followed.err()
    }
}

impl Damaged {
    /// Returns why an extent is not what its list says, if that is so.
    fn why_unfit(&self, extent: &Extent, location: &ContentLocation) -> Option<Defect> {
        if let (true, Some(Unfit::Unreadable(error))) = (extent.compressed, self.unfit.get(&extent.content)) {
            return Some(Defect::Unreadable(error.clone()));
        }
        let found = if extent.compressed { self.unpacked(extent)? } else { location.plain_length() };
        let stated = extent.length?;
        (found != stated).then_some(Defect::ContentLength { content: extent.content, found, stated })
    }

    /// Returns how many bytes a content with a compression header of its own has, if others are expected.
    fn unpacked(&self, extent: &Extent) -> Option<u64> {
        match self.unfit.get(&extent.content) {
            Some(Unfit::Length(found)) if extent.compressed => Some(*found),
            _ => None,
        }
    }
}
