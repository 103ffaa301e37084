//! What a report tells of itself.

use kopia_testkit::refuse::{Call, refusing};

use super::*;

#[test]
fn lines_that_are_lost_at_close_are_an_error() {
    let place = tempfile::tempdir().unwrap();
    let report = || {
        let report = Report::create(&place.path().join("report"), None).unwrap();
        report.push(&"line");
        report
    };
    report().finish().unwrap();
    let ended = refusing(&[(Call::Close, Some(Errno::DQUOT))], || report().finish().unwrap_err());
    let Some(error) = ended else { return };
    assert!(error.message.contains("report cannot be written: Disk quota exceeded"), "{}", error.message);
}

#[test]
fn lines_of_a_file_that_lost_its_name_are_an_error() {
    let place = tempfile::tempdir().unwrap();
    let [path, other] = ["report", "other"].map(|name| place.path().join(name));
    for is_replaced in [false, true] {
        let report = Report::create(&path, None).unwrap();
        report.push(&"line");
        if is_replaced {
            std::fs::write(&other, "another's").unwrap();
            std::fs::rename(&other, &path).unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
        let error = report.finish().unwrap_err();
        assert!(error.message.ends_with("it was removed or replaced meanwhile, and its lines are lost"));
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"another's");
    let device = Report::create(Path::new("/dev/null"), None).unwrap();
    device.push(&"line");
    device.finish().unwrap();
}

#[test]
fn a_report_is_told_from_whatever_else_a_file_has() {
    let place = tempfile::tempdir().unwrap();
    let [path, link] = ["report", "link"].map(|name| place.path().join(name));
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(FoundFile::at(&path), FoundFile::Other);
    // Of several restores, keys stand in another order.
    for below in [None, Some("folder")] {
        let report = Report::create(&path, None).unwrap();
        assert_eq!(FoundFile::at(&path), FoundFile::Empty);
        report.below(below).push(&AttributeLine::new("file", Attribute::Owner));
        report.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(FoundFile::at(&path), FoundFile::Report, "{text}");
    }
    assert_eq!([&*link, place.path()].map(FoundFile::at), [FoundFile::Other; 2]);
    for other in [&b"notes\n"[..], b"{\"kind\":\"List\",\"items\":[]}\n", b"[1]", b"\n", b"\xff\n"] {
        std::fs::write(&path, other).unwrap();
        assert_eq!(FoundFile::at(&path), FoundFile::Other, "{}", String::from_utf8_lossy(other));
    }
}
