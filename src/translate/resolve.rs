//! Resolution: which operator or function of the server an expression means, and its operands converted to what that takes.
//!
//! Input: a name and typed operands. Output: the same operands in the types of the chosen signature, and the type of the result.
//! Invariants: what the server has nothing for is its own error (42883, 42725), in its words; where a type or name of an extension
//! takes part, nothing is guessed. Left out: how the chosen thing is computed.

use super::cast::{Context, convert};
use super::reader::Reader;
use super::typed::{Constant, Typed, is_integer};
use crate::catalog::pg::coercion::{self, Mismatch};
use crate::catalog::pg::resolution::{self, Called, ChosenFunction, ChosenOperator, Failure, Origin};
use crate::catalog::pg::{self, Function, Id};
use crate::catalog::{Expression, Outcome, Problem, Type};

/// Functions that the server has from a later version on than the tables are of: a name alone doesn't tell that it's missing.
const LATER: &[&str] = &[
    "any_value",
    "array_reverse",
    "array_sample",
    "array_shuffle",
    "array_sort",
    "casefold",
    "crc32",
    "crc32c",
    "date_add",
    "date_subtract",
    "erf",
    "erfc",
    "gamma",
    "icu_unicode_version",
    "json_array",
    "json_exists",
    "json_object",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_value",
    "lgamma",
    "merge_action",
    "pg_basetype",
    "pg_input_error_info",
    "pg_input_is_valid",
    "random_normal",
    "system_user",
    "to_bin",
    "to_oct",
    "to_regtypemod",
    "unicode_assigned",
    "unicode_version",
    "uuid_extract_timestamp",
    "uuid_extract_version",
    "uuidv4",
    "uuidv7",
    "xmltext",
];

/// A resolved call.
pub(super) enum Resolved {
    /// A function of the server, its arguments converted, defaults filled in.
    BuiltIn {
        function: &'static Function,
        args: Vec<Typed>,
        /// None for a pseudo-type.
        result: Option<Type>,
    },
    /// A type's name used as a function.
    Cast(Typed, Type),
}

/// Arguments as a call gives them.
pub(super) struct Given {
    pub args: Vec<Typed>,
    /// Names of the last ones, where they are given by name.
    pub names: Vec<String>,
    /// The last one is marked VARIADIC.
    pub variadic: bool,
    /// The function as the call names it, for messages.
    pub shown: String,
}

