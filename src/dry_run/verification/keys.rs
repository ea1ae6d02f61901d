//! Keys of unique indexes as SQL: columns or expressions, whole or partial.
//!
//! Input: an index of the catalog. Output: queries for the keys of rows, how two keys are equal, how a key reads in a message.

use std::collections::BTreeSet;

use crate::catalog::{AttNum, Index, IndexTarget, Problem, Type};
use crate::dry_run::engine::Ran;
use crate::dry_run::store::{column, columns_in};
use crate::translate::{Translator, column_name, has_equality, identity, is_loose, refusal_in};

/// An index key over its table.
pub(in crate::dry_run) struct KeySql {
    /// Columns that the key and the index's predicate read.
    pub(in crate::dry_run) columns: BTreeSet<AttNum>,
    /// SQL and type of each part.
    parts: Vec<(String, Type)>,
    /// Rows that the index holds.
    predicate: Option<String>,
    nulls_equal: bool,
    /// `a, lower(b)`
    pub(in crate::dry_run) label: String,
}

impl KeySql {
    /// Reads an index.
    pub(in crate::dry_run) fn of(translator: &Translator<'_>, index: &Index) -> Ran<KeySql> {
        let (mut columns, mut parts, mut labels) = (BTreeSet::new(), Vec::new(), Vec::new());
        for key in &index.keys {
            match &key.target {
                IndexTarget::Column(attnum) => {
                    let column = column(translator.catalog, index.table, *attnum)?;
                    columns.insert(*attnum);
                    parts.push((column_name(*attnum), column.ty.clone()));
                    labels.push(quoted_where_needed(&column.name));
                }
                IndexTarget::Expression(expression) => {
                    let part = translator.table_expression(index.table, &expression.node, None)?;
                    columns.extend(columns_in(&part.0));
                    parts.push(part);
                    labels.push(expression.sql.clone());
                }
            }
        }
        if let Some((_, ty)) = parts.iter().find(|(_, ty)| !has_equality(ty)) {
            // Its text doesn't say what the server takes for equal.
            let name = ty.name(translator.catalog);
            return Err(Problem::unsupported(format!("a comparison of {name}")).into());
        }
        let predicate = match &index.predicate {
            None => None,
            Some(predicate) => {
                let (sql, _) = translator.table_expression(index.table, &predicate.node, Some(&Type::Bool))?;
                columns.extend(columns_in(&sql));
                Some(sql)
            }
        };
        let all = parts.iter().map(|(sql, _)| sql).chain(&predicate);
        if let Some(what) = all.into_iter().find_map(|sql| refusal_in(sql)) {
            return Err(Problem::unsupported(what).into());
        }
        Ok(KeySql { columns, parts, predicate, nulls_equal: index.nulls_not_distinct, label: labels.join(", ") })
    }

    /// A query for `_r` and `k<n>` of the rows in `from` that can collide; `alias` is what the key's SQL calls the table.
    pub(in crate::dry_run) fn select(&self, from: &str, alias: &str) -> String {
        let mut list: Vec<String> =
            self.parts.iter().enumerate().map(|(n, (sql, ty))| format!("{} AS k{n}", identity(sql, ty))).collect();
        list.extend(self.loose().map(|n| format!("{} AS v{n}", self.parts[n].0)));
        let predicate = self.predicate.as_ref().map(|sql| format!(" WHERE {sql}")).unwrap_or_default();
        let keys = format!("SELECT _r, {} FROM {from} AS {alias}{predicate}", list.join(", "));
        if self.nulls_equal {
            return keys;
        }
        let present: Vec<String> = (0..self.parts.len()).map(|n| format!("k{n} IS NOT NULL")).collect();
        format!("SELECT * FROM ({keys}) WHERE {}", present.join(" AND "))
    }

    /// Parts whose values aren't their own keys: `v<n>` has them.
    fn loose(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().enumerate().filter(|(_, (_, ty))| is_loose(ty)).map(|(n, _)| n)
    }

    /// `, min(v0) AS v0`: what values a group's key stands for, to be shown.
    pub(in crate::dry_run) fn shown(&self) -> String {
        self.loose().map(|n| format!(", min(v{n}) AS v{n}")).collect()
    }

    /// `k0, k1`
    pub(in crate::dry_run) fn names(&self) -> String {
        let names: Vec<String> = (0..self.parts.len()).map(|n| format!("k{n}")).collect();
        names.join(", ")
    }

    /// A condition that two keys are equal.
    pub(in crate::dry_run) fn join(&self, a: &str, b: &str) -> String {
        let equal = if self.nulls_equal { "IS NOT DISTINCT FROM" } else { "=" };
        let parts: Vec<String> = (0..self.parts.len()).map(|n| format!("{a}.k{n} {equal} {b}.k{n}")).collect();
        parts.join(" AND ")
    }

    /// A key's values as the server writes them in a message.
    pub(in crate::dry_run) fn text(&self) -> String {
        let parts: Vec<String> = self
            .parts
            .iter()
            .enumerate()
            .map(|(n, (_, ty))| text_of(ty, &format!("{}{n}", if is_loose(ty) { "v" } else { "k" })))
            .collect();
        format!("concat_ws(', ', {})", parts.join(", "))
    }
}

/// SQL for a value's text in the server's messages.
pub(in crate::dry_run) fn text_of(ty: &Type, value: &str) -> String {
    let text = match ty {
        Type::Bool => format!("CASE WHEN {value} THEN 't' WHEN NOT {value} THEN 'f' END"),
        Type::Timestamptz(_) => format!("CAST({value} AS VARCHAR) || '+00'"),
        _ => format!("CAST({value} AS VARCHAR)"),
    };
    format!("coalesce({text}, 'null')")
}

/// A column's name as `pg_get_indexdef` writes it.
pub(in crate::dry_run) fn quoted_where_needed(name: &str) -> String {
    let plain =
        name.chars().enumerate().all(|(i, c)| c == '_' || c.is_ascii_lowercase() || (i > 0 && c.is_ascii_digit()));
    if plain && !name.is_empty() { name.to_owned() } else { crate::query::quote_identifier(name) }
}
