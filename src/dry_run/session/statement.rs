//! One statement: through the catalog if it defines, through the translator if it reads or writes.
//!
//! Input: a statement and the session's state. Output: the state after it, and its report. Invariant: a statement happens as a whole or
//! not at all.

use std::collections::{BTreeMap, BTreeSet};

use pg_query::NodeEnum;
use pg_query::protobuf::{ExplainStmt, ViewStmt};

use super::Session;
use crate::catalog::ddl::{TransactionState, table_query};
use crate::catalog::{Applied, Catalog, Effect, Oid, Problem, Type, tree};
use crate::dry_run::engine::{Halt, Ran};
use crate::dry_run::execution::{self, Run, Selected, Walk};
use crate::dry_run::report::{StatementReport, Verdict};
use crate::migration::{Fault, Statement};
use crate::translate::{SelectPlan, Tie, Translator, WritePlan};

/// A statement's plan for both ways that ties may go; the second only where there are any.
type Both<P> = (P, Option<P>);

/// VALUES, without ON CONFLICT and WITH: its rows come in one after the other.
fn is_listed(insert: &pg_query::protobuf::InsertStmt) -> bool {
    let source = insert.select_stmt.as_deref().and_then(|select| select.node.as_ref());
    let listed = match source {
        Some(NodeEnum::SelectStmt(select)) => !select.values_lists.is_empty(),
        _ => true,
    };
    listed && insert.on_conflict_clause.is_none() && insert.with_clause.is_none()
}

