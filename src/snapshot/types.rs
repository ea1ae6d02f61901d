//! The type table: how each PostgreSQL type is carried in Arrow and Parquet, and how it is seen in DuckDB.
//!
//! Input: the text of `format_type()` and the snapshot's enums. Output: [`PgType`], its Arrow field and its DuckDB expression.
//! Invariants: a value arrives exactly; what no type here holds exactly (composites, ranges, geometry, types of extensions) travels
//! as PostgreSQL's own text, and the manifest's ledger names it; every type is written in exactly one way. Left out: arrays of more
//! than one dimension.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

use super::manifest::NumericExtent;
use crate::query::quote_identifier;

/// A PostgreSQL column type that a snapshot can carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PgType {
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
    /// `numeric(precision, scale)` with at most 38 digits: carried as a decimal.
    Decimal(u8, i8),
    /// `numeric` without precision, or with more digits than a decimal has: carried as PostgreSQL's text.
    Numeric(Option<(u32, i32)>),
    /// `text`
    Text,
    /// `character varying(length)`
    Varchar(Option<u32>),
    /// `character(length)`, blank-padded
    Char(u32),
    /// `name`
    Name,
    /// `bytea`
    Bytea,
    /// `uuid`
    Uuid,
    /// `json`, text as it was written
    Json,
    /// `jsonb`, PostgreSQL's canonical text
    Jsonb,
    /// `date`
    Date,
    /// `time(precision) without time zone`
    Time(Option<u8>),
    /// `timestamp(precision) without time zone`
    Timestamp(Option<u8>),
    /// `timestamp(precision) with time zone`, an instant in UTC
    Timestamptz(Option<u8>),
    /// `interval`: months, days and microseconds, none folded into another
    Interval,
    /// An enum, by name; its labels stand in the manifest in their order.
    Enum {
        /// Name as `format_type` writes it.
        name: String,
        /// Labels in sort order.
        labels: Vec<String>,
    },
    /// A one-dimensional array.
    Array(Box<PgType>),
    /// Any other type, by name: its values are PostgreSQL's own texts, and the manifest's ledger says so.
    Opaque(String),
}

impl PgType {
    /// Reads the text of `format_type(atttypid, atttypmod)`; `enums` maps an enum's name, written the same way, to its labels.
    pub fn parse(text: &str, enums: &HashMap<String, Vec<String>>) -> PgType {
        let text = text.trim();
        if let Some(element) = text.strip_suffix("[]") {
            return PgType::Array(Box::new(PgType::parse(element, enums)));
        }
        if let Some(labels) = enums.get(text) {
            return PgType::Enum { name: text.to_owned(), labels: labels.clone() };
        }
        PgType::built_in(text).unwrap_or_else(|| PgType::Opaque(text.to_owned()))
    }

    fn built_in(text: &str) -> Option<PgType> {
        let (base, modifiers, suffix) = split_modifiers(text)?;
        let precision = || modifiers.first().map(|p| *p as u8);
        Some(match (base.as_str(), suffix.as_str()) {
            ("boolean", "") => PgType::Bool,
            ("smallint", "") => PgType::Int2,
            ("integer", "") => PgType::Int4,
            ("bigint", "") => PgType::Int8,
            ("real", "") => PgType::Float4,
            ("double precision", "") => PgType::Float8,
            ("numeric", "") => numeric(&modifiers),
            ("text", "") => PgType::Text,
            ("character varying" | "varchar", "") => PgType::Varchar(modifiers.first().map(|n| *n as u32)),
            ("character" | "bpchar", "") => PgType::Char(modifiers.first().map_or(1, |n| *n as u32)),
            ("name", "") => PgType::Name,
            ("bytea", "") => PgType::Bytea,
            ("uuid", "") => PgType::Uuid,
            ("json", "") => PgType::Json,
            ("jsonb", "") => PgType::Jsonb,
            ("date", "") => PgType::Date,
            ("time", "" | "without time zone") => PgType::Time(precision()),
            ("timestamp", "" | "without time zone") => PgType::Timestamp(precision()),
            ("timestamp", "with time zone") => PgType::Timestamptz(precision()),
            // `interval day to second(3)` and the like restrict what is stored, not how.
            (base, "") if base == "interval" || base.starts_with("interval ") => PgType::Interval,
            _ => return None,
        })
    }

