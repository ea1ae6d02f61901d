//! `rehearsal sql`: open, lock, then a query, a script, a named question, or a shell.

use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};

use super::Context;
use crate::cli;
use crate::render::{Format, Target, count};
use crate::report::{Envelope, Outcome, SCHEMA_VERSION};
use crate::sql::failure::Script;
use crate::sql::format::{self, Asked, Layout};
use crate::sql::guard::{self, Effect};
use crate::sql::questions::{self, QuestionList, QuestionText};
use crate::sql::session::{Answer, LogView, Session, split};
use crate::sql::shell::Shell;
use crate::staging;
use crate::ui::{HintExt, hinted};

/// Most rows that a terminal is shown.
const TERMINAL_ROWS: usize = 200;

/// Runs the command.
///
/// # Errors
/// As [`crate::snapshot::Snapshot::open`] and [`Session::run`].
pub fn run(context: &Context, args: &cli::Sql) -> Result<ExitCode> {
    if args.list {
        return context.finish(&QuestionList { questions: questions::all() }, None);
    }
    format::permitted(context.global.format.unwrap_or(Format::Table))?;
    if let (true, Some(name)) = (args.explain, &args.named) {
        return explain(context, name);
    }
    let Some(source) = &args.snapshot else { bail!("name a snapshot") };
    let mut config = context.config.clone();
    config.map_columns(&args.columns)?;
    let snapshot = context.open(source)?;
    let log = LogView { table: args.table.clone().or(config.table), columns: config.columns };
    let session = Session::new(&snapshot, log, &args.read)?;
    for path in [&args.parquet, &context.global.output].into_iter().flatten() {
        session.protect(path)?;
    }
    let run = Run { context, args, session: &session };
    if let Some(name) = &args.named {
        let (answer, asked) = session.ask_question(questions::find(name)?, &args.params)?;
        run.finish(&answer, Some(&asked))?;
    } else if let Some(script) = script(args)? {
        run.script(&script)?;
    } else {
        run.shell()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The SQL of the command line, of a file or of stdin; `None` for a shell.
fn script(args: &cli::Sql) -> Result<Option<Script>> {
    if let Some(path) = &args.file {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let text = String::from_utf8(bytes)
            .with_context(|| format!("{} isn't UTF-8 text", path.display()))
            .hint("save it as UTF-8")?;
        return Ok(Some(Script::new(&path.display().to_string(), &text)));
    }
    match args.query.as_deref() {
        Some("-") => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).context("reading SQL from standard input")?;
            Ok(Some(Script::new("stdin", &text)))
        }
        Some(text) => Ok(Some(Script::new("query", text))),
        None => Ok(None),
    }
}

struct Run<'a, 's> {
    context: &'a Context,
    args: &'a cli::Sql,
    session: &'a Session<'s>,
}

impl Run<'_, '_> {
    /// Runs all statements and writes what they return.
    fn script(&self, script: &Script) -> Result<()> {
        let statements = split(script);
        // All are looked at before the first runs: a script isn't half done when its last statement is refused.
        let mut results = 0;
        for statement in &statements {
            results += usize::from(guard::permitted(statement.text)? != Effect::Memory);
        }
        if statements.is_empty() {
            return Err(hinted(anyhow!("there is no SQL to run"), "give a query, --file FILE, or nothing for a shell"));
        }
        if let Some(path) = self.args.parquet.as_ref().filter(|_| results != 1) {
            bail!("{} takes the rows of one query, and {results} return rows here", path.display());
        }
        if results == 1 || self.args.parquet.is_some() {
            return self.single(script);
        }
        let format = self.format();
        self.write(|out, layout| {
            let mut gathered = Vec::new();
            let mut written = 0;
            for statement in statements {
                let Some(answer) = self.session.run(script, statement)? else { continue };
                if format == Format::Json {
                    gathered.push(format::json::gather(&answer)?);
                    continue;
                }
                if written > 0 {
                    writeln!(out)?;
                }
                written += 1;
                format::write(out, &answer, None, &self.session.reference(), format, layout)?;
            }
            if format == Format::Json {
                format::json::write_several(out, &gathered, &self.session.reference())?;
            }
            Ok(())
        })
    }

