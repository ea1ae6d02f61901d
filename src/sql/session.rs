//! Session: a snapshot made ready for SQL from outside, and the running of statements in it.
//!
//! Input: an opened snapshot and SQL text. Output: [`Answer`], the columns and a stream of batches. Invariants: rows are never
//! gathered before someone asks for them; every statement passes [`super::guard`] first; once a session exists, its engine can
//! open no file but the snapshot's and those allowed by name. Left out: how an answer is written.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use arrow::array::{Array, StructArray};
use arrow::datatypes::Field;
use duckdb::types::Value;

use super::failure::{self, Script};
use super::format::Asked;
use super::guard::{self, Effect};
use super::lexer::{self, Statement};
use super::questions::Question;
use super::value::Kind;
use crate::report::SnapshotRef;
use crate::snapshot::Snapshot;
use crate::ui::{self, hinted};

/// A snapshot that SQL from outside may query.
pub struct Session<'s> {
    snapshot: &'s Snapshot,
    log: LogView,
}

/// Which table the view `log` shows, and under which column names.
#[derive(Debug, Clone, Default)]
pub struct LogView {
    /// The table asked for; the snapshot decides where there is none.
    pub table: Option<String>,
    /// Canonical column name to the table's own.
    pub columns: BTreeMap<String, String>,
}

/// One column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// As the statement names it; made unique where a format needs that.
    pub name: String,
    /// DuckDB's name of its type.
    pub type_name: String,
    /// How its values are written.
    pub kind: Kind,
}

/// The result of a statement: columns, and rows that come batch by batch.
pub struct Answer<'s> {
    /// Columns in order.
    pub columns: Vec<Column>,
    statement: duckdb::Statement<'s>,
    first: Cell<Option<StructArray>>,
    script: Script,
}

impl<'s> Session<'s> {
    /// Locks the snapshot's engine down to the snapshot's files and those in `readable`, for good.
    ///
    /// # Errors
    /// When a readable path doesn't exist, or the engine refuses its settings; when `log` names a table or column that isn't there.
    pub fn new(snapshot: &'s Snapshot, log: LogView, readable: &[PathBuf]) -> Result<Self> {
        let asked = log.table.is_some() || !log.columns.is_empty();
        match snapshot.table(log.table.as_deref()) {
            Ok(table) if table.rows > 0 => drop(snapshot.open_log(table, &log.columns, &[])?),
            // SQL may look at an empty table, and at several of which none is the log; then there is no view `log`.
            Err(error) if asked => return Err(error),
            _ => {}
        }
        for setting in ["SET errors_as_json = true", "SET preserve_insertion_order = true"] {
            snapshot.connection().execute_batch(setting)?;
        }
        snapshot.lock(readable)?;
        Ok(Session { snapshot, log })
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &'s Snapshot {
        self.snapshot
    }

    /// Does the view `log` exist?
    pub fn has_log(&self) -> bool {
        self.relations().iter().any(|name| name == "log")
    }

    /// The envelope's `snapshot` object: about one table where the snapshot has one.
    pub fn reference(&self) -> SnapshotRef {
        self.snapshot.reference(match self.snapshot.tables.as_slice() {
            [only] => Some(only),
            _ => None,
        })
    }

