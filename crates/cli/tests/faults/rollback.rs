//! Rollback into a volume that is fuller than half: files replace older ones as soon as they are whole, so
//! that there is room for the next; what cannot be done leaves no trace, and is said.

use std::path::{Path, PathBuf};
use std::process::Output;

use kopia_testkit::random::Random;
use kopia_testkit::tree::{Compare, Tree, compare};
use kopia_testkit::writer::RepositoryWriter;
use serde_json::{Value, json};

use crate::common::{NEW, OLD, Place, assert_same, entry, in_namespace};

/// Bytes of the large files, which are most of it.
const LARGE: usize = 2 << 20;

/// The same files in both versions, with other bytes: three large ones with some pieces in common, and 300
/// small ones.
fn tree(writer: &mut RepositoryWriter, version: u64) -> Value {
    let mut entries = Vec::new();
    for large in 0..3_u64 {
        let mut bytes = Random::new(large + 99).bytes(LARGE);
        let changed = Random::new(large * 2 + version).bytes(LARGE / 2);
        bytes[large as usize * 100_000..][..LARGE / 2].copy_from_slice(&changed);
        entries.push(entry("f", &format!("large{large}"), "0640", &writer.file(&bytes), bytes.len()));
    }
    for folder in 0..30_u64 {
        let inner = (0..10_u64).map(|file| {
            let bytes =
                Random::new(7000 + folder * 100 + file * 10 + version).bytes(500 + file as usize * 1500);
            entry("f", &format!("f{file}"), "0644", &writer.file(&bytes), bytes.len())
        });
        let inner = inner.collect::<Vec<_>>();
        let inner = writer.directory(&inner);
        entries.push(entry("d", &format!("small{folder:02}"), "0555", &inner, 0));
    }
    let root = writer.directory(&entries);
    let mut root = entry("d", "data", "0755", &root, 0);
    root["summ"] = json!({"size": 3 * LARGE + 30 * 72_500, "files": 303, "dirs": 31});
    root
}

/// Makes a file system ("$3"), restores the older tree into it, fills it up with something else until the
/// tree has that percentage ("$4") of it, and rolls back with options ("$5"). Says how that ended and which
/// files it was, and rolls back in place what is left.
const ROLL_BACK: &str = r#"
    PATH="$PATH:/usr/sbin:/sbin"
    free() { set -- $(stat -f -c '%a %S' "$1"); echo $(( $1 * $2 / 1024 )); }
    case "$3" in
        tmpfs) mount -t tmpfs -o size=64m tmpfs "$2" ;;
        *) truncate -s 64M "$2.disk"; "mkfs.$3" -q -m 0 "$2.disk" && mount -o loop "$2.disk" "$2" || { echo none; exit 0; } ;;
    esac
    target="$2/target"
    "$0" restore app@host:/old "$target" --repository "$1" --quiet >/dev/null
    sync -f "$target"
    used=$(du -sk "$target" | cut -f 1)
    fallocate -l "$(( $(free "$target") - used * (100 - $4) / $4 ))k" "$2/ballast"
    before=$(free "$target")
    foreseen=0
    "$0" restore app@host:/new "$target" --delete-extra --repository "$1" $5 --dry-run >/dev/null 2>&1 || foreseen=$?
    ended=0
    "$0" restore app@host:/new "$target" --delete-extra --repository "$1" $5 || ended=$?
    sync -f "$target"
    echo "foreseen $foreseen"
    echo "ended $ended, $before before, $(free "$target") KiB are free"
    cp -a "$target" "$6"
    if [ "$ended" != 0 ]; then
        ended=0
        "$0" restore app@host:/new "$target" --delete-extra --repository "$1" --in-place --quiet >/dev/null || ended=$?
        echo "then ended $ended"
        cp -a "$target" "$6.again"
    fi
"#;

struct Ran {
    place: Place,
    result: PathBuf,
    output: Output,
}

