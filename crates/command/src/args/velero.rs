//! What `velero` takes.

use clap::ValueEnum;

#[derive(Debug, clap::Args)]
pub(crate) struct Velero {
    /// What to list.
    #[arg(value_name = "LIST", value_enum)]
    pub(crate) list: VeleroList,
    /// Only this backup, by its name, or by its UID or at least four characters of that.
    #[arg(long, value_name = "NAME")]
    pub(crate) backup: Option<String>,
    /// Only volumes of this namespace.
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Only this PVC, or this volume of a pod.
    #[arg(long, value_name = "NAME")]
    pub(crate) pvc: Option<String>,
    /// Only volumes that were read in this pod.
    #[arg(long, value_name = "NAME")]
    pub(crate) pod: Option<String>,
}

/// What of Velero is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VeleroList {
    /// The backups, newest last, each with what its volumes have together.
    Backups,
    /// The volumes, each with the snapshot to restore it from.
    Volumes,
}
