//! `restore --in-original-place` and `undo`: home again, and back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kopia_testkit::refuse::{Call, refusing};
use rustix::io::Errno;
use serde_json::{Value, json};

use crate::common::{KopiaRs, Place, names, written};
use crate::terminal::Terminal;

fn entry(kind: &str, name: &str, object: &str, size: usize) -> Value {
    let mode = if kind == "d" { "0755" } else { "0644" };
    json!({"name": name, "type": kind, "mode": mode, "size": size, "obj": object,
        "mtime": "2020-01-02T03:04:05.000000006Z"})
}

/// The name of this host, as kopia has it.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    name.trim().split('.').next().unwrap().to_lowercase()
}

/// A home that was backed up here, and one of a laptop at the same place; both have changed since.
struct Home {
    place: Place,
    home: PathBuf,
}

impl Home {
    fn new() -> Self {
        let place = Place::new();
        fs::create_dir(place.path("place")).unwrap();
        let home = fs::canonicalize(place.path("place")).unwrap().join("home");
        written(&place.path("repo"), |writer| {
            let text = writer.file(b"text");
            let docs = writer.directory(&[entry("f", "a", &text, 4), entry("f", "b", &text, 4)]);
            let root = writer.directory(&[entry("d", "docs", &docs, 0), entry("f", "notes", &text, 4)]);
            for host in [&host(), "laptop"] {
                writer.snapshot(&format!("anna@{host}:{}", home.display()), entry("d", "home", &root, 0));
            }
            writer.snapshot("anna@pc:C:\\Users\\anna", entry("d", "anna", &root, 0));
        });
        fs::create_dir_all(home.join("docs")).unwrap();
        fs::write(home.join("docs/a"), "newer").unwrap();
        fs::write(home.join("notes"), "newer").unwrap();
        fs::write(home.join("mine"), "mine").unwrap();
        Self { place, home }
    }

    fn restore(&self, what: &str, options: &str) -> KopiaRs {
        let what = what.replace("HOME", self.home.to_str().unwrap());
        let command = KopiaRs::written(&self.place.path("repo"), "restore --in-original-place").arg(what);
        options.split_whitespace().fold(command, KopiaRs::arg)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.home.join(name)).unwrap()
    }
}

fn undo(arguments: &str, path: &Path) -> KopiaRs {
    KopiaRs::new(&format!("undo {arguments}")).arg(path)
}

#[test]
fn a_folder_goes_home_and_back() {
    let home = Home::new();
    let ran = home.restore("HOME/docs", "--yes").run().exits(0);
    assert_eq!([home.read("docs/a"), home.read("docs/b"), home.read("notes")], ["text", "text", "newer"]);
    let line =
        ran.text().lines().find(|line| line.starts_with("`kopia-rs undo ")).expect("it says how to undo");
    let folder = Path::new(line.split('`').nth(1).unwrap().strip_prefix("kopia-rs undo ").unwrap());
    assert_eq!(folder.parent(), Some(&*home.home));
    assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o7777, 0o700);

    let listed = undo("--list --json", &home.home.join("docs")).run().exits(0).json();
    assert_eq!((&listed["state"], &listed["kept"]), (&"done".into(), &1.into()), "{listed}");
    assert_eq!(listed["folder"].as_str(), folder.to_str());
    assert!(undo("--list", folder).run().exits(0).text().contains("1 entry kept (5 B) in "));
    let ran = undo("", &home.home.join("docs")).run().exits(0);
    assert!(ran.text().starts_with("put back 1 entry of "), "{}", ran.text());
    assert_eq!((home.read("docs/a"), names(&home.home.join("docs"))), ("newer".into(), vec!["a".into()]));
    assert_eq!(names(&home.home), ["docs", "mine", "notes"]);
    undo("", &home.home.join("docs")).run().exits(1).says(&["no restore has kept anything in "]);
}

#[test]
fn a_file_goes_home_and_a_newer_one_is_put_aside() {
    let home = Home::new();
    let json = home.restore("HOME/notes", "--yes --json").run().exits(0).json();
    assert_eq!((home.read("notes"), &json["files"]), ("text".into(), &1.into()));
    let folder = PathBuf::from(json["keptIn"].as_str().unwrap());
    fs::write(home.home.join("notes"), "newest").unwrap();
    // From a folder below, nothing needs to be named.
    let ran = KopiaRs::new("undo").in_folder(&home.home.join("docs")).run().exits(0);
    assert!(ran.text().contains("1 entry was changed or made after the restore, and now lies in "));
    assert!(ran.text().contains("\n  notes\n"), "{}", ran.text());
    assert_eq!(
        (home.read("notes"), fs::read_to_string(folder.join("aside/notes")).unwrap()),
        ("newer".into(), "newest".into())
    );
    undo("--forget", &folder).run().exits(2).says(&["cannot be put back any more", "hint: give --yes"]);
    assert!(undo("--forget --yes", &folder).run().exits(0).text().starts_with("deleted "));
    assert!(!folder.exists());
}

