//! INSERT, UPDATE and DELETE: the rows they write, staged beside the table.

mod assign;
mod conflict;
mod insert;
mod returning;

pub(super) use assign::of_default;

use pg_query::NodeEnum;
use pg_query::protobuf::{DeleteStmt, Node, RangeVar, SelectStmt, UpdateStmt};

use super::expression::Site;
use super::reader::Reader;
use super::scope::{Scope, Source, SourceColumn};
use super::through::Behind;
use super::typed::Typed;
use super::{DeletePlan, UpdatePlan, WritePlan, column_name, table_name};
use crate::catalog::{AttNum, Oid, Outcome, Problem, Table};

/// What an UPDATE or DELETE writes.
struct Written {
    table: Table,
    /// The table's name in DuckDB.
    alias: String,
    scope: Scope<'static>,
    /// DuckDB's FROM.
    from: String,
    /// The view that stands before the table.
    behind: Option<Behind>,
}

impl Reader<'_> {
    pub(super) fn table(&self, oid: Oid) -> Outcome<&Table> {
        self.catalog().tables.get(&oid).ok_or_else(|| Problem::unsupported("a table that has been dropped"))
    }

    /// A partition's rows may not leave it by an UPDATE of its own.
    fn expect_key_unwritten(&self, update: &UpdateStmt) -> Outcome<()> {
        let Some(relation) = &update.relation else { return Ok(()) };
        let catalog = self.catalog();
        let table = catalog.table(crate::catalog::lookup::schema_of(relation), &relation.relname);
        let partition = table.and_then(|table| catalog.partitions.get(&table.oid));
        let (Some(table), Some(partition)) = (table, partition) else { return Ok(()) };
        let key = catalog.partitioned.get(&partition.parent).map(|partitioning| partitioning.key.as_slice());
        let written = update.target_list.iter().any(|node| match &node.node {
            Some(NodeEnum::ResTarget(target)) => {
                table.column(&target.name).is_some_and(|column| key.unwrap_or_default().contains(&column.attnum))
            }
            _ => false,
        });
        match written {
            true => Err(Problem::unsupported("an UPDATE of a partition's own key")),
            false => Ok(()),
        }
    }

    /// The table that keeps the rows of this one: for a partition, its partitioned table.
    fn keeper(&self, table: Table) -> Outcome<Table> {
        let Some(partition) = self.catalog().partitions.get(&table.oid) else { return Ok(table) };
        if self.catalog().triggers.iter().any(|trigger| trigger.table == partition.parent) {
            return Err(Problem::unsupported("a write of a partition whose table has triggers"));
        }
        Ok(self.table(partition.parent)?.clone())
    }

    /// The rows that UPDATE and DELETE choose from: their table, then what FROM or USING joins to it.
    fn written_rows(&mut self, relation: Option<&RangeVar>, joined: &[Node]) -> Outcome<Written> {
        let relation = relation.ok_or_else(|| Problem::unsupported("a statement that writes no table"))?;
        self.is_whole = false;
        let oid = self.target(relation)?;
        let table = self.table(oid)?.clone();
        let mut scope = Scope::default();
        let behind = self.behind(relation)?;
        let (target, mut from) = match &behind {
            Some(behind) => (behind.source.clone(), behind.from.clone()),
            None => self.table_source(&table, relation.alias.as_ref())?,
        };
        let table = self.keeper(table)?;
        let alias = target.alias.clone();
        scope.sources.push(target);
        let joined = self.read_from(joined, &mut scope)?;
        if !joined.is_empty() {
            from = format!("{from}, {joined}");
        }
        Ok(Written { table, alias, scope, from, behind })
    }

    pub(super) fn update(&mut self, update: &UpdateStmt) -> Outcome<WritePlan> {
        let visible = self.named.len();
        if let Some(with) = &update.with_clause {
            self.with(with)?;
        }
        let Written { table, alias, scope, from, behind } =
            self.written_rows(update.relation.as_ref(), &update.from_clause)?;
        // In the server's order, which decides what is reported of several errors.
        let condition = self.write_condition(update.where_clause.as_deref(), &scope, behind.as_ref())?;
        let returning = match &update.returning_clause {
            Some(returning) if self.in_with => {
                Some(self.returning_of_update(returning, update, &scope, &from, &condition.0)?)
            }
            Some(returning) => {
                self.check_returning(returning, &scope)?;
                None
            }
            None => None,
        };
        self.expect_key_unwritten(update)?;
        let targets = self.targets_behind(behind.as_ref(), &table, &update.target_list, "update")?;
        let values = self.assignments(&targets, &table, &scope)?;
        let mut list = vec![format!("{alias}._r AS _r")];
        let mut columns = Vec::new();
        for (attnum, sql) in values {
            list.push(format!("{sql} AS n{attnum}"));
            columns.push(attnum);
        }
        let mut staging_sql = format!("SELECT {} FROM {from}{}", list.join(", "), condition.0);
        self.recompute(&table, &mut columns, &mut staging_sql)?;
        self.named.truncate(visible);
        Ok(WritePlan::Update(UpdatePlan {
            steps: std::mem::take(&mut self.steps),
            table: table.oid,
            columns,
            staging_sql,
            joins: !update.from_clause.is_empty(),
            condition: condition.1,
            remarks: std::mem::take(&mut self.remarks),
            writes: std::mem::take(&mut self.writes),
            returning,
        }))
    }

    pub(super) fn delete(&mut self, delete: &DeleteStmt) -> Outcome<WritePlan> {
        let visible = self.named.len();
        if let Some(with) = &delete.with_clause {
            self.with(with)?;
        }
        let Written { table, alias, scope, from, behind } =
            self.written_rows(delete.relation.as_ref(), &delete.using_clause)?;
        let condition = self.write_condition(delete.where_clause.as_deref(), &scope, behind.as_ref())?;
        if let Some(returning) = &delete.returning_clause {
            self.check_returning(returning, &scope)?;
        }
        self.named.truncate(visible);
        Ok(WritePlan::Delete(DeletePlan {
            steps: std::mem::take(&mut self.steps),
            table: table.oid,
            staging_sql: format!("SELECT {alias}._r AS _r FROM {from}{}", condition.0),
            condition: condition.1,
            remarks: std::mem::take(&mut self.remarks),
            writes: std::mem::take(&mut self.writes),
        }))
    }

    fn write_condition(
        &mut self,
        node: Option<&Node>,
        scope: &Scope<'_>,
        behind: Option<&Behind>,
    ) -> Outcome<(String, Option<String>)> {
        let own = behind.and_then(|behind| behind.condition.as_deref());
        let Some(node) = node else {
            return Ok((own.map(|own| format!(" WHERE {own}")).unwrap_or_default(), None));
        };
        let condition = self.condition(node, Site::new(scope, "WHERE"))?;
        if !self.in_with {
            self.note_gates(node);
        }
        let condition = match own {
            // What the view leaves out is never looked at.
            Some(own) => format!("CASE WHEN {own} THEN {condition} ELSE false END"),
            None => condition,
        };
        Ok((format!(" WHERE {condition}"), Some(written(node))))
    }

    /// An expression over the columns of one row of a table.
    pub(super) fn row_expression(&mut self, table: Oid, node: &Node, clause: &'static str) -> Outcome<Typed> {
        let table = self.table(table)?.clone();
        let scope = row_scope(&table, column_name);
        self.without_variables(|reader| reader.expression(node, Site::new(&scope, clause)))
    }

    /// A condition over the columns of one row of a table: the clause is what must be boolean, the place what it may contain.
    pub(super) fn row_condition(
        &mut self,
        table: Oid,
        node: &Node,
        clause: &'static str,
        place: &'static str,
    ) -> Outcome<()> {
        let table = self.table(table)?.clone();
        let scope = row_scope(&table, column_name);
        let site = Site { place, ..Site::new(&scope, clause) };
        self.without_variables(|reader| reader.condition(node, site)).map(|_| ())
    }
}

