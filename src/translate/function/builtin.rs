//! Functions that native code computes: what they take, what they give, how they are called.
//!
//! Input: a name and arguments in the types of the signature that was chosen. Output: the call. Invariant: the native function gets
//! every argument as a text, and its result is cast to the type's physical form. Left out: functions of any number or any type of arguments.

use crate::catalog::{Outcome, Type};
use crate::query::quote_literal;
use crate::translate::number;
use crate::translate::reader::Reader;
use crate::translate::typed::{Constant, Typed, base, physical};

/// Name, parameters, result, SQL. A type is one letter (see [`of_letter`]); in the SQL, `{*}` is all arguments as texts, `{0}` the
/// first one, `{0r}` the same as it is, `{zone}` the session's time zone.
type Builtin = (&'static str, &'static str, char, &'static str);

const TEXT: &[Builtin] = &[
    ("lower", "t", 't', "pg_lower({*})"),
    ("upper", "t", 't', "pg_upper({*})"),
    ("initcap", "t", 't', "pg_initcap({*})"),
    ("reverse", "t", 't', "pg_reverse({*})"),
    ("md5", "t", 't', "md5({*})"),
    ("length", "t", 'i', "length({*})"),
    ("length", "y", 'i', "octet_length({0r})"),
    ("char_length", "t", 'i', "length({*})"),
    ("character_length", "t", 'i', "length({*})"),
    ("length", "c", 'i', "length(rtrim({0r}, ' '))"),
    ("char_length", "c", 'i', "length(rtrim({0r}, ' '))"),
    ("character_length", "c", 'i', "length(rtrim({0r}, ' '))"),
    ("octet_length", "c", 'i', "pg_octet_length({0r})"),
    ("parse_ident", "tb", 'a', "pg_parse_ident({*})"),
    ("normalize", "tt", 't', "pg_normalize({*})"),
    ("is_normalized", "tt", 'b', "pg_is_normalized({*})"),
    ("unistr", "t", 't', "pg_unistr({*})"),
    ("substr", "yi", 'y', "pg_bytea_substr({*})"),
    ("substr", "yii", 'y', "pg_bytea_substr({*})"),
    ("substring", "yi", 'y', "pg_bytea_substr({*})"),
    ("substring", "yii", 'y', "pg_bytea_substr({*})"),
    ("position", "yy", 'i', "pg_bytea_position({*})"),
    ("btrim", "yy", 'y', "pg_bytea_trim('btrim', {*})"),
    ("ltrim", "yy", 'y', "pg_bytea_trim('ltrim', {*})"),
    ("rtrim", "yy", 'y', "pg_bytea_trim('rtrim', {*})"),
    ("get_byte", "yi", 'i', "pg_get_byte({*})"),
    ("set_byte", "yii", 'y', "pg_set_byte({*})"),
    ("md5", "y", 't', "md5({0r})"),
    ("to_number", "tt", 'n', "pg_to_number({*})"),
    ("to_char", "ft", 't', "pg_to_char_double({*}, '15')"),
    ("to_char", "Ft", 't', "pg_to_char_double({*}, '6')"),
    ("octet_length", "t", 'i', "pg_octet_length({*})"),
    ("octet_length", "y", 'i', "octet_length({0r})"),
    ("bit_length", "t", 'i', "8 * pg_octet_length({*})"),
    ("substr", "ti", 't', "pg_substr({*})"),
    ("substr", "tii", 't', "pg_substr({*})"),
    ("substring", "ti", 't', "pg_substr({*})"),
    ("substring", "tii", 't', "pg_substr({*})"),
    ("substring", "tt", 't', "pg_regexp_substring({*})"),
    ("left", "ti", 't', "pg_left({*})"),
    ("right", "ti", 't', "pg_right({*})"),
    ("lpad", "ti", 't', "pg_lpad({*})"),
    ("lpad", "tit", 't', "pg_lpad({*})"),
    ("rpad", "ti", 't', "pg_rpad({*})"),
    ("rpad", "tit", 't', "pg_rpad({*})"),
    ("repeat", "ti", 't', "pg_repeat({*})"),
    ("btrim", "t", 't', "pg_trim('btrim', {*})"),
    ("btrim", "tt", 't', "pg_trim('btrim', {*})"),
    ("ltrim", "t", 't', "pg_trim('ltrim', {*})"),
    ("ltrim", "tt", 't', "pg_trim('ltrim', {*})"),
    ("rtrim", "t", 't', "pg_trim('rtrim', {*})"),
    ("rtrim", "tt", 't', "pg_trim('rtrim', {*})"),
    ("replace", "ttt", 't', "pg_replace({*})"),
    ("translate", "ttt", 't', "pg_translate({*})"),
    ("overlay", "tti", 't', "pg_overlay({*})"),
    ("overlay", "ttii", 't', "pg_overlay({*})"),
    ("split_part", "tti", 't', "pg_split_part({*})"),
    ("strpos", "tt", 'i', "pg_strpos({*})"),
    ("position", "tt", 'i', "pg_strpos({*})"),
    ("starts_with", "tt", 'b', "starts_with({*})"),
    ("ascii", "t", 'i', "pg_ascii({*})"),
    ("chr", "i", 't', "pg_chr({*})"),
    ("to_hex", "i", 't', "pg_to_hex({*}, 'integer')"),
    ("to_hex", "l", 't', "pg_to_hex({*}, 'bigint')"),
    ("quote_ident", "t", 't', "pg_quote_ident({*})"),
    ("quote_literal", "t", 't', "pg_quote_literal({*})"),
    ("quote_nullable", "t", 't', "coalesce(pg_quote_literal({*}), 'NULL')"),
    ("encode", "yt", 't', "pg_encode({*})"),
    ("decode", "tt", 'y', "pg_decode({*})"),
    ("convert_to", "tN", 'y', "pg_convert_to({*})"),
    ("convert_from", "yN", 't', "pg_convert_from({*})"),
    ("sha224", "y", 'y', "pg_digest({*}, 'sha224')"),
    ("sha256", "y", 'y', "pg_digest({*}, 'sha256')"),
    ("sha384", "y", 'y', "pg_digest({*}, 'sha384')"),
    ("sha512", "y", 'y', "pg_digest({*}, 'sha512')"),
    ("regexp_replace", "ttt", 't', "pg_regexp_replace({*})"),
    ("regexp_replace", "tttt", 't', "pg_regexp_replace({*})"),
    ("regexp_replace", "ttti", 't', "pg_regexp_replace_from({*})"),
    ("regexp_replace", "tttii", 't', "pg_regexp_replace_from({*})"),
    ("regexp_replace", "tttiit", 't', "pg_regexp_replace_from({*})"),
    ("regexp_match", "tt", 'a', "pg_regexp_match({*})"),
    ("regexp_match", "ttt", 'a', "pg_regexp_match({*})"),
    ("regexp_split_to_array", "tt", 'a', "pg_regexp_split({*})"),
    ("regexp_split_to_array", "ttt", 'a', "pg_regexp_split({*})"),
    ("regexp_count", "tt", 'i', "pg_regexp_count({*})"),
    ("regexp_count", "tti", 'i', "pg_regexp_count({*})"),
    ("regexp_count", "ttit", 'i', "pg_regexp_count({*})"),
    ("regexp_like", "tt", 'b', "pg_regexp_like({*})"),
    ("regexp_like", "ttt", 'b', "pg_regexp_like({*})"),
    ("regexp_substr", "tt", 't', "pg_regexp_substr({*})"),
    ("regexp_substr", "tti", 't', "pg_regexp_substr({*})"),
    ("regexp_substr", "ttii", 't', "pg_regexp_substr({*})"),
    ("regexp_instr", "tt", 'i', "pg_regexp_instr({*})"),
    ("regexp_instr", "tti", 'i', "pg_regexp_instr({*})"),
    ("regexp_instr", "ttii", 'i', "pg_regexp_instr({*})"),
];

const TIME: &[Builtin] = &[
    ("extract", "td", 'n', "pg_extract({*}, 'date')"),
    ("extract", "tm", 'n', "pg_extract({*}, 'timestamp without time zone')"),
    ("extract", "tz", 'n', "pg_extract_zoned({*}, {zone})"),
    ("extract", "tT", 'n', "pg_extract_time({*})"),
    ("extract", "tk", 'n', "pg_extract_timetz({*})"),
    ("extract", "tv", 'n', "pg_extract_interval({*})"),
    ("date_part", "td", 'f', "pg_extract({*}, 'timestamp without time zone')"),
    ("date_part", "tm", 'f', "pg_extract({*}, 'timestamp without time zone')"),
    ("date_part", "tz", 'f', "pg_extract_zoned({*}, {zone})"),
    ("date_part", "tT", 'f', "pg_extract_time({*})"),
    ("date_part", "tk", 'f', "pg_extract_timetz({*})"),
    ("date_part", "tv", 'f', "pg_extract_interval({*})"),
    ("date_trunc", "tm", 'm', "pg_trunc({*})"),
    ("date_trunc", "tz", 'z', "pg_trunc_zoned({*}, {zone})"),
    ("date_trunc", "tzt", 'z', "pg_trunc_zoned({*})"),
    ("date_trunc", "tv", 'v', "pg_trunc_interval({*})"),
    ("age", "mm", 'v', "pg_age({*})"),
    ("age", "zz", 'v', "pg_age_zoned({*}, {zone})"),
    ("justify_days", "v", 'v', "pg_justify_days({*})"),
    ("justify_hours", "v", 'v', "pg_justify_hours({*})"),
    ("justify_interval", "v", 'v', "pg_justify_interval({*})"),
    ("make_date", "iii", 'd', "pg_make_date({*})"),
    ("make_timestamp", "iiiiif", 'm', "pg_make_timestamp({*})"),
    ("make_interval", "iiiiiif", 'v', "pg_make_interval({*})"),
    ("make_time", "iif", 'T', "pg_make_time({*})"),
    ("make_timestamptz", "iiiiif", 'z', "pg_make_timestamptz({*}, {zone})"),
    ("make_timestamptz", "iiiiift", 'z', "pg_make_timestamptz({*})"),
    ("date_bin", "vmm", 'm', "pg_date_bin({*})"),
    ("date_bin", "vzz", 'z', "pg_date_bin({*})"),
    ("isfinite", "v", 'b', "({0r} IS NOT NULL OR NULL)"),
    ("isfinite", "d", 'b', "isfinite({0r})"),
    ("isfinite", "m", 'b', "isfinite({0r})"),
    ("isfinite", "z", 'b', "isfinite({0r})"),
    ("timezone", "tm", 'z', "pg_to_instant({1}, {0})"),
    ("timezone", "tz", 'm', "pg_to_local({1}, {0})"),
    ("timezone", "vm", 'z', "pg_instant_at_span({1}, {0})"),
    ("timezone", "vz", 'm', "pg_local_at_span({1}, {0})"),
    ("timezone", "tk", 'k', "pg_timetz_at({1}, {0})"),
    ("timezone", "vk", 'k', "pg_timetz_at_span({1}, {0})"),
    ("to_char", "mt", 't', "pg_to_char_time({*})"),
    ("to_char", "zt", 't', "pg_to_char_zoned({*}, {zone})"),
    ("to_char", "vt", 't', "pg_to_char_interval({*})"),
    ("to_char", "nt", 't', "pg_to_char_number({*})"),
    ("to_char", "it", 't', "pg_to_char_number({*})"),
    ("to_char", "lt", 't', "pg_to_char_number({*})"),
    ("to_date", "tt", 'd', "pg_to_date({*})"),
    ("to_timestamp", "tt", 'z', "pg_to_timestamp({*}, {zone})"),
];

fn all() -> impl Iterator<Item = &'static Builtin> {
    TEXT.iter().chain(TIME)
}

