//! Views: CREATE VIEW, and what a query reads.
//!
//! Input: the parser's statement. Output: the view with the tables and columns it depends on. Invariant: renaming a table or a column
//! leaves a view as it was: its query gets the old names as aliases. Left out: the types of its columns, which the translator tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{Alias, ColumnRef, Node, RangeVar, ResTarget, SelectStmt, ViewStmt};

use super::reads::Reader;
use super::tables::named;
use super::{Applied, Change, TransactionState};
use crate::catalog::lookup::schema_of;
use crate::catalog::{Catalog, Expression, Oid, Outcome, Problem, RelationKind, Type, View, tree};

impl Catalog {
    /// CREATE VIEW; `columns` are its query's, `None` where it can't be read.
    ///
    /// # Errors
    /// As for [`Catalog::apply`].
    pub fn create_view(
        &mut self,
        statement: &ViewStmt,
        columns: Option<Vec<(String, Type)>>,
        transaction: &TransactionState,
    ) -> Outcome<Applied> {
        let applied =
            self.change(transaction, |change| change.create_view(statement, columns).map(|tag| Some(tag.to_owned())))?;
        applied.ok_or_else(|| Problem::unsupported("this form of a view"))
    }
}

impl Change {
    pub(super) fn create_view(
        &mut self,
        statement: &ViewStmt,
        columns: Option<Vec<(String, Type)>>,
    ) -> Outcome<&'static str> {
        let relation = named(statement.view.as_ref())?;
        let schema = self.schema_for(relation)?;
        let query = statement.query.as_deref().ok_or_else(|| Problem::unsupported("a view without a query"))?;
        let given = tree::strings(&statement.aliases);
        let (names, types) = view_columns(&given, columns)?;
        let before = match self.catalog.relation(&schema, &relation.relname) {
            Some((RelationKind::View, oid)) if statement.replace => {
                self.expect_replaceable(oid, &names, &types)?;
                Some(oid)
            }
            Some((_, _)) if statement.replace => {
                return Err(Problem::rejected("42809", format!("\"{}\" is not a view", relation.relname)));
            }
            Some(_) => {
                return Err(Problem::rejected("42P07", format!("relation \"{}\" already exists", relation.relname)));
            }
            None => {
                self.expect_free_row_type(&schema, &relation.relname)?;
                None
            }
        };
        let reader = Reader::of(&self.catalog, query);
        if let Some(missing) = reader.missing.first() {
            let schema = schema_of(missing);
            if !self.catalog.partial {
                return Err(self.catalog.missing_relation(schema, &missing.relname).at(missing.location));
            }
            let text =
                format!("the view reads {}, which the snapshot doesn't hold: it is recorded only", missing.relname);
            self.notes.push(text);
        }
        let depends_on = reader.reads;
        let view = View {
            oid: 0,
            schema,
            name: relation.relname.clone(),
            query: self.settled_query(query)?,
            columns: names,
            types,
            depends_on,
        };
        let oid = before.unwrap_or_else(|| self.catalog.new_oid());
        if statement.with_check_option > pg_query::protobuf::ViewCheckOption::NoCheckOption as i32 {
            self.catalog.checked_views.insert(oid);
        }
        self.catalog.views.insert(oid, View { oid, ..view });
        Ok("CREATE VIEW")
    }

    /// 42P16, where the new definition lacks or changes a column of the old one.
    fn expect_replaceable(&self, oid: Oid, names: &[String], types: &[Type]) -> Outcome<()> {
        let Some(view) = self.catalog.views.get(&oid) else { return Ok(()) };
        if view.types.is_empty() || types.is_empty() {
            return Ok(());
        }
        let refuse = |message: String| Err(Problem::rejected("42P16", message));
        if names.len() < view.columns.len() {
            return refuse("cannot drop columns from view".to_owned());
        }
        for (index, (old, old_type)) in view.columns.iter().zip(&view.types).enumerate() {
            if names[index] != *old {
                let message = format!("cannot change name of view column \"{old}\" to \"{}\"", names[index]);
                return Err(Problem::rejected("42P16", message)
                    .hint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead."));
            }
            if types[index] != *old_type {
                let (old_type, new_type) = (old_type.name(&self.catalog), types[index].name(&self.catalog));
                return refuse(format!(
                    "cannot change data type of view column \"{old}\" from {old_type} to {new_type}"
                ));
            }
        }
        Ok(())
    }

    /// A query as it is kept: each `*` in its outputs stands for the columns there are now, and each name for the relation it means
    /// now, whatever the search path becomes.
    pub(super) fn settled_query(&self, query: &Node) -> Outcome<Expression> {
        let mut query = query.clone();
        if let Some(NodeEnum::SelectStmt(select)) = &mut query.node {
            self.expand(select);
        }
        let local = common_names(&query);
        tree::walk_mut(&mut query, &mut |node| {
            let NodeEnum::RangeVar(relation) = node else { return };
            if !relation.schemaname.is_empty() || local.contains(&relation.relname) {
                return;
            }
            if let Some(schema) = self.schema_of_relation(&relation.relname) {
                relation.schemaname = schema;
            }
        });
        Expression::new(&query)
    }

    /// The schema in which a bare name is found.
    fn schema_of_relation(&self, name: &str) -> Option<String> {
        let catalog = &self.catalog;
        catalog.search_schemas().find(|schema| catalog.relation(schema, name).is_some()).map(str::to_owned)
    }

    fn expand(&self, select: &mut SelectStmt) {
        for side in [select.larg.as_deref_mut(), select.rarg.as_deref_mut()].into_iter().flatten() {
            self.expand(side);
        }
        let common: Vec<String> = select
            .with_clause
            .iter()
            .flat_map(|with| &with.ctes)
            .filter_map(|node| match &node.node {
                Some(NodeEnum::CommonTableExpr(common)) => Some(common.ctename.clone()),
                _ => None,
            })
            .collect();
        let mut items: Vec<Listed> = Vec::new();
        let known = select.from_clause.iter().all(|node| self.list(node, &common, &mut items));
        let mut targets = Vec::new();
        for target in std::mem::take(&mut select.target_list) {
            let stars = star(&target).and_then(|alias| match alias {
                // With an item whose columns aren't known here, a bare * stays.
                None => known.then(|| items.iter().collect::<Vec<_>>()),
                Some(alias) => items.iter().find(|item| item.alias == alias).map(|item| vec![item]),
            });
            match stars {
                Some(stars) => targets.extend(stars.into_iter().flat_map(Listed::targets)),
                None => targets.push(target),
            }
        }
        select.target_list = targets;
    }

    /// Lists what stands in FROM; false where an item's columns aren't known here.
    fn list(&self, node: &Node, common: &[String], items: &mut Vec<Listed>) -> bool {
        match &node.node {
            Some(NodeEnum::RangeVar(relation)) => {
                let schema = schema_of(relation);
                if schema.is_none() && common.contains(&relation.relname) {
                    return false;
                }
                let mut columns = match self.catalog.find_relation(schema, &relation.relname) {
                    Some((RelationKind::Table | RelationKind::MaterializedView, oid)) => {
                        self.catalog.tables[&oid].columns.iter().map(|column| column.name.clone()).collect()
                    }
                    Some((RelationKind::View, oid)) if !self.catalog.views[&oid].types.is_empty() => {
                        self.catalog.views[&oid].columns.clone()
                    }
                    _ => return false,
                };
                let alias = relation.alias.as_ref();
                let given = alias.map(|alias| tree::strings(&alias.colnames)).unwrap_or_default();
                for (column, given) in columns.iter_mut().zip(given) {
                    *column = given;
                }
                let alias = alias.map_or_else(|| relation.relname.clone(), |alias| alias.aliasname.clone());
                items.push(Listed { alias, columns });
                true
            }
            Some(NodeEnum::JoinExpr(join))
                if join.using_clause.is_empty() && !join.is_natural && join.alias.is_none() =>
            {
                let mut known = true;
                for side in [&join.larg, &join.rarg].into_iter().flatten() {
                    known &= self.list(side, common, items);
                }
                known
            }
            _ => false,
        }
    }

    /// Before a table gets another name or schema: queries kept in the catalog name it anew, and go on calling it as before.
    pub(super) fn rename_in_queries(&mut self, oid: Oid, schema: &str, name: &str) {
        self.change_in_queries(oid, &mut |relation| {
            if relation.alias.is_none() {
                relation.alias = Some(Alias { aliasname: relation.relname.clone(), colnames: vec![] });
            }
            schema.clone_into(&mut relation.schemaname);
            name.clone_into(&mut relation.relname);
        });
    }

    /// Before a column of the table gets another name: queries go on calling all columns as before.
    pub(super) fn keep_columns_in_queries(&mut self, oid: Oid) {
        let columns: Vec<Node> = match (self.catalog.tables.get(&oid), self.catalog.views.get(&oid)) {
            (Some(table), _) => table.columns.iter().map(|column| tree::name(&column.name)).collect(),
            (None, Some(view)) => view.columns.iter().map(|column| tree::name(column)).collect(),
            (None, None) => return,
        };
        self.change_in_queries(oid, &mut |relation| {
            let name = relation.relname.clone();
            let alias = relation.alias.get_or_insert_with(|| Alias { aliasname: name, colnames: vec![] });
            // Names given in the query itself stand for the first columns.
            let given = alias.colnames.len().min(columns.len());
            alias.colnames.extend_from_slice(&columns[given..]);
        });
    }

    /// Before a column goes: aliases of the columns behind it move up.
    pub(super) fn forget_view_column(&mut self, oid: Oid, place: usize) {
        self.change_in_queries(oid, &mut |relation| {
            if let Some(alias) = relation.alias.as_mut().filter(|alias| place < alias.colnames.len()) {
                alias.colnames.remove(place);
            }
        });
    }

    fn change_in_queries(&mut self, oid: Oid, change: &mut dyn FnMut(&mut RangeVar)) {
        let mut catalog = std::mem::take(&mut self.catalog);
        let names: BTreeMap<(String, String), Oid> = relation_names(&catalog);
        let path: Vec<String> = catalog.search_schemas().map(str::to_owned).collect();
        let means = |relation: &RangeVar| {
            let of = |schema: &str| names.get(&(schema.to_owned(), relation.relname.clone())).copied();
            match schema_of(relation) {
                Some(schema) => of(schema),
                None => path.iter().find_map(|schema| of(schema)),
            }
        };
        let views = catalog.views.values_mut().map(|view| &mut view.query);
        let filled = catalog.tables.values_mut().filter_map(|table| table.materialized.as_mut());
        for query in views.chain(filled) {
            let local = common_names(&query.node);
            let mut named = false;
            tree::walk(&query.node, &mut |node| {
                named |= matches!(node, NodeEnum::RangeVar(relation) if means(relation) == Some(oid));
            });
            if !named {
                continue;
            }
            let mut changed = false;
            tree::walk_mut(Arc::make_mut(&mut query.node), &mut |node| {
                if let NodeEnum::RangeVar(relation) = node
                    && !(relation.schemaname.is_empty() && local.contains(&relation.relname))
                    && means(relation) == Some(oid)
                {
                    change(relation);
                    changed = true;
                }
            });
            if changed {
                query.rewrite();
            }
        }
        self.catalog = catalog;
    }
}

