//! Row-level triggers: the rows they see, one by one.
//!
//! Input: a staged write. Output: a work table with `_r`, `n<attnum>` (the row as it will be) and `o<attnum>` (as it was), and after BEFORE
//! triggers a new stage made of it.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, ResTarget, SelectStmt};

use super::{DELETE, Event, Fired, INSERT, columns_of};
use crate::catalog::{AttNum, Function, Oid, Outcome, Problem, Type};
use crate::dry_run::engine::Ran;
use crate::dry_run::report::StatementReport;
use crate::dry_run::session::Session;
use crate::dry_run::session::body::Bodied;
use crate::migration::Statement;
use crate::plpgsql::run::{Interpreter, Row};
use crate::translate::{
    Level, NameConflict, Named, Tie, Translator, Value, Variable, Variables, column_name, physical_type, table_name,
};

/// Rows that triggers see.
pub(super) struct Work {
    pub(super) table: Oid,
    pub(super) columns: Vec<(AttNum, String, Type)>,
    /// The temporary table.
    pub(super) name: String,
    pub(super) has_new: bool,
    pub(super) has_old: bool,
}

/// Rows as they were: a temporary table with `_r` and `o<attnum>`.
pub(super) struct Olds {
    pub(super) name: String,
}

/// A stage, and what of its rows there is.
pub(super) struct Shape<'s> {
    pub(super) stage: &'s str,
    /// Columns of an UPDATE's stage; all of them where there is no such list.
    pub(super) columns: Option<&'s [AttNum]>,
    pub(super) has_new: bool,
    pub(super) has_old: bool,
}

impl Work {
    /// NEW and OLD, each field a column of the work table that goes by `w`.
    pub(super) fn variables(&self) -> Vec<Named> {
        let row = |name: &str, letter: &str, there: bool| Named {
            name: name.to_owned(),
            variable: match there {
                true => Variable::Row(
                    self.columns
                        .iter()
                        .map(|(attnum, name, ty)| {
                            (name.clone(), Value::column(format!("w.{letter}{attnum}"), ty.clone()))
                        })
                        .collect(),
                ),
                false => absent(self.columns.iter().map(|(_, name, ty)| (name, ty))),
            },
            not_null: false,
        };
        vec![row("new", "n", self.has_new), row("old", "o", self.has_old)]
    }
}

/// NEW or OLD of an event that has none.
pub(super) fn absent<'c>(columns: impl Iterator<Item = (&'c String, &'c Type)>) -> Variable {
    Variable::Absent(columns.map(|(name, ty)| (name.clone(), Value::null(ty.clone()))).collect())
}

/// `SELECT expression`
pub(super) fn query_of(node: &Node) -> NodeEnum {
    let target = ResTarget { val: Some(Box::new(node.clone())), ..ResTarget::default() };
    NodeEnum::SelectStmt(Box::new(SelectStmt {
        target_list: vec![Node { node: Some(NodeEnum::ResTarget(Box::new(target))) }],
        op: pg_query::protobuf::SetOperation::SetopNone as i32,
        limit_option: pg_query::protobuf::LimitOption::Default as i32,
        ..SelectStmt::default()
    }))
}

