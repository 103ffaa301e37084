//! The ways to read files: by `pread` or through memory maps, with what was measured of them.

use std::str::FromStr;

/// How ranges of blobs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IoMode {
    /// The fastest as measured, which is `pread` everywhere.
    ///
    /// A restore touches each page of a pack once, so setting up page tables costs what copying costs:
    /// restoring 100,000 small files, or one of 3 GiB, took the same CPU seconds both ways (2 cores, ext4,
    /// warm), but mapped packs count as resident memory, 320 to 390 MiB against 67. Cold sequential reads
    /// were a quarter slower through maps.
    #[default]
    Auto,
    /// By memory maps that are kept, on file systems known to be local; by `pread` elsewhere.
    ///
    /// For programs that read the same packs again and again. A map hides errors: to touch a page that the
    /// disk cannot deliver, or that lies beyond the end of a file that was cut short, is a SIGBUS. So a range
    /// is handed out only after the kernel has read it (`MADV_POPULATE_READ`, Linux 5.14); if it cannot,
    /// `pread` is used, whose error names blob and offset.
    ///
    /// A window remains: between that and the use of the bytes, someone may cut the file short, or memory may
    /// run low and a page that is dropped cannot be read again. Kopia never changes a blob's file, and
    /// removes files, which is harmless.
    Map,
    /// By `pread` only: every error is reported, none can end the process.
    Pread,
}

impl IoMode {
    /// All values by their names, as command lines and configurations spell them.
    pub const NAMES: [(&str, Self); 3] = [("auto", Self::Auto), ("map", Self::Map), ("pread", Self::Pread)];
}

impl FromStr for IoMode {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, mode)| *mode);
        found.ok_or_else(|| format!("{name:?} is none of auto, map, pread"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_have_names() {
        for (name, mode) in IoMode::NAMES {
            assert_eq!(name.parse(), Ok(mode));
        }
        assert_eq!("Map".parse::<IoMode>(), Err("\"Map\" is none of auto, map, pread".into()));
    }
}
