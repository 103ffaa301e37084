//! Words that people type by habit: commands and options of kopia, restic and rustic that exist here by another
//! name get that name before clap reads the line. What has none is answered (`foreign`).

mod tables;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};

use clap::CommandFactory;

use super::Args;
use tables::{COMMANDS, GROUPS, Here, OPTIONS};

/// Writes a command line with the words of this command; what it has none for stays as it is.
pub(super) fn spelled_out(arguments: &[OsString]) -> Vec<OsString> {
    let mut line: Vec<OsString> = arguments.to_vec();
    let Some(at) = place_of_command(&line) else { return line };
    let before = options(&line[1..at], "");
    let first = name_command(&mut line, at);
    let end = line.iter().skip(at).position(|word| word == "--").map_or(line.len(), |place| at + place);
    let (mut rest, tail) = (line[at + 1..end].to_vec(), line[end..].to_vec());
    let mut command = line[at].to_str().unwrap_or_default().to_owned();
    if matches!(&*first, "dump" | "show") {
        rest = joined(&rest);
        let archive =
            |word: &OsString| word == "-a" || word.to_str().is_some_and(|word| word.starts_with("--archive"));
        if rest.iter().any(archive) {
            command = "export".into();
        }
    }
    let rest = options(&rest, &command);
    let mut spelled = vec![line[0].clone()];
    spelled.extend(before);
    spelled.push(command.into());
    spelled.extend(rest);
    spelled.extend(tail);
    spelled
}

/// Finds the command among the options of all commands.
pub(super) fn place_of_command(line: &[OsString]) -> Option<usize> {
    let known = Args::command();
    let takes_value = |name: &str| {
        let is_alias = |arg: &clap::Arg| arg.get_all_aliases().is_some_and(|all| all.contains(&name));
        let named = |arg: &&clap::Arg| arg.get_long() == Some(name) || name == "repo" || is_alias(arg);
        known.get_arguments().find(named).is_some_and(|arg| arg.get_action().takes_values())
    };
    let mut place = 1;
    while let Some(word) = line.get(place) {
        let word = word.to_str()?;
        place += match word.strip_prefix("--") {
            Some("") => return None,
            Some(name) if !name.contains('=') && takes_value(name) => 2,
            None if word == "-r" => 2,
            None if !word.starts_with('-') => return Some(place),
            _ => 1,
        };
    }
    None
}

/// Gives the command its name here; returns the word that stood there.
fn name_command(line: &mut Vec<OsString>, at: usize) -> String {
    let word = line[at].to_str().unwrap_or_default().to_owned();
    if let Some((_, alone, of)) = GROUPS.iter().find(|(names, ..)| names.contains(&&*word)) {
        match line.get(at + 1).and_then(|next| next.to_str()).filter(|next| !next.starts_with('-')) {
            None => line[at] = alone.into(),
            // Of what is not known, the second word says what is wanted.
            Some(next) => {
                let here = of.iter().find(|(theirs, _)| *theirs == next).map_or(next, |(_, here)| *here);
                line[at] = here.into();
                line.remove(at + 1);
            }
        }
    } else if let Some((_, here)) = COMMANDS.iter().find(|(theirs, _)| *theirs == word) {
        line[at] = here.into();
    }
    word
}

/// Joins `SNAPSHOT /PATH`, as restic's `dump` has it, to the one word that it is here.
fn joined(words: &[OsString]) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut is_plain = false;
    for word in words {
        let begins = |start: &str| word.to_str().is_some_and(|word| word.starts_with(start));
        match joined.last_mut() {
            Some(last) if is_plain && begins("/") => {
                last.push(":");
                last.push(word);
                is_plain = false;
            }
            _ => {
                is_plain = !begins("-");
                joined.push(word.clone());
            }
        }
    }
    joined
}

/// Gives options their names here.
fn options(words: &[OsString], command: &str) -> Vec<OsString> {
    let (mut spelled, mut last): (Vec<OsString>, Vec<OsString>) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(text) = word.to_str().filter(|text| text.starts_with('-')) else {
            spelled.push(word.clone());
            continue;
        };
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let of = |of: &str| OPTIONS.iter().find(|habit| habit.of == of && habit.theirs.contains(&name));
        let Some(habit) = of(command).or_else(|| of("")) else {
            spelled.push(if command == "ls" { recursive(text) } else { word.clone() });
            continue;
        };
        match habit.here {
            Here::Named(here) => {
                let value = value.map(|value| format!("={value}")).unwrap_or_default();
                spelled.push(format!("{here}{value}").into());
            }
            Here::Words(here) => spelled.extend(here.iter().map(OsString::from)),
            Here::Valued(becomes) => {
                let next = words.clone().next().and_then(|next| next.to_str());
                let here = value.or(next).and_then(becomes);
                if here.is_some() && value.is_none() {
                    words.next();
                }
                match here {
                    Some(here) => spelled.extend(here.into_iter().map(OsString::from)),
                    None => spelled.push(word.clone()),
                }
            }
            Here::Last => last.extend(value.map(OsString::from).or_else(|| words.next().cloned())),
        }
    }
    spelled.extend(last);
    spelled
}

/// Takes `-r`, alone or among other letters, for what it is in kopia's `ls`.
fn recursive(word: &str) -> OsString {
    let letters =
        word.strip_prefix('-').filter(|letters| letters.bytes().all(|letter| b"lro0R".contains(&letter)));
    letters.map_or_else(
        || OsStr::new(word).to_owned(),
        |letters| format!("-{}", letters.replace('r', "R")).into(),
    )
}
