//! Which questions wait, and which are asked.
//!
//! It is pure: it knows neither threads nor networks. A question that was asked in a session that ended waits
//! again, in its old place, so nobody notices that there is another session.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::Sender;

use bytes::Bytes;
use kopia_storage::Failure;
use kopia_storage::server::ServedManifest;

use super::frames;
use super::messages::{Answer, Request, Response};
use super::protobuf::Malformed;
use super::unread::{Unread, Waiting};

/// How many requests are under way at once: as many as readers have. A line of 50 ms carries 21,103 small
/// contents in 12 s with 128, where the server is the limit; longer lines want more. The server takes up what
/// it has cores for, and lets the others wait.
const MOST_OPEN: usize = 512;

/// How many bytes of answers are expected at once.
const MOST_BYTES: u64 = 64 << 20;

/// How many manifests are listed at most, and how many bytes of memory they take.
const MOST_MANIFESTS: usize = 1 << 20;
const MOST_LISTED: u64 = 512 << 20;

/// How many bytes of memory a manifest, or a label, takes beside its texts.
const BESIDE: u64 = 64;

/// What comes of a question.
pub(super) type Outcome = Result<Answer, Failure>;

/// What comes back to whoever asked.
#[derive(Debug)]
pub(super) struct Reply {
    /// The number of the question.
    pub(super) number: usize,
    pub(super) outcome: Outcome,
    /// To be dropped once the outcome is worked on.
    pub(super) waiting: Waiting,
}

/// A request, and who waits for the answer.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) request: Request,
    /// How many bytes the answer will probably have.
    pub(super) bytes: u64,
    /// The number by which the one who waits knows it.
    pub(super) number: usize,
    pub(super) reply: Sender<Reply>,
    /// In how many sessions it was asked that ended before the answer.
    tries: u32,
}

/// Questions that wait, and those that are asked by their numbers.
#[derive(Debug, Default)]
pub(super) struct Desk {
    waiting: VecDeque<Question>,
    asked: BTreeMap<u64, Asked>,
    /// How many bytes those that are asked may bring.
    bytes: u64,
    /// The last number that was given.
    last: u64,
    /// Answers that were given, and not yet worked on.
    pub(super) unread: Unread,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    /// What came so far of an answer in several parts.
    manifests: Vec<ServedManifest>,
    /// How many bytes of memory that takes.
    listed: u64,
}

impl Question {
    pub(super) fn new(request: Request, bytes: u64, number: usize, reply: Sender<Reply>) -> Self {
        Self { request, bytes, number, reply, tries: 0 }
    }

    fn answer(self, outcome: Outcome, unread: &Unread) {
        let bytes = match &outcome {
            Ok(Answer::Content(bytes) | Answer::Payload(bytes)) => bytes.len() as u64,
            Ok(Answer::Manifests(manifests)) => manifests.iter().map(memory).sum(),
            _ => 0,
        };
        let waiting = unread.wait(bytes);
        // Whoever asked may have gone.
        let _ = self.reply.send(Reply { number: self.number, outcome, waiting });
    }
}

impl Desk {
    /// Takes questions.
    pub(super) fn add(&mut self, questions: Vec<Question>) {
        self.waiting.extend(questions);
    }

