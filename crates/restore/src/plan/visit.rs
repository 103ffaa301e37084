//! What the planner does with each directory that the walk comes to.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use kopia_format::directory::Summary;
use kopia_repository::choice::Scope;
use kopia_repository::tree::{Problem, Visitor, Walked};
use kopia_repository::{Defect, Entry, Error, Trail};
use rustix::fs::Stat;

use super::attributes::attributes_of;
use super::context::Destination;
use super::items::Chore;
use super::there::{There, loses};
use super::{NOT_KEPT, Planner};
use crate::decide::extra_names::ExtraNames;
use crate::destination::directory::{Directory, DirectoryKind};
use crate::destination::leftover::Leftover;
use crate::destination::placeholder::Placeholders;
use crate::destination::{Identity, is_directory, staging};
use crate::kept::{is_kept_name, path_in};
use crate::outcome::Attribute;
use crate::reason::{NotDeleted, Operation, Reason};

/// A directory that is being visited.
#[derive(Default)]
pub(super) struct Visit {
    there: There,
    /// What the target's directory has and the snapshot has not, as far as that is known; nothing where
    /// extras stay.
    extras: Option<ExtraNames>,
    placeholders: Placeholders,
    is_root: bool,
    /// Whether the snapshot has something by the name of the tag.
    has_tag: bool,
}

impl Visit {
    /// Returns whether the unfinished directory may get a tag that the snapshot does not have.
    pub(super) fn lacks_tag(&self) -> bool {
        self.is_root && !self.has_tag
    }

    /// Notes that the snapshot has an entry.
    fn note(&mut self, entry: &Entry) {
        self.has_tag |= self.is_root && staging::is_tag(entry.name());
        self.placeholders.note(entry.name());
        if let (Some(extras), Some(existing)) = (&mut self.extras, &self.there.existing) {
            extras.note(existing.as_fd(), entry);
        }
    }
}