impl Session<'_> {
    /// Runs a statement other than BEGIN and its kin, all or nothing.
    pub(super) fn execute(&mut self, statement: &Statement, report: &mut StatementReport) -> Ran<Verdict> {
        match &statement.fault {
            Some(Fault::Syntax { message, at }) => {
                let at = i32::try_from(*at).unwrap_or(-1);
                return Err(Problem::rejected("42601", message.clone()).at(at).into());
            }
            Some(Fault::Foreign(what)) => return Err(Problem::unsupported(what.clone()).into()),
            None => {}
        }
        self.expect_held(statement)?;
        self.follow_zone()?;
        if let NodeEnum::ExplainStmt(explain) = &statement.node {
            return self.explain(explain, statement, report);
        }
        if let Some(done) = self.run_prepared(statement, report) {
            return done;
        }
        if let NodeEnum::CreateStmt(create) = &statement.node {
            self.expect_bound(create)?;
        }
        if let NodeEnum::AlterTableStmt(alter) = &statement.node {
            self.expect_attached_bound(alter)?;
        }
        match super::body::runs_body(statement, &self.catalog) {
            true => self.run_body(statement, report),
            false => self.execute_plain(statement, report),
        }
    }

    /// EXPLAIN reads its statement, and with ANALYZE runs it.
    fn explain(&mut self, explain: &ExplainStmt, statement: &Statement, report: &mut StatementReport) -> Ran<Verdict> {
        let node = explain.query.as_deref().and_then(|query| query.node.clone());
        let node = node.ok_or_else(|| Problem::unsupported("EXPLAIN of nothing"))?;
        let is_read = matches!(
            node,
            NodeEnum::SelectStmt(_) | NodeEnum::InsertStmt(_) | NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_)
        );
        if !is_read {
            return Err(Problem::unsupported("EXPLAIN of this kind of statement").into());
        }
        let analyzes = explain.options.iter().any(|option| match &option.node {
            Some(NodeEnum::DefElem(option)) => option.defname == "analyze",
            _ => false,
        });
        if analyzes && explain.options.len() == 1 {
            let inner = Statement { node, ..statement.clone() };
            let verdict = self.execute(&inner, report)?;
            report.rows_affected = None;
            report.rows.clear();
            report.notes.push("EXPLAIN ANALYZE runs its statement; the plan is the server's own.".to_owned());
            return Ok(verdict);
        }
        if analyzes {
            return Err(Problem::unsupported("EXPLAIN with ANALYZE and other options").into());
        }
        match &node {
            NodeEnum::SelectStmt(_) => self.select_or_write_plans(&node).map(|_| ())?,
            node => self.write_plans(node).map(|_| ())?,
        }
        report.notes.push("EXPLAIN runs nothing; the plan is the server's own.".to_owned());
        Ok(Verdict::Catalog)
    }

    /// Runs a statement that is no body; functions that it calls for each row are run as they are needed.
    pub(super) fn execute_plain(&mut self, statement: &Statement, report: &mut StatementReport) -> Ran<Verdict> {
        self.follow_zone()?;
        self.with_calls(report, |session, report| session.execute_once(statement, report))
    }

    fn execute_once(&mut self, statement: &Statement, report: &mut StatementReport) -> Ran<Verdict> {
        if super::triggers::meets_triggers(&statement.node, &self.catalog) {
            let before = self.catalog.clone();
            let done = self.write_with_triggers(statement, None, report).map(|(verdict, _)| verdict);
            if done.is_ok() {
                self.recognition.note_written(statement, &before);
            }
            return done;
        }
        let truncated = super::triggers::truncated(&statement.node, &self.catalog);
        if !truncated.is_empty() {
            return self.truncate_with_triggers(statement, &truncated, report, |session, report| {
                session.execute_alone(statement, report)
            });
        }
        self.execute_alone(statement, report)
    }

    /// Runs a statement that fires no triggers.
    fn execute_alone(&mut self, statement: &Statement, report: &mut StatementReport) -> Ran<Verdict> {
        let before = self.catalog.clone();
        self.store.begin()?;
        let done = self.dispatch(statement, report, &before);
        if let Err(Halt::Violation(violation)) = &done
            && let Some(row) = violation.first
        {
            self.store.fail_at(row);
        }
        let taken = self.store.taken_numbers();
        let done = done.and_then(|verdict| self.expect_numbers(&taken).map(|()| verdict));
        if done.is_ok() {
            self.store.commit()?;
            self.note_moved(&statement.node);
            // What a body writes depends on its variables.
            if self.bodies == 0 {
                self.recognition.observe(statement, &before);
            } else {
                self.recognition.note_written(statement, &before);
            }
            self.provenance.observe(statement, &before, &self.catalog);
        } else {
            let left = std::mem::replace(&mut self.catalog, before);
            if matches!(statement.node, NodeEnum::SelectStmt(_) | NodeEnum::InsertStmt(_)) {
                self.catalog.keep_numbers(&left.sequences);
                self.catalog.last_sequence = left.last_sequence;
            }
            self.store.roll_back()?;
        }
        self.advance(&taken);
        done
    }

    /// Notes the tables of which a statement updates rows, those that foreign keys lead it to included.
    fn note_moved(&mut self, node: &NodeEnum) {
        let writes = match node {
            NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_) => true,
            NodeEnum::InsertStmt(insert) => !is_listed(insert),
            NodeEnum::SelectStmt(select) => select.with_clause.is_some(),
            _ => false,
        };
        if !writes {
            return;
        }
        let mut written = Vec::new();
        crate::catalog::tree::walk(&pg_query::protobuf::Node { node: Some(node.clone()) }, &mut |node| match node {
            NodeEnum::UpdateStmt(update) => written.push((update.relation.clone(), true)),
            NodeEnum::DeleteStmt(delete) => written.push((delete.relation.clone(), false)),
            // Rows of a query come in as its plan finds them.
            NodeEnum::InsertStmt(insert) if !is_listed(insert) => {
                written.push((insert.relation.clone(), true));
            }
            _ => {}
        });
        for (relation, moves) in written {
            let Some(relation) = relation else { continue };
            let schema = crate::catalog::lookup::schema_of(&relation);
            let Some(table) = self.catalog.table(schema, &relation.relname).map(|table| table.oid) else {
                // Through a view, whichever table is behind it.
                self.catalog.moved.extend(self.catalog.tables.keys().copied().collect::<Vec<_>>());
                continue;
            };
            if moves {
                self.catalog.moved.insert(table);
            }
            let children: Vec<Oid> = self.catalog.foreign_keys_to(table).map(|key| key.table).collect();
            self.catalog.moved.extend(children);
        }
    }

    /// 2200H, where more numbers are taken than a sequence has.
    fn expect_numbers(&self, taken: &BTreeMap<Oid, Option<u64>>) -> Ran<()> {
        for (oid, taken) in taken {
            let Some(sequence) = self.catalog.sequences.get(oid) else { continue };
            if let Some((mut numbers, rows)) = sequence.numbers.zip(*taken) {
                numbers.take_many(&sequence.name, rows)?;
            }
        }
        Ok(())
    }

    /// Sequences stand where the statement has left them, whether it succeeded or not.
    pub(super) fn advance_sequences(&mut self) {
        let taken = self.store.taken_numbers();
        self.advance(&taken);
    }

    fn advance(&mut self, taken: &BTreeMap<Oid, Option<u64>>) {
        for (oid, taken) in taken {
            let Some(sequence) = self.catalog.sequences.get_mut(oid) else { continue };
            sequence.numbers = sequence.numbers.zip(*taken).and_then(|(mut numbers, rows)| {
                // Where it is used up, nobody knows at which row: that statement has failed.
                numbers.take_many(&sequence.name, rows).ok().map(|()| numbers)
            });
            if taken.is_some_and(|rows| rows > 0) {
                self.catalog.last_sequence = Some(*oid);
            }
        }
    }

    fn dispatch(&mut self, statement: &Statement, report: &mut StatementReport, before: &Catalog) -> Ran<Verdict> {
        match &statement.node {
            NodeEnum::SelectStmt(select) if select.into_clause.is_none() => {
                if let Some(rows) = self.select_over_rows(select, report)? {
                    report.rows_affected = Some(rows.len() as u64);
                    report.rows = rows;
                    report.rows.truncate(self.options.samples);
                    return Ok(Verdict::Executed);
                }
                let settled = self.settle_select(select, report)?;
                let settled = settled.map(|select| NodeEnum::SelectStmt(Box::new(select)));
                let (plan, other) = self.select_or_write_plans(settled.as_ref().unwrap_or(&statement.node))?;
                let writes = execution::flattened(&plan.writes);
                self.expect_no_triggers(&writes)?;
                self.depend_on(plan.remarks.reads.keys().copied(), None, report);
                for write in &writes {
                    let reads = execution::remarks(write).reads.keys().copied();
                    self.depend_on(reads, Some(execution::table_of(write)), report);
                }
                // The first row is needed even where none is shown: comments promise its figures.
                let limit = self.options.samples.max(1);
                let selected = self.on_rows(report, |run| {
                    let selected = run.select(&plan, other.as_ref(), limit)?;
                    if !plan.writes.is_empty() {
                        run.verify_touched()?;
                    }
                    Ok(selected)
                })?;
                report.rows_affected = Some(selected.row_count);
                report.rows = selected.rows;
                if let Some(first) = report.rows.first() {
                    self.first_rows.insert(report.index, first.clone());
                }
                report.rows.truncate(self.options.samples);
                Ok(Verdict::Executed)
            }
            node @ (NodeEnum::InsertStmt(_) | NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_)) => {
                let settled = match node {
                    NodeEnum::InsertStmt(insert) => self.settle_insert(insert, report)?,
                    _ => None,
                };
                let settled = settled.map(|insert| NodeEnum::InsertStmt(Box::new(insert)));
                let (plan, other) = self.write_plans(settled.as_ref().unwrap_or(node))?;
                let table = execution::table_of(&plan);
                self.expect_calls_apart(table)?;
                report.table = self.table_name(table);
                self.expect_no_triggers(&execution::with_queries(&plan))?;
                if self.writes_through_view(node) {
                    self.expect_no_triggers(&[&plan])?;
                }
                let reads = execution::with_queries(&plan).into_iter().chain([&plan]);
                let reads: Vec<Oid> =
                    reads.flat_map(|plan| execution::remarks(plan).reads.keys().copied().collect::<Vec<_>>()).collect();
                self.depend_on(reads.into_iter().chain([table]), Some(table), report);
                self.test_guard(statement, report)?;
                let walk = match node {
                    NodeEnum::UpdateStmt(update) => Walk::of(update, before),
                    _ => None,
                };
                self.on_rows(report, |run| {
                    match &walk {
                        Some(walk) => run.update_by_walk(walk)?,
                        None => run.write(&plan, other.as_ref())?,
                    }
                    run.verify_touched()
                })?;
                Ok(Verdict::Executed)
            }
            node => {
                if let NodeEnum::ConstraintsSetStmt(set) = node
                    && !set.deferred
                {
                    self.catalog.expect_constraints(set)?;
                    self.check_deferred(report)?;
                }
                self.expect_none_pending(node)?;
                let applied = self.define(node, before)?;
                self.expect_none_pending_on(node, &applied, before)?;
                self.carry_out(&applied, report, before)
            }
        }
    }

    /// Applies DDL to the catalog.
    fn define(&mut self, node: &NodeEnum, before: &Catalog) -> Ran<Applied> {
        self.check_body(node)?;
        self.expect_using_casts(node)?;
        if let NodeEnum::VariableSetStmt(set) = node {
            self.expect_zone(set)?;
        }
        let state = TransactionState { in_block: self.in_block() || self.bodies > 0 };
        if let NodeEnum::ViewStmt(view) = node {
            let columns = self.view_columns(view)?;
            return Ok(self.catalog.create_view(view, columns, &state)?);
        }
        if let Some(applied) = self.catalog.apply(node, &state)? {
            self.note_query(node);
            self.bind_what_is_new(before, applied.table)?;
            return Ok(applied);
        }
        let query = table_query(node).and_then(|query| query.node);
        let query = query.ok_or_else(|| Problem::unsupported("this kind of statement"))?;
        let plan = self.translator(Tie::Least).select(&query)?;
        let columns = plan.outputs.iter().map(|output| (output.name.clone(), output.ty.clone())).collect();
        let applied = self.catalog.create_table_as(node, columns, &state)?;
        Ok(applied.ok_or_else(|| Problem::unsupported("this kind of statement"))?)
    }

    /// The columns of a view's query; `None` where it can't be read, so that nothing is known but what the definition says.
    fn view_columns(&self, view: &ViewStmt) -> Ran<Option<Vec<(String, Type)>>> {
        let Some(query) = view.query.as_deref().and_then(|query| query.node.as_ref()) else { return Ok(None) };
        match self.translator(Tie::Least).select(query) {
            Ok(plan) => Ok(Some(plan.outputs.iter().map(|output| (output.name.clone(), output.ty.clone())).collect())),
            Err(Problem::Unsupported(_)) => Ok(None),
            // What a snapshot doesn't hold may exist: the view is recorded.
            Err(Problem::Rejected(error)) if self.catalog.partial && error.sqlstate == "42P01" => Ok(None),
            Err(Problem::Rejected(error)) if error.sqlstate == "55000" => Ok(None),
            Err(problem) => Err(problem.into()),
        }
    }

    fn carry_out(&mut self, applied: &Applied, report: &mut StatementReport, before: &Catalog) -> Ran<Verdict> {
        report.kind.clone_from(&applied.kind);
        report.notes.extend(applied.notes.iter().cloned());
        report.table = applied.table.and_then(|table| {
            self.table_name(table).or_else(|| before.tables.get(&table).map(|t| shown(&t.schema, &t.name)))
        });
        let read: Vec<Oid> = applied.table.into_iter().collect();
        self.depend_on(read.into_iter(), None, report);
        let effects = applied.effects.clone();
        let verdict = match effects.as_slice() {
            [] => Verdict::Catalog,
            list if list.iter().all(is_demand) => Verdict::Checked,
            _ => Verdict::Executed,
        };
        self.on_rows(report, |run| {
            for effect in &effects {
                run.carry_out(effect, before)?;
            }
            Ok(())
        })?;
        Ok(verdict)
    }

    /// Does something with the rows, and tidies up after it.
    pub(super) fn on_rows<T>(
        &mut self,
        report: &mut StatementReport,
        work: impl FnOnce(&mut Run<'_, '_>) -> Ran<T>,
    ) -> Ran<T> {
        let later = self.outlook.get(self.reports.len() + 1..).unwrap_or_default();
        let mut run = Run {
            store: &mut self.store,
            catalog: &self.catalog,
            settings: &self.settings,
            statement: report.index,
            later,
            samples: self.options.samples,
            row_budget: self.options.row_budget,
            report,
            temporary: Vec::new(),
            touched: Vec::new(),
            keeps_order: false,
            level: self.nesting,
            watched: BTreeSet::new(),
            cascaded: Vec::new(),
            holds_deferred: self.replaying || self.block != super::transaction::Block::None,
            replaying: self.replaying,
            deferred: BTreeMap::new(),
            pending: BTreeMap::new(),
        };
        let done = work(&mut run)?;
        run.tidy()?;
        let deferred = std::mem::take(&mut run.deferred);
        let pending = std::mem::take(&mut run.pending);
        self.deferred.extend(deferred);
        self.note_pending(pending);
        Ok(done)
    }

    /// Answers a query on the state as it stands; up to `limit` rows are decoded.
    pub(in crate::dry_run) fn ask(&mut self, node: &NodeEnum, limit: usize) -> Ran<Selected> {
        let mut report = StatementReport::default();
        self.with_calls(&mut report, |session, report| session.ask_once(node, limit, report))
    }

    fn ask_once(&mut self, node: &NodeEnum, limit: usize, report: &mut StatementReport) -> Ran<Selected> {
        let (plan, _) = self.select_plans(node)?;
        self.store.begin()?;
        let selected = self.on_rows(report, |run| run.select(&plan, None, limit));
        match selected {
            Ok(selected) => {
                self.store.commit()?;
                Ok(selected)
            }
            Err(halt) => {
                self.store.roll_back()?;
                Err(halt)
            }
        }
    }

    pub(super) fn translator(&self, tie: Tie) -> Translator<'_> {
        Translator { catalog: &self.catalog, settings: &self.settings, tie }
    }

    /// Does a statement write a view, and so the table behind it?
    fn writes_through_view(&self, node: &NodeEnum) -> bool {
        tree::relation_written(node).is_some_and(|relation| {
            self.catalog.view(crate::catalog::lookup::schema_of(relation), &relation.relname).is_some()
        })
    }

    /// Triggers on what a WITH query writes, or on the table behind a view, aren't run.
    pub(super) fn expect_no_triggers(&self, writes: &[&WritePlan]) -> Ran<()> {
        let written: Vec<Oid> = writes.iter().map(|plan| execution::table_of(plan)).collect();
        match self.catalog.triggers.iter().find(|trigger| trigger.enabled && written.contains(&trigger.table)) {
            Some(trigger) => {
                Err(Problem::unsupported(format!("the trigger {} on what a WITH query or a view writes", trigger.name))
                    .into())
            }
            None => Ok(()),
        }
    }

    /// As [`Session::select_plans`], for a query whose WITH may write.
    pub(super) fn select_or_write_plans(&self, node: &NodeEnum) -> Ran<Both<SelectPlan>> {
        let plan = self.translator(Tie::Least).select_or_write(node)?;
        if plan.writes.is_empty() { self.select_plans(node) } else { Ok((plan, None)) }
    }

    pub(super) fn select_plans(&self, node: &NodeEnum) -> Ran<Both<SelectPlan>> {
        let plan = self.translator(Tie::Least).select(node)?;
        let other = if plan.remarks.choices.is_empty() || !plan.remarks.volatile.is_empty() {
            None
        } else {
            Some(self.translator(Tie::Greatest).select(node)?)
        };
        Ok((plan, other))
    }

    pub(super) fn write_plans(&self, node: &NodeEnum) -> Ran<Both<WritePlan>> {
        let plan = self.translator(Tie::Least).write(node)?;
        let remarks = execution::remarks(&plan);
        let other = if remarks.choices.is_empty() || !remarks.volatile.is_empty() {
            None
        } else {
            Some(self.translator(Tie::Greatest).write(node)?)
        };
        Ok((plan, other))
    }

    /// A table's name, with its schema where that isn't `public`.
    pub(in crate::dry_run) fn table_name(&self, table: Oid) -> Option<String> {
        self.catalog.tables.get(&table).map(|t| shown(&t.schema, &t.name))
    }
}

