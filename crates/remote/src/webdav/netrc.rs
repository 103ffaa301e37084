//! Passwords that people keep for all programs in one file: `~/.netrc`.

use std::io::Read as _;

use super::access::Credentials;
use crate::connect::Options;

/// The longest file that is read, in bytes.
const MAX_LENGTH: u64 = 1 << 20;

/// Looks a host up in the file that `NETRC` names, or else in `~/.netrc`.
pub(super) fn look_up(options: &Options, host: &str) -> Option<Credentials> {
    let environment = &options.environment;
    let named = environment.var_os("NETRC").map(std::path::PathBuf::from);
    let path = named.or_else(|| Some(environment.home()?.join(".netrc")))?;
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(MAX_LENGTH).read_to_string(&mut text).ok()?;
    let (user, password) = find(&text, host)?;
    Some(Credentials { user, password: password.into(), from: "~/.netrc" })
}

/// Looks a host up in a text, for fuzz targets.
#[cfg(feature = "testing")]
pub(super) fn exercise(text: &str) {
    let _ = find(text, "host.example");
}

/// Finds the login and password of a host, or those that hold for all others.
fn find(text: &str, host: &str) -> Option<(String, String)> {
    let mut words = words(text).into_iter();
    let (mut is_wanted, mut login, mut password) = (false, None, None);
    loop {
        let word = words.next();
        if matches!(word.as_deref(), None | Some("machine" | "default")) {
            if is_wanted && let (Some(login), Some(password)) = (login.take(), password.take()) {
                return Some((login, password));
            }
            is_wanted = match word?.as_str() {
                "machine" => words.next()?.eq_ignore_ascii_case(host),
                _ => true,
            };
            (login, password) = (None, None);
            continue;
        }
        match word?.as_str() {
            "login" => login = words.next(),
            "password" => password = words.next(),
            "account" => drop(words.next()),
            _ => {}
        }
    }
}

/// Splits a file into words, without comments and macros.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut is_macro) = (Vec::new(), false);
    for line in text.lines() {
        if is_macro {
            is_macro = !line.trim().is_empty();
            continue;
        }
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with('#') {
            let (word, after) = first_word(rest);
            is_macro = word == "macdef";
            if is_macro {
                break;
            }
            words.push(word);
            rest = after.trim_start();
        }
    }
    words
}

/// Takes the first word of a text, which may stand in quotes.
fn first_word(text: &str) -> (String, &str) {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return (text[..end].into(), &text[end..]);
    };
    let (mut word, mut letters) = (String::new(), inner.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => word.extend(letters.next()),
            letter => word.push(letter),
        }
    }
    (word, letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine\nmachine a.org login alice password \"p \\\"1\"\n\
        macdef init\ncd /\nmachine b.org login trap password trap\n\n\
        machine B.org\n\tlogin bob # not this\n\taccount x\n\tpassword p#2\nmachine c.org login carol\n\
        default login all password p3\n";

    #[test]
    fn hosts_are_found() {
        let pair = |user: &str, password: &str| Some((user.to_string(), password.to_string()));
        assert_eq!(find(FILE, "a.org"), pair("alice", "p \"1"));
        assert_eq!(find(FILE, "b.org"), pair("bob", "p#2"));
        assert_eq!(find(FILE, "c.org"), pair("all", "p3"), "one without a password is none");
        assert_eq!(find(FILE, "d.org"), pair("all", "p3"));
        for broken in ["", "machine", "machine a.org login", "login x password y", "default", "\""] {
            assert_eq!(find(broken, "a.org"), None, "{broken}");
        }
    }

    #[test]
    fn only_the_home_that_is_given_is_looked_into() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(".netrc"), FILE).unwrap();
        let mut options = Options::default();
        assert!(look_up(&options, "a.org").is_none());
        options.environment = kopia_connection::Environment::empty().with_home(home.path());
        let found = look_up(&options, "a.org").unwrap();
        assert_eq!((&*found.user, found.password.reveal()), ("alice", "p \"1"));
    }
}
