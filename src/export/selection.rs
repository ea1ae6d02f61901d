//! Selection: which columns and which rows of the tables are wanted?
//!
//! Input: `--columns` and `--where` as they were written, and the tables as the catalog describes them. Output: the tables without the
//! columns that are left out, and a [`Predicate`] for each. Invariants: what is left out stands in the manifest by name, with the
//! constraints and indexes that need it; a predicate is one expression to PostgreSQL's own parser, so that it can't end the
//! statement it stands in. Left out: what a predicate means; the server says.

use anyhow::{Error, Result, anyhow, bail};
use pg_query::NodeEnum;
use pg_query::protobuf::Node;

use super::catalog::Described;
use super::definitions;
use crate::catalog::tree;
use crate::snapshot::part::{LeftOutColumn, Part};
use crate::snapshot::suggestion;
use crate::ui::hinted;

/// Functions whose answer differs from row to row, or from the count to the rows.
const UNSTEADY: &[&str] =
    &["random", "clock_timestamp", "timeofday", "gen_random_uuid", "statement_timestamp", "nextval"];

/// Which rows are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predicate {
    /// As it was written.
    pub sql: String,
    /// It calls functions: `now()` is the moment a connection's transaction began, so one connection reads all.
    pub calls: bool,
}

impl Predicate {
    /// The clause to put behind a FROM. On lines of its own: a comment at its end takes nothing with it.
    pub fn condition(&self) -> String {
        format!("(\n{}\n)", self.sql)
    }
}

/// Leaves out the columns that aren't wanted, and finds each table's predicate.
///
/// # Errors
/// Names that no table has, predicates that aren't one expression.
pub fn select(columns: &[String], predicates: &[String], tables: &mut [Described]) -> Result<Vec<Option<Predicate>>> {
    keep_columns(columns, tables)?;
    let mut found: Vec<Option<Predicate>> = vec![None; tables.len()];
    for text in predicates {
        let (index, sql) = table_of(text, tables)?;
        if found[index].is_some() {
            return Err(hinted(
                anyhow!("--where is given twice for {}", tables[index].table.name),
                "join the two conditions with AND",
            ));
        }
        found[index] = Some(predicate(sql)?);
        tables[index].table.part.get_or_insert_default().predicate = Some(sql.to_owned());
    }
    Ok(found)
}

/// Is each `--where` one condition, for a table or without its name? Asked before anything is connected to.
///
/// # Errors
/// Predicates that aren't one expression.
pub fn check(predicates: &[String]) -> Result<()> {
    for text in predicates {
        let named = named(text).filter(|(name, _)| is_plain(name)).map(|(_, sql)| predicate(sql));
        match (predicate(text.trim()), named) {
            (Ok(_), _) | (_, Some(Ok(_))) => {}
            (_, Some(Err(error))) | (Err(error), None) => return Err(error),
        }
    }
    Ok(())
}

fn keep_columns(wanted: &[String], tables: &mut [Described]) -> Result<()> {
    let mut kept: Vec<Vec<String>> = vec![Vec::new(); tables.len()];
    for text in wanted {
        let (table, name) = column_of(text, tables)?;
        if kept[table].contains(&name) {
            bail!("--columns: {} is named twice", text.trim());
        }
        kept[table].push(name);
    }
    for (described, names) in tables.iter_mut().zip(kept).filter(|(_, names)| !names.is_empty()) {
        leave_out(described, &names);
    }
    Ok(())
}

