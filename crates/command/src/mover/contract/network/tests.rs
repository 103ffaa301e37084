use super::*;

fn storage(kind: Kind, variables: &[(&str, &str)]) -> Result<Storage, String> {
    let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let url = variables.iter().find(|(name, _)| *name == "KOPIA_REPOSITORY");
    let url = url.map(|(_, url)| Connection::parse(url).map(|url| url.storage)).transpose();
    let url = url.map_err(|error| error.to_string())?;
    connection(kind, url, &environment)
        .map(|connection| connection.storage)
        .map_err(|error| error.to_string())
}

fn s3(variables: &[(&str, &str)]) -> S3 {
    match storage(Kind::S3, variables).unwrap() {
        Storage::S3(s3) => s3,
        other => panic!("{other:?}"),
    }
}

#[test]
fn s3_by_the_rules_of_the_script() {
    let all = s3(&[
        ("KOPIA_REPOSITORY", "s3://other//a//b"),
        ("KOPIA_S3_BUCKET", "bucket"),
        ("KOPIA_S3_ENDPOINT", "http://minio.lan:9000/"),
        ("AWS_S3_ENDPOINT", "ignored.lan"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
    ]);
    assert_eq!((all.bucket.as_str(), all.prefix.as_str()), ("bucket", "/a/b/"));
    assert_eq!((all.endpoint.as_deref(), all.disable_tls), (Some("minio.lan:9000"), false));
    assert_eq!((all.access_key.as_deref(), all.region.as_deref()), (Some("id"), Some("eu-west-1")));
    assert_eq!((all.secret_key, all.session_token), (Some("hush".into()), Some("token".into())));
    for (url, prefix) in [
        ("s3://b", ""),
        ("s3://b/", ""),
        ("s3://b/p", "p/"),
        ("s3://b/p/q/", "p/q/"),
        ("s3://b//", "/"),
        ("s3://b//p///q//", "/p/q/"),
    ] {
        assert_eq!(s3(&[("KOPIA_REPOSITORY", url)]).prefix, prefix, "{url}");
    }
    for name in ["KOPIA_S3_DISABLE_TLS", "AWS_S3_DISABLE_TLS"] {
        assert!(s3(&[("KOPIA_S3_BUCKET", "b"), (name, "true")]).disable_tls);
    }
    // A role of the pod has no keys, and a profile counts without them alone.
    let role = s3(&[("KOPIA_S3_BUCKET", "b"), ("AWS_PROFILE", "p")]);
    assert_eq!((role.access_key, role.profile.as_deref()), (None, Some("p")));
    let half = storage(Kind::S3, &[("KOPIA_S3_BUCKET", "b"), ("AWS_ACCESS_KEY_ID", "id")]);
    assert_eq!(half.unwrap_err(), "AWS_SECRET_ACCESS_KEY must be defined");
}

#[test]
fn who_asks_is_all_from_variables_or_all_from_the_url() {
    let keys = ("KOPIA_REPOSITORY", "s3://b/p?access-key=u&secret-access-key=hush&session-token=t");
    let asks = |variables: &[(&str, &str)]| {
        let S3 { access_key, secret_key, session_token, profile, .. } = s3(variables);
        (access_key, secret_key, session_token, profile)
    };
    let of_url = (Some("u".into()), Some("hush".into()), Some("t".into()), None);
    assert_eq!(asks(&[keys]), of_url);
    // The token of other keys is none of these.
    assert_eq!(asks(&[keys, ("AWS_SESSION_TOKEN", "other")]), of_url);
    let pair = [keys, ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "other")];
    assert_eq!(asks(&pair), (Some("id".into()), Some("other".into()), None, None));
    assert_eq!(asks(&[keys, ("AWS_PROFILE", "p")]), (None, None, None, Some("p".into())));
    for (name, missing) in
        [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")]
    {
        let half = storage(Kind::S3, &[keys, (name, "x")]);
        assert_eq!(half.unwrap_err(), format!("{missing} must be defined"));
    }
    let profile = ("KOPIA_REPOSITORY", "s3://b/p?profile=q");
    assert_eq!(asks(&[profile]), (None, None, None, Some("q".into())));
    let pair = [profile, ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "other")];
    assert_eq!(asks(&pair), (Some("id".into()), Some("other".into()), None, None));
}

#[test]
fn other_storage_of_the_script() {
    for (kind, variables, location) in [
        (
            Kind::Azure,
            &[("KOPIA_AZURE_CONTAINER", "c"), ("KOPIA_AZURE_STORAGE_ACCOUNT", "a")][..],
            "azblob://c at a.blob.core.windows.net",
        ),
        (Kind::Gcs, &[("KOPIA_GCS_BUCKET", "b")], "gs://b"),
        (
            Kind::B2,
            &[("KOPIA_B2_BUCKET", "b"), ("B2_ACCOUNT_ID", "i"), ("B2_APPLICATION_KEY", "k")],
            "b2://b",
        ),
        (Kind::WebDav, &[("WEBDAV_URL", "https://h/p")], "https://h/p"),
        (
            Kind::Sftp,
            &[("SFTP_HOST", "h"), ("SFTP_PATH", "/p"), ("SFTP_USERNAME", "u"), ("SFTP_PORT", " 2222 ")],
            "sftp://h:2222/p",
        ),
        (Kind::Rclone, &[("RCLONE_REMOTE_PATH", "r:p")], "rclone:r:p"),
        (Kind::GoogleDrive, &[("GOOGLE_DRIVE_FOLDER_ID", "f")], "gdrive://f"),
    ] {
        assert_eq!(storage(kind, variables).unwrap().to_string(), location);
    }
}

