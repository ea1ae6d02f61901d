//! A jsonb value: what PostgreSQL keeps of a JSON document, and the order and containment it defines.
//!
//! Input: values that [`super::parse`] made. Output: answers about them. Invariants: members of an object are ordered by the length
//! of their key, then by its bytes, and no key comes twice; a number is the text of a `numeric`, without exponent, its trailing
//! zeros kept. Left out: how a value is written, see [`super::write`].

use std::borrow::Cow;
use std::cmp::Ordering;

use super::number;

/// A jsonb value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Cow<'a, str>),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Members<'a>),
}

/// The members of an object, in order.
pub(super) type Members<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// The order of keys: shorter ones first, then by bytes.
pub(super) fn key_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Puts members into their order; of equal keys the last wins.
pub(super) fn settle(members: &mut Members<'_>) {
    if members.is_sorted_by(|a, b| key_order(&a.0, &b.0) == Ordering::Less) {
        return;
    }
    members.sort_by(|a, b| key_order(&a.0, &b.0));
    // Of equal neighbours the later one is kept.
    members.reverse();
    members.dedup_by(|later, kept| later.0 == kept.0);
    members.reverse();
}

/// Where a key stands, or would.
pub(super) fn find(members: &Members<'_>, key: &str) -> Result<usize, usize> {
    members.binary_search_by(|(own, _)| key_order(own, key))
}

