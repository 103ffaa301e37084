//! A real browser: Debian's chromium without a screen, driven by its chromedriver (W3C WebDriver).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kopia_testkit::servers::{self, Server, free_port};
use serde_json::{Value, json};

use super::client::Served;
use crate::common::{KopiaRs, Place, written};

/// A picture of one dark pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// A browser with one window.
struct Browser {
    driver: Server,
    session: String,
}

impl Browser {
    fn open(chromedriver: &Path) -> Self {
        let port = free_port();
        let driver = Server::start(Command::new(chromedriver).arg(format!("--port={port}")), port);
        let mut browser = Self { driver, session: String::new() };
        let arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1000,700"];
        let capabilities = json!({"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }});
        let session = browser.call("POST", "/session", &json!({"capabilities": capabilities}));
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        browser
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("{method} {}{path}", self.session);
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.driver.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let length = body.len();
        write!(stream, "{path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        // The driver leaves connections open.
        let (mut reader, mut length, mut line) = (BufReader::new(stream), 0, String::new());
        while reader.read_line(&mut line).unwrap() > 2 {
            let value = line.to_ascii_lowercase();
            length =
                value.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
            line.clear();
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).unwrap();
        let mut answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["value"]["error"], Value::Null, "{path}: {answer}");
        answer["value"].take()
    }

    fn go(&self, url: &str) {
        self.call("POST", "/url", &json!({"url": url}));
    }

    /// Follows the link of this text.
    fn click(&self, text: &str) {
        let query = json!({"using": "link text", "value": text});
        let element = self.call("POST", "/element", &query);
        let id = element.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        self.call("POST", &format!("/element/{id}/click"), &json!({}));
    }

    fn evaluate(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({"script": format!("return {script}"), "args": []}))
    }

    /// What the browser complained of, such as what a policy forbids.
    fn complaints(&self) -> Vec<String> {
        let log = self.call("POST", "/se/log", &json!({"type": "browser"}));
        let messages =
            log.as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap().to_owned());
        messages.filter(|message| !message.contains("favicon.ico")).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.call("DELETE", "", &json!({}));
        }
    }
}

#[test]
#[ignore = "on request: takes a browser"]
fn a_person_finds_a_file_and_looks_at_it() {
    let Some(chromedriver) = servers::program("chromedriver") else { return };
    let place = Place::new();
    let path = place.path("repo");
    let (picture, text) =
        (STANDARD.decode(PNG).unwrap(), "Dear diary,\n<script>document.title = 'evil'</script>\n");
    written(&path, |writer| {
        let mut file = |name: &str, bytes: &[u8]| {
            let object = writer.file(bytes);
            json!({"name": name, "type": "f", "mode": "0644", "size": bytes.len(), "obj": object,
                   "mtime": "2026-03-01T18:04:05Z"})
        };
        let files = [
            file("<b onmouseover=alert(1)>.txt", text.as_bytes()),
            file("beach.png", &picture),
            file("invoice 2026.txt", text.as_bytes()),
        ];
        let folder = writer.directory(&files);
        let below = |name: &str| {
            let time = "2026-03-01T18:04:05Z";
            let summary = json!({"size": 8_123_456, "files": 3, "symlinks": 0, "dirs": 1, "maxTime": time});
            json!({"name": name, "type": "d", "mode": "0755", "obj": folder, "mtime": time, "summ": summary})
        };
        let notes = writer.file(&vec![b'x'; 23_456]);
        let notes = json!({"name": "notes.txt", "type": "f", "mode": "0640", "size": 23_456, "obj": notes,
                           "mtime": "2026-02-27T07:31:00Z"});
        let root = writer.directory(&[below("documents"), below("photos"), notes]);
        for _ in 0..3 {
            let root = json!({"name": "anna", "type": "d", "mode": "0755", "obj": root});
            writer.snapshot("anna@laptop:/home/anna", root);
        }
    });
    let served = Served::start(KopiaRs::written(&path, "serve"));
    let browser = Browser::open(&chromedriver);
    browser.go(&format!("http://127.0.0.1:{}/?token={}", served.port, served.token));
    let address = browser.evaluate("location.href");
    assert_eq!(
        address,
        json!(format!("http://127.0.0.1:{}/", served.port)),
        "the token is gone from the address"
    );
    assert_eq!(browser.evaluate("document.cookie"), json!(""), "scripts do not see the cookie");
    assert_eq!(
        browser.evaluate("getComputedStyle(document.querySelector('table')).borderCollapse"),
        json!("collapse")
    );
    browser.click("anna@laptop:/home/anna");
    browser.click("2026-01-01 00:00:01");
    if let Some(file) = std::env::var_os("KOPIA_RS_SCREENSHOT") {
        let picture = browser.call("GET", "/screenshot", &json!({}));
        std::fs::write(file, STANDARD.decode(picture.as_str().unwrap()).unwrap()).unwrap();
    }
    browser.click("newer ›");
    browser.click("photos");
    browser.click("beach.png");
    assert_eq!(browser.evaluate("document.querySelector('img').naturalWidth"), json!(1));
    browser.click("‹ older");
    browser.click("photos");
    browser.click("<b onmouseover=alert(1)>.txt");
    assert_eq!(browser.evaluate("document.querySelector('pre').textContent"), json!(text));
    assert_ne!(browser.evaluate("document.title"), json!("evil"));
    assert_eq!(browser.complaints(), [""; 0]);
    // A page of somebody else's gets nothing.
    browser.go("data:text/html,<p>elsewhere</p>");
    let image = format!("http://127.0.0.1:{}/style.css", served.port);
    let script =
        format!("await fetch('{image}', {{credentials: 'include'}}).then(() => 'read', () => 'refused')");
    assert_eq!(browser.evaluate(&format!("(async () => {{ return {script} }})()")), json!("refused"));
}
