//! Names that are one, as file systems of other systems and some directories of ext4 have them.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, statat};
use unicode_normalization::UnicodeNormalization;

use crate::Folds;

/// What makes no difference between names.
pub(crate) struct SameName {
    case: bool,
    form: bool,
}

impl SameName {
    pub(crate) fn new(folds: &[Folds]) -> Self {
        Self { case: folds.contains(&Folds::Case), form: folds.contains(&Folds::Form) }
    }

    /// Returns the name that a folder has for a name, or that name itself.
    pub(crate) fn find<'n>(&self, folder: &OwnedFd, name: &'n OsStr) -> Cow<'n, OsStr> {
        let is_there = || statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        if !(self.case || self.form) || is_there() {
            return name.into();
        }
        self.listed(folder, name).unwrap_or(name.into())
    }

    fn listed(&self, folder: &OwnedFd, name: &OsStr) -> Option<Cow<'static, OsStr>> {
        let key = self.key(name.to_str()?);
        let opened = openat(folder, ".", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let listed = Dir::new(opened).ok()?.flatten().map(|entry| entry.file_name().to_bytes().to_owned());
        let is_same = |listed: &Vec<u8>| std::str::from_utf8(listed).is_ok_and(|name| self.key(name) == key);
        let mut same = listed.filter(is_same);
        Some(OsString::from_vec(same.next()?).into())
    }

    fn key(&self, name: &str) -> String {
        let form = if self.form { name.nfd().collect() } else { name.to_owned() };
        if self.case { form.to_lowercase() } else { form }
    }
}