    /// Refuses to write a result over a file of the snapshot, or beside them.
    ///
    /// # Errors
    /// When `path` is one of the snapshot's files or in its folder.
    pub fn protect(&self, path: &Path) -> Result<()> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let target = if path.exists() { real(path) } else { real(folder).join(path.file_name().unwrap_or_default()) };
        let own = self.snapshot.tables.iter().flat_map(|t| &t.files).map(|f| real(f));
        let inside = |file: PathBuf| {
            file == target
                || (self.snapshot.manifest.is_some() && file.parent().is_some_and(|own| target.starts_with(own)))
        };
        if own.into_iter().any(inside) {
            return Err(hinted(
                anyhow!("{} belongs to the snapshot, which nothing changes", path.display()),
                "write the result to another folder",
            ));
        }
        Ok(())
    }

    /// Asks a named question with `name=value` parameters.
    ///
    /// # Errors
    /// Parameters that don't fit, a column that the table lacks, or the engine's message.
    pub fn ask_question(&self, question: Question, pairs: &[String]) -> Result<(Answer<'s>, Asked)> {
        let bound = question.bind(pairs)?;
        let table = self.snapshot.table(self.log.table.as_deref())?;
        self.snapshot.open_log(table, &self.log.columns, &question.needs)?;
        let script = Script::new(question.query.path, question.query.text);
        let answer = self
            .ask(&script, question.query.text, &bound)
            .with_context(|| format!("asking the question {}", question.name))?;
        let shown = |value: &Value| match value {
            Value::Text(text) => text.clone(),
            Value::BigInt(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        let params = bound.iter().map(|(name, value)| ((*name).to_owned(), shown(value))).collect();
        Ok((answer, Asked { question, params }))
    }

    /// Names that SQL can say FROM: the tables, the view `log` and whatever the session has made.
    pub fn relations(&self) -> Vec<String> {
        let sql = "SELECT table_name FROM information_schema.tables ORDER BY table_name";
        self.names(sql).unwrap_or_else(|_| self.snapshot.tables.iter().map(|t| t.name.clone()).collect())
    }

    /// Columns of a relation, in order.
    ///
    /// # Errors
    /// When there is no such relation.
    pub fn columns(&self, relation: &str) -> Result<Vec<(String, String)>> {
        let sql = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position";
        let mut statement = self.snapshot.connection().prepare(sql)?;
        let rows = statement.query_map([relation], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let columns: Vec<(String, String)> = rows.collect::<duckdb::Result<_>>()?;
        if columns.is_empty() {
            let known = self.relations();
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            let hint = crate::snapshot::suggestion(relation, &names);
            return Err(hinted(
                anyhow!("there is no table {relation}"),
                hint.unwrap_or_else(|| format!("there are {}", names.join(", "))),
            ));
        }
        Ok(columns)
    }

    fn names(&self, sql: &str) -> duckdb::Result<Vec<String>> {
        let mut statement = self.snapshot.connection().prepare(sql)?;
        statement.query_map([], |row| row.get(0))?.collect()
    }

    /// Runs one statement of `script`. `None` where it returns nothing (CREATE, INSERT …).
    ///
    /// # Errors
    /// A statement the guard refuses, or the engine's message with the place in the script.
    pub fn run(&self, script: &Script, statement: Statement<'_>) -> Result<Option<Answer<'s>>> {
        let effect = guard::permitted(statement.text)?;
        let script = script.at(statement.offset);
        let explain = |error| failure::explain(error, &script, self);
        let mut prepared = self.snapshot.connection().prepare(statement.text).map_err(explain)?;
        if effect == Effect::Unknown {
            return Err(anyhow!("only queries, and tables and views in memory, run here"));
        }
        if prepared.parameter_count() > 0 {
            return Err(hinted(
                anyhow!("the statement has a parameter (${})", prepared.parameter_name(1).unwrap_or_default()),
                "write the value itself, or use SET VARIABLE x = … and getvariable('x'); --param is for --named",
            ));
        }
        let _ = prepared.stream_arrow([]).map_err(|error| failure::explain(error, &script, self))?;
        Answer::new(prepared, script, effect, self)
    }

    /// Runs an embedded query with parameters by name.
    ///
    /// # Errors
    /// The engine's message; a parameter the SQL names and `params` lacks.
    pub fn ask(&self, script: &Script, sql: &str, params: &[(&str, Value)]) -> Result<Answer<'s>> {
        let explain = |error| failure::explain(error, script, self);
        let mut prepared = self.snapshot.connection().prepare(sql).map_err(explain)?;
        let mut values: Vec<&Value> = Vec::new();
        for index in 1..=prepared.parameter_count() {
            let name = prepared.parameter_name(index).map_err(explain)?;
            let value = params.iter().find(|(known, _)| *known == name);
            values.push(&value.ok_or_else(|| anyhow!("the SQL uses ${name}, which its header doesn't declare"))?.1);
        }
        let _ = prepared.stream_arrow(duckdb::params_from_iter(values)).map_err(explain)?;
        Answer::new(prepared, script.clone(), Effect::Query, self)?.ok_or_else(|| anyhow!("the SQL returns nothing"))
    }
}

impl<'s> Answer<'s> {
    fn new(
        statement: duckdb::Statement<'s>,
        script: Script,
        effect: Effect,
        session: &Session<'_>,
    ) -> Result<Option<Self>> {
        let schema = statement.schema();
        let mut columns: Vec<Column> = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            let (type_name, kind) =
                Kind::read(&statement.column_logical_type(index), field.data_type()).map_err(|name| {
                    hinted(
                        anyhow!("column {} has the type {name}, which can't be shown exactly", field.name()),
                        format!("cast it: CAST({} AS VARCHAR)", crate::query::quote_identifier(field.name())),
                    )
                })?;
            columns.push(Column { name: field.name().clone(), type_name, kind });
        }
        let says = |name: &str, type_name: &str| matches!(columns.as_slice(), [only] if only.name == name && only.type_name == type_name);
        let nothing = effect == Effect::Memory && (says("Count", "BIGINT") || says("Success", "BOOLEAN"));
        // The first batch is read now: an error that shows at the first row leaves no half answer behind.
        let first = statement.step().map_err(|error| failure::explain(error, &script, session))?;
        if nothing {
            while statement.step().map_err(|error| failure::explain(error, &script, session))?.is_some() {}
            return Ok(None);
        }
        Ok(Some(Answer { columns, statement, first: Cell::new(first), script }))
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// When the engine fails on the way, or the user has interrupted it.
    pub fn next_batch(&self) -> Result<Option<StructArray>> {
        ui::check_interrupt()?;
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        self.statement.step().map_err(|error| failure::plainly(error, &self.script))
    }

    /// Calls `row` with each batch and row number.
    ///
    /// # Errors
    /// As [`Answer::next_batch`], and what `row` returns.
    pub fn for_each_row(&self, mut row: impl FnMut(&StructArray, usize) -> Result<()>) -> Result<u64> {
        let mut rows = 0;
        while let Some(batch) = self.next_batch()? {
            for index in 0..batch.len() {
                row(&batch, index)?;
            }
            rows += batch.len() as u64;
        }
        Ok(rows)
    }

    /// The columns as Arrow carries them.
    pub fn fields(&self) -> Vec<Field> {
        self.statement.schema().fields().iter().map(|f| f.as_ref().clone()).collect()
    }

    /// Column names with later duplicates numbered (`n`, `n_1`), for formats that need them unique.
    pub fn unique_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for column in &self.columns {
            let mut name = column.name.clone();
            let mut number = 0;
            while names.contains(&name) {
                number += 1;
                name = format!("{}_{number}", column.name);
            }
            names.push(name);
        }
        names
    }
}

/// The statements of a script, cleaned of exotic spaces.
pub fn split(script: &Script) -> Vec<Statement<'_>> {
    lexer::statements(script.text())
}
