//! Holds a session with the server, and begins another one when it ends.
//!
//! One task does all: it sends requests as the desk lets it, takes answers as they come, and knows when the
//! line is dead. Whoever asked learns of a lost session only if no other one can be had.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kopia_storage::Failure;
use kopia_storage::server::Parameters;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Interval, interval, sleep, timeout};

use super::desk::{Desk, Question};
use super::frames::Frames;
use super::link::{Call, Link, Lost};
use super::messages::{Answer, Response};
use super::protobuf::Malformed;
use crate::patience::{LONGEST_PAUSE, random_below};

/// Says what the server's contents are named by, or why there is no session.
pub(super) type Ready = SyncSender<Result<Parameters, Failure>>;

/// Holds sessions until nobody can ask any more.
pub(super) struct Sessions {
    pub(super) link: Link,
    pub(super) inbox: UnboundedReceiver<Vec<Question>>,
    pub(super) notice: Arc<dyn Fn(&str) + Send + Sync>,
    desk: Desk,
    /// What the first session said.
    parameters: Option<Parameters>,
    /// Whether something was answered in the present session.
    progressed: bool,
    /// Wakes the task, so that it sees a dead line.
    timer: Option<Interval>,
}

/// What the task waits for.
enum Event {
    Data(Option<Result<Bytes, h2::Error>>),
    Asked(Option<Vec<Question>>),
    Tick,
    /// Answers that waited were worked on.
    Fewer,
}

/// Why a session is over.
enum End {
    /// Nobody can ask any more.
    Closed,
    Lost(Lost),
}

impl From<Lost> for End {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

/// How often, and since when, a session was tried in vain.
struct Tries {
    made: u32,
    since: Instant,
    /// Whether all was given up before: then there is one try a question.
    given_up: bool,
}

impl Sessions {
    pub(super) fn new(
        link: Link,
        inbox: UnboundedReceiver<Vec<Question>>,
        notice: Arc<dyn Fn(&str) + Send + Sync>,
    ) -> Self {
        Self { link, inbox, notice, desk: Desk::default(), parameters: None, progressed: false, timer: None }
    }

    /// Begins a session, says by `ready` how that went, and holds it.
    pub(super) async fn hold(mut self, ready: Ready) {
        let mut tries = Tries { made: 0, since: Instant::now(), given_up: false };
        loop {
            if self.parameters.is_some() && self.desk.is_idle() {
                match self.inbox.recv().await {
                    Some(questions) => self.desk.add(questions),
                    None => return,
                }
                tries = Tries { made: 0, since: Instant::now(), ..tries };
            }
            self.progressed = false;
            let End::Lost((failure, passes)) = self.session(&ready).await else { return };
            self.desk.put_back(self.link.patience.tries, &failure);
            if self.progressed {
                tries = Tries { made: 0, since: Instant::now(), given_up: false };
            }
            if self.parameters.is_some() && self.desk.is_idle() {
                continue;
            }
            match self.pause(&mut tries).filter(|_| passes) {
                Some(pause) => {
                    let (host, made) = (self.link.host(), tries.made);
                    (self.notice)(&format!(
                        "waiting for {host}, try {} in {:.1} s: {failure}",
                        made + 1,
                        pause.as_secs_f64()
                    ));
                    sleep(pause).await;
                }
                None if self.parameters.is_none() => return drop(ready.send(Err(failure))),
                None => {
                    tries.given_up = true;
                    self.desk.fail(&failure);
                }
            }
        }
    }

    /// Returns how long to wait before the next try, unless there were enough.
    fn pause(&self, tries: &mut Tries) -> Option<Duration> {
        let patience = &self.link.patience;
        tries.made += 1;
        let most = patience.pause.saturating_mul(1 << tries.made.min(16)) / 2;
        let pause = random_below(most.min(LONGEST_PAUSE));
        // One that was there may be started again, which takes as long as it takes.
        let was_there = self.parameters.is_some();
        let limit = if was_there { patience.total } else { patience.dead };
        let may_try = !tries.given_up && (was_there || tries.made < patience.tries);
        let more = may_try && tries.since.elapsed() + pause <= limit;
        more.then_some(pause)
    }

    /// Holds one session to its end.
    async fn session(&mut self, ready: &Ready) -> End {
        match self.begin(ready).await {
            Ok((mut call, mut frames)) => loop {
                if let Err(end) = self.step(&mut call, &mut frames).await {
                    return end;
                }
            },
            Err(lost) => End::Lost(lost),
        }
    }

