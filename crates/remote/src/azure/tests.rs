//! Against a server that does as Azure does where its emulator does not.

#[cfg(feature = "gcs")]
mod renewal;

use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_connection::Environment;
use kopia_connection::storage::AzureIdentity;
use kopia_format::BlobId;
use kopia_storage::{BlobStore, ErrorKind, ThawSpeed, Warmth};
use kopia_testkit::http_server::{HttpServer, Request as Asked, Response};

use super::*;
use crate::patience::hasty;

const LISTING: &str = "<EnumerationResults><Blobs/></EnumerationResults>";
const KEY: &str = "c2VjcmV0";

fn refused(status: u16, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}\nRequestId:1</Message></Error>"
    );
    Response::new(status, body).header("x-ms-error-code", code)
}

/// Opens a container of an account whose server is this one.
fn open_with(
    server: &HttpServer,
    identity: Option<AzureIdentity>,
    environment: Environment,
) -> Result<AzureStore> {
    let options = Options { environment, patience: hasty(), ..Options::default() };
    open(&place(server, identity), &Limits::default(), &options)
}

fn place(server: &HttpServer, identity: Option<AzureIdentity>) -> Azure {
    let mut place = Azure::default();
    place.account = "account".into();
    place.domain = Some(format!("localhost:{}", server.port()));
    place.container = "c".into();
    place.prefix = "k/".into();
    place.disable_tls = true;
    place.identity = identity;
    place
}

fn key() -> Option<AzureIdentity> {
    Some(AzureIdentity::Key(KEY.into()))
}

fn failure_of<T: std::fmt::Debug>(result: Result<T>) -> Failure {
    let error = result.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(KEY));
    error.failure().cloned().unwrap()
}

