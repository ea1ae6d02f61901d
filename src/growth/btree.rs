//! How large is a B-tree index over these rows?
//!
//! Input: the shape of its keys ([`IndexShape`]). Output: bytes. The closed formulas of `nbtree`: item size, deduplication into
//! posting lists, and how full leaves are by the order of insertion. Left out: the history of the index (bloat), and the
//! exact split points: singly an index is 20 to 35 % off, all of a table's together about 10 %.

use super::layout::{PAGE_BYTES, Storage, align};

/// Bytes of a leaf that items and their pointers share.
const LEAF_USABLE_BYTES: f64 = 8152.0;
/// A duplicate in a posting list costs its 6-byte row id.
const ROW_ID_BYTES: f64 = 6.0;
/// Posting lists are capped at a sixth of a page: about this many row ids repeat the key once more.
const ROW_IDS_PER_POSTING: f64 = 210.0;

/// How full leaves are after inserts at random places, as `nbtree` splits them in halves.
const FILL_RANDOM: f64 = 0.69;
/// After inserts within groups that each grow at their end (a leading id with repeats, or a second column that ascends).
const FILL_GROUPED: f64 = 0.85;
/// After inserts at the right end only.
const FILL_ASCENDING: f64 = 0.90;

/// One column of an index key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeyColumn {
    /// How it is stored.
    pub storage: Storage,
    /// Mean payload of the values that aren't NULL, in bytes.
    pub mean_payload_bytes: f64,
    /// Share of NULLs, 0 to 1.
    pub null_share: f64,
    /// Equal values may share one item: false for arrays, numeric, floats and jsonb.
    pub dedup: bool,
    /// Values mostly ascend with insertion: timestamps.
    pub ascending: bool,
}

/// What decides the size of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexShape {
    /// Key columns in order.
    pub columns: Vec<KeyColumn>,
    /// Rows indexed.
    pub rows: f64,
    /// Distinct keys, NULL counting as a value.
    pub distinct_keys: f64,
}

/// The size of an index of this shape, inner pages included.
pub fn bytes(shape: &IndexShape) -> f64 {
    if shape.rows < 1.0 || shape.columns.is_empty() {
        return PAGE_BYTES;
    }
    let item = item_bytes(&shape.columns);
    let distinct = shape.distinct_keys.clamp(1.0, shape.rows);
    let duplicates = shape.rows - distinct;
    let leaves = if shape.columns.iter().all(|c| c.dedup) {
        // Deduplication pads each posting list to 8 bytes, 4 on average.
        let lists = distinct.min(duplicates) + duplicates / ROW_IDS_PER_POSTING;
        distinct * item
            + duplicates * ROW_ID_BYTES
            + lists * (4.0 + ROW_ID_BYTES)
            + duplicates / ROW_IDS_PER_POSTING * (item - 4.0)
    } else {
        shape.rows * item
    };
    let pages = (leaves / (LEAF_USABLE_BYTES * fill(shape, distinct))).ceil().max(1.0);
    // One inner item a leaf, and the meta page.
    let inner = (pages * item / (LEAF_USABLE_BYTES * FILL_RANDOM)).ceil();
    (pages + inner + 1.0) * PAGE_BYTES
}

fn fill(shape: &IndexShape, distinct: f64) -> f64 {
    let ascends_at = shape.columns.iter().position(|c| c.ascending);
    match ascends_at {
        Some(0) => FILL_ASCENDING,
        Some(_) => FILL_GROUPED,
        None if shape.rows / distinct >= 2.0 => FILL_GROUPED,
        None => FILL_RANDOM,
    }
}

/// The mean leaf item with its line pointer: `align8(8 + bitmap + key) + 4`.
fn item_bytes(columns: &[KeyColumn]) -> f64 {
    let all_set: f64 = columns.iter().map(|c| 1.0 - c.null_share).product();
    let full = f64::from(align(8 + key_bytes(columns, |_| true), 8) + 4);
    if all_set >= 1.0 {
        return full;
    }
    // Rows with a NULL: the columns that are most often NULL are left out, and the bitmap takes a word.
    let partial = f64::from(align(16 + key_bytes(columns, |c| c.null_share <= 0.0), 8) + 4);
    all_set * full + (1.0 - all_set) * partial
}

fn key_bytes(columns: &[KeyColumn], included: impl Fn(&KeyColumn) -> bool) -> u32 {
    columns.iter().filter(|c| included(c)).fold(0, |at, column| match column.storage {
        Storage::Fixed { length, align: to } => align(at, to) + length,
        Storage::Varlena if column.mean_payload_bytes <= 126.0 => at + 1 + column.mean_payload_bytes.round() as u32,
        Storage::Varlena => align(at, 4) + 4 + column.mean_payload_bytes.round() as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(storage: Storage, mean_payload_bytes: f64) -> KeyColumn {
        KeyColumn { storage, mean_payload_bytes, null_share: 0.0, dedup: true, ascending: false }
    }

    /// `measured` are pg_relation_size figures of freshly loaded indexes; single indexes are predicted within a third.
    fn check(columns: Vec<KeyColumn>, rows: f64, distinct_keys: f64, measured: f64) {
        let predicted = bytes(&IndexShape { columns, rows, distinct_keys });
        assert!((predicted / measured - 1.0).abs() < 0.33, "{predicted} for {measured}");
    }

    #[test]
    fn single_indexes_are_within_a_third_of_measured_ones() {
        let uuid = column(Storage::Fixed { length: 16, align: 1 }, 16.0);
        let status = column(Storage::Fixed { length: 4, align: 4 }, 4.0);
        let created_at = KeyColumn { ascending: true, ..column(Storage::Fixed { length: 8, align: 8 }, 8.0) };
        // Primary key over random uuids, at three scales.
        check(vec![uuid], 4_000.0, 4_000.0, 172_032.0);
        check(vec![uuid], 100_000.0, 100_000.0, 4_358_144.0);
        check(vec![uuid], 1_000_000.0, 1_000_000.0, 40_017_920.0);
        // (status, created_at)
        check(vec![status, created_at], 100_000.0, 100_000.0, 3_219_456.0);
        check(vec![status, created_at], 1_000_000.0, 1_000_000.0, 31_637_504.0);
    }

    #[test]
    fn duplicates_are_cheap_only_where_the_type_may_share_items() {
        let text = column(Storage::Varlena, 20.0);
        let shared = bytes(&IndexShape { columns: vec![text], rows: 1e5, distinct_keys: 10.0 });
        let apart =
            bytes(&IndexShape { columns: vec![KeyColumn { dedup: false, ..text }], rows: 1e5, distinct_keys: 10.0 });
        assert!(shared * 4.0 < apart, "{shared} {apart}");
        assert!((shared / 1e5 - 7.6).abs() < 1.0, "a low-cardinality index was measured at 7.6 bytes a row: {shared}");
    }

    #[test]
    fn an_index_of_no_rows_is_its_meta_page() {
        assert!((bytes(&IndexShape { columns: vec![], rows: 0.0, distinct_keys: 0.0 }) - 8192.0).abs() < 1.0);
    }
}
