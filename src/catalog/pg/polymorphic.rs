//! Polymorphic parameters: `anyelement`, `anyarray`, `anycompatible` and their kin.
//!
//! Input: the types given and the types wanted. Output: the concrete types that the polymorphic ones stand for in this call
//! (check_generic_type_consistency and enforce_generic_type_consistency), or none where they contradict each other.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::coercion::{common, converts};
use super::{Context, Id, named, tables};

/// What a polymorphic type demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    Element,
    NonArray,
    Enum,
    Array,
    Range,
    Multirange,
    Compatible,
    CompatibleNonArray,
    CompatibleArray,
    CompatibleRange,
    CompatibleMultirange,
}

static DEMANDS: LazyLock<HashMap<Id, Demand>> = LazyLock::new(|| {
    let rows = [
        ("anyelement", Demand::Element),
        ("anynonarray", Demand::NonArray),
        ("anyenum", Demand::Enum),
        ("anyarray", Demand::Array),
        ("anyrange", Demand::Range),
        ("anymultirange", Demand::Multirange),
        ("anycompatible", Demand::Compatible),
        ("anycompatiblenonarray", Demand::CompatibleNonArray),
        ("anycompatiblearray", Demand::CompatibleArray),
        ("anycompatiblerange", Demand::CompatibleRange),
        ("anycompatiblemultirange", Demand::CompatibleMultirange),
    ];
    rows.into_iter().map(|(name, demand)| (named(name), demand)).collect()
});

/// `anyelement` and its kin; `any` isn't one.
pub(super) fn is_polymorphic(id: Id) -> bool {
    DEMANDS.contains_key(&id)
}

/// What the polymorphic types of a call stand for; what only unknown literals would decide is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bound {
    element: Option<Id>,
    array: Option<Id>,
    range: Option<Id>,
    multirange: Option<Id>,
    compatible: Option<Id>,
    compatible_range: Option<Id>,
}

impl Bound {
    /// The concrete type.
    ///
    /// # Errors
    /// Where nothing decides it; with a type, where there is no array of that.
    pub fn concrete(&self, id: Id) -> Result<Id, Option<Id>> {
        let Some(demand) = DEMANDS.get(&id) else { return Ok(id) };
        let array_of = |element: Id| element.array().ok_or(Some(element));
        // Literals alone are text.
        let compatible = self.compatible.unwrap_or_else(|| named("text"));
        let found = match demand {
            Demand::Element | Demand::NonArray | Demand::Enum => self.element,
            Demand::Array => match (self.array, self.element) {
                (None, Some(element)) => return array_of(element),
                (array, _) => array,
            },
            Demand::Range => self.range,
            Demand::Multirange => self.multirange.or_else(|| self.range.and_then(multirange_of)),
            Demand::Compatible | Demand::CompatibleNonArray => Some(compatible),
            Demand::CompatibleArray => return array_of(compatible),
            Demand::CompatibleRange => self.compatible_range,
            Demand::CompatibleMultirange => self.compatible_range.and_then(multirange_of),
        };
        found.ok_or(None)
    }
}

fn multirange_of(range: Id) -> Option<Id> {
    let name = tables().row(range)?.name.replace("range", "multirange");
    tables().by_name(&name)
}

fn range_of(multirange: Id) -> Option<Id> {
    tables().row(multirange).filter(|row| row.kind == b'm').and_then(|row| row.element)
}

/// Sets a type, or checks that it is the same as before.
fn agree(place: &mut Option<Id>, id: Id) -> Option<()> {
    match place {
        Some(had) if *had != id => None,
        _ => {
            *place = Some(id);
            Some(())
        }
    }
}

/// What the polymorphic types of `wanted` stand for; none where the given types contradict each other.
pub(super) fn unify(given: &[Id], wanted: &[Id]) -> Option<Bound> {
    let mut bound = Bound::default();
    let mut compatible = Vec::new();
    let (mut not_array, mut is_enum, mut compatible_not_array) = (false, false, false);
    for (id, want) in given.iter().copied().zip(wanted) {
        let Some(demand) = DEMANDS.get(want).copied() else { continue };
        not_array |= demand == Demand::NonArray;
        is_enum |= demand == Demand::Enum;
        compatible_not_array |= demand == Demand::CompatibleNonArray;
        if id.is_unknown() {
            continue;
        }
        match demand {
            Demand::Element | Demand::NonArray | Demand::Enum => agree(&mut bound.element, id)?,
            Demand::Array => agree(&mut bound.array, id)?,
            Demand::Range => agree(&mut bound.range, id)?,
            Demand::Multirange => agree(&mut bound.multirange, id)?,
            Demand::Compatible | Demand::CompatibleNonArray => compatible.push(id),
            Demand::CompatibleArray => compatible.push(id.element()?),
            Demand::CompatibleRange => {
                agree(&mut bound.compatible_range, id)?;
                compatible.push(id.bounds()?);
            }
            Demand::CompatibleMultirange => {
                let range = range_of(id)?;
                agree(&mut bound.compatible_range, range)?;
                compatible.push(range.bounds()?);
            }
        }
    }
    if let Some(array) = bound.array {
        agree(&mut bound.element, array.element()?)?;
    }
    if let Some(multirange) = bound.multirange {
        agree(&mut bound.range, range_of(multirange)?)?;
    }
    if let Some(range) = bound.range {
        agree(&mut bound.element, range.bounds()?)?;
    }
    if (not_array && bound.element.is_some_and(|element| element.element().is_some()))
        || (is_enum && bound.element.is_none_or(|element| element.category() != b'E'))
    {
        return None;
    }
    if !compatible.is_empty() {
        let ty = common(&compatible).ok()?;
        let ranges_agree = bound.compatible_range.is_none_or(|range| range.bounds() == Some(ty));
        if !ranges_agree
            || (compatible_not_array && ty.element().is_some())
            || !compatible.iter().all(|id| converts(*id, ty, Context::Implicit))
        {
            return None;
        }
        bound.compatible = Some(ty);
    }
    Some(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polymorphic_types_are_bound_together() {
        let check = |given: &str, wanted: &str, result: &str, expected: Option<&str>| {
            let ids = |text: &str| text.split(' ').map(named).collect::<Vec<_>>();
            let found = unify(&ids(given), &ids(wanted)).and_then(|bound| bound.concrete(named(result)).ok());
            assert_eq!(found, expected.map(named), "{given} for {wanted}");
        };
        check("_int4", "anyarray", "anyelement", Some("int4"));
        check("_int4 int8", "anyarray anyelement", "anyelement", None);
        check("_int4 int8", "anycompatiblearray anycompatible", "anycompatiblearray", Some("_int8"));
        check("_int4 unknown", "anyarray anyelement", "anyarray", Some("_int4"));
        check("_text int4", "anycompatiblearray anycompatible", "anycompatiblearray", None);
        check("unknown", "anyarray", "anyelement", None);
        check("unknown unknown", "anycompatible anycompatible", "anycompatible", Some("text"));
        check("int4range", "anyrange", "anyelement", Some("int4"));
        check("int4", "anyenum", "anyenum", None);
        check("int4", "anyarray", "anyarray", None);
    }
}