/// A scope of one row whose columns stand where `place` says.
pub(super) fn row_scope(table: &Table, place: impl Fn(AttNum) -> String) -> Scope<'static> {
    let columns = table
        .columns
        .iter()
        .map(|c| SourceColumn {
            name: c.name.clone(),
            ty: c.ty.clone(),
            sql: place(c.attnum),
            origin: Some((table.oid, c.attnum)),
        })
        .collect();
    let source = Source {
        name: table.name.clone(),
        schema: Some(table.schema.clone()),
        columns,
        row: None,
        table: None,
        alias: table_name(table.oid),
        scalar: false,
    };
    Scope { sources: vec![source], ..Scope::default() }
}

/// A condition as PostgreSQL's deparser writes it.
fn written(node: &Node) -> String {
    let select = SelectStmt {
        where_clause: Some(Box::new(node.clone())),
        op: pg_query::protobuf::SetOperation::SetopNone as i32,
        limit_option: pg_query::protobuf::LimitOption::Default as i32,
        ..Default::default()
    };
    let statement = pg_query::protobuf::RawStmt {
        stmt: Some(Box::new(Node { node: Some(NodeEnum::SelectStmt(Box::new(select))) })),
        ..Default::default()
    };
    let tree = pg_query::protobuf::ParseResult { version: 180_000, stmts: vec![statement] };
    let text = pg_query::deparse(&tree, Default::default()).unwrap_or_default();
    text.strip_prefix("SELECT WHERE ").map_or(text.clone(), str::to_owned)
}
