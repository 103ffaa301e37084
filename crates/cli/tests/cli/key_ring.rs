//! Passwords in the key ring of the system: which one counts, and what is said where none can be had.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kopia_testkit::secret_service::{Item, SecretService, State};
use kopia_testkit::servers;

use crate::common::KopiaRs;
use crate::connected::Home;
use crate::terminal::Terminal;

const ADDRESS: &str = "DBUS_SESSION_BUS_ADDRESS";
const USE: &str = "KOPIA_USE_KEYRING";

/// Somebody whose kopia is connected to a repository whose password is `golden`, and whose key ring has a
/// password for it.
struct Desk {
    home: Home,
    ring: SecretService,
}

impl Desk {
    fn new(state: State, password: &str) -> Self {
        let desk = Self::with_items(state, Vec::new());
        let config = desk.config();
        // What kopia calls it, from the path that the test has: what is in the ring has to fit to that.
        let service = desk.service(&config);
        let item = Item { service, user: servers::user(), password: password.into() };
        Self { ring: SecretService::start(state, vec![item]), ..desk }
    }

    fn with_items(state: State, items: Vec<Item>) -> Self {
        let home = Home::new().connect("repository.config", "golden");
        fs::remove_file(home.settings().join("repository.config.kopia-password")).unwrap();
        Self { home, ring: SecretService::start(state, items) }
    }

    fn config(&self) -> std::path::PathBuf {
        self.home.settings().join("repository.config")
    }

