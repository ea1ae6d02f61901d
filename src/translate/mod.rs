//! Translation: a PostgreSQL statement over the catalog becomes DuckDB SQL over the physical tables.
//!
//! Input: a parse tree and the [`Catalog`]. Output: a plan of DuckDB statements whose rows are the server's. Every expression is
//! typed as PostgreSQL types it, and only forms known to mean the same pass: what the server refuses is
//! [`Problem::Rejected`] with its SQLSTATE, what isn't known to agree is [`Problem::Unsupported`] by name.
//!
//! Physical names: table `t<oid>`, column `c<attnum>`, row number `_r`, last writer of a column `w<attnum>`; temporary tables of
//! a plan `x<n>`. Names of the user never reach DuckDB. Errors that only a row can cause are raised inside DuckDB by
//! `error('PG|<sqlstate>|<message>')`.
//!
//! Left out: what is done with the rows (staging, constraints, counting).

mod arrival;
mod assignment;
mod bind;
mod carried;
mod cast;
mod composite;
mod constant;
mod domain;
mod equality;
mod expression;
mod extension_values;
mod from;
mod function;
mod literal;
mod matrix;
mod names;
mod number;
mod operator;
mod query;
mod reader;
mod resolve;
mod row;
mod rows;
mod scope;
mod subscript;
mod system;
mod through;
mod typed;
mod variables;
mod write;

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, RangeVar};

use crate::catalog::{AttNum, Catalog, Oid, Outcome, Problem, Type};
pub use bind::Purpose;
use reader::Reader;
use typed::Typed;
pub(crate) use typed::refusal_in;
pub use variables::{Level, NameConflict, Named, Place, Value, Variable, Variables};

/// What a translation depends on beside the catalog.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `now()`: UTC, as `2026-02-09 18:04:11.524`.
    pub now: String,
    /// The server's TimeZone where it isn't UTC: casts that depend on it are refused.
    pub time_zone: Option<String>,
    /// The database's collation where it isn't C or POSIX: orders of text are flagged.
    pub collation: Option<String>,
    /// Variables that the statement can see; none outside of PL/pgSQL.
    pub variables: Variables,
    /// The level on which calls of the database's own functions are looked up; 0 where none can be made.
    pub calls: u64,
    /// Trigger functions under way, the one that asks included.
    pub trigger_depth: usize,
    /// Functions of the database's own are taken at their word: a default or a CHECK is read when it is made, what it calls is read
    /// when it is called.
    pub trusts_functions: bool,
}

/// Which of several equally good rows to take where PostgreSQL leaves it to its plan. A statement whose rows are the same either
/// way doesn't depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// The least by all output columns.
    Least,
    /// The greatest.
    Greatest,
}

/// Reads statements against a catalog.
pub struct Translator<'a> {
    /// Names and types.
    pub catalog: &'a Catalog,
    /// What else decides.
    pub settings: &'a Settings,
    /// Which way ties go.
    pub tie: Tie,
}

/// What must run before a plan's own SQL, in order; each makes a temporary table.
#[derive(Debug, Clone)]
pub enum Step {
    /// `CREATE TEMP TABLE x<n> AS <sql>`
    Materialize {
        /// Name of the temporary table.
        table: String,
        /// Its query.
        sql: String,
    },
    /// A recursive query, run level by level so that it can be counted and stopped.
    Recurse(Recursion),
}

/// A recursive common table expression.
#[derive(Debug, Clone)]
pub struct Recursion {
    /// Its name in the migration.
    pub name: String,
    /// The temporary table that collects all rows.
    pub table: String,
    /// The temporary table that the recursive term reads: the rows of the level before.
    pub working: String,
    /// The non-recursive term.
    pub base_sql: String,
    /// The recursive term, reading `working`.
    pub step_sql: String,
    /// UNION rather than UNION ALL: rows seen before are dropped.
    pub distinct: bool,
    /// Physical columns, in order.
    pub columns: Vec<String>,
    /// Their types.
    pub types: Vec<Type>,
}

/// An output column of a query.
#[derive(Debug, Clone)]
pub struct Output {
    /// As PostgreSQL names it.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// The physical column of the plan's SQL.
    pub column: String,
}

