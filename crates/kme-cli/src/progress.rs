//! Progress on standard error (bars on a terminal, lines anywhere else) and the signals that ask for an end.

use crate::arguments::{self, Global};
use crate::output;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use kme::{Observer, Progress};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A bar of `length` steps. Its message comes last and is cut where the line ends: what wraps cannot be taken back.
///
/// Where standard error is no terminal (under nohup, in a batch system, in a file), a line a minute says the same.
pub(crate) fn bar(global: &Global, length: u64, what: impl Into<String>) -> ProgressBar {
    let what: String = what.into();
    let lines = !global.quiet && !draws();
    let target = if global.quiet || lines { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let left = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // Before anything is done, nothing is known.
        let speed = state.per_sec();
        let _ = match state.len() {
            Some(length) if speed > 0.0 && state.pos() < length => {
                write!(out, " ({:#} left)", HumanDuration(state.eta()))
            }
            _ => Ok(()),
        };
    };
    let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len}{left} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("left", left)
        .progress_chars("=> ");
    let bar = ProgressBar::with_draw_target(Some(length), target).with_style(style).with_prefix(what.clone());
    if lines {
        say(&bar, what, pause());
    }
    bar
}

/// Shows on standard error what the library tells of its work.
pub(crate) struct Watcher<'a> {
    global: &'a Global,
    bar: Mutex<Option<(String, ProgressBar)>>,
}

impl<'a> Watcher<'a> {
    pub(crate) fn new(global: &'a Global) -> Self {
        Self { global, bar: Mutex::new(None) }
    }
}

