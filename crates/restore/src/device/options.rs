//! What is said of a restore to a device beside [`Options`](crate::Options).

use kopia_repository::Snapshot;

/// The tag in which Velero's block data mover notes how many bytes a volume has
/// (`pkg/uploader/block` of Velero).
const TRUE_SIZE: &str = "bdev-source-size";

/// Returns how many bytes a snapshot says that its disk has, for [`DeviceOptions::true_size`].
pub fn true_size(snapshot: &Snapshot) -> Option<u64> {
    let tags = snapshot.manifest().tags();
    tags.get(TRUE_SIZE).or_else(|| tags.get(&format!("tag:{TRUE_SIZE}")))?.parse().ok()
}

/// How a file gets to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DeviceOptions {
    /// Whether the device is read first, and only what differs is written.
    ///
    /// Pieces are compared by hash, and of those that differ only blocks of 4 KiB that do are written. For a
    /// device that holds an older state of the same data, and to go on after a restore that was killed.
    pub only_differences: bool,
    /// Whether everything is read again from the device at the end, past the page cache, and compared.
    pub verify: bool,
    /// How many bytes the backed-up device had, if that is known.
    ///
    /// Velero's block data mover pads files with zeros to whole MiB and notes the true size. It is ignored
    /// unless the file ends less than a MiB after it.
    pub true_size: Option<u64>,
}

impl DeviceOptions {
    /// Returns how many bytes of a file belong on the device.
    pub(crate) fn size_of(self, file: u64) -> u64 {
        const PADDING: u64 = 1 << 20;
        let fits = |size: &u64| *size <= file && file - *size < PADDING;
        self.true_size.filter(fits).unwrap_or(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_true_size_counts_where_only_padding_follows() {
        const MIB: u64 = 1 << 20;
        for (true_size, file, expected) in [
            (None, 5 * MIB, 5 * MIB),
            (Some(5 * MIB - 512), 5 * MIB, 5 * MIB - 512),
            (Some(4 * MIB + 1), 5 * MIB, 4 * MIB + 1),
            (Some(4 * MIB), 5 * MIB, 5 * MIB),
            (Some(6 * MIB), 5 * MIB, 5 * MIB),
            (Some(5 * MIB), 5 * MIB, 5 * MIB),
        ] {
            let options = DeviceOptions { true_size, ..DeviceOptions::default() };
            assert_eq!(options.size_of(file), expected, "{true_size:?} of {file}");
        }
    }
}
