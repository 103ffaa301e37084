//! Damaged packs. The repository is opened before the damage is done, so that the key is derived once for
//! hundreds of cases.

use kopia_rs::verify;
use kopia_testkit::damage::Change;
use kopia_testkit::golden;

use crate::sound::{Fate, Sound, parent, with_ancestors};
use crate::{Tally, damages, each, judge, more};

#[test]
fn packs() {
    let tally = Tally::default();
    let mut cases = golden::cases();
    // Long ones first, so that no core waits for another at the end.
    cases.sort_by_key(|case| std::cmp::Reverse(case.blobs().values().map(Vec::len).sum::<usize>()));
    each(cases, |case| {
        let sound = Sound::new(case.clone(), case.blobs(), false);
        for id in sound.ids("p").chain(sound.ids("q")) {
            for (number, damage) in damages(&case.name, id, &sound.blobs).into_iter().enumerate() {
                let changes = damage.changes(id, &sound.blobs);
                tally.case(&format!("{}: {id} {damage}", case.name), || {
                    sound.change(&changes);
                    let complaints = one(&sound, &changes, number, &tally);
                    sound.undo(&changes);
                    complaints
                });
            }
        }
    });
    assert!(tally.count_repaired() > 0, "error correction had nothing to do");
    tally.finish("packs");
}

/// Restores snapshots while the blobs are so, and returns what is wrong.
pub(crate) fn one(sound: &Sound, changes: &[Change], number: usize, tally: &Tally) -> Vec<String> {
    let mut complaints = Vec::new();
    if sound.is_repaired(changes) {
        tally.repaired();
    }
    let blamed: Vec<&str> = changes.iter().map(|change| change.id.as_str()).collect();
    // Unless more is asked for, one snapshot that is damaged and one that is not, each time others.
    let count = sound.snapshots.len();
    let some = (0..count).map(|step| &sound.snapshots[(number + step) % count]);
    let mut shown = [false; 2];
    for snapshot in some {
        let own = sound.own_fates(snapshot, &sound.repository, |content| sound.fate_of(content, changes));
        let is_damaged = own.values().any(|fate| *fate != Fate::Kept);
        if std::mem::replace(&mut shown[usize::from(is_damaged)], true) && more() == 0 {
            continue;
        }
        tally.restored();
        complaints.extend(judge::restore(snapshot, &snapshot.root, &own, &blamed));
    }
    complaints.extend(verified(sound, changes));
    complaints
}

/// Says what is wrong with what `verify` finds: it must know before a restore does.
fn verified(sound: &Sound, changes: &[Change]) -> Vec<String> {
    let result = sound.repository.verify(&verify::Options::default(), &());
    let (report, list) = match (result, sound.fate_of_list(|content| sound.fate_of(content, changes))) {
        (Err(error), Fate::Kept) => return vec![format!("verify failed: {error}")],
        (Err(_), _) => return Vec::new(),
        (Ok(report), fate) => (report, fate),
    };
    let mut complaints = Vec::new();
    match (sound.fate_of_all(changes), report.is_sound()) {
        (Fate::Kept, false) => {
            complaints.push(format!("verify finds damage where there is none: {report:?}"))
        }
        (Fate::Lost, true) => complaints.push("verify finds nothing".to_owned()),
        _ => {}
    }
    match (list, report.unlisted.is_empty()) {
        (Fate::Lost, true) => complaints.push("verify does not say that the list is damaged".to_owned()),
        (Fate::Kept, false) => complaints.push(format!("the list is not damaged: {:?}", report.unlisted)),
        _ => {}
    }
    for snapshot in &sound.snapshots {
        let own = sound.own_fates(snapshot, &sound.repository, |content| sound.fate_of(content, changes));
        let fates = with_ancestors(&own);
        let of_this =
            |loss: &&verify::AffectedEntry| loss.snapshot.as_ref().is_some_and(|s| s.id() == snapshot.id);
        let said: Vec<&str> = report.affected.iter().filter(of_this).map(|loss| loss.path.as_str()).collect();
        for path in &said {
            if own.get(*path).is_none_or(|fate| *fate == Fate::Kept) {
                complaints
                    .push(format!("verify says that {path:?} of {} is lost, which is not", snapshot.id));
            }
        }
        for (path, fate) in &own {
            let above = parent(path).map_or(Fate::Kept, |parent| fates[parent]);
            // Of a snapshot that cannot be listed, nobody knows the paths.
            let must_be_said = (*fate, above) == (Fate::Lost, Fate::Kept) && report.unlisted.is_empty();
            if must_be_said && !said.contains(&path.as_str()) {
                complaints.push(format!("verify does not say that {path:?} of {} is lost", snapshot.id));
            }
        }
    }
    complaints
}
