//! Constants: what the server computes while it plans a statement, or asks once before any row is read.
//!
//! Input: expressions as they are read. Output: those that read no row, give the same at any time and may fail, noted among the
//! statement's remarks, to be computed whether or not a row would reach them; so are the parts of the statement's own WHERE that
//! read no row, which the server asks once, as the gate to all rows. Invariants: as `eval_const_expressions` does, a part
//! is left out where a constant before it decides (CASE, AND, OR, COALESCE), and so are outputs of a query that only a query around
//! it reads, or nobody: the server drops those that aren't asked for, and here it isn't known which.

use pg_query::NodeEnum;
use pg_query::protobuf::{BoolExprType, Node, SelectStmt};

use super::expression::Site;
use super::function::contains_aggregate;
use super::reader::Reader;
use super::scope::Scope;
use super::typed::Typed;
use crate::catalog::{Column, Outcome, tree};

impl Reader<'_> {
    /// Reads something, and tells whether it gives the same over whatever row and at whatever time it is computed.
    pub(super) fn fixed<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> (T, bool) {
        let mutable = std::mem::replace(&mut self.is_mutable, false);
        let (volatile, varying) = (self.remarks.volatile.len(), self.varying);
        let value = read(self);
        let fixed = !self.is_mutable && self.remarks.volatile.len() == volatile && self.varying == varying;
        self.is_mutable |= mutable;
        (value, fixed)
    }

    /// How many constants are noted so far.
    pub(super) fn constants(&self) -> usize {
        self.remarks.constants.len()
    }

    /// Notes a constant, in the place of those that it is made of.
    pub(super) fn note_constant(&mut self, parts: usize, sql: &str) {
        self.remarks.constants.truncate(parts);
        if may_fail(sql) && !self.remarks.constants.iter().any(|known| known == sql) {
            self.remarks.constants.push(sql.to_owned());
        }
    }

    /// Forgets the constants noted since there were so many: nobody computes them ahead.
    pub(super) fn forget_constants(&mut self, since: usize) {
        self.remarks.constants.truncate(since);
    }

    /// Of the constants noted since there were so many nobody knows whether they are computed ahead.
    pub(super) fn doubt_constants(&mut self, since: usize) {
        let doubtful = self.remarks.constants.split_off(since);
        self.remarks.doubtful.extend(doubtful);
    }

    /// The constants noted since there were so many are only computed where a condition, a constant itself, holds.
    pub(super) fn guard_constants(&mut self, since: usize, condition: &str) {
        for constant in self.remarks.constants.iter_mut().skip(since) {
            *constant = format!("CASE WHEN {condition} THEN {constant} END");
        }
    }

    /// Parts of the statement's own WHERE that read no row. A constant that isn't true leaves nothing to ask; of the others each is
    /// asked where those before it hold.
    pub(super) fn note_gates(&mut self, condition: &Node) {
        let (mut deciding, mut asked): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for part in conjuncts(condition).into_iter().filter(|part| reads_nothing(part)) {
            let scope = Scope::default();
            let known = self.constants();
            let mutable = std::mem::replace(&mut self.is_mutable, false);
            let (volatile, varying) = (self.remarks.volatile.len(), self.varying);
            let read = self.condition(part, Site::new(&scope, "WHERE"));
            let fixed = !std::mem::replace(&mut self.is_mutable, mutable);
            self.forget_constants(known);
            let Ok(sql) = read else { continue };
            if self.remarks.volatile.len() > volatile || self.varying > varying {
                continue;
            }
            if fixed { deciding.push(sql) } else { asked.push(sql) }
        }
        for (place, sql) in asked.iter().enumerate().filter(|(_, sql)| may_fail(sql)) {
            let before: Vec<String> =
                deciding.iter().chain(&asked[..place]).map(|part| format!("({part}) IS TRUE")).collect();
            self.remarks.constants.push(match before.is_empty() {
                true => sql.clone(),
                false => format!("CASE WHEN {} THEN {sql} END", before.join(" AND ")),
            });
        }
    }

    /// Constants among the outputs of the query that is inserted, as they are stored: the server reads a plain query as a part of
    /// the INSERT.
    pub(super) fn stored_constants(&mut self, select: &SelectStmt, columns: &[Column]) -> Outcome<()> {
        self.constant_outputs(select, |this, place, value| match columns.get(place) {
            Some(column) if value.ty.assigns_to(&column.ty) => Ok(Some(this.store(value, column)?)),
            _ => Ok(None),
        })
    }

    /// Constants among the outputs of a plain query; `stored` is what comes of the one at a place, if anything does.
    pub(super) fn constant_outputs(
        &mut self,
        select: &SelectStmt,
        stored: impl Fn(&mut Self, usize, Typed) -> Outcome<Option<String>>,
    ) -> Outcome<()> {
        let is_plain = select.larg.is_none()
            && select.distinct_clause.is_empty()
            && select.group_clause.is_empty()
            && select.having_clause.is_none()
            && select.window_clause.is_empty()
            && select.sort_clause.is_empty()
            && select.limit_count.is_none()
            && select.limit_offset.is_none()
            && select.locking_clause.is_empty()
            && select.with_clause.is_none()
            && !select.target_list.iter().any(contains_aggregate);
        if !is_plain {
            return Ok(());
        }
        for (place, node) in select.target_list.iter().enumerate() {
            let Some(NodeEnum::ResTarget(target)) = &node.node else { continue };
            let Some(node) = target.val.as_deref().filter(|value| computes(value)) else { continue };
            let scope = Scope::default();
            let parts = self.constants();
            // What reads a row can't be read here, and isn't a constant.
            let (Ok(value), true) = self.fixed(|this| this.expression(node, Site::new(&scope, "SELECT"))) else {
                self.forget_constants(parts);
                continue;
            };
            if let Some(sql) = stored(self, place, value)? {
                self.note_constant(parts, &sql);
            }
        }
        Ok(())
    }
}

/// The conditions that AND joins at the top.
fn conjuncts(node: &Node) -> Vec<&Node> {
    match &node.node {
        Some(NodeEnum::BoolExpr(expression)) if expression.boolop == BoolExprType::AndExpr as i32 => {
            expression.args.iter().flat_map(conjuncts).collect()
        }
        _ => vec![node],
    }
}

/// No column, no variable, no other query.
fn reads_nothing(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::ColumnRef(_) | NodeEnum::SubLink(_) | NodeEnum::ParamRef(_)) => false,
        Some(node) => tree::children(node).into_iter().all(reads_nothing),
        None => true,
    }
}

/// May it be a constant, as far as its form tells? A literal may still not fit where it is stored.
fn computes(node: &Node) -> bool {
    !matches!(node.node, Some(NodeEnum::ColumnRef(_) | NodeEnum::SubLink(_) | NodeEnum::SetToDefault(_)))
}

/// Can this SQL raise an error of the server? Native functions can.
pub(super) fn may_fail(sql: &str) -> bool {
    sql.contains("error(") || sql.contains("pg_")
}
