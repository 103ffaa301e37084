use std::os::unix::fs::{PermissionsExt, chown};

use super::*;
use crate::testing::without_capabilities;

#[test]
fn of_what_may_not_be_written_a_target_of_ones_own_alone_is_opened_up() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    for name in ["own", "another's"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::write(at("file"), "").unwrap();
    for (name, mode) in [("own", 0o555), ("another's", 0o755), ("file", 0o644)] {
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let refused = |name: &str, is_target| {
        let answer = without_capabilities(|| may_write(&at(name), is_target));
        answer.err().and_then(|error| Errno::from_io_error(&error))
    };
    for (name, is_target, expected) in [
        ("own", true, None),
        ("own", false, Some(Errno::ACCESS)),
        ("file", true, Some(Errno::ACCESS)),
        ("file/below", false, Some(Errno::NOTDIR)),
        // The restore will say it.
        ("missing", false, None),
    ] {
        assert_eq!(refused(name, is_target), expected, "{name} {is_target}");
    }
    if chown(at("another's"), Some(4242), None).is_err() {
        return kopia_testkit::facilities::left_out("only root can make a folder of another user");
    }
    assert_eq!(refused("another's", true), Some(Errno::ACCESS));
}
