//! Parquet's RLE / bit-packed hybrid: small numbers, written as runs where they repeat and packed where they don't.
//!
//! Source: the format's `Encodings.md`, "Run Length Encoding / Bit-Packing Hybrid". Input: numbers below `2^width`. Output: the runs,
//! without the length that stands before levels.

/// Fewer equal numbers than this are packed with their neighbours.
const LEAST_RUN: usize = 8;

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
            repeat(numbers[at], run - lacking, width, out);
            at += run;
            packed_from = at;
        } else {
            at += run;
        }
    }
    pack(&numbers[packed_from..], width, out);
}

fn run_length<N: Copy + Eq>(numbers: &[N]) -> usize {
    let first = numbers[0];
    numbers.iter().position(|n| *n != first).unwrap_or(numbers.len())
}

fn repeat<N: Into<u64>>(number: N, times: usize, width: u8, out: &mut Vec<u8>) {
    variable(times as u64 * 2, out);
    out.extend_from_slice(&number.into().to_le_bytes()[..usize::from(width.div_ceil(8))]);
}

/// Eights of numbers; the last is filled with zeros, which a reader leaves out.
fn pack<N: Copy + Into<u64>>(numbers: &[N], width: u8, out: &mut Vec<u8>) {
    if numbers.is_empty() {
        return;
    }
    let eights = numbers.len().div_ceil(8);
    variable(eights as u64 * 2 + 1, out);
    let end = out.len() + eights * usize::from(width);
    let (mut bits, mut held) = (0u64, 0u32);
    for number in numbers {
        bits |= (*number).into() << held;
        held += u32::from(width);
        while held >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            held -= 8;
        }
    }
    if held > 0 {
        out.push(bits as u8);
    }
    out.resize(end, 0);
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
        check(&(0..1000).collect::<Vec<_>>(), 10);
        check(&[5; 300].iter().copied().chain(0..20).chain([70_000; 17]).collect::<Vec<_>>(), 17);
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
    fn nothing_needs_no_bits() {
        check(&[0; 100], 0);
    }
}
