//! Walks: a recursive UPDATE that climbs from a row's parent to its parent's parent, in one of the three forms on record.
//!
//! The form is told by what the recursion selects: the candidate it begins with, what it joins the parent by, what the candidate
//! becomes, and whether it stops below a parent without one.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AExpr, ColumnRef, CommonTableExpr, JoinExpr, Node, NullTestType, SelectStmt, UpdateStmt, a_const::Val,
};

use crate::catalog::tree;
use crate::roots::Variant;

/// A recursion in one of the forms on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dry_run) struct Form {
    /// The column that identifies a row.
    pub(in crate::dry_run) id: String,
    /// The job's column.
    pub(in crate::dry_run) job: String,
    /// The parent's column.
    pub(in crate::dry_run) parent: String,
    /// Which form.
    pub(in crate::dry_run) variant: Variant,
    /// Its limit, as the form counts.
    pub(in crate::dry_run) depth_limit: u32,
}

/// The column that an UPDATE fills and the form of its recursion, where the whole statement is one of those on record.
pub(in crate::dry_run) fn form(update: &UpdateStmt) -> Option<(String, Form)> {
    let with = update.with_clause.as_ref().filter(|with| with.recursive)?;
    let [Node { node: Some(NodeEnum::ResTarget(target)) }] = update.target_list.as_slice() else { return None };
    let relation = update.relation.as_ref()?;
    let mut ctes = with.ctes.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::CommonTableExpr(cte)) => Some(cte),
        _ => None,
    });
    let (chain, picked) = (ctes.next()?, ctes.next());
    if ctes.next().is_some() {
        return None;
    }
    let found = recursion(chain, &relation.relname)?;
    let name = relation.alias.as_ref().map_or(relation.relname.as_str(), |a| a.aliasname.as_str());
    let update = Outer { update, target: name, chain: &chain.ctename, picked: picked.map(|cte| &**cte), found: &found };
    (update.takes_the_deepest(target.val.as_deref()?)).then(|| (target.name.clone(), found.form.clone()))
}

/// A recursion, and the names its outputs have.
struct Found {
    form: Form,
    id_name: String,
    candidate_name: String,
    depth_name: String,
}

/// The statement around a recursion.
struct Outer<'u> {
    update: &'u UpdateStmt,
    target: &'u str,
    chain: &'u str,
    picked: Option<&'u CommonTableExpr>,
    found: &'u Found,
}

