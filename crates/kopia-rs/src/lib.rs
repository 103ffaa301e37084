//! Reads Kopia repositories without kopia and restores snapshots at the speed of the hardware
