//! Fuzzing: the bodies of the fuzz targets, and their seeds.
//!
//! A repository is untrusted input: anybody who can write to it decides every byte of it, and anybody with
//! its keys also decides what lies under the encryption. No such input may cause a panic, a hang, unbounded
//! memory, or a write outside the target.
//!
//! * [`TARGETS`] are the bodies of the fuzz targets in `fuzz/`: one for each parser and decoder, and one for a
//!   whole small repository ([`repository`]). The package's tests replay `fuzz/corpus-seeds` through the same
//!   functions, so that plain `cargo test` notices regressions.
//! * The example `seeds` makes the seeds from the golden repositories.
//! * Bombs, few bytes that claim or unpack to very many, are beyond a fuzzer: see
//!   `crates/cli/tests/faults/bombs.rs`.
//!
//! Never published and never a normal dependency. A body panics on purpose where a promise is broken.
//!
//! ```
//! let target = kopia_fuzzkit::target("directory").expect("there is one");
//! (target.run)(br#"{"stream":"kopia:directory","entries":[{"name":"..","type":"f","obj":"00"}]}"#);
//! ```

pub mod codec;
pub mod connection;
pub mod format;
pub mod remote;
pub mod repository;
mod scratch;
pub mod storage;

/// A fuzz target: a parser or decoder, and the function that exercises it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of the fuzz target, and of the directory of its seeds.
    pub name: &'static str,
    /// Feeds it the bytes.
    ///
    /// # Panics
    /// If a promise is broken.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 38] = [
    Target { name: "index_v1", run: format::index_v1 },
    Target { name: "index_v2", run: format::index_v2 },
    Target { name: "directory", run: format::directory },
    Target { name: "manifest", run: format::manifest },
    Target { name: "snapshot", run: format::snapshot },
    Target { name: "format_blob", run: format::format_blob },
    Target { name: "indirect", run: format::indirect },
    Target { name: "epoch", run: format::epoch },
    Target { name: "compaction_log", run: format::compaction_log },
    Target { name: "object_id", run: format::object_id },
    Target { name: "names", run: format::names },
    Target { name: "time", run: format::time },
    Target { name: "postamble", run: format::postamble },
    Target { name: "shards", run: storage::shards },
    Target { name: "gzip", run: codec::gzip },
    Target { name: "deflate", run: codec::deflate },
    Target { name: "zstd", run: codec::zstd },
    Target { name: "s2", run: codec::s2 },
    Target { name: "lz4", run: codec::lz4 },
    Target { name: "ecc", run: codec::ecc },
    Target { name: "configuration", run: connection::configuration },
    Target { name: "reconnect_token", run: connection::reconnect_token },
    Target { name: "location", run: connection::location },
    Target { name: "password_file", run: connection::password_file },
    Target { name: "s3_answers", run: remote::s3_answers },
    Target { name: "azure_answers", run: remote::azure_answers },
    Target { name: "gcs_answers", run: remote::gcs_answers },
    Target { name: "gdrive_answers", run: remote::gdrive_answers },
    Target { name: "b2_answers", run: remote::b2_answers },
    Target { name: "google_credentials", run: remote::google_credentials },
    Target { name: "webdav_answers", run: remote::webdav_answers },
    Target { name: "http_headers", run: remote::http_headers },
    Target { name: "key_files", run: remote::key_files },
    Target { name: "known_hosts", run: remote::known_hosts },
    Target { name: "sftp_packets", run: remote::sftp_packets },
    Target { name: "rclone_words", run: remote::rclone_words },
    Target { name: "server_messages", run: remote::server_messages },
    Target { name: "repository", run: repository::repository },
];

/// Finds a target by its name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
