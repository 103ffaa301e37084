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
