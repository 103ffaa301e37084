//! The command as people and programs use it: the real binary, its output and its exit status.
//!
//! What is restored, byte for byte, is tested in `golden`; what damage costs is tested with the crates below.

mod common;
mod doctor;
mod existing;
mod failing;
mod listing;
mod restoring;
mod selecting;
mod stopping;
mod verifying;