impl Visitor for Planner<'_> {
    type Directory = Arc<Directory>;

    fn enter(&mut self, walked: &mut Walked<Arc<Directory>>) -> ControlFlow<()> {
        self.unless_stopped()?;
        let directory = &walked.attached;
        let mut there = self.look_at(directory).unwrap_or_else(|error| {
            self.unseen(directory, error);
            There::default()
        });
        self.discard_salvaged(directory, &mut there.left);
        let (extras, placeholders) =
            (self.names_of(directory, &there), self.placeholders_of(directory, &there));
        if extras.is_some() && self.context.options.chosen.is_some() {
            directory.set_scope(walked.scope.clone());
        }
        let is_root = walked.is_root();
        self.visit = Visit { there, extras, placeholders, is_root, ..Visit::default() };
        if let Some(share) = &mut self.share {
            share.begin(&walked.path_of(""));
        }
        ControlFlow::Continue(())
    }

    fn leaf(&mut self, parent: &mut Walked<Arc<Directory>>, entry: Entry) -> ControlFlow<()> {
        self.unless_stopped()?;
        if parent.attached.is_unseen() || self.is_taken(&parent.attached, &entry) {
            return ControlFlow::Continue(());
        }
        let left = self.note(&parent.attached, &entry);
        let name = entry.name().as_bytes();
        match self.visit.there.found(&self.context, &parent.attached, name, &entry, left) {
            Ok(found) => self.leaf(&parent.attached, name, &entry, found),
            Err(reason) => self.lose(&parent.attached, &entry, reason),
        }
        ControlFlow::Continue(())
    }

    fn directory(
        &mut self,
        parent: &mut Walked<Arc<Directory>>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<Arc<Directory>>> {
        self.unless_stopped()?;
        if parent.attached.is_unseen() || self.is_taken(&parent.attached, entry) {
            return ControlFlow::Continue(None);
        }
        let left = self.note(&parent.attached, entry);
        let planned = match way {
            // What is only read is never undone: an export has it as any other.
            Ok(_) if self.context.destination.is_some() && is_kept_name(entry.name()) => {
                Err(Reason::KeptName)
            }
            Ok(trail) => self.directory(&parent.attached, entry, trail, left),
            Err(defect) => Err(defect.into()),
        };
        let lost = |reason| self.lose(&parent.attached, entry, reason);
        ControlFlow::Continue(planned.map_err(lost).ok())
    }

    /// Notes that the snapshot has something that is not chosen: it is no extra.
    fn left_out(&mut self, _: &mut Walked<Arc<Directory>>, name: &str, entry: Option<&Entry>) {
        let Visit { extras, there, .. } = &mut self.visit;
        match (extras, &there.existing, entry) {
            (Some(extras), Some(existing), Some(entry)) => extras.note(existing.as_fd(), entry),
            (Some(extras), ..) => extras.note_refused(name),
            (None, ..) => {}
        }
        self.context.tally.left_out(1 + entry.map_or(0, Entry::entries_below));
    }

    fn problem(&mut self, parent: &mut Walked<Arc<Directory>>, problem: Problem) -> ControlFlow<()> {
        self.unless_stopped()?;
        let directory = &parent.attached;
        if directory.is_unseen() {
            return ControlFlow::Continue(());
        }
        match problem {
            Problem::Refused(refused) => {
                self.visit.extras.iter_mut().for_each(|extras| extras.note_refused(&refused.name));
                self.context.tally.problem(directory.path_of(&refused.name), refused);
            }
            Problem::Clash(clash) => {
                let path = clash.path(&directory.path_of(""));
                let below = clash.entry.entries_below();
                self.context.tally.lost(path, Reason::name_taken(&clash), below);
            }
            Problem::NotMerged { name, defect, .. } => {
                self.context.tally.problem(directory.path_of(&name), defect);
            }
        }
        ControlFlow::Continue(())
    }

    fn leave(
        &mut self,
        walked: Walked<Arc<Directory>>,
        read: Result<Option<Summary>, Error>,
    ) -> ControlFlow<()> {
        let Walked { attached: directory, scope, .. } = walked;
        let lacks_tag = self.visit.lacks_tag();
        let Visit { there, extras, placeholders, .. } = std::mem::take(&mut self.visit);
        directory.set_placeholders(placeholders.into_replaced());
        let There { existing, left } = there;
        let is_resumed = left.is_some();
        self.discard_rest(&directory, left);
        if lacks_tag && read.is_ok() {
            self.merge.may_tag = true;
            if is_resumed {
                // It is there, and goes with the rest.
                self.batch.chores.push(Chore::Tag);
            } else {
                self.tag_first();
            }
        }
        match read {
            Err(error) => self.unreadable(&directory, error),
            Ok(_) if self.context.stopped() => {}
            Ok(summary) => {
                if let (Some(extras), Some(existing)) = (extras, existing) {
                    self.set_extras(&directory, &existing, (extras, &scope), summary.as_ref());
                }
            }
        }
        // No more is added to it.
        self.child_done(directory);
        // A tree of directories alone has no file that would see to it.
        self.hand_over_when_full();
        ControlFlow::Continue(())
    }
}

