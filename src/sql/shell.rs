//! Shell: SQL at a prompt, or line by line from a pipe.
//!
//! Input: lines. Output: results on a writer; errors and hints on stderr. Invariants: at a prompt no error and no Ctrl-C ends the
//! shell; from a pipe the first error does, so that a script can't go on with half its work. A statement ends with a semicolon;
//! a line that begins with a dot is a command of the shell.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::ValueEnum;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Context, Editor, Helper, Highlighter, Hinter, Validator};

use super::completion::{self, COMMANDS, Names};
use super::failure::Script;
use super::format::{self, Asked, Layout};
use super::lexer;
use super::questions;
use super::session::{self, Session};
use crate::render::{Format, count};
use crate::ui::{self, hinted};

const PROMPT: &str = "rehearsal> ";
const MORE: &str = "      ...> ";

/// A shell over a session.
pub struct Shell<'a, 's> {
    session: &'a Session<'s>,
    /// How results are written.
    format: Format,
    /// Asked before each result: a terminal may have been resized.
    layout: &'a dyn Fn() -> Layout,
    /// Where results go instead of the screen.
    output: Option<(PathBuf, BufWriter<File>)>,
    timer: bool,
}

/// What a line comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Line,
    Leave,
}

impl<'a, 's> Shell<'a, 's> {
    /// A shell that writes in `format`.
    pub fn new(session: &'a Session<'s>, format: Format, layout: &'a dyn Fn() -> Layout) -> Self {
        Shell { session, format, layout, output: None, timer: false }
    }

    /// Reads from a terminal until Ctrl-D. `history` is kept across sessions where it can be written.
    ///
    /// # Errors
    /// When the terminal fails; never for what is typed.
    pub fn interact(&mut self, out: &mut dyn Write, history: Option<&Path>) -> Result<()> {
        let config =
            Config::builder().history_ignore_space(true).history_ignore_dups(true)?.max_history_size(10_000)?;
        let config = config.completion_type(rustyline::CompletionType::List).build();
        let mut editor: Editor<Prompter, FileHistory> = Editor::with_config(config)?;
        let history = history.filter(|path| prepare_history(path).is_ok());
        if let Some(path) = history {
            // A history that can't be read is a fresh one.
            let _ = editor.load_history(path);
        }
        writeln!(out, "{}", self.greeting())?;
        editor.set_helper(Some(Prompter { names: self.names() }));
        let mut buffer = String::new();
        loop {
            out.flush()?;
            match editor.readline(if buffer.is_empty() { PROMPT } else { MORE }) {
                Ok(line) => {
                    buffer.push_str(&line);
                    buffer.push('\n');
                    if !is_command(&buffer) && !lexer::is_complete(&buffer) {
                        continue;
                    }
                }
                Err(ReadlineError::Interrupted) => {
                    buffer.clear();
                    continue;
                }
                Err(ReadlineError::Eof) => return self.close(),
                Err(error) => return Err(error).context("reading from the terminal"),
            }
            let said = std::mem::take(&mut buffer);
            if said.trim().is_empty() {
                continue;
            }
            // A failing history file takes nothing from the answer.
            let _ = editor.add_history_entry(said.trim());
            if let Some(path) = history {
                let _ = editor.append_history(path);
            }
            match self.execute(out, &Script::new("input", &said)) {
                Ok(Next::Line) => {}
                Ok(Next::Leave) => return self.close(),
                Err(error) => {
                    out.flush()?;
                    if ui::report_error(&error) {
                        return Err(error);
                    }
                }
            }
            ui::forget_interrupt();
            editor.set_helper(Some(Prompter { names: self.names() }));
        }
    }

    /// Reads lines until they end.
    ///
    /// # Errors
    /// The first error of a statement or command.
    pub fn read(&mut self, out: &mut dyn Write, lines: impl BufRead) -> Result<()> {
        let mut buffer = String::new();
        let mut line_number = 0;
        let mut first_line = 1;
        for line in lines.lines() {
            let line = line.context("reading standard input")?;
            line_number += 1;
            if buffer.trim().is_empty() {
                buffer.clear();
                first_line = line_number;
            }
            buffer.push_str(&line);
            buffer.push('\n');
            if is_command(&buffer) || (line.contains(';') && lexer::is_complete(&buffer)) {
                let said = std::mem::take(&mut buffer);
                if self.execute(out, &Script::new("stdin", &said).from_line(first_line))? == Next::Leave {
                    return self.close();
                }
                out.flush()?;
            }
        }
        self.execute(out, &Script::new("stdin", &buffer).from_line(first_line))?;
        self.close()
    }

    /// The first line: what is loaded, and how to get help.
    fn greeting(&self) -> String {
        let snapshot = self.session.snapshot();
        let tables: Vec<String> =
            snapshot.tables.iter().map(|t| format!("{} ({} rows)", t.name, count(t.rows))).collect();
        let log = if self.session.has_log() { ", also as log" } else { "" };
        format!(
            "{}: {}{log}. SQL ends with a semicolon; .help shows the commands, .named the questions, Ctrl-D leaves.",
            snapshot.source,
            tables.join(", ")
        )
    }