impl Reader<'_> {
    /// A type as the server's messages name it: without length or precision.
    pub(super) fn shown(&self, ty: &Type) -> String {
        match ty {
            Type::Opaque(name) if name == "bpchar" => "character".to_owned(),
            ty => ty.base_name(self.catalog()),
        }
    }

    /// Converts a value; what depends on the server's time zone is refused where that isn't UTC.
    pub(super) fn coerce(&mut self, value: Typed, to: &Type, context: Context, column: Option<&str>) -> Outcome<Typed> {
        if let Type::Domain(..) = to {
            return self.coerce_to_domain(value, to, context, column);
        }
        let zoned = |ty: &Type| matches!(ty, Type::Timestamptz(_));
        let time = |ty: &Type| matches!(ty, Type::Date | Type::Time(_) | Type::Timestamp(_) | Type::Timestamptz(_));
        if zoned(&value.ty) != zoned(to) && time(&value.ty) && time(to) {
            self.needs_utc("a conversion between times with and without time zone")?;
        }
        if value.ty == Type::Unknown && value.text().is_some_and(|text| super::literal::is_time_of_run(text, to)) {
            self.volatile("the time of the run");
            self.needs_utc("a literal that stands for the time of the run")?;
        }
        if let (Some(from), Some(to)) = (Id::of(&value.ty), Id::of(to)) {
            self.is_mutable |= !coercion::is_immutable(from, to);
        }
        convert(value, to, context, column, self.catalog())
    }

    /// An operand or argument as the type that was chosen for it.
    pub(super) fn adapt(&mut self, value: Typed, wanted: Id) -> Outcome<Typed> {
        if Id::of(&value.ty) == Some(wanted) {
            return Ok(value);
        }
        let Some(to) = wanted.to_type() else { return Ok(value) };
        let constant = value.constant.clone().filter(|c| matches!(c, Constant::Integer(_)) && is_integer(&to));
        let converted = self.coerce(value, &to, Context::Implicit, None)?;
        Ok(Typed { constant: constant.or(converted.constant), ..converted })
    }

    /// Resolves an operator: its operands converted, and the type of its result.
    pub(super) fn operands(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<(Typed, Typed, Type)> {
        let chosen = self.chosen_operator(name, &left.ty, &right.ty)?;
        self.is_mutable |= !chosen.is_immutable && !joins_immutably(name, &chosen);
        let result = chosen.result.to_type().ok_or_else(|| self.no_operator(name, &left.ty, &right.ty))?;
        if left.ty.is_number() && right.ty.is_number() {
            // Numbers of two kinds are brought together where they are computed with.
            return Ok((left, right, result));
        }
        let left = match chosen.left {
            Some(wanted) => self.adapt(left, wanted)?,
            None => left,
        };
        Ok((left, self.adapt(right, chosen.right)?, result))
    }

    /// The operator for two types.
    pub(super) fn chosen_operator(&self, name: &str, left: &Type, right: &Type) -> Outcome<ChosenOperator> {
        let (Some(a), Some(b)) = (Id::of(left), Id::of(right)) else {
            return Err(self.no_operator(name, left, right));
        };
        resolution::operator(name, Some(a), b)
            .map_err(|failure| self.operator_failure(name, Some((left, a)), (right, b), failure))
    }

    /// Resolves a prefix operator.
    pub(super) fn operand(&mut self, name: &str, value: Typed) -> Outcome<Typed> {
        let Some(id) = Id::of(&value.ty) else {
            return Err(Problem::unsupported(format!("the operator {name} before {}", self.shown(&value.ty))));
        };
        match resolution::operator(name, None, id) {
            Ok(chosen) => {
                self.is_mutable |= !chosen.is_immutable;
                self.adapt(value, chosen.right)
            }
            Err(failure) => Err(self.operator_failure(name, None, (&value.ty, id), failure)),
        }
    }

    /// An operator that the server has, but isn't known here.
    pub(super) fn no_operator(&self, name: &str, left: &Type, right: &Type) -> Problem {
        Problem::unsupported(format!("the operator {} {name} {}", self.shown(left), self.shown(right)))
    }

    fn operator_failure(&self, name: &str, left: Option<(&Type, Id)>, right: (&Type, Id), failure: Failure) -> Problem {
        let operands = match left {
            Some((left, _)) => format!("{} {name} {}", self.shown(left), self.shown(right.0)),
            None => format!("{name} {}", self.shown(right.0)),
        };
        match failure {
            Failure::Ambiguous => Problem::rejected("42725", format!("operator is not unique: {operands}"))
                .hint("Could not choose a best candidate operator. You might need to add explicit type casts."),
            Failure::Undetermined => undetermined(),
            Failure::NoArray(id) => no_array(id),
            Failure::Missing if self.operator_may_exist(name, left.map(|(_, id)| id), right.1) => {
                Problem::unsupported(format!("the operator {operands}"))
            }
            Failure::Missing => {
                let hint = match left {
                    Some(_) => {
                        "No operator matches the given name and argument types. You might need to add explicit type casts."
                    }
                    None => {
                        "No operator matches the given name and argument type. You might need to add an explicit type cast."
                    }
                };
                Problem::rejected("42883", format!("operator does not exist: {operands}")).hint(hint)
            }
        }
    }

    /// Might an extension bring this operator?
    fn operator_may_exist(&self, name: &str, left: Option<Id>, right: Id) -> bool {
        let catalog = self.catalog();
        let suits = |had: Option<Id>, id: Id| had.is_some_and(|had| coercion::converts(id, had, Context::Implicit));
        let tables = pg::tables();
        let listed = tables.extensions_with_operator(name).iter().any(|(extension, a, b)| {
            (catalog.partial || catalog.extensions.contains(*extension))
                && suits(Some(*b), right)
                && left.is_none_or(|left| suits(*a, left))
        });
        let foreign = catalog.partial || catalog.extensions.iter().any(|name| !tables.knows_extension(name));
        listed || (foreign && tables.operators(name).is_empty())
    }

    /// Resolves a call.
    pub(super) fn called(&mut self, name: &str, given: Given) -> Outcome<Resolved> {
        let ids: Option<Vec<Id>> = given.args.iter().map(|value| Id::of(&value.ty)).collect();
        let Some(ids) = ids else { return Err(self.no_function(name, &given.args)) };
        match resolution::function(name, &ids, &given.names, given.variadic, &[]) {
            Ok(Called::Cast(id)) => {
                let ty = id.to_type().ok_or_else(|| self.no_function(name, &given.args))?;
                let value = given.args.into_iter().next().ok_or_else(|| Problem::unsupported("a cast of nothing"))?;
                Ok(Resolved::Cast(value, ty))
            }
            Ok(Called::Function(chosen)) => self.chosen(*chosen, given),
            Err(failure) => Err(self.function_failure(name, &given, failure)),
        }
    }

    fn chosen(&mut self, chosen: ChosenFunction, given: Given) -> Outcome<Resolved> {
        let Origin::BuiltIn(function) = chosen.origin else {
            return Err(Problem::unsupported("a function that the database defines itself"));
        };
        self.is_mutable |= function.volatility != b'i';
        let mut values: Vec<Option<Typed>> = given.args.into_iter().map(Some).collect();
        let mut args = Vec::new();
        for (at, (wanted, place)) in chosen.arguments.iter().zip(&chosen.given).enumerate() {
            let value = match place.and_then(|place| values.get_mut(place)?.take()) {
                Some(value) => value,
                None => self.built_in_default(function, at)?,
            };
            args.push(self.adapt(value, *wanted)?);
        }
        Ok(Resolved::BuiltIn { function, args, result: chosen.result.to_type() })
    }

    fn built_in_default(&mut self, function: &Function, at: usize) -> Outcome<Typed> {
        let first = function.arguments.len() - function.defaults.len();
        let sql = at.checked_sub(first).and_then(|at| function.defaults.get(at));
        let default = sql.and_then(|sql| Expression::parse(sql).ok());
        let default =
            default.ok_or_else(|| Problem::unsupported(format!("{}() without all arguments", function.name)))?;
        let scope = super::scope::Scope::default();
        self.expression(&default.node, super::expression::Site::new(&scope, "DEFAULT"))
    }

    /// A function that the server has, but isn't known here for these types.
    pub(super) fn no_function(&self, name: &str, args: &[Typed]) -> Problem {
        let types: Vec<String> = args.iter().map(|arg| self.shown(&arg.ty)).collect();
        Problem::unsupported(format!("the function {name}({})", types.join(", ")))
    }

    fn function_failure(&self, name: &str, given: &Given, failure: Failure) -> Problem {
        let by_place = given.args.len() - given.names.len();
        let types: Vec<String> = given
            .args
            .iter()
            .enumerate()
            .map(|(at, arg)| match at.checked_sub(by_place).and_then(|at| given.names.get(at)) {
                Some(name) => format!("{name} => {}", self.shown(&arg.ty)),
                None => self.shown(&arg.ty),
            })
            .collect();
        let call = format!("{}({})", given.shown, types.join(", "));
        match failure {
            Failure::Ambiguous => Problem::rejected("42725", format!("function {call} is not unique"))
                .hint("Could not choose a best candidate function. You might need to add explicit type casts."),
            Failure::Undetermined => undetermined(),
            Failure::NoArray(id) => no_array(id),
            Failure::Missing if self.function_may_exist(name) => Problem::unsupported(format!("the function {call}")),
            Failure::Missing => missing_function(&call),
        }
    }

    /// Might a later version, an extension or what a snapshot doesn't list bring a function of this name?
    pub(super) fn function_may_exist(&self, name: &str) -> bool {
        let (catalog, tables) = (self.catalog(), pg::tables());
        let bare = name.rsplit('.').next().unwrap_or(name);
        let built_in = !tables.functions(bare).is_empty();
        if LATER.contains(&bare) || catalog.functions.iter().any(|function| function.name == bare) {
            return true;
        }
        if built_in {
            // What extensions add under a name of the server's own takes their own types, which aren't resolved here.
            return false;
        }
        // One that stands in a schema out of sight is as good as missing.
        let hidden = |extension: &str| {
            catalog.extension_schemas.get(extension).is_some_and(|schema| !catalog.search_path.contains(schema))
        };
        let is_there =
            |extension: &str| catalog.partial || (catalog.extensions.contains(extension) && !hidden(extension));
        catalog.partial
            || catalog.extensions.iter().any(|name| !tables.knows_extension(name))
            || tables.extensions_with_function(bare).iter().any(|extension| is_there(extension))
    }

    /// The type that UNION and its kin choose; one that all share keeps its length.
    pub(super) fn common_type(&mut self, types: &[Type], what: &str) -> Outcome<Type> {
        if let Some((first, rest)) = types.split_first()
            && *first != Type::Unknown
            && rest.iter().all(|ty| ty == first)
        {
            return Ok(first.clone());
        }
        let foreign = types.iter().find(|ty| Id::of(ty).is_none());
        if let Some(foreign) = foreign {
            return match types.iter().all(|ty| ty == foreign || *ty == Type::Unknown) {
                true => Ok(foreign.clone()),
                false => Err(Problem::unsupported(format!("{} beside another type", self.shown(foreign)))),
            };
        }
        let ids: Vec<Id> = types.iter().filter_map(Id::of).collect();
        match coercion::common(&ids) {
            Ok(id) => {
                let same = types.iter().find(|ty| Id::of(ty) == Some(id)).map(super::typed::base);
                same.or_else(|| id.to_type()).ok_or_else(|| Problem::unsupported(format!("{what} of these types")))
            }
            Err(Mismatch(a, b)) => {
                let shown = |id: Id| {
                    types.iter().find(|ty| Id::of(ty) == Some(id)).map_or_else(String::new, |ty| self.shown(ty))
                };
                let message = format!("{what} types {} and {} cannot be matched", shown(a), shown(b));
                Err(Problem::rejected("42804", message))
            }
        }
    }

    /// A value as the type that UNION and its kin have chosen.
    pub(super) fn unified(&mut self, value: Typed, ty: &Type, what: &str) -> Outcome<Typed> {
        if value.ty == *ty {
            return Ok(value);
        }
        if let (Some(from), Some(to)) = (Id::of(&value.ty), Id::of(ty))
            && !coercion::converts(from, to, Context::Implicit)
        {
            let (from, to) = (self.shown(&value.ty), self.shown(ty));
            return Err(Problem::rejected("42846", format!("{what} could not convert type {from} to {to}")));
        }
        self.coerce(value, ty, Context::Implicit, None)
    }
}

/// 42883 for a call that nothing answers to.
pub(super) fn missing_function(call: &str) -> Problem {
    Problem::rejected("42883", format!("function {call} does not exist"))
        .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

/// `text || other` is as immutable as the other's text form: the server looks into the function behind it.
fn joins_immutably(name: &str, chosen: &ChosenOperator) -> bool {
    let text = pg::tables().by_name("text").unwrap_or(chosen.result);
    let writes = |id: Id| coercion::is_immutable(id, text);
    name == "||" && chosen.left.is_some_and(writes) && writes(chosen.right)
}

fn no_array(element: Id) -> Problem {
    let shown = pg::tables().row(element).map_or("an enum", |row| row.shown);
    Problem::rejected("42704", format!("could not find array type for data type {shown}"))
}

fn undetermined() -> Problem {
    Problem::rejected("42804", "could not determine polymorphic type because input has type unknown")
}
