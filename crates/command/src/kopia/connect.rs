//! `repository connect`: opens the repository first, and writes the configuration then.

use std::path::{Path, PathBuf};

use kopia_rs::connection::config_file::Configuration;
use kopia_rs::connection::connecting::{self, Caching, Client, Place};
use kopia_rs::connection::{Environment, read_text};
use kopia_rs::{Password, Repository};

use super::call::{self, Call, info};
use super::line::Line;
use super::trouble::Trouble;

/// How large kopia lets each of its two caches become, in MiB, and how long it keeps lists, in seconds.
const CACHE: i64 = 5000;
const LISTS: i64 = 30;

pub(super) fn run(call: &Call) -> Result<(), Trouble> {
    let kind = call.line.kind.as_deref().unwrap_or_default();
    let place = Place::new(kind, given(&call.line, kind)?)?;
    let is_server = kind == "server";
    let client = client(call)?;
    if is_server {
        let url = call.line.text("url").unwrap_or_default();
        info(format_args!("Connecting to server '{url}' as '{}@{}'...", client.username, client.hostname));
    }
    let file = call.config_file();
    let text = connecting::configuration(&place, &Caching::default(), &client);
    let mut connection = Configuration::parse(&text, &file.display().to_string())?
        .connection()
        .ok_or_else(|| Trouble::failed("can't connect to storage: no storage is named"))?;
    connection.complete(&call.environment)?;
    let of_token = place.password().map(|password| Password::new(password.reveal()));
    let password = of_token.map_or_else(|| call.password(None), Ok)?;
    let doing = if is_server { "error connecting to API server" } else { "error connecting to repository" };
    let repository = call.open_with(connection, &password, doing, &kopia_rs::OpenOptions::default())?;
    let caching = caching(call, &file, &repository)?;
    let text = connecting::configuration(&place, &caching, &client);
    let unwritten = |error| Trouble::failed(format!("{doing}: unable to write config file: {error}"));
    call::write_private(&file, &text).map_err(unwritten)?;
    if call.line.is_on("persist-credentials", true) {
        let unkept = |error| Trouble::failed(format!("{doing}: unable to persist password: {error}"));
        call::store_password(&file, &password).map_err(unkept)?;
    }
    info(if is_server { "Connected to repository API Server." } else { "Connected to repository." });
    Ok(())
}

/// Returns the options of the storage.
fn given(line: &Line, kind: &str) -> Result<connecting::Given, Trouble> {
    let mut given = connecting::Given::new();
    for flag in connecting::flags(kind).unwrap_or_default() {
        if flag.name == "token-stdin" {
            if line.is_on(flag.name, false) {
                let unread = |error| Trouble::failed(format!("unable to read token from stdin: {error}"));
                let token = read_text(std::io::stdin().lock(), "token").map_err(unread)?;
                given.push(("token".into(), token.as_str().into()));
            }
            continue;
        }
        let values = line.all(flag.name).map(|value| value.to_string_lossy().into_owned());
        given.extend(values.map(|value| (flag.name.to_owned(), value.into())));
    }
    if let Some((_, path)) = given.iter_mut().find(|(name, _)| name == "path" && kind == "filesystem") {
        *path = Environment::of_process().expand(path.reveal()).to_string_lossy().into_owned().into();
    }
    Ok(given)
}

fn client(call: &Call) -> Result<Client, Trouble> {
    let line = &call.line;
    let (user, host) = call::own_names(&call.environment);
    let mut client = Client::default();
    let filled = |name| line.text(name).filter(|text: &String| !text.is_empty());
    client.username = filled("override-username").unwrap_or(user);
    client.hostname = filled("override-hostname").unwrap_or(host);
    client.description = filled("description").unwrap_or_default();
    client.read_only = line.is_on("readonly", false);
    client.permissive_cache_loading = line.is_on("permissive-cache-loading", false);
    client.enable_actions = line.is_on("enable-actions", false);
    client.format_blob_cache = match line.is_on("disable-repository-format-cache", false) {
        true => -1,
        false => seconds(line, "repository-format-cache-duration")?.saturating_mul(1_000_000_000),
    };
    Ok(client)
}

/// Returns what kopia is to keep, and where. Nothing is kept by this program.
fn caching(call: &Call, config: &Path, repository: &Repository) -> Result<Caching, Trouble> {
    let line = &call.line;
    let number = |name: &str, default: i64| match line.text(name) {
        None => Ok(default << 20),
        Some(text) => {
            let odd = || {
                Trouble::failed(format!("kopia: error: strconv.ParseInt: parsing {text:?}: invalid syntax"))
            };
            text.parse::<i64>().map(|number| number.saturating_mul(1 << 20)).map_err(|_| odd())
        }
    };
    let mut caching = Caching::default();
    caching.contents = number("content-cache-size-mb", CACHE)?;
    if caching.contents == 0 {
        return Ok(Caching::default());
    }
    caching.contents_limit = number("content-cache-size-limit-mb", 0)?;
    caching.metadata = number("metadata-cache-size-mb", CACHE)?;
    caching.metadata_limit = number("metadata-cache-size-limit-mb", 0)?;
    caching.lists = match line.text("max-list-cache-duration") {
        None => LISTS,
        Some(_) => seconds(line, "max-list-cache-duration")?,
    };
    caching.contents_age = seconds(line, "content-min-sweep-age")?;
    caching.metadata_age = seconds(line, "metadata-min-sweep-age")?;
    caching.indexes_age = seconds(line, "index-min-sweep-age")?;
    let directory = match line.text("cache-directory").filter(|name| !name.is_empty()) {
        Some(name) => std::path::absolute(&name).unwrap_or_else(|_| name.into()),
        None => {
            let caches = call.environment.var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let caches = caches
                .or_else(|| Some(call.environment.home()?.join(".cache")))
                .unwrap_or_else(std::env::temp_dir);
            let name = repository.status().map(|status| hex(&status.unique_id)).unwrap_or_default();
            caches.join("kopia").join(name.get(..16).unwrap_or("server"))
        }
    };
    caching.directory = relative(&directory, config);
    Ok(caching)
}

/// Returns a path as it is from the directory of a configuration, as kopia writes it.
fn relative(path: &Path, config: &Path) -> PathBuf {
    let Ok(config) = std::path::absolute(config) else { return path.into() };
    let Some(base) = config.parent() else { return path.into() };
    let common = base.components().zip(path.components()).take_while(|(one, other)| one == other).count();
    let up = base.components().skip(common).map(|_| "..");
    let mut relative: PathBuf = up.collect();
    relative.extend(path.components().skip(common));
    if relative.as_os_str().is_empty() { ".".into() } else { relative }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a duration such as `1h30m`, in whole seconds; 0 if it is not given.
fn seconds(line: &Line, name: &str) -> Result<i64, Trouble> {
    let Some(text) = line.text(name) else { return Ok(0) };
    let odd = || Trouble::failed(format!("kopia: error: time: invalid duration {text:?}"));
    let duration = kopia_rs::connection::parse_duration(&text).ok_or_else(odd)?;
    i64::try_from(duration.as_secs()).map_err(|_| odd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_named_from_where_the_configuration_lies() {
        let from = |path: &str, config: &str| relative(path.as_ref(), config.as_ref()).display().to_string();
        assert_eq!(from("/a/b/cache", "/a/b/kopia.config"), "cache");
        assert_eq!(from("/cache", "/a/b/kopia.config"), "../../cache");
        assert_eq!(from("/a", "/a/kopia.config"), ".");
    }
}