#[test]
fn what_azure_refuses_is_told_apart() {
    let refusal = |response: Response, identity: Option<AzureIdentity>| {
        let server = HttpServer::start(move |_| response.clone());
        failure_of(open_with(&server, identity, Environment::empty()))
    };
    let sas = || Some(AzureIdentity::Sas("?sv=1&sig=s3cr3t".into()));
    let mac = refused(403, "AuthenticationFailed", "Server failed to authenticate the request.");
    assert!(matches!(refusal(mac.clone(), key()), Failure::WrongSecret { .. }));
    assert!(matches!(refusal(mac.clone(), sas()), Failure::WrongKey { .. }));
    let late = mac.header("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    assert!(matches!(refusal(late, key()), Failure::ClockSkew { seconds, .. } if seconds > 0));
    let expired = refused(
        403,
        "AuthenticationFailed",
        "Signature not valid in the specified time frame: Start - Expiry",
    );
    assert!(matches!(refusal(expired, sas()), Failure::Expired { .. }));
    let mismatch = refused(403, "AuthorizationPermissionMismatch", "no");
    let failure = refusal(mismatch, sas());
    assert!(
        failure.to_string().contains("the right to list (l, for containers) may be missing"),
        "{failure}"
    );
    let none = refused(404, "ContainerNotFound", "The specified container does not exist.");
    assert!(matches!(refusal(none, key()), Failure::NoContainer { kind: "container", .. }));
    let other =
        refused(403, "KeyBasedAuthenticationNotPermitted", "Key based authentication is not permitted.");
    assert!(refusal(other, key()).to_string().ends_with("Key based authentication is not permitted."));
    assert!(matches!(refusal(Response::new(200, "<html/>"), key()), Failure::Nonsense { .. }));
}

#[test]
fn a_signature_is_part_of_the_query_and_of_no_message() {
    let server = HttpServer::start(|asked| match asked.path.contains("comp=list") {
        true => Response::new(200, LISTING),
        false => refused(403, "AuthorizationPermissionMismatch", "no"),
    });
    let sas = AzureIdentity::Sas("?sv=1&sig=s3cr3t%3D".into());
    let store = open_with(&server, Some(sas), Environment::empty()).unwrap();
    let error = store.read(&BlobId::new("p1").unwrap()).unwrap_err();
    assert!(!format!("{error} {error:?} {store:?}").contains("s3cr3t"));
    let paths: Vec<_> = server.requests().into_iter().map(|asked| asked.path).collect();
    assert!(
        paths[0].starts_with("/c?restype=container&comp=list&") && paths[0].ends_with("&sv=1&sig=s3cr3t%3D")
    );
    assert_eq!(paths[1], "/c/k%2Fp1?sv=1&sig=s3cr3t%3D");
}

#[test]
fn a_blob_in_the_archive_is_cold() {
    let server = HttpServer::start(|asked| match asked.path.contains("comp=list") {
        true => Response::new(200, LISTING),
        false => refused(409, "BlobArchived", "This operation is not permitted on an archived blob."),
    });
    let store = open_with(&server, key(), Environment::empty()).unwrap();
    let error = store.read_range(&BlobId::new("p1").unwrap(), 0, 1, Vec::new()).unwrap_err();
    assert!(matches!(error.failure(), Some(Failure::Cold { class }) if class == "Archive"));
    assert_eq!(error.kind(), ErrorKind::TryAgain);
}

#[test]
fn what_is_archived_is_known_and_fetched_when_asked() {
    let item = |name: &str, tier: &str| {
        format!(
            "<Blob><Name>k/{name}</Name><Properties><Content-Length>1</Content-Length><AccessTier>{tier}</AccessTier></Properties></Blob>"
        )
    };
    let blobs =
        [item("p1", "Hot"), item("p2", "Archive"), item("p3", "Archive"), item("p4", "Cool")].concat();
    let listing = format!("<EnumerationResults><Blobs>{blobs}</Blobs></EnumerationResults>");
    let server = HttpServer::start(move |asked| {
        if asked.path.contains("comp=list") {
            return Response::new(200, listing.clone());
        }
        let head = |tier: &str| Response::new(200, "").header("x-ms-access-tier", tier);
        match (&*asked.method, &*asked.path) {
            ("HEAD", "/c/k%2Fp1") => head("Hot"),
            ("HEAD", "/c/k%2Fp2") => head("Archive"),
            ("HEAD", "/c/k%2Fp3") => {
                head("Archive").header("x-ms-archive-status", "rehydrate-pending-to-hot")
            }
            ("HEAD", "/c/k%2Fp4") => head("Cool"),
            ("PUT", "/c/k%2Fp2?comp=tier") => {
                assert_eq!(asked.header("x-ms-access-tier"), Some("Hot"));
                assert_eq!(asked.header("x-ms-rehydrate-priority"), Some("Standard"));
                Response::new(202, "")
            }
            _ => refused(404, "BlobNotFound", "no"),
        }
    });
    let store = open_with(&server, key(), Environment::empty()).unwrap();
    let cold = store.cold().unwrap();
    let listed: Vec<_> = cold
        .list_cold("p")
        .unwrap()
        .into_iter()
        .map(|blob| format!("{} {}", blob.info.id, blob.class))
        .collect();
    assert_eq!(listed, ["p2 Archive", "p3 Archive"]);
    let (warm, thawing) = (Warmth::Warm { until: None }, Warmth::Thawing);
    let is_cold = Warmth::Cold { class: "Archive".into() };
    let all =
        [("p1", &warm, &warm), ("p2", &is_cold, &thawing), ("p3", &thawing, &thawing), ("p4", &warm, &warm)];
    for (name, now, then) in all {
        let id = BlobId::new(name).unwrap();
        assert_eq!(cold.warmth(&id).unwrap(), *now, "{name}");
        assert_eq!(cold.thaw(&id, ThawSpeed::Bulk, 7).unwrap(), *then, "{name}");
    }
    let puts = server.requests().iter().filter(|asked| asked.method == "PUT").count();
    assert_eq!(puts, 1, "what is in no archive is not moved");
    assert!(cold.thaws_for_good());
    assert!(cold.thaw(&BlobId::new("p5").unwrap(), ThawSpeed::Bulk, 7).unwrap_err().is_not_found());
}

fn version(name: &str, version: &str, written: &str, more: &str) -> String {
    format!(
        "<Blob><Name>k/{name}</Name><VersionId>{version}</VersionId>{more}<Properties><Last-Modified>{written}</Last-Modified>\
         <Content-Length>1</Content-Length></Properties></Blob>"
    )
}

#[test]
fn a_view_shows_what_was_there() {
    let early = ("2023-11-14T22:13:20.0000000Z", "Tue, 14 Nov 2023 22:13:20 GMT");
    let late = ("2023-11-20T00:00:00.0000000Z", "Mon, 20 Nov 2023 00:00:00 GMT");
    let gone = "<HasVersionsOnly>true</HasVersionsOnly>";
    let all = [
        ("kopia.repository", version("kopia.repository", early.0, early.1, "")),
        ("p1", version("p1", early.0, early.1, "")),
        ("p1", version("p1", late.0, late.1, "")),
        ("p2", version("p2", early.0, early.1, "")),
        ("p2", version("p2", late.0, early.1, gone)),
        ("p3", version("p3", late.0, late.1, "")),
        ("p4", version("p4", early.0, early.1, "")),
        ("p4", version("p4", "2023-11-15T00:00:00.0000000Z", early.1, gone)),
    ];
    let server = HttpServer::start(move |asked: &Asked| {
        let Some((_, rest)) = asked.path.split_once("&prefix=k%2F") else {
            let version = asked.path.split_once("?versionid=").unwrap().1;
            return Response::file(
                asked,
                if version.starts_with("2023-11-14T22%3A13") { b"a" } else { b"b" },
            );
        };
        assert!(asked.path.contains("include=metadata%2Cversions%2Cdeletedwithversions"));
        let prefix = rest.split('&').next().unwrap();
        let blobs: String =
            all.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, xml)| &**xml).collect();
        Response::new(200, format!("<EnumerationResults><Blobs>{blobs}</Blobs></EnumerationResults>"))
    });
    let mut place = place(&server, key());
    place.point_in_time = Some("2023-11-16T00:00:00Z".parse().unwrap());
    let store = open(&place, &Limits::default(), &Options::default()).unwrap();
    let p1 = BlobId::new("p1").unwrap();
    assert_eq!(store.read(&p1).unwrap(), b"a");
    let names: Vec<_> = store.list("p").unwrap().into_iter().map(|blob| blob.id.to_string()).collect();
    assert_eq!(names, ["p1", "p2"]);
    assert_eq!(store.length(&BlobId::new("p2").unwrap()).unwrap(), 1);
    assert!(store.read(&BlobId::new("p3").unwrap()).is_err_and(|error| error.is_not_found()));
    assert!(store.read(&BlobId::new("p4").unwrap()).is_err_and(|error| error.is_not_found()));
}

