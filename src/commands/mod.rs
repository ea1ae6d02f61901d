//! The commands: one short file each (open, analyse, render) and what they share.
//!
//! Input: parsed arguments. Output: an exit code, the answer on stdout or in `--output`.

mod classify;
mod cycles;
mod demo;
mod dry_run;
mod export;
mod generate;
mod growth;
mod inspect;
mod roots;
mod sql;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::CommandFactory;

use crate::cli::{Cli, Command, FailOn, Global, Input};
use crate::config::Config;
use crate::render::{self, Format, Target};
use crate::report::{Outcome, Report, SnapshotRef};
use crate::snapshot::{EMPTY, EngineOptions, LogColumns, OpenTable, Snapshot};
use crate::staging;
use crate::ui::{self, Ui};

/// Runs a parsed command line.
///
/// # Errors
/// Whatever keeps the question from being answered; the caller prints it and exits with 2.
pub fn run(cli: &Cli) -> Result<ExitCode> {
    ui::catch_interrupts()?;
    let context = Context::new(&cli.global)?;
    match &cli.command {
        Command::Demo(args) => demo::run(&context, args),
        Command::Export(args) => export::run(&context, args),
        Command::Inspect(args) => inspect::run(&context, args),
        Command::Classify(args) => classify::run(&context, args),
        Command::Roots(args) => roots::run(&context, args),
        Command::Cycles(args) => cycles::run(&context, args),
        Command::Growth(args) => growth::run(&context, args),
        Command::DryRun(args) => dry_run::run(&context, args),
        Command::Sql(args) => sql::run(&context, args),
        Command::Generate(args) => generate::run(&context, args),
        Command::Completions(args) => {
            // Into memory first: the generator panics where a pipe is closed.
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "rehearsal", &mut script);
            context.write(|out, _| Ok(out.write_all(&script)?))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => {
            context.write(|out, _| Ok(clap_mangen::Man::new(Cli::command()).render(&mut &mut *out)?))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What every command needs: the options, the project's settings and the terminal.
#[derive(Clone)]
pub struct Context {
    /// Options of every command.
    pub global: Global,
    /// `rehearsal.toml`.
    pub config: Config,
    /// The terminal.
    pub ui: Ui,
}

impl Context {
    fn new(global: &Global) -> Result<Self> {
        if let Some(threads) = global.threads {
            // Work outside the engine keeps to the same number; nothing has used rayon's pool before this.
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads.into())
                .build_global()
                .context("starting the worker threads")?;
        }
        Ok(Context {
            global: global.clone(),
            config: Config::load(global.config.as_deref())?,
            ui: Ui::new(global.quiet, global.verbose, global.no_color, global.no_progress),
        })
    }

    /// Opens a snapshot with the engine options of the command line.
    ///
    /// # Errors
    /// As [`Snapshot::open`].
    pub fn open(&self, source: &str) -> Result<Snapshot> {
        Snapshot::open(source, &self.engine_options())
    }

    fn engine_options(&self) -> EngineOptions {
        EngineOptions { threads: self.global.threads.map(usize::from), memory_limit: self.global.memory_limit.clone() }
    }

    /// The same, or the empty database where its word is given.
    ///
    /// # Errors
    /// As [`Snapshot::open`].
    pub fn open_or_empty(&self, source: &str) -> Result<Snapshot> {
        if source == EMPTY { Snapshot::empty(&self.engine_options()) } else { self.open(source) }
    }

    /// Opens the snapshot of an analysis and lays the view `log` over its table.
    ///
    /// # Errors
    /// As [`Snapshot::open`], [`Snapshot::table`] and [`Snapshot::open_log`].
    pub fn open_log(&self, input: &Input, required: &[&str]) -> Result<(Snapshot, OpenTable, LogColumns)> {
        let mut config = self.config.clone();
        config.map_columns(&input.columns)?;
        let snapshot = self.open(&input.snapshot)?;
        let table = snapshot.table(input.table.as_deref().or(config.table.as_deref()))?.clone();
        let columns = snapshot.open_log(&table, &config.columns, required)?;
        Ok((snapshot, table, columns))
    }

    /// Writes a report where and how the user asked, and says how the run ends.
    ///
    /// # Errors
    /// When the answer can't be written.
    pub fn finish(&self, report: &dyn Report, snapshot: Option<&SnapshotRef>) -> Result<ExitCode> {
        let outcome = self.outcome(report);
        self.write(|out, target| render::write_report(out, report, snapshot, outcome, target))?;
        Ok(if outcome == Outcome::Findings { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    fn outcome(&self, report: &dyn Report) -> Outcome {
        let threshold = self.global.fail_on.unwrap_or(FailOn::Error).threshold();
        let hit = threshold.is_some_and(|t| report.findings().iter().any(|f| f.severity >= t));
        if hit { Outcome::Findings } else { Outcome::Clean }
    }

    /// Runs `body` on stdout, or on `--output` (written whole or not at all).
    ///
    /// # Errors
    /// What `body` returns, or a failure to write.
    pub fn write(&self, body: impl FnOnce(&mut dyn Write, Target) -> Result<()>) -> Result<()> {
        let format = self.global.format.unwrap_or(Format::Table);
        match &self.global.output {
            Some(path) => {
                let target = Target { format, color: false, width: 120 };
                staging::write_file(path, |out| body(out, target))
            }
            None => {
                let target = Target { format, color: self.ui.color, width: terminal_width() };
                let mut out = BufWriter::new(io::stdout().lock());
                body(&mut out, target)?;
                out.flush().map_err(Into::into)
            }
        }
    }
}

/// Columns to write for: the terminal's, or 100 where the answer goes to a pipe.
fn terminal_width() -> usize {
    console::Term::stdout().size_checked().map_or(100, |(_, columns)| usize::from(columns).clamp(60, 200))
}