#[test]
fn what_a_share_refuses_is_told_and_is_no_failure_of_an_undo() {
    let home = Home::new();
    home.restore("HOME", "--yes").run().exits(0);
    let refused = [(Call::Utimes, Some(Errno::PERM))];
    let Some(ran) = refusing(&refused, || undo("--json", &home.home).run()) else { return };
    // Of both folders; what was moved away has kept its own.
    let ran = ran.exits(0).says(&["note: 2 entries could not be given the right time"]);
    assert_eq!((&ran.json()["notes"]["times"], &ran.json()["problemCount"]), (&2.into(), &0.into()));
    assert_eq!([home.read("notes"), home.read("docs/a")], ["newer", "newer"]);
    undo("", &home.home).run().exits(1).says(&["no restore has kept anything in "]);
}

#[test]
fn folders_that_are_found_and_cannot_be_used_are_named() {
    let home = Home::new();
    let json = home.restore("HOME", "--yes --json").run().exits(0).json();
    let folder = PathBuf::from(json["keptIn"].as_str().unwrap());
    let open_to = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    open_to(0o777);
    let named = format!("{}: is no folder of what was replaced: others may write in it", folder.display());
    let ran = undo("--json", &home.home).run().exits(1);
    let error = &ran.json()["error"];
    assert_eq!((&error["class"], &error["candidates"]), (&"NotFound".into(), &json!([named])), "{error}");
    ran.says(&["or above it that can be used", &named]);
    undo("--list", &home.home).run().exits(0).says(&[&format!("note: {named}")]);
    open_to(0o700);
    undo("", &home.home).run().exits(0);
    assert_eq!(home.read("notes"), "newer");
}

#[test]
fn later_restores_are_undone_first() {
    let home = Home::new();
    let folder = |options: &str| {
        let json = home.restore("HOME", options).run().exits(0).json();
        PathBuf::from(json["keptIn"].as_str().unwrap())
    };
    let first = folder("--yes --json");
    fs::write(home.home.join("notes"), "between").unwrap();
    let second = folder("--yes --json --delete-extra");
    assert!(first != second && !home.home.join("mine").exists());
    let ran = undo("", &first).run().exits(1);
    ran.says(&["a later restore to ", "hint: kopia-rs undo "]);
    undo("", &home.home).run().exits(0);
    assert_eq!([home.read("notes"), home.read("mine")], ["between", "mine"]);
    let ran = undo("", &home.home).run().exits(0);
    assert!(ran.text().contains("notes"), "{}", ran.text());
    assert_eq!([home.read("notes"), home.read("docs/a")], ["newer", "newer"]);
}

#[test]
fn later_restores_that_cannot_be_undone_are_not_passed_over() {
    let home = Home::new();
    let folder = || {
        let json = home.restore("HOME", "--yes --json").run().exits(0).json();
        PathBuf::from(json["keptIn"].as_str().unwrap())
    };
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let first = folder();
    fs::write(home.home.join("notes"), "between").unwrap();
    let second = folder();
    set_mode(&second, 0o777);
    let ran = undo("", &home.home).run().exits(1);
    let named = format!("{}: is no folder of what was replaced: others may write in it", second.display());
    let goes_on = format!("`kopia-rs undo {}`", first.display());
    let ran = ran.says(&["a later restore to ", &named, "chmod 700", &goes_on]);
    assert!(!ran.stderr.contains("another user"), "{}", ran.stderr);
    assert_eq!(home.read("notes"), "text");
    // One before it is in nobody's way.
    set_mode(&second, 0o700);
    set_mode(&first, 0o777);
    undo("", &home.home).run().exits(0);
    assert_eq!(home.read("notes"), "between");
}

#[test]
fn one_of_the_very_folder_that_cannot_be_undone_is_not_passed_over() {
    for is_older in [false, true] {
        let home = Home::new();
        let place = home.home.join("docs");
        let restored = |what: &str| {
            fs::write(place.join("a"), "between").unwrap();
            let json = home.restore(what, "--yes --json").run().exits(0).json();
            PathBuf::from(json["keptIn"].as_str().unwrap())
        };
        let (docs, all) = if is_older {
            let docs = restored("HOME/docs");
            (docs, restored("HOME"))
        } else {
            let all = restored("HOME");
            (restored("HOME/docs"), all)
        };
        fs::set_permissions(&docs, fs::Permissions::from_mode(0o777)).unwrap();
        let named = format!("{}: is no folder of what was replaced: others may write in it", docs.display());
        let may_be = format!("may be of a restore to {}, which goes before", place.display());
        for (options, option) in [("", ""), ("--forget --yes", "--forget ")] {
            let goes_on = format!("`kopia-rs undo {option}{}`", all.display());
            undo(options, &place).run().exits(1).says(&[&may_be, &named, &goes_on]);
        }
        assert!(all.exists());
        assert_eq!(home.read("notes"), "text");
        // It is in nobody's way who undoes the restore of all.
        undo("", &home.home).run().exits(0);
        assert_eq!([home.read("docs/a"), home.read("notes")], ["between", "newer"]);
        assert!(docs.exists());
    }
}

