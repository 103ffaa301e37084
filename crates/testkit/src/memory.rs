//! Searches the memory of another process for secrets.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Child;

use crate::secrets::{self, Secret};

/// Returns the names of the secrets in all memory of a process but for its environment, which nobody can
/// wipe. Nothing is returned where the system does not let its memory be read.
///
/// Also found is what HMAC makes of its key before it is hashed: the key with every byte changed by one of
/// two numbers.
///
/// # Panics
///
/// When the process does not run.
pub fn found<'a>(process: &Child, secrets: &'a [Secret]) -> Option<Vec<&'a str>> {
    let process = Path::new("/proc").join(process.id().to_string());
    let memory = File::open(process.join("mem")).ok()?;
    let environment = environment(&process);
    let padded: Vec<_> =
        [0x36, 0x5c].iter().flat_map(|pad| secrets.iter().map(|secret| changed(secret, *pad))).collect();
    let mut found = Vec::new();
    let mut looked_at = 0;
    for region in regions(&process) {
        let mut bytes = vec![0; (region.end - region.start) as usize];
        // The process may have given it back.
        if memory.read_exact_at(&mut bytes, region.start).is_err() {
            continue;
        }
        for address in environment.clone().filter(|address| region.contains(address)) {
            bytes[(address - region.start) as usize] = 0;
        }
        looked_at += bytes.len();
        for secrets in [secrets, &padded] {
            found.extend(secrets::found(secrets, &bytes).into_iter().map(String::from));
        }
    }
    assert!(looked_at > 1 << 20, "only {looked_at} bytes could be looked at");
    let names = secrets.iter().map(|secret| &*secret.name);
    Some(names.filter(|name| found.iter().any(|found| found == name)).collect())
}

fn changed(secret: &Secret, pad: u8) -> Secret {
    Secret { name: secret.name.clone(), bytes: secret.bytes.iter().map(|byte| byte ^ pad).collect() }
}

/// The memory that can be read, but for what the kernel puts there.
fn regions(process: &Path) -> Vec<Range<u64>> {
    let maps = fs::read_to_string(process.join("maps")).expect("the process runs");
    let readable = maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-').filter(|_| rest.starts_with('r') && !rest.contains("[v"))?;
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        Some(address(start)..address(end))
    });
    readable.collect()
}

fn environment(process: &Path) -> Range<u64> {
    let stat = fs::read_to_string(process.join("stat")).expect("the process runs");
    // Behind the name, which may hold blanks, comes the third field; `env_start` and `env_end` are fields 50
    // and 51.
    let (_, fields) = stat.rsplit_once(") ").expect("the name stands in parentheses");
    let field = |number: usize| fields.split(' ').nth(number - 3)?.trim().parse().ok();
    field(50).expect("an address")..field(51).expect("an address")
}