impl Json<'_> {
    /// As messages call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "numeric",
            Json::Text(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }

    /// Neither array nor object.
    pub(super) fn is_scalar(&self) -> bool {
        !matches!(self, Json::Array(_) | Json::Object(_))
    }

    /// `@>` of whole documents.
    pub(super) fn contains(&self, other: &Json<'_>) -> bool {
        match (self, other) {
            // An array holds its scalars themselves, though it isn't one.
            (Json::Array(elements), other) if other.is_scalar() => {
                elements.iter().any(|e| e.is_scalar() && same_scalar(e, other))
            }
            (a, b) if a.is_scalar() && b.is_scalar() => same_scalar(a, b),
            _ => self.holds(other),
        }
    }

    /// `@>` below the top: an array no longer holds a bare scalar.
    fn holds(&self, other: &Json<'_>) -> bool {
        match (self, other) {
            (Json::Object(own), Json::Object(wanted)) => {
                own.len() >= wanted.len()
                    && wanted.iter().all(|(key, value)| match find(own, key) {
                        Ok(at) if value.is_scalar() => own[at].1.is_scalar() && same_scalar(&own[at].1, value),
                        Ok(at) => own[at].1.holds(value),
                        Err(_) => false,
                    })
            }
            (Json::Array(own), Json::Array(wanted)) => wanted.iter().all(|value| {
                own.iter().any(|e| match value.is_scalar() {
                    true => e.is_scalar() && same_scalar(e, value),
                    false => e.holds(value),
                })
            }),
            _ => false,
        }
    }

    /// `?`: a key of an object, a string of an array, or the string itself.
    pub(super) fn has_key(&self, key: &str) -> bool {
        match self {
            Json::Object(members) => find(members, key).is_ok(),
            Json::Array(elements) => elements.iter().any(|e| matches!(e, Json::Text(text) if text == key)),
            Json::Text(text) => text == key,
            _ => false,
        }
    }

    /// PostgreSQL's order of documents. A bare scalar is compared as an array of one, before a real one, so that the empty array
    /// comes before every scalar.
    pub(super) fn order(&self, other: &Json<'_>) -> Ordering {
        let count = |value: &Json<'_>| match value {
            Json::Array(elements) => elements.len(),
            _ => 1,
        };
        match (self, other) {
            (Json::Object(_), Json::Object(_)) => self.order_within(other),
            (Json::Object(_), _) => Ordering::Greater,
            (_, Json::Object(_)) => Ordering::Less,
            (a, b) => {
                count(a).cmp(&count(b)).then_with(|| b.is_scalar().cmp(&a.is_scalar())).then_with(|| a.order_within(b))
            }
        }
    }

    fn order_within(&self, other: &Json<'_>) -> Ordering {
        match (self, other) {
            (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
            (Json::Number(a), Json::Number(b)) => number::order(a, b),
            (Json::Text(a), Json::Text(b)) => a.cmp(b),
            (Json::Array(a), Json::Array(b)) => a.len().cmp(&b.len()).then_with(|| {
                a.iter().zip(b).map(|(a, b)| a.order_within(b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
            }),
            (Json::Object(a), Json::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
                let pairs = a.iter().zip(b).map(|(a, b)| a.0.cmp(&b.0).then_with(|| a.1.order_within(&b.1)));
                pairs.into_iter().find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
            }),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    /// The order of kinds.
    fn rank(&self) -> u8 {
        match self {
            Json::Null => 0,
            Json::Text(_) => 1,
            Json::Number(_) => 2,
            Json::Bool(_) => 3,
            Json::Array(_) => 4,
            Json::Object(_) => 5,
        }
    }

    /// A text whose order by bytes is the documents' order.
    pub(super) fn sort_key(&self) -> String {
        let mut key = String::new();
        match self {
            Json::Object(_) => key.push('z'),
            Json::Array(elements) => key.push_str(&format!("a{:08x}1", elements.len())),
            _ => key.push_str("a000000010"),
        }
        self.push_sort_key(&mut key);
        key
    }

    fn push_sort_key(&self, key: &mut String) {
        key.push(char::from(b'0' + self.rank()));
        match self {
            Json::Null => {}
            Json::Bool(yes) => key.push(if *yes { '1' } else { '0' }),
            Json::Number(text) => number::push_sort_key(text, key),
            Json::Text(text) => push_text_key(text, key),
            Json::Array(elements) => {
                key.push_str(&format!("{:08x}", elements.len()));
                elements.iter().for_each(|element| element.push_sort_key(key));
            }
            Json::Object(members) => {
                key.push_str(&format!("{:08x}", members.len()));
                for (name, value) in members {
                    push_text_key(name, key);
                    value.push_sort_key(key);
                }
            }
        }
    }
}

/// Bytes as hexadecimal digits, ended by what comes before every digit.
fn push_text_key(text: &str, key: &mut String) {
    for byte in text.bytes() {
        key.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        key.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
    }
    key.push(' ');
}

fn same_scalar(a: &Json<'_>, b: &Json<'_>) -> bool {
    a.order_within(b) == Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::super::parse::jsonb;

    #[test]
    fn documents_are_ordered_as_the_server_orders_them() {
        // As the server's ORDER BY gives them.
        let sorted = [
            "[]",
            "null",
            r#""""#,
            r#""a""#,
            r#""ab""#,
            "-1e3",
            "-2.5",
            "-2.45",
            "0",
            "0.001",
            "0.01",
            "1.0",
            "1.5",
            "9",
            "10",
            "false",
            "true",
            "[null]",
            "[1]",
            "[[]]",
            "[{}]",
            "[1, 1]",
            "{}",
            r#"{"a": 1}"#,
            r#"{"a": 2}"#,
            r#"{"b": 1}"#,
            r#"{"a": 1, "b": 1}"#,
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                let (one, other) = (jsonb(a).expect("json"), jsonb(b).expect("json"));
                assert_eq!(one.order(&other), i.cmp(&j), "{a} {b}");
                assert_eq!(one.sort_key().cmp(&other.sort_key()), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn documents_contain_others() {
        let check = |a: &str, b: &str, expected: bool| {
            let (one, other) = (jsonb(a).expect("json"), jsonb(b).expect("json"));
            assert_eq!(one.contains(&other), expected, "{a} @> {b}");
        };
        check(r#"{"a":1,"b":2}"#, r#"{"b":2.0}"#, true);
        check(r#"["x",1]"#, r#""x""#, true);
        check(r#""x""#, r#"["x"]"#, false);
        check("[[1,2]]", "[[1]]", true);
        check("[[1,2]]", "[1]", false);
        check(r#"{"a":[1,{"b":2,"c":3}]}"#, r#"{"a":[{"c":3}]}"#, true);
        check(r#"{"a":[1]}"#, r#"{"a":1}"#, false);
        check("{}", "[]", false);
        check("[1]", "[]", true);
        check("[1,1]", "[1,1,1]", true);
    }
}
