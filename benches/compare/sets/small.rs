//! Many small files.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};

use kopia_rs_benches::noise::Noise;

use super::text::Text;
use super::{finish, scaled, write};
use crate::Result;

const FILES: u64 = 100_000;
const FOLDERS: u64 = 1000;
const LINKS: u64 = 500;
const DEPTH: usize = 5;

/// Sizes stay below this, in bytes.
const LARGEST: f64 = 20_480.0;

/// How much small sizes are preferred: with this exponent the mean is 5 kB.
const SKEW: f64 = 3.1;

/// One file in so many belongs to somebody else, where owners can be set.
const FOREIGN: u64 = 333;

pub(super) fn make(root: &Path, scale: f64) -> Result<()> {
    let mut noise = Noise::new(1);
    let text = Text::new(&mut noise);
    let folders = folders(root, scaled(FOLDERS, scale), &mut noise)?;
    let pick = |noise: &mut Noise| &folders[noise.below(folders.len() as u64) as usize];
    let may_own = rustix::process::geteuid().is_root();
    let mut bytes = Vec::new();
    for number in 0..scaled(FILES, scale) {
        let empty = noise.below(100) == 0;
        let size = if empty { 0 } else { (LARGEST * noise.fraction().powf(SKEW)) as usize };
        bytes.clear();
        let ending = if noise.below(2) == 0 {
            text.log(&mut noise, size, &mut bytes);
            "txt"
        } else {
            noise.bytes(size, &mut bytes);
            "bin"
        };
        let path = pick(&mut noise).join(format!("file-{number:06}.{ending}"));
        let mode = match noise.below(100) {
            0..70 => 0o644,
            70..85 => 0o600,
            _ => 0o755,
        };
        let modified = 1_500_000_000_000_000_000 + noise.below(150_000_000_000_000_000);
        let owner = noise.below(FOREIGN).eq(&0).then(|| 1000 + noise.below(5) as u32);
        write(&path, &bytes, mode, modified)?;
        if let Some(owner) = owner.filter(|_| may_own) {
            chown(&path, Some(owner), Some(owner))?;
        }
    }
    for number in 0..scaled(LINKS, scale) {
        let target = format!("../file-{:06}.txt", noise.below(FILES));
        symlink(target, pick(&mut noise).join(format!("link-{number:04}")))?;
    }
    // What lies in a folder changes its time, so the deepest come first.
    for (number, folder) in folders.iter().enumerate().rev() {
        finish(folder, 0o755, 1_600_000_000_000_000_000 + number as u64)?;
    }
    Ok(())
}

/// Makes folders in folders; the root is the first.
fn folders(root: &Path, count: u64, noise: &mut Noise) -> Result<Vec<PathBuf>> {
    let mut folders = vec![(root.to_owned(), 0)];
    while (folders.len() as u64) <= count {
        let (parent, depth) = &folders[noise.below(folders.len() as u64) as usize];
        if *depth < DEPTH {
            let folder = (parent.join(format!("folder-{:04}", folders.len())), depth + 1);
            fs::create_dir(&folder.0)?;
            folders.push(folder);
        }
    }
    Ok(folders.into_iter().map(|(folder, _)| folder).collect())
}
