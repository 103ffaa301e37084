//! Ages a file system: files of many sizes are created and deleted until it is 60 % full, and free blocks and
//! inodes lie scattered between those in use.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use kopia_rs_benches::noise::Noise;

use super::image::Image;
use crate::Result;

/// The folders that files lie in.
const FOLDERS: u64 = 1000;

/// Sizes of files are spread evenly over their magnitudes, from this to 64 times as much.
const SMALLEST: u64 = 1 << 10;

/// How full it gets and how full it is left, in percent, again and again.
const TIDES: [(u64, u64); 3] = [(85, 40), (85, 50), (85, 60)];

/// Returns the aged image of this size below `work`, which is made unless that was done before.
pub(super) fn aged(work: &Path, size: u64) -> Result<Image> {
    let folder = work.join("disks");
    let (file, complete) =
        (folder.join(format!("aged-{size}")), folder.join(format!("aged-{size}.complete")));
    if complete.exists() {
        return Ok(Image::found(&file));
    }
    eprintln!("aging {}", file.display());
    fs::create_dir_all(&folder)?;
    let image = Image::make(&file, size)?;
    let mounted = image.mount(&folder.join("mounted"))?;
    age(mounted.point(), FOLDERS, |folder| Ok(used_percent(rustix::fs::statvfs(folder)?)))?;
    mounted.end()?;
    File::create(complete)?;
    Ok(image)
}

fn used_percent(stat: rustix::fs::StatVfs) -> u64 {
    (stat.f_blocks - stat.f_bfree) * 100 / stat.f_blocks.max(1)
}

/// Creates and deletes files in a folder; `used` tells how full its file system is, in percent.
fn age(folder: &Path, folders: u64, used: impl Fn(&Path) -> Result<u64>) -> Result<()> {
    let (mut noise, mut bytes) = (Noise::new(15), Vec::new());
    noise.bytes(usize::try_from(SMALLEST << 6)?, &mut bytes);
    for number in 0..folders {
        fs::create_dir(folder.join(number.to_string()))?;
    }
    let path = |number: u64| folder.join((number % folders).to_string()).join(number.to_string());
    let (mut files, mut next) = (Vec::new(), 0);
    for (high, low) in TIDES {
        while used(folder)? < high {
            let most = SMALLEST << noise.below(7);
            let length = most / 2 + noise.below(most / 2 + 1);
            // Not one folder after the other: no program that runs for long does so.
            let number = next * folders + noise.below(folders);
            File::create(path(number))?.write_all(&bytes[..usize::try_from(length)?])?;
            files.push(number);
            next += 1;
        }
        while used(folder)? > low && !files.is_empty() {
            let place = usize::try_from(noise.below(files.len() as u64))?;
            fs::remove_file(path(files.swap_remove(place)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[test]
    fn it_is_filled_and_emptied_in_turns_and_left_as_full_as_said() {
        let place = tempfile::tempdir().unwrap();
        let (turn, reached) = (Cell::new(0), RefCell::new(Vec::new()));
        // As if the file system had room for 200 files.
        let used = |folder: &Path| {
            let count = |folder: &Path| fs::read_dir(folder).unwrap().count() as u64;
            let folders = fs::read_dir(folder)?.map(|folder| folder.unwrap().path());
            let percent = folders.map(|folder| count(&folder)).sum::<u64>() / 2;
            let (high, low) = TIDES.get(turn.get() / 2).copied().unwrap_or_default();
            if percent == if turn.get() % 2 == 0 { high } else { low } {
                reached.borrow_mut().push(percent);
                turn.set(turn.get() + 1);
            }
            Ok(percent)
        };
        age(place.path(), 3, used).unwrap();
        assert_eq!(*reached.borrow(), [85, 40, 85, 50, 85, 60]);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 3);
    }
}
