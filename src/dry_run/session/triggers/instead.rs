//! INSTEAD OF triggers: writes of a view that its triggers carry out.
//!
//! Input: an INSERT, UPDATE or DELETE of a view that has such a trigger for it. Output: the trigger functions run for each row that the
//! statement means. Invariants: a row for which a trigger gives NULL isn't counted, and no later trigger sees it; values are converted
//! as in a write of a table. Left out: RETURNING, ON CONFLICT, WITH that writes, triggers of the statement.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    ColumnRef, DeleteStmt, InsertStmt, LimitOption, Node, RangeVar, ResTarget, SelectStmt, SetOperation, UpdateStmt,
};

use super::rows::absent;
use super::{DELETE, Event, Fired, INSERT, INSTEAD, UPDATE, event};
use crate::catalog::{Catalog, Outcome, Problem, Type, View, tree};
use crate::dry_run::engine::Ran;
use crate::dry_run::report::{StatementReport, Verdict};
use crate::dry_run::session::Session;
use crate::migration::Statement;
use crate::plpgsql::run::Row;
use crate::translate::{Named, Tie, Value, Variable};

/// More rows than any statement gives.
const ALL: usize = usize::MAX >> 1;

/// The view that a statement writes, where a trigger stands for that.
pub(super) fn view_written<'c>(node: &NodeEnum, catalog: &'c Catalog) -> Option<&'c View> {
    let relation = tree::relation_written(node)?;
    let view = catalog.view(crate::catalog::lookup::schema_of(relation), &relation.relname)?;
    let stands = catalog.triggers.iter().any(|trigger| {
        trigger.table == view.oid
            && trigger.enabled
            && trigger.statement.timing & INSTEAD != 0
            && trigger.statement.events & event(node) != 0
    });
    stands.then_some(view)
}

/// What a write asks: the rows as they are, then the values that come in, each with the place of its column in the view.
struct Asked {
    query: NodeEnum,
    old: bool,
    new: Vec<usize>,
}

fn refused(what: &str) -> Problem {
    Problem::unsupported(format!("{what} of a view that a trigger stands for"))
}

fn plain_select() -> SelectStmt {
    SelectStmt {
        op: SetOperation::SetopNone as i32,
        limit_option: LimitOption::Default as i32,
        ..SelectStmt::default()
    }
}

fn target(value: Node) -> Node {
    let target = ResTarget { val: Some(Box::new(value)), ..ResTarget::default() };
    Node { node: Some(NodeEnum::ResTarget(Box::new(target))) }
}

/// The columns of the relation that is written, as it is called.
fn own_columns(relation: &RangeVar, view: &View) -> Vec<Node> {
    let name = relation.alias.as_ref().map_or(&relation.relname, |alias| &alias.aliasname);
    let column = |column: &String| {
        let fields = vec![tree::name(name), tree::name(column)];
        target(Node { node: Some(NodeEnum::ColumnRef(ColumnRef { fields, location: -1 })) })
    };
    view.columns.iter().map(column).collect()
}

fn place_of(view: &View, name: &str) -> Outcome<usize> {
    view.columns.iter().position(|column| column == name).ok_or_else(|| {
        Problem::rejected("42703", format!("column \"{name}\" of relation \"{}\" does not exist", view.name))
    })
}

fn asked_by_insert(insert: &InsertStmt, view: &View) -> Outcome<Asked> {
    if insert.on_conflict_clause.is_some() || insert.returning_clause.is_some() || insert.with_clause.is_some() {
        return Err(refused("this form of INSERT"));
    }
    let Some(query) = insert.select_stmt.as_deref().and_then(|query| query.node.clone()) else {
        return Err(refused("INSERT of defaults"));
    };
    let mut defaults = false;
    tree::walk(&Node { node: Some(query.clone()) }, &mut |node| defaults |= matches!(node, NodeEnum::SetToDefault(_)));
    if defaults {
        return Err(refused("INSERT of defaults"));
    }
    let mut new = Vec::new();
    for node in &insert.cols {
        let Some(NodeEnum::ResTarget(column)) = &node.node else { continue };
        if !column.indirection.is_empty() {
            return Err(refused("INSERT into a part"));
        }
        let place = place_of(view, &column.name)?;
        if new.contains(&place) {
            let message = format!("column \"{}\" specified more than once", column.name);
            return Err(Problem::rejected("42701", message));
        }
        new.push(place);
    }
    if insert.cols.is_empty() {
        new = (0..view.columns.len()).collect();
    }
    Ok(Asked { query, old: false, new })
}