impl Outer<'_> {
    /// Does every row get the deepest of its candidates? Either from a list of them, joined by the row's id, or from a subquery.
    fn takes_the_deepest(&self, value: &Node) -> bool {
        match &value.node {
            Some(NodeEnum::SubLink(link)) => {
                self.picked.is_none()
                    && self.update.from_clause.is_empty()
                    && self.update.where_clause.as_deref().and_then(not_null).as_deref()
                        == Some(&self.found.form.parent)
                    && self.is_deepest_of_row(link.subselect.as_deref())
            }
            _ => self.joins_the_deepest(value).unwrap_or(false),
        }
    }

    /// `(SELECT candidate FROM chain WHERE chain.id = target.id ORDER BY depth DESC LIMIT 1)`
    fn is_deepest_of_row(&self, query: Option<&Node>) -> bool {
        let Some(NodeEnum::SelectStmt(select)) = query.and_then(|q| q.node.as_ref()) else { return false };
        let one = match select.limit_count.as_deref().and_then(|n| n.node.as_ref()) {
            Some(NodeEnum::AConst(limit)) => matches!(&limit.val, Some(Val::Ival(n)) if n.ival == 1),
            _ => false,
        };
        let output = match select.target_list.as_slice() {
            [only] => matches!(item(only), Item::Own(name) if name == self.found.candidate_name),
            _ => false,
        };
        let by_id = select.where_clause.as_deref().is_some_and(|condition| {
            let Some(NodeEnum::AExpr(equal)) = &condition.node else { return false };
            let Some((a, b)) = sides(equal, "=") else { return false };
            self.is_id_pair(a, b) || self.is_id_pair(b, a)
        });
        let depth = matches!(select.sort_clause.as_slice(), [only] if sorts(only, &self.found.depth_name, true));
        one && output
            && by_id
            && depth
            && self.reads_chain(select)
            && select.limit_offset.is_none()
            && select.distinct_clause.is_empty()
            && select.group_clause.is_empty()
    }

    fn is_id_pair(&self, chain: &Node, target: &Node) -> bool {
        let (Some(a), Some(b)) = (reference(chain), reference(target)) else { return false };
        let own = a.0.is_none() || a.0.as_deref() == Some(self.chain);
        own && a.1 == self.found.id_name && b == (Some(self.target.to_owned()), self.found.form.id.clone())
    }

    fn reads_chain(&self, select: &SelectStmt) -> bool {
        matches!(select.from_clause.as_slice(), [Node { node: Some(NodeEnum::RangeVar(r)) }] if r.relname == self.chain && r.alias.is_none())
    }

    /// `SET root = d.candidate FROM (SELECT DISTINCT ON (id) … ORDER BY id, depth DESC) AS d WHERE target.id = d.id`
    fn joins_the_deepest(&self, value: &Node) -> Option<bool> {
        let [from] = self.update.from_clause.as_slice() else { return None };
        let (select, alias) = match (&from.node, self.picked) {
            (Some(NodeEnum::RangeSubselect(subselect)), None) => {
                let Some(NodeEnum::SelectStmt(select)) = subselect.subquery.as_deref()?.node.as_ref() else {
                    return None;
                };
                (select, subselect.alias.as_ref()?.aliasname.clone())
            }
            (Some(NodeEnum::RangeVar(relation)), Some(picked))
                if relation.relname == picked.ctename && picked.aliascolnames.is_empty() =>
            {
                let Some(NodeEnum::SelectStmt(select)) = picked.ctequery.as_deref()?.node.as_ref() else { return None };
                (select, relation.alias.as_ref().map_or(picked.ctename.clone(), |a| a.aliasname.clone()))
            }
            _ => return None,
        };
        let [group] = select.distinct_clause.as_slice() else { return None };
        let [by_id, by_depth] = select.sort_clause.as_slice() else { return None };
        let [id, candidate] = select.target_list.as_slice() else { return None };
        let plain = select.where_clause.is_none() && select.limit_count.is_none() && select.group_clause.is_empty();
        let output = |node: &Node| match &node.node {
            Some(NodeEnum::ResTarget(target)) => {
                let (_, name) = reference(target.val.as_deref()?)?;
                Some((name.clone(), if target.name.is_empty() { name } else { target.name.clone() }))
            }
            _ => None,
        };
        let ((id, id_as), (candidate, candidate_as)) = (output(id)?, output(candidate)?);
        let Some(NodeEnum::AExpr(equal)) = self.update.where_clause.as_deref()?.node.as_ref() else { return None };
        let (a, b) = sides(equal, "=")?;
        let mut pair = [reference(a)?, reference(b)?];
        pair.sort();
        let mut wanted = [(Some(self.target.to_owned()), self.found.form.id.clone()), (Some(alias.clone()), id_as)];
        wanted.sort();
        let set = reference(value)?;
        Some(
            plain
                && self.reads_chain(select)
                && reference(group)?.1 == self.found.id_name
                && sorts(by_id, &self.found.id_name, false)
                && sorts(by_depth, &self.found.depth_name, true)
                && id == self.found.id_name
                && candidate == self.found.candidate_name
                && pair == wanted
                && set == (Some(alias), candidate_as),
        )
    }
}

/// `ORDER BY name [DESC]`, without NULLS.
fn sorts(node: &Node, name: &str, descending: bool) -> bool {
    use pg_query::protobuf::{SortByDir, SortByNulls};
    let Some(NodeEnum::SortBy(sort)) = &node.node else { return false };
    let is_descending = sort.sortby_dir == SortByDir::SortbyDesc as i32;
    let plain = sort.sortby_nulls == SortByNulls::SortbyNullsDefault as i32;
    plain
        && is_descending == descending
        && sort.node.as_deref().and_then(reference).is_some_and(|(_, column)| column == name)
}

/// An output of one of the two terms.
enum Item {
    /// A column of the table.
    Own(String),
    /// A number.
    Number(i32),
    /// Anything else.
    Other,
}

