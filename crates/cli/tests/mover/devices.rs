//! Volumes whose `volumeMode` is `Block`.

use std::fs::File;
use std::io::Read;

use kopia_testkit::loop_device::LoopDevice;
use serde_json::json;

use crate::common::Pod;

#[test]
fn a_block_volume_is_restored_from_the_one_file_of_its_snapshot() {
    let pod = Pod::new();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    pod.write(|writer| {
        let object = writer.file(&bytes);
        let file = json!({"name": "/dev/block", "type": "f", "size": bytes.len(), "obj": object});
        let root = writer.directory(&[file]);
        writer.snapshot("app@ns:/data", json!({"name": "data", "type": "d", "obj": root}));
        let other = writer.file(b"other");
        let two = ["a", "b"].map(|name| json!({"name": name, "type": "f", "size": 5, "obj": other}));
        let root = writer.directory(&two);
        writer.snapshot("app@ns:/two", json!({"name": "two", "type": "d", "obj": root}));
    });
    let no_device = pod.job("app@ns:/data").env("KOPIA_RS_DEVICE", pod.volume()).run();
    assert_eq!(no_device.code, Some(1));
    assert!(no_device.log.contains("is no block device"), "{}", no_device.log);
    let Some(device) = LoopDevice::attach(&pod.path("backing"), 2 << 20, &[]) else { return };
    let two = pod.job("app@ns:/two").env("KOPIA_RS_DEVICE", device.path()).run();
    assert!(two.log.contains("the snapshot has several files: a, b"), "{}", two.log);
    for arguments in ["--verify", "--only-differences"] {
        let job = pod.job("app@ns:/data").env("KOPIA_RS_DEVICE", device.path());
        let ran = job.env("KOPIA_ADDITIONAL_ARGS", arguments).run();
        assert_eq!(ran.code, Some(0), "{}", ran.log);
        let said = if arguments == "--verify" { "read again and right: 1.0 MB" } else { "kept 1.0 MB that" };
        assert!(ran.log.contains(said) && ran.log.contains("Snapshot restore completed"), "{}", ran.log);
        let mut found = vec![0; bytes.len()];
        File::open(device.path()).unwrap().read_exact(&mut found).unwrap();
        assert!(found == bytes);
    }
}

#[test]
fn what_a_device_or_a_folder_cannot_obey_is_refused_by_its_name() {
    let pod = Pod::new();
    let to_folder = || pod.job("app@ns:/data");
    let to_device = || to_folder().env("KOPIA_RS_DEVICE", pod.volume());
    for option in ["--verify", "--only-differences"] {
        let ran = to_folder().additional(&[option]).run().exits(1);
        ran.ends_with(&["KOPIA_ADDITIONAL_ARGS holds", option, "cannot be obeyed without KOPIA_RS_DEVICE"]);
    }
    for option in
        ["--skip-existing", "--no-overwrite-files", "--no-overwrite-symlinks", "--delete-extra", "--in-place"]
    {
        let ran = to_device().additional(&["--verify", option]).run().exits(1);
        ran.ends_with(&["KOPIA_ADDITIONAL_ARGS holds", option, "cannot be obeyed with KOPIA_RS_DEVICE"]);
    }
    let deleting = to_device().env("KOPIA_ENABLE_FILE_DELETION", "true").run().exits(1);
    deleting.ends_with(&["KOPIA_ENABLE_FILE_DELETION is \"true\"", "cannot be obeyed with KOPIA_RS_DEVICE"]);
    // What is off, or makes no difference, is no reason: what comes next is that this is no device.
    let off = ["--no-delete-extra", "--no-in-place", "--overwrite-files", "--write-sparse-files"];
    let job = to_device().additional(&off).env("KOPIA_ENABLE_FILE_DELETION", "false");
    job.run().exits(1).says(&["is no block device"]);
}
