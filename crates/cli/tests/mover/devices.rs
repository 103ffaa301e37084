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
