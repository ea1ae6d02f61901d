//! An answer as a Parquet file (zstd), with the types a snapshot uses: UUIDs and JSON as such, intervals as their three parts.
//!
//! Written through Arrow and not by the engine's COPY: its COPY would turn HUGEINT (every `sum`) into DOUBLE.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryBuilder, Int32Array, Int64Array, StructArray};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNanoType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow_schema::extension;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::snapshot::types::interval_fields;
use crate::snapshot::writer::ROW_GROUP_ROWS;
use crate::sql::session::{Answer, Column};
use crate::sql::value::{Kind, is_null, text_at};
use crate::ui::hinted;

/// Writes the file's bytes; returns the number of rows.
///
/// # Errors
/// A column that Parquet can't hold exactly, by name; a failure of the engine or the writer.
pub fn write(out: &mut (dyn Write + Send), answer: &Answer<'_>) -> Result<u64> {
    let names = answer.unique_names();
    let fields: Vec<Field> = names
        .iter()
        .zip(answer.fields())
        .zip(&answer.columns)
        .map(|((n, f), c)| field(n, &f, c))
        .collect::<Result<_>>()?;
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(format!("rehearsal {}", env!("CARGO_PKG_VERSION")))
        .build();
    let mut writer = ArrowWriter::try_new(out, schema.clone(), Some(properties))?;
    let mut rows = 0;
    while let Some(batch) = answer.next_batch()? {
        let columns: Vec<ArrayRef> =
            batch.columns().iter().zip(&answer.columns).map(|(a, c)| converted(a, &c.kind)).collect::<Result<_>>()?;
        writer.write(&RecordBatch::try_new(schema.clone(), columns)?)?;
        rows += batch.len() as u64;
    }
    writer.close()?;
    Ok(rows)
}

fn field(name: &str, carried: &Field, column: &Column) -> Result<Field> {
    let of = |data_type: DataType| Field::new(name, data_type, true);
    Ok(match &column.kind {
        Kind::Uuid => of(DataType::FixedSizeBinary(16)).with_extension_type(extension::Uuid),
        Kind::Json => of(DataType::Utf8).with_extension_type(extension::Json::default()),
        Kind::Interval => of(DataType::Struct(interval_fields())),
        Kind::HugeInteger { unsigned: true } | Kind::Union(_) | Kind::Bit => {
            return Err(hinted(
                anyhow!("column {name} has the type {}, which Parquet can't hold", column.type_name),
                "cast it to another type in the query",
            ));
        }
        _ => of(carried.data_type().clone()),
    })
}

fn converted(array: &ArrayRef, kind: &Kind) -> Result<ArrayRef> {
    match kind {
        Kind::Uuid => {
            let mut builder = FixedSizeBinaryBuilder::with_capacity(array.len(), 16);
            for row in 0..array.len() {
                if is_null(array.as_ref(), row) {
                    builder.append_null();
                } else {
                    builder.append_value(uuid::Uuid::parse_str(text_at(array.as_ref(), row))?.as_bytes())?;
                }
            }
            Ok(Arc::new(builder.finish()))
        }
        Kind::Interval => {
            let values = array.as_primitive::<IntervalMonthDayNanoType>();
            let months: Int32Array = values.values().iter().map(|v| v.months).collect::<Vec<_>>().into();
            let days: Int32Array = values.values().iter().map(|v| v.days).collect::<Vec<_>>().into();
            let micros: Int64Array = values.values().iter().map(|v| v.nanoseconds / 1000).collect::<Vec<_>>().into();
            let parts: Vec<ArrayRef> = vec![Arc::new(months), Arc::new(days), Arc::new(micros)];
            Ok(Arc::new(StructArray::try_new(interval_fields(), parts, values.nulls().cloned())?))
        }
        _ => Ok(array.clone()),
    }
}
