//! PostgreSQL's types, as far as migrations use them.
//!
//! Input: `format_type` text or the parser's type names. Output: [`Type`], and its name as the server writes it. Invariant: a type
//! that exists but isn't known here is [`Type::Opaque`]: its values are carried as text and nothing is computed with them. Left
//! out: which casts there are, see [`super::casts`].

use pg_query::NodeEnum;
use pg_query::protobuf::{AConst, Node, TypeName, a_const::Val};

use super::lookup::{missing_schema, near_name, quoted};
use super::{Catalog, Oid, Outcome, Problem, RelationKind, tree};

/// A PostgreSQL type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric`, with precision and scale where given
    Numeric(Option<(u32, i32)>),
    /// `text`
    Text,
    /// `character varying`, with its length where given
    Varchar(Option<u32>),
    /// `character(n)`
    Char(u32),
    /// `name`
    Name,
    /// `bytea`
    Bytea,
    /// `uuid`
    Uuid,
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
    /// `date`
    Date,
    /// `time without time zone`, with its precision where given
    Time(Option<u8>),
    /// `timestamp without time zone`, with its precision where given
    Timestamp(Option<u8>),
    /// `timestamp with time zone`, with its precision where given
    Timestamptz(Option<u8>),
    /// `interval`
    Interval,
    /// An enum of the catalog
    Enum(Oid),
    /// A domain of the catalog, and the type it is based on
    Domain(Oid, Box<Type>),
    /// A composite type of the catalog
    Composite(Oid),
    /// A one-dimensional array
    Array(Box<Type>),
    /// A string literal or NULL whose type the context decides
    Unknown,
    /// `record`: a row constructor or a whole row
    Record,
    /// `void`
    Void,
    /// Any other type, by name as `format_type` writes it
    Opaque(String),
}

/// Types of the server that a snapshot doesn't carry, by their own names and as `format_type` writes them.
const OPAQUE: &[(&str, &str)] = &[
    ("bit", "bit"),
    ("varbit", "bit varying"),
    ("timetz", "time with time zone"),
    ("char", "\"char\""),
    ("bpchar", "bpchar"),
];

/// Likewise, where both names are the same.
const OPAQUE_SAME: &str = "\
    box cidr circle datemultirange daterange inet int4multirange int4range int8multirange int8range jsonpath line \
    lseg macaddr macaddr8 money nummultirange numrange oid path pg_lsn pg_snapshot point polygon refcursor regclass \
    regcollation regconfig regdictionary regnamespace regoper regoperator regproc regprocedure regrole regtype \
    tsmultirange tsquery tsrange tstzmultirange tstzrange tsvector txid_snapshot xid xid8 xml";

/// Types that come with an extension.
const OF_EXTENSIONS: &[(&str, &str)] = &[
    ("citext", "citext"),
    ("cube", "cube"),
    ("geography", "postgis"),
    ("geometry", "postgis"),
    ("halfvec", "vector"),
    ("hstore", "hstore"),
    ("ip4r", "ip4r"),
    ("ltree", "ltree"),
    ("lquery", "ltree"),
    ("sparsevec", "vector"),
    ("vector", "vector"),
];

impl Type {
    /// Reads what `format_type` writes, with `public` on the search path.
    ///
    /// # Errors
    /// Unsupported, where that isn't a type's name; 42704, where no such type is in the catalog.
    pub fn parse(text: &str, catalog: &Catalog) -> Outcome<Type> {
        let unreadable = || Problem::unsupported(format!("the type {text}"));
        let cast = super::expression::parse(&format!("NULL::{text}")).map_err(|_| unreadable())?;
        match &cast.node {
            Some(NodeEnum::TypeCast(cast)) => Type::from_name(cast.type_name.as_ref().ok_or_else(unreadable)?, catalog),
            _ => Err(unreadable()),
        }
    }

