//! Bodies: DO blocks, CALL, and statements that call functions of the database, run by the interpreter of PL/pgSQL.
//!
//! Input: a statement. Output: what its body did, summed over its own statements, as the report of the one statement it is. Invariants: it
//! happens as a whole or not at all; an answer that depends on rows that can't be told isn't used.

use std::collections::BTreeMap;

use pg_query::NodeEnum;
use pg_query::protobuf::a_const::Val;
use pg_query::protobuf::{Node, SelectStmt};

use super::Session;
use crate::catalog::problem::ServerError;
use crate::catalog::{Catalog, Gives, Oid, Outcome, Problem, Type, tree};
use crate::dry_run::engine::{Halt, Ran};
use crate::dry_run::execution;
use crate::dry_run::findings::plural;
use crate::dry_run::report::{StatementReport, Verdict};
use crate::migration::Statement;
use crate::plpgsql::parse;
use crate::plpgsql::run::{Answer, Command, Done, Host, Interpreter, is_interpreted};
use crate::plpgsql::tree::{Kind, Level};
use crate::render::count;
use crate::translate::{Tie, Translator, Variables, WritePlan};

/// Statements and rounds of loops that a body may run.
pub const DEFAULT_STEP_BUDGET: u64 = 100_000;

/// What a body has done so far.
#[derive(Debug, Clone, Default)]
struct Sums {
    statements: u64,
    inserted: BTreeMap<String, u64>,
    updated: BTreeMap<String, u64>,
    deleted: BTreeMap<String, u64>,
    cascaded: u64,
    /// Definitions by what they are.
    defined: BTreeMap<String, u64>,
    plan_dependent: u64,
    unchanged: u64,
}

/// A session that a body runs on.
pub(super) struct Bodied<'a, 's> {
    session: &'a mut Session<'s>,
    statement: &'a Statement,
    report: &'a mut StatementReport,
    sums: Sums,
}

/// A point within a body.
pub(super) struct Point {
    session: super::points::Point,
    sums: Sums,
}

/// Does the statement run a body?
pub(super) fn runs_body(statement: &Statement, catalog: &Catalog) -> bool {
    match &statement.node {
        NodeEnum::DoStmt(_) | NodeEnum::CallStmt(_) => true,
        NodeEnum::SelectStmt(_) | NodeEnum::InsertStmt(_) => {
            let sql = statement.sql.to_lowercase();
            catalog.functions.iter().any(|f| {
                is_interpreted(f)
                    && f.definition.as_ref().is_some_and(|d| d.gives != Gives::Trigger)
                    && sql.contains(&f.name.to_lowercase())
            })
        }
        _ => false,
    }
}

