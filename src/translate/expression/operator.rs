//! Operators in their forms: prefix, infix, BETWEEN, LIKE, NULLIF, rows term by term.

use pg_query::NodeEnum;
use pg_query::protobuf::{AExpr, AExprKind, Node, SubLinkType, a_const::Val};

use super::{Site, required, words};
use crate::catalog::{Outcome, Problem, Type};
use crate::translate::carried;
use crate::translate::cast::Context;
use crate::translate::number;
use crate::translate::reader::Reader;
use crate::translate::typed::{Typed, is_citext, number_rank, physical};

impl Reader<'_> {
    pub(super) fn operator_expression(&mut self, expression: &AExpr, site: Site<'_>) -> Outcome<Typed> {
        let name = words(&expression.name).last().copied().unwrap_or_default().to_owned();
        let kind = AExprKind::try_from(expression.kind).unwrap_or(AExprKind::Undefined);
        let Some(left) = expression.lexpr.as_deref() else {
            return self.prefix(&name, required(&expression.rexpr)?, site);
        };
        let right = required(&expression.rexpr)?;
        if let Some(compared) = self.rows_compared(kind, &name, (left, right), site)? {
            return Ok(compared);
        }
        match kind {
            AExprKind::AexprOp => self.binary(&name, left, right, site),
            AExprKind::AexprDistinct | AExprKind::AexprNotDistinct
                if matches!((&left.node, &right.node), (Some(NodeEnum::RowExpr(_)), Some(NodeEnum::RowExpr(_)))) =>
            {
                self.rows_differ(left, right, kind == AExprKind::AexprNotDistinct, site)
            }
            AExprKind::AexprDistinct | AExprKind::AexprNotDistinct => {
                let (a, b) = (self.expression(left, site)?, self.expression(right, site)?);
                let (a, b) = self.comparable("=", a, b)?;
                let word = if kind == AExprKind::AexprDistinct { "IS DISTINCT FROM" } else { "IS NOT DISTINCT FROM" };
                Ok(Typed::new(format!("({} {word} {})", a.sql, b.sql), Type::Bool))
            }
            AExprKind::AexprNullif => {
                let (a, b) = (self.expression(left, site)?, self.expression(right, site)?);
                // NULLIF has the type of what `=` takes on its left.
                let value = match self.chosen_operator("=", &a.ty, &b.ty)?.left {
                    Some(wanted) => self.adapt(a.clone(), wanted)?,
                    None => a.clone(),
                };
                let (a, b) = self.comparable("=", a, b)?;
                Ok(Typed::new(format!("CASE WHEN {} = {} THEN NULL ELSE {} END", a.sql, b.sql, value.sql), value.ty))
            }
            AExprKind::AexprIn => self.in_list(&name, left, right, site),
            AExprKind::AexprOpAny | AExprKind::AexprOpAll => {
                self.any_element(&name, kind == AExprKind::AexprOpAll, left, right, site)
            }
            AExprKind::AexprLike | AExprKind::AexprIlike => {
                let subject = self.expression(left, site)?;
                let (pattern, escape) = self.pattern_and_escape(right, site)?;
                let foreign = is_citext(&subject.ty);
                let subject = self.uncased(subject)?;
                let folds = kind == AExprKind::AexprIlike || foreign;
                self.like(subject, pattern, escape, folds, name.starts_with('!'))
            }
            AExprKind::AexprBetween
            | AExprKind::AexprNotBetween
            | AExprKind::AexprBetweenSym
            | AExprKind::AexprNotBetweenSym => {
                let Some(NodeEnum::List(bounds)) = &right.node else { return Err(Problem::unsupported("BETWEEN")) };
                let [low, high] = bounds.items.as_slice() else { return Err(Problem::unsupported("BETWEEN")) };
                let mut within = |low: &Node, high: &Node| -> Outcome<String> {
                    let (above, below) = (self.binary(">=", left, low, site)?, self.binary("<=", left, high, site)?);
                    Ok(format!("({} AND {})", above.sql, below.sql))
                };
                let sql = match kind {
                    AExprKind::AexprBetweenSym | AExprKind::AexprNotBetweenSym => {
                        format!("({} OR {})", within(low, high)?, within(high, low)?)
                    }
                    _ => within(low, high)?,
                };
                let negated = matches!(kind, AExprKind::AexprNotBetween | AExprKind::AexprNotBetweenSym);
                Ok(Typed::new(if negated { format!("(NOT {sql})") } else { sql }, Type::Bool))
            }
            AExprKind::AexprSimilar => {
                let subject = self.expression(left, site)?;
                let (pattern, escape) = self.pattern_and_escape(right, site)?;
                self.similar(subject, pattern, escape, name.starts_with('!'))
            }
            _ => Err(Problem::unsupported(format!("the operator {name}"))),
        }
    }

    pub(super) fn binary(&mut self, name: &str, left: &Node, right: &Node, site: Site<'_>) -> Outcome<Typed> {
        if let (Some(NodeEnum::RowExpr(a)), Some(NodeEnum::RowExpr(b))) = (&left.node, &right.node) {
            return self.compare_rows(name, &a.args, &b.args, site);
        }
        if let (Some(NodeEnum::RowExpr(row)), Some(NodeEnum::SubLink(link))) = (&left.node, &right.node)
            && let Some(NodeEnum::SelectStmt(select)) = required(&link.subselect)?.node.as_ref()
            && link.sub_link_type == SubLinkType::ExprSublink as i32
        {
            let query = self.query(select, Some(site.scope))?;
            return match query.outputs.len().cmp(&row.args.len()) {
                std::cmp::Ordering::Greater => Err(Problem::rejected("42601", "subquery has too many columns")),
                std::cmp::Ordering::Less => Err(Problem::rejected("42601", "subquery has too few columns")),
                std::cmp::Ordering::Equal => self.row_beside(name, &row.args, &query, site),
            };
        }
        let (a, b) = (self.expression(left, site)?, self.expression(right, site)?);
        self.operator(name, a, b)
    }

    fn prefix(&mut self, name: &str, operand: &Node, site: Site<'_>) -> Outcome<Typed> {
        if name == "-"
            && let Some(NodeEnum::AConst(constant)) = &operand.node
        {
            // The parser reads -2147483648 as the negation of a number one too large for its type.
            match &constant.val {
                Some(Val::Ival(value)) => return Ok(Typed::integer(-i64::from(value.ival))),
                Some(Val::Fval(value)) => return self.number_constant(&format!("-{}", value.fval)),
                _ => {}
            }
        }
        let value = self.expression(operand, site)?;
        let value = self.operand(name, value)?;
        match (name, number_rank(&value.ty)) {
            ("-", Some(_)) if matches!(value.ty, Type::Numeric(_)) => {
                Ok(Typed::new(format!("pg_numeric_neg({})", number::text(&value)), Type::Numeric(None)))
            }
            ("-", Some(_)) if matches!(value.ty, Type::Float4 | Type::Float8) => {
                Ok(Typed::new(format!("(-{})", value.sql), value.ty))
            }
            ("-", Some(_)) => {
                self.operator("-", Typed::new(format!("CAST(0 AS {})", physical(&value.ty)), value.ty.clone()), value)
            }
            ("+", Some(_)) => Ok(value),
            ("~", Some(0..=2)) => Ok(Typed::new(format!("(~{})", value.sql), value.ty)),
            ("~", None) if matches!(carried::name(&value.ty), Some("bit" | "bit varying")) => {
                Ok(Typed::new(format!("pg_bit_not({})", value.sql), Type::Opaque("bit".to_owned())))
            }
            ("|/", Some(_)) => {
                let double = self.coerce(value, &Type::Float8, Context::Implicit, None)?;
                self.known_function("sqrt", vec![double])
            }
            ("@", Some(_)) => self.known_function("abs", vec![value]),
            ("-", None) if value.ty == Type::Interval => Ok(Typed::new(format!("(-{})", value.sql), Type::Interval)),
            _ => Err(Problem::unsupported(format!("the operator {name} before {}", self.shown(&value.ty)))),
        }
    }

    /// `x LIKE p ESCAPE e` reaches us as `x ~~ like_escape(p, e)`.
    fn pattern_and_escape(&mut self, node: &Node, site: Site<'_>) -> Outcome<(Typed, Option<Typed>)> {
        if let Some(NodeEnum::FuncCall(call)) = &node.node
            && matches!(words(&call.funcname).last(), Some(&"like_escape" | &"similar_to_escape"))
            && let [pattern, escape @ ..] = call.args.as_slice()
        {
            let pattern = self.expression(pattern, site)?;
            let escape = escape.first().map(|escape| self.expression(escape, site)).transpose()?;
            return Ok((pattern, escape));
        }
        Ok((self.expression(node, site)?, None))
    }
}
