//! A directory for one file that nobody else may read, removed when dropped.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use kopia_connection::Environment;

/// A directory of our own.
#[derive(Debug)]
pub(super) struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    /// Makes one where temporary files lie, by a name that nobody can guess.
    pub(super) fn new(environment: &Environment, random: &str) -> io::Result<Self> {
        let above = environment.var_os("TMPDIR").map_or_else(|| "/tmp".into(), PathBuf::from);
        let path = above.join(format!("kopia-rs-{random}"));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file that only this user may read, and returns its path.
    pub(super) fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // Whoever runs in it may have removed it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn nobody_else_may_look_into_it_and_it_is_removed() {
        let above = tempfile::tempdir().unwrap();
        let environment: Environment = [("TMPDIR", above.path().as_os_str())].into_iter().collect();
        let directory = PrivateDirectory::new(&environment, "1").unwrap();
        let file = directory.write("rclone.conf", "[x]").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(directory.path()), mode(&file)), (0o700, 0o600));
        assert!(PrivateDirectory::new(&environment, "1").is_err(), "another's is not taken");
        drop(directory);
        assert_eq!(std::fs::read_dir(above.path()).unwrap().count(), 0);
    }
}
