//! Words of kopia, restic and rustic, typed by habit.

use std::fs;

use kopia_testkit::writer::{PASSWORD, RepositoryWriter};

use crate::common::{KopiaRs, Place, Ran, names};
use crate::finding::{file, folder};

/// `one/{a,b}` and `top` of app@host:/data.
fn some(writer: &mut RepositoryWriter) {
    let [a, b, top] = ["a", "b", "top"].map(|name| file(writer, name, name.as_bytes(), 2));
    let one = folder(writer, "one", &[a, b]);
    let root = folder(writer, "data", &[one, top]);
    writer.snapshot("app@host:/data", root);
}

fn run(place: &Place, arguments: &str) -> Ran {
    let repository = place.written(some);
    KopiaRs::new(arguments)
        .env("KOPIA_REPOSITORY", &repository)
        .env("KOPIA_PASSWORD", PASSWORD)
        .in_folder(&place.path(""))
        .run()
}

#[test]
fn commands_of_others_do_what_they_do_there() {
    let place = Place::new();
    let id = run(&place, "snapshots --json").exits(0).json()[0]["id"].as_str().unwrap().to_owned();
    for (typed, here) in [
        ("snapshot list --all", "snapshots"),
        ("-r repository --no-lock snap ls", "snapshots"),
        ("list -lr latest", "ls -l -R latest"),
        ("show latest/top", "cat latest/top"),
        ("dump latest /data/one/a", "cat latest/one/a"),
        ("dump latest /one --archive tar", "export latest/one --format tar"),
        ("ls latest:/data/one", "ls latest/one"),
        (&format!("ls {id}:/data/one"), "ls latest/one"),
        (&format!("ls {}:one", &id[..8]), "ls latest/one"),
        (&format!("diff {id}:/data/one {id}:/one"), &format!("diff {id}/one {id}/one")),
    ] {
        let (typed, here) = (run(&place, typed).exits(0), run(&place, here).exits(0));
        assert!(!here.stdout.is_empty() || typed.stdout.is_empty());
        assert_eq!(typed.stdout, here.stdout, "{}{}", typed.stderr, here.stderr);
    }
    for (typed, says) in [
        ("repo status", "1 snapshot"),
        ("check --read-data", "damage    none"),
        ("snapshot verify latest", "damage    none"),
    ] {
        let ran = run(&place, typed).exits(0);
        assert!(ran.text().contains(says), "{typed}: {}", ran.text());
    }
    run(&place, "ls latest:/data/none").exits(1);
}

#[test]
fn a_restore_may_be_written_as_restic_has_it() {
    let place = Place::new();
    run(&place, "restore latest:/data --target restored -i a --delete").exits(0);
    assert_eq!(names(&place.path("restored")), ["one"]);
    assert_eq!(names(&place.path("restored/one")), ["a"]);
    fs::write(place.path("restored/one/a"), "mine").unwrap();
    run(&place, "restore latest -t restored --overwrite never").exits(3);
    assert_eq!(fs::read(place.path("restored/one/a")).unwrap(), b"mine");
    assert_eq!(names(&place.path("restored")), ["one", "top"]);
    run(&place, "snapshot restore latest/one second").exits(0);
    assert_eq!(names(&place.path("second")), ["a", "b"]);
}

#[test]
fn who_wants_to_write_is_told_what_does() {
    let place = Place::new();
    for (typed, says) in [
        ("backup /etc", "`kopia snapshot create PATH`"),
        ("snapshot create /etc", "`kopia snapshot create PATH`"),
        ("forget latest --prune", "`kopia snapshot expire`"),
        ("prune", "`kopia maintenance run --full`"),
    ] {
        run(&place, typed).exits(2).says(&["hint: kopia-rs never writes to a repository", says]);
    }
    run(&place, "restore latest x --mode tar").exits(2).says(&["hint: `kopia-rs export WHAT FILE`"]);
}
