//! Rows to Arrow: a columnar builder for the log table.
//!
//! Input: [`Row`]s in order. Output: [`RecordBatch`]es with the schema a snapshot's Parquet file has. Invariant: appending copies
//! bytes into column buffers and allocates nothing per row.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{
    ArrayRef, BooleanBuilder, FixedSizeBinaryBuilder, Int32Builder, ListBuilder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use uuid::Uuid;

use super::shape::{self, Row, Strings};
use crate::snapshot::types::PgType;
use crate::snapshot::writer::arrow_schema;

/// The columns' PostgreSQL types, in order.
pub fn types() -> Vec<PgType> {
    let enums = shape::enums().into_iter().map(|e| (e.name, e.labels)).collect();
    shape::table(0, Vec::new(), None).types(&enums)
}

/// Collects rows into a [`RecordBatch`].
pub struct BatchBuilder {
    schema: SchemaRef,
    rows: usize,
    id: FixedSizeBinaryBuilder,
    entity_type: StringBuilder,
    entity_id: FixedSizeBinaryBuilder,
    operation: StringBuilder,
    sources: ListBuilder<StringBuilder>,
    status: StringBuilder,
    fields_enriched: ListBuilder<StringBuilder>,
    data_quality_before: StringBuilder,
    data_quality_after: StringBuilder,
    error_message: StringBuilder,
    error_code: StringBuilder,
    retry_count: Int32Builder,
    duration_ms: Int32Builder,
    api_call_count: Int32Builder,
    metadata: StringBuilder,
    triggered_by: StringBuilder,
    artist_id: FixedSizeBinaryBuilder,
    album_id: FixedSizeBinaryBuilder,
    track_id: FixedSizeBinaryBuilder,
    job_id: StringBuilder,
    created_at: TimestampMicrosecondBuilder,
    user_id: StringBuilder,
    reason: StringBuilder,
    preview_data: StringBuilder,
    parent_job_id: StringBuilder,
    is_root_job: BooleanBuilder,
}

impl BatchBuilder {
    /// A builder with room for `capacity` rows.
    ///
    /// # Errors
    /// As [`types`].
    pub fn new(capacity: usize) -> Result<Self> {
        let schema = arrow_schema(&shape::columns(), &types());
        let uuid = || FixedSizeBinaryBuilder::with_capacity(capacity, 16);
        let text = |bytes: usize| StringBuilder::with_capacity(capacity, capacity * bytes);
        let list = |name: &str| -> Result<ListBuilder<StringBuilder>> {
            let field = element(schema.field_with_name(name)?);
            let values = StringBuilder::with_capacity(capacity * 2, capacity * 16);
            Ok(ListBuilder::with_capacity(values, capacity).with_field(field))
        };
        let (sources, fields_enriched) = (list("sources")?, list("fields_enriched")?);
        Ok(BatchBuilder {
            rows: 0,
            id: uuid(),
            entity_type: text(6),
            entity_id: uuid(),
            operation: text(24),
            sources,
            status: text(10),
            fields_enriched,
            data_quality_before: text(6),
            data_quality_after: text(6),
            error_message: text(8),
            error_code: text(4),
            retry_count: Int32Builder::with_capacity(capacity),
            duration_ms: Int32Builder::with_capacity(capacity),
            api_call_count: Int32Builder::with_capacity(capacity),
            metadata: text(64),
            triggered_by: text(10),
            artist_id: uuid(),
            album_id: uuid(),
            track_id: uuid(),
            job_id: text(50),
            created_at: TimestampMicrosecondBuilder::with_capacity(capacity),
            user_id: text(25),
            reason: text(4),
            preview_data: text(4),
            parent_job_id: text(50),
            is_root_job: BooleanBuilder::with_capacity(capacity),
            schema,
        })
    }