/// Which is of the folder that has the file, as far as the journal goes.
#[test]
fn an_older_one_of_a_single_file_that_cannot_be_undone_is_not_called_later() {
    let home = Home::new();
    let restored = |what: &str| {
        let json = home.restore(what, "--yes --json").run().exits(0).json();
        PathBuf::from(json["keptIn"].as_str().unwrap())
    };
    let (one, all) = (restored("HOME/docs/a"), restored("HOME"));
    fs::set_permissions(&one, fs::Permissions::from_mode(0o777)).unwrap();
    let docs = home.home.join("docs");
    let named = format!("{}: is no folder of what was replaced: others may write in it", one.display());
    let may_be = format!("may be of a restore to {}, which goes before", docs.join("a").display());
    undo("", &docs).run().exits(1).says(&[&may_be, &named]);
    assert!(one.exists() && all.exists());
    assert_eq!([home.read("docs/a"), home.read("notes")], ["text", "text"]);
}

#[test]
fn of_several_things_each_is_kept_and_undone_by_itself() {
    let home = Home::new();
    let command = KopiaRs::written(&home.place.path("repo"), "restore --keep-replaced");
    let [docs, notes] = ["docs", "notes"].map(|name| home.home.join(name));
    command.arg(&docs).arg(&notes).arg(&home.home).run().exits(0);
    assert_eq!([home.read("docs/a"), home.read("docs/b"), home.read("notes")], ["text"; 3]);
    undo("", &docs).run().exits(0);
    assert_eq!((home.read("docs/a"), home.read("notes")), ("newer".into(), "text".into()));
    undo("", &home.home).run().exits(0);
    assert_eq!(
        (home.read("notes"), names(&home.home)),
        ("newer".into(), vec!["docs".into(), "mine".into(), "notes".into()])
    );
    let command = KopiaRs::written(&home.place.path("repo"), "restore --keep-replaced --strip-components 1");
    command.arg("latest").arg(&home.home).run().exits(2).says(&["cannot be used with"]);
}

#[test]
fn what_has_no_place_here_is_refused() {
    let home = Home::new();
    for (what, options, code, says) in [
        ("anna@laptop:HOME", "--yes", 2, "was backed up on laptop, and this is"),
        ("anna@laptop:HOME", "--yes --from-host other", 2, "not on that host"),
        ("anna@pc:C:\\Users\\anna", "--yes --from-host pc", 2, "is no place on this machine"),
        ("HOME", "", 2, "hint: --dry-run shows what would be; --yes restores without being asked"),
        ("HOME", "--yes --in-place", 2, "cannot be used with"),
        ("HOME", "--yes --shard 0/2", 2, "cannot be used with"),
        ("HOME target", "--yes", 1, "not found"),
    ] {
        home.restore(what, options).run().exits(code).says(&[says]);
    }
    for places in ["latest here", "/a /b /c"] {
        let named = format!("restore {places} --in-original-place --yes");
        let ran = KopiaRs::written(&home.place.path("repo"), &named).run().exits(2);
        ran.says(&["--in-original-place restores one WHAT, and takes no TARGET", "once for each"]);
    }
    let bare = KopiaRs::written(&home.place.path("repo"), "restore --in-original-place --yes");
    bare.run().exits(2).says(&["WHAT"]);
    KopiaRs::written(&home.place.path("repo"), "restore latest").run().exits(2).says(&["TARGET"]);
    assert_eq!([home.read("docs/a"), home.read("notes")], ["newer", "newer"]);
    assert!(home.restore("HOME", "--dry-run").run().exits(0).text().contains("replace docs/a\n"));
    home.restore("anna@laptop:HOME", "--yes --from-host laptop").run().exits(0);
    assert_eq!(home.read("docs/a"), "text");
}

#[test]
fn a_person_is_shown_what_changes_and_asked() {
    let home = Home::new();
    let ask = |answer: &str| {
        let mut terminal = Terminal::open();
        let command = home.restore("HOME", "--delete-extra --quiet");
        let mut child = command.at(&terminal);
        let shown = terminal.until(" [y/N] ");
        terminal.type_line(answer);
        (child.wait().unwrap().code(), shown)
    };
    let (code, shown) = ask("n");
    assert_eq!((code, home.read("mine")), (Some(1), "mine".into()));
    for line in ["+        4 B  docs/b", "~        4 B  docs/a", "~        4 B  notes", "-             mine"]
    {
        assert!(shown.lines().any(|found| found.trim_end() == line), "{line:?} in {shown}");
    }
    let counted =
        "3 files and links to write (12 B), 2 of them in the place of others; 0 folders to make, 1 to delete";
    assert!(shown.contains(counted), "{shown}");
    assert_eq!(ask("yes").0, Some(0));
    assert!(!home.home.join("mine").exists() && home.read("notes") == "text");
    undo("", &home.home).run().exits(0);
    assert_eq!([home.read("mine"), home.read("notes")], ["mine", "newer"]);
}
