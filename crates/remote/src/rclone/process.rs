//! The running rclone: started with a password of its own, ended with its last user.
//!
//! A process that is killed cannot kill its child. So the shell that becomes rclone leaves a watcher behind,
//! which reads from a pipe that only we hold: at the pipe's end the watcher kills rclone and removes what was
//! made for it. A word on the pipe sends the watcher away.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kopia_connection::storage::Rclone;
use kopia_connection::{Environment, Secret};
use kopia_storage::Failure;

use super::directory::PrivateDirectory;
use super::remote;
use super::words::{Secrets, Words};
use crate::connect::Options;

const SHELL: &str = "/bin/sh";

/// Becomes the program `$2 …`; `$1` is the directory to remove, if there is one.
const SCRIPT: &str = r#"exec 3<&0
directory=$1
shift
(
    if ! read -r _; then
        kill -9 $$
        [ -z "$directory" ] || rm -rf -- "$directory"
    fi
) <&3 >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-"#;

/// How long rclone may take to start, as in Kopia.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(15);

/// Options of the user's that would have rclone listen, encrypt or speak otherwise than it must.
const OVERRIDDEN: [&str; 9] =
    ["htpasswd", "cert", "key", "client-ca", "rc-htpasswd", "rc-cert", "rc-key", "rc-client-ca", "log-file"];

/// How much of a list of remotes is read, in bytes: what a pipe holds.
const MOST_NAMES: u64 = 64 << 10;

/// A running rclone.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// The end of the watcher's pipe, if there is a watcher.
    watcher: Option<ChildStdin>,
    words: Arc<Words>,
    /// Where its configuration lies.
    _directory: Option<PrivateDirectory>,
}

impl Process {
    /// Starts rclone, waits until it serves, and returns where server and remote control listen.
    ///
    /// # Errors
    /// [`Failure::Program`] if it cannot be started or ends, with its last words.
    pub(super) fn start(
        place: &Rclone,
        options: &Options,
        user: &str,
        password: &Secret,
    ) -> Result<(Self, String, String), Failure> {
        let name = place.program.as_deref().unwrap_or(Path::new("rclone"));
        let failed = |why: String| Failure::Program { program: name.display().to_string(), why };
        let program = find(name, &options.environment).map_err(failed)?;
        let mut arguments = arguments(place);
        let directory = configuration(place, options, &mut arguments, &failed)?;
        arguments.extend(ours());
        let mut command = command(&program, directory.as_ref(), &arguments);
        environment(&mut command, place, user, password);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| failed(format!("cannot be started: {error}")))?;
        let watcher = child.stdin.take();
        let output = child.stderr.take().ok_or_else(|| failed("has no output".into()))?;
        let words = Words::listen(output, name.display().to_string(), secrets(place, password));
        let words = match words {
            Ok(words) => words,
            Err(error) => {
                end(&mut child, watcher);
                return Err(failed(format!("cannot be listened to: {error}")));
            }
        };
        // From here on it ends with this value.
        let process = Self { child, watcher, words, _directory: directory };
        let (served, control) = process.words.addresses(place.startup_timeout.unwrap_or(STARTUP_TIMEOUT))?;
        Ok((process, served, control))
    }

    /// Closes the watcher's pipe, as the system does when this process is killed.
    #[cfg(test)]
    pub(super) fn close_pipe(&mut self) {
        self.watcher = None;
    }

    /// Returns what it says.
    pub(super) fn words(&self) -> Arc<Words> {
        Arc::clone(&self.words)
    }
}

/// Writes the connection's configuration, if it has one, where nobody else reads it.
fn configuration(
    place: &Rclone,
    options: &Options,
    arguments: &mut Vec<OsString>,
    failed: &impl Fn(String) -> Failure,
) -> Result<Option<PrivateDirectory>, Failure> {
    let Some(config) = &place.embedded_config else { return Ok(None) };
    let made = PrivateDirectory::new(&options.environment, &super::random()?);
    let directory = made.map_err(|error| failed(format!("has no place for its configuration: {error}")))?;
    let file = directory.write("rclone.conf", config.reveal());
    let file = file.map_err(|error| failed(format!("cannot be given its configuration: {error}")))?;
    arguments.extend(["--config".into(), file.into()]);
    Ok(Some(directory))
}

