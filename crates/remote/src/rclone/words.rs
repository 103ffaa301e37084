//! What rclone says: where it listens, and why it ended.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kopia_storage::Failure;

/// How much of one line is kept, in bytes.
const MAX_LINE: u64 = 4 << 10;

/// How much of it is told, in characters.
const TOLD: usize = 300;

/// What rclone said so far.
#[derive(Debug)]
pub(super) struct Words {
    said: Mutex<Said>,
    changed: Condvar,
    /// The program, as it is called in messages.
    program: String,
    /// What is never repeated.
    secrets: Secrets,
}

/// Texts that are left out of messages.
pub(super) struct Secrets(pub(super) Vec<String>);

#[derive(Debug, Default)]
struct Said {
    served: Option<String>,
    control: Option<String>,
    last: String,
    has_ended: bool,
}

impl Words {
    /// Listens to what a program says, in a thread of its own, until it ends.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub(super) fn listen(
        output: impl Read + Send + 'static,
        program: String,
        secrets: Secrets,
    ) -> std::io::Result<Arc<Self>> {
        let words = Arc::new(Self { said: Mutex::default(), changed: Condvar::new(), program, secrets });
        let heard = Arc::clone(&words);
        std::thread::Builder::new()
            .name("rclone".into())
            .spawn(move || heard.hear(BufReader::new(output)))?;
        Ok(words)
    }

    /// Listens to the end at once, for fuzz targets.
    #[cfg(feature = "testing")]
    pub(super) fn heard(output: impl BufRead, secrets: Secrets) -> Self {
        let (said, changed) = (Mutex::default(), Condvar::new());
        let words = Self { said, changed, program: "rclone".into(), secrets };
        words.hear(output);
        words
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, mut output: impl BufRead) {
        let mut line = Vec::new();
        loop {
            line.clear();
            // A longer line goes on as another one.
            match (&mut output).take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => self.take(String::from_utf8_lossy(&line).trim()),
            }
        }
        self.said().has_ended = true;
        self.changed.notify_all();
    }

    fn take(&self, line: &str) {
        if line.is_empty() {
            return;
        }
        let mut said = self.said();
        said.served = address(line, "webdav server started on").or_else(|| said.served.take());
        said.control = address(line, "serving remote control on").or_else(|| said.control.take());
        said.last = line.into();
        drop(said);
        self.changed.notify_all();
    }

    /// Waits until rclone listens, and returns the addresses of its server and its remote control.
    ///
    /// # Errors
    /// If it ends before or takes longer than `timeout`, with its last words.
    pub(super) fn addresses(&self, timeout: Duration) -> Result<(String, String), Failure> {
        let until = Instant::now() + timeout;
        let mut said = self.said();
        loop {
            if let (Some(served), Some(control)) = (&said.served, &said.control) {
                return Ok((served.clone(), control.clone()));
            }
            if said.has_ended {
                return Err(self.failure("ended before it served anything", &said.last));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let why = format!(
                    "did not begin to serve within {} s (the time can be set: startupTimeout)",
                    timeout.as_secs()
                );
                return Err(self.failure(&why, &said.last));
            }
            let (next, _) = self.changed.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner);
            said = next;
        }
    }

    /// Returns why rclone ended, if it has.
    pub(super) fn end(&self) -> Option<Failure> {
        self.end_within(Duration::ZERO)
    }

    /// Returns why rclone ended, if it has or does so within a time.
    pub(super) fn end_within(&self, wait: Duration) -> Option<Failure> {
        let ended = self.changed.wait_timeout_while(self.said(), wait, |said| !said.has_ended);
        let (said, _) = ended.unwrap_or_else(PoisonError::into_inner);
        said.has_ended.then(|| self.failure("ended while it was needed", &said.last))
    }

    fn failure(&self, what: &str, last: &str) -> Failure {
        let told: String = self.secrets.without(last).chars().take(TOLD).collect();
        let said = match &*told {
            "" => "it said nothing".to_string(),
            told => format!("it said: {}", printable(told)),
        };
        Failure::Program { program: self.program.clone(), why: format!("{what}; {said}") }
    }
}

