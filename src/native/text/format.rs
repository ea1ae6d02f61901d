//! Quoting, and `format()`.

use crate::native::{Arguments, Failure, Given};

/// A name as it stands in SQL.
pub(super) fn identifier(name: &str) -> String {
    crate::catalog::lookup::quoted(name)
}

/// A text as a literal.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    match text.contains('\\') {
        true => format!("E'{}'", quoted.replace('\\', "\\\\")),
        false => format!("'{quoted}'"),
    }
}

/// `format(text, arguments…)`: an argument comes behind a `=`, or is `-` for NULL, as the engine calls no function with a NULL.
pub(super) fn format(arguments: &Arguments<'_>) -> Given<String> {
    let Some((Some(text), marked)) = arguments.split_first() else { return Ok(None) };
    let values: Vec<Option<&str>> = marked.iter().map(|value| value.and_then(|text| text.strip_prefix('='))).collect();
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    let mut last = 0;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.peek() == Some(&'%') {
            chars.next();
            out.push('%');
            continue;
        }
        let specifier = Specifier::read(&mut chars)?;
        let mut width = specifier.width;
        if let Some(star) = specifier.star {
            let at = star.unwrap_or(last + 1);
            last = at;
            let given = values.get(at - 1).ok_or_else(too_few)?;
            width = given.map_or(Ok(0), |text| {
                text.parse()
                    .map_err(|_| Failure::raised("22P02", format!("invalid input syntax for type integer: \"{text}\"")))
            })?;
        }
        let at = specifier.position.unwrap_or(last + 1);
        last = at;
        let value = *values.get(at - 1).ok_or_else(too_few)?;
        let shown = match (specifier.kind, value) {
            ('s', value) => value.unwrap_or_default().to_owned(),
            ('I', Some(value)) => identifier(value),
            ('I', None) => {
                return Err(Failure::raised("22004", "null values cannot be formatted as an SQL identifier"));
            }
            (_, value) => value.map_or("NULL".to_owned(), literal),
        };
        let padding = " ".repeat((width.unsigned_abs() as usize).saturating_sub(shown.chars().count()));
        match specifier.left || width < 0 {
            true => out.extend([shown, padding]),
            false => out.extend([padding, shown]),
        }
    }
    Ok(Some(out))
}

fn too_few() -> Failure {
    Failure::raised("22023", "too few arguments for format()")
}

/// `%[position$][-][width]kind`
struct Specifier {
    position: Option<usize>,
    left: bool,
    width: i32,
    /// The width is an argument: the next, or the one at a position.
    star: Option<Option<usize>>,
    kind: char,
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

impl Specifier {
    fn read(chars: &mut Characters<'_>) -> Result<Specifier, Failure> {
        let mut found = Specifier { position: None, left: false, width: 0, star: None, kind: 's' };
        let first = digits(chars)?;
        let mut has_width = false;
        match first {
            Some(number) if chars.peek() == Some(&'$') => {
                chars.next();
                found.position = Some(position(number)?);
            }
            Some(number) => {
                found.width = number;
                has_width = true;
            }
            None => {}
        }
        if !has_width {
            while chars.peek() == Some(&'-') {
                chars.next();
                found.left = true;
            }
            if chars.peek() == Some(&'*') {
                chars.next();
                let at = digits(chars)?;
                if at.is_some() && chars.next() != Some('$') {
                    return Err(Failure::raised("22023", "width argument position must be ended by \"$\""));
                }
                found.star = Some(at.map(position).transpose()?);
            } else if let Some(number) = digits(chars)? {
                found.width = number;
            }
        }
        match chars.next() {
            None => Err(Failure::raised("22023", "unterminated format() type specifier")),
            Some(kind @ ('s' | 'I' | 'L')) => {
                found.kind = kind;
                Ok(found)
            }
            Some(other) => Err(Failure::raised("22023", format!("unrecognized format() type specifier \"{other}\""))),
        }
    }
}

fn position(number: i32) -> Result<usize, Failure> {
    match usize::try_from(number) {
        Ok(at @ 1..) => Ok(at),
        _ => Err(Failure::raised("22023", "format specifies argument 0, but arguments are numbered from 1")),
    }
}

fn digits(chars: &mut Characters<'_>) -> Result<Option<i32>, Failure> {
    let mut text = String::new();
    while let Some(digit) = chars.peek().copied().filter(char::is_ascii_digit) {
        text.push(digit);
        chars.next();
    }
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Failure::raised("22003", "number is out of range"))
}
