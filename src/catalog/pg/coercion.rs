//! Which types become which, and the one type that several take together.
//!
//! Input: types. Output: whether and when one converts into another, as `pg_cast` and the rules for arrays and text forms say
//! (find_coercion_pathway), and the type of UNION, CASE and their kin (select_common_type).

use super::polymorphic::{is_polymorphic, unify};
use super::{Context, Id, named, tables};

/// Is a value of one type turned into another in this context?
pub fn converts(from: Id, to: Id, context: Context) -> bool {
    if from == to || from.is_unknown() {
        return true;
    }
    if let Some(cast) = tables().cast(from, to) {
        return context >= cast.context;
    }
    // An array converts as its elements do, but not into the vectors of the server's own tables.
    if let (Some(from), Some(element)) = (from.element(), to.element())
        && to != named("oidvector")
        && to != named("int2vector")
        && converts(from, element, context)
    {
        return true;
    }
    // By the text form: any type into a string when assigned, a string into any type when asked for.
    (context >= Context::Assignment && to.category() == b'S')
        || (context >= Context::Explicit && from.category() == b'S')
}

/// Does a conversion give the same at any time? One of a time to a text or to another zone doesn't.
pub fn is_immutable(from: Id, to: Id) -> bool {
    if from == to || from.is_unknown() {
        return true;
    }
    if let Some(cast) = tables().cast(from, to)
        && !cast.by_text
    {
        return cast.is_immutable;
    }
    if let (Some(from), Some(to)) = (from.element(), to.element()) {
        return is_immutable(from, to);
    }
    // An enum's labels are looked up.
    let writes = tables().row(from).is_some_and(|row| row.text_is_immutable.1);
    let reads = tables().row(to).is_some_and(|row| row.text_is_immutable.0);
    writes && reads
}

/// Do arguments of these types suit parameters of those, without a cast being written?
pub(super) fn suits(given: &[Id], wanted: &[Id]) -> bool {
    let mut generic = false;
    for (from, to) in given.iter().zip(wanted) {
        if *to == named("any") {
            continue;
        }
        if is_polymorphic(*to) {
            generic = true;
        } else if !converts(*from, *to, Context::Implicit) {
            return false;
        }
    }
    !generic || unify(given, wanted).is_some()
}

/// Two types that have none in common: as far as the server got, and the one it stumbled over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch(pub Id, pub Id);

/// The type that values of these types take together; text where all are unknown.
///
/// # Errors
/// Where two of them are of different categories.
pub fn common(types: &[Id]) -> Result<Id, Mismatch> {
    let unknown = named("unknown");
    let Some(first) = types.first().copied() else { return Ok(named("text")) };
    if first != unknown && types.iter().all(|ty| *ty == first) {
        return Ok(first);
    }
    let mut chosen = first;
    for ty in types[1..].iter().copied().filter(|ty| *ty != unknown) {
        if ty == chosen {
            continue;
        }
        if chosen == unknown {
            chosen = ty;
        } else if ty.category() != chosen.category() {
            return Err(Mismatch(chosen, ty));
        } else if !chosen.is_preferred()
            && converts(chosen, ty, Context::Implicit)
            && !converts(ty, chosen, Context::Implicit)
        {
            chosen = ty;
        }
    }
    Ok(if chosen == unknown { named("text") } else { chosen })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_apply_in_their_context() {
        let check = |from: &str, to: &str, expected: Option<Context>| {
            let contexts = [Context::Implicit, Context::Assignment, Context::Explicit];
            let found = contexts.into_iter().find(|context| converts(named(from), named(to), *context));
            assert_eq!(found, expected, "{from} to {to}");
        };
        check("int4", "int8", Some(Context::Implicit));
        check("int8", "int4", Some(Context::Assignment));
        check("int4", "bool", Some(Context::Explicit));
        check("int8", "bool", None);
        check("uuid", "text", Some(Context::Assignment));
        check("text", "uuid", Some(Context::Explicit));
        check("_int4", "_int8", Some(Context::Implicit));
        check("_text", "_int4", Some(Context::Explicit));
        check("jsonb", "int4", Some(Context::Explicit));
        check("json", "jsonb", Some(Context::Assignment));
        check("date", "int4", None);
        assert!(!converts(Id::Enum(1), Id::Enum(2), Context::Explicit));
    }

    #[test]
    fn conversions_that_depend_on_settings_are_known() {
        let check = |from: &str, to: &str, expected: bool| {
            assert_eq!(is_immutable(named(from), named(to)), expected, "{from} to {to}");
        };
        check("timestamptz", "date", false);
        check("timestamp", "date", true);
        check("date", "text", false);
        check("int4", "text", true);
        check("varchar", "text", true);
        check("_int4", "_int8", true);
        assert!(!is_immutable(Id::Enum(1), named("text")));
    }

    #[test]
    fn several_types_take_one() {
        let check = |types: &str, expected: Result<&str, (&str, &str)>| {
            let types: Vec<Id> = types.split(' ').map(named).collect();
            let expected = expected.map(named).map_err(|(a, b)| Mismatch(named(a), named(b)));
            assert_eq!(common(&types), expected);
        };
        check("int4 numeric", Ok("numeric"));
        check("unknown unknown", Ok("text"));
        check("unknown int4 float8", Ok("float8"));
        check("varchar text", Ok("varchar"));
        check("text varchar", Ok("text"));
        check("varchar name", Ok("name"));
        check("bpchar varchar", Ok("bpchar"));
        check("date timestamptz", Ok("timestamptz"));
        check("int4 text", Err(("int4", "text")));
        check("json jsonb", Ok("json"));
    }
}