impl Secrets {
    /// Takes secrets out of a text.
    fn without(&self, text: &str) -> String {
        let mut secrets: Vec<&String> = self.0.iter().filter(|secret| secret.len() > 3).collect();
        // One may be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.into_iter().fold(text.to_string(), |text, secret| text.replace(&**secret, "…"))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// Writes what a terminal would obey as what it is.
fn printable(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join("�")
}

/// Returns the address in a line, if it is one of this machine.
///
/// Such a line is `… WebDav Server started on [http://127.0.0.1:8080/]`.
fn address(line: &str, before: &str) -> Option<String> {
    let at = line.to_ascii_lowercase().find(before)?;
    let rest = line.get(at + before.len()..)?.trim_start_matches([' ', '[']);
    let url = rest.split([' ', ']', ',', '"', '\\']).next()?;
    let port = url.strip_prefix("http://127.0.0.1:")?.trim_end_matches('/');
    port.parse::<u16>().ok().map(|_| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(said: &'static str) -> Arc<Words> {
        let secrets = Secrets(vec!["s3cr3t".into(), "s3cr3t and more".into(), "a".into()]);
        Words::listen(said.as_bytes(), "rclone".into(), secrets).unwrap()
    }

    #[test]
    fn addresses_are_found_as_old_and_new_versions_write_them() {
        for said in [
            "2026/11/28 NOTICE: Serving remote control on http://127.0.0.1:5572/\n\
             2026/11/28 NOTICE: Local file system at /x: WebDav Server started on http://127.0.0.1:7811/\n",
            "x\nNOTICE: a: WebDav Server started on [http://127.0.0.1:7811/]\r\nServing remote control on [http://127.0.0.1:5572/]",
            r#"{"level":"notice","msg":"WebDav Server started on [http://127.0.0.1:7811/]"}
               {"level":"notice","msg":"Serving remote control on [http://127.0.0.1:5572/]\n"}"#,
        ] {
            let found = words(said).addresses(Duration::from_secs(5)).unwrap();
            assert_eq!(found, ("http://127.0.0.1:7811/".into(), "http://127.0.0.1:5572/".into()), "{said}");
        }
        for elsewhere in
            ["http://10.0.0.1:80/", "https://127.0.0.1:80/", "http://127.0.0.1:80@evil/", "/x", ""]
        {
            assert_eq!(
                address(&format!("WebDav Server started on {elsewhere}"), "webdav server started on"),
                None
            );
        }
    }

    #[test]
    fn last_words_are_told_without_secrets() {
        let failure =
            words("one\n\x1b[31mno remote: s3cr3t and more, s3cr3t, a\n\n").addresses(Duration::from_secs(5));
        let text = failure.unwrap_err().to_string();
        assert!(text.contains("rclone ended before") && text.contains("no remote: …, …, a"), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
        assert!(
            words("").addresses(Duration::from_secs(5)).unwrap_err().to_string().contains("it said nothing")
        );
    }

    #[test]
    fn a_program_that_says_nothing_is_not_waited_for() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let words = Words::listen(reader, "rclone".into(), Secrets(Vec::new())).unwrap();
        let text = words.addresses(Duration::from_millis(20)).unwrap_err().to_string();
        assert!(text.contains("did not begin to serve within 0 s"), "{text}");
        assert_eq!(words.end(), None);
    }

    #[test]
    fn an_end_that_is_near_is_waited_for() {
        let (reader, writer) = std::io::pipe().unwrap();
        let words = Words::listen(reader, "rclone".into(), Secrets(Vec::new())).unwrap();
        assert_eq!(words.end_within(Duration::from_millis(20)), None);
        let ending = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(writer);
        });
        let failure = words.end_within(Duration::from_secs(60)).unwrap();
        assert!(failure.to_string().contains("ended while it was needed"), "{failure}");
        ending.join().unwrap();
    }

    #[test]
    fn a_line_without_an_end_takes_little_memory() {
        let endless = std::io::repeat(b'x').take(10 << 20);
        let words = Words::listen(endless, "rclone".into(), Secrets(Vec::new())).unwrap();
        let text = words.addresses(Duration::from_secs(60)).unwrap_err().to_string();
        assert!(text.len() < 500, "{}", text.len());
    }
}
