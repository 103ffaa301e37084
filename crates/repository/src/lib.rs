//! Opens Kopia repositories and reads contents, objects, manifests and snapshots
