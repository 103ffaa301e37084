//! The ids of blobs, contents, objects and manifests.
//!
//! All are validated when they are made, also when they are deserialized. Authority: `repo/blob/storage.go`,
//! `repo/content/index/id.go`, `repo/object/objectid.go`.

mod blob;
mod content;
mod object;

pub use blob::{BlobId, ManifestId};
pub use content::ContentId;
pub use object::ObjectId;
