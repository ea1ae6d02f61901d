//! Queries and writes of a body: what they answer, and when their answer isn't used.
//!
//! Input: a query or statement that sees the body's variables. Output: its rows as values. Invariants: what depends on rows that can't
//! be told, or on what a statement that couldn't be rehearsed may have made, is refused; of rows that the server may choose, it is
//! said. Left out: whose body it is.

use pg_query::NodeEnum;
use pg_query::protobuf::a_const::Val;
use pg_query::protobuf::{Node, SelectStmt};

use crate::catalog::{Oid, Outcome, Problem, Type, tree};
use crate::dry_run::engine::Ran;
use crate::dry_run::execution;
use crate::dry_run::report::{StatementReport, Verdict};
use crate::dry_run::session::{Session, triggers};
use crate::migration::Statement;
use crate::plpgsql::run::Answer;
use crate::translate::{Tie, WritePlan};

impl Session<'_> {
    /// Tables whose rows can't be told, among those that a plan reads.
    fn expect_reliable(&self, reads: impl Iterator<Item = Oid>) -> Outcome<()> {
        for table in reads {
            if let Some(statement) = self.unreliable.get(&table) {
                let name = self.table_name(table).unwrap_or_default();
                return Err(Problem::unsupported(format!(
                    "a body that asks {name}, whose rows can't be told since statement {statement}"
                )));
            }
        }
        Ok(())
    }

    /// A question to the system's catalogs about a name that a statement which couldn't be rehearsed speaks of has no answer.
    fn expect_told(&self, query: &NodeEnum) -> Outcome<()> {
        let left: Vec<&StatementReport> = self
            .reports
            .iter()
            .filter(|report| report.verdict == Verdict::Unsupported && !report.rolled_back)
            .collect();
        // What is run again was told the first time.
        if left.is_empty() || self.replaying {
            return Ok(());
        }
        let (mut asks_system, mut names) = (false, Vec::new());
        let node = Node { node: Some(query.clone()) };
        tree::walk(&node, &mut |node| match node {
            NodeEnum::RangeVar(relation) => {
                asks_system |= relation.relname.starts_with("pg_")
                    || ["pg_catalog", "information_schema"].contains(&relation.schemaname.as_str());
            }
            NodeEnum::AConst(constant) => {
                if let Some(Val::Sval(text)) = &constant.val {
                    names.push(text.sval.to_lowercase());
                }
            }
            _ => {}
        });
        let spoken = |report: &StatementReport| {
            let sql = report.sql.to_lowercase();
            names.iter().any(|name| name.len() > 2 && name != "public" && sql.contains(name))
        };
        match left.iter().find(|report| asks_system && spoken(report)) {
            Some(report) => Err(Problem::unsupported(format!(
                "a question about what statement {} may have made, which couldn't be rehearsed,",
                report.index
            ))),
            None => Ok(()),
        }
    }

    pub(in crate::dry_run::session) fn answer(
        &mut self,
        query: &NodeEnum,
        into: &[Type],
        most: usize,
        report: &mut StatementReport,
    ) -> Ran<Answer> {
        self.with_calls(report, |session, report| session.answer_once(query, into, most, report))
    }

    fn answer_once(
        &mut self,
        query: &NodeEnum,
        into: &[Type],
        most: usize,
        report: &mut StatementReport,
    ) -> Ran<Answer> {
        self.follow_zone()?;
        let settled = match query {
            NodeEnum::SelectStmt(select) => self.settle_select(select, report)?,
            _ => None,
        };
        let settled = settled.map(|select| NodeEnum::SelectStmt(Box::new(select)));
        let query = settled.as_ref().unwrap_or(query);
        self.expect_told(query)?;
        let planned = |session: &Self, tie| session.translator(tie).select_into(query, into);
        let plan = planned(self, Tie::Least)?;
        let is_new = plan.remarks.new_at_every_call() > 0;
        self.note_call_reads(plan.remarks.reads.keys().copied(), is_new || settled.is_some());
        let open = !plan.remarks.choices.is_empty() && plan.remarks.volatile.is_empty();
        let other = match open {
            true => Some(planned(self, Tie::Greatest)?),
            false => None,
        };
        self.expect_reliable(plan.remarks.reads.keys().copied())?;
        let answer = self.on_rows(report, |run| {
            let answer = run.answer(&plan, most)?;
            if let Some(other) = &other
                && run.answer(other, most)?.rows != answer.rows
            {
                run.report.plan_dependent_rows += answer.rows.len().max(1) as u64;
                let choices = plan.remarks.choices.join(" and ");
                run.report.notes.push(format!(
                    "{choices} leaves the choice between equal rows to the server's plan: what a variable holds may be another value."
                ));
            }
            Ok(answer)
        });
        self.advance_sequences();
        answer
    }

    /// A query whose WITH writes.
    pub(super) fn answer_writing(
        &mut self,
        query: &NodeEnum,
        into: &[Type],
        most: usize,
        report: &mut StatementReport,
    ) -> Ran<Answer> {
        self.with_calls(report, |session, report| session.answer_writing_once(query, into, most, report))
    }

    fn answer_writing_once(
        &mut self,
        query: &NodeEnum,
        into: &[Type],
        most: usize,
        report: &mut StatementReport,
    ) -> Ran<Answer> {
        self.follow_zone()?;
        self.expect_told(query)?;
        let plan = self.translator(Tie::Least).select_or_write_into(query, into)?;
        if !plan.remarks.choices.is_empty() {
            return Err(Problem::unsupported("a choice between equal rows beside what a WITH query writes").into());
        }
        let writes = execution::flattened(&plan.writes);
        self.expect_no_triggers(&writes)?;
        let written = writes.iter().map(|write| execution::table_of(write));
        let read = writes.iter().flat_map(|write| execution::remarks(write).reads.keys().copied());
        self.expect_reliable(written.chain(read).chain(plan.remarks.reads.keys().copied()))?;
        self.store.begin()?;
        let done = self.on_rows(report, |run| {
            let answer = run.answer(&plan, most)?;
            run.verify_touched()?;
            Ok(answer)
        });
        match &done {
            Ok(_) => self.store.commit()?,
            Err(_) => self.store.roll_back()?,
        }
        self.advance_sequences();
        done
    }

    /// A write whose RETURNING is wanted.
    pub(super) fn write_returning(
        &mut self,
        statement: &Statement,
        types: &[Type],
        report: &mut StatementReport,
    ) -> Ran<(u64, Answer)> {
        self.with_calls(report, |session, report| session.write_returning_once(statement, types, report))
    }

    fn write_returning_once(
        &mut self,
        statement: &Statement,
        types: &[Type],
        report: &mut StatementReport,
    ) -> Ran<(u64, Answer)> {
        let (relation, list, from, condition) = match &statement.node {
            NodeEnum::InsertStmt(s) => (&s.relation, &s.returning_clause, &[][..], None),
            NodeEnum::UpdateStmt(s) => (&s.relation, &s.returning_clause, &s.from_clause[..], None),
            NodeEnum::DeleteStmt(s) => {
                (&s.relation, &s.returning_clause, &s.using_clause[..], Some(s.where_clause.clone()))
            }
            _ => return Err(Problem::unsupported("rows returned by a statement of this kind").into()),
        };
        let (Some(relation), Some(returning)) = (relation, list) else {
            return Err(Problem::rejected("42601", "INTO used with a command that cannot return data").into());
        };
        let fires = triggers::meets_triggers(&statement.node, &self.catalog);
        let (plan, other) = self.write_plans(&statement.node)?;
        let table = execution::table_of(&plan);
        self.expect_calls_apart(table)?;
        report.table = self.table_name(table);
        let reads: Vec<Oid> = execution::remarks(&plan).reads.keys().copied().collect();
        self.expect_reliable(reads.into_iter().chain([table]))?;
        let before = match condition {
            // Rows are returned as they were.
            Some(condition) => {
                let mut from_clause = vec![Node { node: Some(NodeEnum::RangeVar(relation.clone())) }];
                from_clause.extend(from.iter().cloned());
                let select = SelectStmt {
                    target_list: returning.exprs.clone(),
                    from_clause,
                    where_clause: condition,
                    op: pg_query::protobuf::SetOperation::SetopNone as i32,
                    limit_option: pg_query::protobuf::LimitOption::Default as i32,
                    ..SelectStmt::default()
                };
                Some(self.answer(&NodeEnum::SelectStmt(Box::new(select)), types, usize::MAX >> 1, report)?)
            }
            None if !from.is_empty() => {
                return Err(Problem::unsupported("RETURNING of an UPDATE with FROM").into());
            }
            None => None,
        };
        if !with_queries_free(&plan) {
            return Err(Problem::unsupported("RETURNING of a statement whose WITH writes").into());
        }
        if fires {
            if before.is_some() && triggers::fires_before_rows(&statement.node, &self.catalog) {
                return Err(Problem::unsupported("RETURNING of a DELETE with triggers before its rows").into());
            }
            let returning = triggers::Returning { relation, list: &returning.exprs, types };
            let wanted = before.is_none().then_some(&returning);
            let (_, answer) = self.write_with_triggers(statement, wanted, report)?;
            return Ok((report.rows_affected.unwrap_or(0), before.or(answer).unwrap_or_default()));
        }
        let upserts = matches!(&plan, WritePlan::Insert(p) if p.conflict.as_ref().is_some_and(|c| c.update.is_some()));
        self.store.begin()?;
        let done = self.on_rows(report, |run| {
            run.write(&plan, other.as_ref())?;
            run.verify_touched()?;
            if let Some(answer) = before {
                return Ok(answer);
            }
            let own = if upserts { 2 } else { 1 };
            let stages: Vec<String> =
                run.touched.iter().take(own).map(|touched| format!("SELECT _r FROM {}", touched.rows)).collect();
            let rows = format!("({})", stages.join(" UNION ALL "));
            let plan = run.translator().returning(relation, &returning.exprs, &rows, types)?;
            run.answer(&plan, usize::MAX >> 1)
        });
        match done {
            Ok(answer) => {
                self.store.commit()?;
                self.advance_sequences();
                Ok((report.rows_affected.unwrap_or(0), answer))
            }
            Err(halt) => {
                self.store.roll_back()?;
                self.advance_sequences();
                Err(halt)
            }
        }
    }
}

fn with_queries_free(plan: &WritePlan) -> bool {
    execution::with_queries(plan).is_empty()
}
