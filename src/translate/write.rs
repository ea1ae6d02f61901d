//! INSERT, UPDATE and DELETE: the rows they write, staged beside the table.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    DeleteStmt, InsertStmt, MultiAssignRef, Node, OverridingKind, RangeVar, ResTarget, ReturningClause, SelectStmt,
    UpdateStmt, a_const::Val,
};

use super::cast::Context;
use super::expression::{Site, required};
use super::query::Query;
use super::reader::Reader;
use super::scope::{Scope, Source, SourceColumn};
use super::through::Behind;
use super::typed::{Family, Typed, family, is_citext, physical};
use super::{DeletePlan, InsertPlan, Taken, UpdatePlan, WritePlan, column_name, table_name};
use crate::catalog::{AttNum, Column, Identity, Oid, Outcome, Problem, Table, Type, tree};

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

    /// The rows that UPDATE and DELETE choose from: their table, then what FROM or USING joins to it.
    fn written_rows(&mut self, relation: Option<&RangeVar>, joined: &[Node]) -> Outcome<Written> {
        let relation = relation.ok_or_else(|| Problem::unsupported("a statement that writes no table"))?;
        let oid = self.target(relation)?;
        let table = self.table(oid)?.clone();
        let mut scope = Scope::default();
        let behind = self.behind(relation)?;
        let (target, mut from) = match &behind {
            Some(behind) => (behind.source.clone(), behind.from.clone()),
            None => self.table_source(&table, relation.alias.as_ref())?,
        };
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

    /// RETURNING of a statement on its own: nobody reads it, but it must bind.
    fn check_returning(&mut self, returning: &ReturningClause, scope: &Scope<'_>) -> Outcome<()> {
        for node in &returning.exprs {
            let Some(NodeEnum::ResTarget(target)) = &node.node else { continue };
            let value = required(&target.val)?;
            let star = matches!(&value.node, Some(NodeEnum::ColumnRef(c)) if c.fields.iter().any(|f| matches!(f.node, Some(NodeEnum::AStar(_)))));
            if !star {
                self.expression(value, Site::new(scope, "RETURNING"))?;
            }
        }
        Ok(())
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
        let condition = match own {
            // What the view leaves out is never looked at.
            Some(own) => format!("CASE WHEN {own} THEN {condition} ELSE false END"),
            None => condition,
        };
        Ok((format!(" WHERE {condition}"), Some(written(node))))
    }

    /// Assignments to a view's columns as assignments to its table's.
    fn targets_behind(
        &self,
        behind: Option<&Behind>,
        table: &Table,
        targets: &[Node],
        word: &str,
    ) -> Outcome<Vec<Node>> {
        let one = |node: &Node| match &node.node {
            Some(NodeEnum::ResTarget(target)) => {
                let target = self.column_behind(behind, table, target, word)?;
                Ok(Node { node: Some(NodeEnum::ResTarget(Box::new(target))) })
            }
            _ => Ok(node.clone()),
        };
        targets.iter().map(one).collect()
    }

    /// SET a = …, (b, c) = (…, …)
    pub(super) fn assignments(
        &mut self,
        targets: &[Node],
        table: &Table,
        scope: &Scope<'_>,
    ) -> Outcome<Vec<(AttNum, String)>> {
        self.assign_all(targets, table, scope).map_err(|problem| {
            // The server reads all values before it looks at the columns they are for.
            let mut values = targets.iter().filter_map(|node| match &node.node {
                Some(NodeEnum::ResTarget(target)) => target.val.as_deref(),
                _ => None,
            });
            let site = Site::new(scope, "UPDATE");
            let special =
                |node: &Node| matches!(node.node, Some(NodeEnum::SetToDefault(_) | NodeEnum::MultiAssignRef(_)));
            let found = values.find_map(|value| if special(value) { None } else { self.expression(value, site).err() });
            found.unwrap_or(problem)
        })
    }

    fn assign_all(&mut self, targets: &[Node], table: &Table, scope: &Scope<'_>) -> Outcome<Vec<(AttNum, String)>> {
        let mut values: Vec<(AttNum, String)> = Vec::new();
        let mut parts = Vec::new();
        for node in targets {
            let Some(NodeEnum::ResTarget(target)) = &node.node else { continue };
            if !target.indirection.is_empty() {
                self.assign_part(target, table, scope, &mut values, &mut parts).map_err(|p| p.at(target.location))?;
                continue;
            }
            let column = self.assigned_column(table, target)?.clone();
            if values.iter().any(|(attnum, _)| *attnum == column.attnum) {
                return Err(Problem::rejected(
                    "42601",
                    format!("multiple assignments to same column \"{}\"", column.name),
                )
                .at(target.location));
            }
            let value = required(&target.val)?;
            let sql = match &value.node {
                // What it is anyhow: computed with the others.
                Some(NodeEnum::SetToDefault(_)) if column.generated.is_some() => continue,
                Some(NodeEnum::SetToDefault(_)) => self.default_value(table, &column)?,
                _ if column.generated.is_some() || column.identity == Some(Identity::Always) => {
                    return Err(Problem::rejected(
                        "428C9",
                        format!("column \"{}\" can only be updated to DEFAULT", column.name),
                    )
                    .at(target.location));
                }
                Some(NodeEnum::MultiAssignRef(multi)) => {
                    let at = usize::try_from(multi.colno - 1).unwrap_or_default();
                    let Some(NodeEnum::RowExpr(row)) = required(&multi.source)?.node.as_ref() else {
                        let sql = self.assigned_of_row(multi, at, &column, scope).map_err(|p| p.at(target.location))?;
                        values.push((column.attnum, sql));
                        continue;
                    };
                    if row.args.len() != usize::try_from(multi.ncolumns).unwrap_or_default() {
                        return Err(Problem::rejected("42601", "number of columns does not match number of values"));
                    }
                    match &row.args[at].node {
                        Some(NodeEnum::SetToDefault(_)) => self.default_value(table, &column)?,
                        _ => self.assigned(&row.args[at], &column, scope)?,
                    }
                }
                _ => self.assigned(value, &column, scope).map_err(|p| p.at(target.location))?,
            };
            values.push((column.attnum, sql));
        }
        Ok(values)
    }

    /// SET (a, b) = (SELECT …): what the query's one row has for this column, NULL where it has no row.
    fn assigned_of_row(
        &mut self,
        multi: &MultiAssignRef,
        at: usize,
        column: &Column,
        scope: &Scope<'_>,
    ) -> Outcome<String> {
        let source = required(&multi.source)?;
        let query = match &source.node {
            Some(NodeEnum::SubLink(link)) => required(&link.subselect)?,
            _ => {
                let message = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
                return Err(Problem::rejected("0A000", message));
            }
        };
        let Some(NodeEnum::SelectStmt(select)) = &query.node else {
            return Err(Problem::unsupported("this form of subquery"));
        };
        let query = self.query(select, Some(scope))?;
        if query.outputs.len() != usize::try_from(multi.ncolumns).unwrap_or_default() {
            return Err(Problem::rejected("42601", "number of columns does not match number of values"));
        }
        let output = &query.outputs[at];
        let ty = if output.ty == Type::Unknown { Type::Text } else { output.ty.clone() };
        self.store(Typed::new(format!("(SELECT q.{} FROM ({}) AS q)", output.column, query.sql), ty), column)
    }

    /// SET j['a'] = …: upon what an assignment before it may have made of the column.
    fn assign_part(
        &mut self,
        target: &ResTarget,
        table: &Table,
        scope: &Scope<'_>,
        values: &mut Vec<(AttNum, String)>,
        parts: &mut Vec<AttNum>,
    ) -> Outcome<()> {
        let whole = ResTarget { name: target.name.clone(), location: target.location, ..Default::default() };
        let column = self.assigned_column(table, &whole)?.clone();
        let made = values.iter().position(|(attnum, _)| *attnum == column.attnum);
        if made.is_some() && !parts.contains(&column.attnum) {
            let message = format!("multiple assignments to same column \"{}\"", column.name);
            return Err(Problem::rejected("42601", message));
        }
        let found = scope.sources.first().and_then(|source| source.columns.iter().find(|c| c.name == column.name));
        let Some(found) = found else { return Err(Problem::unsupported("an assignment to an element here")) };
        self.reads(found.origin);
        let old = made.map_or(&found.sql, |at| &values[at].1).clone();
        let new = self.assigned_part(target, &column, &old, scope)?;
        match made {
            Some(at) => values[at].1 = new,
            None => values.push((column.attnum, new)),
        }
        parts.push(column.attnum);
        Ok(())
    }

    fn assigned_column<'t>(&self, table: &'t Table, target: &ResTarget) -> Outcome<&'t Column> {
        if !target.indirection.is_empty() {
            return Err(Problem::unsupported("assignment to an element or field").at(target.location));
        }
        table
            .columns
            .iter()
            .find(|c| c.name == target.name)
            .ok_or_else(|| crate::catalog::lookup::missing_column(table, &target.name).at(target.location))
    }

    fn assigned(&mut self, node: &Node, column: &Column, scope: &Scope<'_>) -> Outcome<String> {
        let (value, mutable) = self.observed(|this| this.expression(node, Site::new(scope, "UPDATE")));
        let sql = self.store(value?, column)?;
        if !mutable && is_constant(node, &sql) {
            self.remarks.constants.push(sql.clone());
        }
        Ok(sql)
    }

    /// Reads something, and tells whether a function in it may give another value at another time: the server computes only what
    /// can't before any row is read.
    fn observed<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> (T, bool) {
        let before = std::mem::replace(&mut self.is_mutable, false);
        let volatile = self.remarks.volatile.len();
        let read = read(self);
        let mutable = self.is_mutable || self.remarks.volatile.len() > volatile;
        self.is_mutable |= before;
        (read, mutable)
    }

    /// The assignment cast into a column, in its physical type.
    fn store(&mut self, value: Typed, column: &Column) -> Outcome<String> {
        if let Type::Opaque(name) = &column.ty
            && value.ty != column.ty
            && value.ty != Type::Unknown
            && !(is_citext(&column.ty) && family(&value.ty) == Family::Text)
        {
            return Err(Problem::unsupported(format!("an assignment to a column of type {name}")));
        }
        let value = self.coerce(value, &column.ty, Context::Assignment, Some(&column.name))?;
        Ok(format!("CAST({} AS {})", value.sql, physical(&column.ty)))
    }

    /// A column's default as a value of its physical type.
    pub(super) fn default_value(&mut self, table: &Table, column: &Column) -> Outcome<String> {
        if column.identity.is_some() || column.default.as_ref().is_some_and(|d| is_nextval(&d.node)) {
            self.volatile("numbers of a sequence");
            let sequence = self.catalog().sequence_of(table.oid, column);
            let known = sequence.and_then(|oid| self.catalog().sequences.get(&oid));
            if let Some((sequence, numbers)) = known.and_then(|s| Some((s.oid, s.numbers?))) {
                self.remarks.numbers.insert(sequence, Taken::EachRow);
                return Ok(format!(
                    "CAST({} + {} * (row_number() OVER () - 1) AS {})",
                    numbers.next,
                    numbers.step,
                    physical(&column.ty)
                ));
            }
            // The state of a snapshot's sequence isn't known: numbers go on from the largest there is.
            return Ok(format!(
                "CAST((SELECT coalesce(max(d.{c}), 0) FROM {t} AS d) + row_number() OVER () AS {ty})",
                c = column_name(column.attnum),
                t = table_name(table.oid),
                ty = physical(&column.ty)
            ));
        }
        let Some(default) = &column.default else {
            return Ok(format!("CAST(NULL AS {})", physical(&column.ty)));
        };
        if super::expression::contains_column(&default.node) {
            return Err(Problem::rejected("0A000", "cannot use column reference in DEFAULT expression"));
        }
        let scope = Scope::default();
        let site = Site::new(&scope, "DEFAULT expressions");
        let value = self.without_variables(|reader| reader.expression(&default.node, site))?;
        self.store(value, column).map_err(of_default)
    }

    /// Adds the new values of generated columns that depend on written ones.
    fn recompute(&mut self, table: &Table, columns: &mut Vec<AttNum>, staging_sql: &mut String) -> Outcome<()> {
        let generated: Vec<&Column> = table.columns.iter().filter(|c| c.generated.is_some()).collect();
        if generated.is_empty() {
            return Ok(());
        }
        let mut list = vec!["g.*".to_owned()];
        for column in generated {
            let scope = row_scope(table, |attnum| {
                if columns.contains(&attnum) { format!("g.n{attnum}") } else { format!("o.{}", column_name(attnum)) }
            });
            let expression = column.generated.as_ref().expect("a generated column");
            let value = self.without_variables(|reader| {
                reader.expression(&expression.node, Site::new(&scope, "column generation expressions"))
            })?;
            list.push(format!("{} AS n{}", self.store(value, column).map_err(of_default)?, column.attnum));
        }
        columns.extend(table.columns.iter().filter(|c| c.generated.is_some()).map(|c| c.attnum));
        *staging_sql = format!(
            "SELECT {} FROM ({staging_sql}) AS g JOIN {} AS o ON g._r = o._r",
            list.join(", "),
            table_name(table.oid)
        );
        Ok(())
    }

    pub(super) fn insert(&mut self, insert: &InsertStmt) -> Outcome<WritePlan> {
        let visible = self.named.len();
        if let Some(with) = &insert.with_clause {
            self.with(with)?;
        }
        let relation = insert.relation.as_ref().ok_or_else(|| Problem::unsupported("INSERT without a table"))?;
        let oid = self.target(relation)?;
        let table = self.table(oid)?.clone();
        let behind = self.behind(relation)?;
        if behind.is_some() && (insert.on_conflict_clause.is_some() || insert.returning_clause.is_some()) {
            return Err(Problem::unsupported("ON CONFLICT or RETURNING of an INSERT into a view"));
        }
        let mut columns = Vec::new();
        for node in &self.targets_behind(behind.as_ref(), &table, &insert.cols, "insert into")? {
            let Some(NodeEnum::ResTarget(target)) = &node.node else { continue };
            let column = self.assigned_column(&table, target)?.clone();
            if columns.iter().any(|c: &Column| c.attnum == column.attnum) {
                return Err(Problem::rejected("42701", format!("column \"{}\" specified more than once", column.name))
                    .at(target.location));
            }
            columns.push(column);
        }
        let all = insert.cols.is_empty();
        if all {
            columns = match &behind {
                Some(behind) => self.columns_behind(behind, &table)?,
                None => table.columns.clone(),
            };
        }
        let overriding = insert.r#override;
        let source = self.inserted_rows(insert, &table, &mut columns, all, overriding)?;
        let staging_sql = self.complete(&table, &columns, &source)?;
        let conflict = match insert.on_conflict_clause.as_deref() {
            Some(clause) => {
                Some(self.conflict(clause, &table, relation.alias.as_ref().map(|a| a.aliasname.as_str()))?)
            }
            None => None,
        };
        let returning = match &insert.returning_clause {
            Some(returning) if self.in_with => Some(self.returning_of_insert(returning, relation, &table)?),
            Some(returning) => {
                let mut scope = row_scope(&table, column_name);
                if let (Some(source), Some(alias)) = (scope.sources.first_mut(), &relation.alias) {
                    source.name.clone_from(&alias.aliasname);
                }
                // What can't be read here may be right; only names that aren't there are refused.
                if let Err(problem @ Problem::Rejected(_)) = self.check_returning(returning, &scope) {
                    return Err(problem);
                }
                None
            }
            None => None,
        };
        self.named.truncate(visible);
        Ok(WritePlan::Insert(InsertPlan {
            steps: std::mem::take(&mut self.steps),
            table: oid,
            staging_sql,
            columns: columns.iter().map(|c| c.attnum).collect(),
            is_listed: insert.select_stmt.as_deref().is_some_and(is_listed),
            conflict,
            remarks: std::mem::take(&mut self.remarks),
            writes: std::mem::take(&mut self.writes),
            returning,
        }))
    }

    /// The rows of VALUES or a query, with columns `n<attnum>` for those named. Fewer values than columns leave the rest out.
    fn inserted_rows(
        &mut self,
        insert: &InsertStmt,
        table: &Table,
        columns: &mut Vec<Column>,
        all: bool,
        overriding: i32,
    ) -> Outcome<String> {
        let refuse_generated = |column: &Column| -> Outcome<()> {
            if column.generated.is_some()
                || (column.identity == Some(Identity::Always)
                    && overriding != OverridingKind::OverridingSystemValue as i32)
            {
                let message = format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
                let problem = Problem::rejected("428C9", message);
                return Err(match column.generated {
                    Some(_) => problem,
                    None => problem.hint("Use OVERRIDING SYSTEM VALUE to override."),
                });
            }
            Ok(())
        };
        let Some(source) = insert.select_stmt.as_deref() else {
            columns.clear();
            return Ok("SELECT 1 AS o0".to_owned());
        };
        let Some(NodeEnum::SelectStmt(select)) = &source.node else {
            return Err(Problem::unsupported("this form of INSERT"));
        };
        if is_listed(source) {
            return self.inserted_values(select, table, columns, all, refuse_generated);
        }
        // The table's own columns can't be read here, but the server knows them when it misses one.
        let around = Scope { hidden: row_scope(table, column_name).sources, ..Scope::default() };
        let query: Query = self.query_in_order(select, Some(&around), true)?;
        fit(columns, query.outputs.len(), all)?;
        self.constant_outputs(select, columns)?;
        let mut list = Vec::new();
        for (column, output) in columns.iter().zip(&query.outputs) {
            refuse_generated(column)?;
            let value = match bare_literal(select, list.len()).filter(|_| output.ty == Type::Unknown) {
                Some(literal) => literal,
                None => Typed::new(format!("q.{}", output.column), output.ty.clone()),
            };
            list.push(format!("{} AS n{}", self.store(value, column)?, column.attnum));
        }
        Ok(format!("SELECT {} FROM ({}) AS q", list.join(", "), query.sql))
    }

    /// Constants among the outputs of the query that is inserted.
    fn constant_outputs(&mut self, select: &SelectStmt, columns: &[Column]) -> Outcome<()> {
        for (node, column) in select.target_list.iter().zip(columns) {
            let Some(NodeEnum::ResTarget(target)) = &node.node else { continue };
            let Some(node) = target.val.as_deref().filter(|value| is_constant(value, "error(")) else { continue };
            let scope = Scope::default();
            // A function of rows can't be read here, and isn't a constant.
            let (Ok(value), mutable) = self.observed(|this| this.expression(node, Site::new(&scope, "SELECT"))) else {
                continue;
            };
            if value.ty.assigns_to(&column.ty) && !mutable {
                let sql = self.store(value, column)?;
                self.remarks.constants.push(sql);
            }
        }
        Ok(())
    }

    fn inserted_values(
        &mut self,
        select: &SelectStmt,
        table: &Table,
        columns: &mut Vec<Column>,
        all: bool,
        refuse_generated: impl Fn(&Column) -> Outcome<()>,
    ) -> Outcome<String> {
        let scope = Scope { hidden: row_scope(table, column_name).sources, ..Scope::default() };
        let mut rows = Vec::new();
        let mut width = None;
        for row in &select.values_lists {
            let Some(NodeEnum::List(list)) = &row.node else { continue };
            if width.is_some_and(|w| w != list.items.len()) {
                return Err(Problem::rejected("42601", "VALUES lists must all be the same length"));
            }
            if width.is_none() {
                width = Some(list.items.len());
                fit(columns, list.items.len(), all)?;
            }
            let mut items = Vec::new();
            for (item, column) in list.items.iter().zip(columns.iter()) {
                items.push(match &item.node {
                    Some(NodeEnum::SetToDefault(_)) => self.default_value(table, column)?,
                    _ => {
                        refuse_generated(column)?;
                        let value = self.expression(item, Site::new(&scope, "VALUES"))?;
                        self.store(value, column)?
                    }
                });
            }
            rows.push(items);
        }
        let names: Vec<String> = columns.iter().map(|c| format!("n{}", c.attnum)).collect();
        // Numbers of a sequence and the like can't stand in VALUES.
        let plain = rows.iter().flatten().all(|item| !item.contains(" OVER ("));
        if plain {
            let rows: Vec<String> = rows.iter().map(|items| format!("({})", items.join(", "))).collect();
            return Ok(format!("SELECT * FROM (VALUES {}) AS v({})", rows.join(", "), names.join(", ")));
        }
        let mut given = vec![0; columns.len()];
        let rows: Vec<String> = rows
            .iter()
            .map(|items| {
                let mut list = Vec::new();
                for ((item, name), given) in items.iter().zip(&names).zip(&mut given) {
                    *given += u64::from(item.contains(" OVER ("));
                    list.push(format!("{} AS {name}", item.replace("row_number() OVER ()", &given.to_string())));
                }
                format!("SELECT {}", list.join(", "))
            })
            .collect();
        for (column, given) in columns.iter().zip(given) {
            if let Some(sequence) = self.catalog().sequence_of(table.oid, column)
                && let Some(taken) = self.remarks.numbers.get_mut(&sequence)
            {
                *taken = Taken::Some(given);
            }
        }
        Ok(rows.join(" UNION ALL "))
    }

    /// Adds defaults and generated columns: every column of the table.
    fn complete(&mut self, table: &Table, columns: &[Column], source: &str) -> Outcome<String> {
        let mut list = Vec::new();
        for column in table.columns.iter().filter(|c| c.generated.is_none()) {
            let name = format!("n{}", column.attnum);
            if columns.iter().any(|c| c.attnum == column.attnum) {
                list.push(format!("i.{name} AS {name}"));
            } else {
                let value = self.default_value(table, column)?;
                if value.contains("error(") {
                    self.remarks.constants.push(value.clone());
                }
                list.push(format!("{value} AS {name}"));
            }
        }
        let inner = format!("SELECT {} FROM ({source}) AS i", list.join(", "));
        let generated: Vec<&Column> = table.columns.iter().filter(|c| c.generated.is_some()).collect();
        if generated.is_empty() {
            return Ok(inner);
        }
        let mut list = vec!["g.*".to_owned()];
        for column in generated {
            let scope = row_scope(table, |attnum| format!("g.n{attnum}"));
            let expression = column.generated.as_ref().expect("a generated column");
            let value = self.without_variables(|reader| {
                reader.expression(&expression.node, Site::new(&scope, "column generation expressions"))
            })?;
            list.push(format!("{} AS n{}", self.store(value, column)?, column.attnum));
        }
        Ok(format!("SELECT {} FROM ({inner}) AS g", list.join(", ")))
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

/// Is this VALUES alone, whose rows come in their order?
fn is_listed(node: &Node) -> bool {
    matches!(&node.node, Some(NodeEnum::SelectStmt(select))
        if !select.values_lists.is_empty()
            && select.with_clause.is_none()
            && select.sort_clause.is_empty()
            && select.limit_count.is_none())
}

/// Does an expression read no row, as far as its form tells? `sql` is what became of it: a literal that was read without an error
/// needn't be computed.
fn is_constant(node: &Node, sql: &str) -> bool {
    let text = |val: &Option<Val>| !matches!(val, Some(Val::Ival(_) | Val::Fval(_)));
    if matches!(&node.node, Some(NodeEnum::AConst(constant)) if text(&constant.val)) {
        return sql.contains("error(");
    }
    let reads = |node: &NodeEnum| match node {
        NodeEnum::FuncCall(call) => call.agg_star || call.over.is_some(),
        NodeEnum::ColumnRef(_)
        | NodeEnum::SubLink(_)
        | NodeEnum::SetToDefault(_)
        | NodeEnum::ParamRef(_)
        | NodeEnum::SqlvalueFunction(_)
        | NodeEnum::MultiAssignRef(_) => true,
        _ => false,
    };
    let mut constant = true;
    tree::walk(node, &mut |node| constant &= !reads(node));
    constant
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

/// Cuts the column list to the values given; more values than columns are refused.
fn fit(columns: &mut Vec<Column>, values: usize, all: bool) -> Outcome<()> {
    if values > columns.len() {
        return Err(Problem::rejected("42601", "INSERT has more expressions than target columns"));
    }
    if values < columns.len() {
        if !all {
            return Err(Problem::rejected("42601", "INSERT has more target columns than expressions"));
        }
        columns.truncate(values);
    }
    Ok(())
}

/// The literal in a plain select list: it takes the type of the column that it goes into.
fn bare_literal(select: &SelectStmt, index: usize) -> Option<Typed> {
    let is_star = |node: &Node| match &node.node {
        Some(NodeEnum::ResTarget(target)) => matches!(
            target.val.as_deref().and_then(|value| value.node.as_ref()),
            Some(NodeEnum::ColumnRef(column)) if column.fields.iter().any(|f| matches!(f.node, Some(NodeEnum::AStar(_))))
        ),
        _ => false,
    };
    if !select.distinct_clause.is_empty() || select.larg.is_some() || select.target_list.iter().any(is_star) {
        return None;
    }
    let Some(NodeEnum::ResTarget(target)) = &select.target_list.get(index)?.node else { return None };
    let Some(NodeEnum::AConst(constant)) = target.val.as_deref().and_then(|value| value.node.as_ref()) else {
        return None;
    };
    match &constant.val {
        _ if constant.isnull => Some(Typed::null()),
        Some(pg_query::protobuf::a_const::Val::Sval(text)) => Some(Typed::string(&text.sval)),
        _ => None,
    }
}

/// The server words a mismatch of a default in its own way.
pub(super) fn of_default(problem: Problem) -> Problem {
    match problem {
        Problem::Rejected(mut error) if error.sqlstate == "42804" => {
            error.message = error.message.replace(" but expression is of type ", " but default expression is of type ");
            Problem::Rejected(error)
        }
        problem => problem,
    }
}

fn is_nextval(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::FuncCall(call)) => super::expression::words(&call.funcname).last() == Some(&"nextval"),
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_nextval),
        _ => false,
    }
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
