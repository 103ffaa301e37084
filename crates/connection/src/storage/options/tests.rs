use super::*;
use crate::Connection;

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
