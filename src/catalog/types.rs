//! PostgreSQL's types, as far as migrations use them.
//!
//! Invariant: a type that isn't known here is [`Type::Opaque`]: its values are carried as text and nothing is computed with them.

use super::Oid;

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