    /// The type a statement names.
    ///
    /// # Errors
    /// 42704, where there is no such type; 22023, where its modifiers are out of range; unsupported for types of extensions that
    /// the catalog doesn't know to be installed.
    pub fn from_name(name: &TypeName, catalog: &Catalog) -> Outcome<Type> {
        Type::resolve(name, catalog).map_err(|problem| problem.at(name.location))
    }

    fn resolve(name: &TypeName, catalog: &Catalog) -> Outcome<Type> {
        if name.setof {
            return Err(Problem::unsupported("a set of values as a type"));
        }
        let names = tree::strings(&name.names);
        if name.pct_type {
            return column_type(&names, catalog);
        }
        let (schema, base) = match names.as_slice() {
            [base] => (None, base.as_str()),
            [schema, base] => (Some(schema.as_str()), base.as_str()),
            _ => return Err(Problem::unsupported(format!("the type {}", names.join(".")))),
        };
        let modifiers: Vec<i64> = name.typmods.iter().filter_map(integer).collect();
        let element = match schema {
            None | Some("pg_catalog") => built_in(base, &modifiers)?,
            Some(_) => None,
        };
        let element = match element {
            Some(ty) => ty,
            None => user_type(schema, base, &modifiers, catalog).map_err(|problem| match problem {
                Problem::Rejected(mut error) if error.sqlstate == "42704" && !name.array_bounds.is_empty() => {
                    error.message = error.message.replacen("\" does", "[]\" does", 1);
                    Problem::Rejected(error)
                }
                problem => problem,
            })?,
        };
        // PostgreSQL keeps neither the number of dimensions nor their bounds.
        if let (Type::Domain(..), false) = (&element, name.array_bounds.is_empty()) {
            return Err(Problem::unsupported("an array of a domain's values"));
        }
        Ok(if name.array_bounds.is_empty() { element } else { element.array() })
    }

    /// An array of this.
    pub fn array(self) -> Type {
        match self {
            Type::Array(_) => self,
            element => Type::Array(Box::new(element)),
        }
    }

    /// As `format_type` writes it.
    pub fn name(&self, catalog: &Catalog) -> String {
        let precision = |base: &str, precision: &Option<u8>, rest: &str| match precision {
            Some(precision) => format!("{base}({precision}){rest}"),
            None => format!("{base}{rest}"),
        };
        match self {
            Type::Numeric(Some((digits, scale))) => format!("numeric({digits},{scale})"),
            Type::Varchar(Some(length)) => format!("character varying({length})"),
            Type::Char(length) => format!("character({length})"),
            Type::Time(p) => precision("time", p, " without time zone"),
            Type::Timestamp(p) => precision("timestamp", p, " without time zone"),
            Type::Timestamptz(p) => precision("timestamp", p, " with time zone"),
            // Of several dimensions, the name tells no more than of one.
            Type::Array(element) if matches!(**element, Type::Array(_)) => element.name(catalog),
            Type::Array(element) => format!("{}[]", element.name(catalog)),
            Type::Opaque(name) => name.clone(),
            _ => self.base_name(catalog),
        }
    }

    /// As `format_type` writes it without modifiers: `character varying` for `varchar(100)`.
    pub fn base_name(&self, catalog: &Catalog) -> String {
        let name = match self {
            Type::Bool => "boolean",
            Type::Int2 => "smallint",
            Type::Int4 => "integer",
            Type::Int8 => "bigint",
            Type::Float4 => "real",
            Type::Float8 => "double precision",
            Type::Numeric(_) => "numeric",
            Type::Text => "text",
            Type::Varchar(_) => "character varying",
            Type::Char(_) => "character",
            Type::Name => "name",
            Type::Bytea => "bytea",
            Type::Uuid => "uuid",
            Type::Json => "json",
            Type::Jsonb => "jsonb",
            Type::Date => "date",
            Type::Time(_) => "time without time zone",
            Type::Timestamp(_) => "timestamp without time zone",
            Type::Timestamptz(_) => "timestamp with time zone",
            Type::Interval => "interval",
            Type::Unknown => "unknown",
            Type::Record => "record",
            Type::Void => "void",
            Type::Enum(oid) => {
                return catalog.enums.get(oid).map_or_else(|| oid.to_string(), |e| enum_name(e, catalog));
            }
            Type::Domain(oid, _) => return catalog.domain_name(*oid),
            Type::Composite(oid) => return catalog.composite_name(*oid),
            Type::Array(element) if matches!(**element, Type::Array(_)) => return element.base_name(catalog),
            Type::Array(element) => return format!("{}[]", element.base_name(catalog)),
            Type::Opaque(name) => name.split_once('(').map_or(name.as_str(), |(base, _)| base),
        };
        name.to_owned()
    }