/// What a translation found out on the way.
#[derive(Debug, Clone, Default)]
pub struct Remarks {
    /// Places where PostgreSQL leaves the choice between rows to its plan, each as the subject of a sentence:
    /// `DISTINCT ON (id) with ORDER BY id, depth`. Where there is one, run the plan for both [`Tie`]s and compare.
    pub choices: Vec<String>,
    /// Values that are new at every run: `gen_random_uuid()`, `random()`. Illustrative, never compared.
    pub volatile: Vec<String>,
    /// Differences from the server that are possible but not certain, as whole sentences (order under another collation …).
    pub caveats: Vec<String>,
    /// Tables read, with the columns read of each.
    pub reads: std::collections::BTreeMap<Oid, std::collections::BTreeSet<AttNum>>,
    /// Values that are known before any row is read: the server computes them first, and fails even where there are no rows.
    pub constants: Vec<String>,
    /// The same, of queries inside this one: the server computes those whose outputs are asked for, and it isn't known here which
    /// are.
    pub doubtful: Vec<String>,
    /// Sequences that numbers are taken from.
    pub numbers: std::collections::BTreeMap<Oid, Taken>,
}

/// What a column that counts takes its values from.
pub(crate) const NUMBERS_OF_SEQUENCE: &str = "numbers of a sequence";

/// A value that is new at every run, but the same throughout one: no call of it differs from another.
pub(crate) const TIME_OF_RUN: &str = "the time of the run";

impl Remarks {
    /// How many values are new at every call.
    pub(crate) fn new_at_every_call(&self) -> usize {
        self.volatile.iter().filter(|what| *what != TIME_OF_RUN).count() + self.numbers.len()
    }
}

/// How many numbers a statement takes from a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// One for each row that is staged.
    EachRow,
    /// One for each row at these places, from 0, among those that are listed.
    Listed(Vec<u64>),
    /// Nobody knows: from here on it isn't known where the sequence stands.
    Unknown,
}

/// A query.
#[derive(Debug, Clone)]
pub struct SelectPlan {
    /// What runs first.
    pub steps: Vec<Step>,
    /// The query; its columns are `outputs[i].column`, its order the server's where ORDER BY asks for one.
    pub sql: String,
    /// Output columns.
    pub outputs: Vec<Output>,
    /// What was found out.
    pub remarks: Remarks,
    /// WITH queries that write: they run first, on the same rows.
    pub writes: Vec<WritePlan>,
}

/// UPDATE.
#[derive(Debug, Clone)]
pub struct UpdatePlan {
    /// What runs first.
    pub steps: Vec<Step>,
    /// The table written.
    pub table: Oid,
    /// Columns written, in the order of SET.
    pub columns: Vec<AttNum>,
    /// Returns `_r` and, for each written column, `n<attnum>`, its new value in the column's physical type. With `joins`, a row
    /// may come several times.
    pub staging_sql: String,
    /// UPDATE … FROM: a row that comes several times with different values is up to the server's plan.
    pub joins: bool,
    /// The WHERE clause as written, where there is one.
    pub condition: Option<String>,
    /// What was found out.
    pub remarks: Remarks,
    /// WITH queries that write: they run first, on the same rows.
    pub writes: Vec<WritePlan>,
    /// Inside WITH: what RETURNING gives.
    pub returning: Option<Returning>,
}

/// DELETE.
#[derive(Debug, Clone)]
pub struct DeletePlan {
    /// What runs first.
    pub steps: Vec<Step>,
    /// The table written.
    pub table: Oid,
    /// Returns `_r`; a row may come several times.
    pub staging_sql: String,
    /// The WHERE clause as written, where there is one.
    pub condition: Option<String>,
    /// What was found out.
    pub remarks: Remarks,
    /// WITH queries that write: they run first, on the same rows.
    pub writes: Vec<WritePlan>,
}

/// INSERT.
#[derive(Debug, Clone)]
pub struct InsertPlan {
    /// What runs first.
    pub steps: Vec<Step>,
    /// The table written.
    pub table: Oid,
    /// Returns, for every column of the table, `n<attnum>`: defaults filled in, in the column's physical type.
    pub staging_sql: String,
    /// Columns the statement names (all others get their default).
    pub columns: Vec<AttNum>,
    /// The rows are those of VALUES, in their order.
    pub is_listed: bool,
    /// ON CONFLICT.
    pub conflict: Option<Conflict>,
    /// What was found out.
    pub remarks: Remarks,
    /// WITH queries that write: they run first, on the same rows.
    pub writes: Vec<WritePlan>,
    /// Inside WITH: what RETURNING gives.
    pub returning: Option<Returning>,
}

/// ON CONFLICT.
#[derive(Debug, Clone)]
pub struct Conflict {
    /// Unique indexes that decide; all of the table's where the statement names none.
    pub arbiters: Vec<Oid>,
    /// DO UPDATE; `None` for DO NOTHING.
    pub update: Option<ConflictUpdate>,
}

