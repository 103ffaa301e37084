//! Bytes of a file, and what will be asked for next.

use std::cell::RefCell;

use fuser::{Errno, INodeNo, ReplyData};

use crate::filesystem::SnapshotFs;
use crate::folder::Item;

thread_local! {
    /// Where bytes of several contents are put side by side: for memory of a MiB that is new to the process, the
    /// system takes as long as for the bytes.
    static SIDE_BY_SIDE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl SnapshotFs {
    /// Answers with bytes of a file; fewer than wanted only at its end.
    pub(crate) fn read_file(&self, number: INodeNo, offset: u64, size: u32, reply: ReplyData) {
        let read = self.node(number).and_then(|node| {
            let Item::Entry(entry) = &node.item else { return Err(Errno::EISDIR) };
            if offset == 0 {
                self.shared.note(&node, entry);
            }
            let unreadable = |error| self.shared.unreadable(&node, error);
            let reader = self.shared.readers.get(number.0, entry).map_err(unreadable)?;
            let size = size as usize;
            let mut chunk = reader.object.chunk_at(offset).map_err(unreadable)?;
            chunk.truncate(size);
            if chunk.len() == size || offset.saturating_add(chunk.len() as u64) >= reader.object.length() {
                return Ok((reader, chunk.len(), Ok(chunk)));
            }
            // It goes on in the next content.
            let mut bytes = SIDE_BY_SIDE.take();
            bytes.clear();
            bytes.reserve_exact(size);
            bytes.extend_from_slice(&chunk);
            drop(chunk);
            while bytes.len() < size {
                let mut chunk = reader.object.chunk_at(offset + bytes.len() as u64).map_err(unreadable)?;
                if chunk.is_empty() {
                    break;
                }
                chunk.truncate(size - bytes.len());
                bytes.extend_from_slice(&chunk);
            }
            Ok((reader, bytes.len(), Err(bytes)))
        });
        match read {
            Err(error) => reply.error(error),
            Ok((reader, length, bytes)) => {
                match bytes {
                    Ok(chunk) => reply.data(&chunk),
                    Err(bytes) => {
                        reply.data(&bytes);
                        SIDE_BY_SIDE.set(bytes);
                    }
                }
                let range = offset..offset.saturating_add(length as u64);
                if let Some(around) = reader.note(&range) {
                    self.shared.primer.wish(number.0, reader, around);
                }
            }
        }
    }
}
