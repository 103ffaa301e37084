//! What servers say, as their makers' references have it, and what files hold that are read to speak with
//! them.

use crate::Seeds;

pub(crate) fn add(seeds: &mut Seeds) {
    for (target, text) in TEXTS {
        seeds.add(target, text, text.as_bytes());
    }
    for (target, bytes) in BYTES {
        seeds.add(target, bytes, bytes);
    }
}

const TEXTS: [(&str, &str); 38] = [
    (
        "s3_answers",
        r#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken><Contents><Key>k%2Fp1+a</Key><LastModified>2023-11-14T22:13:20.000Z</LastModified><ETag>&quot;x&quot;</ETag><Size>7</Size><StorageClass>DEEP_ARCHIVE</StorageClass></Contents><CommonPrefixes><Prefix>k/</Prefix></CommonPrefixes></ListBucketResult>"#,
    ),
    (
        "s3_answers",
        "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker><DeleteMarker><Key>p1</Key><VersionId>3</VersionId><LastModified>2023-11-14T22:13:20Z</LastModified></DeleteMarker><Version><Key>p1</Key><VersionId>2</VersionId><Size>5</Size></Version></ListVersionsResult>",
    ),
    (
        "s3_answers",
        "<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message><ServerTime>2023-11-14T22:13:20Z</ServerTime><Region>eu-west-1</Region><Endpoint>b.s3.eu-west-1.amazonaws.com</Endpoint></Error>",
    ),
    ("s3_answers", "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"),
    ("s3_answers", "<Error><Code>InvalidObjectState</Code><StorageClass>GLACIER</StorageClass></Error>"),
    ("s3_answers", "<LocationConstraint>EU</LocationConstraint>"),
    (
        "s3_answers",
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey><SessionToken>T</SessionToken><Expiration>2023-11-14T22:13:20Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
    ),
    (
        "s3_answers",
        r#"{"Code":"Success","AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2023-11-14T22:13:20Z"}"#,
    ),
    (
        "azure_answers",
        r#"<EnumerationResults ContainerName="c"><Blobs><Blob><Name Encoded="true">k%2Fp1</Name><VersionId>2023-11-14T22:15:00.0000000Z</VersionId><HasVersionsOnly>true</HasVersionsOnly><Properties><Last-Modified>Tue, 14 Nov 2023 22:13:20 GMT</Last-Modified><Content-Length>12</Content-Length><AccessTier>Archive</AccessTier><ResourceType>file</ResourceType></Properties><Metadata><Kopiamtime>1600000000000000007</Kopiamtime></Metadata></Blob></Blobs><NextMarker>m</NextMarker></EnumerationResults>"#,
    ),
    (
        "gcs_answers",
        r#"{"nextPageToken":"t","items":[{"name":"p1","size":"12","timeCreated":"2023-11-14T22:13:20Z","timeDeleted":"2023-11-15T22:13:20Z","generation":"1","metadata":{"Kopia-Mtime":"1600000000000000007"}}]}"#,
    ),
    (
        "gdrive_answers",
        r#"{"files":[{"id":"1","name":"p1","size":"12","modifiedTime":"2023-11-14T22:13:20Z"}],"nextPageToken":"t"}"#,
    ),
    (
        "b2_answers",
        r#"{"files":[{"fileName":"k/p1","contentLength":12,"uploadTimestamp":1700000000123,"action":"upload","fileInfo":{"kopia-mtime":"1600000000000000007"}}],"nextFileName":"n"}"#,
    ),
    (
        "b2_answers",
        r#"{"accountId":"a","allowed":{"bucketId":"b","bucketName":"n","capabilities":["listFiles"],"namePrefix":"k/"},"apiUrl":"https://a","authorizationToken":"t","downloadUrl":"https://d"}"#,
    ),
    ("b2_answers", r#"{"buckets":[{"bucketId":"1","bucketName":"b"}]}"#),
    ("b2_answers", r#"{"code":"bad_auth_token","message":"m","status":401}"#),
    (
        "google_credentials",
        r#"{"type":"service_account","client_email":"a@b","private_key":"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----","private_key_id":"1","token_uri":"https://t"}"#,
    ),
    (
        "google_credentials",
        r#"{"type":"external_account","audience":"a","subject_token_type":"t","token_url":"https://t","service_account_impersonation_url":"https://i","credential_source":{"url":"http://u","headers":{"a":"b"},"format":{"type":"json","subject_token_field_name":"type"}}}"#,
    ),
    (
        "google_credentials",
        r#"{"type":"impersonated_service_account","service_account_impersonation_url":"https://i","delegates":["d"],"source_credentials":{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r"}}"#,
    ),
    (
        "google_credentials",
        r#"{"access_token":"t","expires_in":"86399","expires_on":1700086399,"expireTime":"2023-11-14T23:13:20Z"}"#,
    ),
    (
        "webdav_answers",
        r#"<D:multistatus xmlns:D="DAV:"><D:response><D:href>/dav/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response><D:response><D:href>http://h/dav/p%20/</D:href><D:propstat><D:prop><D:getcontentlength>7</D:getcontentlength><D:getlastmodified>Tue, 14 Nov 2023 22:13:20 GMT</D:getlastmodified></D:prop></D:propstat></D:response></D:multistatus>"#,
    ),
    (
        "webdav_answers",
        r#"#Negotiate, Digest realm="a, \"b\"", qop="auth,auth-int", nonce=abc==, algorithm=SHA-256-sess, userhash=true, opaque="o", Basic realm="x""#,
    ),
    ("http_headers", "content-range: bytes 8-99/1000\nretry-after: 18446744073709551615\n"),
    ("http_headers", "content-range: bytes */1000\nretry-after: Sun, 06 Nov 1994 08:49:37 GMT"),
    ("http_headers", "https://al%40ice:p%3Aw@[::1]:8443//a?b#c\ndate: Sun, 06 Nov 1994 08:49:37 GMT"),
    (
        "key_files",
        "[default]\naws_access_key_id = A\naws_secret_access_key=S\n aws_session_token=T\n[profile p]\n; c\nrole_arn=r\n",
    ),
    (
        "key_files",
        "machine host.example login a password \"p \\\"1\"\nmacdef init\ncd /\n\ndefault login b password c # d",
    ),
    ("key_files", r#"/bin/a -x "b c" 'd "e' f\ g ''"#),
    (
        "known_hosts",
        "@cert-authority *.example ssh-ed25519 AAAA\n[host.example]:2222,!a ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n@revoked * ssh-rsa AAAA",
    ),
    (
        "known_hosts",
        "|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|AAAAAAAAAAAAAAAAAAAAAAAAAAA= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH",
    ),
    (
        "rclone_words",
        "NOTICE: Serving remote control on http://127.0.0.1:5572/\nNOTICE: a: WebDav Server started on [http://127.0.0.1:7811/]\n",
    ),
    ("rclone_words", ":s3,key=AK,secret=\"s3:c,r3t\":bucket/a,b"),
    (
        "configuration",
        r#"{"storage":{"type":"s3","config":{"bucket":"b","prefix":"k/","endpoint":"h:9000","doNotUseTLS":true,"accessKeyID":"A","secretAccessKey":"S","duration":"15m0s","pointInTime":"2023-11-14T22:13:20Z","rootCA":"AA==","readsPerSecond":5}},"hostname":"h","username":"u","throttlingLimits":{"concurrentReads":2}}"#,
    ),
    (
        "configuration",
        r#"{"apiServer":{"url":"https://kopia.lan:51515","serverCertFingerprint":"48537c"},"Storage":null}"#,
    ),
    (
        "configuration",
        r#"{"storage":{"type":"sftp","config":{"path":"/p","host":"h","port":22,"username":"u","keyData":"k","knownHostsData":"x","externalSSH":true,"sshArguments":"-p 2","dirShards":[3,3]}}}"#,
    ),
    (
        "reconnect_token",
        r#"{"version":"1","storage":{"type":"rclone","config":{"remotePath":"r:p","rcloneArgs":["a"],"rcloneEnv":["A=b"],"startupTimeout":"15000000000"}},"password":"pw"}"#,
    ),
    ("location", "s3://backups/laptop/?endpoint=minio.lan:9000&region=r&disable-tls=true"),
    ("location", "sftp://host:2222/srv/kopia?known-hosts=x"),
    ("password_file", "cHctRXhhbXBsZTE=\n"),
];

const BYTES: [(&str, &[u8]); 7] = [
    // Names of one entry; a status; bytes; attributes; a greeting.
    (
        "sftp_packets",
        b"\x68\0\0\0\x01\0\0\0\x01\0\0\0\x02p1\0\0\0\x01l\x80\0\0\x0d\0\0\0\0\0\0\0\x07\0\0\x81\xa4\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\x01a\0\0\0\x01b",
    ),
    ("sftp_packets", b"\x65\0\0\0\x01\0\0\0\x04\0\0\0\x03why\0\0\0\x02en"),
    ("sftp_packets", b"\x67\0\0\0\x01\0\0\0\x05bytes"),
    ("sftp_packets", b"\x02\0\0\0\x03\0\0\0\x12limits@openssh.com\0\0\0\x011"),
    // A content; a page of manifests with more to come; a refusal, with the frame of gRPC.
    ("server_messages", b"\x09\x08\x05\x72\x07\x0a\x05plain"),
    (
        "server_messages",
        b"\x03\x08\x05\x18\x01\x8a\x01\x13\x0a\x11\x0a\x02m1\x10\x80\x94\xeb\xdc\x03\x22\x06\x0a\x01a\x12\x01b",
    ),
    ("server_messages", b"\x01\0\0\0\0\x0b\x08\x05\x12\x07\x08\x05\x12\x03not"),
];