/// The type that a letter stands for.
fn of_letter(letter: char) -> Type {
    match letter {
        'i' => Type::Int4,
        'l' => Type::Int8,
        'n' => Type::Numeric(None),
        'f' => Type::Float8,
        'F' => Type::Float4,
        'N' => Type::Name,
        'b' => Type::Bool,
        'y' => Type::Bytea,
        'd' => Type::Date,
        'T' => Type::Time(None),
        'k' => Type::Opaque("time with time zone".to_owned()),
        'm' => Type::Timestamp(None),
        'z' => Type::Timestamptz(None),
        'v' => Type::Interval,
        'a' => Type::Array(Box::new(Type::Text)),
        _ => Type::Text,
    }
}

/// The same type, as far as parameters go.
fn is_exact(given: &Type, letter: char) -> bool {
    let wanted = of_letter(letter);
    if letter == 'c' {
        return matches!(given, Type::Char(_)) || *given == Type::Opaque("bpchar".to_owned());
    }
    base(given) == wanted || (wanted == Type::Text && matches!(given, Type::Varchar(_)))
}

impl Reader<'_> {
    /// The call of a function that native code computes; nothing where there is none for these arguments.
    pub(super) fn builtin(&mut self, name: &str, args: &[Typed]) -> Outcome<Option<Typed>> {
        let suits = |parameters: &str| {
            parameters.len() == args.len()
                && args.iter().zip(parameters.chars()).all(|(arg, letter)| is_exact(&arg.ty, letter))
        };
        let found = all().find(|(known, parameters, ..)| *known == name && suits(parameters));
        let Some(builtin) = found else { return Ok(None) };
        let (_, _, result, template) = builtin;
        let mut texts = Vec::new();
        let mut sql = (*template).to_owned();
        for (index, arg) in args.iter().enumerate() {
            sql = sql.replace(&format!("{{{index}r}}"), &arg.sql);
            let text = as_text(arg);
            sql = sql.replace(&format!("{{{index}}}"), &text);
            texts.push(text);
        }
        sql = sql.replace("{*}", &texts.join(", "));
        sql = sql.replace("{zone}", &quote_literal(self.zone()));
        let ty = of_letter(*result);
        let sql = match result {
            't' | 'n' | 'b' | 'a' | 'k' => sql,
            'y' => format!("unhex({sql})"),
            'd' => format!("CAST(CAST({sql} AS TIMESTAMP) AS DATE)"),
            _ => format!("CAST({sql} AS {})", physical(&ty)),
        };
        Ok(Some(Typed::new(sql, ty)))
    }
}

/// An argument as native functions read it.
pub(in crate::translate) fn as_text(value: &Typed) -> String {
    match (&value.ty, &value.constant) {
        (Type::Int2 | Type::Int4 | Type::Int8, Some(Constant::Integer(number))) => format!("'{number}'"),
        (Type::Text | Type::Varchar(_), _) => value.sql.clone(),
        (Type::Numeric(_), _) => number::text(value),
        (Type::Float4 | Type::Float8, _) => format!("CAST({} AS VARCHAR)", value.sql),
        (Type::Bytea, _) => format!("hex({})", value.sql),
        _ => format!("CAST({} AS VARCHAR)", value.sql),
    }
}
