//! The schema that `kopia-rs schema` prints, against what commands write: every key of an output is in it, and
//! every key of it is in some output.

use std::collections::BTreeSet;
use std::fs;

use kopia_testkit::damage::{RepositoryCopy, copy_repository};
use kopia_testkit::golden;
use serde_json::{Map, Value};

use crate::common::{KopiaRs, Place};
use crate::velero::bucket;

/// Keys that the outputs below do not have: they take servers, archives, or damage that other tests make.
const UNSEEN: &[&str] = &[
    // Of repositories behind a server, and in an archive.
    "serverStatus",
    "archive",
    "inArchive",
    // Of the mover, whose tests read it.
    "mover",
    // Of what `ls` cannot list, and of names that have candidates; `errors` has tests of both.
    "failed/properties/error/properties/path",
    "failed/properties/error/properties/candidates",
    // Of a server, whose tests read it.
    "serve",
    // Of restores that keep what they replace, whose tests read it.
    "kept",
    "undo",
    "restore/properties/keptIn",
    // Of block devices, for which a test needs root.
    "restoreDevice",
    "restoreDryRun/anyOf/1/properties/archive",
    "export/properties/requests",
    // Of damage that is tested elsewhere; each has a message that is always there.
    "part",
    "stub",
    "problem/properties/object",
    "problem/properties/salvaged",
    "reason/properties/blob",
    "reason/properties/offset",
    "reason/properties/operation",
    "reason/properties/errno",
    "verify/properties/hasGaps",
    "verify/properties/unsearched",
    "verify/properties/untoldLossCount",
    "verify/properties/neededDeletedCount",
    "doctor/properties/savedFormatBlob",
    "doctor/properties/readingSeconds",
    // Of snapshots that were not finished, or of which some is missing.
    "chosen/properties/incomplete",
    "snapshot/properties/incomplete",
    "snapshot/properties/rootEntry/properties/summ/properties/incomplete",
    "snapshot/properties/rootEntry/properties/summ/properties/numIgnoredErrors",
    "snapshot/properties/rootEntry/properties/summ/properties/errors",
    "snapshot/properties/rootEntry/properties/uid",
    "snapshot/properties/rootEntry/properties/gid",
    // An attribute that cannot be set, as whoever is not root has it; a blob in an archive.
    "reportLine/anyOf/1",
    "reportLine/anyOf/2",
    // Of a program that somebody waits for.
    "progress/properties/bytesPerSecond",
    "progress/properties/secondsLeft",
    "connection/properties/error",
    // Of a snapshot that was deleted.
    "veleroVolume/properties/deleted",
    "connection/properties/class",
    "doctor/properties/target/properties/freeInodes",
];

struct Checker {
    schema: Value,
    /// Pointers of the keys that were seen.
    seen: BTreeSet<String>,
}

/// Keys of an object that a schema knows, and the pointers of those that are there.
#[derive(Default)]
struct Known {
    keys: BTreeSet<String>,
    seen: BTreeSet<String>,
    is_open: bool,
}

impl Checker {
    fn new() -> Self {
        let printed = KopiaRs::new("schema").run().exits(0);
        Self { schema: printed.json(), seen: BTreeSet::new() }
    }

