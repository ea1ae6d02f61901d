//! Masks: which values leave the server's side as they are, and what stands in for the others?
//!
//! Input: record batches as they were decoded, rules, a secret. Output: batches of the same schema, before anything is encoded: no
//! plain value of a masked column reaches a file, nor the statistics in it. The rooms in reading order: [`rules`] finds the columns
//! that rules mean and refuses what would break the data, [`salt`] and [`secret`] make the key, [`texts`] and [`document`] make the
//! values. Invariants: equal values stay equal in every table of the export; NULL stays NULL; values of one type stay of it.

pub mod document;
pub mod rules;
pub mod salt;
pub mod secret;
pub mod texts;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Error, Result, anyhow, bail};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, FixedSizeBinaryBuilder, ListArray, StringBuilder, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int16Type, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;

use crate::snapshot::types::PgType;
use document::PathRule;
use secret::{Purpose, Secret};

/// What is done to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Another value that only the salt's owner could find again; unequal values stay unequal.
    Hash,
    /// NULL.
    Null,
    /// One value for all: `***`, 0, 1970-01-01.
    Redact,
    /// Text of the same length, a number of as many digits.
    KeepLength,
    /// A made-up value of the same shape: an e-mail address, a name, a telephone number.
    Fake,
}

/// The rules, as users write them.
pub const RULES: &[(&str, Rule)] = &[
    ("hash", Rule::Hash),
    ("null", Rule::Null),
    ("redact", Rule::Redact),
    ("keep-length", Rule::KeepLength),
    ("fake", Rule::Fake),
];

impl FromStr for Rule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Rule> {
        RULES.iter().find(|(name, _)| *name == text).map(|(_, rule)| *rule).ok_or_else(|| {
            let names: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
            crate::ui::hinted(anyhow!("there is no mask {text:?}"), format!("the masks are {}", names.join(", ")))
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = RULES.iter().find(|(_, rule)| rule == self).map_or("", |(name, _)| *name);
        f.write_str(name)
    }
}

/// Characters that every masked column of the export takes: one value has one answer in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of a hash.
    pub hash: usize,
    /// Of a made-up text.
    pub fake: usize,
}

/// What is masked in one table.
#[derive(Debug, Default)]
pub struct TableMask {
    /// Columns with rules, in the table's order.
    pub columns: Vec<ColumnMask>,
}

/// What is masked in one column.
#[derive(Debug)]
pub struct ColumnMask {
    /// Place among the table's columns.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// What is done, and where in a document; an empty path is the whole value.
    pub rules: Vec<PathRule>,
    /// A unique index or key holds its values apart.
    pub unique: bool,
    /// Values masked, by rule.
    pub counts: Vec<AtomicU64>,
}

impl ColumnMask {
    /// The rule for the whole column, if there is one.
    pub fn whole(&self) -> Option<Rule> {
        self.rules.iter().find(|rule| rule.path.is_empty()).map(|rule| rule.rule)
    }
}

/// Values masked in one part, by column and rule.
pub type Tally = Vec<Vec<u64>>;

/// Masks the batches of a table.
pub struct Masker<'a> {
    /// The columns.
    pub table: &'a TableMask,
    /// The key.
    pub secret: &'a Secret,
    /// How long texts may become.
    pub limits: Limits,
    /// The columns' types.
    pub types: &'a [PgType],
}

