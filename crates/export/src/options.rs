//! What a caller may choose. The defaults are what is safe.

use std::num::NonZeroUsize;
use std::str::FromStr;

use kopia_repository::Defect;
use kopia_repository::choice::Chosen;
use kopia_repository::owners::Owners;

use crate::zip;

/// How an export is done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// What is written: tar by default.
    pub format: Format,
    /// How hard to compress: 1 to 9 for gzip and zip (6 by default), 1 to 19 for zstd (3 by default). Other
    /// numbers are taken for the nearest of these.
    pub level: Option<u8>,
    /// How many threads decode, and how many compress; by default as many as the cores that this process may
    /// use.
    pub parallel: Option<NonZeroUsize>,
    /// Whether a tar has an entry `./` with owner, mode and time of the snapshot's root.
    pub root_attributes: bool,
    /// Whose entries are said to be. By default they belong to whom they belonged when they were backed up.
    pub owners: Owners,
    /// How many directories may be nested: 10,000 by default.
    pub max_depth: usize,
    /// Whether every content's hash is compared with its id. Off by default, as in kopia: the encryption
    /// authenticates every content already. Where nothing
    /// [can be compared](kopia_repository::Contents::can_compare), nothing is.
    pub verify_hashes: bool,
    /// Whether a file that has lost pieces is written all the same, with zeros in place of these.
    pub salvage: bool,
    /// Whether the first problem ends the export.
    pub fail_fast: bool,
    /// How many bytes of files may be decoded and not yet written, paths included: 64 MiB by default. A single
    /// content, of up to 256 MiB, may have more by itself. Files longer than half of it are read twice.
    pub window: u64,
    /// How many stored bytes may be read ahead of those who decode: 64 MiB by default. Only where the store's
    /// reads take long is anything read ahead.
    pub read_ahead: u64,
    /// What is exported of a directory; everything by default. It must have been made among the entry that is
    /// exported.
    pub chosen: Option<Chosen>,
}

/// A kind of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Format {
    /// POSIX tar (pax).
    #[default]
    Tar,
    /// The same, compressed by zstd.
    TarZst,
    /// The same, compressed by gzip.
    TarGz,
    /// Zip, with modes, owners and times of Unix. Its list of all entries is kept in memory to the end, some
    /// 100 bytes and a name for each.
    Zip,
}

impl Format {
    /// All values by their names, as command lines spell them.
    pub const NAMES: [(&str, Self); 4] =
        [("tar", Self::Tar), ("tar.zst", Self::TarZst), ("tar.gz", Self::TarGz), ("zip", Self::Zip)];

    /// Returns the format that the end of a file's name stands for.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let ends = [
            (".tar", Self::Tar),
            (".tar.zst", Self::TarZst),
            (".tzst", Self::TarZst),
            (".tar.gz", Self::TarGz),
            (".tgz", Self::TarGz),
            (".zip", Self::Zip),
        ];
        ends.into_iter().find(|(end, _)| name.ends_with(end)).map(|(_, format)| format)
    }

    /// Returns why a path cannot stand in such an archive, that of a directory without the `/` at its end.
    pub fn refusal(self, path: &str) -> Option<Defect> {
        match self {
            Self::Tar | Self::TarZst | Self::TarGz => None,
            Self::Zip => zip::refusal(path),
        }
    }

    /// Returns whether programs on other systems than Unix take a name in such an archive for something else.
    pub(crate) fn is_foreign(self, name: &str) -> bool {
        match self {
            Self::Tar | Self::TarZst | Self::TarGz => false,
            Self::Zip => zip::is_foreign(name),
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format);
        found.ok_or_else(|| {
            let known: Vec<_> = Self::NAMES.iter().map(|(known, _)| *known).collect();
            format!("{name:?} is none of {}", known.join(", "))
        })
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: Format::Tar,
            level: None,
            parallel: None,
            root_attributes: true,
            owners: Owners::default(),
            max_depth: 10_000,
            verify_hashes: false,
            salvage: false,
            fail_fast: false,
            window: 64 << 20,
            read_ahead: 64 << 20,
            chosen: None,
        }
    }
}

impl Options {
    /// Returns the number of threads that decode, and of those that compress.
    pub(crate) fn workers(&self) -> usize {
        // The standard library knows affinity and cgroup quotas.
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.parallel.map_or_else(cores, NonZeroUsize::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_names() {
        for (name, format) in Format::NAMES {
            assert_eq!(name.parse(), Ok(format));
            assert_eq!(Format::of_name(&format!("A.{name}")), Some(format));
        }
        assert_eq!(Format::of_name("x.TGZ"), Some(Format::TarGz));
        assert_eq!(Format::of_name("tar"), None);
        assert!("rar".parse::<Format>().is_err_and(|error| error.starts_with("\"rar\" is none of tar,")));
    }
}
