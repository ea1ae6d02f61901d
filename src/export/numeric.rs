//! Numbers of any size: how is PostgreSQL's binary `numeric` read, exactly?
//!
//! Input: what `numeric_send` writes: digits to the base 10,000 with a weight, a sign and a display scale. Output: an integer of
//! 128 bits for a decimal, or the text the server would print. Invariant: nothing is rounded.

use std::fmt::Write;

use anyhow::{Result, anyhow, bail};

use super::fallback::Unheld;
use crate::snapshot::manifest::NumericExtent;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// One value, its digits still in the buffer it came in.
pub struct Numeric<'a> {
    /// Two bytes each, most significant first, without leading or trailing zeros.
    digits: &'a [u8],
    /// The first digit counts 10,000 to this power.
    weight: i32,
    sign: u16,
    /// Digits to show after the decimal point.
    scale: u32,
}

impl<'a> Numeric<'a> {
    /// Reads the header and checks that the digits are there.
    ///
    /// # Errors
    /// When the bytes aren't a `numeric`.
    pub fn read(bytes: &'a [u8]) -> Result<Numeric<'a>> {
        let (head, digits) =
            bytes.split_first_chunk::<8>().ok_or_else(|| anyhow!("a numeric ends before its digits"))?;
        let part = |at: usize| [head[at], head[at + 1]];
        if digits.len() != 2 * usize::from(u16::from_be_bytes(part(0))) {
            bail!("a numeric has another number of digits than it says");
        }
        let sign = u16::from_be_bytes(part(4));
        if ![0, NEGATIVE, NAN, INFINITY, NEGATIVE_INFINITY].contains(&sign) {
            bail!("a numeric has a sign that isn't known");
        }
        let weight = i32::from(i16::from_be_bytes(part(2)));
        Ok(Numeric { digits, weight, sign, scale: u32::from(u16::from_be_bytes(part(6))) })
    }

    /// NaN, or infinite.
    fn is_special(&self) -> bool {
        self.sign >= NAN
    }

    fn digits(&self) -> impl DoubleEndedIterator<Item = u16> + ExactSizeIterator + 'a {
        self.digits.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair))
    }

    /// The value times 10 to the power `scale`, which must be an integer of at most `precision` digits.
    ///
    /// # Errors
    /// For NaN, infinities, and what doesn't fit.
    pub fn decimal(&self, precision: u8, scale: i8) -> Result<i128> {
        if self.is_special() {
            let mut text = String::new();
            self.write(&mut text);
            return Err(Unheld(format!("a value is {text}, which a decimal({precision},{scale}) can't hold")).into());
        }
        let misfit = || anyhow!("a value doesn't fit decimal({precision},{scale})");
        let mut value: i128 = 0;
        let mut power = 4 * self.weight + i32::from(scale);
        for digit in self.digits() {
            // The digit's last places may lie beyond the scale: they must be zeros.
            let dropped = 10i128.pow(power.clamp(-4, 0).unsigned_abs());
            if i128::from(digit) % dropped != 0 {
                return Err(misfit());
            }
            let shifted = value.checked_mul(10_000 / dropped).ok_or_else(misfit)?;
            value = shifted.checked_add(i128::from(digit) / dropped).ok_or_else(misfit)?;
            power -= 4;
        }
        // `power` is now what the place behind the last digit counts; places up to the decimal point are zeros.
        let missing = u32::try_from((power + 4).max(0)).map_err(|_| misfit())?;
        if value != 0 {
            value = 10i128.checked_pow(missing).and_then(|zeros| value.checked_mul(zeros)).ok_or_else(misfit)?;
        }
        if value >= 10i128.pow(u32::from(precision)) {
            return Err(misfit());
        }
        Ok(if self.sign == NEGATIVE { -value } else { value })
    }

    /// Appends the text that the server prints.
    pub fn write(&self, text: &mut String) {
        match self.sign {
            NAN => return text.push_str("NaN"),
            INFINITY => return text.push_str("Infinity"),
            NEGATIVE_INFINITY => return text.push_str("-Infinity"),
            NEGATIVE => text.push('-'),
            _ => {}
        }
        let place = |weight: i32| -> u16 {
            usize::try_from(self.weight - weight).ok().and_then(|i| self.digits().nth(i)).unwrap_or(0)
        };
        // Writing to a string can't fail.
        let _ = write!(text, "{}", if self.weight >= 0 { place(self.weight) } else { 0 });
        for weight in (0..self.weight).rev() {
            let _ = write!(text, "{:04}", place(weight));
        }
        if self.scale == 0 {
            return;
        }
        text.push('.');
        let begin = text.len();
        for group in 0..self.scale.div_ceil(4) {
            let _ = write!(text, "{:04}", place(-1 - group as i32));
        }
        text.truncate(begin + self.scale as usize);
    }

    /// Digits before the decimal point, without leading zeros, and after it, without trailing ones.
    fn places(&self) -> (u32, u32) {
        let (Some(first), Some(last)) = (self.digits().next(), self.digits().next_back()) else {
            return (0, 0);
        };
        let before = 4 * self.weight + first.checked_ilog10().map_or(0, |log| log as i32 + 1);
        let zeros = (0..4).take_while(|n| last % 10u16.pow(n + 1) == 0).count() as i32;
        let after = 4 * (self.digits().len() as i32 - 1 - self.weight) - zeros;
        (before.max(0).unsigned_abs(), after.max(0).unsigned_abs())
    }
}

