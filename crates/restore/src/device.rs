//! Restores one file to a block device, such as the volume of a virtual machine.
//!
//! The way of a piece is that of large files in a directory: its content is located, scheduled by pack, read
//! ahead and decoded by every worker (`contents` of the repository does that), and written by whoever has it.
//! What differs is the place: a device cannot be staged, has a size of its own, and holds something already.
//! So it is opened for this process alone, sizes are compared before the first write, and a restore that was
//! killed goes on by comparing ([`DeviceOptions::only_differences`]).

mod batch;
mod check;
mod disk;
mod find;
mod holders;
mod options;
mod outcome;
mod pieces;
mod run;
mod shared;
mod signature;
#[cfg(test)]
mod tests;
mod work;

pub use disk::{Access, Device};
pub use find::{FilesFound, only_file};
pub use options::{DeviceOptions, true_size};
pub use outcome::{DeviceOutcome, LostRange};
pub use run::{restore_to_device, size_on_device};
pub use signature::Signature;
