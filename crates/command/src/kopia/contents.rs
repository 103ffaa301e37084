//! `content list`. Authority: Kopia's `cli/command_content_list.go`.

use std::ops::ControlFlow;

use kopia_rs::{ContentInfo, Timestamp};
use serde::Serialize;

use super::call::Call;
use super::line::Line;
use super::trouble::Trouble;
use super::words::{self, List};

/// A content, in kopia's order of fields.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    pack_file: &'a str,
    time: u64,
    original_length: u32,
    length: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pack_offset: u32,
    #[serde(skip_serializing_if = "is_zero")]
    compression: u32,
    #[serde(rename = "contentID")]
    id: &'a str,
    deleted: bool,
    format_version: u8,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

pub(super) fn list(call: &Call) -> Result<(), Trouble> {
    let line = &call.line;
    let is_on = |name| line.is_on(name, false);
    let repository = call.open()?;
    if repository.server().is_some() {
        return Err(Trouble::failed("operation supported only on direct repository"));
    }
    let prefix = line.text("prefix").unwrap_or_default();
    let is_wanted = |info: &ContentInfo, id: &str| match () {
        () if info.deleted && !is_on("deleted") && !is_on("deleted-only") => false,
        () if !info.deleted && is_on("deleted-only") => false,
        () if is_on("prefixed") => info.id.prefix().is_some(),
        () if is_on("non-prefixed") => info.id.prefix().is_none(),
        () => id.starts_with(&prefix),
    };
    let mut list = List::begin(line)?;
    let (mut count, mut size) = (0_u64, 0_u64);
    let mut failure = None;
    let listed = repository.content_infos(|info| {
        let id = info.id.to_string();
        if !is_wanted(&info, &id) {
            return ControlFlow::Continue(());
        }
        (count, size) = (count.saturating_add(1), size.saturating_add(info.packed_length.into()));
        match list.push(&shown(&info, &id), || text(line, &info, &id)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(trouble) => {
                failure = Some(trouble);
                ControlFlow::Break(())
            }
        }
    });
    // As with kopia, JSON is whole in any case.
    let ended = list.end();
    listed.map_err(|error| Trouble::reading(&error, "error iterating"))?;
    failure.map_or(ended, Err)?;
    match is_on("summary") && !is_on("json") {
        true => words::print(&total(line, count, size)),
        false => Ok(()),
    }
}

fn total(line: &Line, count: u64, size: u64) -> String {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    match line.is_on("human", false) {
        true => format!("Total: {} contents, {} total size\n", words::count(count), words::bytes(size)),
        false => format!("Total: {count} contents, {size} total size\n"),
    }
}

fn shown<'a>(info: &'a ContentInfo, id: &'a str) -> Shown<'a> {
    Shown {
        pack_file: info.pack.as_str(),
        time: info.timestamp,
        original_length: info.original_length,
        length: info.packed_length,
        pack_offset: info.offset,
        compression: info.compression,
        id,
        deleted: info.deleted,
        format_version: info.format_version,
    }
}

fn text(line: &Line, info: &ContentInfo, id: &str) -> String {
    let size = |bytes: u32| match line.is_on("human", false) {
        true => words::bytes(bytes.into()),
        false => bytes.to_string(),
    };
    let deleted = if info.deleted { " (deleted)" } else { "" };
    let (original, packed) = (size(info.original_length), size(info.packed_length));
    if line.is_on("compression", false) {
        format!("{id} length {original} packed {packed} {} {deleted}", compression(info))
    } else if line.is_on("long", false) {
        let time = i64::try_from(info.timestamp).ok().and_then(|seconds| Timestamp::new(seconds, 0).ok());
        let time = words::time(line, time.unwrap_or_default());
        let ContentInfo { original_length, pack, offset, .. } = info;
        format!("{id} {original_length} {time} {pack} {offset}+{packed}{deleted} {}", compression(info))
    } else {
        id.to_owned()
    }
}

/// Writes what compression a content has, and what it saves.
fn compression(info: &ContentInfo) -> String {
    if info.compression == 0 {
        return "-".into();
    }
    let name =
        info.compression_name().map_or_else(|| format!("compression-{:x}", info.compression), str::to_owned);
    let (original, packed) = (f64::from(info.original_length), f64::from(info.packed_length));
    match info.original_length {
        0 => name,
        _ if packed >= original => format!("{name} 0%"),
        _ => format!("{name} {:.1}%", 100.0 * (1.0 - packed / original)),
    }
}
