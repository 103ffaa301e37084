//! `doctor`, and the hints that other commands give by it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use kopia_testkit::damage::{self, RepositoryCopy, copy_repository};
use kopia_testkit::writer::RepositoryWriter;
use kopia_testkit::{faults, golden};
use serde_json::{Value, json};

use crate::common::{KopiaRs, Place, Ran, names, written};

/// An ordinary user: `nobody` on every system.
const NOBODY: u32 = 65534;

fn doctor(repository: &Path, arguments: &str) -> KopiaRs {
    KopiaRs::new(&format!("doctor {arguments}")).repository(repository).env("KOPIA_PASSWORD", "golden")
}

fn copy(name: &str) -> RepositoryCopy {
    copy_repository(&golden::case(name))
}

/// Copies a golden repository to a path, so that it can lie in another folder.
fn put(name: &str, path: &Path) {
    fs::create_dir_all(path.parent().expect("it lies somewhere")).expect("folders");
    fs::rename(copy(name).path(), path).or_else(|_| copy_all(&copy(name).path(), path)).expect("a copy");
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to)?
        } else {
            fs::copy(entry.path(), &to).map(drop)?
        };
    }
    Ok(())
}

/// The kinds of all findings.
fn kinds(ran: &Ran) -> Vec<String> {
    let json = ran.json();
    let findings = json["findings"].as_array().expect("findings");
    findings.iter().map(|finding| finding["kind"].as_str().expect("a kind").to_owned()).collect()
}

/// The one line of standard error that begins so.
#[track_caller]
fn line<'r>(ran: &'r Ran, begins: &str) -> &'r str {
    let lines: Vec<_> = ran.stderr.lines().filter_map(|line| line.strip_prefix(begins)).collect();
    let [line] = lines[..] else { panic!("{}", ran.stderr) };
    line
}

#[test]
fn a_sound_repository_has_no_findings() {
    for name in ["sources", "era-v0.5.2", "epochs", "compacted-v0.8.4", "layout-flat"] {
        let ran = doctor(&golden::case(name).repository, "--json").run().exits(0);
        let notes = kinds(&ran).into_iter().filter(|kind| kind != "unindexedPacks").count();
        assert_eq!((ran.json()["opened"].as_bool(), notes), (Some(true), 0), "{name}: {}", ran.text());
    }
    let ran = doctor(&golden::case("sources").repository, "app@media:/data/sub --target /tmp").run().exits(0);
    for text in [
        "opened      format version 3",
        "app@media:/data (3 snapshots, newest 2026-03-02T03:04:05Z)",
        "target",
    ] {
        assert!(ran.text().contains(text), "{}", ran.text());
    }
}

/// The case that this was made for: backups were written to `<volume>/repository`, and restores looked in
/// `<volume>`.
#[test]
fn a_repository_one_level_off_is_named_in_one_sentence() {
    let place = Place::new();
    let volume = place.path("volume");
    let repository = volume.join("repository");
    put("sources", &repository);
    // kopia leaves this where it looked in vain.
    fs::copy(repository.join(".shards"), volume.join(".shards")).unwrap();
    let nested = repository.join("repository");
    for (given, relation, begins) in [
        (&volume, "below", "holds no repository, but one lies below it"),
        (&nested, "above", "does not exist, but one lies above it"),
        (&repository.join("p"), "above", "holds no repository, but one lies above it"),
        (&repository.join("kopia.repository.f"), "above", "holds no repository, but one lies above it"),
        (&volume.join("kopia"), "beside", "does not exist, but one lies elsewhere"),
    ] {
        let sentence = format!(
            "{} {begins}, at {}: give --repository {}",
            given.display(),
            repository.display(),
            repository.display()
        );
        let status = KopiaRs::new("status").repository(given).env("KOPIA_PASSWORD", "golden").run().exits(1);
        assert_eq!(line(&status, "hint: "), sentence);
        let ran = doctor(given, "--json").run().exits(1);
        assert_eq!(line(&ran, "error: "), sentence);
        let found = &ran.json()["findings"][0];
        assert_eq!((&found["kind"], &found["found"][0]["relation"]), (&json!("elsewhere"), &json!(relation)));
        // What it says is right.
        let (_, path) = sentence.split_once("--repository ").unwrap();
        KopiaRs::new("status --repository").arg(path).env("KOPIA_PASSWORD", "golden").run().exits(0);
        let in_pod = KopiaRs::new("status").repository(given).env("KUBERNETES_SERVICE_HOST", "10.96.0.1");
        let in_pod = in_pod.env("KOPIA_PASSWORD", "golden").run();
        in_pod.exits(1).says(&[&format!("set KOPIA_REPOSITORY=filesystem://{}", repository.display())]);
    }
    // Without a password that is said as well.
    doctor(&volume, "").without_password().run().exits(1).says(&["one lies below it"]);
    put("sources", &volume.join("other/deeper"));
    let ran = doctor(&volume, "")
        .run()
        .exits(1)
        .says(&["but 2 lie near it", "give the right one, such as --repository"]);
    assert!(ran.stderr.contains(&format!(
        "{}, {}",
        repository.display(),
        volume.join("other/deeper").display()
    )));
}