    /// What the server is asked for: a column, as text where nothing else holds it exactly.
    pub fn select_expression(&self, column: &str) -> String {
        let column = quote_identifier(column);
        match self {
            PgType::Opaque(_) => format!("({column})::pg_catalog.text"),
            PgType::Array(element) if matches!(**element, PgType::Opaque(_)) => {
                format!("({column})::pg_catalog.text[]")
            }
            _ => column,
        }
    }

    /// Is it carried as PostgreSQL's own text for want of a type that holds it?
    pub fn is_opaque(&self) -> bool {
        match self {
            PgType::Opaque(_) => true,
            PgType::Array(element) => element.is_opaque(),
            _ => false,
        }
    }

    /// Is it a point in time?
    pub fn is_instant(&self) -> bool {
        matches!(self, PgType::Timestamp(_) | PgType::Timestamptz(_))
    }

    /// The Arrow field of a column of this type. Extension types (`arrow.uuid`, `arrow.json`) become Parquet logical types.
    pub fn arrow_field(&self, name: &str, nullable: bool) -> Field {
        let field = Field::new(name, self.arrow_type(), nullable);
        match self {
            PgType::Uuid => field.with_extension_type(arrow_schema::extension::Uuid),
            PgType::Json | PgType::Jsonb => field.with_extension_type(arrow_schema::extension::Json::default()),
            _ => field,
        }
    }

    fn arrow_type(&self) -> DataType {
        match self {
            PgType::Bool => DataType::Boolean,
            PgType::Int2 => DataType::Int16,
            PgType::Int4 => DataType::Int32,
            PgType::Int8 => DataType::Int64,
            PgType::Float4 => DataType::Float32,
            PgType::Float8 => DataType::Float64,
            PgType::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale),
            PgType::Numeric(_) | PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::Name => DataType::Utf8,
            PgType::Json | PgType::Jsonb | PgType::Enum { .. } | PgType::Opaque(_) => DataType::Utf8,
            PgType::Bytea => DataType::Binary,
            PgType::Uuid => DataType::FixedSizeBinary(16),
            PgType::Date => DataType::Date32,
            PgType::Time(_) => DataType::Time64(TimeUnit::Microsecond),
            PgType::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            PgType::Timestamptz(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            PgType::Interval => DataType::Struct(interval_fields()),
            PgType::Array(element) => DataType::List(Arc::new(element.arrow_field("element", true))),
        }
    }

    /// The DuckDB expression that turns the Parquet column `column` into the value an analysis sees. `timestamptz` becomes a
    /// `TIMESTAMP` in UTC because the bundled engine has no ICU; a `numeric` kept as text becomes a decimal where `extent` says
    /// that one holds all its values.
    pub fn duckdb_expression(&self, column: &str, extent: Option<&NumericExtent>) -> String {
        let column = quote_identifier(column);
        match self {
            PgType::Enum { labels, .. } => format!("CAST({column} AS {})", enum_type(labels)),
            PgType::Array(element) => match element.as_ref() {
                PgType::Enum { labels, .. } => format!("CAST({column} AS {}[])", enum_type(labels)),
                PgType::Timestamptz(_) => format!("list_transform({column}, lambda x: {})", utc("x")),
                PgType::Interval => format!("list_transform({column}, lambda x: {})", interval("x")),
                PgType::Numeric(_) => match decimal(extent) {
                    Some(decimal) => format!("CAST({column} AS {decimal}[])"),
                    None => column,
                },
                _ => column,
            },
            PgType::Timestamptz(_) => utc(&column),
            PgType::Interval => interval(&column),
            PgType::Numeric(_) => match decimal(extent) {
                Some(decimal) => format!("CAST({column} AS {decimal})"),
                None => column,
            },
            _ => column,
        }
    }
}

/// The struct an `interval` is stored as: DuckDB's Parquet INTERVAL would round to milliseconds.
pub fn interval_fields() -> Fields {
    Fields::from(vec![
        Field::new("months", DataType::Int32, false),
        Field::new("days", DataType::Int32, false),
        Field::new("microseconds", DataType::Int64, false),
    ])
}

