//! Opens what reads messages to fuzz targets.

use bytes::Bytes;

use super::frames::{self, Frames};
use super::messages::{Answer, Response};

/// Reads bytes as frames, in pieces as long as the first byte says, and as one message.
pub fn messages(bytes: &[u8]) {
    let Some((size, rest)) = bytes.split_first() else { return };
    let (mut frames, mut read) = (Frames::default(), 0);
    'all: for piece in rest.chunks(usize::from(*size).max(1)) {
        frames.push(piece);
        loop {
            match frames.next() {
                Ok(None) => break,
                Err(_) => break 'all,
                Ok(Some(message)) => {
                    read += message.len() + 5;
                    response(&message);
                }
            }
        }
    }
    assert!(read <= rest.len());
    let message = Bytes::copy_from_slice(rest);
    response(&message);
    let mut whole = Frames::default();
    whole.push(&frames::frame(&message));
    assert_eq!(whole.next().ok().flatten(), Some(message));
}

fn response(message: &Bytes) {
    let Ok(response) = Response::parse(message) else { return };
    match response.answer {
        Answer::Content(bytes) | Answer::Payload(bytes) => assert!(bytes.len() <= message.len()),
        Answer::Manifests(manifests) => assert!(manifests.len() <= message.len()),
        Answer::Refused { message, .. } => assert!(!message.contains(char::is_control)),
        Answer::Parameters(_) | Answer::Described(_) | Answer::Prepared => {}
    }
}
