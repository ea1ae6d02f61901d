//! How many bytes does PostgreSQL store for a row?
//!
//! Input: the table's attributes in physical order, and the payload length of each value of a row. Output: [`TupleBytes`].
//! Invariants: the rules are those of PostgreSQL 15's `heap_compute_data_size` and `heap_toast_insert_or_update` for a 64-bit
//! server with 8 kB pages and default storage options. Left out: dropped and fast-default columns (a bare model of the values
//! can't see them), storage options other than EXTENDED, and the compressor itself: [`COMPRESSED_SHARE`] stands for it.

/// Bytes of a page that line pointers and tuples share: 8,192 less the 24-byte page header.
pub const PAGE_USABLE_BYTES: f64 = 8168.0;
/// A page.
pub const PAGE_BYTES: f64 = 8192.0;
/// `TOAST_TUPLE_THRESHOLD` and `_TARGET` at 8 kB pages: a longer tuple is compressed, then moved out of line, until it fits.
const TOAST_THRESHOLD: u32 = 2032;
/// An out-of-line value leaves this pointer behind, unaligned.
const POINTER_BYTES: u32 = 18;
/// Payload of one TOAST chunk.
const CHUNK_BYTES: u32 = 1996;
/// What compression leaves of a long value. Assumed: `pglz` on JSON of a few kB saves a third to two thirds.
pub const COMPRESSED_SHARE: f64 = 0.5;
/// `pglz` doesn't try anything shorter.
const COMPRESSIBLE_FROM: u32 = 32;

/// How one attribute is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// A fixed number of bytes at an alignment.
    Fixed {
        /// Bytes.
        length: u32,
        /// Alignment in bytes.
        align: u32,
    },
    /// A length header and a payload.
    Varlena,
}

/// What a row takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TupleBytes {
    /// Line pointer and tuple on the heap page, padded.
    pub slot: u32,
    /// Chunks in the TOAST table and their index entries.
    pub toast: u32,
}

/// The state of one value of a tuple that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Null,
    Plain(u32),
    Compressed(u32),
    Pointer,
}

/// `value` rounded up to a multiple of `to`, which is a power of two.
pub fn align(value: u32, to: u32) -> u32 {
    (value + to - 1) & !(to - 1)
}

/// The bytes of a row whose values have these payload lengths (`None` is NULL; ignored for fixed-length attributes).
pub fn tuple(attributes: &[Storage], payloads: &[Option<u32>]) -> TupleBytes {
    let header = header_bytes(attributes.len(), payloads.iter().any(Option::is_none));
    let plain = payloads.iter().map(|p| p.map_or(Value::Null, Value::Plain));
    let length = header + data_bytes(attributes, plain);
    if length <= TOAST_THRESHOLD {
        return TupleBytes { slot: align(length, 8) + 4, toast: 0 };
    }
    toasted(attributes, payloads, header)
}

/// `t_hoff`: the tuple header and, where a value is NULL, the bitmap.
fn header_bytes(attributes: usize, has_nulls: bool) -> u32 {
    let bitmap = if has_nulls { (attributes as u32).div_ceil(8) } else { 0 };
    align(23 + bitmap, 8)
}

fn data_bytes(attributes: &[Storage], values: impl Iterator<Item = Value>) -> u32 {
    attributes.iter().zip(values).fold(0, |at, (storage, value)| match (storage, value) {
        (_, Value::Null) => at,
        (Storage::Fixed { length, align: to }, _) => align(at, *to) + length,
        // A value of up to 126 bytes has a one-byte header and no alignment.
        (Storage::Varlena, Value::Plain(payload)) if payload <= 126 => at + 1 + payload,
        (Storage::Varlena, Value::Plain(payload)) => align(at, 4) + 4 + payload,
        (Storage::Varlena, Value::Compressed(payload)) => align(at, 4) + 8 + payload,
        (Storage::Varlena, Value::Pointer) => at + POINTER_BYTES,
    })
}

/// The server's two rounds: compress the longest until it fits, then move the longest out of line until it fits.
fn toasted(attributes: &[Storage], payloads: &[Option<u32>], header: u32) -> TupleBytes {
    let mut values: Vec<Value> = payloads.iter().map(|p| p.map_or(Value::Null, Value::Plain)).collect();
    let mut toast = 0;
    let target = TOAST_THRESHOLD - header;
    let length = |values: &[Value]| data_bytes(attributes, values.iter().copied());
    let stored = |value: Value| match value {
        Value::Plain(payload) => 4 + payload,
        Value::Compressed(payload) => 8 + payload,
        Value::Null | Value::Pointer => 0,
    };
    let longest = |values: &[Value], compressible: bool| {
        (0..values.len())
            .filter(|i| attributes[*i] == Storage::Varlena && stored(values[*i]) > align(POINTER_BYTES, 8))
            .filter(|i| !compressible || matches!(values[*i], Value::Plain(payload) if payload >= COMPRESSIBLE_FROM))
            .max_by_key(|i| (stored(values[*i]), std::cmp::Reverse(*i)))
    };
    for compressing in [true, false] {
        while length(&values) > target {
            let Some(index) = longest(&values, compressing) else { break };
            if compressing && let Value::Plain(payload) = values[index] {
                values[index] = Value::Compressed((f64::from(payload) * COMPRESSED_SHARE) as u32);
            }
            // The first round moves out at once what is too long even compressed.
            if !compressing || stored(values[index]) > target {
                toast += toast_bytes(stored(values[index]) - 4);
                values[index] = Value::Pointer;
            }
        }
    }
    TupleBytes { slot: align(header + length(&values), 8) + 4, toast }
}

