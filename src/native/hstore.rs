//! Keys with values: values of the extension `hstore`.
//!
//! Input: texts as the server writes them or reads them. Output: the server's text, and what the extension's functions give. Invariants:
//! keys are unique, ordered by their length in bytes and then by their bytes; of a key given twice the first value stays. Left out:
//! records, indexes of keys, conversions by type.

use std::collections::BTreeMap;

use super::{Arguments, Failure, Given, Native, array_elements};

pub(super) const FUNCTIONS: &[(&str, Native)] = &[
    ("pg_hstore_in", Native::Text(read_row)),
    ("pg_hstore_of", Native::Text(of_arrays)),
    ("pg_hstore_pair", Native::Text(of_pair)),
    ("pg_hstore_value", Native::Text(value)),
    ("pg_hstore_has", Native::Truth(has)),
    ("pg_hstore_joined", Native::Text(joined)),
    ("pg_hstore_without", Native::Text(without)),
    ("pg_hstore_holds", Native::Truth(holds)),
    ("pg_hstore_keys", Native::Texts(keys)),
    ("pg_hstore_values", Native::Texts(values)),
];

/// Keys in the server's order with their values.
type Pairs = BTreeMap<(usize, String), Option<String>>;

fn put(pairs: &mut Pairs, key: &str, value: Option<String>) {
    pairs.entry((key.len(), key.to_owned())).or_insert(value);
}

fn written(pairs: &Pairs) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let pair = |((_, key), value): (&(usize, String), &Option<String>)| {
        format!("{}=>{}", quoted(key), value.as_deref().map_or_else(|| "NULL".to_owned(), quoted))
    };
    pairs.iter().map(pair).collect::<Vec<_>>().join(", ")
}

fn syntax(c: Option<char>, at: usize) -> Failure {
    match c {
        Some(c) => Failure::raised("XX000", format!("Syntax error near \"{c}\" at position {at}")),
        None => Failure::raised("XX000", "Unexpected end of string"),
    }
}

/// A text being read.
struct Text<'t> {
    chars: std::iter::Peekable<std::iter::Enumerate<std::str::Chars<'t>>>,
}

impl Text<'_> {
    fn skip_blanks(&mut self) {
        while self.chars.next_if(|(_, c)| c.is_ascii_whitespace()).is_some() {}
    }

    /// A key or a value, and whether it stood in quotes.
    fn word(&mut self, is_value: bool) -> Result<Option<(String, bool)>, Failure> {
        self.skip_blanks();
        let mut text = String::new();
        let Some(&(at, first)) = self.chars.peek() else { return Ok(None) };
        if first == '"' {
            self.chars.next();
            loop {
                match self.chars.next() {
                    Some((_, '"')) => return Ok(Some((text, true))),
                    Some((_, '\\')) => text.push(self.chars.next().ok_or_else(|| syntax(None, 0))?.1),
                    Some((_, c)) => text.push(c),
                    None => return Err(syntax(None, 0)),
                }
            }
        }
        if first == '=' || (is_value && first == ',') {
            return Err(syntax(Some(first), at));
        }
        while let Some(&(at, c)) = self.chars.peek() {
            match c {
                '\\' => {
                    self.chars.next();
                    text.push(self.chars.next().ok_or_else(|| syntax(None, 0))?.1);
                    continue;
                }
                '=' if !is_value => break,
                ',' if is_value => break,
                c if c.is_ascii_whitespace() => break,
                '"' if is_value => return Err(syntax(Some(c), at)),
                c => text.push(c),
            }
            self.chars.next();
        }
        Ok(Some((text, false)))
    }

    fn arrow(&mut self) -> Result<(), Failure> {
        self.skip_blanks();
        for wanted in ['=', '>'] {
            match self.chars.next() {
                Some((_, c)) if c == wanted => {}
                Some((at, c)) => return Err(syntax(Some(c), at)),
                None => return Err(syntax(None, 0)),
            }
        }
        Ok(())
    }
}

fn pairs_of(text: &str) -> Result<Pairs, Failure> {
    let mut read = Text { chars: text.chars().enumerate().peekable() };
    let mut pairs = Pairs::new();
    while let Some((key, _)) = read.word(false)? {
        read.arrow()?;
        let (value, quoted) = read.word(true)?.ok_or_else(|| syntax(None, 0))?;
        put(&mut pairs, &key, (quoted || !value.eq_ignore_ascii_case("null")).then_some(value));
        read.skip_blanks();
        match read.chars.next() {
            None => break,
            Some((_, ',')) => {}
            Some((at, c)) => return Err(syntax(Some(c), at)),
        }
    }
    Ok(pairs)
}

/// A text as the server would write it.
///
/// # Errors
/// XX000, which is what the extension of PostgreSQL 15 raises.
pub(crate) fn read(text: &str) -> Result<String, Failure> {
    Ok(written(&pairs_of(text)?))
}

