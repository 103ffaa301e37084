//! Several things restored at once, and paths without their first names.

use std::fs;

use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use crate::common::{KopiaRs, Place, names, written};
use crate::finding::{file, folder};

/// `one/docs/{a,b}`, `two/docs/c`, `two/pics/d`, `top`.
fn some(writer: &mut RepositoryWriter) {
    let [a, b, c, d, top] = ["a", "b", "c", "d", "top"].map(|name| file(writer, name, name.as_bytes(), 2));
    let docs = folder(writer, "docs", &[a, b]);
    let one = folder(writer, "one", &[docs]);
    let (docs, pics) = (folder(writer, "docs", &[c]), folder(writer, "pics", &[d]));
    let two = folder(writer, "two", &[docs, pics]);
    let root = folder(writer, "data", &[one, two, top]);
    writer.snapshot("app@host:/data", root);
}

fn run(place: &Place, arguments: &str) -> KopiaRs {
    let repository = place.path("repository");
    if !repository.exists() {
        written(&repository, some);
    }
    KopiaRs::written(&repository, arguments)
}

#[test]
fn several_go_below_the_target_by_their_last_names() {
    let place = Place::new();
    let target = place.path("target");
    let ran = run(&place, "restore latest/one/docs /data/two/pics latest/top").arg(&target).run().exits(0);
    ran.says(&["one/docs of app@host:/data", "two/pics of app@host:/data", "top of app@host:/data"]);
    assert_eq!(names(&target), ["docs", "pics", "top"]);
    assert_eq!(
        (names(&target.join("docs")), names(&target.join("pics"))),
        (vec!["a".into(), "b".into()], vec!["d".into()])
    );
    assert_eq!(fs::read(target.join("top")).unwrap(), b"top");
    // A source by the last name of its path, and one by itself as ever.
    run(&place, "restore app@host:/data latest/one").arg(place.path("both")).run().exits(0);
    assert_eq!(names(&place.path("both")), ["data", "one"]);
}

#[test]
fn two_of_one_name_are_refused() {
    let place = Place::new();
    let target = place.path("target");
    let ran = run(&place, "restore latest/one/docs latest/two/docs").arg(&target).run().exits(2);
    ran.says(&[
        "latest/one/docs and latest/two/docs would both become",
        "/target/docs",
        "hint: restore them one by one",
    ]);
    assert!(!target.exists());
}

#[test]
fn a_report_names_what_a_path_lies_in() {
    let place = Place::new();
    let target = place.path("target");
    for path in ["docs/a", "pics/d"] {
        fs::create_dir_all(target.join(path)).unwrap();
        fs::write(target.join(path).join("mine"), "mine").unwrap();
    }
    let command = run(&place, "restore latest/one/docs latest/two/pics --report").arg(place.path("report"));
    command.arg(&target).run().exits(3);
    let report = fs::read_to_string(place.path("report")).unwrap();
    let paths: Vec<_> = report
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["path"].clone())
        .collect();
    assert_eq!(paths, [json!("docs/a"), json!("pics/d")]);
}

#[test]
fn the_first_names_of_paths_can_be_left_out() {
    let place = Place::new();
    let strip = |arguments: &str, target: &str| {
        run(&place, &format!("restore latest {arguments}")).arg(place.path(target)).run()
    };
    let ran = strip("--strip-components 2", "two").exits(0);
    ran.says(&["note: 1 entry falls away by --strip-components 2"]);
    assert_eq!(names(&place.path("two")), ["a", "b", "c", "d"]);
    let ran = strip("--strip-components 1", "clash").exits(1);
    ran.says(&["one/docs and two/docs would both become docs"]);
    assert!(!place.path("clash").exists());
    strip("--strip-components 1 --include /two/pics --exclude top", "pics").exits(0);
    assert_eq!(names(&place.path("pics")), ["pics"]);
    strip("--strip-components 2 --exclude /two/docs/", "some").exits(0);
    assert_eq!(names(&place.path("some")), ["a", "b", "d"]);
    strip("--strip-components 3", "none").exits(1).says(&["--strip-components 3 leaves nothing of latest"]);
    strip("--strip-components 2 --delete-extra", "extra").exits(2);
}