/// ON CONFLICT … DO UPDATE.
#[derive(Debug, Clone)]
pub struct ConflictUpdate {
    /// Columns written.
    pub columns: Vec<AttNum>,
    /// For a join of the table, named `old`, with the staged rows, named `new` (columns `n<attnum>`): the new value of each
    /// written column, in order.
    pub values: Vec<String>,
    /// DO UPDATE … WHERE, over the same two.
    pub condition: Option<String>,
}

/// What a WITH query that writes returns: a temporary table, made once its rows are staged.
#[derive(Debug, Clone)]
pub struct Returning {
    /// The temporary table.
    pub table: String,
    /// Its query, in which [`Returning::ROWS`] stands for the rows as they become, under the table's own physical names.
    pub sql: String,
    /// Its columns.
    pub outputs: Vec<Output>,
}

impl Returning {
    /// Stands for the staged rows.
    pub const ROWS: &'static str = "{rows}";
}

/// A statement that writes rows.
#[derive(Debug, Clone)]
pub enum WritePlan {
    /// UPDATE
    Update(UpdatePlan),
    /// DELETE
    Delete(DeletePlan),
    /// INSERT
    Insert(InsertPlan),
}

/// Physical name of a table.
pub fn table_name(oid: Oid) -> String {
    format!("t{oid}")
}

/// Physical name of a column.
pub fn column_name(attnum: AttNum) -> String {
    format!("c{attnum}")
}

/// The DuckDB type that holds values of a PostgreSQL type.
pub fn physical_type(ty: &Type) -> Outcome<String> {
    Ok(typed::physical(ty))
}

/// Teaches an engine the functions that translated SQL calls.
///
/// # Errors
/// The engine's, where it refuses one.
pub fn register_functions(connection: &duckdb::Connection) -> anyhow::Result<()> {
    crate::native::register(connection)
}

/// PostgreSQL's text of a value, as DuckDB SQL.
///
/// # Errors
/// [`Problem::Unsupported`] for a type whose text can't be told.
pub fn text_of(sql: &str, ty: &Type, catalog: &Catalog) -> Outcome<String> {
    let ty = ty.plain();
    match ty {
        Type::Array(_) => cast::output_form(sql, ty, catalog),
        _ => cast::text_form(sql, ty, catalog),
    }
}

/// A value as a reader of a report sees it: in the server's notation where the engine has one of its own.
pub fn shown(sql: &str, ty: &Type) -> String {
    match ty.plain() {
        Type::Interval => format!("pg_interval_text(CAST({sql} AS VARCHAR))"),
        Type::Bytea => format!("('\\x' || lower(hex({sql})))"),
        _ => sql.to_owned(),
    }
}

/// What a value is grouped by: itself, or a key where equal values may be written differently.
pub fn identity(sql: &str, ty: &Type) -> String {
    equality::key(sql, ty)
}

/// May equal values of the type be written differently, so that its [`identity`] isn't the value itself?
pub fn is_loose(ty: &Type) -> bool {
    equality::is_loose(ty)
}

/// Is it known which values of the type are equal?
pub fn has_equality(ty: &Type) -> bool {
    let ty = ty.plain();
    !matches!(ty, Type::Opaque(_) | Type::Json | Type::Composite(_))
        || typed::is_citext(ty)
        || carried::name(ty).is_some()
}

/// SQL that says whether two values, which their types' operators can compare, are equal.
pub fn equality(left: (&str, &Type), right: (&str, &Type)) -> String {
    equality::equal(left, right)
}

/// The steps whose tables are read in the end: like the server, nobody runs a WITH query that isn't.
fn needed(steps: Vec<Step>, mut readers: String) -> Vec<Step> {
    let mut kept = Vec::new();
    for step in steps.into_iter().rev() {
        let (table, sql) = match &step {
            Step::Materialize { table, sql } => (table, sql.clone()),
            Step::Recurse(recursion) => (&recursion.table, format!("{} {}", recursion.base_sql, recursion.step_sql)),
        };
        let mut words = readers.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        if words.any(|word| word == table) {
            readers.push(' ');
            readers.push_str(&sql);
            kept.push(step);
        }
    }
    kept.reverse();
    kept
}

