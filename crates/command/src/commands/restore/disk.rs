//! `restore WHAT --device DEVICE` and `--image FILE`: the one file that is a disk.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use kopia_rs::EntryKind;
use kopia_rs::diagnosis::Class;
use kopia_rs::restore::{self, DeviceOptions, FilesFound, only_file};
use kopia_rs::select::Selection;

use crate::args::{self, What};
use crate::commands::several::joined;
use crate::error::Failure;
use crate::session::Session;
use crate::terminal::output::escape;

/// Refuses several things: a disk is one file.
pub(super) fn refuse_several(args: &args::Restore, whats: &[What]) -> Result<(), Failure> {
    let option = match (&args.disk.device, &args.disk.image) {
        (Some(_), _) => "--device",
        (None, Some(_)) => "--image",
        (None, None) => return Ok(()),
    };
    if whats.len() == 1 {
        return Ok(());
    }
    Err(Failure::usage(format!("{option} takes one WHAT, which is the disk, and no TARGET")))
}

/// Returns a selection of the file that is a disk, if one is to be written.
pub(super) fn the_file(args: &args::Restore, selection: Selection) -> Result<Selection, Failure> {
    if args.disk.device.is_none() && args.disk.image.is_none() {
        return Ok(selection);
    }
    if selection.entry.kind() == EntryKind::Symlink {
        return Err(Failure::failed("WHAT is a link, and only a file can be a disk").with_class(Class::Usage));
    }
    match only_file(&selection.entry)? {
        FilesFound::One(path, entry) => {
            let path = joined(&selection.path, &path).into_owned();
            Ok(Selection { entry: *entry, path, ..selection })
        }
        FilesFound::Several(paths) => {
            let names: Vec<_> = paths.iter().map(|path| escape(path)).collect();
            let failure = Failure::failed("WHAT has several files, and one of them is the disk")
                .with_class(Class::Usage)
                .hint(format!("add the path of one to WHAT: {}", names.join(", ")));
            Err(failure.hint("`kopia-rs ls -lr WHAT` lists them with their sizes"))
        }
        _ => Err(Failure::failed("WHAT has no file that could be a disk").with_class(Class::NotFound)),
    }
}

/// Returns the options with the image as target, and holes where the disk has zeros.
pub(super) fn with_image(args: Cow<'_, args::Restore>) -> Result<Cow<'_, args::Restore>, Failure> {
    let Some(image) = args.disk.image.clone() else { return Ok(args) };
    let path = image.as_os_str().as_encoded_bytes();
    if image.is_dir() || path.ends_with(b"/") || path.ends_with(b"/.") {
        return Err(Failure::usage(format!("{} is a folder, and an image is a file", image.display())));
    }
    let mut args = args.into_owned();
    args.places.target = image;
    args.sparse = true;
    Ok(Cow::Owned(args))
}

/// Cuts off what fills an image up to whole MiB, if the snapshot says that there is such.
pub(super) fn cut(session: &Session, args: &args::Restore, selection: &Selection) -> Result<(), Failure> {
    let Some(image) = &args.disk.image else { return Ok(()) };
    let mut how = DeviceOptions::default();
    how.true_size = selection.snapshot.as_ref().and_then(restore::true_size);
    if how.true_size.is_none() {
        return Ok(());
    }
    let size = restore::size_on_device(&selection.entry, how)?;
    match cut_at(image, size) {
        Ok(true) => Ok(()),
        Ok(false) => {
            session.note(&format!(
                "{} goes on after the {size} bytes that its snapshot states with other bytes than zeros, and was \
                 left as it is",
                image.display()
            ));
            Ok(())
        }
        Err(error) => Err(Failure::system(format!("{}: cannot be cut", image.display()), &error)),
    }
}

/// Cuts a file where only zeros follow, and leaves its time of modification as it is; returns whether they do.
fn cut_at(image: &Path, size: u64) -> io::Result<bool> {
    let file = File::options().read(true).write(true).open(image)?;
    let metadata = file.metadata()?;
    let Some(rest) = metadata.len().checked_sub(size).filter(|rest| *rest > 0) else { return Ok(true) };
    // It is less than a MiB, or the tag would not count.
    let mut bytes = vec![0; usize::try_from(rest).unwrap_or_default().min(1 << 20)];
    file.read_exact_at(&mut bytes, size)?;
    let are_zeros = bytes.iter().all(|byte| *byte == 0);
    if are_zeros {
        let modified = metadata.modified()?;
        file.set_len(size)?;
        // Where times cannot be set, the restore has said so.
        let _ = file.set_modified(modified);
    }
    Ok(are_zeros)
}
