//! What policies come to, beside what kopia 0.23.1 shows.

use super::*;

#[test]
fn the_json_has_kopias_order() {
    // As kopia 0.23.1 shows the global policy of a new repository.
    let kopia = r#"{"retention":{"keepLatest":10,"keepHourly":48,"keepDaily":7,"keepWeekly":4,"keepMonthly":24,"keepAnnual":3,"ignoreIdenticalSnapshots":false},"files":{"ignoreDotFiles":[".kopiaignore"]},"errorHandling":{"ignoreFileErrors":false,"ignoreDirectoryErrors":false,"ignoreUnknownTypes":true},"scheduling":{"runMissed":true},"compression":{"compressorName":"none"},"metadataCompression":{"compressorName":"zstd-fastest"},"splitter":{},"actions":{},"osSnapshots":{"volumeShadowCopy":{"enable":0}},"logging":{"directories":{"snapshotted":5,"ignored":5},"entries":{"snapshotted":0,"ignored":5,"cacheHit":0,"cacheMiss":0}},"upload":{"maxParallelSnapshots":1,"parallelUploadAboveSize":2147483648}}"#;
    assert_eq!(text(&merge::merged(&[], None).policy), kopia);
    let action = json!({"actions": {"beforeSnapshotRoot": {"mode": "async", "path": "/x", "args": ["a"]}}});
    let text = text(&merge::merged(&[(Source::default(), action)], None).policy);
    assert!(text.contains(r#""beforeSnapshotRoot":{"path":"/x","args":["a"],"mode":"async"}"#), "{text}");
}

#[test]
fn a_policy_that_wants_no_parents_says_so_at_its_end() {
    let policy = json!({"retention": {"keepLatest": 1}, "noParent": true});
    let listed = stored_text(&policy);
    assert!(listed.ends_with(r#""upload":{},"noParent":true}"#), "{listed}");
    assert_eq!(listed.replace(r#","noParent":true"#, ""), text(&policy));
    assert_eq!(stored_text(&json!({"noParent": false})), text(&json!({})));
}

#[test]
fn a_policy_that_cannot_be_read_is_named() {
    let policies = |data: &str| {
        let labels = [("type", "policy"), ("policyType", "global")];
        let labels = labels.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let modified = "2026-01-02T03:04:05Z".parse().unwrap();
        let id = "1234".parse().unwrap();
        Policies(vec![Manifest::new(id, labels, modified, data.as_bytes()).unwrap()])
    };
    for data in ["[]", "\"x\"", r#"{"retention":5}"#] {
        let failed = policies(data).effective(&Source::default()).unwrap_err();
        assert!(format!("{failed:?}").contains("error loading policy for manifest 1234"), "{failed:?}");
    }
    let policy = policies(r#"{"retention":{"keepLatest":1},"files":null}"#).effective(&Source::default());
    assert_eq!(policy.unwrap().policy["retention"]["keepLatest"], 1);
}

#[test]
fn parents_as_kopia_finds_them() {
    for (path, above) in [
        ("/a/b", Some("/a")),
        ("/a/b/", Some("/a")),
        ("/a", Some("/")),
        ("/", None),
        ("C:\\a\\b", Some("C:\\a")),
        ("C:\\a", Some("C:\\")),
        ("C:\\", None),
        ("name", None),
    ] {
        assert_eq!(parent(path), above, "{path}");
    }
}

/// What is said of `u@h:/a/b`, `u@h`, `@h` and all, as `kopia policy import` takes it.
const SAID: [&str; 4] = [
    r##"{"compression":{"onlyCompress":[".c"]},"files":{"noParentIgnore":true,"noParentDotFiles":true,"ignoreCacheDirs":false},"scheduling":{"timeOfDay":[{"hour":1,"min":2}],"manual":false},"actions":{"beforeFolder":{"path":"/bin/x","args":["1","2"]},"afterSnapshotRoot":{"path":"/bin/y"}},"osSnapshots":{"volumeShadowCopy":{"enable":2}},"upload":{"maxParallelFileReads":3},"splitter":{"algorithm":"FIXED-1M"}}"##,
    r##"{"compression":{"onlyCompress":[".bb"],"noParentOnlyCompress":true,"neverCompress":[".gz"]},"scheduling":{"timeOfDay":[{"hour":12,"min":5}],"noParentTimeOfDay":true,"intervalSeconds":3600},"logging":{"entries":{"cacheHit":7}}}"##,
    r##"{"compression":{"onlyCompress":[".host"],"maxSize":900000000}}"##,
    r##"{"retention":{"keepLatest":5},"files":{"ignore":["*.tmp"],"maxFileSize":123456},"compression":{"compressorName":"zstd","onlyCompress":[".aaa"],"neverCompress":[".zip"],"minSize":5000},"scheduling":{"timeOfDay":[{"hour":3,"min":0}],"cron":["0 1 * * *"]},"actions":{"beforeSnapshotRoot":{"script":"#!/bin/sh\necho a && b <x>","timeout":90,"mode":"optional"}}}"##,
];

/// What kopia 0.23.1 shows of that.
const JSON: &str = r##"{"retention":{"keepLatest":5,"keepHourly":48,"keepDaily":7,"keepWeekly":4,"keepMonthly":24,"keepAnnual":3,"ignoreIdenticalSnapshots":false},"files":{"ignore":["*.tmp"],"noParentIgnore":true,"ignoreDotFiles":[".kopiaignore"],"noParentDotFiles":true,"ignoreCacheDirs":false,"maxFileSize":123456},"errorHandling":{"ignoreFileErrors":false,"ignoreDirectoryErrors":false,"ignoreUnknownTypes":true},"scheduling":{"intervalSeconds":3600,"timeOfDay":[{"hour":1,"min":2},{"hour":12,"min":5}],"noParentTimeOfDay":true,"cron":["0 1 * * *"],"runMissed":true},"compression":{"compressorName":"zstd","onlyCompress":[".bb",".c"],"noParentOnlyCompress":true,"neverCompress":[".gz",".zip"],"minSize":5000,"maxSize":900000000},"metadataCompression":{"compressorName":"zstd-fastest"},"splitter":{"algorithm":"FIXED-1M"},"actions":{"beforeFolder":{"path":"/bin/x","args":["1","2"]},"beforeSnapshotRoot":{"script":"#!/bin/sh\necho a \u0026\u0026 b \u003cx\u003e","timeout":90,"mode":"optional"},"afterSnapshotRoot":{"path":"/bin/y"}},"osSnapshots":{"volumeShadowCopy":{"enable":2}},"logging":{"directories":{"snapshotted":5,"ignored":5},"entries":{"snapshotted":0,"ignored":5,"cacheHit":7,"cacheMiss":0}},"upload":{"maxParallelSnapshots":1,"maxParallelFileReads":3,"parallelUploadAboveSize":2147483648}}"##;
const TEXT: &str = r##"Policy for u@h:/a/b:

Retention:
  Annual snapshots:                     3   inherited from (global)
  Monthly snapshots:                   24   inherited from (global)
  Weekly snapshots:                     4   inherited from (global)
  Daily snapshots:                      7   inherited from (global)
  Hourly snapshots:                    48   inherited from (global)
  Latest snapshots:                     5   inherited from (global)
  Ignore identical snapshots:       false   inherited from (global)

Files policy:
  Ignore cache directories:         false   (defined for this target)
  Ignore rules:                             inherited from (global)
    *.tmp
  Read ignore rules from files:             inherited from (global)
    .kopiaignore
  Ignore files above:            123.5 KB   inherited from (global)
  Scan one filesystem only:         false   inherited from (global)

Error handling policy:
  Ignore file read errors:          false   inherited from (global)
  Ignore directory read errors:     false   inherited from (global)
  Ignore unknown types:              true   inherited from (global)

Scheduling policy:
  Scheduled snapshots:
    Snapshot interval:             1h0m0s   inherited from u@h
  Run missed snapshots:              true   inherited from (global)
  Snapshot times:                           inherited from (global)
    1:02
    12:05
  Crontab expressions:                      inherited from (global)
    0 1 * * *
  Manual snapshot:                  false   inherited from (global)

Uploads:
  Max parallel snapshots (server/UI):   1   inherited from (global)
  Max parallel file reads:              3   (defined for this target)
  Parallel upload above size:      2.1 GB   inherited from (global)

Compression:
  Compressor:                        zstd   inherited from (global)
  Only compress files with the following extensions:   inherited from u@h
     - .bb
     - .c
  Only compress files between 5 KB and 0.9 GB.

Metadata compression:
  Compressor:                zstd-fastest   inherited from (global)

Splitter:
  Algorithm override:            FIXED-1M   (defined for this target)

Run command before snapshot root:           inherited from (global)
  Embedded script (stored in repository):
    #!/bin/sh
    echo a && b <x>
  Mode:                          optional
  Timeout:                          1m30s

Run command after snapshot root:            (defined for this target)
  Command:
    /bin/y 
  Mode:                              sync
  Timeout:                             0s

Run command before this folder:             (non-inheritable)
  Command:
    /bin/x 1 2
  Mode:                              sync
  Timeout:                             0s


OS-level snapshot support:
  Volume Shadow Copy:      when-available   (defined for this target)

Logging details (0-none, 10-maximum):
  Directory snapshotted:                5   inherited from (global)
  Directory ignored:                    5   inherited from (global)
  Entry snapshotted:                    0   inherited from (global)
  Entry ignored:                        5   inherited from (global)
  Entry cache hit:                      7   inherited from u@h
  Entry cache miss:                     0   inherited from (global)
"##;

#[test]
fn policies_come_to_what_kopia_shows() {
    let of = |user: &str, host: &str, path: &str| Source {
        user: user.into(),
        host: host.into(),
        path: path.into(),
    };
    let targets = [of("u", "h", "/a/b"), of("u", "h", ""), of("", "h", ""), Source::default()];
    let said: Vec<(Source, Value)> =
        std::iter::zip(targets, SAID).map(|(of, said)| (of, serde_json::from_str(said).unwrap())).collect();
    let effective = merge::merged(&said, Some(&said[0].1));
    let json = JSON.replace("\\u0026", "&").replace("\\u003c", "<").replace("\\u003e", ">");
    assert_eq!(text(&effective.policy), json);
    assert_eq!(text::text(&effective, &said[0].0), TEXT);
}
