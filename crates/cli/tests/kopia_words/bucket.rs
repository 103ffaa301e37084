//! Kopiur's calls, in their order, of a repository in a bucket.

use kopia_testkit::http_server::{Bucket, HttpServer, error};
use kopia_testkit::{damage, golden};

use crate::client::{Class, Client, Ran};

/// What signs requests; any other key is refused.
const KEY: &str = "AKIAEXAMPLE";

/// Calls that only look, with the same lines wherever the repository is.
const LOOKING: [&str; 10] = [
    "snapshot list --json --all",
    "snapshot list --json app@media:/data",
    "show k41691c442dfb24587cf7b485cbfce8e3",
    "ls -l k41691c442dfb24587cf7b485cbfce8e3",
    "maintenance info --json",
    "content list --json",
    "manifest list --json",
    "policy list --json",
    "policy show app@media:/data",
    "snapshot verify --json --max-errors 3",
];

fn connect(client: &Client, address: &str, key: &str) -> Ran {
    let words = format!(
        "repository connect s3 --bucket b --prefix k/ --endpoint {address} --disable-tls --region us-east-1 \
         --access-key {key} --secret-access-key hush --override-username kopiur --override-hostname ns"
    );
    client.run(&words)
}

#[test]
fn a_bucket_is_read_as_a_directory_is() {
    let client = Client::ours("sources");
    let copy = damage::copy_repository(&golden::case("sources"));
    let bucket = Bucket::new("b", copy.blobs("").iter().map(|blob| (format!("k/{}", blob.id), blob.read())));
    let server = HttpServer::start(move |request| {
        let signed = request.header("authorization").is_some_and(|header| header.contains(KEY));
        if signed { bucket.answer(request) } else { error(403, "AccessDenied") }
    });
    let address = server.address();
    connect(&client, &address, "AKIASTRANGER").exits(1).is(Class::Access);
    connect(&client, &address, KEY).exits(0);
    let status = client.run("repository status --json").exits(0).json();
    assert_eq!(
        (&status["storage"]["type"], &status["storage"]["config"]["bucket"]),
        (&"s3".into(), &"b".into())
    );
    assert_eq!(status["clientOptions"]["username"], "kopiur");
    assert!(status.get("volume").is_none() && !status.to_string().contains("hush"), "{status}");
    let text = client.run("repository status").exits(0).stdout;
    assert!(text.contains("Storage capacity:    unbounded\n"), "{text}");
    client.run("repository throttle set --download-bytes-per-second 1000000000").exits(0);
    client.run("repository set-client --username=kopiur --hostname=other").exits(0);
    let beside = Client::ours("sources").connected();
    for words in LOOKING {
        let (ours, theirs) = (client.run(words).exits(0), beside.run(words).exits(0));
        assert_eq!(ours.stdout, theirs.stdout, "{words}");
    }
    let target = client.path("restored");
    let id = "c3bc32134c182e42c92f268ef49f84a0";
    client
        .run(&format!("snapshot restore {id} {} --skip-owners", target.display()))
        .exits(0)
        .says("Restored 7 files");
    assert_eq!(std::fs::read(target.join("hello.txt")).unwrap().len(), 14);
    client.run("snapshot restore 0123456789abcdef0123456789abcdef out").exits(1).is(Class::NotFound);
    client.with("KOPIA_PASSWORD", "wrong").run("snapshot list --json").exits(1).is(Class::Auth);
    let odd = server.requests().into_iter().find(|request| !matches!(&*request.method, "GET" | "HEAD"));
    assert!(odd.is_none(), "{odd:?}");
}