impl Masker<'_> {
    /// Counts of nothing.
    pub fn tally(&self) -> Tally {
        self.table.columns.iter().map(|column| vec![0; column.rules.len()]).collect()
    }

    /// Adds what was counted in a part that is done.
    pub fn count(&self, tally: &Tally) {
        for (column, counts) in self.table.columns.iter().zip(tally) {
            for (all, own) in column.counts.iter().zip(counts) {
                all.fetch_add(*own, Ordering::Relaxed);
            }
        }
    }

    /// The same rows, masked.
    ///
    /// # Errors
    /// A document that isn't one, or a value that its rule would make a duplicate: the column is named, never the value.
    pub fn apply(&self, batch: RecordBatch, tally: &mut Tally) -> Result<RecordBatch> {
        let mut arrays = batch.columns().to_vec();
        for (column, counts) in self.table.columns.iter().zip(tally) {
            let masked = self.column(column, &self.types[column.index], &arrays[column.index], counts);
            arrays[column.index] = masked.with_context(|| format!("masking the column {}", column.name))?;
        }
        Ok(RecordBatch::try_new(batch.schema(), arrays)?)
    }

    fn column(&self, column: &ColumnMask, ty: &PgType, array: &ArrayRef, counts: &mut [u64]) -> Result<ArrayRef> {
        if matches!(ty, PgType::Json | PgType::Jsonb) && column.whole() != Some(Rule::Null) {
            return self.documents(column, array, counts);
        }
        let Some(rule) = column.whole() else { bail!("a path needs a column of the type json or jsonb") };
        counts[0] += (array.len() - array.null_count()) as u64;
        self.values(column, rule, ty, array)
    }

    fn documents(&self, column: &ColumnMask, array: &ArrayRef, counts: &mut [u64]) -> Result<ArrayRef> {
        let texts = array.as_string_opt::<i32>().context("a document is carried as text")?;
        let mut made = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
        for text in texts {
            match text {
                Some(text) => {
                    made.append_value(document::masked(self.secret, self.limits, &column.rules, text, counts)?)
                }
                None => made.append_null(),
            }
        }
        Ok(Arc::new(made.finish()))
    }

    fn values(&self, column: &ColumnMask, rule: Rule, ty: &PgType, array: &ArrayRef) -> Result<ArrayRef> {
        if rule == Rule::Null {
            return Ok(new_null_array(array.data_type(), array.len()));
        }
        let secret = self.secret;
        let number = |value: i64| match rule {
            Rule::Redact => 0,
            Rule::KeepLength => secret.permute_digits(value),
            _ => secret.permute(value),
        };
        Ok(match ty {
            PgType::Array(element) => {
                let list = array.as_list_opt::<i32>().context("an array is carried as a list")?;
                let DataType::List(field) = array.data_type() else { bail!("an array is carried as a list") };
                let elements = self.values(column, rule, element, list.values())?;
                Arc::new(ListArray::try_new(field.clone(), list.offsets().clone(), elements, list.nulls().cloned())?)
            }
            // What is permuted fits again: its class does.
            PgType::Int2 => {
                Arc::new(array.as_primitive::<Int16Type>().unary::<_, Int16Type>(|v| number(v.into()) as i16))
            }
            PgType::Int4 => {
                Arc::new(array.as_primitive::<Int32Type>().unary::<_, Int32Type>(|v| number(v.into()) as i32))
            }
            PgType::Int8 => Arc::new(array.as_primitive::<Int64Type>().unary::<_, Int64Type>(number)),
            PgType::Uuid => self.uuids(rule, array)?,
            PgType::Bytea => self.bytes(rule, array)?,
            ty if text_limit(ty).is_some() => self.texts(column, rule, ty, array)?,
            _ if rule == Rule::Redact => zeros(ty, array)?,
            _ => bail!("the mask {rule} doesn't know the type"),
        })
    }

    fn uuids(&self, rule: Rule, array: &ArrayRef) -> Result<ArrayRef> {
        let mut made = FixedSizeBinaryBuilder::with_capacity(array.len(), 16);
        for value in array.as_fixed_size_binary() {
            match (value, rule) {
                (None, _) => made.append_null(),
                (Some(_), Rule::Redact) => made.append_value([0; 16])?,
                (Some(bytes), _) => made.append_value(texts::masked_uuid(self.secret, bytes.try_into()?))?,
            }
        }
        Ok(Arc::new(made.finish()))
    }

    fn bytes(&self, rule: Rule, array: &ArrayRef) -> Result<ArrayRef> {
        let made = array.as_binary::<i32>().iter().map(|value| {
            value.map(|bytes| match rule {
                Rule::Redact => Vec::new(),
                Rule::Hash => self.secret.digest(Purpose::Bytes, bytes).to_vec(),
                _ => {
                    let mut noise = self.secret.stream(Purpose::Bytes, bytes);
                    bytes.iter().map(|_| noise.byte()).collect()
                }
            })
        });
        Ok(Arc::new(made.collect::<BinaryArray>()))
    }

    fn texts(&self, column: &ColumnMask, rule: Rule, ty: &PgType, array: &ArrayRef) -> Result<ArrayRef> {
        let texts = array.as_string_opt::<i32>().context("text is carried as text")?;
        let mut made = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
        for text in texts {
            let Some(text) = text else {
                made.append_null();
                continue;
            };
            let plain = match ty {
                // Blanks that fill a char(n) up mean nothing.
                PgType::Char(_) => text.trim_end_matches(' ').to_owned(),
                PgType::Opaque(_) => text.to_lowercase(),
                _ => text.to_owned(),
            };
            if rule == Rule::Fake && column.unique && texts::shape(&plain) != texts::Shape::Email {
                return Err(crate::ui::hinted(
                    anyhow!("a value isn't an e-mail address, and only those stay unique when they are made up"),
                    format!("a unique index holds the column's values apart: use {}=hash", column.name),
                ));
            }
            let text = texts::masked(self.secret, self.limits, rule, &plain);
            made.append_value(fitted(ty, text));
        }
        Ok(Arc::new(made.finish()))
    }
}