    /// Returns whether nobody waits for an answer.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.asked.is_empty()
    }

    /// Returns the first request of a session.
    pub(super) fn begin(&mut self) -> Bytes {
        self.last += 1;
        frames::frame(&Request::Begin.message(self.last).0)
    }

    /// Returns the number of the request that was written last.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Returns the next request to be sent, unless enough are under way.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let bytes = self.waiting.front()?.bytes;
        let full = self.asked.len() >= MOST_OPEN || self.bytes.saturating_add(bytes) > MOST_BYTES;
        // One that is larger than that goes alone.
        if full && !self.asked.is_empty() {
            return None;
        }
        let question = self.waiting.pop_front()?;
        self.last += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let frame = frames::frame(&question.request.message(self.last).0);
        self.asked.insert(self.last, Asked { question, manifests: Vec::new(), listed: 0 });
        Some(frame)
    }

    /// Takes an answer. What answers nothing that was asked breaks the session.
    pub(super) fn take(&mut self, response: Response, host: &str) -> Result<(), Malformed> {
        let Response { id, has_more, answer } = response;
        let asked = self.asked.get_mut(&id).ok_or(Malformed("it answers what was not asked"))?;
        if !asked.question.request.is_answered_by(&answer) {
            return Err(Malformed("it answers something else than what was asked"));
        }
        let answer = match answer {
            Answer::Manifests(page) => {
                asked.listed += page.iter().map(memory).sum::<u64>();
                let is_full =
                    asked.manifests.len() + page.len() > MOST_MANIFESTS || asked.listed > MOST_LISTED;
                if has_more && page.is_empty() || is_full {
                    return Err(Malformed("its list of manifests comes to no end"));
                }
                asked.manifests.extend(page);
                if has_more {
                    return Ok(());
                }
                Answer::Manifests(std::mem::take(&mut asked.manifests))
            }
            _ if has_more => return Err(Malformed("it announces more where there is one answer")),
            answer => answer,
        };
        if let Some(Asked { question, .. }) = self.asked.remove(&id) {
            self.bytes = self.bytes.saturating_sub(question.bytes);
            let outcome = match answer {
                Answer::Refused { code, message } => Err(refused(code, message, host)),
                answer => Ok(answer),
            };
            question.answer(outcome, &self.unread);
        }
        Ok(())
    }

    /// Puts what was asked back, as the session is over. What was asked in too many sessions gets the
    /// failure.
    pub(super) fn put_back(&mut self, most: u32, failure: &Failure) {
        self.bytes = 0;
        for (_, Asked { mut question, .. }) in std::mem::take(&mut self.asked).into_iter().rev() {
            question.tries += 1;
            if question.tries < most {
                self.waiting.push_front(question);
            } else {
                question.answer(Err(failure.clone()), &self.unread);
            }
        }
    }

    /// Answers all with a failure.
    pub(super) fn fail(&mut self, failure: &Failure) {
        self.bytes = 0;
        let asked = std::mem::take(&mut self.asked).into_values().map(|asked| asked.question);
        let waiting = std::mem::take(&mut self.waiting);
        let unread = &self.unread;
        asked.chain(waiting).for_each(|question| question.answer(Err(failure.clone()), unread));
    }
}

/// Returns about how many bytes of memory a manifest takes.
fn memory(manifest: &ServedManifest) -> u64 {
    let label = |(name, value): &(String, String)| (name.len() + value.len()) as u64 + BESIDE;
    manifest.id.as_str().len() as u64 + BESIDE + manifest.labels.iter().map(label).sum::<u64>()
}

