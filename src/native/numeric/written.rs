//! `to_number`: a text read by a format.
//!
//! Input: a text and a format of digits. Output: the number. Invariant: the format is walked along the text as the server walks it,
//! place by place, whatever stands there. Left out: formats with `V`, `EEEE`, `TH`, signs inside of the digits.

use crate::native::{Arguments, Failure, Given};

/// A format, taken apart.
#[derive(Default)]
struct Format {
    places: Vec<Place>,
    /// Digits behind the point.
    after: usize,
    /// Digits before it.
    before: usize,
    has_point: bool,
    fills: bool,
    brackets: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Digit,
    Point,
    Comma,
    Sign,
    /// One character that is no part of a number.
    Other,
}

impl Format {
    fn read(text: &str) -> Option<Format> {
        let mut format = Format::default();
        let upper = text.to_ascii_uppercase();
        let mut rest = upper.as_str();
        if let Some(more) = rest.strip_prefix("FM") {
            format.fills = true;
            rest = more;
        }
        while !rest.is_empty() {
            let (place, length) = match rest.as_bytes() {
                [b'P', b'R', ..] if rest == "PR" => {
                    format.brackets = true;
                    break;
                }
                [b'M', b'I', ..] if rest == "MI" || format.places.is_empty() => (Place::Sign, 2),
                [b'S', ..] if rest == "S" || format.places.is_empty() => (Place::Sign, 1),
                [b'9' | b'0', ..] => (Place::Digit, 1),
                [b'.' | b'D', ..] if !format.has_point => (Place::Point, 1),
                [b',' | b'G', ..] => (Place::Comma, 1),
                [b'L' | b'$' | b' ', ..] => (Place::Other, 1),
                _ => return None,
            };
            match place {
                Place::Digit if format.has_point => format.after += 1,
                Place::Digit => format.before += 1,
                Place::Point => format.has_point = true,
                _ => {}
            }
            format.places.push(place);
            rest = &rest[length..];
        }
        (format.before + format.after > 0).then_some(format)
    }

    fn signs(&self) -> bool {
        self.places.contains(&Place::Sign)
    }
}

/// The text on its way through a format.
struct Walk<'a> {
    text: &'a [u8],
    at: usize,
    negative: Option<bool>,
    digits: String,
    read: usize,
    read_after: usize,
    past_point: bool,
}

impl Walk<'_> {
    fn here(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// A digit, a point, or a sign where there may be one.
    fn number(&mut self, format: &Format) {
        if self.here() == Some(b' ') {
            self.at += 1;
        }
        if self.negative.is_none() && self.read == 0 {
            match self.here() {
                Some(b'<') if format.brackets => (self.negative, self.at) = (Some(true), self.at + 1),
                Some(sign @ (b'-' | b'+')) if !format.brackets => {
                    (self.negative, self.at) = (Some(sign == b'-'), self.at + 1);
                }
                _ => {}
            }
        }
        let mut took = false;
        match self.here() {
            Some(digit) if digit.is_ascii_digit() => {
                if self.past_point && self.read_after == format.after {
                    return;
                }
                self.digits.push(char::from(digit));
                self.read += 1;
                self.read_after += usize::from(self.past_point);
                took = true;
            }
            Some(b'.') if format.has_point && !self.past_point => {
                self.digits.push('.');
                self.past_point = true;
                took = true;
            }
            _ => {}
        }
        if self.negative.is_none()
            && self.read > 0
            && !took
            && !format.signs()
            && let Some(sign @ (b'-' | b'+')) = self.here()
        {
            (self.negative, self.at) = (Some(sign == b'-'), self.at + 1);
        }
    }
}

/// `pg_to_number(text, format)`
pub(super) fn read(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(written)] = arguments else { return Ok(None) };
    let refused = || Failure::refused(format!("the text '{text}' by the format '{written}'"));
    let format = Format::read(written).ok_or_else(refused)?;
    if !text.bytes().all(|b| b.is_ascii_digit() || b" .,+-$<>%".contains(&b) || b.is_ascii_alphabetic()) {
        return Err(refused());
    }
    // A sign that the format names stands at one end of the text, and at no other place.
    let (mut body, mut negative) = (*text, None);
    if format.signs() {
        let signed = match format.places.first() {
            Some(Place::Sign) => body.strip_prefix(['-', '+']).map(|rest| (rest, body.starts_with('-'))),
            _ => body.strip_suffix(['-', '+']).map(|rest| (rest, body.ends_with('-'))),
        };
        let (rest, sign) = signed.unwrap_or((body, false));
        if rest.contains(['-', '+', ' ']) {
            return Err(refused());
        }
        (body, negative) = (rest, Some(sign));
    }
    let mut walk = Walk {
        text: body.as_bytes(),
        at: 0,
        negative,
        digits: String::new(),
        read: 0,
        read_after: 0,
        past_point: false,
    };
    for place in &format.places {
        if walk.here().is_none() {
            break;
        }
        match place {
            Place::Sign => continue,
            Place::Comma if format.fills || walk.here() != Some(b',') => continue,
            Place::Comma => walk.at += 1,
            Place::Other => {
                if !walk.here().is_some_and(|b| b.is_ascii_digit() || b".,+-".contains(&b)) {
                    walk.at += 1;
                }
            }
            Place::Digit | Place::Point => {
                walk.number(&format);
                walk.at += 1;
            }
        }
    }
    if !walk.digits.bytes().any(|b| b.is_ascii_digit()) {
        let sign = if walk.negative == Some(true) { "-" } else { " " };
        let message = format!("invalid input syntax for type numeric: \"{sign}{}\"", walk.digits);
        return Err(Failure::raised("22P02", message));
    }
    let sign = if walk.negative == Some(true) { "-" } else { "" };
    let number = format!("{sign}{}", walk.digits.trim_end_matches('.'));
    super::fitted(&number, (format.before + format.after) as u32, format.after as i32).map(Some)
}

#[cfg(test)]
mod tests {
    fn check(name: &str, arguments: &[&str], expected: &str) {
        crate::native::tests::check(super::super::FUNCTIONS, name, arguments, expected);
    }

    #[test]
    fn numbers_are_read_by_a_format() {
        check("pg_to_number", &["12,454.8-", "99G999D9S"], "-12454.8");
        check("pg_to_number", &["$1,234.56", "L9,999.99"], "1234.56");
        check("pg_to_number", &["12.345", "99.99"], "12.34");
        check("pg_to_number", &["<12>", "99PR"], "-12");
        check("pg_to_number", &["1234", "99"], "12");
        check("pg_to_number", &["abc", "99"], "22P02");
        check("pg_to_number", &["1", "99V9"], "refused");
    }
}
