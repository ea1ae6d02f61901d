//! Expressions: a parse tree with the names in scope becomes typed DuckDB SQL.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    self, AExpr, AExprKind, BoolExprType, BoolTestType, MinMaxOp, Node, NullTestType, SqlValueFunctionOp, SubLinkType,
    a_const::Val,
};

use super::NameConflict;
use super::cast::{Context, convert};
use super::query::Grouping;
use super::reader::Reader;
use super::scope::Scope;
use super::typed::{Constant, Family, Typed, family, is_citext, number_rank, physical};
use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;

/// Where an expression stands: what it may contain.
#[derive(Clone, Copy)]
pub(super) struct Site<'s> {
    pub scope: &'s Scope<'s>,
    /// The query's groups, where it has any and the expression is about them.
    pub grouping: Option<&'s Grouping>,
    /// Aggregates may be called.
    pub aggregates: bool,
    /// Window functions may be called.
    pub windows: bool,
    /// The clause whose condition it is, for messages.
    pub clause: &'static str,
    /// The clause it stands in, however deep, for messages.
    pub place: &'static str,
}

impl<'s> Site<'s> {
    pub fn new(scope: &'s Scope<'s>, clause: &'static str) -> Site<'s> {
        Site { scope, grouping: None, aggregates: false, windows: false, clause, place: clause }
    }

    /// The same place inside the arguments of a function that gives rows.
    pub fn inside_rows(self) -> Site<'s> {
        Site { windows: false, clause: "the arguments of a function that gives rows", ..self }
    }

    /// The same place inside an aggregate's arguments.
    pub fn ungrouped(self) -> Site<'s> {
        Site { grouping: None, aggregates: false, windows: false, ..self }
    }
}

/// The names in a list of String nodes.
pub(super) fn words(nodes: &[Node]) -> Vec<&str> {
    nodes
        .iter()
        .filter_map(|node| match &node.node {
            Some(NodeEnum::String(text)) => Some(text.sval.as_str()),
            _ => None,
        })
        .collect()
}

pub(super) fn required(node: &Option<Box<Node>>) -> Outcome<&Node> {
    node.as_deref().ok_or_else(|| Problem::unsupported("an empty expression"))
}

