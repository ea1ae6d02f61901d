//! What a comment claims against what its UPDATE does.
//!
//! Input: an UPDATE whose comment says that it overrides, and whose WHERE takes only rows where the column is still NULL.
//! Output: the rows it would take without that guard, so that the two can be compared.

use pg_query::NodeEnum;
use pg_query::protobuf::{BoolExprType, Node, NullTestType, UpdateStmt};

use super::Session;
use crate::dry_run::engine::Ran;
use crate::dry_run::report::StatementReport;
use crate::migration::Statement;
use crate::translate::{Tie, Translator, WritePlan};

/// Words by which a comment says that earlier values don't stay.
const CLAIMS: [&str; 4] = ["override", "overwrit", "supersede", "takes precedence"];

/// The comment that claims to override, where there is one.
pub(in crate::dry_run) fn claim(statement: &Statement) -> Option<&str> {
    let claims = |text: &str| CLAIMS.iter().any(|word| text.to_lowercase().contains(word));
    statement.comments.iter().map(|comment| comment.text.as_str()).find(|text| claims(text))
}

/// The same UPDATE without the demand that a column it sets is NULL; `None` where it makes none.
fn without_guard(update: &UpdateStmt) -> Option<UpdateStmt> {
    let set: Vec<&str> = update
        .target_list
        .iter()
        .filter_map(|target| match &target.node {
            Some(NodeEnum::ResTarget(target)) => Some(target.name.as_str()),
            _ => None,
        })
        .collect();
    let condition = update.where_clause.as_deref()?;
    let kept = match &condition.node {
        Some(NodeEnum::BoolExpr(both)) if both.boolop() == BoolExprType::AndExpr => {
            let mut both = both.clone();
            let before = both.args.len();
            both.args.retain(|part| !is_guard(part, &set));
            if both.args.len() == before {
                return None;
            }
            match both.args.len() {
                0 => None,
                1 => both.args.pop(),
                _ => Some(Node { node: Some(NodeEnum::BoolExpr(both)) }),
            }
        }
        _ if is_guard(condition, &set) => None,
        _ => return None,
    };
    Some(UpdateStmt { where_clause: kept.map(Box::new), ..update.clone() })
}

fn is_guard(node: &Node, set: &[&str]) -> bool {
    let Some(NodeEnum::NullTest(test)) = &node.node else { return false };
    let column = match test.arg.as_deref().and_then(|arg| arg.node.as_ref()) {
        Some(NodeEnum::ColumnRef(column)) => column.fields.last().and_then(|field| field.node.as_ref()),
        _ => None,
    };
    let named = matches!(column, Some(NodeEnum::String(name)) if set.contains(&name.sval.as_str()));
    named && test.nulltesttype() == NullTestType::IsNull
}

impl Session<'_> {
    /// Counts the rows that a claim would take without its guard; before the statement runs.
    pub(super) fn test_claim(&mut self, statement: &Statement, report: &mut StatementReport) -> Ran<()> {
        let NodeEnum::UpdateStmt(update) = &statement.node else { return Ok(()) };
        let (Some(_), Some(unguarded)) = (claim(statement), without_guard(update)) else { return Ok(()) };
        let translator = Translator { catalog: &self.catalog, settings: &self.settings, tie: Tie::Least };
        let node = NodeEnum::UpdateStmt(Box::new(unguarded));
        // A form that can't be read is no reason to stop the statement itself.
        let Ok(WritePlan::Update(plan)) = translator.write(&node) else { return Ok(()) };
        let mut aside = StatementReport { index: report.index, ..StatementReport::default() };
        report.unguarded_rows = Some(self.on_rows(&mut aside, |run| run.count_update(&plan))?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_the_null_test_on_the_column_that_is_set() {
        fn check(sql: &str, expected: Option<&str>) {
            let parsed = pg_query::parse(sql, 0).expect(sql);
            let node = parsed.protobuf.stmts[0].stmt.as_ref().and_then(|s| s.node.clone()).expect(sql);
            let NodeEnum::UpdateStmt(update) = node else { panic!("{sql}") };
            let kept = without_guard(&update)
                .map(|update| NodeEnum::UpdateStmt(Box::new(update)).deparse(Default::default()).expect(sql));
            assert_eq!(kept.as_deref(), expected, "{sql}");
        }
        check("UPDATE t SET a = 1 WHERE b = 2 AND a IS NULL", Some("UPDATE t SET a = 1 WHERE b = 2"));
        check("UPDATE t SET a = 1 WHERE t.a IS NULL", Some("UPDATE t SET a = 1"));
        check("UPDATE t SET a = 1 WHERE b IS NULL", None);
        check("UPDATE t SET a = 1 WHERE b = 2 OR a IS NULL", None);
        check("UPDATE t SET a = 1", None);
    }
}
