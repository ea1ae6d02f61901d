//! What a query reads: tables and views, and of tables which columns.
//!
//! Input: a query as it was parsed. Output: the relations and columns that its view depends on. Left out: what functions read.

use std::collections::{BTreeMap, BTreeSet};

use pg_query::NodeEnum;
use pg_query::protobuf::{Alias, Node, RangeVar, SelectStmt};

use crate::catalog::lookup::schema_of;
use crate::catalog::{AttNum, Catalog, Oid, RelationKind, tree};

/// Tables and views that a query reads, and of tables which columns.
pub(super) type Reads = BTreeMap<Oid, BTreeSet<AttNum>>;

impl Catalog {
    /// Tables and views that a query reads, and of tables which columns.
    pub fn dependencies(&self, query: &Node) -> BTreeMap<Oid, BTreeSet<AttNum>> {
        Reader::of(self, query).reads
    }

    /// The same of a condition over the rows of a table.
    pub(super) fn dependencies_of_condition(&self, table: Oid, condition: &Node) -> Reads {
        let Some(owner) = self.tables.get(&table) else { return Reads::new() };
        let relation = RangeVar {
            schemaname: owner.schema.clone(),
            relname: owner.name.clone(),
            inh: true,
            relpersistence: "p".to_owned(),
            ..RangeVar::default()
        };
        let select = SelectStmt {
            from_clause: vec![Node { node: Some(NodeEnum::RangeVar(relation)) }],
            where_clause: Some(Box::new(condition.clone())),
            ..SelectStmt::default()
        };
        self.dependencies(&Node { node: Some(NodeEnum::SelectStmt(Box::new(select))) })
    }
}

/// Something in FROM.
struct Item {
    alias: String,
    /// The relation, with its columns as the query calls them; absent for anything that isn't one.
    relation: Option<(Oid, Vec<(String, AttNum)>)>,
}

type Scope = Vec<Item>;

pub(super) struct Reader<'a> {
    catalog: &'a Catalog,
    pub(super) reads: Reads,
    pub(super) missing: Vec<RangeVar>,
}

impl<'a> Reader<'a> {
    /// What `query` reads.
    pub(super) fn of(catalog: &'a Catalog, query: &Node) -> Self {
        let mut reader = Reader { catalog, reads: Reads::new(), missing: vec![] };
        reader.query(query, &mut vec![], &[]);
        reader
    }

    fn query(&mut self, node: &Node, scopes: &mut Vec<Scope>, common: &[String]) {
        if let Some(NodeEnum::SelectStmt(select)) = &node.node {
            self.select(select, scopes, common);
        }
    }

    fn select(&mut self, select: &SelectStmt, scopes: &mut Vec<Scope>, common: &[String]) {
        let mut common = common.to_vec();
        if let Some(with) = &select.with_clause {
            for node in &with.ctes {
                let Some(NodeEnum::CommonTableExpr(expression)) = &node.node else { continue };
                if with.recursive {
                    common.push(expression.ctename.clone());
                }
                if let Some(query) = &expression.ctequery {
                    self.query(query, scopes, &common);
                }
                common.push(expression.ctename.clone());
            }
        }
        for side in [select.larg.as_deref(), select.rarg.as_deref()].into_iter().flatten() {
            self.select(side, scopes, &common);
        }
        let mut scope = Scope::new();
        let mut conditions: Vec<&Node> = Vec::new();
        let mut shared: Vec<String> = Vec::new();
        for node in &select.from_clause {
            self.from(node, &mut scope, scopes, &common, &mut conditions, &mut shared);
        }
        scopes.push(scope);
        for name in &shared {
            self.shared_column(name, scopes);
        }
        let parts = [&select.distinct_clause, &select.target_list, &select.group_clause, &select.window_clause];
        let more = [&select.values_lists, &select.sort_clause];
        let single = [&select.where_clause, &select.having_clause, &select.limit_offset, &select.limit_count];
        let nodes =
            parts.into_iter().chain(more).flatten().chain(single.into_iter().filter_map(|node| node.as_deref()));
        for node in nodes.chain(conditions) {
            self.expression(node, scopes, &common);
        }
        scopes.pop();
    }

