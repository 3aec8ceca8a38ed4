//! Progress on standard error (bars on a terminal, lines anywhere else) and the signals that ask for an end.

use crate::arguments::{self, Global};
use crate::output;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use kme::{Observer, Progress};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A bar of `length` steps. Its message comes last and is cut where the line ends: what wraps cannot be taken back.
///
/// Where standard error is not a terminal (under nohup, in a batch system, in a file), a line a minute says the same.
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
    shown: Mutex<Option<Shown>>,
    /// What would be faster, for work that takes long.
    instead: OnceLock<&'static str>,
}

/// A bar, and since when it has been there.
struct Shown {
    what: String,
    bar: ProgressBar,
    begin: Instant,
    /// When the first step was done, and how many were then: what comes before it says nothing of the speed.
    first: Option<(Duration, u64)>,
    is_told: bool,
}

/// When it is known how long a computation will take.
const KNOWN: Duration = Duration::from_secs(3);

/// From how long on that is said at once, with what to do about it.
const LONG: Duration = Duration::from_secs(60);

impl<'a> Watcher<'a> {
    pub(crate) fn new(global: &'a Global) -> Self {
        Self { global, shown: Mutex::new(None), instead: OnceLock::new() }
    }

    /// From now on work that will take more than a minute is said to do so after a few seconds, on a terminal or not, with
    /// `instead`: what would be faster.
    pub(crate) fn advise(&self, instead: &'static str) {
        self.instead.get_or_init(|| instead);
    }

    fn shown(&self) -> MutexGuard<'_, Option<Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the bar away: what is printed next must not mix with it.
    fn clear(shown: &mut Option<Shown>) {
        if let Some(shown) = shown.take() {
            shown.bar.finish_and_clear();
        }
    }
}

impl Shown {
    /// Says once how long the work will take, if that is long.
    fn warn(&mut self, at: Progress, instead: &str) {
        let passed = self.begin.elapsed();
        if at.done == 0 || self.is_told {
            return;
        }
        let (before, from) = *self.first.get_or_insert((passed, at.done));
        let part = (at.done - from) as f64 / (at.of - from) as f64;
        if let Some(whole) = duration(passed - before, part).map(|whole| before + whole) {
            self.is_told = true;
            if whole >= LONG {
                self.bar.suspend(|| output::tell(format!("this takes about {}; {instead}", HumanDuration(whole))));
            }
        }
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
        let mut shown = self.shown();
        if shown.as_ref().is_none_or(|shown| shown.what != at.what || shown.bar.length() != Some(at.of)) {
            Self::clear(&mut shown);
            let bar = bar(self.global, at.of, at.what.to_string());
            let (begin, is_told) = (Instant::now(), self.global.quiet);
            *shown = Some(Shown { what: at.what.into(), bar, begin, first: None, is_told });
        }
        if let Some(shown) = shown.as_mut() {
            shown.bar.set_position(at.done);
            if let Some(value) = at.value {
                shown.bar.set_message(format!("{value:.3e}"));
            }
            if let Some(instead) = self.instead.get().filter(|_| at.done < at.of) {
                shown.warn(at, instead);
            }
        }
        if at.done >= at.of {
            Self::clear(&mut shown);
        }
        flow()
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        Self::clear(&mut self.shown());
    }
}

/// How long something takes of which a part was done in the time that has passed, when that can be said.
fn duration(passed: Duration, part: f64) -> Option<Duration> {
    (passed >= KNOWN && part > 0.0).then(|| Duration::try_from_secs_f64(passed.as_secs_f64() / part).ok()).flatten()
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
    if kme::internal::io::discard_unfinished() {
        output::tell("\nkme: interrupted; the unfinished output is removed");
    }
    end_interrupted();
}

/// Waits for the end where Ctrl-C is ending the program: that an unfinished output is gone meanwhile is not an error to report.
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
