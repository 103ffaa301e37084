//! Says which mutant is switched on in this process.
//!
//! The sandbox has a folder for it. Its file `active` holds the number of a mutant, or `reach`: then nothing is changed, and every place
//! that is come by is written to the file `reached`, four bytes each, little-endian. Children find the same files, whatever environment
//! they are given. Outside of the sandbox the folder is empty, and the program does what it did before.

use std::io::Write;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

/// The file has not been read.
const UNREAD: u32 = u32::MAX;
/// Places are to be noted.
const REACH: u32 = u32::MAX - 1;
/// More places than any workspace has; without a page of memory as long as none is noted.
const MOST: usize = 1 << 20;

static ACTIVE: AtomicU32 = AtomicU32::new(UNREAD);
static REACHED: [AtomicU8; MOST] = [const { AtomicU8::new(0) }; MOST];

const FOLDER: &str = match option_env!("MUTANT_SWITCH_FOLDER") {
    Some(folder) => folder,
    None => "/nonexistent",
};

/// Which of the `count` mutants at the place `base` is on: 1 is the first of them, 0 is none.
#[inline(always)]
pub fn which(base: u32, count: u32) -> u32 {
    let active = ACTIVE.load(Relaxed);
    if active >= REACH {
        return unusual(base, count);
    }
    let distance = active.wrapping_sub(base);
    if distance < count { distance + 1 } else { 0 }
}

#[cold]
#[inline(never)]
fn unusual(base: u32, count: u32) -> u32 {
    if ACTIVE.load(Relaxed) == UNREAD {
        let word = std::fs::read_to_string(format!("{FOLDER}/active")).unwrap_or_default();
        // Numbers begin at 1.
        let active = if word.trim() == "reach" { REACH } else { word.trim().parse().unwrap_or(0) };
        ACTIVE.store(active, Relaxed);
        return which(base, count);
    }
    if REACHED.get(base as usize).is_none_or(|reached| reached.swap(1, Relaxed) == 0)
        && let Ok(mut file) =
            std::fs::OpenOptions::new().append(true).create(true).open(format!("{FOLDER}/reached"))
    {
        // A place that cannot be noted counts as not reached, as one in a process that may not open files.
        let _ = file.write_all(&base.to_le_bytes());
    }
    0
}
