use super::*;
use crate::storage::AzureIdentity;

fn read(json: &str) -> Storage {
    let (storage, limits) = storage(&Object::parse(json).unwrap()).unwrap();
    assert_eq!(limits, Limits::default());
    storage
}

fn flaw(json: &str) -> String {
    match storage(&Object::parse(json).unwrap()).unwrap_err() {
        Flaw::Malformed(why) => why,
        Flaw::UnknownType(name) => format!("unknown {name}"),
    }
}

/// As kopia 0.23.1 wrote it.
#[test]
fn s3() {
    let plain = read(
        r#"{"type":"s3","config":{"bucket":"backups","prefix":"k/","endpoint":"minio.local:9000","doNotUseTLS":true,
        "accessKeyID":"AKIAEXAMPLE","secretAccessKey":"s3cr3t","sessionToken":"","roleARN":"","sessionName":"","duration":"0s",
        "roleEndpoint":"","roleRegion":""}}"#,
    );
    let expected = S3 {
        bucket: "backups".into(),
        prefix: "k/".into(),
        endpoint: Some("minio.local:9000".into()),
        disable_tls: true,
        access_key: Some("AKIAEXAMPLE".into()),
        secret_key: Some("s3cr3t".into()),
        ..S3::default()
    };
    assert_eq!(plain, Storage::S3(expected));
    assert_eq!(plain.to_string(), "s3://backups/k/ at minio.local:9000");

    let Storage::S3(all) = read(
        r#"{"type":"s3","config":{"bucket":"b","prefix":"/x//","doNotVerifyTLS":true,"rootCA":"LS0tCg==","sessionToken":"t",
        "roleARN":"arn:aws:iam::1:role/r","sessionName":"n","duration":"15m0s","roleEndpoint":"https://sts","roleRegion":"r2",
        "region":"eu-west-1","pointInTime":"2026-03-02T12:00:00.5Z"}}"#,
    ) else {
        panic!("no S3")
    };
    assert_eq!((all.prefix.as_str(), all.disable_tls_verification), ("/x//", true));
    assert_eq!(all.root_ca.as_deref(), Some(&b"---\n"[..]));
    let role = all.role.unwrap();
    assert_eq!((role.arn.as_str(), role.duration), ("arn:aws:iam::1:role/r", Some(Duration::from_secs(900))));
    assert_eq!((role.session_name.as_deref(), role.region.as_deref()), (Some("n"), Some("r2")));
    assert_eq!(all.point_in_time.unwrap().to_string(), "2026-03-02T12:00:00.5Z");
}

