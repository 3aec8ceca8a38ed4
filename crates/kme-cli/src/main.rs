//! The `kme` command: parse, run, map the outcome to an exit code.

// The documentation of arguments is their help: a bracket in it is a bracket.
#![allow(rustdoc::broken_intra_doc_links)]
// These panic when nobody reads any more: everything is printed by `output`.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod arguments;
mod command;
mod ending;
mod output;
mod progress;
mod sources;
mod verbs;

use clap::FromArgMatches;
use command::Arguments;
use std::process::ExitCode;

/// An `--assert` did not hold.
const UNTRUE: u8 = 1;
/// Wrong usage or bad input.
const BAD_INPUT: u8 = 2;
/// A fault of the program itself.
const INTERNAL: u8 = 3;

fn main() -> ExitCode {
    // First, while there is one thread.
    progress::handle_signals();
    kme_conv::scratch::keep_freed_memory();
    let matches = command::matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|fault| fault.exit());
    match std::panic::catch_unwind(|| command::run(&arguments)) {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false)) => ExitCode::from(UNTRUE),
        Ok(Err(error)) => {
            progress::wait_where_ending();
            let error = arguments::by_flags(error);
            output::tell(format_args!("kme: {}", arguments::in_flags(&error.to_string())));
            ExitCode::from(BAD_INPUT)
        }
        // The panic's own message is on stderr already.
        Err(_) => {
            output::tell("kme: internal error. Please report it, with the message above and your command");
            ExitCode::from(INTERNAL)
        }
    }
}
