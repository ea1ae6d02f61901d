//! FROM clauses: tables, views, subqueries, functions and joins become sources of a scope.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    Alias, CommonTableExpr, JoinExpr, JoinType, Node, RangeFunction, RangeSubselect, RangeVar, SelectStmt,
    SetOperation, WithClause,
};

use super::arrival::Numbered;
use super::cast::{Context, convert};
use super::expression::{Site, required, words};
use super::query::VALUES_LISTED;
use super::reader::{Named, Reader};
use super::rows::RowColumn;
use super::scope::{Scope, Source, SourceColumn};
use super::typed::Typed;
use super::{Output, Recursion, Step, column_name, table_name};
use crate::catalog::{Oid, Outcome, Problem, Table, Type};

/// Views within views that are followed.
const VIEW_DEPTH: usize = 32;

impl Reader<'_> {
    /// Reads a FROM clause into `scope`; returns its DuckDB SQL, empty where there is none.
    pub(super) fn read_from(&mut self, nodes: &[Node], scope: &mut Scope<'_>) -> Outcome<String> {
        let items = nodes.iter().map(|node| self.read_item(node, scope)).collect::<Outcome<Vec<_>>>()?;
        Ok(items.join(", "))
    }

    fn read_item(&mut self, node: &Node, scope: &mut Scope<'_>) -> Outcome<String> {
        match &node.node {
            Some(NodeEnum::RangeVar(relation)) => {
                let (source, sql) = self.relation(relation).map_err(|p| p.at(relation.location))?;
                self.push(source, scope)?;
                Ok(sql)
            }
            Some(NodeEnum::RangeSubselect(subselect)) => self.subselect(subselect, scope),
            Some(NodeEnum::RangeFunction(function)) => self.range_function(function, scope),
            Some(NodeEnum::JoinExpr(join)) => self.join(join, scope),
            Some(NodeEnum::RangeTableSample(_)) => Err(Problem::unsupported("TABLESAMPLE")),
            _ => Err(Problem::unsupported("this form of FROM")),
        }
    }

    fn push(&mut self, source: Source, scope: &mut Scope<'_>) -> Outcome<()> {
        if scope.sources.iter().any(|s| s.name == source.name && s.schema == source.schema) {
            return Err(Problem::rejected("42712", format!("table name \"{}\" specified more than once", source.name)));
        }
        scope.sources.push(source);
        Ok(())
    }

    /// A name in FROM: a common table expression, a table, a view.
    fn relation(&mut self, relation: &RangeVar) -> Outcome<(Source, String)> {
        let name = relation.relname.as_str();
        let schema = Some(relation.schemaname.as_str()).filter(|s| !s.is_empty());
        if schema.is_none()
            && let Some(named) = self.named.iter().rev().find(|n| n.name == name).cloned()
        {
            let alias = format!("s{}", self.number());
            let source = source_of(&alias, name, &named.outputs, relation.alias.as_ref())?;
            return Ok((source, format!("{} AS {alias}", named.table)));
        }
        if let Some(table) = self.catalog().table(schema, name) {
            if !table.populated {
                let message = format!("materialized view \"{name}\" has not been populated");
                return Err(Problem::rejected("55000", message).hint("Use the REFRESH MATERIALIZED VIEW command."));
            }
            return self.table_source(table, relation.alias.as_ref());
        }
        if self.catalog().sequence(schema, name).is_some() {
            return Err(Problem::unsupported(format!("reading the sequence {name} like a table")));
        }
        if let Some(view) = self.catalog().view(schema, name).cloned() {
            return self.view_source(&view, relation.alias.as_ref());
        }
        if let Some(system) = super::system::relation(self.catalog(), schema, name)? {
            self.asks_system = true;
            if self.catalog().partial && ["pg_type", "pg_enum"].contains(&name) {
                self.caveat(format!(
                    "a snapshot lists the types that its columns have: {name} may hold more on the server"
                ));
            }
            let alias = format!("s{}", self.number());
            let mut source = source_of(&alias, name, &system.outputs, relation.alias.as_ref())?;
            for ((column, output), _) in
                source.columns.iter_mut().zip(&system.outputs).zip(&system.untold).filter(|(_, untold)| **untold)
            {
                column.sql = super::system::told_or_refused(&column.sql, &output.name, &column.ty);
            }
            return Ok((source, format!("({}) AS {alias}", system.sql)));
        }
        if schema.is_some_and(|s| s == "pg_catalog" || s == "information_schema")
            || (schema.is_none() && name.starts_with("pg_"))
        {
            return Err(Problem::unsupported(format!("the system view {name}")));
        }
        Err(self.catalog().missing_relation(schema, name))
    }

    /// A table as a source.
    pub(super) fn table_source(&mut self, table: &Table, alias: Option<&Alias>) -> Outcome<(Source, String)> {
        let physical = format!("s{}", self.number());
        // A partition's rows are kept with its table.
        let (kept, rows) = match self.catalog().partitions.get(&table.oid) {
            None => (table.oid, table_name(table.oid)),
            Some(partition) => {
                let condition = self
                    .catalog()
                    .partition_condition(partition)
                    .ok_or_else(|| Problem::unsupported(format!("the rows of the partition {}", table.name)))?;
                let condition = self.row_expression(partition.parent, &condition.node, "a partition's bound")?.sql;
                (partition.parent, format!("(SELECT * FROM {} WHERE {condition})", table_name(partition.parent)))
            }
        };
        let mut source = Source {
            name: alias.map_or_else(|| table.name.clone(), |a| a.aliasname.clone()),
            schema: alias.is_none().then(|| table.schema.clone()),
            columns: table
                .columns
                .iter()
                .map(|column| SourceColumn {
                    name: column.name.clone(),
                    ty: column.ty.clone(),
                    sql: format!("{physical}.{}", column_name(column.attnum)),
                    origin: Some((kept, column.attnum)),
                })
                .collect(),
            row: Some(format!("{physical}._r")),
            table: Some(table.oid),
            alias: physical.clone(),
            scalar: false,
        };
        rename(&mut source.columns, alias, &source.name)?;
        self.remarks.reads.entry(kept).or_default();
        Ok((source, format!("{rows} AS {physical}")))
    }

    fn view_source(&mut self, view: &crate::catalog::View, alias: Option<&Alias>) -> Outcome<(Source, String)> {
        let Some(NodeEnum::SelectStmt(select)) = &view.query.node.node else {
            return Err(Problem::unsupported(format!("the view {}", view.name)));
        };
        if self.view_depth >= VIEW_DEPTH {
            return Err(Problem::unsupported(format!("the view {}, nested too deeply,", view.name)));
        }
        // A view's query sees none of the names around it.
        let named = std::mem::take(&mut self.named);
        self.view_depth += 1;
        let unread = std::mem::replace(&mut self.outputs_unread, true);
        let query = self.without_variables(|reader| reader.query(select, None));
        self.outputs_unread = unread;
        self.view_depth -= 1;
        self.named = named;
        let query = query?;
        let physical = format!("s{}", self.number());
        let mut outputs = query.outputs;
        if !view.types.is_empty() && outputs.len() != view.columns.len() {
            let what = format!("the view {}, whose * stood for other columns when it was made,", view.name);
            return Err(Problem::unsupported(what));
        }
        for (output, name) in outputs.iter_mut().zip(&view.columns) {
            output.name.clone_from(name);
        }
        let source = source_of(&physical, &view.name, &outputs, alias)?;
        Ok((source, format!("({}) AS {physical}", query.sql)))
    }

    fn subselect(&mut self, subselect: &RangeSubselect, scope: &mut Scope<'_>) -> Outcome<String> {
        let Some(NodeEnum::SelectStmt(select)) = required(&subselect.subquery)?.node.as_ref() else {
            return Err(Problem::unsupported("this form of subquery"));
        };
        if subselect.alias.is_none() && !self.catalog().is_newer {
            let (what, example) = match select.values_lists.is_empty() {
                true => ("subquery", "SELECT ..."),
                false => ("VALUES", "VALUES ..."),
            };
            return Err(Problem::rejected("42601", format!("{what} in FROM must have an alias"))
                .hint(format!("For example, FROM ({example}) [AS] foo.")));
        }
        let physical = format!("s{}", self.number());
        let unread = std::mem::replace(&mut self.outputs_unread, true);
        let has_order = !select.target_list.is_empty() && select.with_clause.is_none();
        self.numbered = has_order.then(|| physical.clone());
        let query = if subselect.lateral {
            let around = scope.clone();
            self.query(select, Some(&around))
        } else {
            self.query(select, scope.outer)
        };
        self.numbered = None;
        self.outputs_unread = unread;
        let mut query = query?;
        if !select.values_lists.is_empty() && select.sort_clause.is_empty() && select.limit_count.is_none() {
            let place = self.numberings.offer(&physical, "o0".to_owned(), Numbered::Rows);
            query.sql = query.sql.replacen(VALUES_LISTED, &format!("{place}{VALUES_LISTED}"), 1);
        }
        let name = subselect.alias.as_ref().map_or(physical.as_str(), |a| a.aliasname.as_str());
        let source = source_of(&physical, name, &query.outputs, subselect.alias.as_ref())?;
        self.push(source, scope)?;
        let lateral = if subselect.lateral { "LATERAL " } else { "" };
        Ok(format!("{lateral}({}) AS {physical}", query.sql))
    }

    /// `unnest(…)`, `generate_series(…)`, `jsonb_array_elements(…)` in FROM.
    fn range_function(&mut self, function: &RangeFunction, scope: &mut Scope<'_>) -> Outcome<String> {
        let unsupported = || Problem::unsupported("this form of function in FROM");
        let [Node { node: Some(NodeEnum::List(list)) }] = function.functions.as_slice() else {
            return Err(unsupported());
        };
        let Some(NodeEnum::FuncCall(call)) = list.items.first().and_then(|n| n.node.as_ref()) else {
            return Err(unsupported());
        };
        let definitions = match &list.items.get(1).and_then(|n| n.node.as_ref()) {
            Some(NodeEnum::List(definitions)) => definitions.items.as_slice(),
            _ => function.coldeflist.as_slice(),
        };
        let name = words(&call.funcname).last().copied().unwrap_or_default().to_owned();
        let around = scope.clone();
        let site = Site::new(&around, "functions in FROM");
        if self.is_own(&words(&call.funcname)) {
            let (mut query, is_value) = self.own_rows(call, site)?;
            if function.ordinality {
                return Err(unsupported());
            }
            let alias = function.alias.as_ref();
            if let ([output], true, Some(alias)) = (query.outputs.as_mut_slice(), is_value, alias) {
                output.name.clone_from(&alias.aliasname);
            }
            let physical = format!("s{}", self.number());
            let source_name = alias.map_or(name.as_str(), |a| a.aliasname.as_str());
            let source = source_of(&physical, source_name, &query.outputs, alias)?;
            self.push(source, scope)?;
            return Ok(format!("LATERAL ({}) AS {physical}", query.sql));
        }
        let columns = if super::rows::gives_rows(&name) {
            self.rows_of(&name, call, definitions, site)?
        } else {
            let value = self.call(call, site)?;
            vec![RowColumn { name: name.clone(), ty: value.ty, list: format!("[{}]", value.sql) }]
        };
        let physical = format!("s{}", self.number());
        let alias = function.alias.as_ref();
        let mut items = Vec::new();
        let mut outputs = Vec::new();
        let single = columns.len() == 1 && !name.contains("record");
        for (at, column) in columns.iter().enumerate() {
            let output = format!("o{}", at + 1);
            // A value without a name of its own is named like the function's alias.
            let name = match alias.filter(|_| single && column.name == name) {
                Some(alias) => alias.aliasname.clone(),
                None => column.name.clone(),
            };
            items.push(format!("unnest({}) AS {output}", column.list));
            outputs.push(Output { name, ty: column.ty.clone(), column: output });
        }
        let longest: Vec<String> = columns.iter().map(|column| format!("len({})", column.list)).collect();
        let numbers = format!("unnest(generate_series(1, greatest({}))) AS o0", longest.join(", "));
        let numbering = if function.ordinality {
            items.push(numbers);
            outputs.push(Output { name: "ordinality".to_owned(), ty: Type::Int8, column: "o0".to_owned() });
            self.numberings.offer(&physical, String::new(), Numbered::Function)
        } else {
            self.numberings.offer(&physical, numbers, Numbered::Function)
        };
        let inner = format!("SELECT {}{numbering}", items.join(", "));
        let source_name = alias.map_or(name.as_str(), |a| a.aliasname.as_str());
        let mut source = source_of(&physical, source_name, &outputs, alias)?;
        source.scalar = single && !function.ordinality;
        self.push(source, scope)?;
        Ok(format!("LATERAL ({inner}) AS {physical}"))
    }

    fn join(&mut self, join: &JoinExpr, scope: &mut Scope<'_>) -> Outcome<String> {
        let start = scope.sources.len();
        let left = self.read_item(required(&join.larg)?, scope)?;
        let middle = scope.sources.len();
        let right = self.read_item(required(&join.rarg)?, scope)?;
        if join.alias.is_some() {
            return Err(Problem::unsupported("an alias of a whole join"));
        }
        let kind = JoinType::try_from(join.jointype).unwrap_or_default();
        let word = match kind {
            JoinType::JoinInner => "JOIN",
            JoinType::JoinLeft => "LEFT JOIN",
            JoinType::JoinRight => "RIGHT JOIN",
            JoinType::JoinFull => "FULL JOIN",
            _ => return Err(Problem::unsupported("this form of join")),
        };
        let mut shared: Vec<String> = words(&join.using_clause).iter().map(|w| (*w).to_owned()).collect();
        if join.is_natural {
            let right = &scope.sources[middle..];
            let in_right = |name: &str| right.iter().any(|s| s.columns.iter().any(|c| c.name == name));
            let left = scope.sources[start..middle].iter().flat_map(|s| &s.columns);
            shared = left.filter(|c| in_right(&c.name)).map(|c| c.name.clone()).collect();
        }
        let condition = match join.quals.as_deref() {
            Some(quals) => {
                // ON sees the two sides of the join, and what is around the query.
                let sides = Scope {
                    sources: scope.sources[start..].to_vec(),
                    merged: scope.merged.clone(),
                    outer: scope.outer,
                    hidden: scope.hidden.clone(),
                };
                Some(self.condition(quals, Site::new(&sides, "JOIN/ON"))?)
            }
            None if !shared.is_empty() => Some(self.using(&shared, kind, scope, start, middle)?),
            None => None,
        };
        Ok(match condition {
            Some(condition) => format!("({left} {word} {right} ON {condition})"),
            None => format!("({left} CROSS JOIN {right})"),
        })
    }

    fn using(
        &mut self,
        names: &[String],
        kind: JoinType,
        scope: &mut Scope<'_>,
        start: usize,
        middle: usize,
    ) -> Outcome<String> {
        let mut conditions = Vec::new();
        for name in names {
            let find = |sources: &[Source], side: &str| -> Outcome<SourceColumn> {
                let found = sources.iter().flat_map(|s| &s.columns).find(|c| c.name == *name).cloned();
                found.ok_or_else(|| {
                    Problem::rejected(
                        "42703",
                        format!("column \"{name}\" specified in USING clause does not exist in {side} table"),
                    )
                })
            };
            let already = scope.merged.iter().position(|c| c.name == *name);
            let left = match already {
                Some(at) => scope.merged.remove(at),
                None => find(&scope.sources[start..middle], "left")?,
            };
            let right = find(&scope.sources[middle..], "right")?;
            self.reads(left.origin);
            self.reads(right.origin);
            let ty = self.common_type(&[left.ty.clone(), right.ty.clone()], "JOIN/USING")?;
            let equal = self.operator(
                "=",
                Typed::new(left.sql.clone(), left.ty.clone()),
                Typed::new(right.sql.clone(), right.ty.clone()),
            )?;
            conditions.push(equal.sql);
            let sql = match kind {
                JoinType::JoinFull => format!("coalesce({}, {})", left.sql, right.sql),
                JoinType::JoinRight => right.sql,
                _ => left.sql,
            };
            scope.merged.push(SourceColumn { name: name.clone(), ty, sql, origin: None });
        }
        Ok(conditions.join(" AND "))
    }

    /// WITH: each query becomes a temporary table that is made first.
    pub(super) fn with(&mut self, with: &WithClause) -> Outcome<()> {
        let mut names = std::collections::BTreeSet::new();
        let is_whole = std::mem::replace(&mut self.is_whole, false);
        for node in &with.ctes {
            let Some(NodeEnum::CommonTableExpr(cte)) = &node.node else { continue };
            if !names.insert(cte.ctename.as_str()) {
                let message = format!("WITH query name \"{}\" specified more than once", cte.ctename);
                return Err(Problem::rejected("42712", message).at(cte.location));
            }
            let constants = self.constants();
            self.common_table(cte, with.recursive).map_err(|p| p.at(cte.location))?;
            // The server doesn't plan what isn't read.
            self.doubt_constants(constants);
        }
        self.is_whole = is_whole;
        Ok(())
    }

    fn common_table(&mut self, cte: &CommonTableExpr, recursive: bool) -> Outcome<()> {
        if cte.search_clause.is_some() || cte.cycle_clause.is_some() {
            return Err(Problem::unsupported("SEARCH and CYCLE"));
        }
        let body = required(&cte.ctequery)?;
        let Some(NodeEnum::SelectStmt(select)) = &body.node else {
            if let Some((table, mut outputs)) = self.write_in_with(body)? {
                name_outputs(&mut outputs, cte)?;
                self.named.push(Named { name: cte.ctename.clone(), table, outputs });
            }
            return Ok(());
        };
        if recursive && super::names::reads_relation(select, &cte.ctename) {
            return self.recursion(cte, select);
        }
        let query = self.query(select, None)?;
        let table = format!("x{}", self.number());
        let mut outputs = settled(query.outputs);
        name_outputs(&mut outputs, cte)?;
        self.steps.push(Step::Materialize { table: table.clone(), sql: query.sql });
        self.named.push(Named { name: cte.ctename.clone(), table, outputs });
        Ok(())
    }

    /// WITH RECURSIVE: the part before UNION, then the part after it on the rows of the level before.
    fn recursion(&mut self, cte: &CommonTableExpr, select: &SelectStmt) -> Outcome<()> {
        let name = &cte.ctename;
        let (Ok(SetOperation::SetopUnion), Some(left), Some(right)) =
            (SetOperation::try_from(select.op), &select.larg, &select.rarg)
        else {
            return Err(Problem::rejected(
                "42P19",
                format!(
                    "recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] recursive-term"
                ),
            ));
        };
        if !select.sort_clause.is_empty() || select.limit_count.is_some() || select.with_clause.is_some() {
            return Err(Problem::unsupported("ORDER BY, LIMIT or WITH in a recursive query"));
        }
        let base = self.query(left, None)?;
        let mut outputs = settled(base.outputs.clone());
        name_outputs(&mut outputs, cte)?;
        let (table, working) = (format!("x{}", self.number()), format!("x{}", self.number()));
        self.named.push(Named { name: name.clone(), table: working.clone(), outputs: outputs.clone() });
        let step = self.query(right, None);
        self.named.pop();
        let step = step?;
        if step.outputs.len() != outputs.len() {
            return Err(Problem::rejected("42601", "each UNION query must have the same number of columns"));
        }
        let mut list = Vec::new();
        for (index, (first, later)) in outputs.iter().zip(&step.outputs).enumerate() {
            let common = self.common_type(&[first.ty.clone(), later.ty.clone()], "UNION")?;
            if super::typed::base(&common) != super::typed::base(&first.ty) {
                let (had, overall) = (first.ty.base_name(self.catalog()), common.base_name(self.catalog()));
                return Err(Problem::rejected(
                    "42804",
                    format!("recursive query \"{name}\" column {} has type {had} in non-recursive term but type {overall} overall", index + 1),
                )
                .hint("Cast the output of the non-recursive term to the correct type."));
            }
            let value = Typed::new(format!("q.{}", later.column), later.ty.clone());
            let value = convert(value, &first.ty, Context::Implicit, None, self.catalog())?;
            list.push(format!("{} AS {}", value.sql, first.column));
        }
        self.steps.push(Step::Recurse(Recursion {
            name: name.clone(),
            table: table.clone(),
            working,
            base_sql: base.sql,
            step_sql: format!("SELECT {} FROM ({}) AS q", list.join(", "), step.sql),
            distinct: !select.all,
            columns: outputs.iter().map(|o| o.column.clone()).collect(),
            types: outputs.iter().map(|output| output.ty.clone()).collect(),
        }));
        self.named.push(Named { name: name.clone(), table, outputs });
        Ok(())
    }

    /// The table of a name that a statement writes.
    pub(super) fn target(&self, relation: &RangeVar) -> Outcome<Oid> {
        let schema = Some(relation.schemaname.as_str()).filter(|s| !s.is_empty());
        let name = relation.relname.as_str();
        match self.catalog().table(schema, name) {
            Some(table) if table.materialized.is_some() => {
                Err(Problem::rejected("42809", format!("cannot change materialized view \"{name}\""))
                    .at(relation.location))
            }
            Some(table) => Ok(table.oid),
            None if self.catalog().view(schema, name).is_some() => self.table_behind(relation),
            None => Err(self.catalog().missing_relation(schema, name).at(relation.location)),
        }
    }
}