/// `table.column`, or `column` where there is one table.
fn column_of(text: &str, tables: &[Described]) -> Result<(usize, String)> {
    let text = text.trim();
    let column = |table: usize, wanted: &str| {
        let plain = wanted.trim_matches('"');
        let columns = &tables[table].table.columns;
        let exact = columns.iter().find(|c| c.name == plain);
        exact
            .or_else(|| columns.iter().find(|c| wanted == plain && c.name == plain.to_lowercase()))
            .map(|c| c.name.clone())
    };
    if let ([_], Some(name)) = (tables, column(0, text)) {
        return Ok((0, name));
    }
    let qualified = tables.iter().enumerate().find_map(|(index, described)| {
        let table = &described.table;
        let names = [table.name.clone(), format!("{}.{}", table.schema, table.name), format!("\"{}\"", table.name)];
        let rest = names.iter().find_map(|name| text.strip_prefix(name.as_str())?.strip_prefix('.'))?;
        Some((index, rest))
    });
    match qualified {
        Some((index, rest)) => match column(index, rest) {
            Some(name) => Ok((index, name)),
            None => Err(unknown_column(text, rest, &tables[index..=index])),
        },
        None if tables.len() > 1 && (0..tables.len()).any(|index| column(index, text).is_some()) => Err(hinted(
            anyhow!("--columns {text}: the export has {} tables", tables.len()),
            format!("say of which table it is: {}.{text}", tables[0].table.name),
        )),
        None => Err(unknown_column(text, text, tables)),
    }
}

fn unknown_column(text: &str, wanted: &str, tables: &[Described]) -> Error {
    let names: Vec<&str> = tables.iter().flat_map(|t| t.table.columns.iter().map(|c| c.name.as_str())).collect();
    let hint = suggestion(wanted, &names).unwrap_or_else(|| format!("the columns are {}", names.join(", ")));
    hinted(anyhow!("--columns: there is no column {text}"), hint)
}

fn leave_out(described: &mut Described, names: &[String]) {
    let kept = |name: &String| names.contains(name);
    let table = &mut described.table;
    let mut types = std::mem::take(&mut described.types).into_iter();
    let mut part = Part::default();
    let mut columns = Vec::new();
    for column in std::mem::take(&mut table.columns) {
        let ty = types.next();
        if kept(&column.name) {
            columns.push(column);
            described.types.extend(ty);
        } else {
            part.left_out.push(LeftOutColumn { name: column.name, type_name: column.type_name });
        }
    }
    table.columns = columns;
    if part.left_out.is_empty() {
        return;
    }
    let missing = |needed: Vec<String>| needed.iter().any(|name| part.left_out.iter().any(|left| left.name == *name));
    let mut gone: Vec<String> = Vec::new();
    table.indexes.retain(|index| {
        let lost = missing(definitions::index_columns(index));
        gone.extend(lost.then(|| index.name.clone()));
        !lost
    });
    table.constraints.retain(|constraint| {
        let lost = missing(definitions::constraint_columns(constraint)) || gone.contains(&constraint.name);
        gone.extend((lost && !gone.contains(&constraint.name)).then(|| constraint.name.clone()));
        !lost
    });
    for column in &mut table.columns {
        // What is computed from a column that isn't there stays as it was stored.
        let computed = column.generated.as_deref().filter(|text| !["ALWAYS", "BY DEFAULT"].contains(text));
        if computed.is_some_and(|text| missing(definitions::columns_of(text))) {
            gone.push(column.name.clone());
            column.generated = None;
        }
    }
    part.left_out_objects = gone;
    table.part = Some(part);
}

/// `table: predicate`, or the predicate of the only table.
fn table_of<'a>(text: &'a str, tables: &[Described]) -> Result<(usize, &'a str)> {
    if let Some((name, sql)) = named(text) {
        let names = |described: &Described| {
            let table = &described.table;
            let folded = name.to_lowercase();
            name == table.name
                || folded == table.name
                || name == format!("{}.{}", table.schema, table.name)
                || name == format!("\"{}\"", table.name)
        };
        if let Some(index) = tables.iter().position(names) {
            return Ok((index, sql));
        }
        if is_plain(name) {
            let known: Vec<&str> = tables.iter().map(|t| t.table.name.as_str()).collect();
            let hint = suggestion(name, &known).unwrap_or_else(|| format!("the tables are {}", known.join(", ")));
            return Err(hinted(anyhow!("--where: {name} isn't a table of the export"), hint));
        }
    }
    match tables {
        [_] => Ok((0, text.trim())),
        tables => Err(hinted(
            anyhow!("--where {text}: the export has {} tables", tables.len()),
            format!("say for which: --where '{}: {}'", tables[0].table.name, text.trim()),
        )),
    }
}

