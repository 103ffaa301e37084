//! Against servers that do as Google's token services do.

use std::path::Path;
use std::sync::Mutex;

use kopia_connection::{Environment, Limits};
use kopia_testkit::attempts::at_best;
use kopia_testkit::http_server::{HttpServer, Request as Asked, Response};

use super::*;
use crate::connect::Options;
use crate::patience::hasty;

const KEY: &str = include_str!("../../tests/keys/rfc7515.pem");
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";

fn network(environment: Environment) -> Network {
    let options = Options { environment, patience: hasty(), ..Options::default() };
    Network::new(&options, &Limits::default())
}

/// Returns what a request says who asks, or why it says nothing.
fn signed(google: &Google) -> Result<String, Failure> {
    let mut request = Request::get("/");
    google.sign(&mut request)?;
    Ok(request.header("authorization").unwrap_or_default().to_string())
}

fn service_account(token_url: &str) -> String {
    json!({"type": "service_account", "client_email": "a@p", "private_key": KEY, "token_uri": token_url})
        .to_string()
}

fn user(token_url: &str) -> serde_json::Value {
    json!({"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r&=", "token_uri": token_url})
}

fn text(asked: &Asked) -> String {
    String::from_utf8(asked.body.clone()).unwrap()
}

/// Credentials that the environment names.
fn ambient(json: &str, directory: &Path) -> Google {
    let file = directory.join("credentials.json");
    std::fs::write(&file, json).unwrap();
    let environment: Environment = [("GOOGLE_APPLICATION_CREDENTIALS", file)].into_iter().collect();
    Google::new(&GoogleAccount::Ambient, SCOPE, &network(environment)).unwrap()
}

