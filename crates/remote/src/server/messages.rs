//! What is asked of a repository server, and what it answers.
//!
//! Authority: `internal/grpcapi/repository_server.proto`. Only what reads is here; nothing that writes can be
//! said.

use bytes::Bytes;
use kopia_format::{ContentId, ManifestId, Timestamp};
use kopia_storage::server::{Described, Extent, Parameters, ServedManifest};
use zeroize::Zeroizing;

use super::protobuf::{Fields, Malformed, Message, Value};

/// How many manifests one answer may list; the server sends as many answers as it takes.
const PAGE: u64 = 1000;

/// How many labels a manifest may have: those of kopia, and tags.
const MOST_LABELS: usize = 256;

/// A second in nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// A request, apart from its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// Begins a session.
    Begin,
    Describe(ContentId),
    Content(ContentId),
    Payload(ManifestId),
    Manifests(Vec<(String, String)>),
    Prepare(Vec<ContentId>, Extent),
}

/// An answer that is whole.
#[derive(Debug)]
pub(super) enum Answer {
    Parameters(Parameters),
    Described(Described),
    Content(Bytes),
    Payload(Bytes),
    Manifests(Vec<ServedManifest>),
    Prepared,
    Refused { code: u64, message: String },
}

/// One message from the server.
#[derive(Debug)]
pub(super) struct Response {
    /// The number of the request.
    pub(super) id: u64,
    /// Whether more answers to it follow.
    pub(super) has_more: bool,
    pub(super) answer: Answer,
}

impl Request {
    /// Writes the request with its number.
    pub(super) fn message(&self, id: u64) -> Message {
        let begun = Message::new().number(1, id);
        let named = |name: &dyn ToString| Message::new().text(1, &name.to_string());
        match self {
            Self::Begin => begun.message(10, &Message::new().text(1, "kopia-rs").number(2, 1)),
            Self::Describe(content) => begun.message(11, &named(content)),
            Self::Content(content) => begun.message(14, &named(content)),
            Self::Payload(manifest) => begun.message(15, &named(manifest)),
            Self::Manifests(labels) => {
                let label = |message: Message, (name, value): &(String, String)| {
                    message.message(1, &Message::new().text(1, name).text(2, value))
                };
                begun.message(17, &labels.iter().fold(Message::new(), label).number(2, PAGE))
            }
            Self::Prepare(contents, extent) => {
                let hint = match extent {
                    Extent::Contents => "",
                    Extent::Packs => "blobs",
                };
                let names = contents.iter().map(ToString::to_string);
                let all = names.fold(Message::new(), |message, name| message.text(1, &name));
                begun.message(19, &all.text(2, hint))
            }
        }
    }

    /// Returns whether an answer is one to this request; a refusal is one to all.
    pub(super) fn is_answered_by(&self, answer: &Answer) -> bool {
        matches!(
            (self, answer),
            (_, Answer::Refused { .. })
                | (Self::Begin, Answer::Parameters(_))
                | (Self::Describe(_), Answer::Described(_))
                | (Self::Content(_), Answer::Content(_))
                | (Self::Payload(_), Answer::Payload(_))
                | (Self::Manifests(_), Answer::Manifests(_))
                | (Self::Prepare(..), Answer::Prepared)
        )
    }
}

impl Response {
    /// Reads a message from the server.
    pub(super) fn parse(message: &Bytes) -> Result<Self, Malformed> {
        let (mut id, mut has_more, mut answer) = (0, false, None);
        for field in Fields::new(message) {
            match field? {
                (1, Value::Number(number)) => id = number,
                (3, Value::Number(number)) => has_more = number != 0,
                (2, Value::Bytes(bytes)) => answer = Some(refusal(bytes)?),
                (10, Value::Bytes(bytes)) => answer = Some(Answer::Parameters(parameters(bytes)?)),
                (11, Value::Bytes(bytes)) => answer = Some(Answer::Described(described(bytes)?)),
                (14, Value::Bytes(bytes)) => answer = Some(Answer::Content(first_bytes(message, bytes)?)),
                (15, Value::Bytes(bytes)) => answer = Some(Answer::Payload(first_bytes(message, bytes)?)),
                (17, Value::Bytes(bytes)) => answer = Some(Answer::Manifests(manifests(bytes)?)),
                (19, Value::Bytes(_)) => answer = Some(Answer::Prepared),
                _ => {}
            }
        }
        let answer = answer.ok_or(Malformed("an answer has nothing in it"))?;
        Ok(Self { id, has_more, answer })
    }
}

fn refusal(bytes: &[u8]) -> Result<Answer, Malformed> {
    let (mut code, mut message) = (0, String::new());
    for field in Fields::new(bytes) {
        match field? {
            (1, Value::Number(number)) => code = number,
            (2, Value::Bytes(bytes)) => message = clean(bytes),
            _ => {}
        }
    }
    Ok(Answer::Refused { code, message })
}