    fn names(&self) -> Names {
        let relations = self.session.relations();
        let columns = |name: &String| {
            let columns = self.session.columns(name).unwrap_or_default();
            (name.clone(), columns.into_iter().map(|(column, _)| column).collect())
        };
        let questions = questions::all();
        let params = |q: &questions::Question| q.params.iter().map(|p| p.name.to_owned()).collect();
        Names {
            relations: relations.iter().map(columns).collect(),
            questions: questions.iter().map(|q| (q.name.to_owned(), params(q))).collect(),
        }
    }

    fn execute(&mut self, out: &mut dyn Write, script: &Script) -> Result<Next> {
        if is_command(script.text()) {
            return self.command(out, script.text().trim().trim_end_matches(';'));
        }
        for statement in session::split(script) {
            let started = Instant::now();
            if let Some(answer) = self.session.run(script, statement)? {
                self.write(out, &answer, None)?;
            }
            self.report_time(out, started)?;
        }
        Ok(Next::Line)
    }

    fn report_time(&self, out: &mut dyn Write, started: Instant) -> Result<()> {
        if self.timer {
            writeln!(out, "{:.3} s", started.elapsed().as_secs_f64())?;
        }
        Ok(())
    }

    fn write(&mut self, out: &mut dyn Write, answer: &session::Answer<'_>, asked: Option<&Asked>) -> Result<()> {
        let reference = self.session.reference();
        match &mut self.output {
            Some((path, file)) => {
                let written = format::write(file, answer, asked, &reference, self.format, Layout::default());
                written.and_then(|_| Ok(file.flush()?)).with_context(|| format!("writing {}", path.display()))
            }
            None => format::write(out, answer, asked, &reference, self.format, (self.layout)()).map(|_| ()),
        }
    }

    fn close(&mut self) -> Result<()> {
        if let Some((path, mut file)) = self.output.take() {
            file.flush().with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    fn command(&mut self, out: &mut dyn Write, line: &str) -> Result<Next> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [".quit" | ".exit"] => return Ok(Next::Leave),
            [".help"] => {
                for (name, takes, does) in COMMANDS {
                    writeln!(out, "{:<34}{does}", format!("{name} {takes}"))?;
                }
            }
            [".tables"] => {
                for name in self.session.relations() {
                    writeln!(out, "{name}")?;
                }
            }
            [".schema"] => {
                for name in self.session.relations() {
                    self.schema(out, &name)?;
                }
            }
            [".schema", table] => self.schema(out, table.trim_matches('"'))?,
            [".named"] => {
                for question in questions::all() {
                    let params: Vec<String> = question.params.iter().map(questions::Param::declaration).collect();
                    writeln!(out, "{:<26}{} {}", question.name, question.title, params.join(" "))?;
                }
            }
            [".named", name, params @ ..] => {
                let started = Instant::now();
                let pairs: Vec<String> = params.iter().map(|p| (*p).to_owned()).collect();
                let (answer, asked) = self.session.ask_question(questions::find(name)?, &pairs)?;
                self.write(out, &answer, Some(&asked))?;
                self.report_time(out, started)?;
            }
            [".format", name] => match Format::from_str(name, true) {
                Ok(format) if format::permitted(format).is_ok() => self.format = format,
                _ => bail!("{name} isn't a format: table, csv, json or markdown"),
            },
            [".timer", "on"] => self.timer = true,
            [".timer", "off"] => self.timer = false,
            [".output"] => self.close()?,
            [".output", ..] => {
                let path = PathBuf::from(line[".output".len()..].trim());
                self.close()?;
                self.session.protect(&path)?;
                let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
                self.output = Some((path, BufWriter::new(file)));
            }
            [command, ..] => {
                let usage = COMMANDS.iter().find(|(name, _, _)| name == command);
                return Err(match usage {
                    Some((name, takes, _)) => {
                        hinted(anyhow!("{line} isn't complete, or too long"), format!("write {name} {takes}"))
                    }
                    None => {
                        let names: Vec<&str> = COMMANDS.iter().map(|(name, _, _)| *name).collect();
                        let hint = crate::snapshot::suggestion(command, &names);
                        hinted(
                            anyhow!("{command} isn't a command"),
                            hint.unwrap_or_else(|| ".help lists them".to_owned()),
                        )
                    }
                });
            }
            [] => {}
        }
        Ok(Next::Line)
    }

    fn schema(&self, out: &mut dyn Write, table: &str) -> Result<()> {
        let columns = self.session.columns(table)?;
        let width = columns.iter().map(|(name, _)| console::measure_text_width(name)).max().unwrap_or(0);
        writeln!(out, "{table}")?;
        for (name, type_name) in columns {
            writeln!(out, "  {name}{}  {type_name}", " ".repeat(width - console::measure_text_width(&name)))?;
        }
        Ok(())
    }
}

fn is_command(text: &str) -> bool {
    text.trim_start().strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// A history is private: it may hold ids and names of people.
fn prepare_history(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?;
    Ok(())
}

/// What rustyline asks while a line is edited.
#[derive(Helper, Hinter, Highlighter, Validator)]
struct Prompter {
    names: Names,
}

impl Completer for Prompter {
    type Candidate = String;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(completion::complete(&line[..position], &self.names))
    }
}