#[test]
fn a_service_account_gets_a_token_once() {
    let server = HttpServer::start(|asked| {
        assert_eq!((&*asked.method, &*asked.path), ("POST", "/token"));
        assert!(
            text(asked)
                .starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey")
        );
        Response::new(200, r#"{"access_token":"t0k3n","expires_in":3599,"token_type":"Bearer"}"#)
    });
    let json = service_account(&format!("http://{}/token", server.address()));
    let google =
        Google::new(&GoogleAccount::Json(json.into()), SCOPE, &network(Environment::empty())).unwrap();
    for _ in 0..3 {
        assert_eq!(signed(&google).unwrap(), "Bearer t0k3n");
    }
    assert_eq!(server.requests().len(), 1);
    assert!(!format!("{google:?}").contains("t0k3n") && !format!("{google:?}").contains("MII"));
}

#[test]
fn a_refusal_is_told_in_googles_words_and_without_secrets() {
    let server = HttpServer::start(|_| {
        Response::new(400, r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#)
    });
    let json = service_account(&format!("http://{}/token", server.address()));
    let google =
        Google::new(&GoogleAccount::Json(json.into()), SCOPE, &network(Environment::empty())).unwrap();
    let failure = signed(&google).unwrap_err();
    let said = failure.to_string();
    assert!(matches!(failure, Failure::Credentials { .. }), "{failure:?}");
    assert!(
        said.contains("the connection's credentials")
            && said.contains("invalid_grant: Invalid JWT Signature."),
        "{said}"
    );
    assert!(!said.contains("assertion") && !said.contains("MII"), "{said}");
}

#[test]
fn a_clock_that_is_wrong_is_told() {
    let server = HttpServer::start(|_| {
        let body = r#"{"error":"invalid_grant","error_description":"Invalid JWT: Token must be in a reasonable timeframe. Check your iat and exp values"}"#;
        Response::new(400, body).header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
    });
    let json = service_account(&format!("http://{}/token", server.address()));
    let google =
        Google::new(&GoogleAccount::Json(json.into()), SCOPE, &network(Environment::empty())).unwrap();
    assert!(matches!(signed(&google).unwrap_err(), Failure::ClockSkew { seconds, .. } if seconds > 0));
}

#[test]
fn a_user_is_refreshed() {
    let server = HttpServer::start(|asked| {
        assert_eq!(text(asked), "grant_type=refresh_token&client_id=i&client_secret=s&refresh_token=r%26%3D");
        Response::new(200, r#"{"access_token":"users","expires_in":3599}"#)
    });
    let directory = tempfile::tempdir().unwrap();
    let google = ambient(&user(&format!("http://{}/token", server.address())).to_string(), directory.path());
    assert_eq!(signed(&google).unwrap(), "Bearer users");
}

/// A workload that another identity provider vouches for, and that acts as a service account.
#[test]
fn a_federated_workload_trades_its_token_twice() {
    let server = HttpServer::start(|asked| match &*asked.path {
        "/sts" => {
            let form = text(asked);
            assert!(
                form.contains("subject_token=pods-token&") || form.ends_with("subject_token=pods-token"),
                "{form}"
            );
            assert!(form.contains("audience=%2F%2Fiam%2Fpool") && form.contains("cloud-platform"), "{form}");
            Response::new(200, r#"{"access_token":"federated","expires_in":3600}"#)
        }
        "/sa:generateAccessToken" => {
            assert_eq!(asked.header("authorization"), Some("Bearer federated"));
            let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
            assert_eq!(body["scope"], json!([SCOPE]));
            Response::new(200, r#"{"accessToken":"sa","expireTime":"2099-01-01T00:00:00Z"}"#)
        }
        path => panic!("{path}"),
    });
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "pods-token\n").unwrap();
    let url = format!("http://{}", server.address());
    let json = json!({
        "type": "external_account", "audience": "//iam/pool", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{url}/sts"), "credential_source": {"file": token},
        "service_account_impersonation_url": format!("{url}/sa:generateAccessToken"),
    });
    let google = ambient(&json.to_string(), directory.path());
    assert_eq!(signed(&google).unwrap(), "Bearer sa");
    // A connection may come from elsewhere, and must not have files of this machine sent anywhere.
    let given =
        Google::new(&GoogleAccount::Json(json.to_string().into()), SCOPE, &network(Environment::empty()));
    assert!(matches!(given, Err(Failure::Credentials { .. })));
}

#[test]
fn an_account_acts_as_another() {
    let server = HttpServer::start(|asked| match &*asked.path {
        "/token" => Response::new(200, r#"{"access_token":"users","expires_in":3599}"#),
        "/sa" => {
            assert_eq!(asked.header("authorization"), Some("Bearer users"));
            Response::new(200, r#"{"accessToken":"sa","expireTime":"2099-01-01T00:00:00Z"}"#)
        }
        path => panic!("{path}"),
    });
    let url = format!("http://{}", server.address());
    let json = json!({
        "type": "impersonated_service_account", "service_account_impersonation_url": format!("{url}/sa"),
        "source_credentials": user(&format!("{url}/token")),
    });
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(signed(&ambient(&json.to_string(), directory.path())).unwrap(), "Bearer sa");
}

#[test]
fn the_metadata_server_is_asked_last_and_its_silence_told() {
    let tokens = Mutex::new(0);
    let server = HttpServer::start(move |asked| {
        assert_eq!(asked.header("metadata-flavor"), Some("Google"));
        assert!(
            asked.path.starts_with("/computeMetadata/v1/instance/service-accounts/default/token?scopes=")
        );
        let mut number = tokens.lock().unwrap();
        *number += 1;
        Response::new(200, format!(r#"{{"access_token":"m{number}","expires_in":3599}}"#))
    });
    let home = tempfile::tempdir().unwrap();
    let at = |host: String| {
        let environment: Environment = [("GCE_METADATA_HOST", host)].into_iter().collect();
        Google::new(&GoogleAccount::Ambient, SCOPE, &network(environment.with_home(home.path()))).unwrap()
    };
    // On a machine that has no time a token may be old at once.
    let renewed = || {
        let google = at(server.address());
        let first = signed(&google).unwrap();
        google.renew().unwrap();
        (first, signed(&google).unwrap())
    };
    let (first, second) = at_best(renewed, |(first, second)| first == second);
    assert!(first.starts_with("Bearer m"), "{first}");
    assert_eq!(first, second, "a token that was just got is not got again");

    let nobody = at(format!("127.0.0.1:{}", kopia_testkit::servers::free_port()));
    let started = std::time::Instant::now();
    let failure = signed(&nobody).unwrap_err();
    assert!(
        matches!(&failure, Failure::NoCredentials { looked, .. } if looked.contains("metadata server")),
        "{failure}"
    );
    assert!(started.elapsed() < std::time::Duration::from_secs(60));

    // gcloud's file comes before it.
    let gcloud = home.path().join(".config/gcloud");
    std::fs::create_dir_all(&gcloud).unwrap();
    std::fs::write(gcloud.join("application_default_credentials.json"), "{}").unwrap();
    let environment = Environment::empty().with_home(home.path());
    let failure = Google::new(&GoogleAccount::Ambient, SCOPE, &network(environment)).unwrap_err();
    assert!(failure.to_string().contains("application_default_credentials.json"), "{failure}");
}