    /// Begins a session.
    async fn begin(&mut self, ready: &Ready) -> Result<(Call, Frames), Lost> {
        let mut call = self.link.open(self.desk.begin()).await?;
        let mut frames = Frames::default();
        let silence = self.link.patience.silence;
        let first = timeout(silence, self.first(&mut call, &mut frames)).await;
        let response = first.map_err(|_| (self.link.silent(silence), true))??;
        let known =
            |known: &Parameters, now: &Parameters| known.hash == now.hash && known.secret() == now.secret();
        match response {
            Response { id, has_more: false, answer: Answer::Parameters(parameters) }
                if id == self.desk.last() =>
            {
                match &self.parameters {
                    None => {
                        self.parameters = Some(parameters.clone());
                        // Whoever opens may have gone.
                        let _ = ready.send(Ok(parameters));
                    }
                    Some(first) if known(first, &parameters) => {}
                    Some(_) => {
                        return Err((self.link.no_server("it serves another repository by now"), false));
                    }
                }
            }
            Response { answer: Answer::Refused { code, message }, .. } => {
                let (host, status) = (self.link.host(), format!("error {code}"));
                return Err((Failure::Refusal { host, status, message }, false));
            }
            _ => return Err(self.malformed(Malformed("it begins no session"))),
        }
        let mut timer = interval(silence / 6);
        timer.reset();
        self.timer = Some(timer);
        Ok((call, frames))
    }

    /// Waits for the first answer. It is short, so it does not get long for coming in pieces.
    async fn first(&self, call: &mut Call, frames: &mut Frames) -> Result<Response, Lost> {
        loop {
            if let Some(message) = frames.next().map_err(|error| self.malformed(error))? {
                return Response::parse(&message).map_err(|error| self.malformed(error));
            }
            let data = poll_fn(|cx| call.receive.poll_data(cx)).await;
            self.receive(call, frames, data).await?;
        }
    }

    /// Sends what may be sent, and waits for the next thing that happens.
    async fn step(&mut self, call: &mut Call, frames: &mut Frames) -> Result<(), End> {
        while let Some(message) = frames.next().map_err(|error| self.malformed(error))? {
            let response = Response::parse(&message).map_err(|error| self.malformed(error))?;
            let taken = self.desk.take(response, &self.link.host());
            taken.map_err(|error| self.malformed(error))?;
            call.answered();
            self.progressed = true;
        }
        let mut requests = BytesMut::new();
        while let Some(frame) = self.desk.next() {
            requests.extend_from_slice(&frame);
        }
        if !requests.is_empty() {
            call.answered();
            call.send.send_data(requests.freeze(), false).map_err(|error| self.link.broken(&error))?;
        }
        match self.event(call).await {
            Event::Data(data) => Ok(self.receive(call, frames, data).await?),
            Event::Asked(Some(questions)) => {
                self.desk.add(questions);
                Ok(())
            }
            Event::Asked(None) => Err(End::Closed),
            Event::Tick => Ok(self.look_at(call)?),
            Event::Fewer => {
                call.answered();
                Ok(())
            }
        }
    }

    /// Sees whether the line is dead, or the server says that it lives and answers nothing.
    fn look_at(&self, call: &Call) -> Result<(), Lost> {
        let patience = &self.link.patience;
        match call.silence() > patience.silence {
            true => Err((self.link.silent(patience.silence), true)),
            false if !self.desk.is_idle() && call.idle() > patience.total => {
                Err((self.link.silent(patience.total), true))
            }
            false => Ok(()),
        }
    }

    async fn event(&mut self, call: &mut Call) -> Event {
        let (inbox, timer, unread) = (&mut self.inbox, &mut self.timer, &self.desk.unread);
        let mut fewer = pin!(unread.fewer());
        poll_fn(|cx| {
            if unread.is_full() {
                if fewer.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Event::Fewer);
                }
            } else if let Poll::Ready(data) = call.receive.poll_data(cx) {
                return Poll::Ready(Event::Data(data));
            }
            if let Poll::Ready(asked) = inbox.poll_recv(cx) {
                return Poll::Ready(Event::Asked(asked));
            }
            match timer.as_mut().map(|timer| timer.poll_tick(cx)) {
                Some(Poll::Ready(_)) => Poll::Ready(Event::Tick),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Takes bytes, or the end.
    async fn receive(
        &self,
        call: &mut Call,
        frames: &mut Frames,
        data: Option<Result<Bytes, h2::Error>>,
    ) -> Result<(), Lost> {
        match data {
            Some(Ok(bytes)) => {
                call.heard(bytes.len());
                frames.push(&bytes);
                let released = call.receive.flow_control().release_capacity(bytes.len());
                released.map_err(|error| self.link.broken(&error))
            }
            Some(Err(error)) => Err(self.link.broken(&error)),
            None => {
                let trailers =
                    timeout(Duration::from_secs(5), poll_fn(|cx| call.receive.poll_trailers(cx))).await;
                let trailers = trailers.ok().and_then(Result::ok).flatten();
                Err(self.link.ended(trailers.as_ref()))
            }
        }
    }

    fn malformed(&self, error: Malformed) -> Lost {
        (error.sent_by(&self.link.host()), true)
    }
}