fn recursion(cte: &CommonTableExpr, table: &str) -> Option<Found> {
    let Some(NodeEnum::SelectStmt(union)) = cte.ctequery.as_deref()?.node.as_ref() else { return None };
    let (base, step) = (union.larg.as_deref()?, union.rarg.as_deref()?);
    let plain = |select: &SelectStmt| {
        select.distinct_clause.is_empty() && select.group_clause.is_empty() && select.with_clause.is_none()
    };
    if !union.all || !plain(base) || !plain(step) {
        return None;
    }
    let [Node { node: Some(NodeEnum::RangeVar(relation)) }] = base.from_clause.as_slice() else { return None };
    if relation.relname != table {
        return None;
    }
    let parent = not_null(base.where_clause.as_deref()?)?;
    let [Node { node: Some(NodeEnum::JoinExpr(join)) }] = step.from_clause.as_slice() else { return None };
    let joined = joined(join, &cte.ctename, table)?;
    let names = output_names(base, cte);
    let first: Vec<Item> = base.target_list.iter().map(item).collect();
    let later: Vec<Item> = step.target_list.iter().map(item).collect();
    if later.len() != first.len() {
        return None;
    }
    let link = names.iter().position(|name| *name == joined.link)?;
    // The row's own parent leads to the first parent row.
    if !matches!(first.get(link), Some(Item::Own(column)) if *column == parent) {
        return None;
    }
    let depth = first.iter().position(|item| matches!(item, Item::Number(_)))?;
    let Item::Number(start) = first[depth] else { return None };
    if !counts_up(&step.target_list[depth], &joined.chain, &names[depth]) {
        return None;
    }
    let of =
        |at: usize, alias: &str| qualified(&step.target_list[at]).filter(|(q, _)| q == alias).map(|(_, name)| name);
    // The row's id goes along unchanged.
    let carries = |at: usize| of(at, &joined.chain).as_deref() == Some(names[at].as_str());
    let id = (0..first.len())
        .find(|&at| carries(at) && matches!(&first[at], Item::Own(c) if *c != joined.job && *c != parent))?;
    let Item::Own(id_column) = &first[id] else { return None };
    let climbed = |at: usize, column: &str| of(at, &joined.parent).as_deref() == Some(column);
    let candidate = |column: &str| {
        (0..first.len())
            .find(|&at| at != link && matches!(&first[at], Item::Own(c) if c == column) && climbed(at, &joined.job))
    };
    let (limit, stops) = stop(step.where_clause.as_deref(), &names[depth], &joined.parent, &parent)?;
    if !climbed(link, &parent) {
        return None;
    }
    // Climbing by the candidate itself, or by a column of its own beside it.
    let (variant, from, at) = match (stops, candidate(&joined.job), candidate(&parent)) {
        (true, Some(at), None) => (Variant::Pattern2, 0, at),
        (false, None, Some(at)) => (Variant::Applied, 1, at),
        (true, None, None) => (Variant::Example3, 1, link),
        _ => return None,
    };
    let depth_limit = u32::try_from(limit - start + from).ok().filter(|limit| *limit > 0)?;
    let form = Form { id: id_column.clone(), job: joined.job, parent, variant, depth_limit };
    Some(Found {
        form,
        id_name: names[id].clone(),
        candidate_name: names[at].clone(),
        depth_name: names[depth].clone(),
    })
}

/// `chain.depth + 1`
fn counts_up(node: &Node, chain: &str, depth: &str) -> bool {
    let Some(NodeEnum::ResTarget(target)) = &node.node else { return false };
    let Some(NodeEnum::AExpr(sum)) = target.val.as_deref().and_then(|v| v.node.as_ref()) else { return false };
    let Some((left, right)) = sides(sum, "+") else { return false };
    reference(left) == Some((Some(chain.to_owned()), depth.to_owned())) && matches!(number_of(right), Item::Number(1))
}

/// `x.parent IS NOT NULL`
fn not_null(node: &Node) -> Option<String> {
    let Some(NodeEnum::NullTest(test)) = &node.node else { return None };
    if test.nulltesttype != NullTestType::IsNotNull as i32 {
        return None;
    }
    Some(reference(test.arg.as_deref()?)?.1)
}