/// The first field of a message as bytes; a missing one has none.
fn first_bytes(whole: &Bytes, message: &[u8]) -> Result<Bytes, Malformed> {
    let mut found = Bytes::new();
    for field in Fields::new(message) {
        if let (1, Value::Bytes(bytes)) = field? {
            found = whole.slice_ref(bytes);
        }
    }
    Ok(found)
}

fn parameters(bytes: &[u8]) -> Result<Parameters, Malformed> {
    let (mut hash, mut splitter, mut compresses) = (String::new(), String::new(), false);
    let mut secret = Zeroizing::new(Vec::new());
    for field in Fields::new(bytes) {
        let (1, Value::Bytes(bytes)) = field? else { continue };
        for field in Fields::new(bytes) {
            match field? {
                (1, Value::Bytes(bytes)) => hash = clean(bytes),
                (2, Value::Bytes(bytes)) => secret = Zeroizing::new(bytes.to_vec()),
                (3, Value::Bytes(bytes)) => splitter = clean(bytes),
                (4, Value::Number(number)) => compresses = number != 0,
                _ => {}
            }
        }
    }
    let mut parameters = Parameters::new(hash, secret);
    parameters.splitter = splitter;
    parameters.compresses = compresses;
    Ok(parameters)
}

fn described(bytes: &[u8]) -> Result<Described, Malformed> {
    let mut described = Described { length: 0, deleted: false };
    for field in Fields::new(bytes) {
        let (1, Value::Bytes(bytes)) = field? else { continue };
        for field in Fields::new(bytes) {
            match field? {
                (6, Value::Number(number)) => described.deleted = number != 0,
                (8, Value::Number(number)) => described.length = number,
                _ => {}
            }
        }
    }
    Ok(described)
}

/// Reads a page of a list. In memory a manifest takes many times the bytes of a short one that came.
fn manifests(bytes: &[u8]) -> Result<Vec<ServedManifest>, Malformed> {
    let mut listed = Vec::new();
    for field in Fields::new(bytes) {
        let (1, Value::Bytes(bytes)) = field? else { continue };
        if listed.len() as u64 == PAGE {
            return Err(Malformed("it lists more manifests at once than were asked for"));
        }
        listed.push(manifest(bytes)?);
    }
    Ok(listed)
}

fn manifest(bytes: &[u8]) -> Result<ServedManifest, Malformed> {
    let (mut id, mut modified, mut labels) = (None, 0, Vec::new());
    for field in Fields::new(bytes) {
        match field? {
            (1, Value::Bytes(bytes)) => id = ManifestId::new(&clean(bytes)).ok(),
            // An int64 is written as the 64 bits that it has.
            (2, Value::Number(number)) => modified = number as i64,
            (4, Value::Bytes(_)) if labels.len() == MOST_LABELS => {
                return Err(Malformed("a manifest has too many labels"));
            }
            (4, Value::Bytes(bytes)) => labels.push(label(bytes)?),
            _ => {}
        }
    }
    let id = id.ok_or(Malformed("a manifest is listed without an id"))?;
    let modified = Timestamp::new(modified.div_euclid(SECOND), modified.rem_euclid(SECOND) as u32);
    let modified = modified.map_err(|_| Malformed("a manifest is of no time"))?;
    Ok(ServedManifest { id, modified, labels, root_is_guessed: false })
}

