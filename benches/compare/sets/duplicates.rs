//! Files that are there many times over.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use kopia_rs_benches::noise::Noise;

use super::text::Text;
use super::{finish, scaled, write};
use crate::Result;

const FILES: u64 = 20_000;
const BODIES: u64 = 500;

/// Files of a folder.
const FOLDER: u64 = 100;

/// Bodies have 1 to 256 KiB; with this exponent 40 KiB on average.
const SKEW: f64 = 5.5;

/// Large files, of how many blocks each, and how many of the blocks differ.
const LARGE: u64 = 4;
const BLOCKS: u64 = 8;
const DIFFERENT: u64 = 4;

/// Larger than what kopia takes as one content, so that it finds the repetition.
const BLOCK: u64 = 8 << 20;

const TIME: u64 = 1_600_000_000_000_000_000;

pub(super) fn make(root: &Path, scale: f64) -> Result<()> {
    let mut noise = Noise::new(3);
    let text = Text::new(&mut noise);
    let body = |noise: &mut Noise, length: usize| {
        let mut body = Vec::with_capacity(length + 100);
        match noise.below(2) {
            0 => noise.bytes(length, &mut body),
            _ => text.log(noise, length, &mut body),
        }
        body
    };
    let length = |noise: &mut Noise| 1024 + (261_120.0 * noise.fraction().powf(SKEW)) as usize;
    let bodies: Vec<_> = (0..BODIES)
        .map(|_| {
            let length = length(&mut noise);
            body(&mut noise, length)
        })
        .collect();
    let files = scaled(FILES, scale);
    for folder in 0..files.div_ceil(FOLDER) {
        let path = root.join(format!("folder-{folder:03}"));
        fs::create_dir(&path)?;
        for number in folder * FOLDER..files.min((folder + 1) * FOLDER) {
            let body = &bodies[noise.below(BODIES) as usize];
            write(&path.join(format!("file-{number:05}")), body, 0o644, TIME + number)?;
        }
        finish(&path, 0o755, TIME + folder)?;
    }
    let block = scaled(BLOCK, scale) as usize;
    let blocks: Vec<_> = (0..DIFFERENT).map(|_| body(&mut noise, block)).collect();
    for number in 0..LARGE {
        let path = root.join(format!("large-{number}"));
        let mut file = File::create(&path)?;
        for _ in 0..BLOCKS {
            file.write_all(&blocks[noise.below(DIFFERENT) as usize])?;
        }
        finish(&path, 0o600, TIME + number)?;
    }
    finish(root, 0o755, TIME)
}