/// (qualifier, column) of a column reference, below COALESCE and casts too.
fn reference(node: &Node) -> Option<(Option<String>, String)> {
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(column) => split(column),
        NodeEnum::TypeCast(cast) => reference(cast.arg.as_deref()?),
        NodeEnum::CoalesceExpr(coalesce) => reference(coalesce.args.first()?),
        _ => None,
    }
}

fn split(column: &ColumnRef) -> Option<(Option<String>, String)> {
    let names: Vec<String> = column.fields.iter().filter_map(tree::string).collect();
    match names.as_slice() {
        [name] if column.fields.len() == 1 => Some((None, name.clone())),
        [qualifier, name] => Some((Some(qualifier.clone()), name.clone())),
        _ => None,
    }
}

fn item(node: &Node) -> Item {
    let Some(NodeEnum::ResTarget(target)) = &node.node else { return Item::Other };
    let Some(value) = target.val.as_deref() else { return Item::Other };
    if let Some((_, name)) = reference(value) {
        return Item::Own(name);
    }
    match &value.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(Val::Ival(number)) => Item::Number(number.ival),
            None if !constant.isnull => Item::Number(0),
            _ => Item::Other,
        },
        _ => Item::Other,
    }
}

fn output_names(base: &SelectStmt, cte: &CommonTableExpr) -> Vec<String> {
    let given: Vec<String> = cte.aliascolnames.iter().filter_map(tree::string).collect();
    let own = base.target_list.iter().map(|node| match &node.node {
        Some(NodeEnum::ResTarget(target)) if !target.name.is_empty() => target.name.clone(),
        Some(NodeEnum::ResTarget(target)) => {
            target.val.as_deref().and_then(reference).map_or_else(String::new, |(_, name)| name)
        }
        _ => String::new(),
    });
    own.enumerate().map(|(at, name)| given.get(at).cloned().unwrap_or(name)).collect()
}

/// The names in the join of a recursive term.
struct Joined {
    /// Alias of the chain.
    chain: String,
    /// Alias of the parent's row.
    parent: String,
    /// Column that the parent's row is found by.
    job: String,
    /// Column of the chain that finds it.
    link: String,
}

/// `chain JOIN log AS p ON p.job_id = chain.link`
fn joined(join: &JoinExpr, chain: &str, table: &str) -> Option<Joined> {
    use pg_query::protobuf::JoinType;
    let name = |node: &Node| match &node.node {
        Some(NodeEnum::RangeVar(relation)) => {
            let alias = relation.alias.as_ref().map_or(relation.relname.clone(), |a| a.aliasname.clone());
            Some((relation.relname.clone(), alias))
        }
        _ => None,
    };
    if join.jointype != JoinType::JoinInner as i32 {
        return None;
    }
    let (left, right) = (name(join.larg.as_deref()?)?, name(join.rarg.as_deref()?)?);
    let (chain, parent) = if left.0 == chain && right.0 == table {
        (left.1, right.1)
    } else if right.0 == chain && left.0 == table {
        (right.1, left.1)
    } else {
        return None;
    };
    let Some(NodeEnum::AExpr(equal)) = join.quals.as_deref()?.node.as_ref() else { return None };
    let (a, b) = sides(equal, "=")?;
    let (a, b) = (reference(a)?, reference(b)?);
    let of = |side: &(Option<String>, String), alias: &str| side.0.as_deref() == Some(alias);
    if of(&a, &parent) && of(&b, &chain) {
        Some(Joined { chain, parent, job: a.1, link: b.1 })
    } else if of(&b, &parent) && of(&a, &chain) {
        Some(Joined { chain, parent, job: b.1, link: a.1 })
    } else {
        None
    }
}

fn sides<'n>(expression: &'n AExpr, operator: &str) -> Option<(&'n Node, &'n Node)> {
    let is = expression.name.last().and_then(tree::string).as_deref() == Some(operator);
    is.then_some((expression.lexpr.as_deref()?, expression.rexpr.as_deref()?))
}