/// Lists the remotes that rclone knows, without the colons behind their names.
///
/// # Errors
/// [`Failure::Program`] if it cannot be run, or does not end in time.
pub(super) fn remotes(place: &Rclone, options: &Options) -> Result<Vec<String>, Failure> {
    let name = place.program.as_deref().unwrap_or(Path::new("rclone"));
    let failed = |why: String| Failure::Program { program: name.display().to_string(), why };
    let program = find(name, &options.environment).map_err(failed)?;
    let mut arguments = vec![OsString::from("listremotes"), "--ask-password=false".into()];
    let _directory = configuration(place, options, &mut arguments, &failed)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    environment(&mut command, place, "", &Secret::new(""));
    let cannot = |error: std::io::Error| failed(format!("cannot be run: {error}"));
    let mut child = command.spawn().map_err(cannot)?;
    let output = child.stdout.take().ok_or_else(|| failed("has no output".into()))?;
    let until = Instant::now() + STARTUP_TIMEOUT;
    // A list of names is shorter than a pipe is long, so that rclone ends without being read from.
    while child.try_wait().map_err(cannot)?.is_none() {
        if Instant::now() > until {
            end(&mut child, None);
            return Err(failed("does not end".into()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut text = String::new();
    output.take(MOST_NAMES).read_to_string(&mut text).map_err(cannot)?;
    Ok(text.lines().map(|line| line.trim_end_matches(':').to_string()).collect())
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.child, self.watcher.take());
    }
}

/// Kills a child and sends its watcher away.
fn end(child: &mut Child, watcher: Option<ChildStdin>) {
    // Neither may be there any more.
    let _ = child.kill();
    if let Some(mut watcher) = watcher {
        let _ = watcher.write_all(b"done\n");
    }
    let _ = child.wait();
}

/// Finds a program where the environment has programs. Without such places the system looks.
fn find(name: &Path, environment: &Environment) -> Result<PathBuf, String> {
    let Some(path) = environment.var_os("PATH").filter(|_| name.components().count() == 1) else {
        return Ok(name.into());
    };
    let places = std::env::split_paths(path).map(|place| place.join(name));
    let found = places.into_iter().find(|program| program.is_file());
    found.ok_or_else(|| "is not installed: it is in no directory of PATH".into())
}

/// What Kopia would call rclone with, before what must be so.
fn arguments(place: &Rclone) -> Vec<OsString> {
    let fixed = ["-v", "serve", "webdav", &place.remote_path];
    fixed.into_iter().map(OsString::from).chain(place.arguments.iter().map(OsString::from)).collect()
}

/// What must be so. The last one of doubled arguments counts.
fn ours() -> impl Iterator<Item = OsString> {
    let fixed = ["--read-only", "--addr=127.0.0.1:0", "--rc", "--rc-addr=127.0.0.1:0", "--stats=0"];
    let emptied = OVERRIDDEN.into_iter().map(|name| format!("--{name}="));
    fixed.into_iter().map(OsString::from).chain(emptied.map(OsString::from))
}

fn command(program: &Path, directory: Option<&PrivateDirectory>, arguments: &[OsString]) -> Command {
    let has_shell = Path::new(SHELL).exists();
    let mut command = Command::new(if has_shell { Path::new(SHELL) } else { program });
    if has_shell {
        let directory = directory.map(PrivateDirectory::path).unwrap_or(Path::new(""));
        command.args(["-c", SCRIPT, "sh"]).arg(directory).arg(program);
    }
    command.args(arguments);
    #[cfg(unix)]
    {
        // What a person types into the terminal is for us, and rclone ends with us.
        use std::os::unix::process::CommandExt as _;
        command.process_group(0);
    }
    command
}

/// Gives rclone its variables and the password.
///
/// The connection's variables are all that there are, if it has some; or else it has those of this process.
fn environment(command: &mut Command, place: &Rclone, user: &str, password: &Secret) {
    if !place.environment.is_empty() {
        command.env_clear();
    }
    for variable in &place.environment {
        if let Some((name, value)) = variable.reveal().split_once('=') {
            command.env(name, value);
        }
    }
    command.env_remove("KOPIA_PASSWORD");
    for name in OVERRIDDEN {
        command.env_remove(format!("RCLONE_{}", name.replace('-', "_").to_ascii_uppercase()));
    }
    for (prefix, value) in [("USER", user), ("PASS", password.reveal())] {
        command.env(format!("RCLONE_{prefix}"), value).env(format!("RCLONE_RC_{prefix}"), value);
    }
}

/// Collects what must not be in a message.
fn secrets(place: &Rclone, password: &Secret) -> Secrets {
    let value = |line: &str| line.split_once('=').map(|(_, value)| value.trim().to_string());
    let variables = place.environment.iter().filter_map(|variable| value(variable.reveal()));
    let config = place.embedded_config.as_ref().map_or("", Secret::reveal);
    let all = variables.chain(config.lines().filter_map(value)).chain(remote::values(&place.remote_path));
    Secrets(all.chain([password.reveal().to_string()]).collect())
}
