//! Keys that a program prints: `credential_process` of a profile.
//!
//! The program is run as it is written, without a shell. Its arguments come from the profile and hold no
//! secret of ours.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kopia_storage::Failure;

use super::http::Given;
use super::{Keys, Source, no_keys};

/// How long it may take. Some of them ask a person.
const WITHIN: Duration = Duration::from_secs(60);

/// How much it may print.
const OUTPUT_LIMIT: u64 = 64 << 10;

/// A program that prints keys.
#[derive(Debug)]
pub(super) struct Process {
    profile: String,
    words: Vec<String>,
}

impl Process {
    pub(super) fn new(profile: &str, line: &str) -> Result<Self, Failure> {
        let bad = || no_keys(format!("profile {profile}"), "credential_process cannot be split into words");
        let words = words(line).filter(|words| !words.is_empty()).ok_or_else(bad)?;
        Ok(Self { profile: profile.into(), words })
    }

    fn output(&self) -> Result<Vec<u8>, String> {
        let (program, arguments) = self.words.split_first().ok_or("it is empty")?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn();
        let mut child = child.map_err(|error| format!("{program}: {error}"))?;
        let output = child.stdout.take().ok_or("it has no output")?;
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            output.take(OUTPUT_LIMIT).read_to_end(&mut bytes).map(|_| bytes)
        });
        let started = Instant::now();
        let status = loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None if started.elapsed() > WITHIN => {
                    // It may have ended by itself just now.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("{program} did not end within {} s", WITHIN.as_secs()));
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        if !status.success() {
            return Err(format!("{program}: {status}"));
        }
        reader.join().map_err(|_| "its output broke".to_string())?.map_err(|error| error.to_string())
    }
}

impl Source for Process {
    fn name(&self) -> String {
        format!("credential_process of profile {}", self.profile)
    }

    fn get(&self) -> Result<Option<Keys>, Failure> {
        let output = self.output().map_err(|why| no_keys(self.name(), why))?;
        Given::keys(&output, &self.name()).map(Some)
    }
}

/// Splits a line at blanks; what is in quotes stays together, and a backslash keeps what follows it.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('\\', None | Some('"')) => word.get_or_insert_default().push(characters.next()?),
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_without_a_shell() {
        let split = |line| words(line).map(|words| words.join("|"));
        assert_eq!(
            split(r#"/bin/a  -x "b c" 'd "e' f\ g ''"#).as_deref(),
            Some(r#"/bin/a|-x|b c|d "e|f g|"#)
        );
        assert_eq!(split("echo $(id) ; x").as_deref(), Some("echo|$(id)|;|x"));
        assert_eq!([split("a \"b"), split("a\\")], [None, None]);
    }

    #[test]
    fn what_a_program_prints_is_read_and_its_failure_told() {
        let json = r#"printf '{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T"}'"#;
        let keys = Process::new("p", json).unwrap().get().unwrap().unwrap();
        assert_eq!((&*keys.id, keys.token.unwrap().reveal()), ("A", "T"));
        for bad in ["false", "/no/such/program", "printf secret"] {
            let error = Process::new("p", bad).unwrap().get().unwrap_err().to_string();
            assert!(error.contains("profile p") && !error.contains("secret"), "{error}");
        }
    }
}