    /// As the shell has it, so that nothing of ours is asked what it should be.
    fn service(&self, config: &Path) -> String {
        let script = r#"printf 'repository.config-'; printf %s "$1" | sha256sum | head -c 16"#;
        let output = Command::new("sh").args(["-c", script, "sh"]).arg(config).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn store_in_file(&self, password: &str) {
        let file = self.home.settings().join("repository.config.kopia-password");
        fs::write(file, STANDARD.encode(password)).unwrap();
    }

    fn command(&self, arguments: &str) -> KopiaRs {
        self.home.command(arguments).env(ADDRESS, self.ring.address())
    }
}

#[test]
fn where_no_other_password_is_the_key_ring_has_it() {
    let desk = Desk::new(State::Open, "golden");
    let listed = desk.command("").run().exits(0);
    assert_eq!(listed.text(), KopiaRs::golden("sources", "snapshots").run().exits(0).text());
    desk.command("status --config").arg(desk.config()).run().exits(0);
    desk.command("doctor").run().exits(0);
    // Without the variable, the socket in its usual place.
    let runtime =
        desk.ring.address().strip_prefix("unix:path=").unwrap().strip_suffix("/bus").unwrap().to_owned();
    desk.home.command("status").env("XDG_RUNTIME_DIR", runtime).run().exits(0);
    desk.home.command("status").run().exits(1).says(&["no password is given"]);
    desk.command("status").env(USE, "false").run().exits(1).says(&["no password is given"]);

    let shown = desk.command("connections").run().exits(0);
    assert!(shown.text().contains("  password:    stored in the key ring\n"), "{}", shown.text());
    assert_eq!(desk.command("connections --json").run().exits(0).json()[0]["hasPassword"], true);
    let without = desk.home.command("connections").run().exits(0);
    assert!(without.text().contains("  password:    not stored\n"), "{}", without.text());
    assert!(!shown.text().contains(&STANDARD.encode("golden")));
}

#[test]
fn what_goes_before_it() {
    let wrong = Desk::new(State::Open, "wrong");
    let said = wrong.command("status").run().exits(1).says(&["the password does not open", "KOPIA_PASSWORD"]);
    assert!(said.stderr.contains("stored it in the key ring"), "{}", said.stderr);
    let said = wrong.command("doctor").run().exits(1);
    assert!(said.text().contains("key ring"), "{}", said.text());
    wrong.command("status").env("KOPIA_PASSWORD", "golden").run().exits(0);
    wrong.command("status").env("KOPIA_PASSWORD", "golden").env(USE, "true").run().exits(0);
    // To kopia an empty one is none.
    wrong.command("status").env("KOPIA_PASSWORD", "").run().exits(1).says(&["stored it in the key ring"]);
    let file = wrong.home.place.path("password");
    fs::write(&file, "golden\n").unwrap();
    wrong.command("status --password-file").arg(&file).run().exits(0);
    // The file beside the configuration goes before it, unless kopia is told to use the key ring.
    wrong.store_in_file("golden");
    wrong.command("status").run().exits(0);
    wrong.command("status").env(USE, "0").run().exits(0);
    wrong.command("status").env(USE, "true").run().exits(1).says(&["stored it in the key ring"]);
    let right = Desk::new(State::Open, "golden");
    right.store_in_file("wrong");
    right.command("status").env(USE, "1").run().exits(0);
    // As with kopia, the file is next where the key ring has none.
    let none = Desk::with_items(State::Open, Vec::new());
    none.store_in_file("golden");
    none.command("status").env(USE, "true").run().exits(0);
}

#[test]
fn a_key_ring_that_gives_nothing_is_told() {
    for state in [State::Locked, State::Hidden] {
        let locked = Desk::new(state, "golden");
        let said = locked.command("status").run().exits(1);
        said.says(&["no password is given, and the key ring is locked", "unlock", "KOPIA_PASSWORD"]);
        locked.store_in_file("golden");
        locked.command("status").env(USE, "true").run().exits(0);
    }
    let absent = Desk::new(State::Absent, "golden");
    let said = absent.command("status").run().exits(1).says(&["no password is given"]);
    assert!(!said.stderr.contains("key ring"), "{}", said.stderr);
    absent.command("status").env(USE, "true").run().exits(1).says(&["this session has no key ring"]);
    let stale = |command: KopiaRs| command.env(ADDRESS, "unix:path=/nonexistent/bus");
    let said = stale(absent.command("status")).run().exits(1).says(&["no password is given"]);
    assert!(!said.stderr.contains("key ring"), "{}", said.stderr);
    stale(absent.command("status")).env(USE, "true").run().exits(1).says(&["the key ring cannot be asked"]);
}

#[test]
fn at_a_terminal_a_locked_key_ring_is_no_end() {
    let desk = Desk::new(State::Locked, "golden");
    let mut terminal = Terminal::open();
    let mut child = Command::new(env!("CARGO_BIN_EXE_kopia-rs"))
        .args(["status", "--quiet"])
        .env_clear()
        .env("HOME", desk.home.place.path("home"))
        .env(ADDRESS, desk.ring.address())
        .stdin(terminal.inside())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    terminal.wait_for(&mut child, "note: the key ring is locked, so the password is asked for\n");
    terminal.answer(&mut child, "golden");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// With the real key ring and the real kopia, where they are installed: what one writes, the other reads.
#[test]
fn as_kopia_itself_stores_it() {
    let (Some(kopia), Some(session)) = (servers::kopia(), servers::find("dbus-run-session")) else { return };
    let Some(daemon) = servers::find("gnome-keyring-daemon") else { return };
    let home = Home::new();
    fs::write(home.settings().join("../hello.txt"), "hello").unwrap();
    // A bus and a key ring for as long as the script runs; the key ring is locked at its end.
    let script = r#"
        set -eu
        printf secret | "$DAEMON" --unlock --components=secrets >/dev/null
        "$KOPIA" repository create filesystem --path "$HOME/repository" --password 'pässword '
        "$KOPIA" snapshot create "$HOME/.config/hello.txt"
        test ! -e "$HOME/.config/kopia/repository.config.kopia-password"
        "$OURS" --json > "$HOME/listed"
        KOPIA_USE_KEYRING= "$OURS" connections > "$HOME/connections"
        dbus-send --session --print-reply --dest=org.freedesktop.secrets /org/freedesktop/secrets \
            org.freedesktop.Secret.Service.Lock array:objpath:/org/freedesktop/secrets/collection/login >/dev/null
        if "$OURS" status 2> "$HOME/locked"; then exit 9; fi
    "#;
    let output = Command::new(session)
        .args(["--", "sh", "-c", script])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.place.path("home"))
        .env("XDG_RUNTIME_DIR", home.place.path(""))
        .env("KOPIA_CACHE_DIRECTORY", home.place.path("cache"))
        .env("KOPIA_CHECK_FOR_UPDATES", "false")
        .env("KOPIA_USE_KEYRING", "true")
        .env("DAEMON", daemon)
        .env("KOPIA", kopia)
        .env("OURS", env!("CARGO_BIN_EXE_kopia-rs"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(home.place.path("home").join(name)).unwrap();
    let listed: serde_json::Value = serde_json::from_str(&read("listed")).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert!(read("connections").contains("stored in the key ring"), "{}", read("connections"));
    assert!(read("locked").contains("the key ring is locked"), "{}", read("locked"));
}
