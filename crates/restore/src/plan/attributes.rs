//! What directories get besides what is in them.
//!
//! Some keep what they had: the target itself where its attributes are none of the restore's, what is newer than the
//! snapshot, and what the snapshot has by name alone. A run that is killed has opened up some of these and changed the
//! time of others, so what they were like before the first run is noted in the staging tree before anything is changed,
//! and asked for here by each later one.

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;
use rustix::fs::Stat;

use super::Planner;
use super::context::{Context, Destination};
use crate::Options;
use crate::destination::directory::Directory;
use crate::destination::leftover::Leftover;
use crate::destination::metadata::{Attributes, is_newer};
use crate::destination::staging::pending::Pending;

impl Planner<'_> {
    /// Returns what the target itself gets.
    pub(super) fn attributes_of_root(&mut self, root: &Entry) -> Attributes {
        let options = self.context.options;
        // A run that was interrupted may have made it.
        let destination = self.context.destination.filter(|destination| !destination.target.is_new());
        let found = destination.and_then(|destination| {
            destination.target.found.map(|found| self.root_before(root, destination, found))
        });
        let stays = found.filter(|stat| options.newer && !is_newer(root.modified(), stat));
        stays.map_or_else(|| Attributes::of(root, options), |stat| Attributes::found(&stat))
    }

    /// Returns what the target was like before the first run of this restore changed it, and sees to it that it
    /// gets back the mode that it had then.
    fn root_before(
        &mut self,
        root: &Entry,
        Destination { target, staging, .. }: Destination<'_>,
        found: Stat,
    ) -> Stat {
        let Options { newer, skip_permissions, root_attributes, .. } = *self.context.options;
        let is_directory = root.kind() == EntryKind::Directory;
        let keeps_time = newer && is_directory;
        let keeps_mode = skip_permissions || !root_attributes || !is_directory || root.is_implied();
        let is_opened_up = target.opened_up_from().is_some();
        if !keeps_time && !(keeps_mode && (is_opened_up || staging.is_left())) {
            return found;
        }
        self.keeps_some = true;
        let before = self.before("", Some(&found), (Leftover::Usable, 0), keeps_time || is_opened_up);
        let before = before.unwrap_or(found);
        if before.st_mode != found.st_mode {
            target.set_mode_after(Some(before.st_mode & 0o7777));
        }
        before
    }

    /// Returns what a directory of the target was like before the first run of this restore changed it, as
    /// [`Pending::before`] does. It is noted with others, before anything that is planned is done.
    pub(super) fn before(
        &mut self,
        path: &str,
        found: Option<&Stat>,
        made: (Leftover, u32),
        may_mislead: bool,
    ) -> Option<Stat> {
        let destination = self.context.destination.filter(|_| !self.context.options.is_shard());
        let Some(destination) = destination else { return found.copied() };
        if self.forgot && !self.keeps_some {
            return found.copied();
        }
        let pending = self.pending.get_or_insert_with(|| Pending::open(destination.staging));
        pending.add(path, found, made, may_mislead)
    }
}

/// Returns what a directory gets besides what is in it, from what the target had by its name before.
pub(super) fn attributes_of(
    context: &Context<'_>,
    parent: &Directory,
    entry: &Entry,
    before: Option<&Stat>,
) -> Attributes {
    if entry.is_implied() {
        // As of any directory that is made on the way: one that is there stays as it is.
        return before.map_or_else(|| context.of_directory(entry, parent), Attributes::found);
    }
    let stays = before.filter(|stat| context.options.newer && !is_newer(entry.modified(), stat));
    stays.map_or_else(|| Attributes::of(entry, context.options), Attributes::found)
}
