//! A double of a source that is no pack: plain contents by id, as a repository server gives them.

use std::collections::HashMap;
use std::sync::Arc;

use kopia_format::{BlobId, ContentId};
use kopia_storage::{BlobBytes, ReadAhead, ReadProfile};

use super::schedule::same_content;
use super::{ContentLocation, Decoder, Flaw, Located, Origin, ReadStep};
use crate::{Error, Result};

/// Plain contents. Each is a group of its own, so none is merged with another.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    contents: Arc<Vec<(ContentId, Vec<u8>)>>,
    numbers: Arc<HashMap<ContentId, u32>>,
    ahead: ReadAhead,
}

impl Memory {
    pub(crate) fn new(contents: Vec<(ContentId, Vec<u8>)>, ahead: ReadAhead) -> Self {
        let numbers = contents.iter().map(|(content, _)| *content).zip(0..).collect();
        Self { contents: Arc::new(contents), numbers: Arc::new(numbers), ahead }
    }

    pub(super) fn profile(&self) -> ReadProfile {
        ReadProfile { ahead: self.ahead, ..ReadProfile::NETWORK }
    }

    pub(super) fn len(&self) -> usize {
        self.contents.len()
    }

    pub(super) fn locate(&self, content: &ContentId) -> Result<ContentLocation> {
        let number = self.numbers.get(content).ok_or(Error::ContentNotFound { content: *content })?;
        Ok(self.location(*number))
    }

    fn location(&self, number: u32) -> ContentLocation {
        let length = self.contents[number as usize].1.len() as u32;
        ContentLocation {
            pack: number,
            offset: 0,
            packed_length: length,
            original_length: length,
            compression: 0,
            deleted: false,
        }
    }

    pub(super) fn for_each(&self, mut visit: impl FnMut(ContentId, ContentLocation)) {
        (0..).zip(&*self.contents).for_each(|(number, (content, _))| visit(*content, self.location(number)));
    }

    pub(super) fn origin(&self, location: &ContentLocation) -> Origin {
        let blob =
            BlobId::new(&self.contents[location.pack as usize].0.to_string()).expect("an id is a name");
        Origin { blob, offset: 0, length: location.stored_length() }
    }

    pub(super) fn read(&self, step: &ReadStep) -> Result<BlobBytes> {
        Ok(self.contents[step.pack as usize].1.clone().into())
    }

    pub(super) fn read_one(&self, content: &ContentId) -> Result<Vec<u8>> {
        let location = self.locate(content)?;
        Ok(self.contents[location.pack as usize].1.clone())
    }

    pub(super) fn decode<L: Located>(
        &self,
        decoder: &mut Decoder,
        needs: &[L],
        bytes: Option<&[u8]>,
        mut visit: impl FnMut(&[L], Result<&[u8]>),
    ) {
        let plain = bytes.expect("memory can be read");
        for same in same_content(needs) {
            let (content, location) = (same[0].content(), same[0].location());
            let checked = decoder.check(&content, plain);
            let error = |flaw: Flaw| flaw.of(&content, || self.origin(&location));
            visit(same, checked.map(|()| plain).map_err(error));
        }
    }
}
