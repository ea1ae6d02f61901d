//! Overloads: which of several functions of one name takes the arguments of a call?
//!
//! Input: functions and the types of what a call gives. Output: the one that is nearest, or none where two are. Invariant: as on the
//! server, the most exact matches win, and a bare literal is a text before it is anything else. Left out: preferred types among
//! functions that match equally well.

use super::{Function, Type};

/// The place of the function whose parameters are nearest to the arguments.
pub fn nearest(functions: &[&Function], types: &[Type]) -> Option<usize> {
    let mut best: Option<(usize, usize)> = None;
    let mut tied = false;
    for (place, function) in functions.iter().enumerate() {
        let definition = function.definition.as_ref()?;
        let pairs = || types.iter().zip(definition.inputs());
        let fits = pairs().all(|(own, p)| *own == Type::Unknown || own.same_base(&p.ty) || own.coerces_to(&p.ty));
        if !fits {
            continue;
        }
        let exact =
            pairs().filter(|(own, p)| own.same_base(&p.ty) || (**own == Type::Unknown && p.ty == Type::Text)).count();
        match best {
            Some((before, _)) if before > exact => {}
            Some((before, _)) if before == exact => tied = true,
            _ => (best, tied) = (Some((exact, place)), false),
        }
    }
    best.filter(|_| !tied).map(|(_, place)| place)
}
