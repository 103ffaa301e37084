//! Whose entries become, as the options say: names are looked up here, and on the machine that was backed up.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use kopia_rs::diagnosis::Class;
use kopia_rs::owners::{Account, Accounts, IdMap, Owners, Rules, Unresolved};
use kopia_rs::select::{At, Filter, Query, Selection};
use kopia_rs::{EntryKind, Snapshot};
use nix::unistd::{Group, User};

use super::Session;
use crate::args;
use crate::error::Failure;
use crate::terminal::output::{self, count};
use crate::terminal::time;

/// The longest `passwd` and `group` that are read, in bytes.
const LONGEST: u64 = 64 << 20;

/// How many names a note has.
const NAMED: usize = 8;

/// The first number that people have, and not services.
const PEOPLE: u32 = 1000;

/// Users and groups of the machine that was backed up.
struct There {
    users: Accounts,
    groups: Accounts,
}

/// One half of the options: of users or groups.
struct Half<'a> {
    map: Option<&'a Rules>,
    all: Option<&'a Account>,
    here: fn(&str) -> Option<u32>,
    /// The option, and what it is about.
    option: &'static str,
    what: &'static str,
}

impl Session {
    /// Finds out whose entries become.
    pub(crate) fn owners(&self, args: &args::Owners, selection: &Selection) -> Result<Owners, Failure> {
        let args::Owners { owner_map, group_map, as_uid, as_gid, owners_by_name, accounts } = args;
        let names_needed = [owner_map, group_map].into_iter().flatten().any(Rules::need_names);
        if *owners_by_name && as_uid.is_some() && as_gid.is_some() {
            return Err(Failure::usage("--as-uid and --as-gid leave nothing to --owners-by-name"));
        }
        if accounts.is_some() && !names_needed && !owners_by_name {
            return Err(Failure::usage("--accounts has no use without names")
                .hint("give --owners-by-name, or names in --owner-map or --group-map"));
        }
        let there = match accounts {
            Some(directory) => Some(There::read(directory)?),
            None if names_needed || *owners_by_name => Some(self.find_accounts(selection)?),
            None => None,
        };
        let users = Half {
            map: owner_map.as_ref(),
            all: as_uid.as_ref(),
            here: |name| Some(User::from_name(name).ok()??.uid.as_raw()),
            option: if as_uid.is_some() { "--as-uid" } else { "--owner-map" },
            what: "user",
        };
        let groups = Half {
            map: group_map.as_ref(),
            all: as_gid.as_ref(),
            here: |name| Some(Group::from_name(name).ok()??.gid.as_raw()),
            option: if as_gid.is_some() { "--as-gid" } else { "--group-map" },
            what: "group",
        };
        let mut owners = Owners::default();
        let by_name = there.as_ref().filter(|_| *owners_by_name);
        owners.users =
            self.half(&users, there.as_ref().map(|there| &there.users), by_name.map(|by| &by.users))?;
        let (known, names) = (there.as_ref().map(|there| &there.groups), by_name.map(|by| &by.groups));
        owners.groups = self.half(&groups, known, names)?;
        Ok(owners)
    }

    /// Maps users or groups: by rules, then by name, then all others.
    fn half(
        &self,
        half: &Half<'_>,
        there: Option<&Accounts>,
        by_name: Option<&Accounts>,
    ) -> Result<IdMap, Failure> {
        let failure = |error: Unresolved| {
            let failure = Failure::usage(format!("{}: {error}", half.option));
            match error {
                Unresolved::Here(_) => failure.hint(format!("add that {}, or give its number", half.what)),
                Unresolved::There(_) => failure.hint(format!("give the number of that {}", half.what)),
                _ => failure,
            }
        };
        let mut map = match half.map {
            Some(rules) => rules.resolve(there, half.here).map_err(failure)?,
            None => IdMap::default(),
        };
        if let Some(all) = half.all {
            let id = all.resolve(half.here).map_err(failure)?;
            map.set_rest(id).map_err(|error| failure(error.into()))?;
        } else if let Some(there) = by_name {
            let unknown = map.add_names(there, half.here);
            self.note_unknown(&unknown, there, half.what);
        }
        Ok(map)
    }