#[test]
fn files_and_texts_are_told_apart() {
    let host = [("SFTP_HOST", "h"), ("SFTP_PATH", "/p"), ("SFTP_USERNAME", "u")];
    let sftp = |more: (&'static str, &'static str)| {
        let variables: Vec<_> = host.into_iter().chain([more]).collect();
        match storage(Kind::Sftp, &variables).unwrap() {
            Storage::Sftp(sftp) => sftp,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(sftp(("SFTP_KNOWN_HOSTS", "/kh")).known_hosts, Some(KnownHosts::File("/kh".into())));
    let text = sftp(("SFTP_KNOWN_HOSTS", "h ssh-ed25519 AAAA")).known_hosts;
    assert_eq!(text, Some(KnownHosts::Text("h ssh-ed25519 AAAA".into())));
    assert_eq!(sftp(("SFTP_KEY_FILE", "/nonexistent/key")).key, None);
    assert!(matches!(sftp(("SFTP_KEY_FILE", "/dev/null")).key, Some(SshKey::File(_))));
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----";
    assert_eq!(sftp(("SFTP_KEY_FILE", key)).key, Some(SshKey::Text(key.into())));
    let rclone = [("RCLONE_REMOTE_PATH", "r:p"), ("RCLONE_CONFIG", "[r]\ntype = local")];
    let Ok(Storage::Rclone(rclone)) = storage(Kind::Rclone, &rclone) else { panic!("no rclone") };
    assert!(rclone.embedded_config.is_some());
}

#[test]
fn what_is_missing_is_named() {
    for (kind, variables, missing) in [
        (Kind::Azure, &[("KOPIA_AZURE_CONTAINER", "c")][..], "KOPIA_AZURE_STORAGE_ACCOUNT must be defined"),
        (Kind::B2, &[("KOPIA_B2_BUCKET", "b")], "B2_ACCOUNT_ID must be defined"),
        (Kind::Sftp, &[("SFTP_HOST", "h")], "SFTP_PATH must be defined"),
    ] {
        assert_eq!(storage(kind, variables).unwrap_err(), missing);
    }
}

#[test]
fn a_url_alone_takes_from_variables_what_it_lacks() {
    let (b2, azure) = ("b2://b/backups", "azure://c/backups");
    for (kind, variables, location) in [
        (Kind::B2, &[("KOPIA_REPOSITORY", b2), ("B2_KEY_ID", "i"), ("B2_KEY", "k")][..], "b2://b/backups"),
        (
            Kind::Azure,
            &[("KOPIA_REPOSITORY", azure), ("AZURE_ACCOUNT_NAME", "a"), ("AZURE_ACCOUNT_KEY", "k")],
            "azblob://c/backups at a.blob.core.windows.net",
        ),
        (Kind::Gcs, &[("KOPIA_REPOSITORY", "gcs://b/backups")], "gs://b/backups"),
        (Kind::Sftp, &[("KOPIA_REPOSITORY", "sftp://h/p"), ("SFTP_USERNAME", "u")], "sftp://h/p"),
        (Kind::WebDav, &[("KOPIA_REPOSITORY", "webdavs://h/p")], "https://h/p"),
        (Kind::Rclone, &[("KOPIA_REPOSITORY", "rclone://r:/p")], "rclone:r:/p"),
    ] {
        assert_eq!(storage(kind, variables).unwrap().to_string(), location);
    }
}

#[test]
fn custom_ca_is_trusted_by_every_store_and_named_where_it_cannot_be_read() {
    let completed = |storage: Storage, file: &str| {
        let environment = [("CUSTOM_CA".into(), file.into())].into_iter().collect();
        let mut storage = storage;
        complete(&mut storage, &environment).map(|()| storage).map_err(|error| error.to_string())
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "certificates").unwrap();
    let file = file.path().to_str().unwrap();
    let Storage::S3(s3) = completed(Storage::S3(S3::default()), file).unwrap() else { panic!("no S3") };
    assert_eq!(s3.root_ca.as_deref(), Some(&b"certificates"[..]));
    // What a structured configuration says of it goes before.
    let mut own = S3::default();
    own.root_ca = Some(b"own".into());
    let Storage::S3(s3) = completed(Storage::S3(own), file).unwrap() else { panic!("no S3") };
    assert_eq!(s3.root_ca.as_deref(), Some(&b"own"[..]));
    let rclone = completed(Storage::Rclone(Rclone::default()), file).unwrap();
    assert!(matches!(&rclone, Storage::Rclone(rclone) if rclone.arguments == ["--ca-cert", file]));
    let environment: Environment = [("CUSTOM_CA".into(), file.into())].into_iter().collect();
    assert_eq!(environment.for_stores().var("SSL_CERT_FILE"), Some(file));
    for storage in [Storage::S3(S3::default()), Storage::WebDav(WebDav::default())] {
        let said = completed(storage, "/nonexistent/ca.crt").unwrap_err();
        assert!(said.contains("CUSTOM_CA") && said.contains("/nonexistent/ca.crt"), "{said}");
    }
    let folder = Storage::Filesystem(kopia_rs::connection::storage::Filesystem::default());
    assert!(completed(folder, "/nonexistent/ca.crt").is_ok());
}
