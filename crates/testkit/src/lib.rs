//! Test repositories: the golden ones, damaged ones, written ones, and trees to compare with.
//!
//! A dev-dependency of the other crates, never published and never a normal dependency. Everything here is
//! for tests, so what goes wrong panics with the path it went wrong at.
//!
//! * [`golden`]: the repositories in `testdata/golden`, and what each snapshot in them must restore;
//! * [`faults`]: the repositories in `testdata/faults`, made after public bug reports;
//! * [`velero`]: the bucket in `testdata/velero`, and what its volumes hold;
//! * [`tree`]: reads a real directory and compares it with the expected one;
//! * [`damage`]: copies a repository and breaks one blob of it;
//! * [`writer`]: writes small repositories of its own;
//! * [`huge`]: writes repositories with millions of contents or files, or thousands of index blobs;
//! * [`peak`]: how much memory something takes;
//! * [`secrets`]: what must never leave a repository, and [`memory`], which searches a process for it;
//! * [`refuse`]: file systems that refuse or ignore system calls;
//! * [`squash`]: shares on which all new files belong to nobody;
//! * [`tmpfs`]: a small file system in memory, for disks that fill up;
//! * [`threads`]: a system that lets few threads be started;
//! * [`loop_device`]: block devices;
//! * [`facilities`]: what a system may lack, so that tests are left out;
//! * [`attempts`]: what is tried again, as a busy machine may do it late;
//! * [`program`]: programs that a test makes and runs;
//! * [`servers`]: real servers of stores, started for one test; [`http_server`], which does as a test says, and
//!   [`tcp_proxy`], by which connections break;
//! * [`random`]: numbers that look random and are the same each time.
//!
//! ```
//! use kopia_testkit::golden;
//! use kopia_testkit::tree::{Compare, Tree, compare};
//!
//! let restored = tempfile::tempdir()?;
//! for case in golden::cases() {
//!     for (listed, expected) in case.pairs() {
//!         // Open case.repository with case.password, restore snapshot listed.id, then:
//!         let actual = Tree::scan(restored.path());
//!         let differences = compare(&expected.load(), &actual, &Compare::settable());
//! #       assert!(!differences.is_empty(), "{} was not restored", listed.id);
//!     }
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod attempts;
pub mod damage;
pub mod facilities;
pub mod faults;
pub mod golden;
pub mod http_server;
pub mod huge;
pub mod loop_device;
pub mod memory;
pub mod peak;
pub mod program;
pub mod random;
pub mod refuse;
mod scratch;
pub mod secret_service;
pub mod secrets;
pub mod servers;
pub mod squash;
pub mod tcp_proxy;
pub mod threads;
pub mod tmpfs;
pub mod tree;
pub mod velero;
pub mod writer;

pub use scratch::scratch;