impl Session<'_> {
    /// Keeps a query as a table that lasts as long as the statement.
    pub(super) fn keep_table(
        &mut self,
        sql: &str,
        kept: &mut Vec<String>,
        report: &mut StatementReport,
    ) -> Ran<(String, u64)> {
        let taken = std::mem::take(kept);
        let (made, all) = self.on_rows(report, |run| {
            run.temporary = taken;
            let made = run.keep(sql)?;
            Ok((made, std::mem::take(&mut run.temporary)))
        })?;
        *kept = all;
        Ok(made)
    }

    /// The rows of a staged write as its triggers see them.
    pub(super) fn work(
        &mut self,
        table: Oid,
        shape: &Shape<'_>,
        kept: &mut Vec<String>,
        report: &mut StatementReport,
    ) -> Ran<Work> {
        self.store.ensure_all(&self.catalog, table)?;
        let columns = columns_of(&self.catalog, table);
        let &Shape { stage, columns: written, has_new, has_old } = shape;
        let generated = self.generated_columns(table);
        let mut list = vec!["s._r AS _r".to_owned()];
        for (attnum, _, ty) in &columns {
            let column = column_name(*attnum);
            if has_new {
                let value = match written.is_none_or(|written| written.contains(attnum)) {
                    // Generated columns are computed when all triggers have run.
                    _ if generated.contains(attnum) => format!("CAST(NULL AS {})", physical_type(ty)?),
                    true => format!("s.n{attnum}"),
                    false => format!("t.{column}"),
                };
                list.push(format!("{value} AS n{attnum}"));
            }
            if has_old {
                list.push(format!("t.{column} AS o{attnum}"));
            }
        }
        let joined = match has_old {
            true => format!("{stage} AS s JOIN {} AS t ON t._r = s._r", table_name(table)),
            false => format!("{stage} AS s"),
        };
        let (name, _) = self.keep_table(&format!("SELECT {} FROM {joined}", list.join(", ")), kept, report)?;
        Ok(Work { table, columns, name, has_new, has_old })
    }

    pub(super) fn generated_columns(&self, table: Oid) -> Vec<AttNum> {
        let described = self.catalog.tables.get(&table);
        let columns = described.map(|table| table.columns.as_slice()).unwrap_or_default();
        columns.iter().filter(|column| column.generated.is_some()).map(|column| column.attnum).collect()
    }

    /// Rows that are about to be changed or deleted, as they are.
    pub(super) fn olds(
        &mut self,
        table: Oid,
        stage: &str,
        kept: &mut Vec<String>,
        report: &mut StatementReport,
    ) -> Ran<Olds> {
        self.store.ensure_all(&self.catalog, table)?;
        let list: Vec<String> = columns_of(&self.catalog, table)
            .iter()
            .map(|(c, _, _)| format!(", t.{} AS o{c}", column_name(*c)))
            .collect();
        let sql = format!(
            "SELECT t._r AS _r{} FROM {} AS t SEMI JOIN {stage} AS s ON s._r = t._r",
            list.concat(),
            table_name(table)
        );
        Ok(Olds { name: self.keep_table(&sql, kept, report)?.0 })
    }

    /// The rows that were written, as triggers afterwards see them.
    pub(super) fn work_after(
        &mut self,
        event: &Event,
        stage: &str,
        rows: u64,
        olds: Option<&Olds>,
        kept: &mut Vec<String>,
        report: &mut StatementReport,
    ) -> Ran<Work> {
        if rows == 0 {
            return self.empty_work(event, kept, report);
        }
        self.store.ensure_all(&self.catalog, event.table)?;
        let columns = columns_of(&self.catalog, event.table);
        let (has_new, has_old) = (event.kind != DELETE, event.kind != INSERT);
        let mut list = vec!["s._r AS _r".to_owned()];
        for (attnum, _, _) in &columns {
            if has_new {
                list.push(format!("t.{} AS n{attnum}", column_name(*attnum)));
            }
            if has_old {
                list.push(format!("o.o{attnum}"));
            }
        }
        let mut joined = format!("{stage} AS s");
        if has_new {
            joined.push_str(&format!(" JOIN {} AS t ON t._r = s._r", table_name(event.table)));
        }
        if let Some(olds) = olds.filter(|_| has_old) {
            joined.push_str(&format!(" JOIN {} AS o ON o._r = s._r", olds.name));
        }
        let (name, _) = self.keep_table(&format!("SELECT {} FROM {joined}", list.join(", ")), kept, report)?;
        Ok(Work { table: event.table, columns, name, has_new, has_old })
    }

    /// No rows at all.
    pub(super) fn empty_work(
        &mut self,
        event: &Event,
        kept: &mut Vec<String>,
        report: &mut StatementReport,
    ) -> Ran<Work> {
        let columns = columns_of(&self.catalog, event.table);
        let (has_new, has_old) = (event.kind != DELETE, event.kind != INSERT);
        let mut list = vec!["CAST(NULL AS BIGINT) AS _r".to_owned()];
        for (attnum, _, ty) in &columns {
            for (letter, there) in [("n", has_new), ("o", has_old)] {
                if there {
                    list.push(format!("CAST(NULL AS {}) AS {letter}{attnum}", physical_type(ty)?));
                }
            }
        }
        let (name, _) = self.keep_table(&format!("SELECT {} WHERE false", list.join(", ")), kept, report)?;
        Ok(Work { table: event.table, columns, name, has_new, has_old })
    }

    /// SQL over the work table `w` of an expression over NEW and OLD; nothing where it asks more than that.
    pub(super) fn over_rows(
        &mut self,
        work: &Work,
        trigger: &Fired,
        query: &NodeEnum,
        ty: &Type,
    ) -> Outcome<Option<String>> {
        let mut names = self.trigger_variables(trigger, work.table, work.event());
        names.extend(work.variables());
        let variables = Variables {
            levels: vec![Level { label: trigger.function.as_ref().map(|function| function.name.clone()), names }],
            conflict: NameConflict::Error,
            positional: Vec::new(),
        };
        let before = std::mem::replace(&mut self.settings.variables, variables);
        let translator = Translator { catalog: &self.catalog, settings: &self.settings, tie: Tie::Least };
        let plan = translator.select_into(query, std::slice::from_ref(ty));
        self.settings.variables = before;
        let plan = plan?;
        let remarks = &plan.remarks;
        let alone = plan.steps.is_empty() && remarks.reads.is_empty() && remarks.numbers.is_empty();
        let sql = match plan.outputs.as_slice() {
            [output] if alone && remarks.choices.is_empty() => {
                Some(format!("(SELECT q.{} FROM ({}) AS q)", output.column, plan.sql))
            }
            _ => None,
        };
        Ok(sql)
    }

    /// A condition over the work table under which a trigger fires.
    pub(super) fn firing_condition(&mut self, work: &Work, trigger: &Fired) -> Ran<String> {
        let Some(when) = trigger.statement.when_clause.as_deref() else { return Ok("true".to_owned()) };
        match self.over_rows(work, trigger, &query_of(when), &Type::Bool)? {
            Some(sql) => Ok(format!("coalesce({sql}, false)")),
            None => Err(Problem::unsupported(format!("the condition of the trigger {}", trigger.name)).into()),
        }
    }

    /// A BEFORE trigger on every row it fires for: what it gives back is the row to go on with.
    pub(super) fn run_before(
        &mut self,
        trigger: &Fired,
        work: &mut Work,
        kept: &mut Vec<String>,
        statement: &Statement,
        report: &mut StatementReport,
    ) -> Ran<()> {
        let function = trigger.function()?;
        let condition = self.firing_condition(work, trigger)?;
        if work.has_new && self.run_simple(trigger, work, &condition, kept, report)? {
            return Ok(());
        }
        let (numbers, rows) = self.rows_of_work(work, &condition)?;
        let calls = rows.into_iter().map(|row| self.call_variables(trigger, work, row)).collect();
        let given = self.run_function(&function, calls, statement, report)?;
        self.put_back(work, &numbers, &given, kept, report)
    }

    /// An AFTER trigger on every row it fires for.
    pub(super) fn run_after(
        &mut self,
        trigger: &Fired,
        work: &Work,
        statement: &Statement,
        report: &mut StatementReport,
    ) -> Ran<()> {
        if self.store.engine.count(&format!("SELECT count(*) FROM {}", work.name))? == 0 {
            return Ok(());
        }
        let function = trigger.function()?;
        let condition = self.firing_condition(work, trigger)?;
        let (_, rows) = self.rows_of_work(work, &condition)?;
        let calls: Vec<Vec<Named>> = rows.into_iter().map(|row| self.call_variables(trigger, work, row)).collect();
        if calls.is_empty() {
            return Ok(());
        }
        if self.is_put_off(trigger) {
            return self.put_off(trigger, function, calls, work, statement, report);
        }
        let transitions = self.make_transitions(trigger, Some(work))?;
        self.run_function(&function, calls, statement, report)?;
        self.drop_transitions(transitions)
    }

    fn call_variables(&self, trigger: &Fired, work: &Work, (new, old): (Option<Row>, Option<Row>)) -> Vec<Named> {
        let mut names = self.trigger_variables(trigger, work.table, work.event());
        for (name, row) in [("new", new), ("old", old)] {
            let columns = work.columns.iter().map(|(_, name, ty)| (name, ty));
            let variable = row.map_or_else(|| absent(columns), Variable::Row);
            names.push(Named { name: name.to_owned(), variable, not_null: false });
        }
        names
    }

    /// Runs a trigger function once for each set of variables.
    pub(super) fn run_function(
        &mut self,
        function: &Function,
        calls: Vec<Vec<Named>>,
        statement: &Statement,
        report: &mut StatementReport,
    ) -> Ran<Vec<Option<Row>>> {
        let budget = self.options.step_budget;
        let mut given = Vec::new();
        self.nesting += 1;
        self.settings.trigger_depth += 1;
        let mut host = Bodied::new(self, statement, report);
        let mut interpreter = Interpreter::new(&mut host, budget);
        let mut ended = Ok(());
        for names in calls {
            match interpreter.trigger(function, names) {
                Ok(row) => given.push(row),
                Err(halt) => {
                    ended = Err(halt);
                    break;
                }
            }
        }
        let (raised, rounds) = (interpreter.raised, interpreter.rounds);
        host.told_of(&format!("The trigger function {}()", function.name), rounds);
        self.nesting -= 1;
        self.settings.trigger_depth -= 1;
        self.raised = raised && ended.is_err();
        ended.map(|()| given)
    }

    /// The rows of the work table that fulfil a condition, in order, with their numbers.
    #[allow(clippy::type_complexity, reason = "numbers beside pairs of rows")]
    fn rows_of_work(&mut self, work: &Work, condition: &str) -> Ran<(Vec<i64>, Vec<(Option<Row>, Option<Row>)>)> {
        let mut list = vec!["w._r".to_owned()];
        for (letter, there) in [("n", work.has_new), ("o", work.has_old)] {
            for (attnum, _, _) in work.columns.iter().filter(|_| there) {
                list.push(format!("typeof(w.{letter}{attnum}), CAST(w.{letter}{attnum} AS VARCHAR)"));
            }
        }
        let sql = format!("SELECT {} FROM {} AS w WHERE {condition} ORDER BY w._r", list.join(", "), work.name);
        let mut numbers = Vec::new();
        let rows = self.store.engine.rows(&sql, |row| {
            let mut at = 1;
            let mut read = |there: bool| -> duckdb::Result<Option<Row>> {
                if !there {
                    return Ok(None);
                }
                let mut fields = Vec::new();
                for (_, name, ty) in &work.columns {
                    let held_as: String = row.get(at)?;
                    fields.push((name.clone(), Value::read(ty.clone(), &held_as, row.get(at + 1)?)));
                    at += 2;
                }
                Ok(Some(fields))
            };
            let pair = (read(work.has_new)?, read(work.has_old)?);
            numbers.push(row.get::<_, i64>(0)?);
            Ok(pair)
        })?;
        Ok((numbers, rows))
    }
}
