//! `mount`: snapshots as a file system, by FUSE. Authority: Kopia's `cli/command_mount.go` and `internal/mount`.

mod names;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kopia_rs::Repository;
use kopia_rs::diagnosis::text::escape;
use kopia_rs::mount::{self, Item, Mounted, Options, Problem};
use kopia_rs::restore::is_outside;

use super::call::{Call, info};
use super::objects;
use super::trouble::Trouble;
use crate::commands::mount::{LOOK, PATIENCE, SHOWN, cut_short, detach_at_panic};
use crate::terminal::output::log_last;

/// What stands for all snapshots, and for a new folder to mount at.
const ALL: &str = "all";
const NEW: &str = "*";

pub(super) fn run(call: &Call) -> Result<(), Trouble> {
    let or = |number, default: &str| match call.line.argument(number) {
        text if text.is_empty() => default.to_owned(),
        text => text,
    };
    let (what, point) = (or(0, ALL), or(1, NEW));
    let repository = call.open()?;
    let root = root(&repository, &what)?;
    let place = Place::of(&point).map_err(|error| refused(&error))?;
    apart(&repository, &place.path)?;
    let mut options = Options::default();
    options.allow_other = call.line.is_on("fuse-allow-other", false);
    let named = AtomicU64::new(0);
    let tell = Arc::new(move |problem: &Problem| match named.fetch_add(1, Ordering::Relaxed) {
        ..SHOWN => info(escape(&problem.to_string())),
        SHOWN => info("more could not be shown or read, which is not named"),
        _ => {}
    });
    call.interrupt.be_patient(PATIENCE);
    let shown = place.path.to_string_lossy().into_owned();
    call.interrupt.say_at_the_end(move |signal, _| {
        log_last(format_args!("unmount error: {}", escape(&cut_short(signal, &shown))));
    });
    call.interrupt.will_ask();
    let mounted = mount::mount(root, &place.path, &options, tell).map_err(|error| refused(&error))?;
    let mounted = Arc::new(mounted);
    detach_at_panic(&mounted);
    info(format_args!("Mounted '{}' on {}", escape(&what), escape(&place.path.to_string_lossy())));
    if point == NEW {
        info("HINT: Pass --browse to automatically open file browser.");
    }
    info("Press Ctrl-C to unmount.");
    wait(call, &mounted)?;
    info("Unmounted.");
    Ok(())
}

/// Where it is mounted: a folder that was there, or a new one that goes afterwards.
struct Place {
    path: PathBuf,
    is_new: bool,
}

impl Place {
    fn of(point: &str) -> io::Result<Self> {
        if point != NEW {
            return Ok(Self { path: std::path::absolute(point)?, is_new: false });
        }
        let path = tempfile::Builder::new().prefix("kopia-mount").tempdir()?.keep();
        Ok(Self { path, is_new: true })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_new {
            // What may still be mounted there is not to be gone through: the system takes away no mount point, and no
            // folder that holds something.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

fn refused(error: &dyn std::fmt::Display) -> Trouble {
    Trouble::failed(format!("mount error: mounting error: {error}"))
}

fn root(repository: &Repository, what: &str) -> Result<Item, Trouble> {
    let doing = format!("unable to get directory entry for {what}");
    let snapshots = repository.snapshots().map_err(|error| Trouble::reading(&error, &doing))?;
    match what {
        ALL => Ok(names::all(&snapshots).into()),
        what => Ok(objects::directory(repository, &snapshots, what, &doing)?.into()),
    }
}

/// Refuses a place that has the repository to do with itself: whoever reads would wait for itself.
fn apart(repository: &Repository, point: &Path) -> Result<(), Trouble> {
    let Some(directory) = repository.store().directory() else { return Ok(()) };
    let failed = |error: io::Error| refused(&format!("{}: {error}", point.display()));
    if is_outside(point, &directory).map_err(failed)? && is_outside(&directory, point).map_err(failed)? {
        return Ok(());
    }
    Err(refused(&format!("{} and the repository lie in one another: give another folder", point.display())))
}

/// Waits until somebody unmounts it, or a signal comes.
fn wait(call: &Call, mounted: &Mounted) -> Result<(), Trouble> {
    while !mounted.wait(LOOK) {
        if call.interrupt.signal().is_none() {
            continue;
        }
        info("Unmounting...");
        let failed = |error: mount::Error| Trouble::failed(format!("unmount error: {error}"));
        // What is still in use there ends with this process; kopia fails then, and stays.
        return match mounted.unmount() {
            Ok(true) => Ok(()),
            _ => mounted.detach().map_err(failed),
        };
    }
    Ok(())
}
