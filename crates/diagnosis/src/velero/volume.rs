//! Snapshots as Velero's users think of them: volumes of a namespace, in a backup.

use std::collections::BTreeMap;

use kopia_format::Timestamp;
use kopia_format::snapshot::SnapshotManifest;
use kopia_repository::{Snapshot, Snapshots};
use kopia_restore::true_size;
use serde::Serialize;

use crate::serialize::text;

/// What Velero tags every snapshot with: which of its controllers asked for it.
const REQUESTER: &str = "snapshot-requester";

/// The same: the uploader.
const UPLOADER: &str = "snapshot-uploader";

/// The label of the operation that moved a volume: `du-BACKUPUID.PVCUID`, shortened to 63 characters.
const OPERATION: &str = "velero.io/async-operation-id";

/// The uploader that this crate knows.
const KOPIA: &str = "kopia";

/// How many characters a UID of Kubernetes has.
const UID: usize = 36;

/// A volume of a namespace, as one backup has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// The namespace.
    pub namespace: String,
    /// The pod, of volumes that were read in a pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The PVC or, of volumes that were read in a pod, the volume where Velero knew no PVC.
    pub name: String,
    /// What it holds.
    pub kind: VolumeKind,
    /// Which controller of Velero asked for it, such as `snapshot-data-upload-download`.
    pub requester: String,
    /// The backup that it belongs to.
    #[serde(flatten)]
    pub backup: Backup,
    /// The id of the snapshot.
    pub snapshot: String,
    /// Its source, as other commands take it.
    pub source: String,
    /// When reading it began.
    #[serde(serialize_with = "text")]
    pub start_time: Timestamp,
    /// When reading it ended.
    #[serde(serialize_with = "text")]
    pub end_time: Timestamp,
    /// Bytes: of all files, or of the device.
    pub size: u64,
    /// Files; one of a block device.
    pub files: u64,
    /// Why the snapshot is not complete, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// Whether it was deleted, and is listed because that was asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// What a volume holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum VolumeKind {
    /// Files and directories.
    Files,
    /// The bytes of a device (`volumeMode: Block`).
    Block,
}

/// What a snapshot says of the backup that it belongs to. Which of the two it says depends on Velero's version
/// and on what read the volume.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// Its name.
    #[serde(rename = "backup", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The UID of its object in Kubernetes.
    #[serde(rename = "backupUid", skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// Lists the volumes among snapshots, and counts the snapshots that Velero did not make.
pub fn volumes(snapshots: &Snapshots) -> (Vec<Volume>, usize) {
    let found: Vec<Volume> = snapshots.iter().filter_map(Volume::of).collect();
    let others = snapshots.iter().len() - found.len();
    (found, others)
}

impl Volume {
    /// Tells which volume a snapshot is of; `None` if Velero did not make it.
    pub fn of(snapshot: &Snapshot) -> Option<Self> {
        let manifest = snapshot.manifest();
        let tag = |key: &str| tag(manifest, key);
        let place = Place::parse(&snapshot.source().path);
        let is_tagged = tag(REQUESTER).is_some() && tag(UPLOADER).is_none_or(|name| name == KOPIA);
        if !is_tagged && place.is_none() {
            return None;
        }
        let place = place.unwrap_or_default();
        let size = true_size(snapshot);
        let (bytes, files) = snapshot.totals();
        let kind = if size.is_some() || is_device(manifest) { VolumeKind::Block } else { VolumeKind::Files };
        Some(Self {
            namespace: or(place.namespace, tag("ns")),
            pod: Some(or(place.pod, tag("pod"))).filter(|pod| !pod.is_empty()),
            name: or(place.volume, tag("pvc").or_else(|| tag("volume"))),
            kind,
            requester: or(place.requester, tag(REQUESTER)),
            backup: Backup::of(manifest),
            snapshot: snapshot.id().into(),
            source: snapshot.source().to_string(),
            start_time: snapshot.start_time(),
            end_time: manifest.end_time(),
            size: size.unwrap_or(bytes),
            // The uploader of devices counts none.
            files: if kind == VolumeKind::Block { files.max(1) } else { files },
            incomplete: manifest.incomplete().map(Into::into),
            deleted: snapshot.is_deleted(),
        })
    }

    /// Names it as people do: the PVC, or the pod and its volume.
    pub fn title(&self) -> String {
        match &self.pod {
            Some(pod) => format!("{pod}/{}", self.name),
            None => self.name.clone(),
        }
    }
}

impl Backup {
    fn of(manifest: &SnapshotManifest) -> Self {
        let operation = || tag(manifest, OPERATION)?.strip_prefix("du-")?.get(..UID);
        let is_uid = |text: &&str| {
            text.len() == UID && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        };
        Self {
            name: tag(manifest, "backup").map(Into::into),
            uid: tag(manifest, "backup-uid").or_else(operation).filter(is_uid).map(Into::into),
        }
    }