/// `depth < 10`, alone or beside `p.parent IS NOT NULL`: the limit, and whether it stops below a parent without a parent.
fn stop(condition: Option<&Node>, depth: &str, parent_alias: &str, parent: &str) -> Option<(i32, bool)> {
    let condition = condition?;
    let terms: Vec<&Node> = match &condition.node {
        Some(NodeEnum::BoolExpr(and)) if and.boolop == pg_query::protobuf::BoolExprType::AndExpr as i32 => {
            and.args.iter().collect()
        }
        _ => vec![condition],
    };
    let mut limit = None;
    let mut stops = false;
    for term in terms {
        match &term.node {
            Some(NodeEnum::AExpr(compare)) => {
                let (at, plus) = match (sides(compare, "<"), sides(compare, "<=")) {
                    (Some(at), _) => (at, 0),
                    (_, Some(at)) => (at, 1),
                    _ => return None,
                };
                let (Some((_, name)), Item::Number(number)) = (reference(at.0), number_of(at.1)) else { return None };
                if name != depth {
                    return None;
                }
                limit = Some(number + plus);
            }
            Some(NodeEnum::NullTest(test)) => {
                let (qualifier, name) = reference(test.arg.as_deref()?)?;
                if qualifier.as_deref() != Some(parent_alias)
                    || name != parent
                    || test.nulltesttype != NullTestType::IsNotNull as i32
                {
                    return None;
                }
                stops = true;
            }
            _ => return None,
        }
    }
    Some((limit?, stops))
}

fn number_of(node: &Node) -> Item {
    let target = pg_query::protobuf::ResTarget { val: Some(Box::new(node.clone())), ..Default::default() };
    item(&Node { node: Some(NodeEnum::ResTarget(Box::new(target))) })
}

/// Qualifier and name of an output that is a column.
fn qualified(node: &Node) -> Option<(String, String)> {
    let Some(NodeEnum::ResTarget(target)) = &node.node else { return None };
    let (qualifier, name) = reference(target.val.as_deref()?)?;
    Some((qualifier?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, expected: Option<(Variant, u32)>) {
        let sql = file.replace("$1", "10");
        let parsed = pg_query::parse(&sql, 0).expect("valid SQL").protobuf;
        let Some(NodeEnum::UpdateStmt(update)) = parsed.stmts[0].stmt.as_ref().and_then(|s| s.node.clone()) else {
            panic!("an UPDATE")
        };
        let found = form(&update).map(|(_, form)| (form.variant, form.depth_limit));
        assert_eq!(found, expected, "{sql}");
    }

    #[test]
    fn knows_the_three_forms() {
        check(crate::query::ROOTS_BACKFILL_APPLIED.text, Some((Variant::Applied, 10)));
        check(crate::query::ROOTS_BACKFILL_EXAMPLE_3.text, Some((Variant::Example3, 10)));
        check(crate::query::ROOTS_BACKFILL_PATTERN_2.text, Some((Variant::Pattern2, 10)));
        check(&crate::query::ROOTS_BACKFILL_APPLIED.text.replace("< $1", "<= 4"), Some((Variant::Applied, 5)));
    }

    #[test]
    fn leaves_other_recursions_alone() {
        check(&crate::query::ROOTS_BACKFILL_APPLIED.text.replace("parent.job_id = ", "parent.id = "), None);
        check(&crate::query::ROOTS_BACKFILL_APPLIED.text.replace("UNION ALL", "UNION"), None);
        check(&crate::query::ROOTS_BACKFILL_APPLIED.text.replace("depth DESC", "depth"), None);
        check(&crate::query::ROOTS_BACKFILL_APPLIED.text.replace("depth + 1", "depth + 2"), None);
        check(
            &crate::query::ROOTS_BACKFILL_APPLIED.text.replace("target.id = deepest.id", "target.job_id = deepest.id"),
            None,
        );
        check(&crate::query::ROOTS_BACKFILL_PATTERN_2.text.replace("LIMIT 1", "LIMIT 1 OFFSET 1"), None);
        check(&crate::query::ROOTS_BACKFILL_EXAMPLE_3.text.replace("parent.parent_job_id IS NOT NULL AND", ""), None);
    }
}
