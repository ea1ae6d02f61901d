//! Walks: a recursive UPDATE that climbs from a row's parent to its parent's parent, in one of the three forms on record.
//!
//! The form is told by what the recursion selects: the candidate it begins with, what it joins the parent by, what the candidate
//! becomes, and whether it stops below a parent without one.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AExpr, ColumnRef, CommonTableExpr, JoinExpr, Node, NullTestType, SelectStmt, UpdateStmt, a_const::Val,
};

use super::{Seen, location, placed};
use crate::catalog::tree;
use crate::dry_run::report::WalkReport;
use crate::migration::{Migration, Statement};
use crate::roots::{self, Options, Variant};
use crate::snapshot::Snapshot;

/// A recursive walk.
pub(super) struct Walk {
    seen: Seen,
    statement: Statement,
    /// The column it fills.
    column: String,
    job: String,
    parent: String,
    variant: Variant,
    depth_limit: u32,
}

impl Walk {
    /// Columns it reads.
    pub(super) fn reads(&self) -> impl Iterator<Item = &str> {
        [self.job.as_str(), self.parent.as_str()].into_iter()
    }
}

/// Reads `WITH RECURSIVE … UPDATE`.
pub(super) fn read(statement: &Statement, update: &UpdateStmt, seen: &Seen) -> Option<Walk> {
    let with = update.with_clause.as_ref().filter(|with| with.recursive)?;
    let [Node { node: Some(NodeEnum::ResTarget(target)) }] = update.target_list.as_slice() else { return None };
    let table = &update.relation.as_ref()?.relname;
    let found = with.ctes.iter().find_map(|node| match &node.node {
        Some(NodeEnum::CommonTableExpr(cte)) => recursion(cte, table),
        _ => None,
    })?;
    let known = [&found.job, &found.parent].iter().all(|name| seen.columns.contains_key(*name));
    known.then(|| Walk {
        seen: seen.clone(),
        statement: statement.clone(),
        column: target.name.clone(),
        job: found.job,
        parent: found.parent,
        variant: found.variant,
        depth_limit: found.depth_limit,
    })
}

struct Found {
    job: String,
    parent: String,
    variant: Variant,
    depth_limit: u32,
}

/// An output of one of the two terms.
enum Item {
    /// A column of the table.
    Own(String),
    /// A number.
    Number(i32),
    /// Anything else.
    Other,
}

fn recursion(cte: &CommonTableExpr, table: &str) -> Option<Found> {
    let Some(NodeEnum::SelectStmt(union)) = cte.ctequery.as_deref()?.node.as_ref() else { return None };
    let (base, step) = (union.larg.as_deref()?, union.rarg.as_deref()?);
    if !union.all {
        return None;
    }
    let [Node { node: Some(NodeEnum::RangeVar(relation)) }] = base.from_clause.as_slice() else { return None };
    if relation.relname != table {
        return None;
    }
    let parent = not_null(base.where_clause.as_deref()?)?;
    let [Node { node: Some(NodeEnum::JoinExpr(join)) }] = step.from_clause.as_slice() else { return None };
    let (parent_alias, job, linked) = joined(join, &cte.ctename, table)?;
    let names = output_names(base, cte);
    let first: Vec<Item> = base.target_list.iter().map(item).collect();
    let link = names.iter().position(|name| *name == linked)?;
    // The row's own parent leads to the first parent row.
    if !matches!(first.get(link), Some(Item::Own(column)) if *column == parent) {
        return None;
    }
    let depth = first.iter().position(|item| matches!(item, Item::Number(_)))?;
    let Item::Number(start) = first[depth] else { return None };
    let (limit, stops) = stop(step.where_clause.as_deref(), &names[depth], &parent_alias, &parent)?;
    let climbed: Vec<Option<String>> = step.target_list.iter().map(|node| of_parent(node, &parent_alias)).collect();
    let carried = |at: usize, column: &str| climbed.get(at).and_then(|c| c.as_deref()) == Some(column);
    let candidate = |column: &str| {
        first
            .iter()
            .enumerate()
            .position(|(at, item)| at != link && matches!(item, Item::Own(c) if c == column) && carried(at, &job))
    };
    // Climbing by the candidate itself, or by a column of its own beside it.
    let (variant, from) = if carried(link, &parent) {
        if stops && candidate(&job).is_some() {
            (Variant::Pattern2, 0)
        } else if !stops && candidate(&parent).is_some() {
            (Variant::Applied, 1)
        } else if stops && candidate(&parent).is_none() && candidate(&job).is_none() {
            (Variant::Example3, 1)
        } else {
            return None;
        }
    } else {
        return None;
    };
    let depth_limit = u32::try_from(limit - start + from).ok().filter(|limit| *limit > 0)?;
    Some(Found { job, parent, variant, depth_limit })
}

