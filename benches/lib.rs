//! Measures the hot parts and whole restores.
//!
//! Criterion benches of the hot parts, each one file beside this one:
//!
//! ```sh
//! cargo bench --package kopia-rs-benches --bench codec
//! cargo bench --package kopia-rs-benches --bench read
//! cargo bench --package kopia-rs-benches --bench restore
//! ```
//! Figures wander by 10 to 40 % on a shared machine: compare before and after in pairs, and believe no ratio below 1.15.

pub mod noise;
pub mod usage;
