//! `remote:path`, which may hold secrets: rclone takes options of a remote in it,
//! `:s3,secret_access_key=…:bucket`.

/// Splits the remote from the path on it. Quotes protect colons.
fn split(remote_path: &str) -> (&str, &str) {
    let mut quote = None;
    for (at, letter) in remote_path.char_indices() {
        match (letter, quote) {
            (':', None) if at > 0 => return remote_path.split_at(at),
            (letter @ ('"' | '\''), None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            _ => {}
        }
    }
    ("", remote_path)
}

/// Returns how a remote is called in messages: without the values of its options.
pub(super) fn shown(remote_path: &str) -> String {
    let (remote, path) = split(remote_path);
    match remote.split_once(',') {
        Some((name, _)) => format!("rclone:{name},…{path}"),
        None => format!("rclone:{remote_path}"),
    }
}

/// Returns the path on the remote.
pub(super) fn path(remote_path: &str) -> &str {
    let (_, path) = split(remote_path);
    path.strip_prefix(':').unwrap_or(path)
}

/// Returns the values of a remote's options.
pub(super) fn values(remote_path: &str) -> Vec<String> {
    let (remote, _) = split(remote_path);
    let options = remote.split_once(',').map_or("", |(_, options)| options);
    let whole = (!options.is_empty()).then(|| options.to_string());
    let value = |option: &str| Some(option.split_once('=')?.1.trim_matches(['"', '\'']).to_string());
    whole.into_iter().chain(options.split(',').filter_map(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_not_shown() {
        for (remote_path, name) in [
            ("gdrive:backups/kopia", "rclone:gdrive:backups/kopia"),
            ("/srv/kopia", "rclone:/srv/kopia"),
            ("/srv/with,comma", "rclone:/srv/with,comma"),
            (":s3,key=AK,secret=\"s3:c,r3t\":bucket/a,b", "rclone::s3,…:bucket/a,b"),
            ("box,token='a:b':x", "rclone:box,…:x"),
        ] {
            assert_eq!(shown(remote_path), name);
        }
        assert_eq!([path("r:a/b"), path(":s3,k='a:b':c/d"), path("/srv")], ["a/b", "c/d", "/srv"]);
        let values = values(":s3,key=AK,secret='s3cr3t':b");
        assert!(values.contains(&"AK".into()) && values.contains(&"s3cr3t".into()), "{values:?}");
        assert_eq!(super::values("gdrive:x=y"), [""; 0]);
    }
}