    /// `text`, `varchar`, `char(n)`, `name`.
    pub fn is_text(&self) -> bool {
        matches!(self.plain(), Type::Text | Type::Varchar(_) | Type::Char(_) | Type::Name)
    }

    /// A number of any kind.
    pub fn is_number(&self) -> bool {
        self.is_integer() || matches!(self.plain(), Type::Float4 | Type::Float8 | Type::Numeric(_))
    }

    /// `smallint`, `integer`, `bigint`.
    pub fn is_integer(&self) -> bool {
        matches!(self.plain(), Type::Int2 | Type::Int4 | Type::Int8)
    }

    /// A date, a time or an instant; intervals aren't.
    pub fn is_time(&self) -> bool {
        matches!(self.plain(), Type::Date | Type::Time(_) | Type::Timestamp(_) | Type::Timestamptz(_))
    }

    /// A time of day, with a zone or without.
    pub fn is_clock(&self) -> bool {
        match self {
            Type::Time(_) => true,
            Type::Opaque(name) => name.starts_with("time"),
            _ => false,
        }
    }

    /// The user's own, or an array of one that is.
    pub fn is_own(&self) -> bool {
        match self {
            Type::Enum(_) | Type::Domain(..) | Type::Composite(_) => true,
            Type::Array(element) => element.is_own(),
            _ => false,
        }
    }

    /// Has the enum as itself or as its element.
    pub fn uses_enum(&self, oid: Oid) -> bool {
        match self {
            Type::Enum(own) => *own == oid,
            Type::Domain(_, base) => base.uses_enum(oid),
            Type::Array(element) => element.uses_enum(oid),
            _ => false,
        }
    }
}

fn enum_name(ty: &super::EnumType, catalog: &Catalog) -> String {
    // Visible means found under its bare name: another schema earlier on the path may hide it.
    if catalog.enum_type(None, &ty.name).is_some_and(|found| found.oid == ty.oid) {
        quoted(&ty.name)
    } else {
        format!("{}.{}", quoted(&ty.schema), quoted(&ty.name))
    }
}

/// A type of pg_catalog.
fn built_in(name: &str, modifiers: &[i64]) -> Outcome<Option<Type>> {
    if let Some(element) = name.strip_prefix('_') {
        return Ok(built_in(element, modifiers)?.map(Type::array));
    }
    // The server warns of more than microseconds and takes them for that.
    let precision = || modifiers.first().map(|digits| (*digits).clamp(0, 6) as u8);
    Ok(Some(match name {
        "bool" => Type::Bool,
        "int2" => Type::Int2,
        "int4" => Type::Int4,
        "int8" => Type::Int8,
        "float4" => Type::Float4,
        "float8" => Type::Float8,
        "numeric" => numeric(modifiers)?,
        "text" => Type::Text,
        "varchar" => Type::Varchar(length("varchar", modifiers)?),
        "bpchar" => length("char", modifiers)?.map_or_else(|| Type::Opaque("bpchar".into()), Type::Char),
        "name" => Type::Name,
        "bytea" => Type::Bytea,
        "uuid" => Type::Uuid,
        "json" => Type::Json,
        "jsonb" => Type::Jsonb,
        "date" => Type::Date,
        "time" => Type::Time(precision()),
        "timestamp" => Type::Timestamp(precision()),
        "timestamptz" => Type::Timestamptz(precision()),
        "interval" => Type::Interval,
        "unknown" => Type::Unknown,
        "record" => Type::Record,
        "void" => Type::Void,
        _ => {
            let opaque = OPAQUE.iter().find(|(own, _)| *own == name).map(|(_, shown)| *shown);
            let Some(shown) = opaque.or_else(|| OPAQUE_SAME.split(' ').find(|own| *own == name)) else {
                return Ok(None);
            };
            Type::Opaque(with_modifiers(shown, modifiers))
        }
    }))
}

