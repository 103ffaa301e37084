//! Reads the blobs of Kopia repositories from where they are stored
