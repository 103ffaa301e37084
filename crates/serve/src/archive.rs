//! A folder, or anything else of a snapshot, as an archive.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::{StatusCode, header};
use kopia_export::{Format, Observer, Options, Problem, export};
use kopia_format::directory::EntryKind;
use kopia_repository::{Entry, Result, Snapshot};

use crate::answer::Answer;
use crate::body::Sink;
use crate::pages::html;
use crate::site::Site;
use crate::url;

/// Bytes of files in memory for each archive, twice: decoded, and read ahead.
const WINDOW: u64 = 16 << 20;

/// How many problems of one archive are told.
const TOLD: usize = 20;

/// Answers with an archive, which is made while the client takes it.
pub(crate) fn answer(
    site: &Arc<Site>,
    snapshot: &Snapshot,
    path: &[String],
    entry: &Entry,
    format: Format,
) -> Result<Answer> {
    let Ok(permit) = site.archives.clone().try_acquire_owned() else {
        let why = "Other archives are being made. Try again when they are done.";
        return Ok(html::message(StatusCode::SERVICE_UNAVAILABLE, "Too many archives", why)
            .with(header::RETRY_AFTER, "10"));
    };
    // Of a folder that cannot be read at all a page says so.
    if entry.kind() == EntryKind::Directory {
        let _ = entry.for_each(|_| ControlFlow::Break(()))?;
    }
    let end = Format::NAMES.iter().find(|(_, known)| *known == format).map_or("tar", |(name, _)| *name);
    let name = format!("{}.{end}", base_name(snapshot, path));
    let mut options = Options::default();
    (options.format, options.window, options.read_ahead) = (format, WINDOW, WINDOW);
    let (site, entry, label) = (site.clone(), entry.clone(), name.clone());
    let answer = Answer::written(StatusCode::OK, None, move |sink| {
        let _permit = permit;
        let watch = Watch { sink, site: &site, name: &label, told: AtomicUsize::new(0) };
        match export(&entry, sink, &options, &watch) {
            Ok(_) => {}
            Err(_) if sink.is_closed() => {}
            Err(error) => {
                site.notice(&label, &error);
                sink.fail();
            }
        }
        Ok(())
    });
    let kind = match format {
        Format::Zip => "application/zip",
        Format::TarGz => "application/gzip",
        Format::TarZst => "application/zstd",
        _ => "application/x-tar",
    };
    Ok(answer.with(header::CONTENT_TYPE, kind).with(header::CONTENT_DISPOSITION, &url::disposition(&name)))
}

/// Returns what an archive is called: as what is in it; the root of a snapshot has but a label.
fn base_name<'n>(snapshot: &'n Snapshot, path: &'n [String]) -> &'n str {
    let of_source = || snapshot.source().path.rsplit(['/', '\\']).find(|name| !name.is_empty());
    path.last().map(String::as_str).or_else(of_source).unwrap_or("snapshot")
}

/// Stops when the client is gone, and tells what is left out.
struct Watch<'a> {
    sink: &'a Sink,
    site: &'a Site,
    name: &'a str,
    told: AtomicUsize,
}

impl Observer for Watch<'_> {
    fn stop(&self) -> bool {
        self.sink.is_closed()
    }

    fn problem(&self, problem: &Problem) {
        if self.told.fetch_add(1, Ordering::Relaxed) < TOLD {
            self.site.say(&format!("{}: left out: {problem}", self.name));
        }
    }
}
