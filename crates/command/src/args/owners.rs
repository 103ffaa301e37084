//! The options that say whose entries become.

use std::fs;
use std::path::PathBuf;

use kopia_rs::owners::{Account, Rules};

/// The heading in the help.
const OWNERS: &str = "Owners";

/// Whose entries become, beside numbers that stay as they are.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Owners {
    /// Give what belonged to some users to others: FROM:TO[,…], or @FILE with one FROM:TO a line.
    ///
    /// FROM is a number, a range (5000-5999), a name, or * for all others; TO is a number, of a range the first, or
    /// a name of this machine. The first that fits counts.
    #[arg(help_heading = OWNERS, long, value_name = "MAP", value_parser = rules)]
    pub(crate) owner_map: Option<Rules>,
    /// The same for groups.
    #[arg(help_heading = OWNERS, hide_short_help = true, long, value_name = "MAP", value_parser = rules)]
    pub(crate) group_map: Option<Rules>,
    /// Give everything to this user, by number or name; files lose setuid and setgid unless they were theirs.
    #[arg(help_heading = OWNERS, long, value_name = "USER", conflicts_with = "owner_map")]
    pub(crate) as_uid: Option<Account>,
    /// Give everything to this group, by number or name.
    #[arg(help_heading = OWNERS, hide_short_help = true, long, value_name = "GROUP", conflicts_with = "group_map")]
    pub(crate) as_gid: Option<Account>,
    /// Give everything to those who have the same name here.
    ///
    /// Kopia stores numbers; the names are those of --accounts, else those in /etc/passwd and /etc/group of the same
    /// host, where the repository has them. Numbers without a name, and names that are not known here, stay numbers.
    #[arg(help_heading = OWNERS, long)]
    pub(crate) owners_by_name: bool,
    /// The folder with passwd and group of the machine that was backed up, such as /mnt/old/etc.
    #[arg(help_heading = OWNERS, hide_short_help = true, long, value_name = "DIR")]
    pub(crate) accounts: Option<PathBuf>,
}

/// Reads rules, or the file that has them.
fn rules(text: &str) -> Result<Rules, String> {
    let Some(file) = text.strip_prefix('@') else { return text.parse() };
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    Rules::of_file(&text).map_err(|why| format!("{file}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_may_stand_in_a_file() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("map");
        fs::write(&file, "1:2\n3-4:5\n").unwrap();
        assert_eq!(rules(&format!("@{}", file.display())), rules("1:2,3-4:5"));
        fs::write(&file, "1:2\nx\n").unwrap();
        assert!(rules(&format!("@{}", file.display())).is_err_and(|why| why.contains("line 2")));
        assert!(rules("@/nonexistent").is_err_and(|why| why.starts_with("/nonexistent: ")));
    }
}
