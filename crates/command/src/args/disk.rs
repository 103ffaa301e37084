//! Block devices and raw images, which one file is restored to.

use std::path::PathBuf;

const DISKS: &str = "Disks of virtual machines, and other block devices";

/// What a restore to a device or image does not go with: it is no tree, and nothing of it can be put back.
const NOT_WITH: [&str; 12] = [
    "strip_components",
    "in_original_place",
    "keep_replaced",
    "newer",
    "in_place",
    "delete_extra",
    "shard",
    "finish",
    "include",
    "exclude",
    "no_root_attributes",
    "existing",
];

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Disk {
    /// Write WHAT, one file, to this block device instead of a TARGET.
    ///
    /// WHAT may also be a snapshot that has one file, as Velero makes them of volumes. What the device holds is lost;
    /// on a terminal it is named first, and asked for.
    #[arg(
        help_heading = DISKS, long, value_name = "DEVICE", group = "asks", group = "disks",
        conflicts_with_all = NOT_WITH,
    )]
    pub(crate) device: Option<PathBuf>,
    /// With --device: read the device first, and write only what differs; also to go on after a run that was
    /// interrupted.
    #[arg(help_heading = DISKS, long, hide_short_help = true, requires = "device")]
    pub(crate) only_differences: bool,
    /// With --device: at the end read everything from the device again, and compare.
    #[arg(help_heading = DISKS, long, hide_short_help = true, requires = "device")]
    pub(crate) verify: bool,
    /// Write WHAT, as for --device, to a raw image, with holes for zeros.
    #[arg(
        help_heading = DISKS, long, value_name = "FILE", group = "disks",
        conflicts_with_all = ["strip_components", "in_original_place", "delete_extra", "shard", "finish"],
    )]
    pub(crate) image: Option<PathBuf>,
}
