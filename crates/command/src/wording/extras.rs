//! What is said of folders that the snapshot does not have and that stay.

/// Says of each mount and each folder of a restore why it was left alone.
pub(crate) fn kept(mounts: &[String], restores: &[String]) -> impl Iterator<Item = String> {
    let mounts = mounts
        .iter()
        .map(|mount| format!("{mount} was not deleted: something is mounted there, or it is a subvolume"));
    mounts.chain(restores.iter().map(|folder| restore_kept(folder)))
}

/// Says why a folder stays that a restore is at work in, or keeps what it replaced in.
fn restore_kept(folder: &str) -> String {
    let name = folder.rsplit('/').next().unwrap_or_default();
    if name.starts_with(".kopia-rs-undo-") {
        return format!(
            "{folder} was not deleted: a restore keeps in it what it replaced, for kopia-rs undo"
        );
    }
    format!("nothing was deleted in {folder}: another restore is at work there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_for_undo_is_told_from_one_that_is_restored_into() {
        assert!(restore_kept("app/.kopia-rs-undo-cfg-1").contains("for kopia-rs undo"));
        assert_eq!(restore_kept("app"), "nothing was deleted in app: another restore is at work there");
    }
}
