//! Stores for tests, and the contract of [`BlobStore`](crate::BlobStore) as a test. Needs the feature
//! `testing`.
//!
//! Wrappers that count, fail, take their time and change what lies below them, for tests of whatever reads
//! blobs. Nothing here touches the local system. A restore has no use for any of it, so the feature is off
//! unless a test asks for it.

pub mod archiving;
pub mod changing;
pub mod conformance;
pub mod counting;
pub mod delayed;
pub mod faulty;
pub mod serving;

pub use archiving::ArchivingStore;
pub use changing::ChangingStore;
pub use counting::CountingStore;
pub use delayed::DelayedStore;
pub use faulty::FaultyStore;
pub use serving::MemoryServer;