/// Literals whose type nothing has decided are text from here on.
pub(super) fn settled(mut outputs: Vec<Output>) -> Vec<Output> {
    for output in &mut outputs {
        if output.ty == Type::Unknown {
            output.ty = Type::Text;
        }
    }
    outputs
}

fn name_outputs(outputs: &mut [Output], cte: &CommonTableExpr) -> Outcome<()> {
    let given = words(&cte.aliascolnames);
    if given.len() > outputs.len() {
        let (had, asked) = (outputs.len(), given.len());
        let message =
            format!("WITH query \"{}\" has {had} columns available but {asked} columns specified", cte.ctename);
        return Err(Problem::rejected("42P10", message));
    }
    for (output, name) in outputs.iter_mut().zip(given) {
        name.clone_into(&mut output.name);
    }
    Ok(())
}

/// A source over a relation whose columns are outputs.
fn source_of(physical: &str, name: &str, outputs: &[Output], alias: Option<&Alias>) -> Outcome<Source> {
    let mut columns: Vec<SourceColumn> = settled(outputs.to_vec())
        .into_iter()
        .map(|output| SourceColumn {
            sql: format!("{physical}.{}", output.column),
            name: output.name,
            ty: output.ty,
            origin: None,
        })
        .collect();
    let name = alias.map_or(name, |a| a.aliasname.as_str()).to_owned();
    rename(&mut columns, alias, &name)?;
    Ok(Source { name, schema: None, columns, row: None, table: None, alias: physical.to_owned(), scalar: false })
}

/// `AS t(a, b)`
fn rename(columns: &mut [SourceColumn], alias: Option<&Alias>, name: &str) -> Outcome<()> {
    let given = alias.map_or_else(Vec::new, |a| words(&a.colnames));
    if given.len() > columns.len() {
        return Err(Problem::rejected(
            "42P10",
            format!("table \"{name}\" has {} columns available but {} columns specified", columns.len(), given.len()),
        ));
    }
    for (column, new) in columns.iter_mut().zip(given) {
        new.clone_into(&mut column.name);
    }
    Ok(())
}