/// An enum, or a type of an extension.
fn user_type(schema: Option<&str>, name: &str, modifiers: &[i64], catalog: &Catalog) -> Outcome<Type> {
    if let Some(found) = catalog.enum_type(schema, name) {
        return Ok(Type::Enum(found.oid));
    }
    if let Some(found) = catalog.domain(schema, name) {
        return Ok(Type::Domain(found.oid, Box::new(found.base.clone())));
    }
    if let Some(found) = catalog.composite(schema, name) {
        return Ok(Type::Composite(found.oid));
    }
    // Every type has an array type named like it behind an underscore.
    if let Some(found) = name.strip_prefix('_').and_then(|element| catalog.composite(schema, element)) {
        return Ok(Type::Composite(found.oid).array());
    }
    if let Some(found) = name.strip_prefix('_').and_then(|element| catalog.enum_type(schema, element)) {
        return Ok(Type::Enum(found.oid).array());
    }
    if let Some((_, extension)) = OF_EXTENSIONS.iter().find(|(own, _)| *own == name) {
        return if catalog.extensions.contains(*extension) {
            Ok(Type::Opaque(with_modifiers(name, modifiers)))
        } else if !catalog.partial {
            Err(missing_type(schema, name, catalog).hint(format!("it comes with the extension {extension}")))
        } else {
            Err(Problem::unsupported(format!(
                "the type {name}, as the snapshot doesn't say whether the extension {extension} is installed,"
            )))
        };
    }
    let is_known = |schema: &str| catalog.schemas.contains(schema) || schema == "pg_catalog";
    if let Some(schema) = schema.filter(|schema| !is_known(schema)) {
        return Err(missing_schema(schema));
    }
    // Every table and view has a type of its rows.
    if let Some((RelationKind::Table | RelationKind::View | RelationKind::MaterializedView, _)) =
        catalog.find_relation(schema, name.strip_prefix('_').unwrap_or(name))
    {
        return Err(Problem::unsupported(format!("the type of the rows of {name}")));
    }
    Err(missing_type(schema, name, catalog))
}

/// 42704 for a type that doesn't exist.
pub fn missing_type(schema: Option<&str>, name: &str, catalog: &Catalog) -> Problem {
    let shown = schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"));
    let problem = Problem::rejected("42704", format!("type \"{shown}\" does not exist"));
    let names: Vec<&str> = catalog.enums.values().map(|e| e.name.as_str()).collect();
    match near_name("type", name, &names) {
        Some(hint) => problem.hint(hint),
        None if catalog.partial => problem.hint("a snapshot holds the types that its tables use, and no other"),
        None => problem,
    }
}

/// The extension that a type comes with.
pub fn extension_of(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Array(element) => extension_of(element),
        Type::Opaque(name) => {
            let base = name.split_once('(').map_or(name.as_str(), |(base, _)| base);
            OF_EXTENSIONS.iter().find(|(own, _)| *own == base).map(|(_, extension)| *extension)
        }
        _ => None,
    }
}

/// `t.a%TYPE`
fn column_type(names: &[String], catalog: &Catalog) -> Outcome<Type> {
    let (schema, table, column) = match names {
        [table, column] => (None, table, column),
        [schema, table, column] => (Some(schema.as_str()), table, column),
        _ => return Err(Problem::unsupported(format!("the type {}%TYPE", names.join(".")))),
    };
    let table = catalog.table(schema, table).ok_or_else(|| catalog.missing_relation(schema, table))?;
    Ok(catalog.expect_column(table, column)?.ty.clone())
}

