//! EXCLUDE: no two rows for which all operators of the constraint hold.
//!
//! Input: rows that a statement wrote, or a constraint that it adds. Output: nothing, or a violation. Invariants: a row without a value
//! in one of the elements excludes nobody; a constraint whose elements or operators aren't computed here is a note, never a pass.
//! Left out: rows that meet only while an UPDATE goes from one to the next, and constraints that wait for the end of the
//! transaction; both are noted.

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::{self, Node};

use super::keys::{quoted_where_needed, text_of};
use super::{concerns, go_on, refused, violation};
use crate::catalog::{AttNum, Constraint, ConstraintKind, Expression, Outcome, Problem, Type, tree};
use crate::dry_run::engine::Ran;
use crate::dry_run::execution::{Run, Touched};
use crate::dry_run::store::columns_in;
use crate::translate::{Translator, refusal_in, table_name};

/// Pairs of rows that are compared at most, where no element asks for equality.
const MOST_PAIRS: u64 = 50_000_000;

/// A constraint as SQL over its table.
struct ExclusionSql {
    columns: BTreeSet<AttNum>,
    /// SQL and type of each element.
    parts: Vec<(String, Type)>,
    /// For two rows `w` and `o`: they exclude each other.
    condition: String,
    /// One of the operators is `=`.
    has_equality: bool,
    predicate: Option<String>,
    /// `room, during`
    label: String,
}

impl ExclusionSql {
    fn of(translator: &Translator<'_>, constraint: &Constraint, definition: &str) -> Outcome<ExclusionSql> {
        let parsed = parsed(definition).ok_or_else(|| Problem::unsupported("a definition that isn't read here"))?;
        let (mut parts, mut labels, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
        let mut has_equality = false;
        for (at, element) in parsed.exclusions.iter().enumerate() {
            let (node, label, operator) =
                element_of(element).ok_or_else(|| Problem::unsupported("an element that isn't read here"))?;
            let (sql, ty) = translator.table_expression(constraint.table, &node, None)?;
            conditions.push(translator.holds(&operator, &ty, &format!("w.k{at}"), &format!("o.k{at}"))?);
            has_equality |= operator == "=";
            labels.push(label);
            parts.push((sql, ty));
        }
        let predicate = match parsed.where_clause.as_deref() {
            Some(node) => Some(translator.table_expression(constraint.table, node, Some(&Type::Bool))?.0),
            None => None,
        };
        let all = parts.iter().map(|(sql, _)| sql).chain(&conditions).chain(&predicate);
        if let Some(what) = all.into_iter().find_map(|sql| refusal_in(sql)) {
            return Err(Problem::unsupported(what));
        }
        let read = parts.iter().map(|(sql, _)| sql).chain(&predicate);
        Ok(ExclusionSql {
            columns: read.into_iter().flat_map(|sql| columns_in(sql)).collect(),
            parts,
            condition: conditions.join(" AND "),
            has_equality,
            predicate,
            label: labels.join(", "),
        })
    }

    /// `_r` and `k<n>` of the rows that can exclude others.
    fn select(&self, table: &str) -> String {
        let list: Vec<String> = self.parts.iter().enumerate().map(|(n, (sql, _))| format!("{sql} AS k{n}")).collect();
        let predicate = self.predicate.as_ref().map(|sql| format!(" WHERE {sql}")).unwrap_or_default();
        let present: Vec<String> = (0..self.parts.len()).map(|n| format!("k{n} IS NOT NULL")).collect();
        format!(
            "SELECT * FROM (SELECT _r, {} FROM {table}{predicate}) WHERE {}",
            list.join(", "),
            present.join(" AND ")
        )
    }

    /// The elements of the row that goes by `alias`, as a message shows them.
    fn text(&self, alias: &str) -> String {
        let parts = self.parts.iter().enumerate().map(|(n, (_, ty))| text_of(ty, &format!("{alias}.k{n}")));
        format!("concat_ws(', ', {})", parts.collect::<Vec<_>>().join(", "))
    }
}

impl Run<'_, '_> {
    pub(super) fn verify_exclusions(&mut self, touched: &Touched) -> Ran<()> {
        let of_table = self.catalog.constraints.values().filter(|constraint| constraint.table == touched.table);
        let exclusions: Vec<Constraint> =
            of_table.filter(|constraint| matches!(constraint.kind, ConstraintKind::Exclusion(_))).cloned().collect();
        let mut found = None;
        for constraint in exclusions {
            go_on(&mut found, self.verify_exclusion(&constraint, Some(touched)))?;
        }
        refused(found)
    }