/// Rolls back; `None` where that cannot be tried.
fn roll_back(file_system: &str, percentage: &str, options: &str) -> Option<Ran> {
    let place = Place::of(tree);
    let [mount, result] = ["mount", "result"].map(|name| place.path(name));
    std::fs::create_dir(&mount).unwrap();
    let arguments = [Path::new(file_system), Path::new(percentage), Path::new(options)];
    let [a, b, c] = arguments;
    let output = in_namespace(ROLL_BACK, &[&place.repository(), &mount, a, b, c, &result])?;
    if output.stdout.starts_with(b"none") {
        kopia_testkit::facilities::left_out(format_args!("no {file_system} here"));
        return None;
    }
    Some(Ran { place, result, output })
}

impl Ran {
    fn text(&self) -> (String, String) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&self.output.stdout), text(&self.output.stderr))
    }

    #[track_caller]
    fn assert_restored(&self, what: &str) {
        let (said, told) = self.text();
        assert!(said.contains("foreseen 0\nended 0,"), "{what}: {said}\n{told}");
        assert_same(&self.place.fresh(NEW), &self.result, what);
    }
}

#[test]
fn two_thirds_and_three_quarters_full() {
    for file_system in ["tmpfs", "ext4"] {
        for percentage in ["65", "75"] {
            let Some(ran) = roll_back(file_system, percentage, "") else { continue };
            ran.assert_restored(&format!("{file_system}, {percentage} %"));
            let (_, told) = ran.text();
            let foretold = told.contains("where room is short, each file replaces the older one");
            assert!(foretold, "it was not said before it began: {told}");
        }
    }
}

#[test]
fn full_to_the_brim_in_place() {
    for percentage in ["90", "99"] {
        for file_system in ["tmpfs", "ext4"] {
            let Some(ran) = roll_back(file_system, percentage, "--in-place") else { continue };
            ran.assert_restored(&format!("{file_system}, {percentage} %"));
        }
    }
}

#[test]
fn what_cannot_be_done_is_said_and_leaves_no_trace() {
    for file_system in ["tmpfs", "ext4"] {
        let Some(ran) = roll_back(file_system, "90", "--sync filesystem") else { continue };
        let (said, told) = ran.text();
        assert!(said.starts_with("foreseen 1\nended 1, "), "{said}\n{told}");
        let errors: Vec<_> = told.lines().filter(|line| line.starts_with("error:")).collect();
        assert_eq!(errors.len(), 1, "{told}");
        assert!(errors[0].contains("there is no room for the rest, which takes at least"), "{told}");
        assert!(told.contains("hint: make ") && told.contains("--in-place"), "{told}");
        // Everything small is in its place, large files are the older ones, and no part of a newer one takes
        // room.
        let (old, new) = (ran.place.fresh(OLD), ran.place.fresh(NEW));
        let found = Tree::scan(&ran.result);
        for wanted in new.entries().iter().filter(|entry| entry.sha256.is_some()) {
            let versions = if wanted.path.starts_with("large") { &old } else { &new };
            let expected = versions.get(&wanted.path).unwrap();
            assert_eq!(found.get(&wanted.path).unwrap().sha256, expected.sha256, "{}", wanted.path);
        }
        let unfinished: Vec<_> =
            found.entries().iter().filter(|entry| entry.path.starts_with(".kopia-rs")).collect();
        // The proof of an unfinished folder has its name, and no bytes.
        let is_proof = |path: &str| path.split_once('/').is_some_and(|(folder, name)| folder == name);
        for entry in unfinished.iter().filter(|entry| entry.sha256.is_some()) {
            let is_harmless =
                if is_proof(&entry.path) { entry.size == 0 } else { entry.path.ends_with("/CACHEDIR.TAG") };
            assert!(is_harmless, "{}", entry.path);
        }
        let numbers: Vec<i64> = said
            .split(|character: char| !character.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        let (before, after) = (numbers[2], numbers[3]);
        assert!(before - after < 300, "{before} KiB were free, and now {after}");
        // In place there is room.
        assert!(said.ends_with("then ended 0\n"), "{said}\n{told}");
        let again = Tree::scan(ran.result.with_extension("again"));
        let differences = compare(&new, &again, &Compare::settable());
        assert!(differences.is_empty(), "{differences:#?}");
    }
}