/// TOAST pages and index entries for an out-of-line value.
fn toast_bytes(payload: u32) -> u32 {
    let chunks = payload.div_ceil(CHUNK_BYTES);
    // Each chunk is a tuple of its own: header 24, two integers, a length header, the line pointer; its index entry is 20 bytes
    // on leaves that are 90 % full.
    payload + chunks * (24 + 8 + 4 + 4) + chunks * 23
}

/// Heap pages for slots of this total, in bytes: what a bulk or steady load leaves, without dead rows.
pub fn heap_bytes(rows: u64, slot_bytes: u64) -> f64 {
    if rows == 0 {
        return 0.0;
    }
    // The end of a page goes to waste unless a shorter row comes by: about a quarter of a slot (1.5 % of a page at 480 bytes).
    let mean_slot = slot_bytes as f64 / rows as f64;
    let filled = PAGE_USABLE_BYTES - (mean_slot / 4.0).min(PAGE_USABLE_BYTES / 2.0);
    (slot_bytes as f64 / filled).ceil() * PAGE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: Storage = Storage::Fixed { length: 16, align: 1 };
    const INT: Storage = Storage::Fixed { length: 4, align: 4 };
    const BIGINT: Storage = Storage::Fixed { length: 8, align: 8 };
    const BOOL: Storage = Storage::Fixed { length: 1, align: 1 };

    fn check(attributes: &[Storage], payloads: &[Option<u32>], slot: u32) {
        assert_eq!(tuple(attributes, payloads), TupleBytes { slot, toast: 0 }, "{attributes:?} {payloads:?}");
    }

    // Each expected length is `lp_len` of pageinspect's heap_page_items on PostgreSQL 15, padded to 8, plus the line pointer.
    #[test]
    fn tuples_have_the_length_the_server_gives_them() {
        check(&[INT], &[Some(4)], 32 + 4);
        check(&[INT, BIGINT], &[Some(4), Some(8)], 40 + 4);
        check(&[BOOL, INT], &[Some(1), Some(4)], 32 + 4);
        check(&[UUID, Storage::Varlena], &[Some(16), Some(5)], 48 + 4);
        // A NULL brings the bitmap: for up to eight columns it fits into the header's padding.
        check(&[INT, INT], &[Some(4), None], 32 + 4);
        // Nine columns need two bytes of bitmap, which takes the header from 24 to 32.
        check(&[INT; 9], &[Some(4), None, None, None, None, None, None, None, None], 40 + 4);
    }

    #[test]
    fn the_header_of_a_long_value_is_aligned() {
        // 24 + 1 + 126 and 24 + align4(0) + 4 + 127.
        check(&[Storage::Varlena], &[Some(126)], 152 + 4);
        check(&[BOOL, Storage::Varlena], &[Some(1), Some(127)], 160 + 4);
    }

    #[test]
    fn a_tuple_beyond_the_threshold_is_compressed_then_moved_out() {
        let fits = tuple(&[UUID, Storage::Varlena], &[Some(16), Some(1900)]);
        assert_eq!(fits, TupleBytes { slot: 1944 + 4, toast: 0 });
        let compressed = tuple(&[UUID, Storage::Varlena], &[Some(16), Some(3000)]);
        assert_eq!(compressed, TupleBytes { slot: align(24 + 16 + 8 + 1500, 8) + 4, toast: 0 });
        let outside = tuple(&[UUID, Storage::Varlena], &[Some(16), Some(20_000)]);
        assert_eq!(outside.slot, align(24 + 16 + 18, 8) + 4);
        assert!((10_000..11_000).contains(&outside.toast), "{outside:?}");
    }

    #[test]
    fn a_heap_of_measured_rows_has_its_measured_size() {
        // 100,000 rows of 481 bytes a row all in; the slots themselves sum to 98.2 % of it.
        let slots = 47_245_600;
        let measured = 48_103_424.0;
        assert!((heap_bytes(100_000, slots) / measured - 1.0).abs() < 0.01, "{}", heap_bytes(100_000, slots));
        assert!(heap_bytes(0, 0) < 1.0);
    }
}
