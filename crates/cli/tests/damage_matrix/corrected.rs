//! The edge of what error correction repairs: as many damaged shards in every block as there are parity
//! shards, and then one more in one block.

use kopia_testkit::damage::Change;
use kopia_testkit::golden;
use kopia_testkit::random::Random;

use crate::shards::Shards;
use crate::sound::{Fate, Sound};
use crate::{Tally, each, indexes, more, packs};

#[test]
fn error_correction() {
    let tally = Tally::default();
    let cases = golden::cases().into_iter().filter(|case| case.name.starts_with("ecc"));
    each(cases.collect::<Vec<_>>(), |case| {
        let sound = Sound::new(case.clone(), case.cheap_blobs(), false);
        for id in sound.ids("").filter(|id| id.starts_with(['p', 'q', 'x'])) {
            for round in 0..2 + more() {
                let mut random = Random::of(&format!("{} {id} {round}", case.name));
                let mut bytes = sound.blobs[id].clone();
                damage_all(&sound, id, &mut bytes, &mut random);
                let repairable = [Change { id: id.clone(), after: Some(bytes.clone()) }];
                damage_more(&sound, id, &mut bytes, &mut random);
                let lost = [Change { id: id.clone(), after: Some(bytes) }];
                for (what, changes, fate) in
                    [("all that can be", &repairable, Fate::Kept), ("one more", &lost, Fate::Lost)]
                {
                    tally.case(&format!("{}: {id}, shards, {what}", case.name), || {
                        let mut complaints = if id.starts_with('x') {
                            assert_eq!(sound.fate_of_blob(&changes[0]), fate, "the test itself is wrong");
                            indexes::strict(&sound, false, changes, &tally)
                        } else {
                            assert_eq!(sound.fate_of_all(changes), fate, "the test itself is wrong");
                            sound.change(changes);
                            let complaints = packs::one(&sound, changes, round, &tally);
                            sound.undo(changes);
                            complaints
                        };
                        complaints.extend(indexes::degraded(&sound, changes, &tally));
                        complaints
                    });
                }
            }
        }
    });
    tally.finish("error correction");
}

/// Turns a bit in as many shards of every block as there are parity shards.
fn damage_all(sound: &Sound, id: &str, bytes: &mut [u8], random: &mut Random) {
    for unit in sound.units(id) {
        let shards = Shards::of(sound.percent.unwrap(), unit.len());
        for block in 0..shards.blocks {
            let mut ranges = shards.of_block(block);
            for _ in 0..shards.parity {
                let range = ranges.swap_remove(random.within(0..ranges.len()));
                bytes[unit.start + random.within(range)] ^= 1 << random.within(0..8);
            }
        }
    }
}

/// Turns a bit in a shard that is whole.
fn damage_more(sound: &Sound, id: &str, bytes: &mut [u8], random: &mut Random) {
    let mut units = sound.units(id);
    let unit = units.swap_remove(random.within(0..units.len()));
    let shards = Shards::of(sound.percent.unwrap(), unit.len());
    let before = &sound.blobs[id][unit.clone()];
    let mut ranges = shards.of_block(random.within(0..shards.blocks));
    ranges.retain(|range| before[range.clone()] == bytes[unit.clone()][range.clone()]);
    let range = ranges.swap_remove(random.within(0..ranges.len()));
    bytes[unit.start + random.within(range)] ^= 1;
}
