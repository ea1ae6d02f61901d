//! Functions of the extensions `pgcrypto` and `uuid-ossp`.
//!
//! Input: a call whose name only an extension has. Output: DuckDB SQL, or nothing where the function isn't known here. Invariants: hashes
//! and named identifiers are the server's, bit by bit; what is drawn at random is noted as new at every call, and so is a password
//! under a salt that is. Left out: keyed hashes, passwords under a salt that is given, encryption.

use super::super::cast::{Context, convert};
use crate::catalog::{Outcome, Problem, Type};
use crate::translate::reader::Reader;
use crate::translate::typed::{Family, Typed, family};

/// Namespaces of identifiers that are made from names.
const NAMESPACES: &[(&str, &str)] = &[
    ("uuid_nil", "00000000-0000-0000-0000-000000000000"),
    ("uuid_ns_dns", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    ("uuid_ns_url", "6ba7b811-9dad-11d1-80b4-00c04fd430c8"),
    ("uuid_ns_oid", "6ba7b812-9dad-11d1-80b4-00c04fd430c8"),
    ("uuid_ns_x500", "6ba7b814-9dad-11d1-80b4-00c04fd430c8"),
];

/// What `gen_random_bytes` gives at most.
const MOST_BYTES: i64 = 1024;

impl Reader<'_> {
    /// The call of an extension's function; nothing where it isn't known here.
    pub(super) fn of_extension(&mut self, name: &str, args: &[Typed]) -> Outcome<Option<Typed>> {
        if let Some((_, text)) = NAMESPACES.iter().find(|(known, _)| *known == name && args.is_empty()) {
            return Ok(Some(Typed::new(format!("CAST('{text}' AS UUID)"), Type::Uuid)));
        }
        if let Some(value) = self.function_of_values(name, args)? {
            return Ok(Some(value));
        }
        match (name, args) {
            ("digest", [data, algorithm]) => self.digest(data, algorithm),
            ("gen_salt", [algorithm]) => Ok(self.salt(algorithm, None)),
            ("gen_salt", [algorithm, rounds]) => Ok(self.salt(algorithm, Some(rounds))),
            ("crypt", [password, salt]) => self.crypted(password, salt),
            ("gen_random_bytes", [length]) => self.random_bytes(length),
            ("uuid_generate_v1" | "uuid_generate_v1mc", []) => {
                self.is_mutable = true;
                self.volatile(&format!("{name}()"));
                Ok(Some(Typed::new("uuid()", Type::Uuid)))
            }
            ("uuid_generate_v3" | "uuid_generate_v5", [space, text]) => self.named_identifier(name, space, text),
            _ => Ok(None),
        }
    }

    /// The bytes of a text or of a `bytea`, as a BLOB.
    fn bytes_of(&mut self, value: &Typed) -> Outcome<Option<String>> {
        Ok(match (&value.ty, family(&value.ty)) {
            (Type::Bytea, _) => Some(value.sql.clone()),
            (_, Family::Text | Family::Unknown) => {
                let text = convert(value.clone(), &Type::Text, Context::Implicit, None, self.catalog())?;
                Some(format!("encode({})", text.sql))
            }
            _ => None,
        })
    }

    fn digest(&mut self, data: &Typed, algorithm: &Typed) -> Outcome<Option<Typed>> {
        let (Some(bytes), Some(algorithm)) = (self.bytes_of(data)?, algorithm.text()) else { return Ok(None) };
        let sql = match algorithm.to_lowercase().as_str() {
            "md5" => format!("unhex(md5({bytes}))"),
            "sha1" => format!("unhex(sha1({bytes}))"),
            known @ ("sha224" | "sha256" | "sha384" | "sha512") => {
                format!("unhex(pg_digest(hex({bytes}), '{known}'))")
            }
            _ => {
                let message = format!("Cannot use \"{algorithm}\": No such hash algorithm");
                return Err(Problem::rejected("22023", message));
            }
        };
        Ok(Some(Typed::new(sql, Type::Bytea)))
    }

    /// A salt: how it begins says how the password is to be hashed, the rest is drawn.
    fn salt(&mut self, algorithm: &Typed, rounds: Option<&Typed>) -> Option<Typed> {
        use crate::translate::typed::Constant::Integer;
        let (start, drawn) = match (algorithm.text()?, rounds.map(|rounds| &rounds.constant)) {
            ("bf", None) => ("$2a$06$".to_owned(), 22),
            ("bf", Some(Some(Integer(rounds @ 4..=31)))) => (format!("$2a${rounds:02}$"), 22),
            ("md5", None) => ("$1$".to_owned(), 8),
            _ => return None,
        };
        self.is_mutable = true;
        self.volatile("gen_salt()");
        Some(Typed::new(format!("concat('{start}', {})", characters(drawn)), Type::Text))
    }

    /// A password hashed under a new salt, of which only the beginning and the length are known.
    fn crypted(&mut self, password: &Typed, salt: &Typed) -> Outcome<Option<Typed>> {
        let Some(start) = salt.sql.strip_prefix("concat(") else { return Ok(None) };
        let is_drawn = [8, 22].iter().any(|count| start.ends_with(&format!("', {})", characters(*count))));
        if !is_drawn || !matches!(family(&password.ty), Family::Text | Family::Unknown) {
            return Ok(None);
        }
        let hashed = if start.starts_with("'$1$") { format!("'$' || {}", characters(22)) } else { characters(31) };
        let password = convert(password.clone(), &Type::Text, Context::Implicit, None, self.catalog())?;
        let sql = format!("CASE WHEN {} IS NULL THEN NULL ELSE {} || {hashed} END", password.sql, salt.sql);
        Ok(Some(Typed::new(sql, Type::Text)))
    }

    fn random_bytes(&mut self, length: &Typed) -> Outcome<Option<Typed>> {
        let Some(crate::translate::typed::Constant::Integer(length)) = length.constant else { return Ok(None) };
        if !(1..=MOST_BYTES).contains(&length) {
            return Err(Problem::rejected("39000", "Length not in range"));
        }
        self.is_mutable = true;
        self.volatile("gen_random_bytes()");
        let drawn =
            vec!["replace(CAST(uuid() AS VARCHAR), '-', '')"; usize::try_from(length).unwrap_or(1).div_ceil(16)];
        Ok(Some(Typed::new(format!("unhex(left({}, {}))", drawn.join(" || "), length * 2), Type::Bytea)))
    }

    /// An identifier made from a namespace and a name, RFC 4122.
    fn named_identifier(&mut self, name: &str, space: &Typed, text: &Typed) -> Outcome<Option<Typed>> {
        let space = convert(space.clone(), &Type::Uuid, Context::Implicit, None, self.catalog())?;
        let Some(bytes) = self.bytes_of(text)? else { return Ok(None) };
        let all = format!("unhex(replace(CAST({} AS VARCHAR), '-', '')) || {bytes}", space.sql);
        let (version, hash) = match name {
            "uuid_generate_v3" => (3, format!("md5({all})")),
            _ => (5, format!("sha1({all})")),
        };
        let variant = format!("substr('89ab', 1 + (strpos('0123456789abcdef', substr({hash}, 17, 1)) - 1) % 4, 1)");
        let digits = format!(
            "substr({hash}, 1, 12) || '{version}' || substr({hash}, 14, 3) || {variant} || substr({hash}, 18, 15)"
        );
        Ok(Some(Typed::new(format!("CAST({digits} AS UUID)"), Type::Uuid)))
    }
}

/// As many characters, drawn at random.
fn characters(count: usize) -> String {
    format!("left(replace(CAST(uuid() AS VARCHAR), '-', ''), {count})")
}