    fn from<'n>(
        &mut self,
        node: &'n Node,
        scope: &mut Scope,
        scopes: &mut Vec<Scope>,
        common: &[String],
        conditions: &mut Vec<&'n Node>,
        shared: &mut Vec<String>,
    ) {
        match &node.node {
            Some(NodeEnum::RangeVar(relation)) => {
                let item = self.relation(relation, common);
                scope.push(item);
            }
            Some(NodeEnum::JoinExpr(join)) => {
                for side in [&join.larg, &join.rarg].into_iter().flatten() {
                    self.from(side, scope, scopes, common, conditions, shared);
                }
                shared.extend(tree::strings(&join.using_clause));
                conditions.extend(join.quals.as_deref());
            }
            Some(NodeEnum::RangeSubselect(sub)) => {
                if let Some(query) = &sub.subquery {
                    // LATERAL sees what stands before it; elsewhere the names don't reach, and none is asked for.
                    scopes.push(std::mem::take(scope));
                    self.query(query, scopes, common);
                    *scope = scopes.pop().unwrap_or_default();
                }
                scope.push(Item { alias: alias_name(sub.alias.as_ref()), relation: None });
            }
            Some(NodeEnum::RangeFunction(function)) => {
                conditions.extend(&function.functions);
                scope.push(Item { alias: alias_name(function.alias.as_ref()), relation: None });
            }
            _ => scope.push(Item { alias: String::new(), relation: None }),
        }
    }

    fn relation(&mut self, relation: &RangeVar, common: &[String]) -> Item {
        let alias = relation.alias.as_ref().map_or_else(|| relation.relname.clone(), |alias| alias.aliasname.clone());
        let schema = schema_of(relation);
        if schema.is_none() && common.contains(&relation.relname) {
            return Item { alias, relation: None };
        }
        match self.catalog.find_relation(schema, &relation.relname) {
            Some((RelationKind::Table | RelationKind::MaterializedView, oid)) => {
                self.reads.entry(oid).or_default();
                let names = relation.alias.as_ref().map(|alias| tree::strings(&alias.colnames)).unwrap_or_default();
                let columns = self.catalog.tables[&oid].columns.iter().enumerate();
                let columns = columns
                    .map(|(index, column)| (names.get(index).unwrap_or(&column.name).clone(), column.attnum))
                    .collect();
                Item { alias, relation: Some((oid, columns)) }
            }
            Some((RelationKind::View, oid)) => {
                self.reads.entry(oid).or_default();
                Item { alias, relation: None }
            }
            Some(_) => Item { alias, relation: None },
            None => {
                let system = matches!(schema, Some("pg_catalog" | "information_schema"))
                    || (schema.is_none() && relation.relname.starts_with("pg_"));
                if !system {
                    self.missing.push(relation.clone());
                }
                Item { alias, relation: None }
            }
        }
    }

    fn expression(&mut self, node: &Node, scopes: &mut Vec<Scope>, common: &[String]) {
        match &node.node {
            Some(NodeEnum::SelectStmt(select)) => self.select(select, scopes, common),
            Some(NodeEnum::ColumnRef(column)) => {
                let names = tree::strings(&column.fields);
                self.column(&names, names.len() < column.fields.len(), scopes);
            }
            Some(node) => {
                for child in tree::children(node) {
                    self.expression(child, scopes, common);
                }
            }
            None => {}
        }
    }

    fn column(&mut self, names: &[String], star: bool, scopes: &[Scope]) {
        let mut read = |item: &Item, wanted: Option<&String>| -> bool {
            let Some((oid, columns)) = &item.relation else { return false };
            let mut found = false;
            for (name, attnum) in columns {
                if wanted.is_none_or(|wanted| wanted == name) {
                    self.reads.entry(*oid).or_default().insert(*attnum);
                    found = true;
                }
            }
            found
        };
        match (names, star) {
            ([], true) => {
                for item in scopes.last().into_iter().flatten() {
                    read(item, None);
                }
            }
            ([.., alias], true) => {
                if let Some(item) = find_item(scopes, alias) {
                    read(item, None);
                }
            }
            ([name], false) => {
                for scope in scopes.iter().rev() {
                    // A name without a table: it is of the innermost query that has it.
                    if scope.iter().any(|item| read(item, Some(name))) {
                        return;
                    }
                    if let Some(whole) = scope.iter().find(|item| item.alias == *name) {
                        read(whole, None);
                        return;
                    }
                    if scope.iter().any(|item| item.relation.is_none()) {
                        return;
                    }
                }
            }
            ([.., alias, name], false) => {
                if let Some(item) = find_item(scopes, alias) {
                    read(item, Some(name));
                }
            }
            ([], false) => {}
        }
    }

    /// JOIN … USING reads the column of both sides.
    fn shared_column(&mut self, name: &str, scopes: &[Scope]) {
        for item in scopes.last().into_iter().flatten() {
            let Some((oid, columns)) = &item.relation else { continue };
            let attnums = columns.iter().filter(|(own, _)| own == name).map(|(_, attnum)| *attnum);
            self.reads.entry(*oid).or_default().extend(attnums);
        }
    }
}

fn find_item<'s>(scopes: &'s [Scope], alias: &str) -> Option<&'s Item> {
    scopes.iter().rev().flatten().find(|item| item.alias == alias)
}

fn alias_name(alias: Option<&Alias>) -> String {
    alias.map_or_else(String::new, |alias| alias.aliasname.clone())
}