fn relation_names(catalog: &Catalog) -> BTreeMap<(String, String), Oid> {
    let tables = catalog.tables.values().map(|t| ((t.schema.clone(), t.name.clone()), t.oid));
    tables.chain(catalog.views.values().map(|v| ((v.schema.clone(), v.name.clone()), v.oid))).collect()
}

/// Names of the query's own common table expressions.
fn common_names(query: &Node) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    tree::walk(query, &mut |node| {
        if let NodeEnum::CommonTableExpr(common) = node {
            names.insert(common.ctename.clone());
        }
    });
    names
}

/// Something in FROM whose columns are known by name.
struct Listed {
    alias: String,
    columns: Vec<String>,
}

impl Listed {
    /// `alias.column` for each column.
    fn targets(&self) -> Vec<Node> {
        let target = |column: &String| {
            let fields = vec![tree::name(&self.alias), tree::name(column)];
            let column = NodeEnum::ColumnRef(ColumnRef { fields, location: -1 });
            let value = Some(Box::new(Node { node: Some(column) }));
            Node { node: Some(NodeEnum::ResTarget(Box::new(ResTarget { val: value, ..ResTarget::default() }))) }
        };
        self.columns.iter().map(target).collect()
    }
}

/// The output is a `*`: of everything, or of one item.
fn star(target: &Node) -> Option<Option<String>> {
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
    let Some(NodeEnum::ColumnRef(column)) = target.val.as_deref().and_then(|value| value.node.as_ref()) else {
        return None;
    };
    let is_star = matches!(column.fields.last().and_then(|field| field.node.as_ref()), Some(NodeEnum::AStar(_)));
    match tree::strings(&column.fields).as_slice() {
        [] if is_star => Some(None),
        [alias] if is_star => Some(Some(alias.clone())),
        _ => None,
    }
}

/// Names and types of a view's columns: the definition's names before the query's.
fn view_columns(given: &[String], columns: Option<Vec<(String, Type)>>) -> Outcome<(Vec<String>, Vec<Type>)> {
    let Some(columns) = columns else { return Ok((given.to_vec(), vec![])) };
    if given.len() > columns.len() {
        return Err(Problem::rejected("42601", "CREATE VIEW specifies more column names than columns"));
    }
    let mut names: Vec<String> = Vec::new();
    let mut types = Vec::new();
    for (index, (name, ty)) in columns.into_iter().enumerate() {
        let name = given.get(index).cloned().unwrap_or(name);
        if names.contains(&name) {
            return Err(Problem::rejected("42701", format!("column \"{name}\" specified more than once")));
        }
        names.push(name);
        types.push(if ty == Type::Unknown { Type::Text } else { ty });
    }
    Ok((names, types))
}