/// A table's name and what follows its colon, if that is what it is: `::` and `:=` are SQL.
fn named(text: &str) -> Option<(&str, &str)> {
    let (name, sql) = text.split_once(':').filter(|(_, sql)| !sql.starts_with([':', '=']))?;
    Some((name.trim(), sql.trim()))
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_.\"".contains(c))
}

/// Reads a predicate as the server would.
fn predicate(sql: &str) -> Result<Predicate> {
    let wrong = |reason: String| {
        hinted(
            anyhow!("--where {sql}: {reason}"),
            "write one condition, as behind WHERE: created_at >= '2026-01-01' AND status <> 'DONE'",
        )
    };
    let parsed = pg_query::parse(&format!("SELECT WHERE {sql}"), 0).map_err(|error| wrong(error.to_string()))?;
    let condition = match parsed.protobuf.stmts.as_slice() {
        [only] => only.stmt.as_ref().and_then(|node| node.node.as_ref()).and_then(condition),
        _ => None,
    };
    let condition = condition.ok_or_else(|| wrong("it isn't one condition".to_owned()))?;
    let (mut calls, mut unsteady) = (false, None);
    tree::walk(condition, &mut |node| match node {
        NodeEnum::FuncCall(call) => {
            calls = true;
            let name = tree::strings(&call.funcname).pop().unwrap_or_default();
            if UNSTEADY.contains(&name.as_str()) {
                unsteady = Some(name);
            }
        }
        // current_timestamp and its kin; 'now'::timestamp is read when the statement is planned.
        NodeEnum::SqlvalueFunction(_) | NodeEnum::SubLink(_) => calls = true,
        NodeEnum::AConst(value) => calls |= is_moment(value),
        _ => {}
    });
    match unsteady {
        Some(name) => Err(wrong(format!("{name}() gives another answer each time, so the rows couldn't be counted"))),
        None => Ok(Predicate { sql: sql.to_owned(), calls }),
    }
}

/// 'now', 'today': a moment that is read when the statement is.
fn is_moment(value: &pg_query::protobuf::AConst) -> bool {
    use pg_query::protobuf::a_const::Val;
    let Some(Val::Sval(text)) = &value.val else { return false };
    ["now", "today", "yesterday", "tomorrow"].contains(&text.sval.trim().to_lowercase().as_str())
}

/// The condition of a query that has nothing else.
fn condition(node: &NodeEnum) -> Option<&Node> {
    let NodeEnum::SelectStmt(select) = node else { return None };
    let mut bare = (**select).clone();
    bare.where_clause = None;
    let nothing = pg_query::parse("SELECT", 0).ok()?.protobuf.stmts.into_iter().next()?.stmt?.node?;
    (NodeEnum::SelectStmt(Box::new(bare)) == nothing).then_some(())?;
    select.where_clause.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: Result<bool, &str>) {
        match (predicate(sql), expected) {
            (Ok(found), Ok(calls)) => assert_eq!(found.calls, calls, "{sql}"),
            (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{sql}: {error}"),
            (found, _) => panic!("{sql}: {found:?}"),
        }
    }

    #[test]
    fn a_predicate_is_one_expression() {
        check("id > 5 AND status = 'x' -- note", Ok(false));
        check("created_at > now() - interval '1 day'", Ok(true));
        check("created_at > current_date", Ok(true));
        check("created_at > 'today'", Ok(true));
        check("id IN (SELECT user_id FROM orders)", Ok(true));
        check("true) OR (true", Err("syntax error"));
        check("true; DROP TABLE t", Err("isn't one condition"));
        check("true ORDER BY 1", Err("isn't one condition"));
        check("true UNION SELECT 1", Err("isn't one condition"));
        check("true FOR UPDATE", Err("isn't one condition"));
        check("true GROUP BY x", Err("isn't one condition"));
        check("", Err(""));
        check("/* open", Err(""));
        check("'open", Err(""));
        check("random() < 0.1", Err("another answer each time"));
    }
}
