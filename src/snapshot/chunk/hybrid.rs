//! Parquet's RLE / bit-packed hybrid: small numbers, written as runs where they repeat and packed where they don't.
//!
//! Source: the format's `Encodings.md`, "Run Length Encoding / Bit-Packing Hybrid". Input: numbers below `2^width`, of at most eight
//! bits or of whole bytes. Output: the runs, without the length that stands before levels.

use arrow::buffer::BooleanBuffer;

/// Fewer equal numbers than this are packed with their neighbours.
const LEAST_RUN: usize = 8;
/// Fewer equal eights of bits than this are, too.
const LEAST_BIT_RUN: usize = 4;

/// Appends `numbers`, each of `width` bits, to `out`.
pub fn encode<N: Copy + Eq + Into<u64>>(numbers: &[N], width: u8, out: &mut Vec<u8>) {
    let mut packed_from = 0;
    let mut at = 0;
    while at < numbers.len() {
        let run = run_length(&numbers[at..]);
        // Packed numbers come in eights, so a run begins where one of them ends.
        let lacking = (8 - (at - packed_from) % 8) % 8;
        if run >= LEAST_RUN + lacking {
            pack(&numbers[packed_from..at + lacking], width, out);
            repeat(numbers[at].into(), run - lacking, width, out);
            at += run;
            packed_from = at;
        } else {
            at += run;
        }
    }
    pack(&numbers[packed_from..], width, out);
}

/// Appends numbers of one bit each, as [`encode`] does, but eight at a time.
pub fn encode_bits(bits: &BooleanBuffer, out: &mut Vec<u8>) {
    let (count, bytes) = (bits.len(), bits.sliced());
    let bytes = &bytes[..count.div_ceil(8)];
    let (eights, rest) = (&bytes[..count / 8], count % 8);
    let last = bytes.last().filter(|_| rest > 0).map(|last| last & (0xff >> (8 - rest)));
    let mut packed_from = 0;
    let mut at = 0;
    while at < eights.len() {
        let byte = eights[at];
        let run = if byte == 0 || byte == 0xff { run_length(&eights[at..]) } else { 1 };
        if run >= LEAST_BIT_RUN {
            pack_bits(&eights[packed_from..at], out);
            packed_from = at + run;
            // Whatever stands behind the last eight goes with them if it is equal.
            let ends_all = packed_from == eights.len() && last.is_some_and(|last| last == byte & (0xff >> (8 - rest)));
            repeat(u64::from(byte & 1), run * 8 + if ends_all { rest } else { 0 }, 1, out);
            if ends_all {
                return;
            }
        }
        at += run;
    }
    match last {
        Some(last) => pack_bits(&[&eights[packed_from..], &[last]].concat(), out),
        None => pack_bits(&eights[packed_from..], out),
    }
}

fn run_length<N: Copy + Eq>(numbers: &[N]) -> usize {
    let first = numbers[0];
    numbers.iter().position(|n| *n != first).unwrap_or(numbers.len())
}

fn repeat(number: u64, times: usize, width: u8, out: &mut Vec<u8>) {
    variable(times as u64 * 2, out);
    out.extend_from_slice(&number.to_le_bytes()[..usize::from(width.div_ceil(8))]);
}

/// Eights of bits that are packed already.
fn pack_bits(eights: &[u8], out: &mut Vec<u8>) {
    if !eights.is_empty() {
        variable(eights.len() as u64 * 2 + 1, out);
        out.extend_from_slice(eights);
    }
}

/// Eights of numbers; the last is filled with zeros, which a reader leaves out.
fn pack<N: Copy + Into<u64>>(numbers: &[N], width: u8, out: &mut Vec<u8>) {
    if numbers.is_empty() {
        return;
    }
    let eights = numbers.len().div_ceil(8);
    variable(eights as u64 * 2 + 1, out);
    let begin = out.len();
    out.resize(begin + eights * usize::from(width), 0);
    let packed = &mut out[begin..];
    match width {
        0 => {}
        1..=8 => {
            // Eight numbers of eight bits at most are a word.
            for (eight, place) in numbers.chunks(8).zip(packed.chunks_exact_mut(usize::from(width))) {
                let word = eight.iter().rev().fold(0, |word, number| word << width | (*number).into());
                place.copy_from_slice(&word.to_le_bytes()[..usize::from(width)]);
            }
        }
        16 => whole_bytes::<2, N>(numbers, packed),
        24 => whole_bytes::<3, N>(numbers, packed),
        _ => whole_bytes::<4, N>(numbers, packed),
    }
}

