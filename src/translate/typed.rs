//! A translated expression with its PostgreSQL type, and the families of types that PostgreSQL's rules speak of.

use crate::catalog::Type;
use crate::query::quote_literal;

/// DuckDB SQL and the PostgreSQL type of its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Typed {
    /// DuckDB SQL, safe to stand as an operand.
    pub sql: String,
    /// Its type.
    pub ty: Type,
    /// What it is where that is known before any row is read.
    pub constant: Option<Constant>,
}

/// A value known from the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constant {
    /// NULL
    Null,
    /// A string; of type `unknown` where nothing has given it another.
    Text(String),
    /// An integer.
    Integer(i64),
}

impl Typed {
    pub fn new(sql: impl Into<String>, ty: Type) -> Typed {
        // What comes out of a domain is a value of its base type.
        let ty = if let Type::Domain(..) = ty { ty.plain().clone() } else { ty };
        Typed { sql: sql.into(), ty, constant: None }
    }

    pub fn null() -> Typed {
        Typed { sql: "NULL".to_owned(), ty: Type::Unknown, constant: Some(Constant::Null) }
    }

    pub fn string(text: &str) -> Typed {
        Typed { sql: quote_literal(text), ty: Type::Unknown, constant: Some(Constant::Text(text.to_owned())) }
    }

    pub fn integer(value: i64) -> Typed {
        let ty = if i32::try_from(value).is_ok() { Type::Int4 } else { Type::Int8 };
        Typed { sql: format!("CAST({value} AS {})", physical(&ty)), ty, constant: Some(Constant::Integer(value)) }
    }

    pub fn is_null(&self) -> bool {
        self.constant == Some(Constant::Null)
    }

    /// The string it is, where it is a constant.
    pub fn text(&self) -> Option<&str> {
        match &self.constant {
            Some(Constant::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// PostgreSQL's categories of types (`pg_type.typcategory`), as far as they decide anything here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Boolean,
    Number,
    Text,
    Time,
    Interval,
    Array,
    Enum,
    Unknown,
    Other,
}

pub(super) fn family(ty: &Type) -> Family {
    match ty.plain() {
        Type::Bool => Family::Boolean,
        Type::Int2 | Type::Int4 | Type::Int8 | Type::Float4 | Type::Float8 | Type::Numeric(_) => Family::Number,
        Type::Text | Type::Varchar(_) | Type::Char(_) | Type::Name => Family::Text,
        Type::Date | Type::Time(_) | Type::Timestamp(_) | Type::Timestamptz(_) => Family::Time,
        Type::Interval => Family::Interval,
        Type::Array(_) => Family::Array,
        Type::Enum(_) => Family::Enum,
        Type::Unknown => Family::Unknown,
        _ => Family::Other,
    }
}

/// Text whose case doesn't count.
pub(super) fn is_citext(ty: &Type) -> bool {
    matches!(ty, Type::Opaque(name) if name == "citext")
}

/// The place of a row in its table, `ctid`: a number of ours that orders rows as the server's places do.
pub(super) fn is_place(ty: &Type) -> bool {
    matches!(ty, Type::Opaque(name) if name == "tid")
}

pub(super) fn is_integer(ty: &Type) -> bool {
    matches!(ty, Type::Int2 | Type::Int4 | Type::Int8)
}

/// Place on the ladder int2 < int4 < int8 < numeric < float4 < float8, up which PostgreSQL converts by itself.
pub(super) fn number_rank(ty: &Type) -> Option<u8> {
    Some(match ty {
        Type::Int2 => 0,
        Type::Int4 => 1,
        Type::Int8 => 2,
        Type::Numeric(_) => 3,
        Type::Float4 => 4,
        Type::Float8 => 5,
        _ => return None,
    })
}

/// The type without length or precision.
pub(super) fn base(ty: &Type) -> Type {
    match ty.plain() {
        Type::Numeric(_) => Type::Numeric(None),
        Type::Varchar(_) => Type::Varchar(None),
        Type::Time(_) => Type::Time(None),
        Type::Timestamp(_) => Type::Timestamp(None),
        Type::Timestamptz(_) => Type::Timestamptz(None),
        Type::Array(element) => Type::Array(Box::new(base(element))),
        other => other.clone(),
    }
}

/// The DuckDB type that holds values of a PostgreSQL type.
pub(super) fn physical(ty: &Type) -> String {
    match ty {
        Type::Bool => "BOOLEAN",
        Type::Int2 => "SMALLINT",
        Type::Int4 => "INTEGER",
        Type::Int8 => "BIGINT",
        Type::Float4 => "FLOAT",
        Type::Float8 => "DOUBLE",
        Type::Numeric(Some((precision, scale))) if *precision <= 38 && (0..=*precision as i32).contains(scale) => {
            return format!("DECIMAL({precision},{scale})");
        }
        // PostgreSQL's text, which has as many digits as it likes and keeps its display scale.
        Type::Numeric(_) => "VARCHAR",
        Type::Bytea => "BLOB",
        Type::Uuid => "UUID",
        Type::Date => "DATE",
        Type::Time(_) => "TIME",
        Type::Timestamp(_) | Type::Timestamptz(_) => "TIMESTAMP",
        Type::Interval => "INTERVAL",
        Type::Array(element) => return format!("{}[]", physical(element)),
        Type::Domain(_, base) => return physical(base),
        Type::Void => "INTEGER",
        ty if is_place(ty) => "BIGINT",
        _ => "VARCHAR",
    }
    .to_owned()
}

/// SQL that fails with an error of the server, as a value of a physical type.
pub(super) fn raise(sqlstate: &str, message_sql: &str, ty: &Type) -> String {
    format!("CAST(error('PG|{sqlstate}|' || {message_sql}) AS {})", physical(ty))
}

/// A value that can't be told, of a known type: refused where a row asks for it, and only there. A function that is `strict` gives
/// NULL for any NULL among its operands.
pub(super) fn refused_of_rows(what: &str, operands: &[Typed], strict: bool, ty: &Type) -> Typed {
    let refused = format!("CAST(error(concat('NS|', {})) AS {})", quote_literal(what), physical(ty));
    let nulls: Vec<String> = operands.iter().map(|operand| format!("({}) IS NULL", operand.sql)).collect();
    let sql = match strict && !nulls.is_empty() {
        true => format!("CASE WHEN {} THEN NULL ELSE {refused} END", nulls.join(" OR ")),
        false => refused,
    };
    Typed::new(sql, ty.clone())
}

/// The same of a function that never fails: over constants alone the server computes it ahead, and nothing comes of that but a value.
pub(super) fn refused_in_peace(what: &str, operands: &[Typed], strict: bool, ty: &Type) -> Typed {
    let refused = refused_of_rows(what, operands, strict, ty);
    Typed { sql: refused.sql.replacen("error(concat('NS|'", "ERROR(concat('NS|'", 1), ..refused }
}

/// What a row would ask for that can't be told, where it is part of this SQL (see [`refused_of_rows`]).
pub(crate) fn refusal_in(sql: &str) -> Option<String> {
    let (_, rest) = sql.split_once("(concat('NS|', '")?;
    let (what, _) = rest.split_once("'))")?;
    Some(what.replace("''", "'"))
}

/// SQL that fails because this value's treatment on the server can't be told.
pub(super) fn refuse(what: &str, ty: &Type) -> String {
    format!("CAST(error({}) AS {})", quote_literal(&format!("NS|{what}")), physical(ty))
}
