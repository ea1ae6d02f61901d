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
    /// Sources that stand in the statement, but can't be named here: an INSERT's table.
    pub hidden: Vec<Source>,
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
        Scope { outer, ..Scope::default() }
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

    pub fn missing(&self, source: Option<&str>, column: &str, source_seen: bool) -> Problem {
        if let Some(source) = source
            && !source_seen
        {
            let problem = Problem::rejected("42P01", format!("missing FROM-clause entry for table \"{source}\""));
            let near = self.levels().flat_map(|scope| &scope.sources);
            return match near.into_iter().find(|s| s.table.is_some() && s.name.eq_ignore_ascii_case(source)) {
                Some(near) => problem.hint(format!("the name here is \"{}\"", near.name)),
                None => problem,
            };
        }
        let message = match source {
            Some(source) => format!("column {source}.{column} does not exist"),
            None => format!("column \"{column}\" does not exist"),
        };
        let problem = Problem::rejected("42703", message);
        match self.near(source, column) {
            Near::None => problem,
            Near::One(one) => problem.hint(format!("Perhaps you meant to reference the column \"{one}\".")),
            Near::Two(one, two) => {
                let hint = format!("Perhaps you meant to reference the column \"{one}\" or the column \"{two}\".");
                problem.hint(hint)
            }
            Near::Hidden(table) => problem.hint(format!(
                "There is a column named \"{column}\" in table \"{table}\", but it cannot be referenced from this part \
                 of the query."
            )),
        }
    }

    /// This scope and those around it, outward.
    fn levels(&self) -> impl Iterator<Item = &Scope<'o>> {
        std::iter::successors(Some(self), |scope| scope.outer)
    }

    /// The column that may have been meant, as the server guesses it: the fewest letters to change in the names of the source and
    /// of the column, at most three and at most half of the column's; nothing where more than two are as near.
    fn near(&self, source: Option<&str>, column: &str) -> Near {
        const FARTHEST: usize = 3;
        let (mut best, mut found) = (FARTHEST + 1, Vec::new());
        for candidate in self.levels().flat_map(|scope| scope.hidden.iter().chain(&scope.sources)) {
            let penalty = source.map_or(0, |source| distance(source, &candidate.name));
            if penalty == 0 && candidate.columns.iter().any(|c| c.name == column) {
                return Near::Hidden(candidate.name.clone());
            }
            for offered in &candidate.columns {
                let changes = distance(&offered.name, column);
                if penalty > best || changes > column.len() / 2 || changes + penalty > best {
                    continue;
                }
                let name = format!("{}.{}", candidate.name, offered.name);
                if changes + penalty < best {
                    (best, found) = (changes + penalty, vec![name]);
                } else if found.len() == 2 {
                    // Too many as near as this: only a nearer one counts from here on.
                    found.clear();
                    let Some(nearer) = best.checked_sub(1) else { return Near::None };
                    best = nearer;
                } else if best <= FARTHEST {
                    found.push(name);
                }
            }
        }
        match found.as_slice() {
            [] => Near::None,
            [one] => Near::One(one.clone()),
            [one, two, ..] => Near::Two(one.clone(), two.clone()),
        }
    }
}

/// Columns that may have been meant.
#[derive(Debug, PartialEq)]
enum Near {
    None,
    One(String),
    Two(String, String),
    /// It is there, but not for this place; its table.
    Hidden(String),
}

/// How many letters are to be inserted, deleted or replaced to make one name of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, theirs) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *theirs);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope<'static> {
        let source = |name: &str, columns: &str| Source {
            name: name.to_owned(),
            schema: None,
            columns: columns
                .split(' ')
                .map(|name| SourceColumn { name: name.to_owned(), ty: Type::Int4, sql: String::new(), origin: None })
                .collect(),
            row: None,
            table: None,
            alias: name.to_owned(),
            scalar: false,
        };
        Scope {
            sources: vec![source("t", "id createdAt name"), source("u", "id tid label")],
            hidden: vec![source("h", "target")],
            ..Scope::default()
        }
    }

    #[test]
    fn missing_columns_are_guessed_as_the_server_guesses() {
        let check = |source: Option<&str>, column: &str, expected: Near| {
            assert_eq!(scope().near(source, column), expected, "{column}");
        };
        check(None, "createdat", Near::One("t.createdAt".into()));
        check(Some("t"), "nam", Near::One("t.name".into()));
        check(None, "ix", Near::Two("t.id".into(), "u.id".into()));
        check(None, "nope", Near::One("t.name".into()));
        check(None, "somewhere_else", Near::None);
        check(None, "target", Near::Hidden("h".into()));
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
