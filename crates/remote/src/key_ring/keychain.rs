//! The keychain of macOS, asked by its own program as go-keyring asks it. Authority: go-keyring's
//! `keyring_darwin.go`.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Error, Found};

/// The program.
#[cfg(target_os = "macos")]
pub(super) const SECURITY: &str = "/usr/bin/security";

/// What stands before a password in base64, as go-keyring writes all of them.
const BASE64: &str = "go-keyring-base64:";

/// What stands before one in hexadecimal digits, as it wrote them before.
const HEX: &str = "go-keyring-encoded:";

/// How `security` ends where there is no such password (`errSecItemNotFound`).
const NOT_FOUND: i32 = 44;

/// How it ends where a dialog is needed and none can be shown (`errSecInteractionNotAllowed`).
const LOCKED: i32 = 36;

/// How long the user may take to allow it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often it is looked whether the program has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// The longest answer, in bytes. go-keyring stores commands of at most 4096.
const LONGEST: u64 = 1 << 14;

/// Asks for a password by each of its names.
pub(super) fn find(security: &Path, names: &[String], user: &str) -> Found {
    for name in names {
        if let Some(password) = find_one(security, name, user)? {
            return Ok(Some(password));
        }
    }
    Ok(None)
}

fn find_one(security: &Path, name: &str, user: &str) -> Found {
    let failed = |why: String| Error::Failed { why: format!("{}: {why}", security.display()) };
    let mut command = Command::new(security);
    command.args(["find-generic-password", "-s", name, "-wa", user]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let status = wait(&mut child).map_err(|error| failed(error.to_string()))?;
    let Some(status) = status else { return Err(Error::Silent { seconds: TIMEOUT.as_secs() }) };
    match status.code() {
        Some(0) => {}
        Some(NOT_FOUND) => return Ok(None),
        Some(LOCKED) => return Err(Error::Locked),
        _ => return Err(failed(format!("it ended with {status}"))),
    }
    let mut answer = Zeroizing::new(Vec::with_capacity(LONGEST as usize));
    let output = child.stdout.take().ok_or_else(|| failed("it has no output".into()))?;
    output.take(LONGEST).read_to_end(&mut answer).map_err(|error| failed(error.to_string()))?;
    decode(&answer).map(Some).ok_or_else(|| failed("its answer makes no sense".into()))
}

/// Waits for the program to end; one that takes too long is ended. What it writes fits into its pipe.
fn wait(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() > TIMEOUT {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}

/// Undoes what go-keyring does to a password.
fn decode(answer: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(answer).ok()?.trim();
    let mut bytes = Zeroizing::new(vec![0; text.len()]);
    if let Some(text) = text.strip_prefix(BASE64) {
        let length = STANDARD.decode_slice(text, &mut bytes[..]).ok()?;
        bytes.truncate(length);
    } else if let Some(text) = text.strip_prefix(HEX) {
        bytes.clear();
        for pair in text.as_bytes().chunks(2) {
            bytes.push(u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?);
        }
    } else {
        bytes.copy_from_slice(text.as_bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks a program that is written like the system's: it ends and answers as the script says.
    fn ask(script: &str) -> Result<Option<String>, Error> {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("security");
        kopia_testkit::program::write(&program, &format!("#!/bin/sh\n{script}\n"));
        let names = ["a.config-1".to_owned(), "b.config-2".to_owned()];
        let found = find(&program, &names, "alice")?;
        Ok(found.map(|password| String::from_utf8(password.to_vec()).unwrap()))
    }

    #[test]
    fn what_the_program_says_is_understood() {
        for (script, password) in [
            ("echo go-keyring-base64:cMOkc3MgIA==", Some("päss  ")),
            ("echo go-keyring-encoded:70c3a47373", Some("päss")),
            ("echo ' plain '", Some("plain")),
            // By the second name, with the arguments that go-keyring gives.
            (
                r#"[ "$*" = "find-generic-password -s b.config-2 -wa alice" ] && echo two || exit 44"#,
                Some("two"),
            ),
            ("exit 44", None),
        ] {
            assert_eq!(ask(script).unwrap().as_deref(), password, "{script}");
        }
        assert_eq!(ask("exit 36"), Err(Error::Locked));
        for script in ["exit 1", "echo go-keyring-base64:hush!", "echo go-keyring-encoded:hush"] {
            let Err(Error::Failed { why }) = ask(script) else { panic!("{script} fails") };
            assert!(why.contains("security") && !why.contains("hush"), "{why}");
        }
        let missing = find("/nonexistent/security".as_ref(), &["x".into()], "alice");
        assert!(matches!(missing, Err(Error::Failed { .. })));
    }
}
