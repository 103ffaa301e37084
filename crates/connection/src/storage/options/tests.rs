use super::*;
use crate::Limits;
use crate::storage::{AzureIdentity, Kind, KnownHosts, Server, SshKey, Storage, Trust};

fn options(pairs: &[(&str, &str)]) -> Options {
    let mut options = Options::default();
    pairs.iter().for_each(|(name, value)| options.set(*name, *value));
    options
}

fn storage(url: &str) -> Storage {
    Connection::parse(url).unwrap().storage
}

#[test]
fn options_replace_what_was_said_before() {
    let mut bucket = storage("s3://b/p?endpoint=a.lan&region=r1");
    let given = [
        ("endpoint", "http://b.lan:9000/"),
        ("access-key", "id"),
        ("secret-access-key", "hush"),
        ("profile", "x"),
    ];
    bucket.apply(options(&given)).unwrap();
    let Storage::S3(s3) = &bucket else { panic!("no S3") };
    assert_eq!((s3.endpoint.as_deref(), s3.disable_tls), (Some("b.lan:9000"), true), "a scheme says it");
    assert_eq!((s3.region.as_deref(), s3.access_key.as_deref()), (Some("r1"), Some("id")));
    assert_eq!(s3.secret_key, Some("hush".into()));
    // `--access-key=` says that there is none, as people write it for ambient credentials.
    bucket
        .apply(options(&[("access-key", ""), ("secret-access-key", ""), ("disable-tls", "false")]))
        .unwrap();
    let Storage::S3(s3) = &bucket else { panic!("no S3") };
    assert_eq!((&s3.access_key, &s3.secret_key, s3.disable_tls), (&None, &None, false));
}