    /// Checks what a command wrote against the schema of an output.
    fn check(&mut self, output: &str, written: &str) {
        let described = self.schema["outputs"][output].clone();
        assert!(described.is_object(), "{output} is not described");
        let values = serde_json::Deserializer::from_str(written).into_iter::<Value>();
        let values: Vec<Value> = values.map(|value| value.unwrap()).collect();
        let values = match described["form"].as_str().unwrap() {
            "array" => values.iter().flat_map(|value| value.as_array().unwrap().clone()).collect(),
            "value" => {
                assert_eq!(values.len(), 1, "{output}");
                values
            }
            _ => {
                assert!(written.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{output}");
                values
            }
        };
        assert!(!values.is_empty(), "{output} wrote nothing");
        for value in values {
            match self.value(&value, &described["schema"], output) {
                Ok(seen) => self.seen.extend(seen),
                Err(error) => {
                    panic!("{output}: {error}; correct src/commands/describe/schema.json\n{value:#}")
                }
            }
        }
    }

    /// Checks a value; an object may have no key that the schema does not know.
    fn value(&self, value: &Value, schema: &Value, at: &str) -> Result<BTreeSet<String>, String> {
        let known = self.known(value, schema, at)?;
        let unknown =
            value.as_object().into_iter().flat_map(Map::keys).find(|key| !known.keys.contains(*key));
        match unknown {
            Some(key) if !known.is_open => Err(format!("{at}: the schema has no key {key:?}")),
            _ => Ok(known.seen),
        }
    }

    fn known(&self, value: &Value, schema: &Value, at: &str) -> Result<Known, String> {
        let mut known = Known::default();
        let at_key = |key: &str| format!("{at}/{key}");
        for (keyword, wanted) in schema.as_object().unwrap() {
            let is_right = match keyword.as_str() {
                "description" => true,
                "$ref" => {
                    let name = wanted.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                    let definition = &self.schema["$defs"][name];
                    assert!(definition.is_object(), "{name} is not defined");
                    known.add(self.known(value, definition, name)?);
                    true
                }
                "type" => match wanted {
                    Value::Array(types) => types.iter().any(|one| is_type(value, one.as_str().unwrap())),
                    one => is_type(value, one.as_str().unwrap()),
                },
                "const" => value == wanted,
                "enum" => wanted.as_array().unwrap().contains(value),
                "minimum" => value.is_null() || value.as_f64() >= wanted.as_f64(),
                "format" => value.as_str().is_none_or(|text| text.ends_with('Z') && text.contains('T')),
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        known.seen.extend(self.value(item, wanted, &at_key("items"))?);
                    }
                    true
                }
                "required" => match value.as_object() {
                    Some(object) => wanted
                        .as_array()
                        .unwrap()
                        .iter()
                        .all(|key| object.contains_key(key.as_str().unwrap())),
                    None => true,
                },
                "properties" => {
                    for (key, schema) in wanted.as_object().unwrap() {
                        let Some(value) = value.get(key) else { continue };
                        let at = at_key(&format!("properties/{key}"));
                        known.seen.extend(self.value(value, schema, &at)?);
                        known.seen.insert(at);
                        known.keys.insert(key.clone());
                    }
                    true
                }
                "additionalProperties" => {
                    known.is_open = true;
                    true
                }
                "allOf" => {
                    for one in wanted.as_array().unwrap() {
                        known.add(self.known(value, one, at)?);
                    }
                    true
                }
                "anyOf" => {
                    let all = wanted.as_array().unwrap();
                    let mut why = Vec::new();
                    let fits = all.iter().enumerate().find_map(|(number, one)| {
                        let at = at_key(&format!("anyOf/{number}"));
                        let tried = self.value(value, one, &at).and_then(|_| self.known(value, one, &at));
                        tried.map_err(|error| why.push(error)).ok()
                    });
                    known.add(fits.ok_or_else(|| why.join("; "))?);
                    true
                }
                other => panic!("{at}: this test does not know {other:?}"),
            };
            if !is_right {
                return Err(format!("{at}: {keyword} is {wanted}, but there is {value}"));
            }
        }
        Ok(known)
    }

    /// Returns the pointers of all keys that the schema has.
    fn all(&self) -> BTreeSet<String> {
        fn collect(schema: &Value, at: &str, all: &mut BTreeSet<String>) {
            for (keyword, value) in schema.as_object().into_iter().flatten() {
                match keyword.as_str() {
                    "properties" => {
                        for (key, value) in value.as_object().unwrap() {
                            let at = format!("{at}/properties/{key}");
                            collect(value, &at, all);
                            all.insert(at);
                        }
                    }
                    "items" => collect(value, &format!("{at}/items"), all),
                    "anyOf" => {
                        for (number, one) in value.as_array().unwrap().iter().enumerate() {
                            collect(one, &format!("{at}/anyOf/{number}"), all);
                        }
                    }
                    _ => {}
                }
            }
        }
        let mut all = BTreeSet::new();
        for (name, schema) in self.schema["$defs"].as_object().unwrap() {
            collect(schema, name, &mut all);
        }
        all
    }
}

impl Known {
    fn add(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.seen.extend(other.seen);
        self.is_open |= other.is_open;
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("this test does not know the type {other:?}"),
    }
}

/// A copy of a golden repository in which a bit of each pack of files is another one.
fn damaged() -> RepositoryCopy {
    let copy = copy_repository(&golden::case("sources"));
    for pack in copy.blobs("p") {
        pack.flip_bit(100, 0);
    }
    copy
}

