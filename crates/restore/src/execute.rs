//! Reads, decodes and writes: what every worker does.
//!
//! A worker takes one read of a batch, gets its bytes from the pack, decodes each content once and writes it
//! wherever the batch needs it. A small file is created, written and finished in one go; a large one is
//! written in pieces by whoever has them, and finished by whoever wrote the last.

mod attributes;
mod bytes;
mod check;
mod context;
mod discard;
mod entries;
mod large;
mod publish;
mod staged;
mod worker;
mod writers;

pub(crate) use bytes::{Bytes, is_zero, runs, runs_by};
pub(crate) use context::Shared;
pub(crate) use worker::{Worker, as_long_as_stated};

use crate::destination::is_fatal;
