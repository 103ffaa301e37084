//! `status`: what the repository is and holds.

use std::io::Write;

use kopia_rs::storage::ContentServer;
use kopia_rs::{Snapshots, Status, Timestamp};
use serde::Serialize;

use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::terminal::output::{self, count, for_terminal, size, thousands};
use crate::terminal::time;

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    location: &'a str,
    format_version: u32,
    created_by: &'a str,
    hash: &'a str,
    encryption: &'a str,
    error_correction: Option<&'a str>,
    error_correction_percent: Option<u32>,
    splitter: &'a str,
    key_derivation: &'a str,
    epochs: bool,
    index_version: u32,
    index_blobs: usize,
    contents: u64,
    deleted_contents: u64,
    packs: usize,
    /// Those of them that hold contents which are not deleted: what `verify` reads.
    living_packs: usize,
    packed_bytes: u64,
    original_bytes: u64,
    opening_seconds: f64,
    /// Absent if the list of snapshots cannot be read.
    sources: Option<Vec<SourceJson>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceJson {
    source: String,
    snapshots: usize,
    incomplete: usize,
    /// When the newest one began.
    newest: String,
    #[serde(skip)]
    newest_time: Timestamp,
}

/// What `--json` prints of a repository behind a server, which says nothing of packs, indexes and keys.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServerJson<'a> {
    location: String,
    server: bool,
    hash: &'a str,
    splitter: &'a str,
    /// Whether the server gives the key to compare contents with their ids.
    contents_checked: bool,
    opening_seconds: f64,
    /// Absent if the list of snapshots cannot be read.
    sources: Option<Vec<SourceJson>>,
}

pub(crate) fn run(session: &Session) -> Result<Exit, Failure> {
    if let Some(server) = session.repository.server() {
        return of_server(session, server);
    }
    let status = session.repository.status()?;
    let snapshots = session.snapshots();
    let sources = sources(&snapshots);
    let written =
        if session.json { output::json(&json(&status, sources)) } else { text(&status, sources.as_deref()) };
    Failure::unless_shown(written)?;
    snapshots?;
    session.warn_of_gaps(None);
    Ok(Exit::Complete)
}

/// Tells what there is to tell of a repository behind a server.
fn of_server(session: &Session, server: &dyn ContentServer) -> Result<Exit, Failure> {
    let (location, parameters) = (server.location(), server.parameters());
    let snapshots = session.snapshots();
    let sources = sources(&snapshots);
    let written = if session.json {
        let (hash, splitter) = (&*parameters.hash, &*parameters.splitter);
        let opening_seconds = session.repository.opening().as_secs_f64();
        let contents_checked = parameters.secret().is_some();
        output::json(&ServerJson {
            location,
            server: true,
            hash,
            splitter,
            contents_checked,
            opening_seconds,
            sources,
        })
    } else {
        let mut out = output::out();
        let mut row = |name: &str, value: String| writeln!(out, "{name:<18}{}", for_terminal(&value));
        row("repository", location)
            .and_then(|()| {
                row("kind", "Kopia repository server; it says nothing of packs and indexes".into())
            })
            .and_then(|()| row("hash", parameters.hash.clone()))
            .and_then(|()| row("splitter", parameters.splitter.clone()))
            .and_then(|()| match parameters.secret() {
                Some(_) => row("contents", "each is compared with its id".into()),
                None => {
                    row("contents", "not compared with their ids: the server does not give the key".into())
                }
            })
            .and_then(|()| rows_of(sources.as_deref(), row))
            .and_then(|()| out.flush())
    };
    Failure::unless_shown(written)?;
    snapshots?;
    Ok(Exit::Complete)
}

fn sources(snapshots: &Result<Snapshots, Failure>) -> Option<Vec<SourceJson>> {
    let snapshots = snapshots.as_ref().ok()?;
    let describe = |source: &kopia_rs::Source| {
        let of_source = || snapshots.iter().filter(|snapshot| snapshot.source() == source);
        let newest = of_source().map(|snapshot| snapshot.start_time()).max().unwrap_or_default();
        SourceJson {
            source: source.to_string(),
            snapshots: of_source().count(),
            incomplete: of_source().filter(|snapshot| !snapshot.is_complete()).count(),
            newest: newest.to_string(),
            newest_time: newest,
        }
    };
    Some(snapshots.sources().into_iter().map(describe).collect())
}

fn json(status: &Status, sources: Option<Vec<SourceJson>>) -> Json<'_> {
    Json {
        location: &status.location,
        format_version: status.format_version,
        created_by: &status.created_by,
        hash: &status.hash,
        encryption: &status.encryption,
        error_correction: status.error_correction.as_ref().map(|(name, _)| &**name),
        error_correction_percent: status.error_correction.as_ref().map(|(_, percent)| *percent),
        splitter: &status.splitter,
        key_derivation: &status.key_derivation,
        epochs: status.epochs,
        index_version: status.index_version,
        index_blobs: status.index_blobs,
        contents: status.contents,
        deleted_contents: status.deleted_contents,
        packs: status.packs,
        living_packs: status.living_packs,
        packed_bytes: status.packed_bytes,
        original_bytes: status.original_bytes,
        opening_seconds: status.opening.as_secs_f64(),
        sources,
    }
}

fn text(status: &Status, sources: Option<&[SourceJson]>) -> std::io::Result<()> {
    let mut out = output::out();
    let mut row = |name: &str, value: String| writeln!(out, "{name:<18}{}", for_terminal(&value));
    row("repository", status.location.clone())?;
    let creator = match &*status.created_by {
        "" => String::new(),
        version => format!(", created by kopia {version}"),
    };
    row("format", format!("version {}{creator}", status.format_version))?;
    row("hash", status.hash.clone())?;
    row("encryption", status.encryption.clone())?;
    if let Some((name, percent)) = &status.error_correction {
        row("error correction", format!("{name}, {percent} %"))?;
    }
    row("splitter", status.splitter.clone())?;
    row("key derivation", status.key_derivation.clone())?;
    let kind = if status.epochs { ", in epochs" } else { "" };
    let blobs = count(status.index_blobs as u64, "blob", "blobs");
    row("index", format!("version {}{kind}, {blobs}", status.index_version))?;
    let others = match status.packs.saturating_sub(status.living_packs) as u64 {
        0 => String::new(),
        others => format!(", {} with nothing else", count(others, "pack", "packs")),
    };
    let deleted = match status.deleted_contents {
        0 => others.replace("with nothing else", "without contents"),
        deleted => format!(", and {} deleted ones{others}", thousands(deleted)),
    };
    let packs = count(status.living_packs as u64, "pack", "packs");
    row("contents", format!("{} in {packs}{deleted}", thousands(status.contents)))?;
    row("size", format!("{} stored, {} plain", size(status.packed_bytes), size(status.original_bytes)))?;
    rows_of(sources, row)?;
    out.flush()
}

/// Writes a line for each source.
fn rows_of(
    sources: Option<&[SourceJson]>,
    mut row: impl FnMut(&str, String) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let sources = sources.unwrap_or_default();
    for (number, source) in sources.iter().enumerate() {
        let snapshots = count(source.snapshots as u64, "snapshot", "snapshots");
        let incomplete = match source.incomplete {
            0 => String::new(),
            incomplete => format!(" ({incomplete} incomplete)"),
        };
        let newest = time::local(source.newest_time, "%Y-%m-%d %H:%M");
        let text = format!("{}: {snapshots}{incomplete}, newest {newest}", source.source);
        row(if number == 0 { "sources" } else { "" }, text)?;
    }
    Ok(())
}
