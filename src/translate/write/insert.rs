//! INSERT: the rows of VALUES or a query, completed to whole rows of the table.

use pg_query::NodeEnum;
use pg_query::protobuf::{InsertStmt, Node, OverridingKind, SelectStmt, a_const::Val};

use super::row_scope;
use crate::catalog::{Column, Identity, Outcome, Problem, Table, Type};
use crate::translate::expression::Site;
use crate::translate::query::Query;
use crate::translate::reader::Reader;
use crate::translate::scope::Scope;
use crate::translate::typed::Typed;
use crate::translate::{InsertPlan, Taken, WritePlan, column_name};

/// OVERRIDING SYSTEM VALUE or USER VALUE.
fn overrides(kind: i32) -> bool {
    [OverridingKind::OverridingSystemValue as i32, OverridingKind::OverridingUserValue as i32].contains(&kind)
}

impl Reader<'_> {
    pub(in crate::translate) fn insert(&mut self, insert: &InsertStmt) -> Outcome<WritePlan> {
        let visible = self.named.len();
        if let Some(with) = &insert.with_clause {
            self.with(with)?;
        }
        let relation = insert.relation.as_ref().ok_or_else(|| Problem::unsupported("INSERT without a table"))?;
        let oid = self.target(relation)?;
        if self.catalog().partitions.contains_key(&oid) {
            return Err(Problem::unsupported("an INSERT into a partition").at(relation.location));
        }
        let table = self.table(oid)?.clone();
        let behind = self.behind(relation)?;
        if behind.is_some() && (insert.on_conflict_clause.is_some() || insert.returning_clause.is_some()) {
            return Err(Problem::unsupported("ON CONFLICT or RETURNING of an INSERT into a view"));
        }
        let mut columns = Vec::new();
        // COPY leaves out what can't be written.
        let is_copied = names_no_column(&insert.cols);
        let named: &[Node] = if is_copied { &[] } else { &insert.cols };
        for node in &self.targets_behind(behind.as_ref(), &table, named, "insert into")? {
            let Some(NodeEnum::ResTarget(target)) = &node.node else { continue };
            let column = self.assigned_column(&table, target)?.clone();
            if columns.iter().any(|c: &Column| c.attnum == column.attnum) {
                return Err(Problem::rejected("42701", format!("column \"{}\" specified more than once", column.name))
                    .at(target.location));
            }
            columns.push(column);
        }
        let all = insert.cols.is_empty() || is_copied;
        if all {
            columns = match &behind {
                Some(behind) => self.columns_behind(behind, &table)?,
                None => table.columns.iter().filter(|c| !is_copied || c.generated.is_none()).cloned().collect(),
            };
        }
        let overriding = insert.r#override;
        let source = self.inserted_rows(insert, &table, &mut columns, all, overriding)?;
        if overriding == OverridingKind::OverridingUserValue as i32 {
            // What is given for them counts for nothing.
            columns.retain(|column| column.identity.is_none());
        }
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
            if column.generated.is_some() || (column.identity == Some(Identity::Always) && !overrides(overriding)) {
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
        self.stored_constants(select, columns)?;
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
        // All of them are computed, as every row is there.
        let constants = self.constants();
        for row in &select.values_lists {
            self.forget_constants(constants);
            let Some(NodeEnum::List(list)) = &row.node else { continue };
            let given = self.spelled_out(&list.items, &scope);
            if width.is_some_and(|w| w != given.len()) {
                return Err(Problem::rejected("42601", "VALUES lists must all be the same length"));
            }
            if width.is_none() {
                width = Some(given.len());
                fit(columns, given.len(), all)?;
            }
            let mut items = Vec::new();
            for (item, column) in given.iter().zip(columns.iter()) {
                items.push(match &item.node {
                    Some(NodeEnum::SetToDefault(_)) => self.default_value(table, column)?,
                    _ => {
                        refuse_generated(column)?;
                        let value = self.as_composite(item, &column.ty, Site::new(&scope, "VALUES"))?;
                        self.store(value, column)?
                    }
                });
            }
            rows.push(items);
        }
        self.forget_constants(constants);
        let names: Vec<String> = columns.iter().map(|c| format!("n{}", c.attnum)).collect();
        // Numbers of a sequence and the like can't stand in VALUES.
        let plain = rows.iter().flatten().all(|item| !item.contains(" OVER ("));
        if plain {
            let rows: Vec<String> = rows.iter().map(|items| format!("({})", items.join(", "))).collect();
            return Ok(format!("SELECT * FROM (VALUES {}) AS v({})", rows.join(", "), names.join(", ")));
        }
        let mut given: Vec<Vec<u64>> = vec![Vec::new(); columns.len()];
        let rows: Vec<String> = (0..)
            .zip(&rows)
            .map(|(place, items)| {
                let mut list = Vec::new();
                for ((item, name), given) in items.iter().zip(&names).zip(&mut given) {
                    if item.contains(" OVER (") {
                        given.push(place);
                    }
                    list.push(format!("{} AS {name}", item.replace("row_number() OVER ()", &given.len().to_string())));
                }
                format!("SELECT {}", list.join(", "))
            })
            .collect();
        for (column, given) in columns.iter().zip(given) {
            if let Some(sequence) = self.catalog().sequence_of(table.oid, column)
                && let Some(taken) = self.remarks.numbers.get_mut(&sequence)
            {
                *taken = Taken::Listed(given);
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
        let constants = self.constants();
        for column in generated {
            let scope = row_scope(table, |attnum| format!("g.n{attnum}"));
            let expression = column.generated.as_ref().expect("a generated column");
            let value = self.without_variables(|reader| {
                reader.expression(&expression.node, Site::new(&scope, "column generation expressions"))
            })?;
            list.push(format!("{} AS n{}", self.store(value, column)?, column.attnum));
        }
        self.forget_constants(constants);
        Ok(format!("SELECT {} FROM ({inner}) AS g", list.join(", ")))
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
        Some(Val::Sval(text)) => Some(Typed::string(&text.sval)),
        _ => None,
    }
}

/// The columns of a COPY that names none: a target that stands nowhere, as no INSERT has one.
fn names_no_column(columns: &[Node]) -> bool {
    matches!(columns, [Node { node: Some(NodeEnum::ResTarget(target)) }] if target.name == "*" && target.location < 0)
}
