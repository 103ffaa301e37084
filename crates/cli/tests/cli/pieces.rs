//! Files whose lists end in a piece without bytes, as those of exactly N parts of an upload.

use std::fs;

use kopia_testkit::faults;

use crate::common::{KopiaRs, Place};

#[test]
fn files_of_exactly_n_parts_are_right_whichever_way_they_are_read() {
    let place = Place::new();
    let repository = faults::repository("pieces-empty");
    let command = |arguments: &str| {
        KopiaRs::new(arguments).repository(&repository).env("KOPIA_PASSWORD", faults::PASSWORD)
    };
    let right = faults::hashes("pieces-empty");
    let [plain, salvaged] = ["plain", "salvaged"].map(|name| place.path(name));
    command("restore latest").arg(&plain).run().exits(0);
    assert_eq!(faults::hashes_of(&plain), right);
    command("restore latest --salvage").arg(&salvaged).run().exits(0);
    assert_eq!(faults::hashes_of(&salvaged), right, "nothing is lost, so nothing is named .partial");
    let again = command("restore latest --json").arg(&plain).run().exits(0).json();
    assert_eq!((&again["files"], &again["kept"]), (&0.into(), &right.len().into()));
    for name in right.keys() {
        let read = command(&format!("cat latest/{name}")).run().exits(0).stdout;
        assert!(read == fs::read(plain.join(name)).unwrap(), "{name}");
    }
    let verified = command("verify --json").run().exits(0).json();
    assert_eq!((&verified["damageCount"], &verified["lossCount"]), (&0.into(), &0.into()));
}