/// Text as the type stores it.
fn fitted(ty: &PgType, text: String) -> String {
    match ty {
        PgType::Char(width) => {
            let width = *width as usize;
            let cut: String = text.chars().take(width).collect();
            format!("{cut:width$}")
        }
        PgType::Varchar(Some(most)) if text.len() > *most as usize => text.chars().take(*most as usize).collect(),
        _ => text,
    }
}

/// Characters that a type of text takes; `None` for what is no text.
pub fn text_limit(ty: &PgType) -> Option<usize> {
    match ty {
        PgType::Text | PgType::Varchar(None) => Some(usize::MAX),
        PgType::Varchar(Some(most)) | PgType::Char(most) => Some(*most as usize),
        // A name has 63 bytes.
        PgType::Name => Some(63),
        PgType::Opaque(name) if is_citext(name) => Some(usize::MAX),
        PgType::Array(element) => text_limit(element),
        _ => None,
    }
}

fn is_citext(name: &str) -> bool {
    name == "citext" || name.ends_with(".citext")
}

/// 0, 1970-01-01, 00:00: one value for all that aren't NULL.
fn zeros(ty: &PgType, array: &ArrayRef) -> Result<ArrayRef> {
    let zero: ArrayRef = match ty {
        PgType::Numeric(_) => Arc::new(arrow::array::StringArray::from(vec!["0"])),
        PgType::Float4 | PgType::Float8 | PgType::Decimal(..) => {
            cast(&arrow::array::Int32Array::from(vec![0]), array.data_type())?
        }
        PgType::Date => cast(&arrow::array::Int32Array::from(vec![0]), array.data_type())?,
        PgType::Time(_) | PgType::Timestamp(_) | PgType::Timestamptz(_) => {
            cast(&arrow::array::Int64Array::from(vec![0]), array.data_type())?
        }
        _ => bail!("the mask redact doesn't know the type"),
    };
    let places = (0..array.len()).map(|row| (!array.is_null(row)).then_some(0));
    Ok(arrow::compute::take(&zero, &arrow::array::UInt32Array::from_iter(places), None)?)
}