#[test]
fn without_versions_there_is_no_past() {
    let blob = "<Blob><Name>k/kopia.repository</Name><Properties><Content-Length>1</Content-Length></Properties></Blob>";
    let body = format!("<EnumerationResults><Blobs>{blob}</Blobs></EnumerationResults>");
    let server = HttpServer::start(move |_| Response::new(200, body.clone()));
    let mut place = place(&server, key());
    place.point_in_time = Some("2023-11-16T00:00:00Z".parse().unwrap());
    let failure = failure_of(open(&place, &Limits::default(), &Options::default()));
    assert!(matches!(failure, Failure::NotVersioned { .. }));
}

/// Entra ID, the metadata service and the blobs at one address.
fn cloud(asked: &Asked, good: &AtomicUsize) -> Response {
    if asked.path.contains("/token") {
        let number = good.load(Ordering::SeqCst);
        return Response::new(
            200,
            format!(r#"{{"access_token":"t{number}","expires_in":"86399","token_type":"Bearer"}}"#),
        );
    }
    let wanted = format!("Bearer t{}", good.load(Ordering::SeqCst));
    match asked.header("authorization") == Some(&*wanted) {
        true => Response::new(200, LISTING),
        false => {
            refused(401, "InvalidAuthenticationInfo", "Lifetime validation failed. The token is expired.")
        }
    }
}

fn token_request(identity: Option<AzureIdentity>, variables: &[(&str, &str)]) -> Asked {
    let good = AtomicUsize::new(0);
    let server = HttpServer::start(move |asked| cloud(asked, &good));
    let url = format!("http://{}", server.address());
    let hosts = [
        ("AZURE_AUTHORITY_HOST", &*url),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", &*url),
        ("IDENTITY_ENDPOINT", &*format!("{url}/token")),
    ]
    .map(|(name, value)| (name.to_string(), value.to_string()));
    let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    let environment: Environment = hosts.into_iter().chain(variables).collect();
    let store = open_with(&server, identity, environment).unwrap();
    assert_eq!(store.list("").unwrap(), []);
    assert!(!format!("{store:?}").contains("hush"));
    let mut requests = server.requests().into_iter().filter(|asked| asked.path.contains("token"));
    let first = requests.next().unwrap();
    assert!(requests.next().is_none(), "a token is asked for once");
    first
}

fn text(asked: &Asked) -> String {
    String::from_utf8(asked.body.clone()).unwrap()
}

#[test]
fn an_application_proves_itself_in_three_ways() {
    let (tenant, client) = ("tenant".to_string(), "app".to_string());
    let secret = AzureIdentity::ClientSecret {
        tenant: tenant.clone(),
        client: client.clone(),
        secret: "hush+".into(),
    };
    let asked = token_request(Some(secret), &[]);
    assert_eq!(asked.path, "/tenant/oauth2/v2.0/token");
    let scope = "scope=https%3A%2F%2Fstorage.azure.com%2F.default";
    assert_eq!(
        text(&asked),
        format!("grant_type=client_credentials&client_id=app&{scope}&client_secret=hush%2B")
    );

    let directory = tempfile::tempdir().unwrap();
    let token_file = directory.path().join("token");
    std::fs::write(&token_file, "hush.token\n").unwrap();
    let variables = [
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_FEDERATED_TOKEN_FILE", token_file.to_str().unwrap()),
    ];
    let form = text(&token_request(None, &variables));
    let kind = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    assert!(form.ends_with(&format!("&client_assertion=hush.token&{kind}")), "{form}");

    let certificate =
        [include_str!("../../tests/keys/certificate.pem"), include_str!("../../tests/keys/rfc7515.pem")]
            .concat();
    let certificate = AzureIdentity::ClientCertificate { tenant, client, certificate: certificate.into() };
    let form = text(&token_request(Some(certificate), &[]));
    assert!(form.contains("&client_assertion=eyJ") && form.ends_with(kind), "{form}");
}

#[test]
fn a_machine_is_asked_for_its_identity() {
    let asked = token_request(None, &[]);
    assert_eq!(asked.header("metadata"), Some("true"));
    assert_eq!(
        asked.path,
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F"
    );
    let managed = AzureIdentity::Managed { client: Some("app".into()) };
    let asked = token_request(Some(managed), &[("IDENTITY_HEADER", "hush")]);
    assert_eq!(asked.header("x-identity-header"), Some("hush"));
    assert_eq!(
        asked.path,
        "/token?api-version=2019-08-01&resource=https%3A%2F%2Fstorage.azure.com%2F&client_id=app"
    );
}

#[test]
fn a_token_that_is_refused_is_got_anew() {
    let good = std::sync::Arc::new(AtomicUsize::new(0));
    let shared = std::sync::Arc::clone(&good);
    let server = HttpServer::start(move |asked| cloud(asked, &shared));
    let url = format!("http://{}", server.address());
    let environment: Environment = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", url)].into_iter().collect();
    let store = open_with(&server, None, environment).unwrap();
    good.store(1, Ordering::SeqCst);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(store.list("").unwrap(), []);
    assert_eq!(server.requests().iter().filter(|asked| asked.path.contains("/token")).count(), 2);
}