fn whole_bytes<const BYTES: usize, N: Copy + Into<u64>>(numbers: &[N], packed: &mut [u8]) {
    for (number, place) in numbers.iter().zip(packed.chunks_exact_mut(BYTES)) {
        place.copy_from_slice(&(*number).into().to_le_bytes()[..BYTES]);
    }
}

/// An unsigned LEB128.
fn variable(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads what a reader of Parquet reads.
    fn decode(mut bytes: &[u8], width: u8, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let (mut head, mut shift) = (0u64, 0);
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                head |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            if head & 1 == 0 {
                let wide = usize::from(width.div_ceil(8));
                let value = bytes[..wide].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
                bytes = &bytes[wide..];
                numbers.extend(std::iter::repeat_n(value, (head >> 1) as usize));
            } else {
                let packed = (head >> 1) as usize * usize::from(width);
                for index in 0..(head >> 1) as usize * 8 {
                    let bit = |n: usize| u64::from(bytes[n / 8] >> (n % 8) & 1);
                    let first = index * usize::from(width);
                    numbers.push((0..usize::from(width)).fold(0, |value, n| value | bit(first + n) << n));
                }
                bytes = &bytes[packed..];
            }
        }
        assert!(bytes.is_empty());
        numbers.truncate(count);
        numbers
    }

    fn check(numbers: &[u32], width: u8) {
        let mut out = Vec::new();
        encode(numbers, width, &mut out);
        let expected: Vec<u64> = numbers.iter().map(|n| u64::from(*n)).collect();
        assert_eq!(decode(&out, width, numbers.len()), expected, "{numbers:?} in {width} bits");
    }

    #[test]
    fn what_is_written_is_read() {
        check(&[], 1);
        check(&[1], 1);
        check(&[1; 1000], 1);
        check(&[0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0], 1);
        check(&[7; 9], 3);
        check(&(0..1000).collect::<Vec<_>>(), 16);
        check(&[5; 300].iter().copied().chain(0..20).chain([70_000; 17]).collect::<Vec<_>>(), 24);
        check(&(0..300).map(|n| n << 20).collect::<Vec<_>>(), 32);
        let mut state = 1u32;
        for _ in 0..200 {
            let mut numbers = Vec::new();
            while numbers.len() < 100 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (value, times) = (state >> 29, (state >> 16) % 25);
                numbers.extend(std::iter::repeat_n(value, times as usize));
            }
            check(&numbers, 3);
        }
    }

    #[test]
    fn bits_are_read_as_numbers() {
        fn check(bits: &[bool]) {
            for from in 0..bits.len().min(3) {
                let mut out = Vec::new();
                encode_bits(&BooleanBuffer::from(bits).slice(from, bits.len() - from), &mut out);
                let expected: Vec<u64> = bits[from..].iter().map(|bit| u64::from(*bit)).collect();
                assert_eq!(decode(&out, 1, bits.len() - from), expected, "{bits:?} from {from}");
            }
        }
        for length in [1, 7, 8, 9, 31, 32, 33, 64, 71, 300] {
            check(&vec![true; length]);
            check(&vec![false; length]);
            check(&(0..length).map(|n| n % 3 == 0).collect::<Vec<_>>());
            // Runs that begin and end anywhere.
            check(&(0..length).map(|n| n > length / 3).collect::<Vec<_>>());
            check(&(0..length).map(|n| n + 1 == length).collect::<Vec<_>>());
        }
        let mut all = Vec::new();
        encode_bits(&BooleanBuffer::new_set(100_000), &mut all);
        assert!(all.len() < 5, "{all:?}");
    }

    #[test]
    fn nothing_needs_no_bits() {
        check(&[0; 100], 0);
    }
}