fn asked_by_update(update: &UpdateStmt, view: &View) -> Outcome<Asked> {
    let relation = update.relation.as_ref().ok_or_else(|| refused("this form of UPDATE"))?;
    if update.returning_clause.is_some() {
        return Err(refused("UPDATE … RETURNING"));
    }
    let (mut list, mut new) = (own_columns(relation, view), Vec::new());
    for node in &update.target_list {
        let Some(NodeEnum::ResTarget(set)) = &node.node else { continue };
        let value = set.val.as_deref().ok_or_else(|| refused("this form of UPDATE"))?;
        let is_open = matches!(value.node, Some(NodeEnum::MultiAssignRef(_) | NodeEnum::SetToDefault(_)));
        if is_open || !set.indirection.is_empty() {
            return Err(refused("this form of UPDATE"));
        }
        let place = place_of(view, &set.name)?;
        if new.contains(&place) {
            let message = format!("multiple assignments to same column \"{}\"", set.name);
            return Err(Problem::rejected("42601", message));
        }
        new.push(place);
        list.push(target(value.clone()));
    }
    let mut from = vec![Node { node: Some(NodeEnum::RangeVar(relation.clone())) }];
    from.extend(update.from_clause.iter().cloned());
    let select = SelectStmt {
        target_list: list,
        from_clause: from,
        where_clause: update.where_clause.clone(),
        with_clause: update.with_clause.clone(),
        ..plain_select()
    };
    Ok(Asked { query: NodeEnum::SelectStmt(Box::new(select)), old: true, new })
}

fn asked_by_delete(delete: &DeleteStmt, view: &View) -> Outcome<Asked> {
    let relation = delete.relation.as_ref().ok_or_else(|| refused("this form of DELETE"))?;
    if delete.returning_clause.is_some() {
        return Err(refused("DELETE … RETURNING"));
    }
    let mut from = vec![Node { node: Some(NodeEnum::RangeVar(relation.clone())) }];
    from.extend(delete.using_clause.iter().cloned());
    let select = SelectStmt {
        target_list: own_columns(relation, view),
        from_clause: from,
        where_clause: delete.where_clause.clone(),
        with_clause: delete.with_clause.clone(),
        ..plain_select()
    };
    Ok(Asked { query: NodeEnum::SelectStmt(Box::new(select)), old: true, new: Vec::new() })
}

/// Is what the query gives at a place a literal, read as the column's type wherever it goes?
fn has_literal(query: &NodeEnum, at: usize) -> bool {
    let NodeEnum::SelectStmt(select) = query else { return false };
    let is_literal =
        |node: Option<&Node>| matches!(node.and_then(|node| node.node.as_ref()), Some(NodeEnum::AConst(_)));
    let of_rows = select.values_lists.iter().any(|row| match &row.node {
        Some(NodeEnum::List(row)) => is_literal(row.items.get(at)),
        _ => false,
    });
    let of_target = match select.target_list.get(at).and_then(|node| node.node.as_ref()) {
        Some(NodeEnum::ResTarget(target)) => is_literal(target.val.as_deref()),
        _ => false,
    };
    of_rows || of_target
}

