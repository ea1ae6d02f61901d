//! Ladders: an ordered run of UPDATEs that each write one constant into the same column.

use pg_query::NodeEnum;
use pg_query::protobuf::{BoolExpr, BoolExprType, Node, NullTestType, UpdateStmt, a_const::Val};

use super::{Seen, location, placed};
use crate::catalog::Expression;
use crate::classify::{self, Guard, Ladder, Predicate, Rule};
use crate::dry_run::report::LadderReport;
use crate::migration::{Migration, Statement};
use crate::report::Finding;
use crate::snapshot::Snapshot;

/// One UPDATE of a ladder.
#[derive(Clone)]
pub(super) struct Rung {
    seen: Seen,
    column: String,
    rule: Rule,
    statement: Statement,
}

impl Rung {
    /// Columns its condition reads, the guard's aside.
    pub(super) fn reads(&self) -> impl Iterator<Item = &str> {
        self.rule.when.columns.iter().map(String::as_str)
    }

    /// Are there rows that it could write?
    pub(super) fn has_rows(&self, snapshot: &Snapshot) -> bool {
        snapshot.tables.iter().any(|table| table.name == self.seen.snapshot_table && table.rows > 0)
    }

    /// Does the other stand in the same ladder?
    pub(super) fn continues(&self, other: &Rung) -> bool {
        self.seen.oid == other.seen.oid && self.column == other.column
    }
}

/// Reads `UPDATE t SET c = 'constant' [WHERE condition [AND c IS NULL]]`.
pub(super) fn read(statement: &Statement, update: &UpdateStmt, seen: &Seen) -> Option<Rung> {
    if !update.from_clause.is_empty() || update.with_clause.is_some() {
        return None;
    }
    let [Node { node: Some(NodeEnum::ResTarget(target)) }] = update.target_list.as_slice() else { return None };
    let category = constant(target.val.as_deref()?)?;
    let alias = update.relation.as_ref()?.alias.as_ref().map(|a| a.aliasname.as_str());
    let (guard, condition) = match update.where_clause.as_deref() {
        Some(condition) => split_guard(condition, &target.name),
        None => (Guard::Always, None),
    };
    let text = match condition {
        Some(mut condition) => {
            let name = alias.unwrap_or(&update.relation.as_ref()?.relname);
            strip_qualifier(&mut condition, name);
            Expression::new(&condition).ok()?.sql
        }
        None => "true".to_owned(),
    };
    let when = Predicate::parse(&text).ok()?;
    if !when.columns.iter().all(|column| seen.columns.contains_key(column)) {
        return None;
    }
    let comment: Vec<&str> = statement.comments.iter().map(|c| c.text.as_str()).collect();
    let rule = Rule {
        id: format!("line-{}", statement.place.line),
        category,
        when,
        guard,
        comment: Some(comment.join(" ")).filter(|text| !text.is_empty()),
    };
    Some(Rung { seen: seen.clone(), column: target.name.clone(), rule, statement: statement.clone() })
}

/// A string constant, cast or not.
fn constant(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            Val::Sval(text) => Some(text.sval.clone()),
            _ => None,
        },
        NodeEnum::TypeCast(cast) => constant(cast.arg.as_deref()?),
        _ => None,
    }
}

/// Takes `AND column IS NULL` out of a condition: the guard, and what is left.
fn split_guard(condition: &Node, column: &str) -> (Guard, Option<Node>) {
    if is_null_test(condition, column) {
        return (Guard::Unset, None);
    }
    let Some(NodeEnum::BoolExpr(and)) = &condition.node else { return (Guard::Always, Some(condition.clone())) };
    if and.boolop != BoolExprType::AndExpr as i32 {
        return (Guard::Always, Some(condition.clone()));
    }
    let rest: Vec<Node> = and.args.iter().filter(|arg| !is_null_test(arg, column)).cloned().collect();
    if rest.len() == and.args.len() {
        return (Guard::Always, Some(condition.clone()));
    }
    let rest = match rest.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        _ => Some(Node { node: Some(NodeEnum::BoolExpr(Box::new(BoolExpr { args: rest, ..(**and).clone() }))) }),
    };
    (Guard::Unset, rest)
}