#[test]
fn what_is_there_instead_is_named() {
    let place = Place::new();
    let folder = place.path("folder");
    fs::create_dir(&folder).unwrap();
    for name in ["lost+found", ".zfs", ".snapshot"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let said = |path: &Path| kinds(&doctor(path, "--json").run().exits(1));
    let is_volume = said(&folder) == ["noRepository"];
    if !is_volume {
        // The temporary folder lies in no volume, as in most systems.
        assert_eq!(said(&folder), ["notMounted"]);
        doctor(&folder, "").run().says(&[
            "is empty, and nothing is mounted there: mount the disk or share with the repository there",
        ]);
        let pod = doctor(&folder, "").env("KUBERNETES_SERVICE_HOST", "10.96.0.1").run();
        pod.says(&[&format!("(volumeMounts: mountPath {})", folder.canonicalize().unwrap().display())]);
    }
    fs::write(folder.join("notes.txt"), "").unwrap();
    assert_eq!(said(&folder), ["noRepository"]);
    doctor(&folder, "").run().says(&["holds no repository, but notes.txt"]);
    assert_eq!(said(&folder.join("notes.txt")), ["notAFolder"]);
    assert_eq!(said(&folder.join("a/b")), ["missing"]);
    // A copy of a bucket is a repository as it is.
    let bucket = folder.join("bucket");
    copy_all(&faults::repository("copy-of-bucket"), &bucket).unwrap();
    let option = format!("give --repository {}", bucket.display());
    doctor(&folder, "").run().exits(1).says(&["but one lies below it", &option]);
    doctor(&bucket, "").env("KOPIA_PASSWORD", faults::PASSWORD).run().exits(0);
    // kopia's cache, which has that file as well, is none.
    let cache = folder.join("cache");
    fs::create_dir_all(cache.join("contents")).unwrap();
    fs::copy(bucket.join("kopia.repository"), cache.join("kopia.repository")).unwrap();
    fs::remove_dir_all(&bucket).unwrap();
    let ran = doctor(&folder, "").run().exits(1);
    assert!(!ran.stderr.contains("lies below it"), "{}", ran.stderr);
}

#[test]
fn an_empty_mount_is_told_from_a_missing_one() {
    let place = Place::new();
    let volume = place.path("volume");
    fs::create_dir(&volume).unwrap();
    let script = r#"mount -t tmpfs -o size=1m nothing "$1" || exit 77
        "$2" doctor --repository "$1"; test $? = 1 || exit 1
        "$2" doctor --repository "$1/repository"; test $? = 1 || exit 1
        "$2" doctor latest --repository "$3" --target "$1"; test $? = 1"#;
    let elsewhere = Place::new();
    let large = elsewhere.path("large");
    written(&large, |writer| {
        let summary = json!({"size": 5_000_000, "files": 1, "symlinks": 0, "dirs": 1, "maxTime": "2026-01-01T00:00:00Z"});
        let root = writer.directory(&[]);
        writer.snapshot(
            "a@b:/c",
            json!({"name": "c", "type": "d", "mode": "0755", "obj": root, "summ": summary}),
        );
    });
    let ran = Command::new("unshare")
        .args(["-rm", "sh", "-c", script, "sh"])
        .arg(&volume)
        .arg(env!("CARGO_BIN_EXE_kopia-rs"))
        .arg(&large)
        .env("KOPIA_PASSWORD", kopia_testkit::writer::PASSWORD)
        .output();
    let said = match ran {
        Ok(ran) if ran.status.success() => String::from_utf8(ran.stderr).unwrap(),
        Ok(ran) if ran.status.code() == Some(1) && ran.stdout.is_empty() || ran.status.code() == Some(77) => {
            kopia_testkit::facilities::left_out("this system lets nobody mount");
            return;
        }
        other => panic!("{other:?}"),
    };
    let lines: Vec<_> = said.lines().collect();
    for line in &lines[..2] {
        assert!(line.contains("volume is empty: nothing (tmpfs) is mounted there"), "{said}");
    }
    assert!(lines[2].contains("the snapshot needs 5.0 MB, and"), "{said}");
}

/// A repository where another user can look, and the binary beside it.
struct Shared {
    place: Place,
    repository: PathBuf,
}

impl Shared {
    fn new() -> Self {
        let place = Place::new();
        fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).expect("it is ours");
        kopia_testkit::program::copy(env!("CARGO_BIN_EXE_kopia-rs"), &place.path("kopia-rs"));
        let repository = place.path("repository");
        put("sources", &repository);
        let shared = Self { place, repository };
        shared.set(1000, 0o700, 0o600);
        shared
    }

    /// Gives everything that lies there to a user, with modes of folders and files.
    fn set(&self, user: u32, folders: u32, files: u32) {
        fn set(path: &Path, user: u32, folders: u32, files: u32) {
            chown(path, Some(user), Some(user)).expect("it is ours");
            let mode = if path.is_dir() { folders } else { files };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
            if path.is_dir() {
                let entries =
                    fs::read_dir(path).expect("it is ours").map(|entry| entry.expect("it is ours").path());
                entries.for_each(|path| set(&path, user, folders, files));
            }
        }
        set(&self.repository, user, folders, files);
    }

    /// Runs a command as somebody without capabilities; returns the lines of standard error.
    fn run(&self, arguments: &str, user: u32, group: u32) -> (Option<i32>, String) {
        let mut command = Command::new(self.place.path("kopia-rs"));
        command.args(arguments.split_whitespace()).arg("--repository").arg(&self.repository);
        command.env_clear().env("KOPIA_PASSWORD", "golden").uid(user).gid(group);
        let output = command.output().expect("it is ours");
        (output.status.code(), String::from_utf8(output.stderr).expect("it is ours"))
    }

    fn path(&self, name: &str) -> String {
        let path = if name.is_empty() { self.repository.clone() } else { self.repository.join(name) };
        path.display().to_string()
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn who_may_not_read_is_told_who_may() {
    if !is_root() {
        kopia_testkit::facilities::left_out("only root can be somebody else");
        return;
    }
    let shared = Shared::new();
    let refused_with = |codes: [i32; 2], path: &str, mode: &str, what: &str| {
        let begins = format!(
            "{} refuses user {NOBODY} with group {NOBODY}: its owner is 1000:1000, its mode {mode}",
            shared.path(path)
        );
        let commands = ["doctor", "status"];
        for (command, expected) in commands.into_iter().zip(codes) {
            let (code, said) = shared.run(command, NOBODY, NOBODY);
            assert_eq!(code, Some(expected), "{said}");
            // A status that succeeds has no reason to say more.
            if code == Some(0) {
                continue;
            }
            assert!(said.contains(&begins) && said.contains(what), "{said}\n{begins} {what}");
            assert!(!said.contains("securityContext"), "nobody at a terminal has one: {said}");
        }
    };
    let refused = |path: &str, mode: &str, what: &str| refused_with([1, 1], path, mode, what);
    // As kopia makes them: only the owner helps, and does.
    refused("", "0700", "run as user 1000");
    assert_eq!(shared.run("doctor", 1000, 1000), (Some(0), String::new()));
    // One file of all.
    shared.set(1000, 0o755, 0o644);
    assert_eq!(shared.run("doctor", NOBODY, NOBODY), (Some(0), String::new()));
    // Blobs are found without `.shards`.
    for (name, codes) in [(".shards", [3, 0]), ("kopia.repository.f", [1, 1])] {
        fs::set_permissions(shared.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        refused_with(codes, name, "0600", "run as user 1000");
        fs::set_permissions(shared.path(name), fs::Permissions::from_mode(0o640)).unwrap();
        refused_with(codes, name, "0640", "run in group 1000");
        assert_eq!(shared.run("doctor", NOBODY, 1000), (Some(0), String::new()));
        fs::set_permissions(shared.path(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    // What nobody needs to read a repository may be anybody's.
    for name in ["kopia.maintenance.f", "_"] {
        fs::set_permissions(shared.path(name), fs::Permissions::from_mode(0o000)).unwrap();
    }
    assert_eq!(shared.run("doctor", NOBODY, NOBODY), (Some(0), String::new()));
    // Packs are not needed to open a repository; `doctor` looks at them all the same.
    fs::set_permissions(shared.path("p"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(shared.run("status", NOBODY, NOBODY).0, Some(0));
    let (code, said) = shared.run("doctor", NOBODY, NOBODY);
    assert!(
        code != Some(0) && said.contains(&shared.path("p")) && said.contains("run as user 1000"),
        "{said}"
    );
    // A folder on the way to it.
    shared.set(1000, 0o755, 0o644);
    fs::set_permissions(shared.place.path(""), fs::Permissions::from_mode(0o700)).unwrap();
    let (code, said) = run_outside(&shared);
    let way = format!(
        "{} refuses user {NOBODY}",
        shared.place.path("").display().to_string().trim_end_matches('/')
    );
    assert!(code == Some(1) && said.contains(&way), "{said}");
}

/// As [`Shared::run`], with the binary elsewhere.
fn run_outside(shared: &Shared) -> (Option<i32>, String) {
    let elsewhere = Shared::new();
    let mut command = Command::new(elsewhere.place.path("kopia-rs"));
    command.arg("doctor").arg("--repository").arg(&shared.repository);
    let output = command
        .env_clear()
        .env("KOPIA_PASSWORD", "golden")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("it runs");
    (output.status.code(), String::from_utf8(output.stderr).expect("it runs"))
}

/// Both at once: one level off, and closed. What it is cannot be seen from outside.
#[test]
fn a_folder_that_may_be_the_repository_is_named() {
    if !is_root() {
        kopia_testkit::facilities::left_out("only root can be somebody else");
        return;
    }
    let shared = Shared::new();
    let volume = shared.place.path("volume");
    fs::create_dir_all(volume.join("lost+found")).unwrap();
    fs::set_permissions(&volume, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(volume.join("lost+found"), fs::Permissions::from_mode(0o700)).unwrap();
    let repository = volume.join("repository");
    fs::rename(&shared.repository, &repository).unwrap();
    let shared = Shared { repository: volume, ..shared };
    let refuses = format!("{} refuses user {NOBODY}", repository.display());
    let (code, said) = shared.run("doctor", NOBODY, NOBODY);
    assert!(code == Some(1) && said.contains(&refuses) && said.contains("run as user 1000"), "{said}");
    // Who may look sees what it is.
    let (code, said) = shared.run("doctor", 1000, 1000);
    assert!(code == Some(1) && said.contains("one lies below it"), "{said}");
}

#[test]
fn where_several_users_wrote_no_single_one_is_named() {
    if !is_root() {
        kopia_testkit::facilities::left_out("only root can be somebody else");
        return;
    }
    let shared = Shared::new();
    let packs = damage::blobs(&shared.repository, "q");
    chown(&packs[0].path, Some(568), Some(568)).unwrap();
    for user in [NOBODY, 1000] {
        let (code, said) = shared.run("doctor", user, user);
        assert!(code != Some(0), "{said}");
        let helps = said.contains("no user may read all of it") && said.contains("chown -R 1000:1000")
            || said.contains("no user but root may read all of it; run as root");
        assert!(said.contains(":568") && helps || user == NOBODY, "{said}");
    }
}

#[test]
fn an_owner_may_have_shut_out_himself() {
    if is_root() {
        kopia_testkit::facilities::left_to_others("root is not refused");
        return;
    }
    let copy = copy("sources");
    fs::set_permissions(copy.path().join("kopia.repository.f"), fs::Permissions::from_mode(0o000)).unwrap();
    doctor(&copy.path(), "").run().exits(1).says(&["kopia.repository.f refuses user", "its mode 0000"]);
}

#[test]
fn a_nearly_right_password_is_told_and_never_shown() {
    // Not where the golden repositories lie, as that path holds the password.
    let copy = copy("sources");
    let place = Place::new();
    let file = place.path("password");
    let said_of = |ran: KopiaRs| {
        let ran = ran.repository(&copy.path()).run().exits(1).says(&["password"]);
        let all = format!("{}{}", ran.text(), ran.stderr);
        assert!(!all.contains("golden") && !all.contains("Z29sZGVu") && !all.contains("hunter2"), "{all}");
        ran.stderr
    };
    let said = |password: &str, effort: &str| said_of(KopiaRs::new(effort).env("KOPIA_PASSWORD", password));
    // White space around the variable is no matter; of a file, one line break is.
    let said_of_file = |password: &str, effort: &str| {
        fs::write(&file, format!("{password}\n")).unwrap();
        said_of(KopiaRs::new(effort).arg("--password-file").arg(&file))
    };
    for (password, text) in [
        ("golden\n", "without its trailing line break"),
        ("golden\r\n\n", "without its trailing line break"),
        (" golden", "without the blanks around it"),
        ("golden \n", "without the blanks around it"),
        ("\"golden\"", "without the quotes around it"),
        ("'golden'\n", "without the quotes around it"),
    ] {
        assert!(said_of_file(password, "doctor").contains(text), "{password:?}");
        assert!(said_of_file(password, "status").contains(text), "{password:?}");
    }
    for password in ["Z29sZGVu", "Z29sZGVuCg==\n"] {
        assert!(said(password, "doctor").contains("once it is decoded from base64"));
    }
    for password in ["hunter2", "", "\n", "hunter2\n"] {
        let said = said(password, "doctor");
        assert!(said.contains("the password does not open the repository: set KOPIA_PASSWORD"), "{said}");
    }
    let none = doctor(&golden::case("sources").repository, "").without_password().run().exits(1);
    none.says(&["no password is given", "KOPIA_PASSWORD"]);
}

#[test]
fn a_password_with_a_line_break_of_its_own() {
    let place = Place::new();
    let file = place.path("password");
    fs::write(&file, "golden\n\n").unwrap();
    let ran = KopiaRs::new("doctor")
        .repository(&golden::case("sources").repository)
        .arg("--password-file")
        .arg(&file);
    ran.run().exits(1).says(&["without its trailing line break"]);
}

#[test]
fn a_lost_format_blob_is_found_in_packs() {
    let place = Place::new();
    for damaged in [false, true] {
        let copy = copy("era-v0.8.4");
        let blob = copy.blob("kopia.repository");
        if damaged {
            blob.write(b"{\"tool\":")
        } else {
            blob.delete()
        }
        let (kind, why) = match damaged {
            false => ("formatBlobMissing", "holds a repository without kopia.repository"),
            true => ("formatBlobDamaged", "is damaged"),
        };
        // A hint does not search packs, and says who does.
        let status = KopiaRs::new("status").repository(&copy.path()).env("KOPIA_PASSWORD", "golden");
        status.run().exits(1).says(&[why, "kopia-rs doctor"]);
        let ran = doctor(&copy.path(), "--json").run().exits(1).says(&[
            why,
            "has a replica of it",
            "--save-format-blob",
        ]);
        assert_eq!(kinds(&ran), [kind]);
        doctor(&copy.path(), "").without_password().run().exits(1).says(&["has a replica of it"]);
        let other = doctor(&copy.path(), "").env("KOPIA_PASSWORD", "wrong");
        other.run().exits(1).says(&["the password opens none of them"]);

        let before = names(&copy.path());
        let file = place.path(if damaged { "damaged" } else { "lost" });
        let save = |file: &Path| doctor(&copy.path(), "").arg("--save-format-blob").arg(file).run();
        // Nothing is left where it cannot be written whole, as on a full disk.
        let kept = names(&place.path(""));
        let cut = doctor(&copy.path(), "").arg("--save-format-blob").arg(&file);
        cut.after("trap '' XFSZ; ulimit -f 0").run().exits(1).says(&["cannot be written: File too large"]);
        assert_eq!(names(&place.path("")), kept);
        save(&file).exits(1);
        assert!(file.exists());
        let ran = KopiaRs::new("ls latest").repository(&copy.path()).env("KOPIA_PASSWORD", "golden");
        ran.arg("--format-blob").arg(&file).run().exits(0);
        doctor(&copy.path(), "").arg("--format-blob").arg(&file).run().exits(0);
        // Nothing is replaced, followed, or written to the repository.
        save(&file).exits(1).says(&["exists"]);
        symlink(copy.path(), place.path(&format!("link-{damaged}"))).unwrap();
        symlink(place.path("target"), place.path(&format!("dangling-{damaged}"))).unwrap();
        for path in [
            copy.path().join("new"),
            copy.path().join("p/../new"),
            place.path(&format!("link-{damaged}/q/new")),
        ] {
            save(&path).exits(1).says(&["cannot be written"]);
        }
        save(&place.path(&format!("dangling-{damaged}"))).exits(1);
        assert_eq!(names(&copy.path()), before);
        assert!(!place.path("target").exists());
    }
}

#[test]
fn a_format_blob_without_replicas_or_with_one_bit_wrong() {
    let lost = copy("sources");
    lost.blob("kopia.repository").delete();
    doctor(&lost.path(), "").run().exits(1).says(&["none of 12 packs read has a replica", "another copy"]);
    let place = Place::new();
    let save = doctor(&lost.path(), "").arg("--save-format-blob").arg(place.path("file")).run();
    save.exits(1).says(&["no replica of the format blob is in the 12 packs read"]);
    assert!(!place.path("file").exists());
    // A wrong bit in what is sealed looks like a wrong password; a replica tells.
    let wrong = copy("format-v1");
    let blob = wrong.blob("kopia.repository");
    let text = String::from_utf8(blob.read()).unwrap();
    let (begin, _) = text.split_once("encryptedBlockFormat").unwrap();
    let at = begin.len() + 100;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    blob.write(format!("{}{other}{}", &text[..at], &text[at + 1..]).as_bytes());
    doctor(&wrong.path(), "")
        .run()
        .exits(1)
        .says(&["the password opens a replica of it, but not the blob itself"]);
    doctor(&wrong.path(), "")
        .env("KOPIA_PASSWORD", "wrong")
        .run()
        .exits(1)
        .says(&["does not open the repository: set"]);
    for file in ["/nonexistent", "/dev/null", "/"] {
        let ran = doctor(&golden::case("sources").repository, "").arg("--format-blob").arg(file).run();
        ran.exits(1).says(&["the format blob", "cannot be used"]);
    }
}

#[test]
fn a_cache_of_kopia_is_called_one() {
    let place = Place::new();
    let cache = place.path("cache");
    fs::create_dir_all(cache.join("contents")).unwrap();
    fs::write(cache.join("kopia.repository"), "{}").unwrap();
    let fact = format!("{} is kopia's cache of a repository, and no repository itself", cache.display());
    let ran = doctor(&cache, "--json").run().exits(1).says(&[&fact]);
    assert_eq!(kinds(&ran), ["cache"]);
    for command in ["status", "snapshots", "verify"] {
        let ran = KopiaRs::written(&cache, command).run().exits(1).says(&[&fact]);
        assert!(ran.stderr.contains("hint: give the folder that holds kopia.repository.f"), "{}", ran.stderr);
    }
    // Nor is it offered to whoever looks beside it.
    let ran = doctor(&place.path(""), "").run().exits(1);
    assert!(!ran.stderr.contains("lies below"), "{}", ran.stderr);
}

#[test]
fn an_identity_that_is_nearly_right_is_named() {
    let repository = golden::case("sources").repository;
    // A person is asked; a pod's log also says what VolSync's manifest has to say.
    let said = |wanted: &str, person: &str, pod: &str| {
        for (text, in_pod) in [(person, false), (pod, true)] {
            let place =
                |ran: KopiaRs| if in_pod { ran.env("KUBERNETES_SERVICE_HOST", "10.96.0.1") } else { ran };
            let ran = place(doctor(&repository, wanted).arg("--json")).run().exits(1).says(&[text]);
            assert_eq!(kinds(&ran)[0], "noSnapshot");
            assert!(in_pod || !ran.stderr.contains("sourceIdentity"), "{}", ran.stderr);
            let ls = place(KopiaRs::golden("sources", "ls").arg(wanted)).run().exits(1);
            assert_eq!(ls.stderr.contains(text), !text.contains("first backup"), "{}", ls.stderr);
        }
    };
    said(
        "appsrc@media:/data",
        "there is no snapshot of appsrc@media:/data; the repository has app-src@media:/data (1 snapshot, newest \
         2026-11-22T23:32:53Z) and 4 more: did you mean app-src@media:/data?",
        "2026-11-22T23:32:53Z) and 4 more: did you mean app-src@media:/data? (with VolSync: set sourceIdentity: \
         {sourceName: app-src, sourceNamespace: media})",
    );
    let set = "(with VolSync: set sourceIdentity: {sourceName: app, sourceNamespace: media})";
    said("app@default:/data", "did you mean app@media:/data?", set);
    said("db@media:/var/lib", "did you mean db@media:/var/lib/db?", "sourcePathOverride: /var/lib/db})");
    let first = "unless this is to be the first backup";
    said("new@media:/data", first, first);
    // A path that a snapshot lacks is no identity.
    let ran = doctor(&golden::case("sources").repository, "app@media:/data/nope --json").run().exits(1);
    assert_eq!(kinds(&ran), ["failed"]);
    doctor(&golden::case("sources").repository, "latest")
        .run()
        .exits(1)
        .says(&["latest is ambiguous: name one of these"]);
}

#[test]
fn damage_is_named_with_what_can_be_done() {
    let copy = copy("sources");
    let index = copy.blobs("xn0_").remove(0);
    let whole = index.read();
    index.truncate(whole.len() / 2);
    let ran = doctor(&copy.path(), "--json").run().exits(1).says(&[&index.id, "--degraded"]);
    assert_eq!(kinds(&ran), ["failed", "losses"]);
    assert_eq!(ran.json()["findings"][0]["cause"], "damagedIndex");
    // Opened all the same: what is wrong is still wrong.
    let ran = doctor(&copy.path(), "--degraded --json").run().exits(3);
    assert_eq!(kinds(&ran), ["losses"]);
    // Gone without a trace, but for the packs that it named. Which of them holds the snapshots is not known.
    index.write(&whole);
    let hidden = copy.blobs("xn0_").into_iter().any(|index| {
        let whole = index.read();
        index.delete();
        let ran = doctor(&copy.path(), "--json").run();
        let json = ran.json();
        let is_hidden = json["findings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|finding| finding["hiding"] != 0 && finding["kind"] == "unindexedPacks");
        assert_eq!(ran.code, Some(if is_hidden { 3 } else { 0 }), "{}", ran.text());
        fs::write(&index.path, whole).unwrap();
        is_hidden
    });
    assert!(hidden);
}

#[test]
fn what_cannot_be_read_here_is_said_as_everywhere() {
    let place = Place::new();
    let open = |field: &str, value: Value| {
        let path = place.path(field);
        let mut writer = kopia_testkit::writer::RepositoryWriter::new().format(field, value);
        let root = writer.directory(&[]);
        writer.snapshot("a@b:/c", json!({"name": "c", "type": "d", "mode": "0755", "obj": root}));
        writer.finish_in(&path).unwrap();
        KopiaRs::written(&path, "doctor --json").run().exits(1)
    };
    let cause = |ran: &Ran| ran.json()["findings"][0]["cause"].clone();
    assert_eq!(cause(&open("version", json!(9))), "unsupported");
    assert_eq!(cause(&open("encryption", json!("SALSA20-HMAC"))), "unsupported");
    let lock = json!({"ownerID": "me", "creationTime": "2026-01-01T00:00:00Z", "message": "upgrading", "ioDrainTimeout": 900_000_000_000_u64});
    let ran = open("upgradeLock", lock).says(&[
        "me has been upgrading the repository since 2026-01-01 00:00:00 UTC (upgrading)",
        "upgrade rollback --force",
    ]);
    assert_eq!(cause(&ran), "upgrading");
    fs::write(place.path("version/.shards"), "{").unwrap();
    // That is no matter: blobs are found without it.
    let ran = KopiaRs::written(&place.path("version"), "doctor --json").run().exits(1);
    assert_eq!(cause(&ran), "unsupported");
}

#[test]
fn hostile_folders_neither_block_nor_mislead() {
    let place = Place::new();
    let folder = place.path("folder");
    fs::create_dir_all(folder.join("a/b")).unwrap();
    symlink("..", folder.join("a/b/up")).unwrap();
    symlink("/", folder.join("root")).unwrap();
    symlink("self", folder.join("self")).unwrap();
    let fifo =
        |path: &str| assert!(Command::new("mkfifo").arg(folder.join(path)).status().unwrap().success());
    fifo("kopia.repository.f");
    fifo("a/kopia.repository.f");
    fifo("a/.shards");
    fs::create_dir(folder.join("a/b/kopia.repository.f")).unwrap();
    doctor(&folder, "").run().exits(1).says(&["kopia.repository"]);
    fs::remove_file(folder.join("kopia.repository.f")).unwrap();
    fifo(".shards");
    doctor(&folder, "").run().exits(1);
    doctor(&folder.join("self"), "").run().exits(1);
    doctor(&folder.join("self/x"), "").run().exits(1);
    doctor(&folder.join("a/b/up/b/up/b/up"), "").run().exits(1);
    // Names that would do something to a terminal, or make two lines of one.
    let repository = place.path("odd\n\u{1b}[31merror: x");
    put("sources", &repository.join("repo"));
    let ran = doctor(&repository, "").run().exits(1);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains('\u{1b}'));
}

#[test]
fn a_target_is_looked_at_before_anything_is_written() {
    let place = Place::new();
    let repository = place.path("repo");
    written(&repository, |writer| {
        let root = writer.directory(&[]);
        let mut snapshot = |source: &str, size: u64, files: u64| {
            let summary = json!({"size": size, "files": files, "symlinks": 0, "dirs": 1, "maxTime": "2026-01-01T00:00:00Z"});
            writer.snapshot(
                source,
                json!({"name": "c", "type": "d", "mode": "0755", "obj": root, "summ": summary}),
            );
        };
        snapshot("small@b:/c", 10, 1);
        snapshot("large@b:/c", 1 << 60, 1);
        snapshot("many@b:/c", 0, 1 << 50);
    });
    let doctor = |what: &str, target: &Path| {
        KopiaRs::written(&repository, "doctor --json").arg(what).arg("--target").arg(target).run()
    };
    let target = place.path("new/target");
    let ran = doctor("small@b:/c", &target).exits(0);
    assert!(ran.json()["target"]["freeBytes"].as_u64().unwrap() > 0);
    assert!(!place.path("new").exists());
    let ran = doctor("large@b:/c", &target).exits(1).says(&["the snapshot needs 1.2 EB, and", "make room"]);
    assert_eq!(kinds(&ran), ["noSpace"]);
    assert_eq!(kinds(&doctor("many@b:/c", &target).exits(1)).first().map(String::as_str), Some("noSpace"));
    assert_eq!(kinds(&doctor("small@b:/c", &repository.join("kopia.repository.f")).exits(1)), ["notAFolder"]);
    if is_root() {
        let shared = Shared::new();
        let (code, said) =
            shared.run(&format!("doctor --target {}", shared.place.path("x").display()), 1000, 1000);
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains("refuses user 1000 with group 1000: its owner is 0:0, its mode 0755"),
            "{said}"
        );
    }
}

#[test]
fn packs_that_are_not_there_are_named() {
    let copy = copy("sources");
    let packs = copy.blobs("p");
    let gone = &packs[0];
    gone.delete();
    let ran = doctor(&copy.path(), "--json").run().exits(3);
    let finding = ran.json()["findings"][0].clone();
    assert_eq!((&finding["kind"], &finding["packs"]), (&"missingPacks".into(), &1.into()));
    assert_eq!(finding["example"], *gone.id);
    assert!(finding["contents"].as_u64() > Some(0));
    ran.says(&["1 pack that indexes name is not there", "another copy", "kopia-rs verify"]);
}

/// Whoever asks doctor first learns what the dry run and the restore say, and ends as they do.
#[test]
fn what_the_target_cannot_hold_is_foreseen() {
    let place = Place::new();
    let [repository, target] = ["repository", "target"].map(|name| place.path(name));
    let mut writer = RepositoryWriter::new();
    let file = writer.file(b"x");
    // Japanese names of NTFS have up to three bytes for each letter.
    let long = "名".repeat(86);
    let [fits, refused] = ["fits", &long]
        .map(|name| json!({"name": name, "type": "f", "mode": "0644", "size": 1, "obj": file}));
    let inner = writer.directory(&[fits.clone(), refused]);
    let sub = json!({"name": "sub", "type": "d", "mode": "0755", "obj": inner});
    let root = writer.directory(&[fits, sub]);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    writer.finish_in(&repository).expect("a repository");
    let run = |arguments: &str| KopiaRs::written(&repository, arguments).arg(&target).run();
    let why = format!("sub/{long}: the target's file system does not take a name of this length");
    for is_there in [false, true] {
        if is_there {
            fs::create_dir_all(target.join("sub")).expect("folders");
            fs::write(target.join("fits"), "another").expect("written");
        }
        let ran = run("doctor latest --json --target").exits(3);
        let json = ran.json();
        let findings = json["findings"].as_array().expect("a list");
        let finding = findings.iter().find(|finding| finding["kind"] == "unfitEntries").expect("found");
        assert_eq!((&finding["entries"], &finding["more"]), (&json!(1), &json!(false)));
        assert_eq!((&finding["weight"], &finding["class"]), (&json!("problem"), &json!("Unsupported")));
        assert!(finding["example"].as_str().is_some_and(|example| example.starts_with(&why)), "{finding}");
        assert!(line(&ran, "error: ").contains(&format!("1 entry of the snapshot, such as {why}")));
        assert_eq!(target.exists(), is_there);
        run("restore latest --dry-run").exits(3).says(&[&why]);
    }
    // The other findings are shown before.
    let ran = run("doctor latest --target").exits(3);
    let place_of = |row: &str| ran.text().find(row).expect("it is shown");
    assert!(place_of("\ntarget ") < place_of("\nproblem "), "{}", ran.text());
    // Where it cannot be looked at, that is said.
    let busy = target.join(".kopia-rs-restore-k0");
    fs::create_dir(&busy).expect("a folder");
    let lock = fs::File::open(&busy).expect("it is there");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).expect("nobody has it");
    let notes = run("doctor latest --json --target").exits(0).json()["notes"].to_string();
    assert!(notes.contains("can hold all entries is not known: ") && notes.contains("--dry-run"), "{notes}");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::Unlock).expect("it was taken");
    fs::remove_dir(busy).expect("it is empty");
    run("doctor latest/fits --json --target").exits(0);
    run("restore latest").exits(3).says(&[&why]);
}

#[test]
fn what_lies_in_folders_that_cannot_be_read_is_not_taken_for_fit() {
    let place = Place::new();
    let [repository, target] = ["repository", "target"].map(|name| place.path(name));
    written(&repository, |writer| {
        let file = writer.file(b"x");
        let file = |name: &str| json!({"name": name, "type": "f", "mode": "0644", "size": 1, "obj": file});
        let lost =
            json!({"name": "lost", "type": "d", "mode": "0755", "obj": "k00000000000000000000000000000001"});
        let summary =
            json!({"size": 1, "files": 1, "symlinks": 0, "dirs": 1, "maxTime": "2026-01-01T00:00:00Z"});
        let inner = writer.directory(&[file("inner")]);
        let kept =
            json!({"name": ".kopia-rs-undo-x", "type": "d", "mode": "0755", "obj": inner, "summ": summary});
        let mut snapshot = |source: &str, entries: &[Value]| {
            let root = writer.directory(entries);
            writer.snapshot(source, json!({"name": "c", "type": "d", "mode": "0755", "obj": root}));
        };
        snapshot("lost@b:/c", &[file("a"), lost.clone()]);
        snapshot("both@b:/c", &[file(&"x".repeat(300)), lost]);
        snapshot("kept@b:/c", &[file("a"), kept.clone()]);
        snapshot("long@b:/c", &[file(&"x".repeat(300)), kept]);
    });
    let run = |what: &str, code| {
        let doctor = KopiaRs::written(&repository, "doctor --json").arg(what).arg("--target").arg(&target);
        doctor.run().exits(code)
    };
    let is_unknown = |ran: &Ran, why: &str| {
        let notes = ran.json()["notes"].to_string();
        notes.contains(&format!("{} can hold all entries is not known: {why}", target.display()))
    };
    let lost = run("lost@b:/c", 0);
    assert_eq!(kinds(&lost), [""; 0]);
    assert!(is_unknown(&lost, "lost: "), "{}", lost.text());
    // Nor can a dry run read them.
    let notes = lost.json()["notes"].to_string();
    assert!(notes.contains("`verify` names") && !notes.contains("--dry-run"), "{notes}");
    let both = run("both@b:/c", 3);
    assert_eq!(kinds(&both), ["unfitEntries"]);
    let finding = &both.json()["findings"][0];
    assert_eq!((&finding["entries"], &finding["more"]), (&json!(1), &json!(true)), "{finding}");
    // One that is not restored for another reason hides nothing, however much lies in it.
    let kept = run("kept@b:/c", 0);
    assert_eq!(kinds(&kept), [""; 0]);
    assert!(!is_unknown(&kept, ""), "{}", kept.text());
    let long = run("long@b:/c", 3);
    assert_eq!(kinds(&long), ["unfitEntries"]);
    let finding = &long.json()["findings"][0];
    assert_eq!((&finding["entries"], &finding["more"]), (&json!(1), &json!(false)), "{finding}");
}

#[test]
fn entries_are_not_looked_at_in_vain_or_without_end() {
    let place = Place::new();
    let [repository, target] = ["repository", "target"].map(|name| place.path(name));
    written(&repository, |writer| {
        let file = writer.file(b"x");
        let long = json!({"name": "x".repeat(300), "type": "f", "mode": "0644", "size": 1, "obj": file});
        let root = writer.directory(&[long]);
        let mut snapshot = |source: &str, size: u64, files: u64| {
            let summary = json!({"size": size, "files": files, "symlinks": 0, "dirs": 1, "maxTime": "2026-01-01T00:00:00Z"});
            let root = json!({"name": "c", "type": "d", "mode": "0755", "obj": root, "summ": summary});
            writer.snapshot(source, root);
        };
        snapshot("small@b:/c", 1, 1);
        snapshot("large@b:/c", 1 << 60, 1);
        snapshot("many@b:/c", 1, 100_000);
    });
    for (what, code, expected) in [
        ("small@b:/c", 3, &["unfitEntries"][..]),
        // Nothing can be restored anyway.
        ("large@b:/c", 1, &["noSpace"]),
        ("many@b:/c", 0, &[]),
    ] {
        let doctor = KopiaRs::written(&repository, "doctor --json").arg(what).arg("--target").arg(&target);
        assert_eq!(kinds(&doctor.run().exits(code)), expected, "{what}");
    }
}

/// Other things may lie beside the blobs, and only who may not read a blob is told whose it is.
#[test]
fn only_what_is_needed_must_be_readable() {
    if !is_root() {
        kopia_testkit::facilities::left_out("only root can be somebody else");
        return;
    }
    let shared = Shared::new();
    shared.set(1000, 0o755, 0o644);
    // Folders of others, also those whose names begin as those of blobs do.
    for other in ["documents", "mysql", "media", "notes", "xfer", "quarantine", "photos", "p/private"] {
        fs::create_dir_all(shared.path(other)).unwrap();
        fs::set_permissions(shared.path(other), fs::Permissions::from_mode(0o700)).unwrap();
    }
    assert_eq!(shared.run("doctor", NOBODY, NOBODY), (Some(0), String::new()));
    assert_eq!(shared.run("verify --quiet", NOBODY, NOBODY), (Some(0), String::new()));
    // One pack: what is lost could be read by its owner.
    let packs = kopia_testkit::damage::blobs(&shared.repository, "p");
    packs.iter().for_each(|pack| fs::set_permissions(&pack.path, fs::Permissions::from_mode(0o600)).unwrap());
    let target = tempfile::tempdir().unwrap();
    fs::set_permissions(target.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let restore = format!("restore c3bc {}/new", target.path().display());
    let (code, said) = shared.run(&restore, NOBODY, NOBODY);
    assert!(code == Some(3) && said.contains("its owner is 1000:1000, its mode 0600"), "{said}");
    assert!(said.contains("run as user 1000") && !said.contains("another copy"), "{said}");
}
