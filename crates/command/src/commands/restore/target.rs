//! Targets that are a slip: standard output, and archives, which `export` writes.

use std::path::Path;

use kopia_rs::export::Format;

use crate::error::Failure;

/// How the names of archives end. Kopia and restic write an archive to such a name.
const ARCHIVES: [&str; 12] = [
    ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tar.lz4",
    ".zip", ".7z",
];

/// Names that stand for what this process has open.
const OPEN_FILES: [&str; 5] = ["/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/"];

/// Refuses standard output and other open files, before anything is opened or asked.
pub(crate) fn refuse_stream(target: &Path) -> Result<(), Failure> {
    let text = target.to_string_lossy();
    let is_open_file = OPEN_FILES.iter().any(|name| match name.strip_suffix('/') {
        Some(_) => text.starts_with(name),
        None => text == *name,
    });
    let is_list = ["/dev/fd", "/proc/self/fd"].contains(&text.trim_end_matches('/'));
    if text != "-" && !is_list && (!is_open_file || target.is_dir()) {
        return Ok(());
    }
    let failure = Failure::usage(format!("{text} is no place to restore to")).hint(
        "`kopia-rs cat WHAT` writes a file's bytes to standard output, `kopia-rs export WHAT` a folder \
             as a tar",
    );
    Err(if text == "-" { failure.hint("for a folder or file of that name, give ./-") } else { failure })
}

/// Refuses to make a directory that is named as an archive, unless it exists or is written with `/` at its
/// end.
pub(super) fn refuse_archive(target: &Path) -> Result<(), Failure> {
    let text = target.to_string_lossy();
    let lower = text.to_ascii_lowercase();
    let is_archive = ARCHIVES.iter().any(|end| lower.ends_with(end));
    if !is_archive || target.is_dir() {
        return Ok(());
    }
    let hint = match Format::of_name(&text) {
        Some(_) => format!("`kopia-rs export WHAT {text}` writes an archive"),
        None => "`kopia-rs export WHAT FILE.tar.zst` writes an archive, also as tar, tar.gz or zip".into(),
    };
    Err(Failure::usage(format!("{text} would be a folder, and not an archive"))
        .hint(hint)
        .hint(format!("for a folder of that name, give {text}/")))
}
