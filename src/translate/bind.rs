//! Binding: what a definition keeps for later is read at once, as the server reads it.
//!
//! Input: an expression over one table's columns, and what it is for. Output: nothing, or the server's refusal in the words that it has
//! for that place. Left out: what the expression computes, which is asked where rows are at hand.

use pg_query::protobuf::Node;

use super::cast::{self, Context};
use super::reader::Reader;
use super::{Translator, write};
use crate::catalog::{Column, Oid, Outcome, Problem, Type};

/// What a kept expression is for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'p> {
    /// CHECK
    Check,
    /// A key of an index.
    IndexKey,
    /// WHERE of an index.
    IndexPredicate,
    /// GENERATED ALWAYS AS (…) STORED
    Generated(&'p Column),
    /// USING of ALTER COLUMN … TYPE: the column's name and its new type.
    Using(&'p str, &'p Type),
}

impl Translator<'_> {
    /// Reads an expression over the columns of a table.
    ///
    /// # Errors
    /// As [`Translator::select`].
    pub fn bind(&self, table: Oid, node: &Node, purpose: Purpose<'_>) -> Outcome<()> {
        let mut reader = Reader::new(self);
        let bound = read(&mut reader, table, node, purpose);
        // Found before anything that can't be read here, it stays true.
        if reader.is_mutable && !matches!(bound, Err(Problem::Rejected(_))) {
            let message = match purpose {
                Purpose::IndexKey => "functions in index expression must be marked IMMUTABLE",
                Purpose::IndexPredicate => "functions in index predicate must be marked IMMUTABLE",
                Purpose::Generated(_) => "generation expression is not immutable",
                Purpose::Check | Purpose::Using(..) => return bound,
            };
            return Err(Problem::rejected("42P17", message));
        }
        bound
    }
}

fn read(reader: &mut Reader<'_>, table: Oid, node: &Node, purpose: Purpose<'_>) -> Outcome<()> {
    match purpose {
        Purpose::Check => reader.row_condition(table, node, "CHECK", "check constraints"),
        Purpose::IndexPredicate => reader.row_condition(table, node, "WHERE", "index predicates"),
        Purpose::IndexKey => reader.row_expression(table, node, "index expressions").map(|_| ()),
        Purpose::Generated(column) => {
            let value = reader.row_expression(table, node, "column generation expressions")?;
            let stored = reader.coerce(value, &column.ty, Context::Assignment, Some(&column.name));
            stored.map(|_| ()).map_err(write::of_default)
        }
        Purpose::Using(column, to) => {
            let value = reader.row_expression(table, node, "transform expressions")?;
            if cast::exists(&value.ty, to, Context::Assignment) {
                return reader.coerce(value, to, Context::Assignment, None).map(|_| ());
            }
            let shown = reader.shown(to);
            let message =
                format!("result of USING clause for column \"{column}\" cannot be cast automatically to type {shown}");
            Err(Problem::rejected("42804", message).hint("You might need to add an explicit cast."))
        }
    }
}