impl Observer for Watcher<'_> {
    fn remark(&self, text: &str) {
        output::remark(self.global, arguments::in_flags(text));
    }

    fn detail(&self, text: &str) {
        output::detail(self.global, arguments::in_flags(text));
    }

    fn progress(&self, at: Progress) -> ControlFlow<()> {
        let mut shown = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.as_ref().is_none_or(|(what, bar)| what != at.what || bar.length() != Some(at.of)) {
            if let Some((_, bar)) = shown.take() {
                bar.finish_and_clear();
            }
            *shown = Some((at.what.into(), bar(self.global, at.of, at.what.to_string())));
        }
        if let Some((_, bar)) = shown.as_ref() {
            bar.set_position(at.done);
            if let Some(value) = at.value {
                bar.set_message(format!("{value:.3e}"));
            }
        }
        if at.done >= at.of
            && let Some((_, bar)) = shown.take()
        {
            bar.finish_and_clear();
        }
        flow()
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        if let Some((_, bar)) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

/// The progress of a computation that tells how far it is when it is asked.
pub(crate) struct Polled {
    ends: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Time between two looks at a computation.
const LOOK: Duration = Duration::from_millis(200);

/// When it is known how long a computation will take.
const KNOWN: Duration = Duration::from_secs(3);

/// From how long on that is said at once, with what to do about it.
const LONG: Duration = Duration::from_secs(60);

/// A bar of `length` steps that shows `done` until what is returned is dropped.
///
/// Where it will take more than a minute that is said after a few seconds, on a terminal or not, with `instead`: what would be
/// faster.
pub(crate) fn polled(
    global: &Global,
    length: u64,
    what: &'static str,
    instead: &'static str,
    done: impl Fn() -> f64 + Send + 'static,
) -> Polled {
    let bar = bar(global, length, what);
    let quiet = global.quiet;
    let (ends, end) = mpsc::channel();
    let look = move || {
        let begin = Instant::now();
        let mut is_told = quiet;
        // What comes before the first step says nothing of the speed.
        let mut first: Option<(Duration, f64)> = None;
        while matches!(end.recv_timeout(LOOK), Err(mpsc::RecvTimeoutError::Timeout)) {
            let position = done().min(length as f64);
            bar.set_position(position as u64);
            let passed = begin.elapsed();
            if position > 0.0 && first.is_none() {
                first = Some((passed, position));
            }
            let whole = first.and_then(|(before, from)| {
                duration(passed - before, (position - from) / (length as f64 - from)).map(|whole| before + whole)
            });
            if let Some(whole) = whole.filter(|_| !is_told) {
                is_told = true;
                if whole >= LONG {
                    bar.suspend(|| output::tell(format!("this takes about {}; {instead}", HumanDuration(whole))));
                }
            }
        }
        bar.finish_and_clear();
    };
    Polled { ends: Some(ends), thread: Some(std::thread::spawn(look)) }
}

/// How long something takes of which a part was done in the time that has passed, when that can be said.
fn duration(passed: Duration, part: f64) -> Option<Duration> {
    (passed >= KNOWN && part > 0.0).then(|| Duration::try_from_secs_f64(passed.as_secs_f64() / part).ok()).flatten()
}

impl Drop for Polled {
    fn drop(&mut self) {
        self.ends.take();
        // Waits until the bar is gone: what is printed next must not mix with it.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether bars can be drawn.
fn draws() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Time between two lines of progress: a minute, or as many seconds as KME_PROGRESS says.
fn pause() -> Duration {
    let asked = std::env::var("KME_PROGRESS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(asked.filter(|s| (0.01..=1e6).contains(s)).unwrap_or(60.0))
}

/// Says from time to time how far `bar` is, as long as it is there.
fn say(bar: &ProgressBar, what: String, pause: Duration) {
    let bar = bar.downgrade();
    std::thread::spawn(move || {
        let mut before: Option<(Instant, u64)> = None;
        let mut due = Instant::now() + pause;
        loop {
            std::thread::sleep(due.saturating_duration_since(Instant::now()).min(Duration::from_secs(1)));
            let Some(bar) = bar.upgrade().filter(|bar| !bar.is_finished()) else { return };
            let (now, position) = (Instant::now(), bar.position());
            // What was done before it began (a run that goes on) says nothing of its speed.
            let (since, from) = *before.get_or_insert((now, position));
            if now < due {
                continue;
            }
            due = now + pause;
            let length = bar.length().unwrap_or(0);
            let speed = position.saturating_sub(from) as f64 / (now - since).as_secs_f64().max(1e-9);
            before = Some((now, position));
            // An empty bar has not begun.
            if length > 0 {
                output::tell(line(&what, position, length, speed, &bar.message()));
            }
        }
    });
}

/// How far something is: `train 340/3000 (11 %), 12.3/s, 4 minutes left: ...`.
fn line(what: &str, position: u64, length: u64, speed: f64, message: &str) -> String {
    let percent = (100.0 * position as f64 / length as f64).floor();
    let mut text = format!("{what} {position}/{length} ({percent} %)");
    if speed > 0.0 && position < length {
        let left = Duration::try_from_secs_f64((length - position) as f64 / speed).unwrap_or(Duration::MAX);
        let per = if speed >= 0.1 { format!("{speed:.1}/s") } else { format!("{:.0} s each", 1.0 / speed) };
        text += &format!(", {per}, {} left", HumanDuration(left));
    }
    if !message.is_empty() {
        text += &format!(": {message}");
    }
    text
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static WAITS: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C, a hang-up and a request to end stop at once and leave no half-written file. To be called before
/// there is another thread.
///
/// What is ignored when the program starts stays so: a hang-up under nohup, Ctrl-C for what a script runs in the background.
pub(crate) fn handle_signals() {
    let ignored = ignored::Ignored::now();
    // When a handler cannot be set, Ctrl-C keeps its usual meaning: outputs are still written whole or not at all.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) || !WAITS.load(Ordering::SeqCst) {
            end();
        }
        output::tell("\nkme: stopping after this step; press Ctrl-C again to stop at once");
    });
    ignored.restore();
}

/// From now on Ctrl-C asks for a stop at the next good moment; a second Ctrl-C stops at once.
pub(crate) fn catch_interrupt() {
    WAITS.store(true, Ordering::SeqCst);
}

static ENDING: AtomicBool = AtomicBool::new(false);

fn end() -> ! {
    ENDING.store(true, Ordering::SeqCst);
    if kme::io::discard_unfinished() {
        output::tell("\nkme: interrupted; the unfinished output is removed");
    }
    end_interrupted();
}

/// Waits for the end where Ctrl-C is ending the program: that an unfinished output is gone meanwhile is no fault to be told.
pub(crate) fn wait_where_ending() {
    while ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Ends the program with the exit code of one that was interrupted, so that what should follow a finished run does not.
pub(crate) fn end_interrupted() -> ! {
    std::process::exit(INTERRUPTED_CODE);
}

/// 128 + SIGINT, as shells have it.
const INTERRUPTED_CODE: i32 = 130;

/// Whether to go on.
pub(crate) fn flow() -> ControlFlow<()> {
    if INTERRUPTED.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

#[cfg(unix)]
mod ignored {
    use std::mem::MaybeUninit;
    use std::ptr::{null, null_mut};

    /// Signals that whoever starts a program may have it ignore. A request to end (SIGTERM) is always heard.
    const SIGNALS: [libc::c_int; 2] = [libc::SIGHUP, libc::SIGINT];

    /// The signals that are ignored, all held back until they are ignored again.
    pub(super) struct Ignored {
        signals: Vec<libc::c_int>,
        mask: libc::sigset_t,
    }

    impl Ignored {
        pub(super) fn now() -> Self {
            let is_ignored = |signal: &libc::c_int| {
                let mut action = MaybeUninit::<libc::sigaction>::zeroed();
                // SAFETY: without a new action the call only fills `action`, which all zeros are a value of.
                unsafe {
                    libc::sigaction(*signal, null(), action.as_mut_ptr()) == 0
                        && action.assume_init().sa_sigaction == libc::SIG_IGN
                }
            };
            let signals: Vec<_> = SIGNALS.into_iter().filter(is_ignored).collect();
            // SAFETY: both sets are valid for the calls, which write them before they are read.
            let mask = unsafe {
                let (mut held, mut mask) = (std::mem::zeroed(), std::mem::zeroed());
                libc::sigemptyset(&mut held);
                for signal in &signals {
                    libc::sigaddset(&mut held, *signal);
                }
                libc::pthread_sigmask(libc::SIG_BLOCK, &held, &mut mask);
                mask
            };
            Self { signals, mask }
        }

        pub(super) fn restore(self) {
            for signal in self.signals {
                // SAFETY: SIG_IGN is a valid action. What came meanwhile is forgotten with it.
                unsafe { libc::signal(signal, libc::SIG_IGN) };
            }
            // SAFETY: the mask was filled by the call that set the present one.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.mask, null_mut()) };
        }
    }
}

#[cfg(not(unix))]
mod ignored {
    /// Elsewhere there are no such signals.
    pub struct Ignored;

    impl Ignored {
        pub fn now() -> Self {
            Self
        }

        pub fn restore(self) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_it_takes_is_known_after_some_seconds() {
        let seconds = Duration::from_secs_f64;
        assert_eq!(duration(seconds(1.0), 0.01), None);
        assert_eq!(duration(seconds(3.0), 0.0), None);
        assert_eq!(duration(seconds(4.0), 0.04), Some(seconds(100.0)));
        assert_eq!(duration(seconds(4.0), 1e-300), None);
    }

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        assert_eq!(line("train", 0, 3000, 0.0, ""), "train 0/3000 (0 %)");
        assert_eq!(line("train", 600, 3000, 12.34, "kid 1"), "train 600/3000 (20 %), 12.3/s, 3 minutes left: kid 1");
        assert_eq!(line("train", 2, 10, 0.01, ""), "train 2/10 (20 %), 100 s each, 13 minutes left");
        assert_eq!(line("pictures", 10, 10, 5.0, ""), "pictures 10/10 (100 %)");
    }
}
