//! The command `kopia-rs`.

fn main() {}
