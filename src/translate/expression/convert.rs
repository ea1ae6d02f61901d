//! Casts, common types, and the values of the moment.

use pg_query::NodeEnum;
use pg_query::protobuf::{self, Node, SqlValueFunctionOp};

use super::{Site, required};
use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;
use crate::translate::TIME_OF_RUN;
use crate::translate::carried;
use crate::translate::cast::{Context, convert, round_clock, round_time};
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
                let value = self.as_composite(node, &element, site)?;
                if matches!(value.ty, Type::Array(_)) {
                    return Err(Problem::unsupported("an array of arrays"));
                }
                elements.push(convert(value, &element, Context::Explicit, None, self.catalog())?.sql);
            }
            return Ok(Typed::new(format!("CAST([{}] AS {})", elements.join(", "), physical(&ty)), ty));
        }
        if let (Some(NodeEnum::RowExpr(row)), Family::Text) = (&argument.node, family(&ty)) {
            let text = self.row_text(&row.args, site)?;
            return self.coerce(text, &ty, Context::Explicit, None);
        }
        if let (Some(NodeEnum::RowExpr(row)), Type::Composite(oid)) = (&argument.node, &ty) {
            return self.composite_of(&row.args, *oid, site);
        }
        if ty == Type::Interval && !name.typmods.is_empty() {
            return self.interval_of_fields(argument, &name.typmods);
        }
        let value = self.expression(argument, site)?;
        if let Type::Opaque(name) = &ty
            && value.ty != Type::Unknown
            && value.ty != ty
            && !(is_citext(&ty) && family(&value.ty) == Family::Text)
            && carried::name(&ty).is_none()
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

    /// `INTERVAL '1' DAY`, `INTERVAL '1:30' HOUR TO MINUTE`: only literals whose fields are those that are named.
    fn interval_of_fields(&mut self, argument: &Node, modifiers: &[Node]) -> Outcome<Typed> {
        let other = || Problem::unsupported("an interval of this form");
        let [fields] = modifiers else { return Err(other()) };
        let number = match &fields.node {
            Some(NodeEnum::AConst(protobuf::AConst { val: Some(protobuf::a_const::Val::Ival(value)), .. })) => {
                value.ival
            }
            _ => return Err(other()),
        };
        let Some(NodeEnum::AConst(protobuf::AConst { val: Some(protobuf::a_const::Val::Sval(text)), .. })) =
            &argument.node
        else {
            return Err(other());
        };
        let text = text.sval.trim();
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let is_whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let is_clock = |colons: usize| {
            digits.matches(':').count() == colons && digits.bytes().all(|b| b.is_ascii_digit() || b == b':')
        };
        // Bits of the fields, as the grammar sets them.
        let written = match number {
            4 if is_whole => format!("{text} years"),
            2 if is_whole => format!("{text} months"),
            8 if is_whole => format!("{text} days"),
            1024 if is_whole => format!("{text} hours"),
            2048 if is_whole => format!("{text} minutes"),
            4096 if is_whole => format!("{text} seconds"),
            3072 if is_clock(1) => text.to_owned(),
            7168 if is_clock(2) => text.to_owned(),
            6 if digits.split_once('-').is_some_and(|(years, months)| {
                [years, months].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
            }) =>
            {
                text.to_owned()
            }
            _ => return Err(other()),
        };
        convert(Typed::string(&written), &Type::Interval, Context::Explicit, None, self.catalog())
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
            Ok(Op::SvfopLocaltime | Op::SvfopLocaltimeN) => {
                self.needs_utc("LOCALTIME")?;
                let digits = u8::try_from(function.typmod).ok();
                Ok(Typed::new(round_clock(format!("CAST({now} AS TIME)"), digits), Type::Time(None)))
            }
            Ok(Op::SvfopCurrentTime | Op::SvfopCurrentTimeN) => {
                self.needs_utc("CURRENT_TIME")?;
                let ty = Type::Opaque("time with time zone".to_owned());
                let sql = format!("(pg_time_text(CAST(CAST({now} AS TIME) AS VARCHAR)) || '+00')");
                Ok(match u8::try_from(function.typmod) {
                    Ok(digits) => Typed::new(format!("pg_timetz_round({sql}, '{digits}')"), ty),
                    Err(_) => Typed::new(sql, ty),
                })
            }
            Ok(Op::SvfopCurrentSchema) => self.known_function("current_schema", Vec::new()),
            Ok(Op::SvfopCurrentCatalog) => self.known_function("current_database", Vec::new()),
            // Who will run the migration isn't known here.
            Ok(Op::SvfopCurrentUser | Op::SvfopCurrentRole | Op::SvfopUser | Op::SvfopSessionUser) => {
                self.volatile("the user of the run");
                Ok(Typed::new(quote_literal("postgres"), Type::Name))
            }
            _ => Err(Problem::unsupported("this form of the session's state")),
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
