//! The binary: parse, run, turn the outcome or the error into an exit code; nothing else.

use std::process::ExitCode;

use clap::Parser;
use rehearsal::{cli::Cli, commands, ui};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match commands::run(&cli) {
        Ok(code) => code,
        Err(error) if ui::report_error(&error) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(2),
    }
}