/// Makes room in `extent` for one more value.
pub fn widen(extent: &mut NumericExtent, value: &Numeric<'_>) {
    if value.is_special() {
        extent.special_values += 1;
        return;
    }
    let (before, after) = value.places();
    extent.integer_digits = extent.integer_digits.max(before);
    extent.scale = extent.scale.max(after);
}

/// What two sets of values need together.
pub fn joined(a: Option<NumericExtent>, b: Option<NumericExtent>) -> Option<NumericExtent> {
    let (Some(a), Some(b)) = (a, b) else { return a.or(b) };
    Some(NumericExtent {
        integer_digits: a.integer_digits.max(b.integer_digits),
        scale: a.scale.max(b.scale),
        special_values: a.special_values + b.special_values,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `numeric_send` writes.
    fn sent(sign: u16, weight: i16, scale: u16, digits: &[u16]) -> Vec<u8> {
        let head = [digits.len() as u16, weight as u16, sign, scale];
        head.iter().chain(digits).flat_map(|n| n.to_be_bytes()).collect()
    }

    fn check(bytes: &[u8], text: &str, places: (u32, u32)) {
        let value = Numeric::read(bytes).expect(text);
        let mut shown = String::new();
        value.write(&mut shown);
        assert_eq!(shown, text);
        assert_eq!(value.places(), places, "{text}");
    }

    #[test]
    fn prints_as_the_server_does() {
        check(&sent(0, 0, 0, &[]), "0", (0, 0));
        check(&sent(0, 0, 3, &[]), "0.000", (0, 0));
        check(&sent(0, 0, 2, &[12, 3400]), "12.34", (2, 2));
        check(&sent(NEGATIVE, -1, 4, &[5]), "-0.0005", (0, 4));
        check(&sent(0, -2, 8, &[5000]), "0.00005000", (0, 5));
        check(&sent(0, 2, 0, &[1]), "100000000", (9, 0));
        check(&sent(0, 1, 5, &[123, 4567, 8900, 1000]), "1234567.89001", (7, 5));
        check(&sent(NAN, 0, 0, &[]), "NaN", (0, 0));
        check(&sent(INFINITY, 0, 0, &[]), "Infinity", (0, 0));
    }

    #[test]
    fn decimals_keep_every_digit() {
        let decimal = |bytes: &[u8], precision, scale| Numeric::read(bytes).and_then(|n| n.decimal(precision, scale));
        assert_eq!(decimal(&sent(0, 0, 2, &[12, 3400]), 10, 2).ok(), Some(1234));
        assert_eq!(decimal(&sent(NEGATIVE, 0, 2, &[12, 3400]), 10, 5).ok(), Some(-1_234_000));
        assert_eq!(decimal(&sent(0, 2, 0, &[1]), 12, 2).ok(), Some(10_000_000_000));
        assert_eq!(decimal(&sent(0, 0, 0, &[]), 1, 0).ok(), Some(0));
        assert_eq!(decimal(&sent(0, -1, 4, &[5]), 4, 4).ok(), Some(5));
        // 38 digits, the last of them alone in its group.
        let widest = sent(0, 9, 1, &[9, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9000]);
        assert_eq!(decimal(&widest, 38, 1).ok(), Some(10i128.pow(38) - 1));
        assert!(decimal(&widest, 37, 1).is_err());
        assert!(decimal(&sent(0, 0, 2, &[12, 3400]), 10, 1).is_err());
        assert!(decimal(&sent(NAN, 0, 0, &[]), 10, 1).is_err());
    }
}
