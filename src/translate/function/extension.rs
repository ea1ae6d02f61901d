//! Functions of the extensions `pgcrypto` and `uuid-ossp`.
//!
//! Input: a call whose name only an extension has. Output: DuckDB SQL, or nothing where the function isn't known here. Invariants: hashes
//! and named identifiers are the server's, bit by bit; what is drawn at random is noted as new at every call. Left out: keyed hashes,
//! passwords, encryption.

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
