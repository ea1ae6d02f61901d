//! GROUP BY: the keys of a query, and what of its rows they determine.

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::{GroupingSetKind, Node, SelectStmt, a_const::Val};

use super::targets::Target;
use crate::catalog::{ConstraintKind, IndexTarget, Outcome, Problem, Type};
use crate::translate::expression::{Site, words};
use crate::translate::function::contains_aggregate;
use crate::translate::reader::Reader;
use crate::translate::scope::Scope;
use crate::translate::typed::Typed;
use crate::translate::{column_name, equality};

/// The groups of a query.
#[derive(Debug, Default)]
pub(in crate::translate) struct Grouping {
    pub(super) keys: Vec<(String, Type)>,
    /// The items of GROUP BY; several sets of keys where `has_sets`.
    pub(super) items: Vec<String>,
    /// GROUPING SETS, ROLLUP or CUBE: a key is NULL where its set doesn't hold it.
    pub(super) has_sets: bool,
    /// Some key isn't a bare column.
    pub(super) computed: bool,
    /// Sources whose row a group determines: their key is among the group's.
    pub determined: BTreeSet<usize>,
}

impl Grouping {
    pub fn contains(&self, sql: &str) -> bool {
        self.keys.iter().any(|(key, _)| key == sql)
    }
}

