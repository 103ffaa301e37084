//! Benches of kopia-rs.
