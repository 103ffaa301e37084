//! One huge file.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use kopia_rs_benches::noise::Noise;

use super::text::Text;
use super::{finish, scaled};
use crate::Result;

/// Of 1 MiB each, by turns noise and text.
const BLOCKS: u64 = 3072;

const BLOCK: usize = 1 << 20;

pub(super) fn make(root: &Path, scale: f64) -> Result<()> {
    let mut noise = Noise::new(2);
    let text = Text::new(&mut noise);
    let path = root.join("huge.bin");
    let mut file = File::create(&path)?;
    let mut block = Vec::with_capacity(BLOCK + 100);
    for number in 0..scaled(BLOCKS, scale) {
        block.clear();
        match number % 2 {
            0 => noise.bytes(BLOCK, &mut block),
            _ => text.log(&mut noise, BLOCK, &mut block),
        }
        file.write_all(&block)?;
    }
    finish(&path, 0o644, 1_600_000_000_123_456_789)?;
    finish(root, 0o755, 1_600_000_000_000_000_000)
}