impl Translator<'_> {
    /// SELECT, VALUES, TABLE.
    ///
    /// # Errors
    /// [`Problem::Rejected`] with the server's SQLSTATE, or [`Problem::Unsupported`].
    pub fn select(&self, node: &NodeEnum) -> Outcome<SelectPlan> {
        let plan = self.select_or_write(node)?;
        match plan.writes.is_empty() {
            true => Ok(plan),
            false => Err(Problem::unsupported("a SELECT whose WITH writes, here")),
        }
    }

    /// The same where its WITH may write.
    ///
    /// # Errors
    /// As [`Translator::select`].
    pub fn select_or_write(&self, node: &NodeEnum) -> Outcome<SelectPlan> {
        let NodeEnum::SelectStmt(select) = node else { return Err(Problem::unsupported("this form of query")) };
        let mut reader = Reader::new(self);
        let query = reader.query_in_order(select, None, true)?;
        if !select.from_clause.is_empty() {
            reader.constant_outputs(select, |_, _, value| Ok(Some(value.sql)))?;
        }
        let mut query = query;
        if query.outputs.iter().any(|output| system::is_number(&output.ty)) {
            reader.show_numbers(&mut query)?;
        }
        if query.outputs.iter().any(|output| typed::is_place(&output.ty)) {
            return Err(Problem::unsupported("the place of a row as a value"));
        }
        let (sql, outputs) = (query.sql, query.outputs);
        Ok(SelectPlan {
            steps: needed(reader.steps, sql.clone()),
            sql,
            outputs: from::settled(outputs),
            remarks: reader.remarks,
            writes: reader.writes,
        })
    }

    /// A query whose columns go into variables of these types, one after the other; columns beyond them stay as they are.
    ///
    /// # Errors
    /// As [`Translator::select`].
    pub fn select_into(&self, node: &NodeEnum, targets: &[Type]) -> Outcome<SelectPlan> {
        if let ([target], Some(text)) = (targets, variables::literal_of(node)) {
            let value = Reader::new(self).coerce(Typed::string(text), target, cast::Context::Assignment, None)?;
            let sql = format!("SELECT CAST({} AS {}) AS o1", value.sql, typed::physical(target));
            let output = Output { name: "?column?".to_owned(), ty: target.clone(), column: "o1".to_owned() };
            let remarks = Remarks::default();
            return Ok(SelectPlan { steps: Vec::new(), sql, outputs: vec![output], remarks, writes: Vec::new() });
        }
        self.cast_outputs(self.select(node)?, targets)
    }

    /// The same of a query whose WITH writes.
    ///
    /// # Errors
    /// As [`Translator::select`].
    pub fn select_or_write_into(&self, node: &NodeEnum, targets: &[Type]) -> Outcome<SelectPlan> {
        self.cast_outputs(self.select_or_write(node)?, targets)
    }

    fn cast_outputs(&self, mut plan: SelectPlan, targets: &[Type]) -> Outcome<SelectPlan> {
        let mut list = Vec::new();
        for (at, output) in plan.outputs.iter_mut().enumerate() {
            let value = Typed::new(format!("q.{}", output.column), output.ty.clone());
            let value = match targets.get(at) {
                Some(target) if *target != value.ty => variables::coerce(value, target, self.catalog)?,
                _ => value,
            };
            list.push(format!("{} AS {}", value.sql, output.column));
            output.ty = value.ty;
        }
        if !targets.is_empty() && !list.is_empty() {
            plan.sql = format!("SELECT {} FROM ({}) AS q", list.join(", "), plan.sql);
        }
        Ok(plan)
    }

    /// What RETURNING gives for rows of a table whose `_r` is in the table `rows`.
    ///
    /// # Errors
    /// As [`Translator::select`].
    pub fn returning(&self, relation: &RangeVar, list: &[Node], rows: &str, targets: &[Type]) -> Outcome<SelectPlan> {
        let plan = Reader::new(self).returned_rows(relation, list, rows)?;
        self.cast_outputs(plan, targets)
    }

    /// INSERT, UPDATE, DELETE.
    ///
    /// # Errors
    /// As [`Translator::select`].
    pub fn write(&self, node: &NodeEnum) -> Outcome<WritePlan> {
        self.expect_no_rule(node)?;
        let mut reader = Reader::new(self);
        let mut plan = match node {
            NodeEnum::UpdateStmt(update) => reader.update(update),
            NodeEnum::DeleteStmt(delete) => reader.delete(delete),
            NodeEnum::InsertStmt(insert) => reader.insert(insert),
            _ => Err(Problem::unsupported("this form of statement")),
        }?;
        let target = match &plan {
            WritePlan::Update(plan) => plan.table,
            WritePlan::Delete(plan) => plan.table,
            WritePlan::Insert(plan) => plan.table,
        };
        if reader.volatile_reads.contains(&target) {
            return Err(Problem::unsupported("a volatile function that reads the table that is written"));
        }
        // Of several writes, one may read what another's steps have made.
        match &mut plan {
            WritePlan::Update(plan) if plan.writes.is_empty() => {
                plan.steps = needed(std::mem::take(&mut plan.steps), plan.staging_sql.clone());
            }
            WritePlan::Delete(plan) if plan.writes.is_empty() => {
                plan.steps = needed(std::mem::take(&mut plan.steps), plan.staging_sql.clone());
            }
            WritePlan::Insert(plan) if plan.writes.is_empty() && plan.conflict.is_none() => {
                plan.steps = needed(std::mem::take(&mut plan.steps), plan.staging_sql.clone());
            }
            _ => {}
        }
        Ok(plan)
    }

    /// Refuses a write that a rewrite rule would make another of.
    fn expect_no_rule(&self, node: &NodeEnum) -> Outcome<()> {
        let (relation, event) = match node {
            NodeEnum::InsertStmt(insert) => (insert.relation.as_ref(), "INSERT"),
            NodeEnum::UpdateStmt(update) => (update.relation.as_ref(), "UPDATE"),
            NodeEnum::DeleteStmt(delete) => (delete.relation.as_ref(), "DELETE"),
            _ => return Ok(()),
        };
        let Some(relation) = relation.filter(|_| !self.catalog.rules.is_empty()) else { return Ok(()) };
        let schema = Some(relation.schemaname.as_str()).filter(|schema| !schema.is_empty());
        let Some((_, oid)) = self.catalog.find_relation(schema, &relation.relname) else { return Ok(()) };
        match self.catalog.rules.iter().find(|rule| rule.relation == oid && rule.event == event) {
            Some(rule) => Err(Problem::unsupported(format!(
                "{event} of {}, which the rule {} rewrites,",
                relation.relname, rule.name
            ))),
            None => Ok(()),
        }
    }

    /// An expression over one table's columns, as DuckDB SQL over the bare columns of `t<oid>`; with a `target`, converted to it
    /// by an assignment cast: USING, a CHECK, an index key or predicate.
    ///
    /// # Errors
    /// As [`Translator::select`].
    pub fn table_expression(&self, table: Oid, expression: &Node, target: Option<&Type>) -> Outcome<(String, Type)> {
        let mut reader = Reader::new(self);
        let value = reader.row_expression(table, expression, "this expression")?;
        match target {
            Some(target) => {
                let value = reader.coerce(value, target, cast::Context::Assignment, None)?;
                Ok((format!("CAST({} AS {})", value.sql, typed::physical(target)), target.clone()))
            }
            None => Ok((value.sql, value.ty)),
        }
    }

    /// An operator between two values of one type, as DuckDB SQL.
    ///
    /// # Errors
    /// As [`Translator::select`].
    pub fn holds(&self, operator: &str, ty: &Type, left: &str, right: &str) -> Outcome<String> {
        let (left, right) = (Typed::new(left, ty.clone()), Typed::new(right, ty.clone()));
        Ok(Reader::new(self).operator(operator, left, right)?.sql)
    }

    /// Does an expression over a table's rows give the same for all of them, at any time? The server computes it ahead.
    ///
    /// # Errors
    /// As [`Translator::select`].
    pub fn is_fixed(&self, table: Oid, expression: &Node) -> Outcome<bool> {
        let mut reader = Reader::new(self);
        let (read, fixed) = reader.fixed(|reader| reader.row_expression(table, expression, "this expression"));
        read.map(|_| fixed)
    }

    /// The value a column gets where a statement names none: its default, or NULL. Not over any row; may differ at every row
    /// (`uuid()`), or hold a window function (numbers of a sequence).
    ///
    /// # Errors
    /// As [`Translator::select`].
    pub fn default(&self, table: Oid, attnum: AttNum) -> Outcome<String> {
        let table =
            self.catalog.tables.get(&table).ok_or_else(|| Problem::unsupported("a table that has been dropped"))?;
        let column = table.columns.iter().find(|c| c.attnum == attnum);
        let column = column.ok_or_else(|| Problem::unsupported("a column that has been dropped"))?;
        Reader::new(self).default_value(table, column)
    }

    /// The assignment cast of an existing value (ALTER COLUMN TYPE without USING): DuckDB SQL over `value`.
    ///
    /// # Errors
    /// As [`Translator::select`].
    pub fn assign(&self, value: &str, from: &Type, to: &Type, column: &str) -> Outcome<String> {
        let value = Typed::new(value, from.clone());
        let value = Reader::new(self).coerce(value, to, cast::Context::Assignment, Some(column))?;
        Ok(format!("CAST({} AS {})", value.sql, typed::physical(to)))
    }
}
