//! Measures the hot parts and whole restores.
//!
//! Criterion benches of the hot parts, each one file beside this one:
//!
//! ```sh
//! cargo bench --package kopia-rs-benches --bench codec
//! cargo bench --package kopia-rs-benches --bench random
//! cargo bench --package kopia-rs-benches --bench find
//! cargo bench --package kopia-rs-benches --bench read
//! cargo bench --package kopia-rs-benches --bench restore
//! cargo bench --package kopia-rs-benches --bench verify
//! ```
//! Figures wander by 10 to 40 % on a shared machine: compare before and after in pairs, and believe no ratio
//! below 1.15.
//!
//! Three programs are for Linux. `delayed-fs` mounts a folder once more, as if it lay behind a network: each
//! request waits for a round trip, and is counted.
//!
//! ```sh
//! cargo run --package kopia-rs-benches --bin delayed-fs -- --delay-ms 2 SOURCE MOUNTPOINT
//! ```
//! The other two measure whole restores. `compare` has kopia-rs and every other tool on PATH (kopia,
//! restic, rustic, vykar, cp) restore the same trees, checks what they restored, and renders table and chart;
//! without kopia, which makes the repositories, only the others take part. `floor` is the least that
//! restoring a kopia repository costs, and one of the contestants:
//!
//! ```sh
//! cargo build --release --package kopia-rs-cli --package kopia-rs-benches --bins
//! target/release/compare --work /mnt/comparison --tree /usr --json figures.json \
//!     --readme crates/kopia-rs/guide/speed.md --chart benches/restores.svg
//! KOPIA_PASSWORD=… target/release/floor REPOSITORY latest TARGET --half write
//! ```
//! With a tree of 5 GB, plan for 40 GB. With less room, measure one set after the other, each time in an
//! empty `--work`, and let `--from` and `--json` gather the figures in one file. `--scale 1` is a rehearsal
//! of two minutes. Over a network, from MinIO where it is on PATH (`go install
//! github.com/minio/minio@latest`), else from a small S3 server of the program's own; whoever is missing
//! takes no part:
//!
//! ```sh
//! target/release/compare --work /mnt/comparison --network 0,20,50,100 --json network.json
//! target/release/compare --work /mnt/comparison --network 100 --link 1000 --sets huge --only kopia-rs \
//!     --from network.json --json network.json --readme crates/kopia-rs/guide/speed.md
//! ```
//! A line lies between the server and the others, made by the program: so long a round trip, for the
//! handshake of a connection, too, and no wider than `--link` says; `--slow-start` has each connection begin
//! as slowly as TCP does. Kopia takes 155 s for the set at 50 ms, so plan half an hour for a round of all;
//! who took more than two minutes once is measured only once.
//!
//! To and from a file system with latency, mounted by `delayed-fs` for each restore; `--target-latency` has what
//! is restored lie there, `--source-latency` the repositories. At 2 ms kopia takes minutes for the set; whoever
//! took more than two minutes once is measured only once. `--operations` counts what files cost in requests:
//!
//! ```sh
//! target/release/compare --work /mnt/comparison --target-latency 0,0.5,2,10 --source-latency 2 \
//!     --json latency.json --readme crates/kopia-rs/guide/speed.md --latency-chart benches/latency.svg
//! target/release/compare --work /mnt/comparison --operations --rounds 1 --from latency.json --json latency.json
//! ```
//!
//! An earlier kopia-rs takes part where `--before FILE` names it, as a contestant of its own:
//!
//! ```sh
//! target/release/compare --work /mnt/comparison --only kopia-rs,before --before earlier/kopia-rs
//! ```
//!
//! To an ext4 that is new and to one that has aged, each restore to one of its own; as root, which mounts them:
//!
//! ```sh
//! target/release/compare --work /mnt/comparison --disks fresh,aged --json disks.json \
//!     --readme crates/kopia-rs/guide/speed.md
//! ```
//!
//! Traps: an ext4 without a journal makes files 10 to 20 times slower for a while after many were removed, so
//! mount a fresh one with a journal; memory that a virtual machine touches for the first time costs 2 s a
//! GiB, so believe medians and processor times. Nothing else may run at the same time.

pub mod noise;
pub mod operations;
pub mod usage;