#[test]
fn google() {
    let Storage::Gcs(gcs) = read(
        r#"{"type":"gcs","config":{"bucket":"b","credentialsFile":"/key.json","credentials":{"type":"service_account", "a":1}}}"#,
    ) else {
        panic!("no GCS")
    };
    assert_eq!(gcs.account, GoogleAccount::Json(r#"{"type":"service_account", "a":1}"#.into()));
    let Storage::Gcs(gcs) =
        read(r#"{"type":"gcs","config":{"bucket":"b","credentialsFile":"/k","credentials":null}}"#)
    else {
        panic!("no GCS")
    };
    assert_eq!(gcs.account, GoogleAccount::File("/k".into()));
    let drive = read(r#"{"type":"gdrive","config":{"folderID":"f","readOnly":true}}"#);
    let expected = GoogleDrive { folder_id: "f".into(), account: GoogleAccount::Ambient };
    assert_eq!(drive, Storage::GoogleDrive(expected));
}

#[test]
fn azure_takes_the_first_identity_that_is_complete() {
    let identity = |fields: &str| {
        let json =
            format!(r#"{{"type":"azureBlob","config":{{"container":"c","storageAccount":"a",{fields}}}}}"#);
        let Storage::Azure(azure) = read(&json) else { panic!("no Azure") };
        assert_eq!(azure.host(), "a.blob.core.windows.net");
        azure.identity
    };
    let (tenant, client) = (|| "t".to_owned(), || "i".to_owned());
    let token = r#""TenantID":"t","ClientID":"i","azureFederatedTokenFile":"/f""#;
    let certificate = format!(r#"{token},"clientCertificate":"pem""#);
    let secret = format!(r#"{certificate},"ClientSecret":"s""#);
    let key = format!(r#"{secret},"storageKey":"k""#);
    let sas = format!(r#"{key},"sasToken":"?sig""#);
    assert_eq!(identity(&sas), Some(AzureIdentity::Sas("?sig".into())));
    assert_eq!(identity(&key), Some(AzureIdentity::Key("k".into())));
    let expected = AzureIdentity::ClientSecret { tenant: tenant(), client: client(), secret: "s".into() };
    assert_eq!(identity(&secret), Some(expected));
    let expected =
        AzureIdentity::ClientCertificate { tenant: tenant(), client: client(), certificate: "pem".into() };
    assert_eq!(identity(&certificate), Some(expected));
    let expected = AzureIdentity::Federated { tenant: tenant(), client: client(), token_file: "/f".into() };
    assert_eq!(identity(token), Some(expected));
    assert_eq!(identity(r#""TenantID":"t","ClientSecret":"s""#), None);
}

#[test]
fn directories_of_servers() {
    let sftp = read(
        r#"{"type":"sftp","config":{"path":"/b","host":"h","port":2222,"username":"u","password":"","keyfile":"/k",
        "keyData":"pem","knownHostsFile":"/kh","externalSSH":true,"sshCommand":"ssh","sshArguments":"-o  A=b","dirShards":null}}"#,
    );
    let external = ExternalSsh {
        command: Some("ssh".into()),
        arguments: vec!["-o".into(), String::new(), "A=b".into()],
    };
    let expected = Sftp {
        path: "/b".into(),
        host: "h".into(),
        port: Some(2222),
        username: "u".into(),
        key: Some(SshKey::Text("pem".into())),
        known_hosts: Some(KnownHosts::File("/kh".into())),
        external: Some(external),
        ..Sftp::default()
    };
    assert_eq!(sftp, Storage::Sftp(expected));
    let webdav = read(
        r#"{"type":"webdav","config":{"url":"https://u:p@dav.lan/k","username":"u","password":"p",
        "trustedServerCertificateFingerprint":"ab","atomicWrites":false}}"#,
    );
    assert_eq!(webdav.to_string(), "https://dav.lan/k");
    let Storage::Rclone(rclone) = read(
        r#"{"type":"rclone","config":{"remotePath":"r:p","rcloneArgs":["-v"],"rcloneEnv":["A=b"],"startupTimeout":"15000000000",
        "embeddedConfig":"[r]","atomicWrites":true}}"#,
    ) else {
        panic!("no rclone")
    };
    assert_eq!(rclone.startup_timeout, Some(Duration::from_secs(15)));
    assert_eq!((rclone.arguments, rclone.environment), (vec!["-v".to_owned()], vec!["A=b".into()]));
    assert_eq!(rclone.embedded_config, Some("[r]".into()));
}

#[test]
fn limits_lie_flat() {
    let json = r#"{"type":"b2","config":{"bucket":"b","keyID":"i","key":"k","readsPerSecond":2.5,"listsPerSecond":-1,
        "maxDownloadSpeedBytesPerSecond":1000000,"concurrentReads":4,"concurrentWrites":9}}"#;
    let (_, limits) = storage(&Object::parse(json).unwrap()).unwrap();
    let expected = Limits {
        reads_per_second: Some(2.5),
        lists_per_second: None,
        download_bytes_per_second: Some(1e6),
        concurrent_reads: Some(4),
    };
    assert_eq!(limits, expected);
}

#[test]
fn what_is_missing_or_wrong_is_named_and_nothing_quoted() {
    for (json, why) in [
        ("{}", "has no type"),
        (r#"{"type":"flux","config":{}}"#, "unknown flux"),
        (r#"{"type":"S3","config":{}}"#, "unknown S3"),
        (r#"{"type":"s3"}"#, "S3 needs \"bucket\""),
        (r#"{"type":"s3","config":{"bucket":"b","secretAccessKey":["hush"]}}"#, "\"secretAccessKey\""),
        (r#"{"type":"s3","config":{"bucket":"b","rootCA":"hush!"}}"#, "\"rootCA\""),
        (r#"{"type":"s3","config":{"bucket":"b","pointInTime":"hush"}}"#, "\"pointInTime\""),
        (r#"{"type":"s3","config":{"bucket":"b","duration":"hush"}}"#, "\"duration\""),
        (r#"{"type":"sftp","config":{"path":"/p","host":"h","port":70000}}"#, "\"port\""),
        (r#"{"type":"filesystem","config":{}}"#, "a directory needs \"path\""),
        (r#"{"type":"s3","config":"hush"}"#, "\"config\""),
    ] {
        let said = flaw(json);
        assert!(said.contains(why) && !said.contains("hush"), "{json}: {said}");
    }
}