#[test]
fn every_output_is_as_the_schema_says() {
    let place = Place::new();
    let mut checker = Checker::new();
    assert_eq!(checker.schema["version"], 1);
    let sources = |arguments: &str| KopiaRs::golden("sources", &format!("{arguments} --json"));
    let target = place.path("target");
    for (output, command) in [
        ("status --json", sources("status")),
        ("status --json", KopiaRs::golden("ecc-10", "status --json")),
        ("snapshots --json", sources("snapshots")),
        ("snapshots --json", KopiaRs::golden("era-v0.5.2", "snapshots --json")),
        ("connections --kinds --json", KopiaRs::new("connections --kinds --json")),
        ("ls --json", sources("ls -R c3bc")),
        ("ls --json", sources("ls c3bc d10d")),
        ("find --json", sources("find *")),
        ("gone --json", sources("gone")),
        ("log --json", sources("log app@media:/data/hello.txt")),
        ("log --json", sources("log app@media:/data/random.bin")),
        ("log --json", sources("log app@media:/data/sub/link")),
        ("diff --json", sources("diff d10d c3bc")),
        ("diff --json", sources("diff d10d ce6c")),
        ("du --json", sources("du c3bc --unique")),
        ("stats --json", sources("stats")),
        ("packs --json", sources("packs c3bc")),
        ("restore --dry-run --json", sources("restore c3bc --dry-run --prices reads=1").arg(&target)),
        ("restore --json", sources("restore c3bc --prices reads=1").arg(&target)),
        ("restore --dry-run --json", sources("restore d10d --dry-run --delete-extra").arg(&target)),
        ("restore --dry-run --json", sources("restore c3bc --dry-run").arg(&target)),
        ("export --json", sources("export c3bc").arg(place.path("x.tar"))),
        ("export --json", sources("export c3bc ce6c").arg(place.path("y.tar"))),
        ("export --dry-run --json", sources("export c3bc --dry-run")),
        ("verify --json", sources("verify")),
        ("verify --json", sources("verify --percent 10")),
        ("verify --json", sources("verify --rotate 300").arg("--state").arg(place.path("state"))),
        ("doctor --json", sources("doctor app@media:/data").arg("--target").arg(&target)),
    ] {
        let ran = command.run().exits(0);
        checker.check(output, ran.text());
    }
    let failing = |output: &str, command: KopiaRs, code: i32, checker: &mut Checker| {
        let ran = command.run().exits(code);
        checker.check(output, ran.text());
    };
    failing("doctor --json", sources("doctor appsrc@media:/data"), 1, &mut checker);
    failing("doctor --json", sources("doctor cccc"), 1, &mut checker);
    let object = sources("restore k41691c442dfb24587cf7b485cbfce8e3").arg(place.path("object"));
    failing("restore --json", object, 0, &mut checker);

    let bucket = bucket();
    for list in ["backups", "volumes"] {
        let command = KopiaRs::new(&format!("velero {list} --json")).repository(&bucket.path("bucket"));
        checker.check(&format!("velero {list} --json"), command.run().exits(0).text());
    }
    let failed = "any, with another exit status than 0, 3 and 4";
    failing(failed, KopiaRs::new("snapshots --json --repository /nonexistent"), 1, &mut checker);

    // What kopia is connected to.
    let config = place.path("repository.config");
    let storage = serde_json::json!({"type": "filesystem", "config": {"path": place.path("")}});
    let connected =
        serde_json::json!({"storage": storage, "hostname": "host", "username": "user", "description": "d"});
    fs::write(&config, connected.to_string()).unwrap();
    let connections = KopiaRs::new("connections --json").env("KOPIA_CONFIG_PATH", &config);
    checker.check("connections --json", connections.run().exits(0).text());

    // Damage, and what is said of it in reports.
    let damaged = damaged();
    let of_damaged = |arguments: &str| {
        let command = KopiaRs::new("--json").repository(&damaged.path()).env("KOPIA_PASSWORD", "golden");
        arguments.split(' ').fold(command, |command, word| command.arg(word))
    };
    let report = place.path("report");
    failing("verify --json", of_damaged("verify --report").arg(&report), 3, &mut checker);
    checker.check("--report", &fs::read_to_string(&report).unwrap());
    let restore = of_damaged("restore c3bc --report").arg(&report).arg(place.path("partial"));
    failing("restore --json", restore, 3, &mut checker);
    checker.check("--report", &fs::read_to_string(&report).unwrap());
    let export = of_damaged("export c3bc --report").arg(&report).arg(place.path("partial.tar"));
    failing("export --json", export, 3, &mut checker);
    checker.check("--report", &fs::read_to_string(&report).unwrap());

    let watched = sources("restore c3bc --progress json --quiet").arg(place.path("watched")).run().exits(0);
    checker.check("--progress json", &watched.stderr);

    let all = checker.all();
    let is_excused = |pointer: &str| {
        UNSEEN.iter().any(|unseen| {
            pointer.strip_prefix(unseen).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let unseen: Vec<_> = all.difference(&checker.seen).filter(|pointer| !is_excused(pointer)).collect();
    assert!(unseen.is_empty(), "no command writes these: {unseen:#?}");
    let wrong: Vec<_> =
        UNSEEN.iter().filter(|unseen| !all.iter().any(|pointer| pointer.starts_with(**unseen))).collect();
    assert!(wrong.is_empty(), "these are not in the schema: {wrong:?}");
}
