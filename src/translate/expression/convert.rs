//! Casts, common types, and the values of the moment.

use pg_query::NodeEnum;
use pg_query::protobuf::{self, Node, SqlValueFunctionOp};

use super::{Site, required};
use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;
use crate::translate::TIME_OF_RUN;
use crate::translate::cast::{Context, convert, round_time};
use crate::translate::reader::Reader;
use crate::translate::typed::{Family, Typed, family, is_citext, physical, refused_of_rows};

impl Reader<'_> {
    /// Reads expressions and gives them one type.
    pub(super) fn common(&mut self, nodes: &[Node], site: Site<'_>, what: &str) -> Outcome<(Vec<String>, Type)> {
        let values = nodes.iter().map(|node| self.expression(node, site)).collect::<Outcome<Vec<_>>>()?;
        self.unify(values, what)
    }

    /// Gives values one type, as UNION, CASE, COALESCE and ARRAY do.
    pub(in crate::translate) fn unify(&mut self, values: Vec<Typed>, what: &str) -> Outcome<(Vec<String>, Type)> {
        let types: Vec<Type> = values.iter().map(|v| v.ty.clone()).collect();
        let ty = self.common_type(&types, what)?;
        let values =
            values.into_iter().map(|value| Ok(self.unified(value, &ty, what)?.sql)).collect::<Outcome<Vec<_>>>()?;
        Ok((values, ty))
    }

    pub(super) fn type_cast(&mut self, cast: &protobuf::TypeCast, site: Site<'_>) -> Outcome<Typed> {
        let name = cast.type_name.as_ref().ok_or_else(|| Problem::unsupported("a cast without a type"))?;
        let ty = Type::from_name(name, self.catalog())?;
        let argument = required(&cast.arg)?;
        if let (Some(NodeEnum::AArrayExpr(array)), Type::Array(element)) = (&argument.node, &ty) {
            // ARRAY[…]::type[] casts each element.
            let element = (**element).clone();
            let mut elements = Vec::new();
            for node in &array.elements {
                let value = self.expression(node, site)?;
                if matches!(value.ty, Type::Array(_)) {
                    return Err(Problem::unsupported("an array of arrays"));
                }
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
            if crate::translate::system::is_number(&value.ty) && crate::translate::system::is_number(&ty) {
                return self.coerce(value, &ty, Context::Explicit, None);
            }
            let what = format!("a cast to {name}");
            // Of a text, every type can be read: only a row shows what comes of it.
            return match family(&value.ty) == Family::Text {
                true => Ok(refused_of_rows(&what, &[value], true, &ty)),
                false => Err(Problem::unsupported(what)),
            };
        }
        self.coerce(value, &ty, Context::Explicit, None)
    }

    pub(super) fn value_function(&mut self, function: &protobuf::SqlValueFunction) -> Outcome<Typed> {
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
            Ok(Op::SvfopCurrentSchema) => self.known_function("current_schema", Vec::new()),
            Ok(Op::SvfopCurrentCatalog) => self.known_function("current_database", Vec::new()),
            // Who will run the migration isn't known here.
            Ok(Op::SvfopCurrentUser | Op::SvfopCurrentRole | Op::SvfopUser | Op::SvfopSessionUser) => {
                self.volatile("the user of the run");
                Ok(Typed::new(quote_literal("postgres"), Type::Name))
            }
            _ => Err(Problem::unsupported("this form of CURRENT_TIME")),
        }
    }

    fn rounded(&mut self, sql: String, ty: Type, typmod: i32) -> Outcome<Typed> {
        Ok(match u8::try_from(typmod) {
            Ok(precision) if precision < 6 => Typed::new(round_time(&sql, precision), ty),
            _ => Typed::new(sql, ty),
        })
    }

    /// `now()`, the same for the whole rehearsal.
    pub(in crate::translate) fn now(&mut self) -> String {
        self.volatile(TIME_OF_RUN);
        format!("CAST({} AS TIMESTAMP)", quote_literal(&self.settings().now))
    }
}
