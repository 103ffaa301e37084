//! What lists of pieces lead to, each list read once however many objects have it.
//!
//! The pieces of a list may have lists, and those may be the same ones again, so some kilobytes name more contents
//! than anybody could visit. A walk by [`Extents`] ends at a limit there; whoever looks at all objects of a
//! repository would come to it once more for each of them.

use std::collections::HashMap;

use kopia_format::ObjectId;
use kopia_format::indirect::{MAX_PIECES, Piece};

use super::extents::{Extent, Extents, MAX_DEPTH, MAX_LIST_BYTES, Place, trim};
use crate::{Defect, Error, Repository};

/// Is told of each content that is come by, and whether it holds a list, or a part of one; returns whether it is as
/// its list says, or why the object cannot be read.
pub(crate) type LookAt<'l> = dyn FnMut(&Extent, bool) -> Result<bool, Defect> + 'l;

/// Objects with lists that were followed, each with what is known of it since.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    known: HashMap<ObjectId, Result<Followed, Box<Defect>>>,
    /// Those that are being followed.
    open: Vec<ObjectId>,
}

/// What an object leads to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Followed {
    /// How many bytes it has, as its list or the index says; 0 where only its compressed bytes tell.
    pub(crate) length: u64,
    /// How many bytes of lists a walk of it reads.
    list_bytes: u64,
    /// How many pieces it keeps at once.
    pieces: u32,
    /// How deep its lists nest.
    depth: u8,
    /// Whether all contents are as their lists say.
    pub(crate) fits: bool,
}

/// Why an object cannot be followed.
enum Stop {
    /// Wherever it lies.
    Anywhere(Box<Defect>),
    /// As a piece of lists that nest too deep, have too many pieces, or too many bytes, together with its own.
    Here(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Anywhere(Box::new(error.into()))
    }
}

impl Lists {
    /// Follows an object to its contents, those of its lists first. Of lists that were followed before nothing is
    /// looked at again.
    ///
    /// # Errors
    /// The first that `look_at` returned, and those of [`Extents`].
    pub(crate) fn follow(
        &mut self,
        repository: &Repository,
        object: ObjectId,
        look_at: &mut LookAt<'_>,
    ) -> Result<Followed, Defect> {
        let followed = self.follow_at(repository, object, Place::TOP, false, look_at);
        followed.map_err(|stop| match stop {
            Stop::Anywhere(defect) => *defect,
            Stop::Here(error) => error.into(),
        })
    }

    /// Returns how many bytes an object with a list has, if it was followed and can be read.
    pub(crate) fn length(&self, object: ObjectId) -> Option<u64> {
        self.known.get(&object)?.as_ref().ok().map(|followed| followed.length)
    }

    /// Follows an object at a place in others.
    fn follow_at(
        &mut self,
        repository: &Repository,
        object: ObjectId,
        place: Place,
        is_list: bool,
        look_at: &mut LookAt<'_>,
    ) -> Result<Followed, Stop> {
        let Some(list) = object.list() else {
            let Some(extent) = Extents::new(repository, object).next() else {
                return Ok(Followed { fits: true, ..Followed::default() });
            };
            let extent = extent?;
            let fits = look_at(&extent, is_list).map_err(|defect| Stop::Anywhere(Box::new(defect)))?;
            return Ok(Followed { length: extent.length.unwrap_or(0), fits, ..Followed::default() });
        };
        let too_deep = || Error::object(object, format!("lists nest more than {MAX_DEPTH} deep"));
        let followed = match self.known.get(&object) {
            Some(Ok(followed)) => *followed,
            Some(Err(defect)) => return Err(Stop::Anywhere(defect.clone())),
            None if self.open.contains(&object) => return Err(too_deep().into()),
            None if place.depth >= MAX_DEPTH => return Err(Stop::Here(too_deep())),
            None => {
                self.open.push(object);
                let followed = self.follow_list(repository, (object, list), place, is_list, look_at);
                self.open.pop();
                match &followed {
                    Ok(followed) => drop(self.known.insert(object, Ok(*followed))),
                    Err(Stop::Anywhere(defect)) => drop(self.known.insert(object, Err(defect.clone()))),
                    Err(Stop::Here(_)) => {}
                }
                followed?
            }
        };
        if place.depth + usize::from(followed.depth) > MAX_DEPTH {
            return Err(Stop::Here(too_deep()));
        }
        if followed.pieces as usize > place.most {
            let why = format!("its lists have more pieces than are kept at once, {MAX_PIECES}");
            return Err(Stop::Here(Error::object(object, why)));
        }
        if followed.list_bytes > place.list_bytes {
            let why = format!("its lists have more than {MAX_LIST_BYTES} bytes");
            return Err(Stop::Here(Error::object(object, why)));
        }
        Ok(followed)
    }

    /// Reads the list of an object and follows its pieces. Those of all lists that it lies in are in memory
    /// meanwhile, so it has what they leave.
    fn follow_list(
        &mut self,
        repository: &Repository,
        (object, list): (ObjectId, ObjectId),
        place: Place,
        is_list: bool,
        look_at: &mut LookAt<'_>,
    ) -> Result<Followed, Stop> {
        let below = Place { depth: place.depth + 1, ..place };
        let of_list = self.follow_at(repository, list, below, true, look_at)?;
        let (mut pieces, left) = Extents::pieces(repository, (object, list), place).map_err(|error| {
            // By itself it may have room enough.
            if place.depth > 0 { Stop::Here(error) } else { error.into() }
        })?;
        let mut all = Followed {
            length: pieces.first().map_or(0, |last| last.start.saturating_add(last.length)),
            list_bytes: place.list_bytes - left,
            // There are no more than `MAX_PIECES`.
            pieces: of_list.pieces.max(pieces.len() as u32),
            depth: of_list.depth + 1,
            fits: of_list.fits,
        };
        while let Some(Piece { start, length, object: piece }) = pieces.pop() {
            if piece.list().is_none() {
                let (content, compressed) = (piece.content(), piece.is_compressed());
                let extent = Extent { start, length: Some(length), content, compressed };
                let fits = look_at(&extent, is_list).map_err(|defect| Stop::Anywhere(Box::new(defect)))?;
                all.fits &= fits;
                continue;
            }
            trim(&mut pieces);
            let (most, list_bytes) = (place.most - pieces.len(), place.list_bytes - all.list_bytes);
            let at_piece = Place { depth: place.depth + 1, most, list_bytes };
            let followed = self.follow_at(repository, piece, at_piece, is_list, look_at)?;
            if followed.length != length {
                let why = format!("its pieces have {} bytes, its list says {length}", followed.length);
                return Err(Error::object(piece, why).into());
            }
            all.list_bytes += followed.list_bytes;
            all.pieces = all.pieces.max(followed.pieces.saturating_add(pieces.len() as u32));
            all.depth = all.depth.max(followed.depth + 1);
            all.fits &= followed.fits;
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