    /// Rows collected so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Has nothing been collected?
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Appends a row.
    ///
    /// # Errors
    /// None in practice: a UUID always has 16 bytes.
    pub fn push(&mut self, row: &Row) -> Result<()> {
        self.id.append_value(row.id.as_bytes())?;
        self.entity_type.append_option(row.entity_type.map(|e| e.label()));
        append_uuid(&mut self.entity_id, row.entity_id)?;
        self.operation.append_value(&row.operation);
        append_strings(&mut self.sources, row.sources);
        self.status.append_value(row.status.label());
        append_strings(&mut self.fields_enriched, row.fields_enriched);
        self.data_quality_before.append_option(row.data_quality_before.map(|q| q.label()));
        self.data_quality_after.append_option(row.data_quality_after.map(|q| q.label()));
        self.error_message.append_option(row.error_message.as_deref());
        self.error_code.append_option(row.error_code.as_deref());
        self.retry_count.append_value(row.retry_count);
        self.duration_ms.append_option(row.duration_ms);
        self.api_call_count.append_value(row.api_call_count);
        self.metadata.append_option(row.metadata.as_deref());
        self.triggered_by.append_option(row.triggered_by.as_deref());
        append_uuid(&mut self.artist_id, row.artist_id)?;
        append_uuid(&mut self.album_id, row.album_id)?;
        append_uuid(&mut self.track_id, row.track_id)?;
        self.job_id.append_option(row.job_id.as_deref());
        self.created_at.append_value(row.created_at_us);
        self.user_id.append_option(row.user_id.as_deref());
        self.reason.append_option(row.reason.as_deref());
        self.preview_data.append_option(row.preview_data.as_deref());
        self.parent_job_id.append_option(row.parent_job_id.as_deref());
        self.is_root_job.append_value(row.is_root_job);
        self.rows += 1;
        Ok(())
    }

    /// The rows collected, as a batch; the builder begins anew.
    ///
    /// # Errors
    /// When the columns don't fit the schema, which a test rules out.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        self.rows = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.id.finish()),
            Arc::new(self.entity_type.finish()),
            Arc::new(self.entity_id.finish()),
            Arc::new(self.operation.finish()),
            Arc::new(self.sources.finish()),
            Arc::new(self.status.finish()),
            Arc::new(self.fields_enriched.finish()),
            Arc::new(self.data_quality_before.finish()),
            Arc::new(self.data_quality_after.finish()),
            Arc::new(self.error_message.finish()),
            Arc::new(self.error_code.finish()),
            Arc::new(self.retry_count.finish()),
            Arc::new(self.duration_ms.finish()),
            Arc::new(self.api_call_count.finish()),
            Arc::new(self.metadata.finish()),
            Arc::new(self.triggered_by.finish()),
            Arc::new(self.artist_id.finish()),
            Arc::new(self.album_id.finish()),
            Arc::new(self.track_id.finish()),
            Arc::new(self.job_id.finish()),
            Arc::new(self.created_at.finish()),
            Arc::new(self.user_id.finish()),
            Arc::new(self.reason.finish()),
            Arc::new(self.preview_data.finish()),
            Arc::new(self.parent_job_id.finish()),
            Arc::new(self.is_root_job.finish()),
        ];
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

fn element(list: &Field) -> Arc<Field> {
    match list.data_type() {
        DataType::List(element) => element.clone(),
        // Leads to a clear schema mismatch in `finish`; the shape's own test rules it out.
        _ => Arc::new(list.clone()),
    }
}

fn append_uuid(column: &mut FixedSizeBinaryBuilder, value: Option<Uuid>) -> Result<()> {
    match value {
        Some(uuid) => column.append_value(uuid.as_bytes())?,
        None => column.append_null(),
    }
    Ok(())
}

fn append_strings(column: &mut ListBuilder<StringBuilder>, value: Option<Strings>) {
    for element in value.unwrap_or_default() {
        column.values().append_option(*element);
    }
    column.append(value.is_some());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::shape::Status;
    use arrow::array::Array;

    #[test]
    fn a_list_keeps_null_empty_and_null_element_apart() {
        let mut builder = BatchBuilder::new(3).expect("a builder");
        for sources in [None, Some(&[][..]), Some(&[Some("SPOTIFY"), None][..])] {
            let mut row = Row::new(Uuid::nil(), "enrichment:album", Status::Success, 1_000);
            row.sources = sources;
            builder.push(&row).expect("a row");
        }
        let batch = builder.finish().expect("a batch");
        let sources = batch.column_by_name("sources").expect("sources");
        let lists = sources.as_any().downcast_ref::<arrow::array::ListArray>().expect("a list");
        assert!(lists.is_null(0));
        assert_eq!((lists.is_null(1), lists.value_length(1)), (false, 0));
        assert_eq!((lists.value_length(2), lists.value(2).null_count()), (2, 1));
        assert!(builder.is_empty());
    }
}
