//! Runnable examples of kopia-rs, each one file beside this one:
//!
//! ```sh
//! cargo run --package kopia-rs-examples --example list -- testdata/golden/repos/sources/repo golden
//! cargo run --package kopia-rs-examples --example read -- testdata/golden/repos/sources/repo golden app@other:/data hello.txt
//! cargo run --package kopia-rs-examples --example restore -- testdata/golden/repos/sources/repo golden app@other:/data restored
//! ```
