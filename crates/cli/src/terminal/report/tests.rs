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