impl Session<'_> {
    /// Carries out a write of a view by its triggers.
    pub(super) fn write_instead(
        &mut self,
        statement: &Statement,
        view: &View,
        report: &mut StatementReport,
    ) -> Ran<Verdict> {
        let kind = event(&statement.node);
        let asked = match &statement.node {
            NodeEnum::InsertStmt(insert) => asked_by_insert(insert, view)?,
            NodeEnum::UpdateStmt(update) => asked_by_update(update, view)?,
            NodeEnum::DeleteStmt(delete) => asked_by_delete(delete, view)?,
            _ => return Err(refused("this write").into()),
        };
        if view.types.len() != view.columns.len() {
            return Err(refused("a write").into());
        }
        let fired = self.fired(&Event { table: view.oid, kind, columns: None })?;
        if let Some(other) = fired.iter().find(|trigger| trigger.statement.timing & INSTEAD == 0) {
            return Err(Problem::unsupported(format!("the trigger {} of a view's statement", other.name)).into());
        }
        let types = self.types_asked(&asked, view)?;
        let rows = self.answer(&asked.query, &types, ALL, report)?.rows;
        let mut count = 0;
        for row in rows {
            count += u64::from(self.stand_for(&fired, view, &asked, row, kind, statement, report)?);
        }
        report.rows_affected = Some(count);
        Ok(Verdict::Executed)
    }

    /// The types of what is asked; 42804, where a value isn't one for its column.
    fn types_asked(&self, asked: &Asked, view: &View) -> Outcome<Vec<Type>> {
        let plan = self.translator(Tie::Least).select(&asked.query)?;
        let olds = if asked.old { view.columns.len() } else { 0 };
        let given = plan.outputs.len().saturating_sub(olds);
        let new = asked
            .new
            .get(..given)
            .ok_or_else(|| Problem::rejected("42601", "INSERT has more expressions than target columns"))?;
        if asked.old && new.len() < asked.new.len() {
            return Err(refused("this form of UPDATE"));
        }
        let mut types: Vec<Type> = view.types.iter().take(olds).cloned().collect();
        for (at, (output, place)) in plan.outputs.iter().skip(olds).zip(new).enumerate() {
            let ty = &view.types[*place];
            if output.ty != Type::Unknown && !output.ty.assigns_to(ty) && !has_literal(&asked.query, olds + at) {
                let message = format!(
                    "column \"{}\" is of type {} but expression is of type {}",
                    view.columns[*place],
                    ty.base_name(&self.catalog),
                    output.ty.base_name(&self.catalog)
                );
                return Err(
                    Problem::rejected("42804", message).hint("You will need to rewrite or cast the expression.")
                );
            }
            types.push(ty.clone());
        }
        Ok(types)
    }

    /// Runs the triggers for one row; false, where one of them takes it out.
    #[allow(clippy::too_many_arguments, reason = "the parts of one write")]
    fn stand_for(
        &mut self,
        fired: &[Fired],
        view: &View,
        asked: &Asked,
        mut values: Vec<Value>,
        kind: i32,
        statement: &Statement,
        report: &mut StatementReport,
    ) -> Ran<bool> {
        let named = |values: Vec<Value>| -> Row { view.columns.iter().cloned().zip(values).collect() };
        let news = values.split_off(if asked.old { view.columns.len() } else { 0 });
        let old = asked.old.then(|| named(values.clone()));
        let mut new = match kind {
            DELETE => None,
            INSERT => Some(named(view.types.iter().map(|ty| Value::null(ty.clone())).collect())),
            _ => Some(named(values)),
        };
        if let Some(row) = &mut new {
            for (place, value) in asked.new.iter().zip(news) {
                row[*place].1 = value;
            }
        }
        for trigger in fired {
            let function = trigger.function()?;
            let mut names = self.trigger_variables(trigger, view.oid, kind);
            for named in &mut names {
                let text = match named.name.as_str() {
                    "tg_when" => "INSTEAD OF",
                    "tg_table_name" | "tg_relname" => &view.name,
                    "tg_table_schema" => &view.schema,
                    _ => continue,
                };
                named.variable = Variable::Scalar(Value::text_of(text));
            }
            let shape = new.as_ref().or(old.as_ref()).map(Vec::as_slice).unwrap_or_default();
            for (name, row) in [("new", &new), ("old", &old)] {
                let columns = shape.iter().map(|(column, value)| (column, &value.ty));
                let variable = row.clone().map_or_else(|| absent(columns), Variable::Row);
                names.push(Named { name: name.to_owned(), variable, not_null: false });
            }
            let given = self.run_function(&function, vec![names], statement, report)?;
            let Some(row) = given.into_iter().next().flatten() else { return Ok(false) };
            if kind == UPDATE || kind == INSERT {
                new = Some(row);
            }
        }
        Ok(true)
    }
}