impl Planner<'_> {
    fn unless_stopped(&self) -> ControlFlow<()> {
        if self.context.stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Returns whether an entry must not be made by its name, and reports it then: it is that of the unfinished
    /// directory, which the file with its notes has as well, or means something else to the target.
    fn is_taken(&self, directory: &Arc<Directory>, entry: &Entry) -> bool {
        let Some(Destination { staging, reserved, .. }) = self.context.destination else { return false };
        let is_own = directory.parent.is_none() && entry.name().eq_ignore_ascii_case(staging.name());
        let reason = if is_own {
            Some(Reason::NameTaken { by: None })
        } else {
            reserved.refusal(entry.name().as_bytes())
        };
        let is_taken = reason.is_some();
        if let Some(reason) = reason {
            self.context.tally.lost(directory.path_of(entry.name()), reason, entry.entries_below());
        }
        is_taken
    }

    /// Notes that the snapshot has an entry, and returns what an interrupted restore left of it.
    fn note(&mut self, directory: &Arc<Directory>, entry: &Entry) -> Leftover {
        if entry.name().contains('\u{fffd}') {
            self.context.tally.note(&directory.path_of(entry.name()), Attribute::Name);
        }
        self.visit.note(entry);
        let left = self.visit.there.left.as_mut().map_or(Leftover::Nothing, |left| left.take_up(entry));
        // Other shards may have begun with it.
        let is_begun = self.share.is_some() && self.context.destination.is_some();
        if is_begun { Leftover::Usable } else { left }
    }

    /// Plans a directory in another.
    fn directory(
        &mut self,
        parent: &Arc<Directory>,
        entry: &Entry,
        trail: &Trail,
        left: Leftover,
    ) -> Result<Arc<Directory>, Reason> {
        let there = &self.visit.there;
        let found = there.look(&self.context, parent, (entry.name().as_bytes(), left))?;
        let (kind, replaces) = there.placing(&self.context, parent, entry, (found.as_ref(), left))?;
        let options = self.context.options;
        // What it replaces has no say in what it gets.
        let mut found = found.filter(is_directory);
        // A closed one is opened up as soon as something in it is looked at.
        let is_closed = |found: &Stat| found.st_mode & 0o700 != 0o700;
        let keeps_some = options.newer || entry.is_implied();
        self.keeps_some |= keeps_some;
        let mut before = found;
        // Of one that is opened up no later run could tell, whatever that is to leave.
        let may_mislead = keeps_some || found.as_ref().is_some_and(is_closed);
        if kind != DirectoryKind::Inner && (may_mislead || options.skip_permissions) {
            let mode = attributes_of(&self.context, parent, entry, None).mode;
            let path = parent.path_of(entry.name());
            before = self.before(&path, found.as_ref(), (left, mode), may_mislead);
        }
        let attributes = attributes_of(&self.context, parent, entry, before.as_ref());
        if let (Some(found), Some(before)) = (&mut found, &before)
            && options.skip_permissions
        {
            found.st_mode = before.st_mode;
        }
        let kept = self.context.destination.and_then(|destination| destination.kept);
        if let (DirectoryKind::Existing, Some(kept), Some(found)) = (kind, kept, &found)
            && is_closed(found)
        {
            // Before its parent waits for it.
            kept.closed_directory(path_in(parent, entry.name().as_bytes()), found).map_err(|error| {
                if loses(options, left, &error) {
                    self.context.give_up_target(NOT_KEPT, &error);
                }
                Reason::of(Operation::SetAttributes, error)
            })?;
        }
        self.take_room_for_directory();
        let directory = parent.child(trail.clone(), entry.entries_below(), attributes, kind, left);
        if replaces {
            directory.set_replaces();
        }
        match kind {
            DirectoryKind::Existing => {
                let is_put_back = |found: &Stat| options.keep_replaced || is_closed(found);
                if let Some(found) = found.filter(is_put_back) {
                    directory.set_found(found);
                    if is_closed(&found) {
                        self.context.crew.opens_up(&directory);
                    }
                }
                self.merge.existing.push(directory.clone());
            }
            DirectoryKind::Moved => self.merge.moved.push(directory.clone()),
            DirectoryKind::Inner => {}
        }
        Ok(directory)
    }

    /// Keeps the names of what the snapshot does not have, but for what the backup could not read.
    fn set_extras(
        &self,
        directory: &Arc<Directory>,
        existing: &OwnedFd,
        (extras, scope): (ExtraNames, &Scope),
        summary: Option<&Summary>,
    ) {
        let keep = |name: &str, why| self.extra_problem(directory, name, why);
        let is_root = directory.parent.is_none();
        let chosen = (self.context.options, scope);
        let names = extras.settle(existing.as_fd(), summary, is_root, chosen, keep);
        let Some(names) = names else { return };
        match Identity::of(existing) {
            Ok(listed) => directory.set_extras(listed, names),
            Err(error) => self.extra_problem(directory, "", NotDeleted::Unlisted(error.into())),
        }
    }

    /// Reports an entry that is not restored, with all below it if it is a directory.
    fn lose(&mut self, parent: &Arc<Directory>, entry: &Entry, reason: Reason) {
        let path = parent.path_of(entry.name());
        if self.share.is_some() {
            self.context.note_incomplete(format!("{path}/"), reason.to_string());
        }
        self.context.tally.lost(path, reason, entry.entries_below());
        self.visit.there.left.iter_mut().for_each(|left| left.give_back(entry.name()));
    }

    /// Reports a directory of which the rest cannot be read. What that would have named is not known, so
    /// nothing is deleted.
    fn unreadable(&self, directory: &Arc<Directory>, error: Error) {
        let path = directory.path_of("");
        if self.share.is_some() {
            // The other shards leave to this one what fell to it, and whoever finishes the restore has to
            // know.
            self.context.note_incomplete(format!("{path}/"), error.to_string());
        }
        self.context.tally.problem(path, error);
    }
}