    /// No two rows exclude each other; with `touched`, only pairs with one of these rows are looked at.
    pub(super) fn verify_exclusion(&mut self, constraint: &Constraint, touched: Option<&Touched>) -> Ran<()> {
        let ConstraintKind::Exclusion(definition) = &constraint.kind else { return Ok(()) };
        let rule = format!("exclusion constraint {}", constraint.name);
        let exclusion = match ExclusionSql::of(&self.translator(), constraint, definition) {
            Ok(exclusion) => exclusion,
            Err(Problem::Unsupported(unsupported)) => {
                self.unverified(&rule, &unsupported.what);
                return Ok(());
            }
            Err(Problem::Rejected(error)) => {
                self.remark(format!("The {rule} isn't verified: its definition no longer fits ({}).", error.message));
                return Ok(());
            }
        };
        if touched.is_some_and(|touched| !concerns(touched, &exclusion.columns)) {
            return Ok(());
        }
        if self.waits(constraint) {
            self.remark(format!("The {rule} isn't verified: it waits for the end of the transaction."));
            return Ok(());
        }
        self.store.ensure(constraint.table, exclusion.columns.iter().copied())?;
        let name = table_name(constraint.table);
        let all = self.store.row_count(constraint.table)?;
        let written = match touched {
            Some(touched) => self.store.engine.count(&format!("SELECT count(*) FROM {}", touched.rows))?,
            None => all,
        };
        if !exclusion.has_equality && written.saturating_mul(all) > MOST_PAIRS {
            self.remark(format!(
                "The {rule} isn't verified: more pairs of rows would have to be compared than are compared here."
            ));
            return Ok(());
        }
        if written > 1 && touched.is_some_and(|touched| touched.columns.is_some()) {
            self.remark(format!("The {rule} is verified for the rows as they are in the end; the statement may fail where one meets another that is still to be changed."));
        }
        // Each pair once where both rows are new: the later one is refused.
        let pairs = match touched {
            Some(touched) => format!(
                "w._r IN (SELECT _r FROM {0}) AND (o._r < w._r OR o._r NOT IN (SELECT _r FROM {0}))",
                touched.rows
            ),
            None => "o._r < w._r".to_owned(),
        };
        let clashes = format!(
            "WITH k AS MATERIALIZED ({}) SELECT w._r AS w, o._r AS o, {} AS new_key, {} AS old_key FROM k AS w JOIN k AS o ON {} WHERE o._r <> w._r AND {pairs}",
            exclusion.select(&name),
            exclusion.text("w"),
            exclusion.text("o"),
            exclusion.condition
        );
        let least = format!("SELECT new_key, old_key, w FROM ({clashes}) ORDER BY w, o LIMIT 1");
        let found = self
            .store
            .engine
            .rows(&least, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)))?;
        let Some((new, old, first)) = found.into_iter().next() else { return Ok(()) };
        let rows = self.store.engine.count(&format!("SELECT count(DISTINCT w) FROM ({clashes})"))?;
        let label = &exclusion.label;
        let (message, detail) = match touched {
            Some(_) => (
                format!("conflicting key value violates exclusion constraint \"{}\"", constraint.name),
                format!("Key ({label})=({new}) conflicts with existing key ({label})=({old})."),
            ),
            None => (
                format!("could not create exclusion constraint \"{}\"", constraint.name),
                format!("Key ({label})=({new}) conflicts with key ({label})=({old})."),
            ),
        };
        let mut violation = violation("23P01", message, Some(detail), rows);
        violation.first = Some(first);
        let shown: Vec<AttNum> = exclusion.columns.iter().copied().collect();
        self.refuse(
            constraint.table,
            &shown,
            &format!("FROM {name} AS t WHERE t._r IN (SELECT w FROM ({clashes}))"),
            violation,
        )
    }
}

/// `EXCLUDE …` read again from its definition.
fn parsed(definition: &str) -> Option<protobuf::Constraint> {
    let statement =
        pg_query::parse(&format!("ALTER TABLE t ADD {definition}"), 0).ok()?.protobuf.stmts.into_iter().next()?;
    let Some(NodeEnum::AlterTableStmt(alter)) = statement.stmt?.node else { return None };
    let Some(NodeEnum::AlterTableCmd(command)) = alter.cmds.into_iter().next()?.node else { return None };
    match command.def?.node? {
        NodeEnum::Constraint(constraint) => Some(*constraint),
        _ => None,
    }
}

/// An element, what messages call it, and its operator.
fn element_of(element: &Node) -> Option<(Node, String, String)> {
    let Some(NodeEnum::List(pair)) = &element.node else { return None };
    let (Some(NodeEnum::IndexElem(key)), Some(NodeEnum::List(operator))) =
        (pair.items.first()?.node.as_ref(), pair.items.get(1)?.node.as_ref())
    else {
        return None;
    };
    let operator = tree::strings(&operator.items).pop()?;
    match key.expr.as_deref() {
        Some(node) => Some((node.clone(), Expression::new(node).ok()?.sql, operator)),
        None => {
            let column = protobuf::ColumnRef { fields: vec![tree::name(&key.name)], location: -1 };
            Some((Node { node: Some(NodeEnum::ColumnRef(column)) }, quoted_where_needed(&key.name), operator))
        }
    }
}
