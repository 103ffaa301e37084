//! Shows how work gets on while it is done.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::pace::Pace;
use super::{ProgressMode, State};
use crate::terminal::output::log_line;
use crate::terminal::signals::take_progress_request;

/// How often a bar is drawn.
const DRAW: Duration = Duration::from_millis(100);
/// How often a line is written where nothing can be drawn.
const LINE: Duration = Duration::from_secs(5);
/// How often programs are told.
const EVENT: Duration = Duration::from_secs(1);

/// A bar that is not shown before [`watch`] begins. Other lines are written by its `suspend`.
pub(crate) fn bar() -> ProgressBar {
    let bar = ProgressBar::hidden();
    bar.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Does the work; draws the bar on a terminal that can move its cursor, or says a line every few seconds
/// elsewhere.
pub(crate) fn watch<R>(
    mode: ProgressMode,
    bar: &ProgressBar,
    state: impl Fn() -> State + Sync,
    work: impl FnOnce() -> R,
) -> R {
    let is_drawn = mode == ProgressMode::Person && io::stderr().is_terminal() && can_draw();
    if is_drawn {
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
    let every = if mode == ProgressMode::Json { EVENT } else { LINE };
    let (done, end) = mpsc::channel::<()>();
    let start = Instant::now();
    let state = &state;
    std::thread::scope(|scope| {
        let show = move || {
            let (mut last, mut pace) = (start, Pace::default());
            while end.recv_timeout(DRAW) == Err(RecvTimeoutError::Timeout) {
                let now = state();
                pace.take(start.elapsed(), now.bytes.done, now.work());
                let is_due = mode.is_shown() && !is_drawn && last.elapsed() >= every;
                if take_progress_request() || is_due {
                    last = Instant::now();
                    let text = match mode {
                        ProgressMode::Json => now.json(&pace, start.elapsed(), false),
                        _ => format!("{}{}", mode.line(), now.line(&pace)),
                    };
                    bar.suspend(|| log_line(text));
                }
                if is_drawn {
                    bar.set_message(now.bar(&pace, columns()));
                }
            }
            pace
        };
        // Where no thread is to be had, the work goes on without.
        let shown = std::thread::Builder::new().name("progress".into()).spawn_scoped(scope, show);
        let result = work();
        drop(done);
        bar.finish_and_clear();
        if mode == ProgressMode::Json {
            let pace = shown.ok().and_then(|shown| shown.join().ok()).unwrap_or_default();
            log_line(state().json(&pace, start.elapsed(), true));
        }
        result
    })
}

/// Returns how many columns the terminal has that the bar is drawn on.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok().map(|size| usize::from(size.ws_col));
    size.filter(|&columns| columns > 0).unwrap_or(80)
}

/// Returns whether the terminal can move its cursor, as far as its name says.
fn can_draw() -> bool {
    std::env::var_os("TERM").is_none_or(|name| name != "dumb")
}
