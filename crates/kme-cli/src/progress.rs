//! Progress bars on standard error, which vanish when it is no terminal, and Ctrl-C.

use crate::arguments::Global;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

/// A bar of `length` steps. Its message comes last and is cut where the line ends: what wraps cannot be taken back.
pub fn bar(global: &Global, length: u64, what: &'static str) -> ProgressBar {
    let target = if global.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} ({eta} left) {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::with_draw_target(Some(length), target).with_style(style).with_prefix(what)
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C asks for a stop at the next good moment; a second Ctrl-C stops at once.
pub fn catch_interrupt() {
    // When another handler cannot be set, Ctrl-C keeps its usual meaning: outputs are still written whole or not at all.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            end();
        }
        eprintln!("\nkme: stopping after this step; press Ctrl-C again to stop at once");
    });
}

/// From now on Ctrl-C stops at once and leaves no half-written file.
pub fn stop_on_interrupt() {
    let _ = ctrlc::set_handler(end);
}

static ENDING: AtomicBool = AtomicBool::new(false);

fn end() {
    ENDING.store(true, Ordering::SeqCst);
    if kme::io::discard_unfinished() {
        // Without a panic where nobody reads it any more.
        let _ = writeln!(std::io::stderr(), "\nkme: interrupted; the unfinished output is removed");
    }
    end_interrupted();
}

/// Waits for the end where Ctrl-C is ending the program: that an unfinished output is gone meanwhile is no fault to be told.
pub fn wait_where_ending() {
    while ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Ends the program with the exit code of one that was interrupted, so that what should follow a finished run does not.
pub fn end_interrupted() -> ! {
    std::process::exit(INTERRUPTED_CODE);
}

/// 128 + SIGINT, as shells have it.
const INTERRUPTED_CODE: i32 = 130;

/// Whether to go on.
pub fn flow() -> ControlFlow<()> {
    if INTERRUPTED.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
