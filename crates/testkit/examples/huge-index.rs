//! Writes a repository with a huge index: `huge-index DIR [--contents N] [--blobs N] [--v1] [--plain]
//! [--pbkdf2]`.
//!
//! The password is `written`. With the defaults it has ten million contents in 20 index blobs.

use std::error::Error;
use std::path::PathBuf;

use kopia_codec::key::KeyDerivation;
use kopia_testkit::huge::HugeIndex;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut directory, mut contents, mut blobs) = (None, 10_000_000, 20);
    let (mut version, mut plain, mut derivation) = (2, false, KeyDerivation::Scrypt65536);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().unwrap_or_default().parse::<u64>();
        match &*argument {
            "--contents" => contents = number()?,
            "--blobs" => blobs = number()?,
            "--v1" => version = 1,
            "--plain" => plain = true,
            "--pbkdf2" => derivation = KeyDerivation::Pbkdf2Sha256,
            option if option.starts_with('-') => return Err(format!("unknown option {option}").into()),
            _ => directory = Some(PathBuf::from(argument)),
        }
    }
    let mut huge = HugeIndex::new(contents, blobs).version(version).derivation(derivation);
    if plain {
        huge = huge.plain();
    }
    Ok(huge.write_in(&directory.ok_or("no directory is given")?)?)
}