/// `x.parent IS NOT NULL`
fn not_null(node: &Node) -> Option<String> {
    let Some(NodeEnum::NullTest(test)) = &node.node else { return None };
    if test.nulltesttype != NullTestType::IsNotNull as i32 {
        return None;
    }
    Some(reference(test.arg.as_deref()?)?.1)
}

/// (qualifier, column) of a column reference, below COALESCE and casts too.
fn reference(node: &Node) -> Option<(Option<String>, String)> {
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(column) => split(column),
        NodeEnum::TypeCast(cast) => reference(cast.arg.as_deref()?),
        NodeEnum::CoalesceExpr(coalesce) => reference(coalesce.args.first()?),
        _ => None,
    }
}

fn split(column: &ColumnRef) -> Option<(Option<String>, String)> {
    let names: Vec<String> = column.fields.iter().filter_map(tree::string).collect();
    match names.as_slice() {
        [name] if column.fields.len() == 1 => Some((None, name.clone())),
        [qualifier, name] => Some((Some(qualifier.clone()), name.clone())),
        _ => None,
    }
}

fn item(node: &Node) -> Item {
    let Some(NodeEnum::ResTarget(target)) = &node.node else { return Item::Other };
    let Some(value) = target.val.as_deref() else { return Item::Other };
    if let Some((_, name)) = reference(value) {
        return Item::Own(name);
    }
    match &value.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(Val::Ival(number)) => Item::Number(number.ival),
            None if !constant.isnull => Item::Number(0),
            _ => Item::Other,
        },
        _ => Item::Other,
    }
}

fn output_names(base: &SelectStmt, cte: &CommonTableExpr) -> Vec<String> {
    let given: Vec<String> = cte.aliascolnames.iter().filter_map(tree::string).collect();
    let own = base.target_list.iter().map(|node| match &node.node {
        Some(NodeEnum::ResTarget(target)) if !target.name.is_empty() => target.name.clone(),
        Some(NodeEnum::ResTarget(target)) => {
            target.val.as_deref().and_then(reference).map_or_else(String::new, |(_, name)| name)
        }
        _ => String::new(),
    });
    own.enumerate().map(|(at, name)| given.get(at).cloned().unwrap_or(name)).collect()
}

/// `chain JOIN log AS p ON p.job_id = chain.link`: the parent's alias, its job column, the chain's link column.
fn joined(join: &JoinExpr, chain: &str, table: &str) -> Option<(String, String, String)> {
    let name = |node: &Node| match &node.node {
        Some(NodeEnum::RangeVar(relation)) => {
            let alias = relation.alias.as_ref().map_or(relation.relname.clone(), |a| a.aliasname.clone());
            Some((relation.relname.clone(), alias))
        }
        _ => None,
    };
    let (left, right) = (name(join.larg.as_deref()?)?, name(join.rarg.as_deref()?)?);
    let (chain_alias, parent_alias) = if left.0 == chain && right.0 == table {
        (left.1, right.1)
    } else if right.0 == chain && left.0 == table {
        (right.1, left.1)
    } else {
        return None;
    };
    let Some(NodeEnum::AExpr(equal)) = join.quals.as_deref()?.node.as_ref() else { return None };
    let (a, b) = sides(equal, "=")?;
    let (a, b) = (reference(a)?, reference(b)?);
    let of = |side: &(Option<String>, String), alias: &str| side.0.as_deref() == Some(alias);
    if of(&a, &parent_alias) && of(&b, &chain_alias) {
        Some((parent_alias, a.1, b.1))
    } else if of(&b, &parent_alias) && of(&a, &chain_alias) {
        Some((parent_alias, b.1, a.1))
    } else {
        None
    }
}

fn sides<'n>(expression: &'n AExpr, operator: &str) -> Option<(&'n Node, &'n Node)> {
    let is = expression.name.last().and_then(tree::string).as_deref() == Some(operator);
    is.then_some((expression.lexpr.as_deref()?, expression.rexpr.as_deref()?))
}