    /// A script of which one statement returns rows: they stream.
    fn single(&self, script: &Script) -> Result<()> {
        let statements = split(script);
        let mut rest = statements.into_iter();
        let mut found = None;
        for statement in rest.by_ref() {
            found = self.session.run(script, statement)?;
            if found.is_some() {
                break;
            }
        }
        let Some(answer) = found else { return Ok(()) };
        self.finish(&answer, None)?;
        drop(answer);
        for statement in rest {
            self.session.run(script, statement)?;
        }
        Ok(())
    }

    fn finish(&self, answer: &Answer<'_>, asked: Option<&Asked>) -> Result<()> {
        if let Some(path) = &self.args.parquet {
            return self.parquet(path, answer);
        }
        let reference = self.session.reference();
        let format = self.format();
        self.write(|out, layout| format::write(out, answer, asked, &reference, format, layout).map(|_| ()))
    }

    /// Writes a Parquet file, whole or not at all.
    fn parquet(&self, path: &Path, answer: &Answer<'_>) -> Result<()> {
        let mut rows = 0;
        staging::write_file(path, |out| {
            rows = format::parquet::write(out, answer)?;
            Ok(())
        })?;
        self.context.ui.status(&format!("{} rows written to {}", count(rows), path.display()));
        Ok(())
    }

    fn format(&self) -> Format {
        self.context.global.format.unwrap_or(Format::Table)
    }

    /// Runs `body` on stdout or `--output`, with the layout that suits it.
    fn write(&self, body: impl FnOnce(&mut dyn Write, Layout) -> Result<()>) -> Result<()> {
        let to_file = self.context.global.output.is_some();
        self.context.write(|out, target| body(out, if to_file { Layout::default() } else { layout(target) }))
    }

    fn shell(&self) -> Result<()> {
        if self.args.parquet.is_some() || self.context.global.output.is_some() {
            return Err(hinted(
                anyhow!("--parquet and --output need a query"),
                "give one, or --file or --named; inside the shell, .output FILE writes what follows to a file",
            ));
        }
        let color = self.context.ui.color;
        let current = || layout(Target { format: self.format(), color, width: super::terminal_width() });
        let mut shell = Shell::new(self.session, self.format(), &current);
        let mut out = BufWriter::new(io::stdout().lock());
        if io::stdin().is_terminal() {
            shell.interact(&mut out, history().as_deref())?;
        } else {
            shell.read(&mut out, io::stdin().lock())?;
        }
        Ok(out.flush()?)
    }
}

/// A terminal has a width and shows a page; a pipe gets everything.
fn layout(target: Target) -> Layout {
    if io::stdout().is_terminal() {
        Layout { width: Some(target.width), max_rows: Some(TERMINAL_ROWS), color: target.color }
    } else {
        Layout::default()
    }
}

/// Where the shell keeps its history: the XDG state folder.
fn history() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("rehearsal/sql-history"))
}

fn explain(context: &Context, name: &str) -> Result<ExitCode> {
    let question = questions::find(name)?;
    let sql = question.query.text;
    context.write(|out, target| match target.format {
        Format::Json => {
            let envelope = Envelope {
                report: "sql",
                schema_version: SCHEMA_VERSION,
                tool_version: env!("CARGO_PKG_VERSION"),
                snapshot: None,
                outcome: Outcome::Clean,
                findings: &[],
                result: QuestionText { question, sql },
            };
            serde_json::to_writer_pretty(&mut *out, &envelope).map_err(io::Error::from)?;
            Ok(writeln!(out)?)
        }
        Format::Markdown => Ok(write!(out, "```sql\n{sql}```\n")?),
        // Formats of findings have been refused.
        Format::Table | Format::Csv | Format::Github | Format::Sarif => Ok(out.write_all(sql.as_bytes())?),
    })?;
    Ok(ExitCode::SUCCESS)
}
