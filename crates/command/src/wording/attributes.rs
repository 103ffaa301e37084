//! Sentences about attributes that could not be restored.

use kopia_rs::diagnosis::Audience;
use kopia_rs::diagnosis::text::{count, thousands};
use kopia_rs::restore::{Attribute, Notes};

/// Why attributes of a root are not known.
pub(crate) const UNTOLD: &str = "a server without TLS tells those of a source's newest snapshot only";

/// Returns for each kind of attribute how many entries lack it, why, and what to change.
pub(crate) fn sentences(notes: &Notes, audience: Audience) -> Vec<String> {
    let user = rustix::process::geteuid();
    let owners = if user.is_root() {
        "could not be given the right owner, although this runs as root: it lacks the capability CHOWN, or \
         the file system \
         keeps no owners or maps them (NFS with root_squash, CIFS with uid=)"
            .to_owned()
    } else {
        let (belong, their) = if notes.owners == 1 { ("belongs", "its") } else { ("belong", "their") };
        let change = match audience {
            Audience::VolSync => "run the mover as that owner (moverSecurityContext) or privileged",
            Audience::Pod => {
                "run as root to keep owners (with VolSync: a moverSecurityContext with that owner, or a \
                 privileged mover)"
            }
            _ => "run as root to keep owners",
        };
        format!("{belong} to user {} instead of {their} owner or group; {change}", user.as_raw())
    };
    let (is, keeps, it) = if notes.guessed == 1 { ("is", "keeps", "it") } else { ("are", "keep", "they") };
    let guessed = format!(
        "that {is} the root of an older snapshot {keeps} the owner, permissions and time that {it} got here: \
         {UNTOLD}"
    );
    let texts = [
        (notes.owners, owners),
        (
            notes.special_bits,
            "lost setuid, setgid or sticky bits, which need the right owner and a file system that keeps them"
                .into(),
        ),
        (
            notes.modes,
            "could not be given the right permissions: the file system does not take them, or another user \
             owns the entry"
                .into(),
        ),
        (
            notes.times,
            "could not be given the right time: the file system does not take or hold it, or another user \
             owns the entry"
                .into(),
        ),
        (notes.names, "had a name that was not UTF-8; kopia kept U+FFFD for what it could not write".into()),
        (notes.guessed, guessed),
    ];
    let texts = texts.iter().filter(|(number, _)| *number > 0);
    texts.map(|(number, text)| format!("{} {text}", count(*number, "entry", "entries"))).collect()
}

/// Leaves only those that another user could set: neither names, of which kopia did not keep all, nor what a
/// server does not tell.
pub(crate) fn settable(notes: &Notes) -> Notes {
    let mut notes = *notes;
    (notes.names, notes.guessed) = (0, 0);
    notes
}

/// Lists what is not as in the snapshot, with numbers.
pub(crate) fn list(notes: &Notes) -> String {
    let all = [
        (notes.owners, "owner", "owners"),
        (notes.special_bits, "entry without its special bits", "entries without their special bits"),
        (notes.modes, "mode", "modes"),
        (notes.times, "time", "times"),
        (notes.names, "name", "names"),
        (notes.guessed, "root's owner, mode and time", "roots' owners, modes and times"),
    ];
    let all = all.iter().filter(|(number, ..)| *number > 0);
    let all: Vec<_> = all
        .map(|(number, one, many)| {
            format!("{} {}", thousands(*number), if *number == 1 { one } else { many })
        })
        .collect();
    all.join(", ")
}

/// Names an attribute for programs, and says for people what became of it.
pub(crate) fn describe(attribute: Attribute) -> (&'static str, &'static str) {
    match attribute {
        Attribute::Owner => ("owner", "its owner or group could not be set"),
        Attribute::SpecialBits => ("specialBits", "it lost setuid, setgid or sticky bits"),
        Attribute::Mode => ("mode", "its permissions could not be set"),
        Attribute::Time => ("time", "its modification time could not be set"),
        Attribute::Name => ("name", "its name was not UTF-8 when it was backed up"),
        Attribute::Guessed => ("guessed", "the server does not tell its owner, permissions and time"),
        _ => ("other", "an attribute could not be set"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_so_is_said() {
        let mut notes = Notes::default();
        assert_eq!((list(&notes), sentences(&notes, Audience::Terminal)), (String::new(), Vec::new()));
        (notes.owners, notes.special_bits, notes.times) = (1200, 1, 2);
        assert_eq!(list(&notes), "1,200 owners, 1 entry without its special bits, 2 times");
        let said = sentences(&notes, Audience::Terminal);
        assert_eq!(said.len(), 3);
        assert!(said[1].starts_with("1 entry lost setuid"), "{said:?}");
        assert!(said.iter().all(|line| !line.contains("mover")), "{said:?}");
        let mut notes = Notes::default();
        (notes.guessed, notes.names) = (1, 2);
        assert!(settable(&notes).is_empty(), "no other user can set them");
        notes.times = 3;
        assert_eq!(list(&settable(&notes)), "3 times");
        (notes.times, notes.names) = (0, 0);
        assert_eq!(list(&notes), "1 root's owner, mode and time");
        assert!(
            sentences(&notes, Audience::Pod)[0].starts_with("1 entry that is the root of an older snapshot")
        );
    }
}