/// A table's name as reports write it.
pub(in crate::dry_run) fn shown(schema: &str, name: &str) -> String {
    if schema == "public" { name.to_owned() } else { format!("{schema}.{name}") }
}

fn is_demand(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::VerifyNotNull(..) | Effect::VerifyUnique(..) | Effect::VerifyConstraint(..) | Effect::VerifyDomain(..)
    )
}

/// What a statement is, by its first words; the catalog knows better once it has read it.
pub(super) fn kind(statement: &Statement) -> String {
    let words: Vec<String> = statement.sql.split_whitespace().take(2).map(str::to_uppercase).collect();
    let known = match &statement.node {
        NodeEnum::SelectStmt(select) if select.into_clause.is_none() => Some("SELECT"),
        // Rows of a COPY are stored as an INSERT's.
        NodeEnum::InsertStmt(_) if words.first().is_some_and(|word| word == "COPY") => Some("COPY"),
        NodeEnum::InsertStmt(_) => Some("INSERT"),
        NodeEnum::UpdateStmt(_) => Some("UPDATE"),
        NodeEnum::DeleteStmt(_) => Some("DELETE"),
        NodeEnum::DoStmt(_) => Some("DO"),
        NodeEnum::RawStmt(_) => words.first().map(String::as_str),
        NodeEnum::TransactionStmt(_) => words.first().map(|word| word.trim_end_matches(';')),
        _ => None,
    };
    known.map_or_else(|| words.join(" "), str::to_owned)
}

/// What a halt means for the statement.
pub(super) fn is_unsupported(halt: &Halt) -> bool {
    matches!(halt, Halt::Problem(Problem::Unsupported(_)))
}