impl Reader<'_> {
    /// The value of a group's key: of equal ones that are written differently, one.
    pub(in crate::translate) fn group_value(&mut self, key: Typed) -> Typed {
        match equality::is_loose(&key.ty) {
            true => Typed::new(self.one_of(&key.sql), key.ty),
            false => key,
        }
    }

    /// Does every source have a key among these columns, so that they identify a row?
    pub(in crate::translate) fn covers_key(&self, scope: &Scope<'_>, columns: &[String]) -> bool {
        !scope.sources.is_empty()
            && scope.sources.iter().all(|source| {
                let Some(table) = source.table.and_then(|oid| self.catalog().tables.get(&oid)) else { return false };
                self.catalog().indexes.values().any(|index| {
                    index.table == table.oid
                        && index.unique
                        && index.predicate.is_none()
                        && index.keys.iter().all(|key| match &key.target {
                            IndexTarget::Column(attnum) => table.columns.iter().any(|column| {
                                column.attnum == *attnum
                                    && column.not_null
                                    && columns.contains(&format!("{}.{}", source.alias, column_name(*attnum)))
                            }),
                            IndexTarget::Expression(_) => false,
                        })
                })
            })
    }

    /// GROUP BY, HAVING or an aggregate makes a query a grouped one.
    pub(super) fn grouping(
        &mut self,
        select: &SelectStmt,
        scope: &Scope<'_>,
        targets: &[(String, Target)],
    ) -> Outcome<Option<Grouping>> {
        let aggregates = targets.iter().any(|(_, t)| matches!(t, Target::Expression(node) if contains_aggregate(node)))
            || select.sort_clause.iter().any(contains_aggregate);
        if select.group_clause.is_empty() && select.having_clause.is_none() && !aggregates {
            return Ok(None);
        }
        let mut grouping = Grouping::default();
        for node in &select.group_clause {
            let item = self.group_item(node, scope, targets, &mut grouping)?;
            grouping.items.push(item);
        }
        if grouping.has_sets {
            if let Some((_, ty)) = grouping.keys.iter().find(|(_, ty)| equality::is_loose(ty)) {
                return Err(Problem::unsupported(format!("grouping sets of {} values", ty.name(self.catalog()))));
            }
            if select.group_distinct {
                return Err(Problem::unsupported("GROUP BY DISTINCT"));
            }
            return Ok(Some(grouping));
        }
        let keys: Vec<String> = grouping.keys.iter().map(|(sql, _)| sql.clone()).collect();
        for (index, source) in scope.sources.iter().enumerate() {
            let alone = Scope { sources: vec![source.clone()], ..Scope::default() };
            let primary = source.table.is_some_and(|oid| {
                self.catalog()
                    .constraints
                    .values()
                    .any(|c| c.table == oid && matches!(c.kind, ConstraintKind::PrimaryKey(_)))
            });
            if primary && self.covers_key(&alone, &keys) {
                grouping.determined.insert(index);
            }
        }
        Ok(Some(grouping))
    }

    /// Columns that the keys determine and that queries inside of this one read: to the engine they must be keys themselves.
    pub(super) fn determined_keys(&self, grouping: &Grouping, scope: &Scope<'_>) -> Vec<String> {
        let sources = grouping.determined.iter().filter_map(|index| scope.sources.get(*index));
        let columns = sources.flat_map(|source| &source.columns).map(|column| column.sql.clone());
        columns.filter(|sql| self.outward.contains(sql) && !grouping.contains(sql)).collect()
    }

    /// An item of GROUP BY as SQL, its keys noted.
    fn group_item(
        &mut self,
        node: &Node,
        scope: &Scope<'_>,
        targets: &[(String, Target)],
        grouping: &mut Grouping,
    ) -> Outcome<String> {
        if let Some(NodeEnum::GroupingSet(set)) = &node.node {
            grouping.has_sets = true;
            let items = set.content.iter().map(|node| self.group_item(node, scope, targets, grouping));
            let items = items.collect::<Outcome<Vec<_>>>()?.join(", ");
            return Ok(match GroupingSetKind::try_from(set.kind) {
                Ok(GroupingSetKind::GroupingSetEmpty) => "()".to_owned(),
                Ok(GroupingSetKind::GroupingSetRollup) => format!("ROLLUP ({items})"),
                Ok(GroupingSetKind::GroupingSetCube) => format!("CUBE ({items})"),
                Ok(GroupingSetKind::GroupingSetSets) => format!("GROUPING SETS ({items})"),
                _ => return Err(Problem::unsupported("this form of GROUP BY")),
            });
        }
        if let Some(NodeEnum::RowExpr(row)) = &node.node {
            let items = row.args.iter().map(|node| self.group_item(node, scope, targets, grouping));
            return Ok(format!("({})", items.collect::<Outcome<Vec<_>>>()?.join(", ")));
        }
        let value = self.group_key(node, scope, targets)?;
        self.has_equality(&value.ty)?;
        grouping.computed |= !is_column(&value.sql);
        let item = equality::key(&value.sql, &value.ty);
        grouping.keys.push((value.sql, value.ty));
        Ok(item)
    }

    /// `GROUPING(a, b)`: a bit for each key that the row's set doesn't hold.
    pub(in crate::translate) fn grouping_of(&mut self, keys: &[Node], site: Site<'_>) -> Outcome<Typed> {
        let misplaced = || {
            Problem::rejected(
                "42803",
                "arguments to GROUPING must be grouping expressions of the associated query level",
            )
        };
        let Some(grouping) = site.grouping else { return Err(misplaced()) };
        let mut found = Vec::new();
        for node in keys {
            let value = self.expression(node, site.ungrouped())?;
            if !grouping.contains(&value.sql) {
                return Err(misplaced());
            }
            found.push(value.sql);
        }
        Ok(match grouping.has_sets {
            true => Typed::new(format!("CAST(grouping({}) AS INTEGER)", found.join(", ")), Type::Int4),
            false => Typed::new("CAST(0 AS INTEGER)", Type::Int4),
        })
    }

    /// A GROUP BY item: a column of the sources before an output's name, or an output's number.
    fn group_key(&mut self, node: &Node, scope: &Scope<'_>, targets: &[(String, Target)]) -> Outcome<Typed> {
        let site = Site::new(scope, "GROUP BY");
        let read = |this: &mut Self, target: &Target| match target {
            Target::Expression(node) => this.expression(node, site),
            Target::Column(column) => Ok(column.value.clone()),
        };
        match &node.node {
            Some(NodeEnum::AConst(constant)) => {
                let Some(Val::Ival(place)) = &constant.val else {
                    return Err(Problem::rejected("42601", "non-integer constant in GROUP BY"));
                };
                let target = usize::try_from(place.ival).ok().and_then(|at| targets.get(at.wrapping_sub(1)));
                match target {
                    Some((_, target)) => read(self, target),
                    None => Err(Problem::rejected(
                        "42P10",
                        format!("GROUP BY position {} is not in select list", place.ival),
                    )),
                }
            }
            Some(NodeEnum::ColumnRef(column)) if column.fields.len() == 1 => {
                let name = words(&column.fields).first().copied().unwrap_or_default();
                let inner = Scope { outer: None, ..scope.clone() };
                match inner.find(None, None, name) {
                    Ok(_) => self.expression(node, site),
                    Err(problem) => match targets.iter().find(|(output, _)| output == name) {
                        Some((_, target)) => read(self, target),
                        None if scope.outer.is_some() => self.expression(node, site),
                        None => Err(problem),
                    },
                }
            }
            _ => self.expression(node, site),
        }
    }

    /// An expression that is itself a group's key.
    pub(in crate::translate) fn grouping_key(&mut self, node: &NodeEnum, site: Site<'_>) -> Option<Typed> {
        let grouping = site.grouping.filter(|g| g.computed)?;
        if matches!(node, NodeEnum::SubLink(_) | NodeEnum::ColumnRef(_) | NodeEnum::AConst(_)) {
            return None;
        }
        let node = Node { node: Some(node.clone()) };
        if contains_aggregate(&node) {
            return None;
        }
        let value = self.expression(&node, site.ungrouped()).ok()?;
        grouping.contains(&value.sql).then(|| self.group_value(value))
    }
}

/// `s3.c5`
fn is_column(sql: &str) -> bool {
    sql.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_')
}