/// Says what the server refused, by Kopia's numbers.
fn refused(code: u64, message: String, host: &str) -> Failure {
    let host = host.to_string();
    match code {
        2..=4 => Failure::Absent { host, message },
        5 => Failure::NotPermitted {
            host,
            action: "reading it".into(),
            credentials: "the user of the server".into(),
            right: Some("READ of the server's access rules".into()),
        },
        _ => Failure::Refusal { host, status: format!("error {code}"), message },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::server::frames::Frames;
    use crate::server::protobuf::{Fields, Value};

    fn content(number: u8) -> Request {
        Request::Content(kopia_format::ContentId::new(None, &[number; 16]).unwrap())
    }

    fn desk(bytes: &[u64]) -> (Desk, Receiver<Reply>) {
        let (sender, receiver) = channel();
        let mut desk = Desk::default();
        let question = |(number, bytes): (usize, &u64)| {
            Question::new(content(number as u8), *bytes, number, sender.clone())
        };
        desk.add(bytes.iter().enumerate().map(question).collect());
        (desk, receiver)
    }

    /// Sends what may be sent, and returns the numbers of the requests.
    fn send(desk: &mut Desk) -> Vec<u64> {
        let mut frames = Frames::default();
        std::iter::from_fn(|| desk.next()).for_each(|frame| frames.push(&frame));
        let mut numbers = Vec::new();
        while let Some(message) = frames.next().unwrap() {
            let Some(Ok((1, Value::Number(number)))) = Fields::new(&message).next() else {
                panic!("{message:?}")
            };
            numbers.push(number);
        }
        numbers
    }

    fn plain(id: u64) -> Response {
        Response { id, has_more: false, answer: Answer::Content(Bytes::from_static(b"plain")) }
    }

    fn page(id: u64, count: usize, has_more: bool) -> Response {
        let manifest = |number| ServedManifest {
            id: kopia_format::ManifestId::new(&format!("m{number}")).unwrap(),
            modified: kopia_format::Timestamp::default(),
            labels: Vec::new(),
            root_is_guessed: false,
        };
        Response { id, has_more, answer: Answer::Manifests((0..count).map(manifest).collect()) }
    }

    #[test]
    fn so_many_are_under_way_by_number_and_by_bytes() {
        let (mut many, _receiver) = desk(&[1; MOST_OPEN + 44]);
        assert_eq!(send(&mut many).len(), MOST_OPEN);
        many.take(plain(1), "h").unwrap();
        assert_eq!(send(&mut many), [MOST_OPEN as u64 + 1]);
        let (mut large, _receiver) = desk(&[40 << 20, 20 << 20, 20 << 20, 1 << 40, 1]);
        assert_eq!(send(&mut large), [1, 2]);
        large.take(plain(2), "h").unwrap();
        assert_eq!(send(&mut large), [3]);
        large.take(plain(1), "h").unwrap();
        assert_eq!(send(&mut large), [] as [u64; 0]);
        large.take(plain(3), "h").unwrap();
        assert_eq!(send(&mut large), [4], "one that is larger than all goes alone");
        large.take(plain(4), "h").unwrap();
        assert_eq!(send(&mut large), [5]);
    }

    #[test]
    fn what_was_asked_is_asked_again_in_its_old_order_and_not_for_ever() {
        let (mut desk, receiver) = desk(&[1, 1, 1]);
        assert_eq!(send(&mut desk), [1, 2, 3]);
        desk.take(plain(2), "h").unwrap();
        let failure = Failure::Refused { host: "h".into() };
        desk.put_back(3, &failure);
        assert_eq!(send(&mut desk), [4, 5], "numbers are not used twice");
        desk.take(plain(5), "h").unwrap();
        desk.put_back(3, &failure);
        assert_eq!(send(&mut desk), [6]);
        desk.put_back(3, &failure);
        assert!(desk.is_idle());
        let answers: Vec<_> =
            receiver.try_iter().map(|reply| (reply.number, reply.outcome.is_ok())).collect();
        assert_eq!(answers, [(1, true), (2, true), (0, false)]);
    }

    #[test]
    fn answers_to_nothing_and_of_another_kind_are_refused() {
        let (mut desk, _receiver) = desk(&[1]);
        assert_eq!(send(&mut desk), [1]);
        assert!(desk.take(plain(2), "h").is_err());
        assert!(desk.take(page(1, 1, false), "h").is_err());
        assert!(desk.take(Response { has_more: true, ..plain(1) }, "h").is_err());
        assert!(desk.take(plain(1), "h").is_ok());
        assert!(desk.take(plain(1), "h").is_err(), "it was answered before");
    }

    #[test]
    fn lists_come_in_pages_and_end() {
        let (sender, receiver) = channel();
        let mut desk = Desk::default();
        desk.add(vec![Question::new(Request::Manifests(Vec::new()), 0, 0, sender)]);
        send(&mut desk);
        desk.take(page(1, 3, true), "h").unwrap();
        desk.put_back(9, &Failure::Refused { host: "h".into() });
        // From its start again in the next session.
        send(&mut desk);
        desk.take(page(2, 3, true), "h").unwrap();
        assert!(desk.take(page(2, 0, true), "h").is_err(), "nothing comes, and more is announced");
        desk.take(page(2, 2, false), "h").unwrap();
        let reply = receiver.try_recv().unwrap();
        let Ok(Answer::Manifests(manifests)) = reply.outcome else { panic!("it is whole") };
        assert_eq!((reply.number, manifests.len()), (0, 5));
    }

    #[test]
    fn answers_wait_until_they_are_worked_on() {
        let (mut desk, receiver) = desk(&[1]);
        send(&mut desk);
        let answer = Answer::Content(Bytes::from(vec![0; 65 << 20]));
        desk.take(Response { id: 1, has_more: false, answer }, "h").unwrap();
        assert!(desk.unread.is_full());
        let reply = receiver.recv().unwrap();
        assert!(desk.unread.is_full(), "it is still there");
        drop(reply);
        assert!(!desk.unread.is_full());
        // Nobody waits for what nobody can take.
        let (mut desk, receiver) = self::desk(&[1]);
        send(&mut desk);
        drop(receiver);
        let answer = Answer::Content(Bytes::from(vec![0; 65 << 20]));
        desk.take(Response { id: 1, has_more: false, answer }, "h").unwrap();
        assert!(!desk.unread.is_full());
    }

    #[test]
    fn refusals_say_what_is_to_be_done() {
        let refused = |code| std::io::Error::from(refused(code, "m".into(), "h")).kind();
        assert_eq!(refused(2), std::io::ErrorKind::NotFound);
        assert_eq!(refused(5), std::io::ErrorKind::PermissionDenied);
        assert_eq!(refused(0), std::io::ErrorKind::ConnectionAborted);
    }
}
