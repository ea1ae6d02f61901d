//! Subqueries as values and conditions.

use pg_query::NodeEnum;
use pg_query::protobuf::{self, SubLinkType};

use super::{Site, required, words};
use crate::catalog::{Outcome, Problem, Type};

use crate::translate::reader::Reader;
use crate::translate::typed::Typed;

impl Reader<'_> {
    pub(super) fn sub_link(&mut self, link: &protobuf::SubLink, site: Site<'_>) -> Outcome<Typed> {
        let Some(NodeEnum::SelectStmt(select)) = required(&link.subselect)?.node.as_ref() else {
            return Err(Problem::unsupported("this form of subquery"));
        };
        let exists = link.sub_link_type == SubLinkType::ExistsSublink as i32;
        self.varying += 1;
        let outer = std::mem::replace(&mut self.in_exists, exists);
        let unread = std::mem::replace(&mut self.outputs_unread, exists);
        let query = self.query(select, Some(site.scope));
        self.in_exists = outer;
        self.outputs_unread = unread;
        let query = query?;
        let one = || match query.outputs.as_slice() {
            [output] if output.ty == Type::Unknown => Ok(Type::Text),
            [output] => Ok(output.ty.clone()),
            _ => Err(Problem::rejected("42601", "subquery must return only one column")),
        };
        let width = |given: usize| match query.outputs.len().cmp(&given) {
            std::cmp::Ordering::Greater => Err(Problem::rejected("42601", "subquery has too many columns")),
            std::cmp::Ordering::Less => Err(Problem::rejected("42601", "subquery has too few columns")),
            std::cmp::Ordering::Equal => Ok(()),
        };
        match SubLinkType::try_from(link.sub_link_type) {
            Ok(SubLinkType::ExistsSublink) => Ok(Typed::new(format!("EXISTS ({})", query.sql), Type::Bool)),
            Ok(SubLinkType::ExprSublink) => {
                let ty = one()?;
                Ok(Typed::new(format!("({})", query.sql), ty))
            }
            Ok(SubLinkType::ArraySublink) => {
                one()?;
                self.array_of_rows(select, site)
            }
            Ok(kind @ (SubLinkType::AnySublink | SubLinkType::AllSublink)) => {
                let operator = words(&link.oper_name).last().copied().unwrap_or("=").to_owned();
                let all = kind == SubLinkType::AllSublink;
                let is_list = matches!((operator.as_str(), all), ("=", false) | ("<>", true));
                let given = match &required(&link.testexpr)?.node {
                    Some(NodeEnum::RowExpr(row)) => row.args.len(),
                    _ => 1,
                };
                width(given)?;
                if let Some(NodeEnum::RowExpr(row)) = &required(&link.testexpr)?.node {
                    if !is_list {
                        return Err(Problem::unsupported(format!("rows {operator} a subquery's")));
                    }
                    return self.row_in(&row.args, &query, all, site);
                }
                let ty = one()?;
                let subject = self.expression(required(&link.testexpr)?, site)?;
                let column = Typed::new(format!("q.{}", query.outputs[0].column), ty);
                if !is_list {
                    return self.compared_with_all(&operator, all, subject, column, &query.sql);
                }
                let (subject, column) = self.comparable(&operator, subject, column)?;
                let word = if all { "NOT IN" } else { "IN" };
                Ok(Typed::new(
                    format!("({} {word} (SELECT {} FROM ({}) AS q))", subject.sql, column.sql, query.sql),
                    Type::Bool,
                ))
            }
            Ok(SubLinkType::RowcompareSublink) => {
                let operator = words(&link.oper_name).last().copied().unwrap_or("=").to_owned();
                let Some(NodeEnum::RowExpr(row)) = &required(&link.testexpr)?.node else {
                    return Err(Problem::unsupported("this form of subquery"));
                };
                width(row.args.len())?;
                self.row_beside(&operator, &row.args, &query, site)
            }
            _ => Err(Problem::unsupported("this form of subquery")),
        }
    }

    /// `x > ALL (SELECT …)`, `x > ANY (SELECT …)`: NULL where what isn't known decides.
    fn compared_with_all(
        &mut self,
        operator: &str,
        all: bool,
        subject: Typed,
        column: Typed,
        rows: &str,
    ) -> Outcome<Typed> {
        let compared = self.operator(operator, subject, column)?;
        if compared.ty != Type::Bool {
            return Err(Problem::rejected("42804", "op ANY/ALL (array) requires operator to yield boolean"));
        }
        let (decides, else_) = if all { ("NOT bool_and(a.e)", "true") } else { ("bool_or(a.e)", "false") };
        let answer = if all { "false" } else { "true" };
        Ok(Typed::new(
            format!(
                "(SELECT CASE WHEN {decides} THEN {answer} WHEN count(*) > count(a.e) THEN NULL ELSE {else_} END FROM (SELECT {} AS e FROM ({rows}) AS q) AS a)",
                compared.sql
            ),
            Type::Bool,
        ))
    }
}