impl Reader<'_> {
    /// Reads an expression.
    pub(super) fn expression(&mut self, node: &Node, site: Site<'_>) -> Outcome<Typed> {
        let Some(node) = &node.node else { return Err(Problem::unsupported("an empty expression")) };
        if let Some(key) = self.grouping_key(node, site) {
            return Ok(key);
        }
        match node {
            NodeEnum::AConst(constant) => self.constant(constant),
            NodeEnum::ColumnRef(column) => self.column(column, site).map_err(|p| p.at(column.location)),
            NodeEnum::AExpr(expression) => {
                self.operator_expression(expression, site).map_err(|p| p.at(expression.location))
            }
            NodeEnum::BoolExpr(expression) => self.boolean_expression(expression, site),
            NodeEnum::NullTest(test) => {
                let word = if test.nulltesttype == NullTestType::IsNull as i32 { "IS NULL" } else { "IS NOT NULL" };
                if let Some(NodeEnum::RowExpr(row)) = &required(&test.arg)?.node {
                    return self.null_test_of_row(&row.args, word, site);
                }
                let value = self.expression(required(&test.arg)?, site)?;
                if value.ty == Type::Record {
                    return Err(Problem::unsupported("a NULL test of a row"));
                }
                Ok(Typed::new(format!("({} {word})", value.sql), Type::Bool))
            }
            NodeEnum::BooleanTest(test) => self.boolean_test(test, site),
            NodeEnum::CaseExpr(case) => self.case(case, site),
            NodeEnum::CoalesceExpr(coalesce) => {
                let values = self.common(&coalesce.args, site, "COALESCE")?;
                no_rows(values.0.iter(), "COALESCE")?;
                let ty = values.1;
                Ok(Typed::new(format!("coalesce({})", values.0.join(", ")), ty))
            }
            NodeEnum::MinMaxExpr(expression) => {
                let word = if expression.op == MinMaxOp::IsGreatest as i32 { "greatest" } else { "least" };
                let (values, ty) = self.common(&expression.args, site, &word.to_uppercase())?;
                if let Type::Enum(oid) = ty {
                    let labels: Vec<String> = super::literal::labels(oid, self.catalog())?
                        .0
                        .iter()
                        .map(|label| quote_literal(label))
                        .collect();
                    let places = values.iter().map(|value| self.sort_key(value, &ty)).collect::<Outcome<Vec<_>>>()?;
                    let sql = format!("([{}])[{word}({})]", labels.join(", "), places.join(", "));
                    return Ok(Typed::new(sql, ty));
                }
                if matches!(ty, Type::Array(_) | Type::Interval | Type::Jsonb) {
                    return Err(Problem::unsupported(format!("{word}() of {} values", ty.name(self.catalog()))));
                }
                if family(&ty) == Family::Text {
                    self.orders_text();
                }
                if super::number::is_text(&ty) {
                    let values: Vec<String> = values.iter().map(|value| format!("coalesce({value}, '')")).collect();
                    return Ok(Typed::new(format!("pg_numeric_{word}({})", values.join(", ")), ty));
                }
                Ok(Typed::new(format!("{word}({})", values.join(", ")), ty))
            }
            NodeEnum::TypeCast(cast) => self.type_cast(cast, site).map_err(|p| p.at(cast.location)),
            NodeEnum::FuncCall(call) => self.call(call, site).map_err(|p| p.at(call.location)),
            NodeEnum::SqlvalueFunction(function) => self.value_function(function),
            NodeEnum::SubLink(link) => self.sub_link(link, site).map_err(|p| p.at(link.location)),
            NodeEnum::AArrayExpr(array) => {
                if array.elements.is_empty() {
                    return Err(Problem::rejected("42P18", "cannot determine type of empty array")
                        .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."));
                }
                let (values, ty) = self.common(&array.elements, site, "ARRAY")?;
                if matches!(ty, Type::Array(_)) {
                    return Err(Problem::unsupported("an array of arrays"));
                }
                Ok(Typed::new(format!("[{}]", values.join(", ")), Type::Array(Box::new(ty))))
            }
            NodeEnum::AIndirection(indirection) => self.indirection(indirection, site),
            NodeEnum::CollateClause(collate) => {
                let name = words(&collate.collname).join(".");
                if name != "C" && name != "POSIX" {
                    return Err(Problem::unsupported(format!("the collation {name}")));
                }
                self.expression(required(&collate.arg)?, site)
            }
            NodeEnum::NamedArgExpr(_) => Err(Problem::unsupported("an argument given by name")),
            NodeEnum::RowExpr(_) => Err(Problem::unsupported("a row constructor here")),
            NodeEnum::SetToDefault(_) => Err(Problem::rejected("42601", "DEFAULT is not allowed in this context")),
            NodeEnum::ParamRef(parameter) => self.parameter(parameter.number).map_err(|p| p.at(parameter.location)),
            NodeEnum::GroupingFunc(_) => Err(Problem::unsupported("GROUPING()")),
            NodeEnum::CurrentOfExpr(_) => Err(Problem::unsupported("WHERE CURRENT OF")),
            _ => Err(Problem::unsupported("this form of expression")),
        }
    }

    /// Reads a condition: it must be boolean.
    pub(super) fn condition(&mut self, node: &Node, site: Site<'_>) -> Outcome<String> {
        let value = self.expression(node, site)?;
        match value.ty {
            Type::Bool => Ok(value.sql),
            Type::Unknown => Ok(convert(value, &Type::Bool, Context::Implicit, None, self.catalog())?.sql),
            other => Err(Problem::rejected(
                "42804",
                format!("argument of {} must be type boolean, not type {}", site.clause, self.shown(&other)),
            )),
        }
    }

    fn constant(&mut self, constant: &protobuf::AConst) -> Outcome<Typed> {
        if constant.isnull {
            return Ok(Typed::null());
        }
        Ok(match &constant.val {
            // The parser leaves out a zero.
            None => Typed::integer(0),
            Some(Val::Ival(value)) => Typed::integer(value.ival.into()),
            Some(Val::Fval(value)) => return self.number_constant(&value.fval),
            Some(Val::Boolval(value)) => Typed::new(value.boolval.to_string(), Type::Bool),
            Some(Val::Sval(value)) => Typed::string(&value.sval),
            Some(Val::Bsval(_)) => return Err(Problem::unsupported("a bit string")),
        })
    }

    /// A number too large for an integer, or with a point: a bigint or a numeric.
    fn number_constant(&mut self, text: &str) -> Outcome<Typed> {
        if let Ok(value) = text.parse::<i64>() {
            return Ok(Typed::integer(value));
        }
        let ty = Type::Numeric(None);
        Ok(Typed::new(super::number::literal(text, &ty)?, ty))
    }

    fn column(&mut self, column: &protobuf::ColumnRef, site: Site<'_>) -> Outcome<Typed> {
        if column.fields.iter().any(|f| matches!(f.node, Some(NodeEnum::AStar(_)))) {
            return Err(Problem::unsupported("a whole row as a value"));
        }
        let (schema, source, name) = match words(&column.fields).as_slice() {
            [name] => (None, None, *name),
            [source, name] => (None, Some(*source), *name),
            [schema, source, name] => (Some(*schema), Some(*source), *name),
            [] | [_, _, _, _] => return Err(Problem::unsupported("a name of four parts")),
            many => {
                let message = format!("improper qualified name (too many dotted names): {}", many.join("."));
                return Err(Problem::rejected("42601", message));
            }
        };
        let scoped = site.scope.find(schema, source, name);
        if let Some(value) = self.variable(&words(&column.fields), scoped.as_ref().err())? {
            return Ok(value);
        }
        if let (true, Err(Problem::Rejected(error))) = (self.asks_system, &scoped)
            && error.sqlstate == "42703"
        {
            return Err(Problem::unsupported(format!("the column {name} of a system view")));
        }
        let found = match scoped {
            Err(_) if source.is_none() && site.scope.scalar(name).is_some() => {
                let column = site.scope.scalar(name).expect("just found");
                return Ok(Typed::new(column.sql.clone(), column.ty.clone()));
            }
            // `SELECT t FROM t`: the row as a value.
            Err(_) if source.is_none() && site.scope.sources.iter().any(|s| s.name == name) => {
                return Err(Problem::unsupported(format!("the row of {name} as a value")));
            }
            Err(Problem::Rejected(error)) if error.sqlstate == "42P01" => {
                return Err(self.missing_source(source.unwrap_or_default(), site.scope));
            }
            // Every table has these, whatever its own columns are.
            Err(_) if ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"].contains(&name) => {
                return Err(Problem::unsupported(format!("the system column {name}")));
            }
            found => found?,
        };
        self.reads(found.column.origin);
        let typed = Typed::new(found.column.sql.clone(), found.column.ty.clone());
        if found.level > 0 {
            return Ok(typed);
        }
        let shown = match found.source.and_then(|source| site.scope.sources.get(source)) {
            Some(source) if !source.name.is_empty() => format!("{}.{name}", source.name),
            _ => words(&column.fields).join("."),
        };
        self.grouped(&typed, found.source, &shown, site)
    }

    /// A column of a query that may have groups: it must be the same for all rows of one.
    pub(super) fn grouped(
        &mut self,
        column: &Typed,
        source: Option<usize>,
        shown: &str,
        site: Site<'_>,
    ) -> Outcome<Typed> {
        let Some(grouping) = site.grouping else { return Ok(column.clone()) };
        if grouping.contains(&column.sql) {
            return Ok(grouping.value(column.clone()));
        }
        if source.is_some_and(|source| grouping.determined.contains(&source)) {
            // The group has one row of this table, so any of its values is the value.
            return Ok(Typed::new(format!("any_value({})", column.sql), column.ty.clone()));
        }
        let message = "must appear in the GROUP BY clause or be used in an aggregate function";
        Err(Problem::rejected("42803", format!("column \"{shown}\" {message}")))
    }

    /// 42P01 for a name before a column that no source has.
    pub(super) fn missing_source(&self, name: &str, scope: &Scope<'_>) -> Problem {
        let table = self.catalog().table(None, name).map(|table| table.oid);
        let levels = std::iter::successors(Some(scope), |scope| scope.outer);
        let mut sources = levels.flat_map(|scope| &scope.sources);
        match sources.find(|source| source.table.is_some() && source.table == table) {
            Some(source) => {
                let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
                Problem::rejected("42P01", message)
                    .hint(format!("Perhaps you meant to reference the table alias \"{}\".", source.name))
            }
            None => scope.missing(Some(name), "", false),
        }
    }

    /// The variable that a name means; `missing` is why it is no column, where it isn't.
    fn variable(&self, path: &[&str], missing: Option<&Problem>) -> Outcome<Option<Typed>> {
        let Some(variables) = self.variables.as_deref() else { return Ok(None) };
        if matches!(missing, Some(Problem::Rejected(error)) if error.sqlstate == "42702") {
            return Ok(None);
        }
        let place = match variables.find(path) {
            Ok(Some(place)) => place,
            Ok(None) => return Ok(None),
            Err(problem) => return if missing.is_some() { Err(problem) } else { Ok(None) },
        };
        match (missing, variables.conflict) {
            (None, NameConflict::Column) => return Ok(None),
            (None, NameConflict::Error) => {
                let message = format!("column reference \"{}\" is ambiguous", path.join("."));
                return Err(Problem::rejected("42702", message)
                    .detail("It could refer to either a PL/pgSQL variable or a table column."));
            }
            _ => {}
        }
        match variables.value(place) {
            Some(value) => Ok(Some(value.typed())),
            None => Err(Problem::unsupported(format!("the record {} as a value", path.join(".")))),
        }
    }

    /// `$1`
    fn parameter(&self, number: i32) -> Outcome<Typed> {
        match self.variables.as_ref().and_then(|variables| variables.parameter(number)) {
            Some(value) => Ok(value.typed()),
            None => Err(Problem::rejected("42P02", format!("there is no parameter ${number}"))),
        }
    }

    fn boolean_expression(&mut self, expression: &protobuf::BoolExpr, site: Site<'_>) -> Outcome<Typed> {
        let word = match BoolExprType::try_from(expression.boolop) {
            Ok(BoolExprType::AndExpr) => "AND",
            Ok(BoolExprType::OrExpr) => "OR",
            _ => "NOT",
        };
        let site = Site { clause: word, ..site };
        let parts = expression.args.iter().map(|arg| self.condition(arg, site)).collect::<Outcome<Vec<_>>>()?;
        let sql = match word {
            "NOT" => format!("(NOT {})", parts.join("")),
            _ => format!("({})", in_turn(parts, word).join(&format!(" {word} "))),
        };
        Ok(Typed::new(sql, Type::Bool))
    }

    fn boolean_test(&mut self, test: &protobuf::BooleanTest, site: Site<'_>) -> Outcome<Typed> {
        let (clause, word) = match BoolTestType::try_from(test.booltesttype) {
            Ok(BoolTestType::IsTrue) => ("IS TRUE", "IS TRUE"),
            Ok(BoolTestType::IsNotTrue) => ("IS NOT TRUE", "IS NOT TRUE"),
            Ok(BoolTestType::IsFalse) => ("IS FALSE", "IS FALSE"),
            Ok(BoolTestType::IsNotFalse) => ("IS NOT FALSE", "IS NOT FALSE"),
            Ok(BoolTestType::IsUnknown) => ("IS UNKNOWN", "IS NULL"),
            _ => ("IS NOT UNKNOWN", "IS NOT NULL"),
        };
        let value = self.condition(required(&test.arg)?, Site { clause, ..site })?;
        Ok(Typed::new(format!("({value} {word})"), Type::Bool))
    }

    fn case(&mut self, case: &protobuf::CaseExpr, site: Site<'_>) -> Outcome<Typed> {
        let subject = match case.arg.as_deref() {
            None => None,
            Some(arg) => match self.expression(arg, site)? {
                // A bare literal is text before anything is compared with it.
                literal if literal.ty == Type::Unknown => {
                    Some(self.coerce(literal, &Type::Text, Context::Implicit, None)?)
                }
                value => Some(value),
            },
        };
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        for when in &case.args {
            let Some(NodeEnum::CaseWhen(when)) = &when.node else { continue };
            let condition = required(&when.expr)?;
            conditions.push(match &subject {
                Some(subject) => {
                    let value = self.expression(condition, site)?;
                    self.operator("=", subject.clone(), value)?.sql
                }
                None => self.condition(condition, Site { clause: "CASE/WHEN", ..site })?,
            });
            results.push(self.expression(required(&when.result)?, site)?);
        }
        results.push(match case.defresult.as_deref() {
            Some(node) => self.expression(node, site)?,
            None => Typed::null(),
        });
        no_rows(results.iter().map(|value| &value.sql), "CASE")?;
        // PostgreSQL's own order for choosing the type: ELSE first.
        results.rotate_right(1);
        let (mut results, ty) = self.unify(results, "CASE")?;
        results.rotate_left(1);
        let default = results.pop().unwrap_or_default();
        let branches: Vec<String> =
            conditions.iter().zip(&results).map(|(when, then)| format!("WHEN {when} THEN {then}")).collect();
        Ok(Typed::new(format!("CASE {} ELSE {default} END", branches.join(" ")), ty))
    }

    /// Reads expressions and gives them one type.
    fn common(&mut self, nodes: &[Node], site: Site<'_>, what: &str) -> Outcome<(Vec<String>, Type)> {
        let values = nodes.iter().map(|node| self.expression(node, site)).collect::<Outcome<Vec<_>>>()?;
        self.unify(values, what)
    }

    /// Gives values one type, as UNION, CASE, COALESCE and ARRAY do.
    pub(super) fn unify(&mut self, values: Vec<Typed>, what: &str) -> Outcome<(Vec<String>, Type)> {
        let types: Vec<Type> = values.iter().map(|v| v.ty.clone()).collect();
        let ty = self.common_type(&types, what)?;
        let values =
            values.into_iter().map(|value| Ok(self.unified(value, &ty, what)?.sql)).collect::<Outcome<Vec<_>>>()?;
        Ok((values, ty))
    }

    fn type_cast(&mut self, cast: &protobuf::TypeCast, site: Site<'_>) -> Outcome<Typed> {
        let name = cast.type_name.as_ref().ok_or_else(|| Problem::unsupported("a cast without a type"))?;
        let ty = Type::from_name(name, self.catalog())?;
        let argument = required(&cast.arg)?;
        if let (Some(NodeEnum::AArrayExpr(array)), Type::Array(element)) = (&argument.node, &ty) {
            // ARRAY[…]::type[] casts each element.
            let element = (**element).clone();
            let mut elements = Vec::new();
            for node in &array.elements {
                let value = self.expression(node, site)?;
                elements.push(convert(value, &element, Context::Explicit, None, self.catalog())?.sql);
            }
            return Ok(Typed::new(format!("CAST([{}] AS {})", elements.join(", "), physical(&ty)), ty));
        }
        let value = self.expression(argument, site)?;
        if let Type::Opaque(name) = &ty
            && value.ty != Type::Unknown
            && value.ty != ty
            && !(is_citext(&ty) && family(&value.ty) == Family::Text)
        {
            return Err(Problem::unsupported(format!("a cast to {name}")));
        }
        self.coerce(value, &ty, Context::Explicit, None)
    }

    fn value_function(&mut self, function: &protobuf::SqlValueFunction) -> Outcome<Typed> {
        use SqlValueFunctionOp as Op;
        self.is_mutable = true;
        let now = self.now();
        match SqlValueFunctionOp::try_from(function.op) {
            Ok(Op::SvfopCurrentTimestamp | Op::SvfopCurrentTimestampN) => {
                self.rounded(now, Type::Timestamptz(None), function.typmod)
            }
            Ok(Op::SvfopLocaltimestamp | Op::SvfopLocaltimestampN) => {
                self.needs_utc("LOCALTIMESTAMP")?;
                self.rounded(now, Type::Timestamp(None), function.typmod)
            }
            Ok(Op::SvfopCurrentDate) => {
                self.needs_utc("CURRENT_DATE")?;
                Ok(Typed::new(format!("CAST({now} AS DATE)"), Type::Date))
            }
            _ => Err(Problem::unsupported("CURRENT_USER and the like")),
        }
    }

    fn rounded(&mut self, sql: String, ty: Type, typmod: i32) -> Outcome<Typed> {
        Ok(match u8::try_from(typmod) {
            Ok(precision) if precision < 6 => Typed::new(super::cast::round_time(&sql, precision), ty),
            _ => Typed::new(sql, ty),
        })
    }

    /// `now()`, the same for the whole rehearsal.
    pub(super) fn now(&mut self) -> String {
        self.volatile("the time of the run");
        format!("CAST({} AS TIMESTAMP)", quote_literal(&self.settings().now))
    }

    fn operator_expression(&mut self, expression: &AExpr, site: Site<'_>) -> Outcome<Typed> {
        let name = words(&expression.name).last().copied().unwrap_or_default().to_owned();
        let kind = AExprKind::try_from(expression.kind).unwrap_or(AExprKind::Undefined);
        let Some(left) = expression.lexpr.as_deref() else {
            return self.prefix(&name, required(&expression.rexpr)?, site);
        };
        let right = required(&expression.rexpr)?;
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
            AExprKind::AexprBetween | AExprKind::AexprNotBetween => {
                let Some(NodeEnum::List(bounds)) = &right.node else { return Err(Problem::unsupported("BETWEEN")) };
                let [low, high] = bounds.items.as_slice() else { return Err(Problem::unsupported("BETWEEN")) };
                let above = self.binary(">=", left, low, site)?;
                let below = self.binary("<=", left, high, site)?;
                let sql = format!("({} AND {})", above.sql, below.sql);
                let negated = kind == AExprKind::AexprNotBetween;
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

    fn binary(&mut self, name: &str, left: &Node, right: &Node, site: Site<'_>) -> Outcome<Typed> {
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
                Ok(Typed::new(format!("pg_numeric_neg({})", super::number::text(&value)), Type::Numeric(None)))
            }
            ("-", Some(_)) if matches!(value.ty, Type::Float4 | Type::Float8) => {
                Ok(Typed::new(format!("(-{})", value.sql), value.ty))
            }
            ("-", Some(_)) => {
                self.operator("-", Typed::new(format!("CAST(0 AS {})", physical(&value.ty)), value.ty.clone()), value)
            }
            ("+", Some(_)) => Ok(value),
            ("~", Some(0..=2)) => Ok(Typed::new(format!("(~{})", value.sql), value.ty)),
            ("@", Some(_)) => self.known_function("abs", vec![value]),
            ("-", None) if value.ty == Type::Interval => Ok(Typed::new(format!("(-{})", value.sql), Type::Interval)),
            _ => Err(Problem::unsupported(format!("the operator {name} before {}", self.shown(&value.ty)))),
        }
    }

    fn in_list(&mut self, name: &str, left: &Node, right: &Node, site: Site<'_>) -> Outcome<Typed> {
        let Some(NodeEnum::List(list)) = &right.node else { return Err(Problem::unsupported("this form of IN")) };
        if matches!(left.node, Some(NodeEnum::RowExpr(_))) {
            let terms = list
                .items
                .iter()
                .map(|item| Ok(self.binary("=", left, item, site)?.sql))
                .collect::<Outcome<Vec<_>>>()?;
            let sql = format!("({})", terms.join(" OR "));
            return Ok(Typed::new(if name == "<>" { format!("(NOT {sql})") } else { sql }, Type::Bool));
        }
        let subject = self.expression(left, site)?;
        let mut values = Vec::new();
        for item in &list.items {
            values.push((self.expression(item, site)?, contains_column(item)));
        }
        self.take_common(&subject, &mut values)?;
        // Each item is compared on its own; those that leave the subject as it is for all stand in one list.
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for (value, _) in values {
            let (subject, value) = self.comparable("=", subject.clone(), value)?;
            match groups.iter_mut().find(|(had, _)| *had == subject.sql) {
                Some((_, list)) => list.push(value.sql),
                None => groups.push((subject.sql, vec![value.sql])),
            }
        }
        let terms: Vec<String> =
            groups.iter().map(|(subject, list)| format!("({subject} IN ({}))", list.join(", "))).collect();
        let sql = match terms.as_slice() {
            [one] => one.clone(),
            several => format!("({})", several.join(" OR ")),
        };
        Ok(Typed::new(if name == "<>" { format!("(NOT {sql})") } else { sql }, Type::Bool))
    }

    /// Of an IN list, the server takes the items without columns as an array of one type, where they and the subject have one.
    fn take_common(&mut self, subject: &Typed, values: &mut [(Typed, bool)]) -> Outcome<()> {
        let mut types = vec![subject.ty.clone()];
        types.extend(values.iter().filter(|(_, column)| !column).map(|(value, _)| value.ty.clone()));
        if types.len() < 3 {
            return Ok(());
        }
        let Ok(ty) = self.common_type(&types, "IN") else { return Ok(()) };
        if types.iter().any(|from| !super::cast::exists(from, &ty, Context::Implicit)) {
            return Ok(());
        }
        let unmodified = super::typed::base(&ty);
        for (value, _) in values.iter_mut().filter(|(value, column)| !column && value.ty != unmodified) {
            // Numbers of two kinds are brought together where they are compared.
            if !(value.ty.is_number() && subject.ty.is_number()) {
                *value = self.coerce(value.clone(), &unmodified, Context::Implicit, None)?;
            }
        }
        Ok(())
    }

    /// `x = ANY(array)`, `x <> ALL(array)`.
    fn any_element(&mut self, name: &str, all: bool, left: &Node, right: &Node, site: Site<'_>) -> Outcome<Typed> {
        let subject = self.expression(left, site)?;
        let array = self.expression(right, site)?;
        let element = match &array.ty {
            Type::Unknown => Type::Unknown,
            Type::Array(element) => (**element).clone(),
            _ => return Err(Problem::rejected("42809", "op ANY/ALL (array) requires array on right side")),
        };
        let wanted = self.chosen_operator(name, &subject.ty, &element)?.right;
        let array = match wanted.to_type() {
            Some(wanted) if element == Type::Unknown || !element.same_base(&wanted) => {
                self.coerce(array, &wanted.array(), Context::Implicit, None)?
            }
            _ => array,
        };
        let Type::Array(element) = &array.ty else { return Err(Problem::unsupported("ANY of an array")) };
        let element = (**element).clone();
        if !matches!((name, all), ("=", false) | ("<>", true)) {
            return self.each_element(name, all, subject, array);
        }
        let (subject, other) = self.comparable(name, subject, Typed::new("x", element))?;
        let list = match other.sql.as_str() {
            "x" => array.sql.clone(),
            key => format!("list_transform({}, lambda x: {key})", array.sql),
        };
        let (x, list) = (&subject.sql, &list);
        let found = format!(
            "CASE WHEN {list} IS NULL THEN NULL WHEN len({list}) = 0 THEN false WHEN {x} IS NULL THEN NULL WHEN list_contains({list}, {x}) THEN true WHEN list_count({list}) < len({list}) THEN NULL ELSE false END"
        );
        Ok(Typed::new(if all { format!("(NOT {found})") } else { found }, Type::Bool))
    }

    /// Any other operator before ANY or ALL: asked of each element, NULL where an element that isn't known could decide.
    fn each_element(&mut self, name: &str, all: bool, subject: Typed, array: Typed) -> Outcome<Typed> {
        let Type::Array(element) = &array.ty else { return Err(Problem::unsupported("ANY of what is no array")) };
        let element = Typed::new("m", (**element).clone());
        let holds = match name.strip_suffix('*').unwrap_or(name) {
            "~~" | "!~~" => self.like(subject, element, None, name.ends_with('*'), name.starts_with('!'))?,
            _ => self.operator(name, subject, element)?,
        };
        if holds.sql.contains("SELECT ") {
            return Err(Problem::unsupported("a subquery before ANY or ALL of an array"));
        }
        let found = format!("list_transform({}, lambda m: {})", array.sql, holds.sql);
        let (sought, otherwise) = if all { ("false", "true") } else { ("true", "false") };
        Ok(Typed::new(
            format!(
                "CASE WHEN {} IS NULL THEN NULL WHEN list_contains({found}, {sought}) THEN {sought} WHEN list_count({found}) < len({found}) THEN NULL ELSE {otherwise} END",
                array.sql
            ),
            Type::Bool,
        ))
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

    fn sub_link(&mut self, link: &protobuf::SubLink, site: Site<'_>) -> Outcome<Typed> {
        let Some(NodeEnum::SelectStmt(select)) = required(&link.subselect)?.node.as_ref() else {
            return Err(Problem::unsupported("this form of subquery"));
        };
        let exists = link.sub_link_type == SubLinkType::ExistsSublink as i32;
        let outer = std::mem::replace(&mut self.in_exists, exists);
        let query = self.query(select, Some(site.scope));
        self.in_exists = outer;
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
                if !matches!((operator.as_str(), all), ("=", false) | ("<>", true)) {
                    return Err(Problem::unsupported(format!(
                        "{operator} {} (subquery)",
                        if all { "ALL" } else { "ANY" }
                    )));
                }
                let given = match &required(&link.testexpr)?.node {
                    Some(NodeEnum::RowExpr(row)) => row.args.len(),
                    _ => 1,
                };
                width(given)?;
                if let Some(NodeEnum::RowExpr(row)) = &required(&link.testexpr)?.node {
                    return self.row_in(&row.args, &query, all, site);
                }
                let ty = one()?;
                let subject = self.expression(required(&link.testexpr)?, site)?;
                let column = Typed::new(format!("q.{}", query.outputs[0].column), ty);
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
}

/// Parts of an AND or OR, of which one that may fail is only reached where those before it don't decide: DuckDB takes conditions
/// in the order of its own liking, the server from the left.
fn in_turn(parts: Vec<String>, word: &str) -> Vec<String> {
    let undecided = if word == "AND" { "IS NOT FALSE" } else { "IS NOT TRUE" };
    let mut guarded = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        // A subquery is asked last on the server, wherever it stands.
        let before: Vec<&str> =
            parts[..index].iter().map(String::as_str).filter(|before| !before.contains("SELECT ")).collect();
        guarded.push(if before.is_empty() || !may_fail(part) {
            part.clone()
        } else {
            format!("CASE WHEN ({}) {undecided} THEN {part} END", before.join(&format!(" {word} ")))
        });
    }
    guarded
}

/// Refuses functions that give rows where the server does.
fn no_rows<'v>(mut values: impl Iterator<Item = &'v String>, place: &str) -> Outcome<()> {
    // A subquery's own are its own.
    match values.any(|sql| sql.contains("unnest(") && !sql.contains("SELECT ")) {
        true => Err(Problem::rejected("0A000", format!("set-returning functions are not allowed in {place}"))),
        false => Ok(()),
    }
}

/// Can this SQL raise an error of the server? Native functions can.
fn may_fail(sql: &str) -> bool {
    sql.contains("error(") || sql.contains("pg_")
}

/// Does an expression read a column of its own query?
pub(super) fn contains_column(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::ColumnRef(_)) => true,
        Some(NodeEnum::SubLink(link)) => link.testexpr.as_deref().is_some_and(contains_column),
        Some(node) => crate::catalog::tree::children(node).into_iter().any(contains_column),
        None => false,
    }
}

/// A constant integer, for LIMIT and the like.
pub(super) fn integer_constant(value: &Typed) -> Option<i64> {
    match value.constant {
        Some(Constant::Integer(value)) => Some(value),
        _ => None,
    }
}