impl Session<'_> {
    /// Runs a statement that runs a body; what it did is undone where it fails.
    pub(super) fn run_body(&mut self, statement: &Statement, report: &mut StatementReport) -> Ran<Verdict> {
        let point = self.set_point();
        self.raised = false;
        self.bodies += 1;
        let done = self.run_within(statement, report);
        self.bodies -= 1;
        self.settings.variables = Variables::default();
        if done.is_err() {
            self.go_back(&point)?;
        }
        self.release(point)?;
        done
    }

    fn run_within(&mut self, statement: &Statement, report: &mut StatementReport) -> Ran<Verdict> {
        let budget = self.options.step_budget;
        let mut host = Bodied::new(self, statement, report);
        let mut interpreter = Interpreter::new(&mut host, budget);
        let prepared = match &statement.node {
            NodeEnum::DoStmt(block) => interpreter.inline_block(block).map(|()| None),
            NodeEnum::CallStmt(call) => interpreter.call_statement(call).map(|()| None),
            node => interpreter.prepare(node),
        };
        let (failed_at, raised, rounds) = (interpreter.failed_at, interpreter.raised, interpreter.rounds);
        let sums = std::mem::take(&mut host.sums);
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(halt) => {
                self.raised |= raised;
                return Err(located(halt, statement, failed_at));
            }
        };
        let is_body = matches!(statement.node, NodeEnum::DoStmt(_) | NodeEnum::CallStmt(_));
        sums.tell(report, rounds);
        if is_body {
            return Ok(Verdict::Executed);
        }
        let statement = match prepared {
            Some((node, variables)) => {
                self.settings.variables = variables;
                Statement { node, ..statement.clone() }
            }
            None => statement.clone(),
        };
        self.execute_plain(&statement, report)
    }

    /// The body of a function must be one, as the server checks when it is made.
    pub(super) fn check_body(&self, node: &NodeEnum) -> Outcome<()> {
        if !matches!(node, NodeEnum::CreateFunctionStmt(_)) {
            return Ok(());
        }
        let mut catalog = self.catalog.clone();
        let known = catalog.apply(node, &crate::catalog::TransactionState { in_block: true });
        let (Ok(_), Some(function)) = (known, catalog.functions.last()) else { return Ok(()) };
        let Some((definition, text)) = function.definition.as_ref().and_then(|d| Some((d, d.body.as_ref()?))) else {
            return Ok(());
        };
        let refused = match function.language.as_str() {
            "plpgsql" => {
                let mut names: Vec<String> = definition.parameters.iter().map(|p| p.name.clone()).collect();
                let kind = match &definition.gives {
                    _ if definition.is_set => parse::Kind::Set,
                    Gives::Trigger => {
                        names.extend(["new", "old"].map(str::to_owned));
                        parse::Kind::Trigger
                    }
                    Gives::Nothing => parse::Kind::Void,
                    _ => parse::Kind::Scalar,
                };
                parse::body(text, &names, kind).err()
            }
            "sql" => parse::statements(text).err(),
            _ => None,
        };
        match refused {
            Some(Problem::Rejected(error)) => Err(Problem::Rejected(ServerError { position: None, ..error })),
            _ => Ok(()),
        }
    }

    /// A function in PL/pgSQL that only returns an expression is as good as the query of it.
    pub(super) fn note_query(&mut self, node: &NodeEnum) {
        if !matches!(node, NodeEnum::CreateFunctionStmt(_)) {
            return;
        }
        let Some(function) = self.catalog.functions.last_mut() else { return };
        let Some(definition) = function.definition.as_mut().filter(|_| function.language == "plpgsql") else { return };
        let names: Vec<String> = definition.parameters.iter().map(|parameter| parameter.name.clone()).collect();
        let Some(Ok(body)) = definition.body.as_ref().map(|text| parse::body(text, &names, parse::Kind::Scalar)) else {
            return;
        };
        let block = &body.block;
        let value = matches!(definition.gives, Gives::Value(_)) && !definition.is_set;
        if value
            && block.declarations.is_empty()
            && block.handlers.is_empty()
            && let [crate::plpgsql::tree::Statement { kind: Kind::Return(Some(sql)), .. }] = block.body.as_slice()
        {
            std::sync::Arc::make_mut(definition).query = Some(Box::new(sql.node.clone()));
        }
    }

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
        if left.is_empty() {
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

    fn answer(&mut self, query: &NodeEnum, into: &[Type], most: usize, report: &mut StatementReport) -> Ran<Answer> {
        let settled = match query {
            NodeEnum::SelectStmt(select) => self.settle_select(select, report)?,
            _ => None,
        };
        let settled = settled.map(|select| NodeEnum::SelectStmt(Box::new(select)));
        let query = settled.as_ref().unwrap_or(query);
        let settled = match query {
            NodeEnum::SelectStmt(select) => self.settle_select(select, report)?,
            _ => None,
        };
        let settled = settled.map(|select| NodeEnum::SelectStmt(Box::new(select)));
        let query = settled.as_ref().unwrap_or(query);
        self.expect_told(query)?;
        let translator = Translator { catalog: &self.catalog, settings: &self.settings, tie: Tie::Least };
        let plan = translator.select_into(query, into)?;
        let open = !plan.remarks.choices.is_empty() && plan.remarks.volatile.is_empty();
        let other = match open {
            true => Some(Translator { tie: Tie::Greatest, ..translator }.select_into(query, into)?),
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

    /// A write whose RETURNING is wanted.
    fn write_returning(
        &mut self,
        command: &Command<'_>,
        types: &[Type],
        report: &mut StatementReport,
    ) -> Ran<(u64, Answer)> {
        let (relation, list, from, condition) = match command.node {
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
        if super::triggers::meets_triggers(command.node, &self.catalog) {
            return Err(Problem::unsupported("RETURNING on a table with triggers").into());
        }
        let (plan, other) = self.write_plans(command.node)?;
        let table = execution::table_of(&plan);
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

impl Host for Bodied<'_, '_> {
    type Halt = Halt;
    type Point = Point;

    fn catalog(&self) -> &Catalog {
        &self.session.catalog
    }

    fn query(&mut self, query: &NodeEnum, variables: &Variables, into: &[Type], most: usize) -> Ran<Answer> {
        self.session.settings.variables.clone_from(variables);
        let answer = self.session.answer(query, into, most, self.report);
        self.session.settings.variables = Variables::default();
        answer
    }

    fn command(&mut self, command: &Command<'_>, variables: &Variables) -> Ran<Done> {
        let inner = Statement {
            node: command.node.clone(),
            sql: command.text.to_owned(),
            comments: Vec::new(),
            ..self.statement.clone()
        };
        let mut report = StatementReport {
            index: self.report.index,
            kind: super::statement::kind(&inner),
            ..StatementReport::default()
        };
        self.session.settings.variables.clone_from(variables);
        self.session.take_locks(&inner, &mut report);
        let done = match command.returning {
            Some(types) if !types.is_empty() || returns(command.node) => {
                self.session.write_returning(command, types, &mut report).map(|(rows, answer)| (rows, Some(answer)))
            }
            _ => self.session.execute_plain(&inner, &mut report).map(|_| (report.rows_affected.unwrap_or(0), None)),
        };
        self.session.settings.variables = Variables::default();
        let (rows, returned) = done?;
        self.sums.add(&report);
        for note in report.notes {
            if !self.report.notes.contains(&note) {
                self.report.notes.push(note);
            }
        }
        for lock in report.locks {
            if !self.report.locks.contains(&lock) {
                self.report.locks.push(lock);
            }
        }
        Ok(Done { rows, returned })
    }

    fn set_point(&mut self) -> Point {
        Point { session: self.session.set_point(), sums: self.sums.clone() }
    }

    fn go_back(&mut self, point: Point) -> Ran<()> {
        self.sums = point.sums;
        self.session.raised = false;
        self.session.go_back(&point.session)?;
        self.session.release(point.session)
    }

    fn release(&mut self, point: Point) -> Ran<()> {
        self.session.release(point.session)
    }

    fn caught(&self, halt: Halt) -> Ran<ServerError> {
        let error = match halt {
            Halt::Problem(Problem::Rejected(error)) => error,
            Halt::Violation(violation) => match self.session.unsure(&violation.error) {
                Some(unsupported) => return Err(Problem::Unsupported(unsupported).into()),
                None => violation.error,
            },
            other => return Err(other),
        };
        match self.session.doubt(&error) {
            Some(unsupported) => Err(Problem::Unsupported(unsupported).into()),
            None => Ok(error),
        }
    }

    fn say(&mut self, level: Level, message: &str) {
        let word = match level {
            Level::Hidden => return,
            Level::Info => "INFO",
            Level::Notice => "NOTICE",
            Level::Warning | Level::Exception => "WARNING",
        };
        /// More of them than anybody reads are only counted.
        const MOST: usize = 20;
        let said = self.report.notes.iter().filter(|note| note.starts_with(word)).count();
        match said.cmp(&MOST) {
            std::cmp::Ordering::Less => self.report.notes.push(format!("{word}: {message}")),
            std::cmp::Ordering::Equal => self.report.notes.push(format!("{word}: … and so on")),
            std::cmp::Ordering::Greater => {}
        }
    }

    fn pause(&self) -> Ran<()> {
        Ok(crate::ui::check_interrupt()?)
    }
}

impl<'a, 's> Bodied<'a, 's> {
    pub(super) fn new(
        session: &'a mut Session<'s>,
        statement: &'a Statement,
        report: &'a mut StatementReport,
    ) -> Bodied<'a, 's> {
        Bodied { session, statement, report, sums: Sums::default() }
    }

    /// What was done, in a sentence, beside the figures of the statement itself.
    pub(super) fn told_of(self, who: &str, rounds: u64) {
        let mut own = StatementReport::default();
        self.sums.tell(&mut own, rounds);
        for note in own.notes {
            self.report.notes.push(note.replacen("Its body", who, 1));
        }
    }
}

impl Sums {
    fn add(&mut self, report: &StatementReport) {
        self.statements += 1;
        let table = report.table.clone().unwrap_or_default();
        let add = |to: &mut BTreeMap<String, u64>, rows: Option<u64>| {
            if let Some(rows) = rows.filter(|rows| *rows > 0) {
                *to.entry(table.clone()).or_default() += rows;
            }
        };
        add(&mut self.inserted, report.rows_inserted);
        add(&mut self.deleted, report.rows_deleted);
        if report.rows_changed.is_some() {
            let inserted = report.rows_inserted.unwrap_or(0);
            add(&mut self.updated, report.rows_affected.map(|rows| rows.saturating_sub(inserted)));
        }
        if !["INSERT", "UPDATE", "DELETE", "SELECT"].contains(&report.kind.as_str()) {
            *self.defined.entry(report.kind.clone()).or_default() += 1;
        }
        self.cascaded += report.rows_cascaded.unwrap_or(0);
        self.plan_dependent += report.plan_dependent_rows;
        self.unchanged += report.rows_unchanged.unwrap_or(0);
    }

    /// The sums as figures of the one statement, and in a sentence.
    fn tell(&self, report: &mut StatementReport, rounds: u64) {
        let total = |of: &BTreeMap<String, u64>| Some(of.values().sum::<u64>()).filter(|rows| *rows > 0);
        report.rows_inserted = total(&self.inserted);
        report.rows_deleted = total(&self.deleted);
        if let Some(updated) = total(&self.updated) {
            report.rows_changed = Some(updated.saturating_sub(self.unchanged));
            report.rows_unchanged = Some(self.unchanged.min(updated));
        }
        report.rows_cascaded = Some(self.cascaded).filter(|rows| *rows > 0);
        report.plan_dependent_rows += self.plan_dependent;
        let mut tables: Vec<&String> =
            self.inserted.keys().chain(self.updated.keys()).chain(self.deleted.keys()).collect();
        tables.sort_unstable();
        tables.dedup();
        if let [table] = tables.as_slice() {
            report.table = Some((*table).clone());
        }
        let mut did = Vec::new();
        for (verb, word, sums) in
            [("inserts", "into", &self.inserted), ("updates", "of", &self.updated), ("deletes", "from", &self.deleted)]
        {
            did.extend(sums.iter().map(|(table, rows)| format!("{verb} {} {word} {table}", plural(*rows, "row"))));
        }
        did.extend(self.defined.iter().map(|(kind, times)| match times {
            1 => kind.clone(),
            times => format!("{kind} {} times", count(*times)),
        }));
        let rounds = match rounds {
            0 => String::new(),
            rounds => format!(" in {} of its loops", plural(rounds, "round")),
        };
        if self.statements > 0 || !rounds.is_empty() {
            let did = if did.is_empty() { "changes nothing".to_owned() } else { did.join(", ") };
            let ran = plural(self.statements, "statement");
            report.notes.insert(0, format!("Its body runs {ran}{rounds}: {did}."));
        }
    }
}

fn returns(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::InsertStmt(statement) => statement.returning_clause.is_some(),
        NodeEnum::UpdateStmt(statement) => statement.returning_clause.is_some(),
        NodeEnum::DeleteStmt(statement) => statement.returning_clause.is_some(),
        _ => false,
    }
}

/// An error at its line of the file, where the block's text stands there as it is.
fn located(halt: Halt, statement: &Statement, failed_at: Option<usize>) -> Halt {
    let text = match &statement.node {
        NodeEnum::DoStmt(block) => block.args.iter().find_map(|node| match &node.node {
            Some(NodeEnum::DefElem(option)) if option.defname == "as" => option.arg.as_deref().and_then(tree::string),
            _ => None,
        }),
        _ => None,
    };
    let start = text.and_then(|text| statement.sql.find(&text));
    let place = start.zip(failed_at).map_or(statement.offset, |(start, at)| statement.offset + start + at);
    match halt {
        Halt::Problem(Problem::Rejected(mut error)) => {
            error.position = Some(place);
            Problem::Rejected(error).into()
        }
        Halt::Violation(mut violation) => {
            violation.error.position = Some(place);
            Halt::Violation(violation)
        }
        other => other,
    }
}
