//! The terminal: stdout is the answer, stderr is progress, warnings, errors and hints.
//!
//! Input: text that is ready to show. Invariants: errors are printed in one place; a closed pipe is a quiet success; Ctrl-C is
//! a flag that long work looks at, so that guards can remove what is half-written. Left out: what the answer looks like (`render`).

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Error, Result, anyhow};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What the user asked of the terminal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ui {
    /// No warnings, no progress.
    pub quiet: bool,
    /// Say more on stderr: 0, 1 …
    pub verbose: u8,
    /// Colour on stdout.
    pub color: bool,
    /// Progress bars on stderr.
    pub progress: bool,
}

impl Ui {
    /// Decides colour and progress from the flags, the terminal and `NO_COLOR`.
    pub fn new(quiet: bool, verbose: u8, no_color: bool, no_progress: bool) -> Self {
        let no_color = no_color || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Ui {
            quiet,
            verbose,
            color: !no_color && io::stdout().is_terminal(),
            progress: !quiet && !no_progress && io::stderr().is_terminal(),
        }
    }

    /// A warning on stderr.
    pub fn warn(&self, text: &str) {
        if !self.quiet {
            to_stderr(&format!("warning: {text}"));
        }
    }

    /// A remark on stderr that only `-v` shows.
    pub fn detail(&self, text: &str) {
        if self.verbose > 0 {
            to_stderr(text);
        }
    }

    /// Says on stderr what has been done, unless `-q`.
    pub fn status(&self, text: &str) {
        if !self.quiet {
            to_stderr(text);
        }
    }

    /// A bar for `total` units; hidden where progress is off. `unit` is shown behind the rate.
    pub fn bar(&self, total: u64, unit: &'static str, label: &str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(total), self.target());
        let template =
            format!("{{msg}}{{prefix}} {{wide_bar}} {{human_pos}}/{{human_len}} {unit} ({{per_sec}}, {{eta}} left)");
        bar.set_style(ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(label.to_owned());
        bar
    }

    /// A spinner for work of unknown length; hidden where progress is off.
    pub fn spinner(&self, label: &str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(None, self.target());
        bar.set_message(label.to_owned());
        if self.progress {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        bar
    }

    fn target(&self) -> ProgressDrawTarget {
        if self.progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
    }
}

fn to_stderr(text: &str) {
    // A closed stderr is nobody's fault and nothing to act on.
    let _ = writeln!(io::stderr(), "{text}");
}

/// An error with a way out, printed as `hint:`.
#[derive(Debug)]
struct Hinted {
    inner: Error,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

impl std::error::Error for Hinted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source()
    }
}

/// Adds a hint (what the user can do) to an error; the message and the causes stay as they are.
pub fn hinted(error: Error, hint: impl Into<String>) -> Error {
    Error::new(Hinted { inner: error, hint: hint.into() })
}

/// `?`-friendly form of [`hinted`].
pub trait HintExt<T> {
    /// Adds a hint to the error, if there is one.
    ///
    /// # Errors
    /// The same error, with the hint.
    fn hint(self, hint: impl Into<String>) -> Result<T>;
}

impl<T> HintExt<T> for Result<T> {
    fn hint(self, hint: impl Into<String>) -> Result<T> {
        self.map_err(|error| hinted(error, hint))
    }
}

/// Writes `error:`, `caused by:` and `hint:` lines.
///
/// # Errors
/// When the writer fails.
pub fn write_error(out: &mut dyn Write, error: &Error) -> io::Result<()> {
    let mut shown = String::new();
    for (index, cause) in error.chain().enumerate() {
        // DuckDB's code says nothing that its message hasn't said.
        if cause.is::<duckdb::ffi::Error>() {
            continue;
        }
        let text = cause.to_string();
        // Wrappers often repeat what they wrap.
        if index > 0 && shown.contains(&text) {
            continue;
        }
        let label = if index == 0 { "error" } else { "caused by" };
        writeln!(out, "{label}: {}", text.trim_end())?;
        shown.push_str(&text);
    }
    for hint in error.chain().filter_map(|cause| cause.downcast_ref::<Hinted>()) {
        writeln!(out, "hint: {}", hint.hint)?;
    }
    Ok(())
}

/// Prints an error to stderr, unless it is a closed pipe. Returns true for a closed pipe.
pub fn report_error(error: &Error) -> bool {
    if is_broken_pipe(error) {
        return true;
    }
    let mut out = io::stderr().lock();
    // Whatever failed after Ctrl-C failed because of it.
    let _ = if interrupted() { writeln!(out, "error: {INTERRUPTED_TEXT}") } else { write_error(&mut out, error) };
    false
}

fn is_broken_pipe(error: &Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|io| io.kind() == io::ErrorKind::BrokenPipe)
}

const INTERRUPTED_TEXT: &str = "interrupted; nothing was left half-written";

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
static ENGINES: Mutex<Vec<std::sync::Weak<duckdb::InterruptHandle>>> = Mutex::new(Vec::new());

/// Turns SIGINT and SIGTERM into a flag, and into an interrupt of every DuckDB query under way. A second signal ends the
/// process the default way.
///
/// # Errors
/// When the handlers can't be installed.
pub fn catch_interrupts() -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM] {
        // Registered first, so that it acts only when the flag is up already.
        signal_hook::flag::register_conditional_default(signal, flag.clone())?;
    }
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            if let Some(flag) = INTERRUPTED.get() {
                flag.store(true, Ordering::SeqCst);
            }
            let engines = ENGINES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            for engine in engines.iter().filter_map(std::sync::Weak::upgrade) {
                engine.interrupt();
            }
        }
    })?;
    Ok(())
}

/// Lets Ctrl-C end this engine's running query.
pub fn interruptible(handle: &Arc<duckdb::InterruptHandle>) {
    ENGINES.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(Arc::downgrade(handle));
}

/// Has the user asked to stop?
pub fn interrupted() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::SeqCst))
}

/// Takes note of an interrupt that has been dealt with: a shell goes on.
pub fn forget_interrupt() {
    if let Some(flag) = INTERRUPTED.get() {
        flag.store(false, Ordering::SeqCst);
    }
}

/// An error once the user has asked to stop: call it in long loops.
///
/// # Errors
/// When interrupted.
pub fn check_interrupt() -> Result<()> {
    if interrupted() { Err(anyhow!(INTERRUPTED_TEXT)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn causes_and_hints_survive_context() {
        let error = hinted(anyhow!("column job_id is missing"), "map it with --column job_id=NAME");
        let error = Err::<(), _>(error).context("reading logs.parquet").expect_err("an error");
        let mut out = Vec::new();
        write_error(&mut out, &error).expect("a vector takes all");
        assert_eq!(
            String::from_utf8_lossy(&out),
            "error: reading logs.parquet\ncaused by: column job_id is missing\nhint: map it with --column job_id=NAME\n"
        );
    }
}