fn numeric(modifiers: &[i64]) -> Outcome<Type> {
    let (precision, scale) = match modifiers {
        [] => return Ok(Type::Numeric(None)),
        [precision] => (*precision, 0),
        [precision, scale, ..] => (*precision, *scale),
    };
    if !(1..=1000).contains(&precision) {
        return Err(Problem::rejected("22023", format!("NUMERIC precision {precision} must be between 1 and 1000")));
    }
    if !(-1000..=1000).contains(&scale) {
        return Err(Problem::rejected("22023", format!("NUMERIC scale {scale} must be between -1000 and 1000")));
    }
    Ok(Type::Numeric(Some((precision as u32, scale as i32))))
}

fn length(name: &str, modifiers: &[i64]) -> Outcome<Option<u32>> {
    match modifiers.first() {
        None => Ok(None),
        Some(length) if *length < 1 => {
            Err(Problem::rejected("22023", format!("length for type {name} must be at least 1")))
        }
        Some(length) if *length > 10_485_760 => {
            Err(Problem::rejected("22023", format!("length for type {name} cannot exceed 10485760")))
        }
        Some(length) => Ok(Some(*length as u32)),
    }
}

fn with_modifiers(name: &str, modifiers: &[i64]) -> String {
    if modifiers.is_empty() {
        return name.to_owned();
    }
    let shown: Vec<String> = modifiers.iter().map(i64::to_string).collect();
    format!("{name}({})", shown.join(","))
}

/// An integer constant.
fn integer(node: &Node) -> Option<i64> {
    match &node.node {
        Some(NodeEnum::AConst(AConst { val: Some(Val::Ival(value)), .. })) => Some(i64::from(value.ival)),
        // The parser leaves a negative modifier as an operator before a number.
        Some(NodeEnum::AExpr(minus)) if minus.lexpr.is_none() => minus.rexpr.as_deref().and_then(integer).map(|n| -n),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let mut catalog = Catalog::empty();
        for (schema, name) in [("public", "Role"), ("app", "mood")] {
            catalog.schemas.insert(schema.into());
            let oid = catalog.new_oid();
            let ty = super::super::EnumType {
                oid,
                schema: schema.into(),
                name: name.into(),
                labels: vec!["A".into()],
                uncommitted: Default::default(),
                is_new: false,
            };
            catalog.enums.insert(oid, ty);
        }
        catalog
    }

    fn check(text: &str, expected: &str) {
        let catalog = catalog();
        let shown =
            Type::parse(text, &catalog).map(|ty| ty.name(&catalog)).unwrap_or_else(|problem| problem.to_string());
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn what_format_type_writes_is_read_and_written_again() {
        let types = "boolean, smallint, integer, bigint, real, double precision, numeric, numeric(65,30), text, character \
            varying, character varying(100), character(3), name, bytea, uuid, json, jsonb, date, time(3) without \
            time zone, timestamp without time zone, timestamp(3) without time zone, timestamp with time zone, \
            interval, \"Role\", \"Role\"[], app.mood, text[], character varying(10)[], inet, bit varying(3), \
            time with time zone, \"char\"";
        for text in types.split(", ") {
            check(text, text);
        }
    }

    #[test]
    fn aliases_mean_their_types() {
        check("int4", "integer");
        check("decimal(10,2)", "numeric(10,2)");
        check("varchar(5)[][]", "character varying(5)[]");
        check("float", "double precision");
        check("_int4", "integer[]");
        check("timestamptz(9)", "timestamp(6) with time zone");
    }

    #[test]
    fn unknown_types_are_the_servers_error() {
        check("role", "type \"role\" does not exist (42704)");
        check("mood", "type \"mood\" does not exist (42704)");
        check("nowhere.mood", "schema \"nowhere\" does not exist (3F000)");
        check("varchar(0)", "length for type varchar must be at least 1 (22023)");
    }
}
