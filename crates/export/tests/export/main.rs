//! Archives, read by the programs that people read them with.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod common;
mod damage;
mod ends;
mod golden;
mod random;
mod readers;
mod several;