#[test]
fn options_of_other_storage_and_nonsense_are_refused() {
    for (url, name, value) in [
        ("/srv/kopia", "endpoint", "x"),
        ("sftp://h/p", "endpoint", "x"),
        ("s3://b", "keyfile", "x"),
        ("s3://b", "point-in-time", "hush"),
        ("s3://b", "disable-tls", "hush"),
        ("s3://b", "root-ca-pem-base64", "hush!"),
        ("s3://b", "root-ca-pem-path", "/nonexistent/ca.pem"),
        ("azblob://c", "client-id", "hush"),
        ("rclone:r:p", "rclone-startup-timeout", "hush"),
    ] {
        let said = storage(url).apply(options(&[(name, value)])).unwrap_err().to_string();
        assert!(said.contains(name) || said.contains("ca.pem"), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
    assert!(!format!("{:?}", options(&[("key", "hush")])).contains("hush"));
}

#[test]
fn every_kind_has_its_own() {
    let mut azure = storage("azblob://c/p?storage-account=a&storage-domain=blob.lan:10000");
    assert_eq!(azure.to_string(), "azblob://c/p at a.blob.lan:10000");
    azure.apply(options(&[("managed-identity", "")])).unwrap();
    let Storage::Azure(azure) = azure else { panic!("no Azure") };
    assert_eq!(azure.identity, Some(AzureIdentity::Managed { client: None }));

    let mut sftp = storage("sftp://u@h/p");
    sftp.apply(options(&[("keyfile", "key"), ("known-hosts", "/kh"), ("ssh-args", "-J jump")])).unwrap();
    let Storage::Sftp(sftp) = sftp else { panic!("no SFTP") };
    assert!(matches!(sftp.key, Some(SshKey::File(file)) if file.is_absolute()));
    assert_eq!(sftp.known_hosts, Some(KnownHosts::File("/kh".into())));
    assert_eq!(sftp.external.unwrap().arguments, ["-J", "jump"]);

    let mut server = storage("kopia://h");
    server.apply(options(&[("server-cert-fingerprint", "AB")])).unwrap();
    assert!(
        matches!(server, Storage::Server(Server { trust: Trust::Fingerprint(print), .. }) if print == "AB")
    );
}

#[test]
fn all_that_kopia_has_options_for_can_be_said() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("rclone.conf");
    std::fs::write(&config, "[r]\n").unwrap();
    let mut rclone = storage("rclone:r:p");
    let mut given = options(&[
        ("rclone-args", "--config"),
        ("rclone-args", "/a b"),
        ("rclone-env", "A=hush"),
        ("rclone-env", "B=2"),
        ("rclone-exe", "/opt/rclone"),
        ("rclone-startup-timeout", "1m"),
    ]);
    given.set("embed-rclone-config", config.to_str().unwrap());
    rclone.apply(given).unwrap();
    let Storage::Rclone(rclone) = rclone else { panic!("no rclone") };
    assert_eq!(rclone.arguments, ["--config", "/a b"]);
    assert_eq!(rclone.environment, ["A=hush".into(), "B=2".into()]);
    assert_eq!(rclone.embedded_config, Some("[r]\n".into()));

    let url = "sftp://u@h/p?port=2222&key-data=K&keyfile=/k&known-hosts=/h&known-hosts-data=L";
    let Storage::Sftp(sftp) = storage(url) else { panic!("no SFTP") };
    assert_eq!((sftp.port, sftp.key), (Some(2222), Some(SshKey::Text("K".into()))));
    assert_eq!(sftp.known_hosts, Some(KnownHosts::Text("L".into())));
    assert!(Connection::parse("sftp://u@h/p?port=hush").unwrap_err().to_string().contains("65535"));
}

#[test]
fn limits_and_users_are_said_of_the_connection() {
    let url = "kopia://a@b@h?limit-download=2K&read-requests-per-second=1.5&list-requests-per-second=3\
               &concurrent-reads=4&override-username=c";
    let mut connection = Connection::parse(url).unwrap();
    let limits = Limits {
        reads_per_second: Some(1.5),
        lists_per_second: Some(3.0),
        download_bytes_per_second: Some(2048.0),
        concurrent_reads: Some(4),
    };
    assert_eq!(connection.limits, limits);
    let who = (connection.username.as_deref(), connection.hostname.as_deref());
    assert_eq!(who, (Some("c"), Some("b")));
    let none = ["limit-download", "read-requests-per-second", "list-requests-per-second", "concurrent-reads"];
    connection.apply(options(&none.map(|name| (name, "0")))).unwrap();
    assert_eq!(connection.limits, Limits::default());
    for (name, value) in [("limit-download", "fast"), ("concurrent-reads", "-1"), ("concurrent-reads", "NaN")]
    {
        let said = connection.apply(options(&[(name, value)])).unwrap_err().to_string();
        assert!(said.contains(name) && said.contains("such as"), "{said}");
    }
}

/// What is described is what is known, by each kind of storage.
#[test]
fn the_list_of_options_is_true() {
    let urls = [
        (Kind::Filesystem, "/p"),
        (Kind::S3, "s3://b"),
        (Kind::Gcs, "gs://b"),
        (Kind::Azure, "azblob://c"),
        (Kind::B2, "b2://b"),
        (Kind::GoogleDrive, "gdrive://f"),
        (Kind::Sftp, "sftp://h/p"),
        (Kind::WebDav, "webdav://h/p"),
        (Kind::Rclone, "rclone:r:p"),
        (Kind::Server, "kopia://h"),
    ];
    assert_eq!(urls.map(|(kind, _)| kind), Kind::ALL);
    for (kind, url) in urls {
        for known in KNOWN {
            let mut connection = Connection::parse(url).unwrap();
            let applied = connection.apply(options(&[(known.name, "x")]));
            let is_strange = applied.is_err_and(|error| error.to_string().contains("means nothing to"));
            assert_eq!(!is_strange, known.kinds.contains(&kind), "{} of {url}", known.name);
        }
    }
}

#[test]
fn variables_fill_what_is_not_said() {
    let environment: Environment = [
        ("AZURE_STORAGE_ACCOUNT", "account"),
        ("AZURE_STORAGE_KEY", "key"),
        ("B2_KEY_ID", "id"),
        ("B2_KEY", "key"),
        ("KOPIA_WEBDAV_USERNAME", "user"),
        ("KOPIA_WEBDAV_PASSWORD", "word"),
        ("ROOT_CA_PEM_BASE64", "LS0tCg=="),
    ]
    .into_iter()
    .collect();
    let complete = |url: &str| {
        let mut storage = storage(url);
        storage.complete(&environment).unwrap();
        storage
    };
    let Storage::Azure(azure) = complete("azblob://c") else { panic!("no Azure") };
    assert_eq!((azure.account.as_str(), azure.identity), ("account", Some(AzureIdentity::Key("key".into()))));
    let Storage::B2(b2) = complete("b2://b?key-id=own") else { panic!("no B2") };
    assert_eq!((b2.key_id.as_str(), b2.key), ("own", Some("key".into())));
    let Storage::WebDav(webdav) = complete("webdav://me@h/") else { panic!("no WebDAV") };
    assert_eq!((webdav.username.as_deref(), webdav.password), (Some("me"), Some("word".into())));
    let Storage::S3(s3) = complete("s3://b") else { panic!("no S3") };
    assert_eq!(s3.root_ca.as_deref(), Some(&b"---\n"[..]));
    assert_eq!(complete("/srv"), storage("/srv"));
}