/// The decimal that holds all values of an unbounded `numeric`, if there is one.
fn decimal(extent: Option<&NumericExtent>) -> Option<String> {
    let extent = extent.filter(|e| e.special_values == 0 && e.integer_digits + e.scale <= 38)?;
    Some(format!("DECIMAL(38,{})", extent.scale))
}

fn utc(expression: &str) -> String {
    format!("CAST({expression} AS TIMESTAMP)")
}

fn interval(expression: &str) -> String {
    format!(
        "CASE WHEN {expression} IS NULL THEN NULL ELSE to_months(({expression}).months) + to_days(({expression}).days) + to_microseconds(({expression}).microseconds) END"
    )
}

fn enum_type(labels: &[String]) -> String {
    let labels: Vec<String> = labels.iter().map(|l| crate::query::quote_literal(l)).collect();
    format!("ENUM({})", labels.join(", "))
}

fn numeric(modifiers: &[i64]) -> PgType {
    match modifiers {
        [precision, rest @ ..] => {
            let scale = rest.first().copied().unwrap_or(0);
            // Arrow decimals hold 38 digits and DuckDB knows no negative scale nor one beyond the precision.
            if (1..=38).contains(precision) && (0..=*precision).contains(&scale) {
                PgType::Decimal(*precision as u8, scale as i8)
            } else {
                PgType::Numeric(Some((*precision as u32, scale as i32)))
            }
        }
        [] => PgType::Numeric(None),
    }
}

/// `timestamp(3) without time zone` -> (`timestamp`, [3], `without time zone`).
fn split_modifiers(text: &str) -> Option<(String, Vec<i64>, String)> {
    let Some(open) = text.find('(') else {
        for suffix in ["without time zone", "with time zone"] {
            if let Some(base) = text.strip_suffix(suffix) {
                return Some((base.trim().to_owned(), vec![], suffix.to_owned()));
            }
        }
        return Some((text.to_owned(), vec![], String::new()));
    };
    let close = text[open..].find(')').map(|i| open + i)?;
    let modifiers = text[open + 1..close].split(',').map(|m| m.trim().parse::<i64>()).collect::<Result<Vec<_>, _>>();
    Some((text[..open].trim().to_owned(), modifiers.ok()?, text[close + 1..].trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: PgType) {
        let enums = HashMap::from([("\"Status\"".to_owned(), vec!["A".to_owned(), "B".to_owned()])]);
        assert_eq!(PgType::parse(text, &enums), expected, "{text}");
    }

    #[test]
    fn reads_what_format_type_writes() {
        check("uuid", PgType::Uuid);
        check("character varying(100)", PgType::Varchar(Some(100)));
        check("character varying", PgType::Varchar(None));
        check("timestamp(3) without time zone", PgType::Timestamp(Some(3)));
        check("timestamp without time zone", PgType::Timestamp(None));
        check("timestamp with time zone", PgType::Timestamptz(None));
        check("numeric(10,2)", PgType::Decimal(10, 2));
        check("numeric(65,30)", PgType::Numeric(Some((65, 30))));
        check("numeric", PgType::Numeric(None));
        check("interval", PgType::Interval);
        check("interval(3)", PgType::Interval);
        check("interval year to month", PgType::Interval);
        check("interval day to second(3)", PgType::Interval);
        check("text[]", PgType::Array(Box::new(PgType::Text)));
        check("\"Status\"", PgType::Enum { name: "\"Status\"".into(), labels: vec!["A".into(), "B".into()] });
    }

    #[test]
    fn what_nothing_else_holds_is_text() {
        for text in [
            "point",
            "tsvector",
            "int4range",
            "time with time zone",
            "hstore",
            "money",
            "vector(3)",
            "bit(3)",
            "app.\"Pair\"",
        ] {
            let ty = PgType::parse(text, &HashMap::new());
            assert_eq!(ty, PgType::Opaque(text.to_owned()));
            assert_eq!(ty.select_expression("a"), "(\"a\")::pg_catalog.text");
        }
        let array = PgType::parse("inet[]", &HashMap::new());
        assert_eq!(array.select_expression("a"), "(\"a\")::pg_catalog.text[]");
        assert!(array.is_opaque() && !PgType::parse("text[]", &HashMap::new()).is_opaque());
    }
}
