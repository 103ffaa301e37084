//! Writes a file of several contents piece by piece, by whoever has them, and finishes it after the last.

mod copies;
mod finish;
mod on_disk;
mod pieces;

pub(super) use copies::Copies;
