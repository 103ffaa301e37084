//! Archives, read by the programs that people read them with.

mod common;
mod damage;
mod ends;
mod golden;
mod random;
mod readers;