    /// Gives those that have only a UID the name that others with the same UID have: volumes of one backup, in
    /// one namespace or in several.
    pub fn complete(all: Vec<&mut Self>) {
        let named = all.iter().filter_map(|backup| Some((backup.uid.clone()?, backup.name.clone()?)));
        let names: BTreeMap<String, String> = named.collect();
        let nameless = all.into_iter().filter(|backup| backup.name.is_none());
        for backup in nameless {
            backup.name = backup.uid.as_ref().and_then(|uid| names.get(uid).cloned());
        }
    }

    /// Returns whether a user means this one by a name or a UID, or its beginning, with or without `uid:` before
    /// it.
    pub fn is_meant(&self, text: &str) -> bool {
        let beginning = text.strip_prefix("uid:").unwrap_or(text);
        let by_uid = |uid: &String| beginning.len() >= 4 && uid.starts_with(beginning);
        self.name.as_deref() == Some(text) || self.uid.as_ref().is_some_and(by_uid)
    }
}

/// Returns a tag: Velero writes keys as they are, where kopia's command puts `tag:` before them.
fn tag<'a>(manifest: &'a SnapshotManifest, key: &str) -> Option<&'a str> {
    let tags = manifest.tags();
    let value = tags.get(key).or_else(|| tags.get(&format!("tag:{key}")));
    value.map(String::as_str).filter(|value| !value.is_empty())
}

/// Returns whether a snapshot is of a device: the directory that its one file lies in is named by the whole path
/// of the device, where that of a volume is named by the last name alone.
fn is_device(manifest: &SnapshotManifest) -> bool {
    manifest.description() == "Block Uploader"
        || manifest.root().is_ok_and(|root| root.name.starts_with('/') && root.name.len() > 1)
}

fn or(first: &str, second: Option<&str>) -> String {
    if first.is_empty() { second.unwrap_or_default().into() } else { first.into() }
}

/// What the path of a source says: `REQUESTER/kopia/NAMESPACE/PVC` or `REQUESTER/kopia/NAMESPACE/POD/VOLUME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Place<'a> {
    requester: &'a str,
    namespace: &'a str,
    /// Empty of what is no volume of a pod.
    pod: &'a str,
    volume: &'a str,
}

impl<'a> Place<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let names: Vec<&str> = path.split('/').collect();
        if names.iter().any(|name| name.is_empty()) {
            return None;
        }
        match names[..] {
            [requester, KOPIA, namespace, volume] => Some(Self { requester, namespace, pod: "", volume }),
            [requester, KOPIA, namespace, pod, volume] => Some(Self { requester, namespace, pod, volume }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_name_volumes_in_both_forms() {
        let mover = Place::parse("snapshot-data-upload-download/kopia/shop/data").unwrap();
        assert_eq!((mover.namespace, mover.pod, mover.volume), ("shop", "", "data"));
        let pod = Place::parse("snapshot-pod-volume/kopia/shop/web-0/cache").unwrap();
        assert_eq!((pod.namespace, pod.pod, pod.volume), ("shop", "web-0", "cache"));
        for other in [
            "/home/anna/kopia/x",
            "/a/kopia/b/c",
            "a/restic/b/c",
            "kopia/ns/disk",
            "a/kopia/b",
            "a/kopia//c",
            "",
        ] {
            assert_eq!(Place::parse(other), None, "{other}");
        }
    }

    fn backup(name: Option<&str>, uid: Option<&str>) -> Backup {
        Backup { name: name.map(Into::into), uid: uid.map(Into::into) }
    }

    #[test]
    fn a_backup_that_one_volume_names_is_named_for_all() {
        let mut all = [
            backup(Some("nightly"), Some("u1")),
            backup(None, Some("u1")),
            backup(None, Some("u2")),
            backup(None, None),
        ];
        Backup::complete(all.iter_mut().collect());
        let names: Vec<_> = all.iter().map(|backup| backup.name.as_deref()).collect();
        assert_eq!(names, [Some("nightly"), Some("nightly"), None, None]);
    }

    #[test]
    fn a_backup_is_meant_by_its_name_or_the_beginning_of_its_uid() {
        let nightly = backup(Some("nightly"), Some("9f8e7d6c"));
        assert!(nightly.is_meant("nightly") && nightly.is_meant("9f8e") && nightly.is_meant("uid:9f8e"));
        assert!(!nightly.is_meant("night") && !nightly.is_meant("9f8") && !nightly.is_meant("uid:9f8"));
        assert!(!nightly.is_meant("") && !nightly.is_meant("uid:"));
    }
}
