//! What a Kopia repository server gives: contents and manifests instead of blobs.
//!
//! It stands where [`BlobStore`](crate::BlobStore) stands, and gives more: contents are found, opened and
//! decompressed before they come. There are no packs, no indexes and no keys but the one of the hash, by
//! which every content can be compared with its id. Calls block, as those of a store do; a server that is
//! asked for many things at once is asked by one call, so that a round trip is paid once.

mod no_blobs;
mod parameters;

use std::fmt::Debug;
use std::sync::Arc;

use kopia_format::{ContentId, ManifestId, Timestamp};

use crate::Result;

pub use no_blobs::NoBlobs;
pub use parameters::Parameters;

/// Reads contents and manifests: `grpcRepositoryClient` in Kopia's `repo/grpc_repository_client.go`.
///
/// Servers are shared between threads, and all calls may come at once. What they give is what somebody else
/// says: whoever asks compares a content with its id.
pub trait ContentServer: Send + Sync + Debug + 'static {
    /// Returns what to call the server in messages, such as its URL; no secret is part of it.
    fn location(&self) -> String;

    /// Returns how contents are named, as the server said when the session began.
    fn parameters(&self) -> &Parameters;

    /// Returns what the server knows of contents, in their order, without reading them.
    ///
    /// # Errors
    /// For each by itself, [`Error::NoContent`](crate::Error::NoContent) and
    /// [`Error::NotServed`](crate::Error::NotServed).
    fn describe(&self, contents: &[ContentId]) -> Vec<Result<Described>>;

    /// Reads contents and gives each to `visit` with its number in `wanted`, in no order.
    ///
    /// As many requests are under way at once as the link needs; how many bytes that may be, the lengths say
    /// that are expected. `visit` is called once for each.
    ///
    /// # Errors
    /// As for [`Self::describe`].
    fn contents(&self, wanted: &[Expected], visit: &mut dyn FnMut(usize, Result<Vec<u8>>));

    /// Reads one content of about `length` bytes.
    ///
    /// # Errors
    /// As for [`Self::describe`].
    fn content(&self, content: &ContentId, length: u64) -> Result<Vec<u8>> {
        let mut read = None;
        self.contents(&[Expected { content: *content, length }], &mut |_, result| read = Some(result));
        read.unwrap_or_else(|| Err(crate::Error::NoContent { content: *content, place: self.location() }))
    }

    /// Has the server get contents ready that are asked for next, and waits until it has.
    ///
    /// It is a hint: it cannot fail, and need not do anything.
    fn prepare(&self, contents: &[ContentId], extent: Extent) {
        let _ = (contents, extent);
    }

    /// Lists the manifests that have all these labels, as far as the user may see them.
    ///
    /// What the user has no right to is left out as if it were not there.
    ///
    /// # Errors
    /// [`Error::NotServed`](crate::Error::NotServed).
    fn manifests(&self, labels: &[(&str, &str)]) -> Result<Vec<ServedManifest>>;

    /// Reads the payloads of manifests, JSON each, in their order; `None` for what is not there any more.
    ///
    /// # Errors
    /// [`Error::NotServed`](crate::Error::NotServed).
    fn payloads(&self, manifests: &[ManifestId]) -> Result<Vec<Option<Vec<u8>>>>;
}

/// A content that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The content.
    pub content: ContentId,
    /// How many bytes it probably has.
    pub length: u64,
}

/// What a server knows of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// How many bytes it has, opened and decompressed.
    pub length: u64,
    /// Whether it is marked deleted.
    pub deleted: bool,
}

/// How much a server gets ready at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What was named, or a little more.
    Contents,
    /// The whole packs that hold what was named: for whoever reads most of them.
    Packs,
}

/// A manifest without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedManifest {
    /// Its id.
    pub id: ManifestId,
    /// When it was written.
    pub modified: Timestamp,
    /// What it is looked up by.
    pub labels: Vec<(String, String)>,
    /// Whether owner, permissions and time of the snapshot's root are a guess in its payload, as the server
    /// does not tell them.
    pub root_is_guessed: bool,
}

/// Implements `ContentServer` for `Arc<S>` and `Box<S>`.
macro_rules! forward {
    ($pointer:ident) => {
        #[deny(clippy::missing_trait_methods)]
        impl<S: ContentServer + ?Sized> ContentServer for $pointer<S> {
            fn location(&self) -> String {
                (**self).location()
            }

            fn parameters(&self) -> &Parameters {
                (**self).parameters()
            }

            fn describe(&self, contents: &[ContentId]) -> Vec<Result<Described>> {
                (**self).describe(contents)
            }

            fn contents(&self, wanted: &[Expected], visit: &mut dyn FnMut(usize, Result<Vec<u8>>)) {
                (**self).contents(wanted, visit);
            }

            fn content(&self, content: &ContentId, length: u64) -> Result<Vec<u8>> {
                (**self).content(content, length)
            }

            fn prepare(&self, contents: &[ContentId], extent: Extent) {
                (**self).prepare(contents, extent);
            }

            fn manifests(&self, labels: &[(&str, &str)]) -> Result<Vec<ServedManifest>> {
                (**self).manifests(labels)
            }

            fn payloads(&self, manifests: &[ManifestId]) -> Result<Vec<Option<Vec<u8>>>> {
                (**self).payloads(manifests)
            }
        }
    };
}

forward!(Arc);
forward!(Box);
