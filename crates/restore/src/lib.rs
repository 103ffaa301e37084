//! Restores snapshots of Kopia repositories, planned by pack and written in parallel