/// Why a rule can't be applied to values of a type; `None` where it can.
pub fn unfit(rule: Rule, ty: &PgType) -> Option<String> {
    let element = match ty {
        PgType::Array(element) if rule != Rule::Null => element,
        ty => ty,
    };
    let only = |rules: &str, kind: &str| Some(format!("a column of {kind} can only be masked with {rules}"));
    match (rule, element) {
        (Rule::Null, _) => None,
        (_, PgType::Bool) => only("null", "the type boolean"),
        (_, PgType::Enum { .. }) => only("null", "an enum type"),
        (_, PgType::Interval) => only("null", "the type interval"),
        (_, ty) if text_limit(ty).is_some() => None,
        (_, PgType::Opaque(name)) => only("null", &format!("the type {name}")),
        (_, PgType::Int2 | PgType::Int4 | PgType::Int8 | PgType::Uuid | PgType::Bytea) => None,
        (_, PgType::Json | PgType::Jsonb) if matches!(ty, PgType::Array(_)) => only("null", "documents in an array"),
        (_, PgType::Json | PgType::Jsonb) => None,
        (Rule::Redact, _) => None,
        _ => only("null or redact", "numbers with a fraction, dates or times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, StringArray};
    use arrow::datatypes::Schema;

    fn mask(ty: &PgType, rule: Rule, array: ArrayRef) -> ArrayRef {
        assert_eq!(unfit(rule, ty), None);
        let schema = Arc::new(Schema::new(vec![ty.arrow_field("v", true)]));
        let rules = vec![PathRule { path: vec![], rule }];
        let column =
            ColumnMask { index: 0, name: "v".into(), rules, unique: false, counts: vec![AtomicU64::default()] };
        let table = TableMask { columns: vec![column] };
        let secret = Secret::new(b"a salt of sixteen bytes");
        let limits = Limits { hash: 26, fake: 100 };
        let masker = Masker { table: &table, secret: &secret, limits, types: std::slice::from_ref(ty) };
        let batch = RecordBatch::try_new(schema, vec![array]).expect("a batch");
        masker.apply(batch, &mut masker.tally()).expect("masked").column(0).clone()
    }

    #[test]
    fn null_stays_null_and_equal_stays_equal() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b"), Some("a")]));
        let made = mask(&PgType::Varchar(Some(30)), Rule::Hash, texts);
        let made = made.as_string::<i32>();
        assert!(made.is_null(1) && made.value(0) == made.value(3) && made.value(0) != made.value(2));
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None, Some(i32::MIN), Some(7)]));
        let made = mask(&PgType::Int4, Rule::Hash, numbers);
        let made = made.as_primitive::<Int32Type>();
        assert!(made.is_null(1) && made.value(0) == made.value(3) && made.value(2) < -32768);
    }

    #[test]
    fn char_is_filled_up_again() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["ab        "]));
        let made = mask(&PgType::Char(10), Rule::Redact, texts);
        assert_eq!(made.as_string::<i32>().value(0), "***       ");
    }

    #[test]
    fn what_redact_gives_is_of_the_type() {
        for ty in ["numeric(10,2)", "date", "timestamp with time zone", "double precision", "time without time zone"] {
            let ty = PgType::parse(ty, &std::collections::HashMap::new());
            let column = ty.arrow_field("v", true);
            let plain = match column.data_type() {
                DataType::Float64 | DataType::Decimal128(..) => {
                    cast(&Int32Array::from(vec![Some(5), None]), column.data_type())
                }
                DataType::Date32 => cast(&Int32Array::from(vec![Some(5), None]), column.data_type()),
                _ => cast(&arrow::array::Int64Array::from(vec![Some(5), None]), column.data_type()),
            };
            let made = mask(&ty, Rule::Redact, plain.expect("a cast"));
            assert_eq!((made.data_type(), made.null_count()), (column.data_type(), 1));
        }
    }

    #[test]
    fn what_cannot_be_masked_is_named() {
        let enums = std::collections::HashMap::from([("mood".to_owned(), vec!["ok".to_owned()])]);
        for (ty, rule) in [("boolean", Rule::Hash), ("mood", Rule::Redact), ("date", Rule::Hash), ("inet", Rule::Fake)]
        {
            assert!(unfit(rule, &PgType::parse(ty, &enums)).is_some(), "{ty}");
        }
        assert_eq!(unfit(Rule::Hash, &PgType::parse("citext", &enums)), None);
    }
}
