//! Scopes: which names an expression can see, and what they stand for in DuckDB.
//!
//! Invariant: names are compared byte by byte after the parser's folding, as PostgreSQL compares them; an unqualified name that two
//! sources have is ambiguous (42702), and the inner query's names hide the outer one's.

use crate::catalog::{AttNum, Oid, Outcome, Problem, Type};

/// A column that a source offers.
#[derive(Debug, Clone)]
pub(super) struct SourceColumn {
    pub name: String,
    pub ty: Type,
    /// DuckDB SQL.
    pub sql: String,
    /// The table's column it is, unchanged.
    pub origin: Option<(Oid, AttNum)>,
}

/// An entry of a FROM clause.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The name it goes by.
    pub name: String,
    /// Its schema, where it may be qualified by it.
    pub schema: Option<String>,
    pub columns: Vec<SourceColumn>,
    /// The row number, for a table.
    pub row: Option<String>,
    /// The table it is.
    pub table: Option<Oid>,
    /// The name it has in DuckDB.
    pub alias: String,
    /// A function that gives single values: its name as a value is that value, not a row.
    pub scalar: bool,
}

/// Names visible at one level of a query.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope<'o> {
    pub sources: Vec<Source>,
    /// Columns merged by USING or NATURAL: visible unqualified, in place of those of their sources.
    pub merged: Vec<SourceColumn>,
    /// The query around this one.
    pub outer: Option<&'o Scope<'o>>,
}

/// A resolved column.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub column: SourceColumn,
    /// Index of its source at its level; `None` for a merged column.
    pub source: Option<usize>,
    /// Levels outward.
    pub level: usize,
}

impl<'o> Scope<'o> {
    pub fn inside(outer: Option<&'o Scope<'o>>) -> Scope<'o> {
        Scope { sources: Vec::new(), merged: Vec::new(), outer }
    }

    /// Finds `column` or `source.column`.
    ///
    /// # Errors
    /// 42703, 42P01 or 42702, as the server words them.
    pub fn find(&self, schema: Option<&str>, source: Option<&str>, column: &str) -> Outcome<Found> {
        let mut level = 0;
        let mut scope = Some(self);
        let mut source_seen = false;
        while let Some(current) = scope {
            if let Some(found) = current.here(schema, source, column, level, &mut source_seen)? {
                return Ok(found);
            }
            scope = current.outer;
            level += 1;
        }
        Err(self.missing(source, column, source_seen))
    }

    /// The value that a function's name stands for.
    pub fn scalar(&self, name: &str) -> Option<&SourceColumn> {
        let source = self.sources.iter().find(|source| source.name == name);
        match source {
            Some(source) => source.columns.first().filter(|_| source.scalar),
            None => self.outer?.scalar(name),
        }
    }

    fn here(
        &self,
        schema: Option<&str>,
        source: Option<&str>,
        column: &str,
        level: usize,
        source_seen: &mut bool,
    ) -> Outcome<Option<Found>> {
        let mut found: Option<Found> = None;
        if source.is_none()
            && let Some(merged) = self.merged.iter().find(|c| c.name == column)
        {
            return Ok(Some(Found { column: merged.clone(), source: None, level }));
        }
        for (index, candidate) in self.sources.iter().enumerate() {
            if source.is_some_and(|s| s != candidate.name)
                || schema.is_some_and(|s| candidate.schema.as_deref() != Some(s))
            {
                continue;
            }
            *source_seen |= source.is_some();
            for offered in candidate.columns.iter().filter(|c| c.name == column) {
                if found.is_some() {
                    return Err(Problem::rejected("42702", format!("column reference \"{column}\" is ambiguous")));
                }
                found = Some(Found { column: offered.clone(), source: Some(index), level });
            }
        }
        Ok(found)
    }

    fn missing(&self, source: Option<&str>, column: &str, source_seen: bool) -> Problem {
        let names = || {
            let mut scope = Some(self);
            std::iter::from_fn(move || {
                let current = scope?;
                scope = current.outer;
                Some(current)
            })
            .flat_map(|s| s.sources.iter())
        };
        if let Some(source) = source
            && !source_seen
        {
            let problem = Problem::rejected("42P01", format!("missing FROM-clause entry for table \"{source}\""));
            return match names().find(|s| s.table.is_some() && s.name.eq_ignore_ascii_case(source)) {
                Some(near) => problem.hint(format!("the name here is \"{}\"", near.name)),
                None => problem,
            };
        }
        let message = match source {
            Some(source) => format!("column {source}.{column} does not exist"),
            None => format!("column \"{column}\" does not exist"),
        };
        let problem = Problem::rejected("42703", message);
        let folded = |name: &str| name.to_lowercase().replace('_', "");
        let near = names()
            .filter(|s| source.is_none_or(|name| name == s.name))
            .flat_map(|s| s.columns.iter().map(move |c| (s, c)))
            .find(|(_, c)| folded(&c.name) == folded(column));
        match near {
            Some((source, near)) => problem.hint(format!(
                "there is a column \"{}\" in {}; PostgreSQL folds names without quotes to lower case",
                near.name, source.name
            )),
            None => problem,
        }
    }
}
