//! Decodes what packs hold: a step at once where it can, content by content where something is damaged or has
//! moved.

use kopia_format::ContentId;

use super::decode::check_lengths;
use super::schedule::same_content;
use super::{ContentLocation, Decoder, Flaw, Located, Packs, ReadStep, Stored};
use crate::{Error, Result};

/// A decoder at work on packs.
pub(super) struct Unpacker<'a> {
    pub(super) packs: &'a Packs,
    pub(super) decoder: &'a mut Decoder,
}

impl Unpacker<'_> {
    /// Decodes what a step serves, each content once; `bytes` are those of its range, if it could be read as
    /// a whole.
    pub(super) fn decode<L: Located>(
        &mut self,
        step: &ReadStep,
        needs: &[L],
        bytes: Option<&[u8]>,
        mut visit: impl FnMut(&[L], Result<&[u8]>),
    ) {
        let Some(bytes) = bytes else {
            return self.decode_each(needs, visit);
        };
        let groups: Vec<&[L]> = same_content(needs).collect();
        let stored = groups.iter().map(|same| {
            let (id, location) = (same[0].content(), same[0].location());
            let start = (u64::from(location.offset) - step.bytes.start) as usize;
            Stored { id, location, bytes: &bytes[start..start + location.packed_length as usize] }
        });
        // Copies are read once the decoder is free again.
        let mut flawed = Vec::new();
        self.decoder.decode_many(&stored.collect::<Vec<_>>(), |number, plain| match plain {
            Ok(plain) => visit(groups[number], Ok(plain)),
            Err(flaw) => flawed.push((groups[number], flaw)),
        });
        for (same, flaw) in flawed {
            match self.read_copy(&same[0].content(), same[0].location(), flaw) {
                Ok(plain) => visit(same, Ok(&plain)),
                Err(error) => visit(same, Err(error)),
            }
        }
    }

    /// Reads and decodes contents one by one.
    fn decode_each<L: Located>(&mut self, needs: &[L], mut visit: impl FnMut(&[L], Result<&[u8]>)) {
        // Far away each would only take as long to fail.
        let mut away = None;
        for same in same_content(needs) {
            if let Some(error) = away.as_ref().and_then(kopia_storage::Error::repeated) {
                visit(same, Err(error.into()));
                continue;
            }
            let read = self.read(&same[0].content(), same[0].location(), |plain| visit(same, Ok(plain)));
            if let Err(error) = read {
                if let (true, Error::Storage(error)) = (self.packs.is_far(), &error) {
                    away = error.repeated();
                }
                visit(same, Err(error));
            }
        }
    }

    /// Reads one content where it lies by now, and gives its plain bytes to `then`.
    pub(super) fn read<R>(
        &mut self,
        content: &ContentId,
        location: ContentLocation,
        then: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        let (location, bytes) = self.packs.read_one(content, location)?;
        match self.decoder.decode(&Stored { id: *content, location, bytes: &bytes }) {
            Ok(plain) => Ok(then(plain)),
            Err(flaw) => self.read_copy(content, location, flaw).map(|plain| then(&plain)),
        }
    }

    /// Decodes a content from another copy of its pack, where the store has several; `flaw` says what is
    /// wrong with the usual one, and is returned if no other is better.
    fn read_copy(&mut self, content: &ContentId, location: ContentLocation, flaw: Flaw) -> Result<Vec<u8>> {
        let packs = self.packs;
        if matches!(flaw, Flaw::Corrupt(_)) && check_lengths(&location).is_ok() {
            for bytes in packs.copies(location) {
                if let Ok(plain) = self.decoder.decode(&Stored { id: *content, location, bytes: &bytes }) {
                    return Ok(plain.to_vec());
                }
            }
        }
        Err::<_, Error>(flaw.of(content, || packs.origin(&location)))
    }
}

#[cfg(test)]
mod tests {
    use kopia_testkit::writer::RepositoryWriter;

    use super::*;
    use crate::contents::Wanted;
    use crate::testing::open;

    #[test]
    fn a_content_that_is_not_what_the_index_says_is_corrupt() {
        let mut writer = RepositoryWriter::new();
        let id = |number: u8| format!("{number:032x}").parse::<ContentId>().unwrap();
        writer.forge(id(1), b"of another id");
        writer.forge_as(id(2), b"short", 6);
        writer.forge_as(id(3), b"long", 3);
        let repository = open(writer);
        let contents = repository.contents();
        for (number, verifies, expected) in [
            (1, false, Ok(b"of another id".to_vec())),
            (1, true, Err("its hash is not its id")),
            (2, false, Err("5 plain bytes, index says 6")),
            (3, false, Err("4 plain bytes, index says 3")),
        ] {
            let (content, location) = (id(number), contents.locate(&id(number)).unwrap());
            let mut wanted = [Wanted { content, location, tag: () }];
            let (steps, mut decoder) = (contents.schedule(&mut wanted, 0), contents.decoder());
            decoder.set_verify_hashes(verifies);
            let fetched = contents.fetch(&steps[0], Vec::new());
            let mut seen = Vec::new();
            contents.decode(&mut decoder, &steps[0], &wanted, &fetched, |_, plain| {
                seen.push(match plain {
                    Ok(plain) => Ok(plain.to_vec()),
                    Err(Error::CorruptContent { why, .. }) => Err(why),
                    Err(error) => panic!("{error}"),
                });
            });
            assert_eq!(seen, [expected.map_err(String::from)], "{number} {verifies}");
        }
    }
}