fn read_row(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text)] = arguments else { return Ok(None) };
    read(text).map(Some)
}

fn list(text: &str) -> Result<Vec<Option<String>>, Failure> {
    array_elements(text).map_err(|_| Failure::refused("an array of keys or values of this form"))
}

/// `hstore(keys, values)`, each an array's text; no text at all are NULLs.
fn of_arrays(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(keys), Some(values)] = arguments else { return Ok(None) };
    let keys = list(keys)?;
    let values = match *values {
        "" => vec![None; keys.len()],
        values => list(values)?,
    };
    if keys.len() != values.len() {
        return Err(Failure::raised("2202E", "arrays must have same bounds"));
    }
    let mut pairs = Pairs::new();
    for (key, value) in keys.into_iter().zip(values) {
        let key = key.ok_or_else(|| Failure::raised("22004", "null value not allowed for hstore key"))?;
        put(&mut pairs, &key, value);
    }
    Ok(Some(written(&pairs)))
}

/// `hstore(key, value)`; a key alone has NULL.
fn of_pair(arguments: &Arguments<'_>) -> Given<String> {
    let (Some(Some(key)), value) = (arguments.first(), arguments.get(1)) else { return Ok(None) };
    let mut pairs = Pairs::new();
    put(&mut pairs, key, value.copied().flatten().map(str::to_owned));
    Ok(Some(written(&pairs)))
}

fn value(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(pairs), Some(key)] = arguments else { return Ok(None) };
    Ok(pairs_of(pairs)?.get(&(key.len(), (*key).to_owned())).cloned().flatten())
}

fn has(arguments: &Arguments<'_>) -> Given<bool> {
    let [Some(pairs), Some(key)] = arguments else { return Ok(None) };
    Ok(Some(pairs_of(pairs)?.contains_key(&(key.len(), (*key).to_owned()))))
}

/// `||`: the values of the right one stay.
fn joined(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(one), Some(other)] = arguments else { return Ok(None) };
    let mut pairs = pairs_of(other)?;
    for ((_, key), value) in pairs_of(one)? {
        put(&mut pairs, &key, value);
    }
    Ok(Some(written(&pairs)))
}

fn without(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(pairs), Some(key)] = arguments else { return Ok(None) };
    let mut pairs = pairs_of(pairs)?;
    pairs.remove(&(key.len(), (*key).to_owned()));
    Ok(Some(written(&pairs)))
}

/// `@>`: all pairs of the right one are the left one's.
fn holds(arguments: &Arguments<'_>) -> Given<bool> {
    let [Some(one), Some(other)] = arguments else { return Ok(None) };
    let (one, other) = (pairs_of(one)?, pairs_of(other)?);
    Ok(Some(other.iter().all(|(key, value)| one.get(key) == Some(value))))
}

fn keys(arguments: &Arguments<'_>) -> Given<Vec<Option<String>>> {
    let [Some(pairs)] = arguments else { return Ok(None) };
    Ok(Some(pairs_of(pairs)?.into_keys().map(|(_, key)| Some(key)).collect()))
}

fn values(arguments: &Arguments<'_>) -> Given<Vec<Option<String>>> {
    let [Some(pairs)] = arguments else { return Ok(None) };
    Ok(Some(pairs_of(pairs)?.into_values().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::tests::check as check_in;

    fn check(name: &str, arguments: &[&str], expected: &str) {
        check_in(FUNCTIONS, name, arguments, expected);
    }

    #[test]
    fn pairs_are_read_and_written() {
        check("pg_hstore_in", &["bb=>1, a => \"x\\\"y\" ,c=>NULL"], "\"a\"=>\"x\\\"y\", \"c\"=>NULL, \"bb\"=>\"1\"");
        check("pg_hstore_in", &["a=>1,a=>2"], "\"a\"=>\"1\"");
        check("pg_hstore_in", &[""], "");
        check("pg_hstore_in", &["a"], "XX000");
        check("pg_hstore_in", &["a=>"], "XX000");
    }

    #[test]
    fn pairs_are_asked() {
        check("pg_hstore_of", &["{b,a}", "{1,NULL}"], "\"a\"=>NULL, \"b\"=>\"1\"");
        check("pg_hstore_of", &["{b,a}", "{1}"], "2202E");
        check("pg_hstore_value", &["a=>1", "a"], "1");
        check("pg_hstore_value", &["a=>1", "b"], "NULL");
        check("pg_hstore_has", &["a=>NULL", "a"], "true");
        check("pg_hstore_joined", &["a=>1, b=>2", "b=>3"], "\"a\"=>\"1\", \"b\"=>\"3\"");
        check("pg_hstore_without", &["a=>1, b=>2", "b"], "\"a\"=>\"1\"");
        check("pg_hstore_holds", &["a=>1, b=>2", "b=>2"], "true");
    }
}