/// `depth < 10`, alone or beside `p.parent IS NOT NULL`: the limit, and whether it stops below a parent without a parent.
fn stop(condition: Option<&Node>, depth: &str, parent_alias: &str, parent: &str) -> Option<(i32, bool)> {
    let condition = condition?;
    let terms: Vec<&Node> = match &condition.node {
        Some(NodeEnum::BoolExpr(and)) if and.boolop == pg_query::protobuf::BoolExprType::AndExpr as i32 => {
            and.args.iter().collect()
        }
        _ => vec![condition],
    };
    let mut limit = None;
    let mut stops = false;
    for term in terms {
        match &term.node {
            Some(NodeEnum::AExpr(compare)) => {
                let (at, plus) = match (sides(compare, "<"), sides(compare, "<=")) {
                    (Some(at), _) => (at, 0),
                    (_, Some(at)) => (at, 1),
                    _ => return None,
                };
                let (Some((_, name)), Item::Number(number)) = (reference(at.0), number_of(at.1)) else { return None };
                if name != depth {
                    return None;
                }
                limit = Some(number + plus);
            }
            Some(NodeEnum::NullTest(test)) => {
                let (qualifier, name) = reference(test.arg.as_deref()?)?;
                if qualifier.as_deref() != Some(parent_alias)
                    || name != parent
                    || test.nulltesttype != NullTestType::IsNotNull as i32
                {
                    return None;
                }
                stops = true;
            }
            _ => return None,
        }
    }
    Some((limit?, stops))
}

fn number_of(node: &Node) -> Item {
    let target = pg_query::protobuf::ResTarget { val: Some(Box::new(node.clone())), ..Default::default() };
    item(&Node { node: Some(NodeEnum::ResTarget(Box::new(target))) })
}

/// The parent row's column that an output of the recursive term is.
fn of_parent(node: &Node, alias: &str) -> Option<String> {
    let Some(NodeEnum::ResTarget(target)) = &node.node else { return None };
    let (qualifier, name) = reference(target.val.as_deref()?)?;
    (qualifier.as_deref() == Some(alias)).then_some(name)
}

/// The roots report of a walk: what it gives beside what is true.
pub(super) fn report(
    walk: &Walk,
    snapshot: &Snapshot,
    migration: &Migration,
    samples: usize,
) -> anyhow::Result<WalkReport> {
    let table = snapshot.table(Some(&walk.seen.snapshot_table))?.clone();
    let mut mapping = std::collections::BTreeMap::new();
    for (canonical, name) in [("job_id", &walk.job), ("parent_job_id", &walk.parent), ("root_job_id", &walk.column)] {
        if let Some(actual) = walk.seen.columns.get(name) {
            mapping.insert(canonical.to_owned(), actual.clone());
        }
    }
    let columns = snapshot.open_log(&table, &mapping, &["job_id", "parent_job_id"])?;
    let options = Options { variant: walk.variant, depth_limit: walk.depth_limit, samples };
    let roots = roots::analyze(snapshot, &columns, &options)?;
    let findings = roots.findings.iter().map(|finding| placed(finding, location(&walk.statement, migration))).collect();
    Ok(WalkReport {
        table: walk.seen.snapshot_table.clone(),
        column: walk.column.clone(),
        statement: walk.statement.index,
        roots,
        findings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, expected: Option<(Variant, u32)>) {
        let sql = file.replace("$1", "10");
        let parsed = pg_query::parse(&sql, 0).expect("valid SQL").protobuf;
        let Some(NodeEnum::UpdateStmt(update)) = parsed.stmts[0].stmt.as_ref().and_then(|s| s.node.clone()) else {
            panic!("an UPDATE")
        };
        let found = update.with_clause.as_ref().expect("WITH").ctes.iter().find_map(|node| match &node.node {
            Some(NodeEnum::CommonTableExpr(cte)) => recursion(cte, "llama_logs"),
            _ => None,
        });
        assert_eq!(found.map(|f| (f.variant, f.depth_limit)), expected, "{sql}");
    }

    #[test]
    fn knows_the_three_forms() {
        check(crate::query::ROOTS_BACKFILL_APPLIED.text, Some((Variant::Applied, 10)));
        check(crate::query::ROOTS_BACKFILL_EXAMPLE_3.text, Some((Variant::Example3, 10)));
        check(crate::query::ROOTS_BACKFILL_PATTERN_2.text, Some((Variant::Pattern2, 10)));
        check(&crate::query::ROOTS_BACKFILL_APPLIED.text.replace("< $1", "<= 4"), Some((Variant::Applied, 5)));
    }

    #[test]
    fn leaves_other_recursions_alone() {
        check(&crate::query::ROOTS_BACKFILL_APPLIED.text.replace("parent.job_id = ", "parent.id = "), None);
        check(&crate::query::ROOTS_BACKFILL_APPLIED.text.replace("UNION ALL", "UNION"), None);
        check(&crate::query::ROOTS_BACKFILL_EXAMPLE_3.text.replace("parent.parent_job_id IS NOT NULL AND", ""), None);
    }
}