    /// Names people first who are not known here: services seldom own what matters.
    fn note_unknown(&self, unknown: &[String], there: &Accounts, what: &str) {
        let is_person = |name: &&String| there.id(name).is_some_and(|id| (PEOPLE..65534).contains(&id));
        let (people, services): (Vec<&String>, Vec<_>) = unknown.iter().partition(is_person);
        if unknown.is_empty() {
            return;
        }
        let named: Vec<_> = people.into_iter().chain(services).take(NAMED).map(|name| &**name).collect();
        let more = unknown.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let number = count(unknown.len() as u64, what, &format!("{what}s"));
        let verb = if unknown.len() == 1 { "is" } else { "are" };
        let named = named.join(", ");
        self.note(&format!(
            "{number} {verb} not known here, and what was theirs keeps its number: {named}{more}"
        ));
    }

    /// Finds users and groups of the host that a snapshot is of, in what the repository has of that host.
    fn find_accounts(&self, selection: &Selection) -> Result<There, Failure> {
        const ADVICE: &str =
            "give --accounts DIR, a folder with passwd and group of that machine, such as its /etc";
        let Some(snapshot) = &selection.snapshot else {
            let why = "kopia stores numbers of owners and no names, and an object is of no particular host";
            return Err(Failure::failed(why).with_class(Class::NotFound).hint(ADVICE));
        };
        let find = |file: &str| -> Result<_, Failure> {
            let by_then = self.warm(|| self.repository.select(&query(file, snapshot, true)))?;
            match by_then {
                Ok(found) => Ok(found),
                Err(_) => Ok(self.warm(|| self.repository.select(&query(file, snapshot, false)))??),
            }
        };
        let host = &snapshot.source().host;
        let found = find("/etc/passwd").and_then(|users| Ok((users, find("/etc/group")?)));
        let (users, groups) = found.map_err(|_| {
            Failure::failed(format!(
                "kopia stores numbers of owners and no names, and no snapshot of {host} has its /etc/passwd and \
                 /etc/group"
            ))
            .with_class(Class::NotFound)
            .hint(ADVICE)
        })?;
        if let Some(from) = &users.snapshot {
            let (source, time) = (from.source(), time::local(from.start_time(), "%Y-%m-%d %H:%M:%S %Z"));
            let id = output::short(from.id());
            self.note(&format!("owners have their names from {source}, {time} (snapshot {id})"));
        }
        let read = |found: &Selection| -> Result<Accounts, Failure> {
            let what = format!("{} of {host}", if found.path.is_empty() { "/etc" } else { &found.path });
            if found.entry.kind() != EntryKind::File {
                return Err(Failure::failed(format!("{what} is no file")).hint(ADVICE));
            }
            let mut reader = found.entry.open()?;
            parse(&mut reader).map_err(|error| Failure::system(&what, &error))
        };
        Ok(There { users: read(&users)?, groups: read(&groups)? })
    }
}

/// Asks for a file of the host that a snapshot is of, as it was then if `by_then`.
fn query<'a>(file: &'a str, snapshot: &Snapshot, by_then: bool) -> Query<'a> {
    let filter = Filter { hosts: vec![snapshot.source().host.clone()], ..Filter::default() };
    let at = by_then.then(|| At::Until(snapshot.start_time()));
    Query { name: file, at, filter, ..Query::default() }
}

impl There {
    /// Reads `passwd` and `group` of a folder, be it the root of a machine.
    fn read(directory: &Path) -> Result<Self, Failure> {
        let etc = directory.join("etc");
        let directory = if etc.join("passwd").is_file() { &*etc } else { directory };
        let read = |name: &str| {
            let file = directory.join(name);
            let accounts = fs::File::open(&file).and_then(|mut file| parse(&mut file));
            let accounts = accounts.and_then(|accounts| match accounts.is_empty() {
                true => Err(io::Error::new(io::ErrorKind::InvalidData, "it names nobody")),
                false => Ok(accounts),
            });
            accounts.map_err(|error| {
                Failure::system(file.display(), &error).hint(
                    "--accounts is to be a folder with passwd and group of the machine that was backed up",
                )
            })
        };
        Ok(Self { users: read("passwd")?, groups: read("group")? })
    }
}

fn parse(reader: &mut dyn Read) -> io::Result<Accounts> {
    let mut text = Vec::new();
    if reader.take(LONGEST + 1).read_to_end(&mut text)? as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long"));
    }
    Ok(Accounts::parse(&text))
}
