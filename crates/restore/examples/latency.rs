//! Measures what a repository costs over a network: `latency DIR PASSWORD [--round-trips MS,MS…] [--link
//! BYTES]
//! [--allows N] [--file PATH] [--target DIR]`.
//!
//! The directory is read as if it were as far away as each of the round trips, 0, 20, 50 and 100 ms by
//! default. Each step prints requests, rounds (the longest chain of requests that waited for each other),
//! bytes, requests under way at most and on average, seconds, and the peak of memory. Without `--target`
//! nothing is restored but in a temporary directory.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kopia_codec::key::Password;
use kopia_repository::{Entry, Repository};
use kopia_restore::{Options, restore};
use kopia_storage::testing::{CountingStore, DelayedStore};
use kopia_storage::{FilesystemStore, IoMode};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;
type Store = DelayedStore<CountingStore<FilesystemStore>>;

struct Arguments {
    repository: PathBuf,
    password: String,
    round_trips: Vec<u64>,
    link: u64,
    allows: usize,
    file: Option<String>,
    target: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    println!(
        "{:>5}  {:<10} {:>9} {:>7} {:>14} {:>6} {:>6} {:>8} {:>5}",
        "RTT", "step", "requests", "rounds", "bytes", "most", "mean", "s", "MiB"
    );
    arguments.round_trips.iter().try_for_each(|&round_trip| measure(&arguments, round_trip))?;
    Ok(())
}

fn arguments() -> Result<Arguments> {
    let mut given = std::env::args().skip(1);
    let mut next = || given.next();
    let (Some(repository), Some(password)) = (next(), next()) else { return Err("DIR and PASSWORD".into()) };
    let mut arguments = Arguments {
        repository: repository.into(),
        password,
        round_trips: vec![0, 20, 50, 100],
        link: 1 << 40,
        allows: usize::MAX,
        file: None,
        target: None,
    };
    while let Some(option) = next() {
        let value = next().ok_or("a value is missing")?;
        match &*option {
            "--round-trips" => {
                arguments.round_trips = value.split(',').map(str::parse).collect::<Result<_, _>>()?
            }
            "--link" => arguments.link = value.parse()?,
            "--allows" => arguments.allows = value.parse()?,
            "--file" => arguments.file = Some(value),
            "--target" => arguments.target = Some(value.into()),
            _ => return Err(format!("unknown option {option}").into()),
        }
    }
    Ok(arguments)
}

/// Does all steps at one distance.
fn measure(arguments: &Arguments, round_trip: u64) -> Result<()> {
    let inner = CountingStore::new(FilesystemStore::open_with(&arguments.repository, IoMode::Pread)?);
    let store = DelayedStore::new(inner, Duration::from_millis(round_trip));
    let store = Arc::new(store.link(arguments.link).allows(arguments.allows));
    let place = std::env::temp_dir().join(format!("latency-{}", std::process::id()));
    let target = arguments.target.clone().unwrap_or(place);
    let (clear, step) = (|| remove(&target), Step { store: &store, round_trip });

    let password = Password::new(arguments.password.as_str());
    let repository = step.run("open", || Ok(Repository::open(store.clone(), &password)?))?;
    let snapshots = step.run("snapshots", || Ok(repository.snapshots()?))?;
    let root = snapshots.iter().last().ok_or("there is no snapshot")?.root()?;
    step.run("ls", || Ok(root.directory().map(drop)?))?;
    let entry: Entry = match &arguments.file {
        Some(path) => step.run("find", || Ok(root.at(path)?))?,
        None => root.clone(),
    };
    let options = Options::default();
    clear();
    let outcome = step.run("restore", || Ok(restore(&entry, &target, &options)?))?;
    println!("       {} files, {} bytes, {} problems", outcome.files, outcome.bytes, outcome.problem_count);
    clear();
    Ok(())
}

/// Removes what was restored, a directory or a file.
fn remove(target: &Path) {
    if std::fs::remove_dir_all(target).is_err() {
        drop(std::fs::remove_file(target));
    }
}

/// How a step is measured.
struct Step<'a> {
    store: &'a Store,
    round_trip: u64,
}

impl Step<'_> {
    fn run<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.store.take();
        self.store.inner().take();
        // The peak is that of the step alone, where the system lets it be reset.
        drop(std::fs::write("/proc/self/clear_refs", "5"));
        let (start, done) = (Instant::now(), AtomicBool::new(false));
        let (result, mean) = std::thread::scope(|scope| {
            let watch = scope.spawn(|| self.mean_in_flight(&done));
            let result = work();
            done.store(true, Ordering::Relaxed);
            (result, watch.join().unwrap_or_default())
        });
        let (traffic, seconds) = (self.store.take(), start.elapsed().as_secs_f64());
        println!(
            "{:>5}  {name:<10} {:>9} {:>7} {:>14} {:>6} {mean:>6.1} {seconds:>8.2} {:>5}",
            self.round_trip,
            traffic.requests,
            traffic.rounds,
            traffic.bytes,
            traffic.most_in_flight,
            peak_mib()
        );
        let calls = self.store.inner().take();
        for kind in ["p", "q"] {
            let reads = calls.ranges.iter().filter(|read| read.blob.as_str().starts_with(kind));
            let lengths: Vec<usize> = reads.map(|read| read.length).collect();
            if !lengths.is_empty() {
                println!("       {kind}: {} ranges, {} bytes", lengths.len(), lengths.iter().sum::<usize>());
            }
        }
        if traffic.refused > 0 {
            println!("       {} requests were refused", traffic.refused);
        }
        if calls.lengths > 0 || !calls.lists.is_empty() {
            println!("       lists {:?}, {} lengths", calls.lists, calls.lengths);
        }
        result
    }

    /// Returns how many requests are under way on average until the step is done.
    fn mean_in_flight(&self, done: &AtomicBool) -> f64 {
        let (mut sum, mut count) = (0, 0u32);
        while !done.load(Ordering::Relaxed) {
            sum += self.store.in_flight();
            count += 1;
            std::thread::sleep(Duration::from_millis(2));
        }
        sum as f64 / f64::from(count.max(1))
    }
}

/// Returns the most memory that was in use, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    peak.and_then(|peak| peak.parse::<u64>().ok()).unwrap_or_default() >> 10
}