fn label(bytes: &[u8]) -> Result<(String, String), Malformed> {
    let mut label = (String::new(), String::new());
    for field in Fields::new(bytes) {
        match field? {
            (1, Value::Bytes(bytes)) => label.0 = text(bytes),
            (2, Value::Bytes(bytes)) => label.1 = text(bytes),
            _ => {}
        }
    }
    Ok(label)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads a text that is shown: what moves a cursor is left out, and so is what comes after some lines of it.
pub(super) fn clean(bytes: &[u8]) -> String {
    text(bytes).chars().filter(|c| !c.is_control()).take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> ContentId {
        "k00112233445566778899aabbccddeeff".parse().unwrap()
    }

    fn parse(message: Message) -> Result<Response, Malformed> {
        Response::parse(&Bytes::from(message.0))
    }

    #[test]
    fn requests_are_as_the_proto_file_says() {
        let expected = [&[0x08, 5, 0x72, 35, 0x0a, 33][..], content().to_string().as_bytes()].concat();
        assert_eq!(Request::Content(content()).message(5).0, expected);
        let labels = vec![("type".to_string(), "snapshot".to_string())];
        // The page of 1000 is field 2 of the request, the label an entry of the map in field 1.
        let expected = b"\x08\x02\x8a\x01\x15\x0a\x10\x0a\x04type\x12\x08snapshot\x10\xe8\x07";
        assert_eq!(Request::Manifests(labels).message(2).0, expected);
        let hint = |extent| Request::Prepare(vec![content()], extent).message(1).0;
        assert!(hint(Extent::Packs).ends_with(b"\x12\x05blobs"));
        assert!(hint(Extent::Contents).ends_with(content().to_string().as_bytes()));
    }

    #[test]
    fn answers_are_read() {
        let data = Message::new().number(1, 7).message(14, &Message::new().bytes(1, b"plain"));
        let Response { id: 7, has_more: false, answer: Answer::Content(bytes) } = parse(data).unwrap() else {
            panic!("it is a content")
        };
        assert_eq!(&*bytes, b"plain");
        // A content without bytes has no field.
        let empty = parse(Message::new().number(1, 7).message(14, &Message::new())).unwrap();
        assert!(matches!(empty.answer, Answer::Content(bytes) if bytes.is_empty()));

        let listed = Message::new()
            .text(1, "abc")
            .number(2, 1_700_000_000_000_000_001)
            .message(4, &Message::new().text(1, "type").text(2, "snapshot"));
        let page = Message::new().number(1, 1).number(3, 1).message(17, &Message::new().message(1, &listed));
        let page = parse(page).unwrap();
        assert!(page.has_more);
        let Answer::Manifests(manifests) = page.answer else { panic!("it is a list") };
        assert_eq!(manifests[0].id.as_str(), "abc");
        assert_eq!(manifests[0].labels, [("type".into(), "snapshot".into())]);
        assert_eq!(manifests[0].modified.to_string(), "2023-11-14T22:13:20.000000001Z");

        let refused =
            Message::new().number(1, 1).message(2, &Message::new().number(1, 5).text(2, "no\x1b[2J"));
        let Answer::Refused { code: 5, message } = parse(refused).unwrap().answer else { panic!() };
        assert_eq!(message, "no[2J");
    }

    #[test]
    fn what_says_nothing_is_no_answer() {
        assert!(parse(Message::new().number(1, 1)).is_err());
        assert!(parse(Message::new().number(1, 1).message(17, &Message::new().bytes(1, b""))).is_err());
        assert!(parse(Message::new().number(1, 1).bytes(14, &[0x0a, 9])).is_err());
    }

    #[test]
    fn short_manifests_and_labels_do_not_fill_memory() {
        let page = |manifest: &Message, count| {
            let listed = (0..count).fold(Message::new(), |page, _| page.message(1, manifest));
            parse(Message::new().number(1, 1).message(17, &listed)).map(|_| ())
        };
        let short = Message::new().text(1, "a");
        assert_eq!(page(&short, PAGE), Ok(()));
        assert!(page(&short, PAGE + 1).is_err());
        let labelled = |count| (0..count).fold(Message::new().text(1, "a"), |one, _| one.bytes(4, b""));
        assert_eq!(page(&labelled(MOST_LABELS), 1), Ok(()));
        assert!(page(&labelled(MOST_LABELS + 1), 1).is_err());
    }

    #[test]
    fn damaged_answers_are_read_or_refused_and_never_larger_than_they_came() {
        let manifest =
            Message::new().text(1, "abc").number(2, 1 << 60).message(4, &Message::new().text(1, "type"));
        let listed = Message::new().message(1, &manifest).message(1, &manifest);
        let parameters = Message::new().text(1, "BLAKE2B-256-128").bytes(2, &[7; 32]).number(4, 1);
        let info = Message::new().text(1, "ab").number(2, 9).number(6, 1).number(8, 1 << 40);
        let refusal = Message::new().number(1, 5).text(2, "no");
        let whole = [
            Message::new().number(1, 1).message(10, &Message::new().message(1, &parameters)),
            Message::new().number(1, 1).message(11, &Message::new().message(1, &info)),
            Message::new().number(1, 1).message(14, &Message::new().bytes(1, &[9; 40])),
            Message::new().number(1, 1).number(3, 1).message(17, &listed),
            Message::new().number(1, 1).message(2, &refusal),
        ];
        let mut state = 7_u64;
        let mut draw = |most: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % most
        };
        let (mut read, mut refused) = (0, 0);
        for round in 0..20_000 {
            let mut bytes = whole[round % whole.len()].0.clone();
            for _ in 0..=draw(3) {
                let at = draw(bytes.len());
                match draw(3) {
                    0 => bytes[at] = draw(256) as u8,
                    1 => bytes.insert(at, draw(256) as u8),
                    _ => bytes.truncate(at.max(1)),
                }
            }
            let length = bytes.len();
            match Response::parse(&Bytes::from(bytes)).map(|response| response.answer) {
                Ok(Answer::Content(bytes) | Answer::Payload(bytes)) => assert!(bytes.len() <= length),
                Ok(Answer::Manifests(manifests)) => assert!(manifests.len() <= length),
                Ok(_) => read += 1,
                Err(_) => refused += 1,
            }
        }
        assert!(read > 500 && refused > 1000, "{read} read, {refused} refused");
    }
}
