//! Kinds: what DuckDB's types are, as far as writing their values goes.
//!
//! Input: the type of a result's column, as DuckDB and as Arrow have it. Output: its name in SQL and its [`Kind`], or the name of a
//! type whose values don't arrive exactly.

use arrow::datatypes::DataType;
use duckdb::core::{LogicalTypeHandle, LogicalTypeId as Id};

/// What a value is, as far as writing it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// An integer of up to 64 bits.
    Integer,
    /// An integer of 128 bits.
    HugeInteger {
        /// It has no sign.
        unsigned: bool,
    },
    /// A decimal with this many digits after the point.
    Decimal(usize),
    /// A floating-point number.
    Float,
    /// Words.
    Text,
    /// An enum label.
    Enum,
    /// A UUID.
    Uuid,
    /// JSON text.
    Json,
    /// Bytes.
    Blob,
    /// A bit string.
    Bit,
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// A day and a time; with a zone it is an instant in UTC.
    Timestamp {
        /// It is an instant.
        zone: bool,
    },
    /// Months, days and a time.
    Interval,
    /// NULL, whatever the row.
    Null,
    /// A list or array of values.
    List(Box<Kind>),
    /// Named values.
    Struct(Vec<(String, Kind)>),
    /// Keys with values.
    Map(Box<Kind>, Box<Kind>),
    /// One of several named values.
    Union(Vec<Kind>),
}

impl Kind {
    /// Is it aligned to the right?
    pub fn is_number(&self) -> bool {
        matches!(self, Kind::Integer | Kind::HugeInteger { .. } | Kind::Decimal(_) | Kind::Float)
    }

    /// Reads DuckDB's type: its name in SQL, and its kind.
    ///
    /// # Errors
    /// The name of a type whose values don't arrive exactly.
    pub fn read(handle: &LogicalTypeHandle, arrow: &DataType) -> Result<(String, Kind), String> {
        let name = |name: &str, kind: Kind| Ok((name.to_owned(), kind));
        match handle.id() {
            Id::Boolean => name("BOOLEAN", Kind::Boolean),
            Id::Tinyint => name("TINYINT", Kind::Integer),
            Id::Smallint => name("SMALLINT", Kind::Integer),
            Id::Integer | Id::IntegerLiteral => name("INTEGER", Kind::Integer),
            Id::Bigint => name("BIGINT", Kind::Integer),
            Id::UTinyint => name("UTINYINT", Kind::Integer),
            Id::USmallint => name("USMALLINT", Kind::Integer),
            Id::UInteger => name("UINTEGER", Kind::Integer),
            Id::UBigint => name("UBIGINT", Kind::Integer),
            Id::Hugeint => name("HUGEINT", Kind::HugeInteger { unsigned: false }),
            Id::UHugeint => name("UHUGEINT", Kind::HugeInteger { unsigned: true }),
            Id::Float => name("FLOAT", Kind::Float),
            Id::Double => name("DOUBLE", Kind::Float),
            Id::Decimal => {
                let (width, scale) = (handle.decimal_width(), handle.decimal_scale());
                Ok((format!("DECIMAL({width},{scale})"), Kind::Decimal(usize::from(scale))))
            }
            Id::Varchar | Id::StringLiteral => match handle.get_alias().as_deref() {
                Some("JSON") => name("JSON", Kind::Json),
                _ => name("VARCHAR", Kind::Text),
            },
            Id::Enum => name("ENUM", Kind::Enum),
            Id::Uuid => name("UUID", Kind::Uuid),
            Id::Blob => name("BLOB", Kind::Blob),
            Id::Bit => name("BIT", Kind::Bit),
            Id::Date => name("DATE", Kind::Date),
            Id::Time => name("TIME", Kind::Time),
            Id::TimeNs => name("TIME_NS", Kind::Time),
            Id::Timestamp => name("TIMESTAMP", Kind::Timestamp { zone: false }),
            Id::TimestampS => name("TIMESTAMP_S", Kind::Timestamp { zone: false }),
            Id::TimestampMs => name("TIMESTAMP_MS", Kind::Timestamp { zone: false }),
            Id::TimestampNs => name("TIMESTAMP_NS", Kind::Timestamp { zone: false }),
            Id::TimestampTZ => name("TIMESTAMP WITH TIME ZONE", Kind::Timestamp { zone: true }),
            Id::Interval => name("INTERVAL", Kind::Interval),
            Id::SqlNull => name("NULL", Kind::Null),
            _ => Kind::read_nested(handle, arrow),
        }
    }

    fn read_nested(handle: &LogicalTypeHandle, arrow: &DataType) -> Result<(String, Kind), String> {
        type Fields = (Vec<String>, Vec<(String, Kind)>);
        let fields = |arrow: &DataType| -> Result<Fields, String> {
            let mut names = Vec::new();
            let mut kinds = Vec::new();
            for index in 0..handle.num_children() {
                let child_arrow = match arrow {
                    DataType::Struct(fields) => fields.get(index).map(|f| f.data_type().clone()),
                    DataType::Union(fields, _) => fields.iter().nth(index).map(|(_, f)| f.data_type().clone()),
                    _ => None,
                };
                let field = handle.child_name(index);
                let (name, kind) = Kind::read(&handle.child(index), &child_arrow.unwrap_or(DataType::Null))?;
                names.push(format!("{field} {name}"));
                kinds.push((field, kind));
            }
            Ok((names, kinds))
        };
        match (handle.id(), arrow) {
            (Id::List, DataType::List(child)) => {
                let (name, kind) = Kind::read(&handle.child(0), child.data_type())?;
                Ok((format!("{name}[]"), Kind::List(Box::new(kind))))
            }
            (Id::Array, DataType::FixedSizeList(child, size)) => {
                let (name, kind) = Kind::read(&handle.child(0), child.data_type())?;
                Ok((format!("{name}[{size}]"), Kind::List(Box::new(kind))))
            }
            (Id::Struct, DataType::Struct(_)) => {
                let (names, kinds) = fields(arrow)?;
                Ok((format!("STRUCT({})", names.join(", ")), Kind::Struct(kinds)))
            }
            (Id::Union, DataType::Union(..)) => {
                let (names, kinds) = fields(arrow)?;
                let kinds = kinds.into_iter().map(|(_, kind)| kind).collect();
                Ok((format!("UNION({})", names.join(", ")), Kind::Union(kinds)))
            }
            (Id::Map, DataType::Map(entries, _)) => {
                let DataType::Struct(entry) = entries.data_type() else { return Err("MAP".to_owned()) };
                let (key_name, key) = Kind::read(&handle.child(0), entry[0].data_type())?;
                let (value_name, value) = Kind::read(&handle.child(1), entry[1].data_type())?;
                Ok((format!("MAP({key_name}, {value_name})"), Kind::Map(Box::new(key), Box::new(value))))
            }
            (id, _) => Err(format!("{id:?}").to_uppercase()),
        }
    }
}
