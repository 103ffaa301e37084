//! Another program as the way to the server: `ssh`, which knows jump hosts, tokens and `~/.ssh/config`.
//!
//! SFTP runs over its standard input and output. It ends with the store: it is killed when the store is
//! dropped, and when this process ends in any way, its input does. Authority: `getSFTPClientExternal` in
//! Kopia's `repo/blob/sftp`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kopia_connection::storage::ExternalSsh;
use kopia_storage::Failure;
use tokio::net::unix::pipe;

use super::fault::{Fault, shortened};
use super::place::Place;

/// How long a program may take to end after its output did, for its last words.
const ENDS_WITHIN: Duration = Duration::from_millis(500);
/// The longest line that is taken of what it says.
const MAX_LINE: u64 = 4096;

/// A running program, which is killed when dropped.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    child: Child,
    said: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

/// Starts the program. It must be called on the runtime.
pub(super) fn start(
    place: &Place,
    external: &ExternalSsh,
) -> Result<(pipe::Receiver, pipe::Sender, Program), Fault> {
    let name = external.command.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "ssh".into());
    let cannot = |error: std::io::Error| {
        Fault::Final(Failure::Unusable { what: format!("the program {name:?} cannot be run: {error}") })
    };
    let mut command = Command::new(&name);
    command.args(arguments(place, external));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(cannot)?;
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut program = Program { name: name.clone(), child, said: Arc::default(), listener: None };
    let (Some(input), Some(output), Some(errors)) = (input, output, errors) else {
        return Err(cannot(std::io::ErrorKind::BrokenPipe.into()));
    };
    program.listen(errors).map_err(cannot)?;
    let sender = pipe::Sender::from_owned_fd(OwnedFd::from(input)).map_err(cannot)?;
    let receiver = pipe::Receiver::from_owned_fd(OwnedFd::from(output)).map_err(cannot)?;
    Ok((receiver, sender, program))
}

/// Returns the arguments as kopia gives them; the port is not among them.
fn arguments(place: &Place, external: &ExternalSsh) -> Vec<String> {
    let given = external.arguments.iter().filter(|argument| !argument.is_empty()).cloned();
    let (user, host) = (&place.sftp.username, &place.sftp.host);
    let destination = if user.is_empty() { host.clone() } else { format!("{user}@{host}") };
    given.chain([destination, "-s".into(), "sftp".into()]).collect()
}

impl Program {
    /// Keeps the last line of what it says on standard error.
    fn listen(&mut self, errors: ChildStderr) -> std::io::Result<()> {
        let said = Arc::clone(&self.said);
        let listen = move || {
            let mut errors = BufReader::new(errors);
            let mut line = Vec::new();
            loop {
                line.clear();
                match errors.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
                let text = String::from_utf8_lossy(&line);
                if !text.trim().is_empty() {
                    *said.lock().unwrap_or_else(PoisonError::into_inner) = text.trim().to_owned();
                }
            }
        };
        self.listener = Some(std::thread::Builder::new().name("ssh-stderr".into()).spawn(listen)?);
        Ok(())
    }

    /// Makes a better fault of one that came while the session began: the program may have said why.
    pub(super) async fn explain(&mut self, place: &Place, fault: Fault) -> Fault {
        let Fault::Lost(_) = fault else { return fault };
        let started = Instant::now();
        let mut ended = None;
        while started.elapsed() < ENDS_WITHIN {
            ended = self.child.try_wait().ok().flatten();
            if ended.is_some() && self.listener.as_ref().is_none_or(JoinHandle::is_finished) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(status) = ended else { return fault };
        classified(place, &self.name, &status.to_string(), &said)
    }
}

/// Makes the fault of a program that ended, by what `ssh` says for it.
fn classified(place: &Place, name: &str, status: &str, said: &str) -> Fault {
    let host = place.host();
    let message = shortened(said);
    if said.contains("Could not resolve hostname") && !said.contains("Temporary failure") {
        return Fault::Final(Failure::UnknownHost { host: place.sftp.host.clone() });
    }
    if said.contains("Permission denied") || said.contains("Too many authentication failures") {
        return Fault::Final(Failure::WrongKey { host, credentials: format!("the program {name}"), message });
    }
    if said.contains("Host key verification failed") || said.contains("subsystem request failed") {
        return Fault::Final(Failure::Refusal { host, status: format!("through {name}"), message });
    }
    let said =
        if message.is_empty() { "without a word".to_owned() } else { format!("with the words {message:?}") };
    Fault::broken(&host, format!("the program {name} ended ({status}) {said}"))
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use kopia_connection::Environment;
    use kopia_connection::storage::Sftp;

    use super::*;
    use crate::patience::Patience;

    fn place() -> Place {
        let mut sftp = Sftp::default();
        sftp.host = "h".into();
        sftp.username = "me".into();
        sftp.port = Some(2222);
        Place::new(&sftp, &Environment::empty(), &Patience::default()).unwrap()
    }

    #[test]
    fn arguments_are_those_of_kopia() {
        let mut external = ExternalSsh::default();
        external.arguments = ["-i", "/key", "", "-p", "2222"].map(String::from).into();
        assert_eq!(arguments(&place(), &external), ["-i", "/key", "-p", "2222", "me@h", "-s", "sftp"]);
    }

    #[test]
    fn what_ssh_says_is_told_apart() {
        let fault = |said: &str| classified(&place(), "ssh", "exit status: 255", said);
        let denied = fault("me@h: Permission denied (publickey).");
        assert!(matches!(denied, Fault::Final(Failure::WrongKey { .. })));
        let unknown = fault("ssh: Could not resolve hostname h: Name or service not known");
        assert!(matches!(unknown, Fault::Final(Failure::UnknownHost { .. })));
        assert!(matches!(fault("Host key verification failed."), Fault::Final(Failure::Refusal { .. })));
        let refused = fault("ssh: connect to host h port 22: Connection refused");
        assert!(
            matches!(refused, Fault::Lost(Failure::Disconnected { why, .. }) if why.contains("Connection refused"))
        );
    }
}