fn is_null_test(node: &Node, column: &str) -> bool {
    let Some(NodeEnum::NullTest(test)) = &node.node else { return false };
    let Some(NodeEnum::ColumnRef(reference)) = test.arg.as_deref().and_then(|a| a.node.as_ref()) else { return false };
    let name = reference.fields.last().and_then(crate::catalog::tree::string);
    test.nulltesttype == NullTestType::IsNull as i32 && name.as_deref() == Some(column)
}

/// `log.operation` becomes `operation`: a rule names columns alone.
fn strip_qualifier(node: &mut Node, name: &str) {
    crate::catalog::tree::walk_mut(node, &mut |node| {
        if let NodeEnum::ColumnRef(reference) = node
            && reference.fields.len() == 2
            && reference.fields.first().and_then(crate::catalog::tree::string).as_deref() == Some(name)
        {
            reference.fields.remove(0);
        }
    });
}

/// Rules are named by their lines; where that isn't enough, by migration or column as well.
fn named_apart(rungs: &[Rung], migration: &Migration) -> Vec<Rung> {
    let several = rungs.iter().any(|rung| rung.statement.place.file != rungs[0].statement.place.file);
    let name = |rung: &Rung| {
        let place = &rung.statement.place;
        let alone = rungs.iter().filter(|r| r.statement.place.line == place.line).count() == 1;
        let line = if alone { format!("line-{}", place.line) } else { format!("line-{}-{}", place.line, place.column) };
        if several { format!("{}-{line}", migration.files[place.file].migration) } else { line }
    };
    rungs.iter().map(|rung| Rung { rule: Rule { id: name(rung), ..rung.rule.clone() }, ..rung.clone() }).collect()
}

/// The same finding in the words of a migration: its rules are lines, and it has no ladder file to be corrected.
fn in_sql(finding: &Finding) -> Finding {
    let mut finding = finding.clone();
    let words = [("Rule line-", "The rule in line "), (" rule line-", " rule in line "), ("line-", "line ")];
    for (from, to) in words {
        finding.message = finding.message.replace(from, to);
    }
    let action = match finding.id {
        "dead-rule" => "Check the spelling of its condition against the values in the table, or drop the statement.",
        "null-category" => {
            "Add a last UPDATE for the rows that are still NULL, or statements for the values that none names."
        }
        "fallback-heavy" => "Read which rows it takes; each kind that isn't meant needs a statement of its own.",
        _ => return finding,
    };
    finding.action = action.to_owned();
    finding
}

/// The whole classification report of a ladder.
pub(super) fn report(
    rungs: &[Rung],
    snapshot: &Snapshot,
    migration: &Migration,
    samples: usize,
) -> anyhow::Result<LadderReport> {
    let seen = &rungs[0].seen;
    let rungs = &named_apart(rungs, migration);
    let table = snapshot.table(Some(&seen.snapshot_table))?.clone();
    let ladder = Ladder {
        name: migration.files[rungs[0].statement.place.file].migration.clone(),
        category_column: rungs[0].column.clone(),
        rules: rungs.iter().map(|rung| rung.rule.clone()).collect(),
    };
    let mapping = seen.columns.iter().map(|(name, actual)| (name.clone(), actual.clone())).collect();
    let columns = snapshot.open_log(&table, &mapping, &[])?;
    let options = classify::Options { rules: ladder, against: None, samples };
    let classification = classify::analyze(snapshot, &table, &columns, &options)?;
    let findings = classification
        .findings
        .iter()
        .map(|finding| {
            // A finding about a rule names it, before those that it is compared with.
            let named = |rung: &&Rung| {
                let words = finding.message.split([' ', ',', '.', ':', '(', ')']);
                words.into_iter().position(|word| word == rung.rule.id).unwrap_or(usize::MAX)
            };
            let first = rungs.iter().min_by_key(named).filter(|rung| named(rung) < usize::MAX);
            let rung = first.unwrap_or(&rungs[rungs.len() - 1]);
            placed(&in_sql(finding), location(&rung.statement, migration))
        })
        .collect();
    Ok(LadderReport {
        table: seen.snapshot_table.clone(),
        column: rungs[0].column.clone(),
        statements: rungs.iter().map(|rung| rung.statement.index).collect(),
        classification,
        findings,
    })
}
