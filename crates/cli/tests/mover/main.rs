//! The mover as the controller runs it: the real binary with the environment of a Job, and what is left of
//! its log after the controller's filter.
//!
//! `stores` has every kind of storage over a network, with a real server behind it.
//!
//! `faults` has a test for each way in which the original script hides or destroys something, `demands` one
//! for each thing that a replacement must do; both are numbered. `story` is the case that this project was
//! made for. `beside` runs the same Jobs by the script, where there is one.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod archives;
mod beside;
#[path = "../cli/archives/bucket.rs"]
#[allow(dead_code, reason = "the command uses all of it")]
mod bucket;
mod common;
mod controller;
mod demands;
mod devices;
mod faults;
mod many;
mod namespace;
mod pod;
mod reported;
mod selecting;
mod stores;
mod story;
