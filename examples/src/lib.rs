//! Examples of kopia-rs.
