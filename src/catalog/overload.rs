//! Overloads: which of several functions of one name takes the arguments of a call?
//!
//! Input: functions and the types of what a call gives. Output: the one that is nearest, or none where two are. Invariant: as on the
//! server, the most exact matches win, and a bare literal is a text before it is anything else. Left out: preferred types among
//! functions that match equally well.

use pg_query::NodeEnum;
use pg_query::protobuf::{AArrayExpr, FuncCall, Node};

use super::{Definition, Function, Gives, Type};

/// Types that stand for whatever a call gives.
const POLYMORPHIC: &[&str] = &["anyelement", "anynonarray", "anyenum", "anycompatible", "anycompatiblenonarray"];

/// A polymorphic type by its name.
pub fn polymorphic(name: &str) -> Option<Type> {
    match name {
        "anyarray" | "anycompatiblearray" => Some(Type::Array(Box::new(Type::Opaque("anyelement".to_owned())))),
        name => POLYMORPHIC.contains(&name).then(|| Type::Opaque(name.to_owned())),
    }
}

/// Does a type stand for whatever a call gives?
pub fn is_polymorphic(ty: &Type) -> bool {
    match ty {
        Type::Opaque(name) => POLYMORPHIC.contains(&name.as_str()),
        Type::Array(element) => is_polymorphic(element),
        _ => false,
    }
}

impl Definition {
    /// Does it take or give a type that only a call settles?
    pub fn is_polymorphic(&self) -> bool {
        self.parameters.iter().any(|parameter| is_polymorphic(&parameter.ty))
    }

    /// The same for a call with arguments of these types; none where they don't settle it.
    pub fn concrete(&self, types: &[Type]) -> Option<Definition> {
        let mut element: Option<Type> = None;
        for (parameter, own) in
            self.inputs().zip(types).filter(|(p, own)| is_polymorphic(&p.ty) && **own != Type::Unknown)
        {
            let found = match (&parameter.ty, own) {
                (Type::Array(_), Type::Array(element)) => (**element).clone(),
                (Type::Array(_), _) => return None,
                (_, own) => own.clone(),
            };
            match &element {
                Some(known) if *known != found => return None,
                _ => element = Some(found),
            }
        }
        let element = element?;
        let settled = |ty: &Type| match ty {
            Type::Array(inner) if is_polymorphic(inner) => Type::Array(Box::new(element.clone())),
            ty if is_polymorphic(ty) => element.clone(),
            ty => ty.clone(),
        };
        let mut concrete = self.clone();
        for parameter in &mut concrete.parameters {
            parameter.ty = settled(&parameter.ty);
        }
        concrete.gives = match &self.gives {
            Gives::Value(ty) => Gives::Value(settled(ty)),
            Gives::Row(columns) => Gives::Row(columns.iter().map(|(name, ty)| (name.clone(), settled(ty))).collect()),
            other => other.clone(),
        };
        Some(concrete)
    }

    /// A call whose arguments for VARIADIC are gathered in an array.
    pub fn gathered(&self, call: &FuncCall) -> FuncCall {
        let count = self.inputs().count();
        let mut gathered = call.clone();
        if !self.inputs().any(|parameter| parameter.is_variadic) {
            return gathered;
        }
        gathered.func_variadic = false;
        if !call.func_variadic && call.args.len() >= count {
            let elements = gathered.args.split_off(count - 1);
            let array = AArrayExpr { elements, ..AArrayExpr::default() };
            gathered.args.push(Node { node: Some(NodeEnum::AArrayExpr(array)) });
        }
        gathered
    }
}

/// The place of the function whose parameters are nearest to the arguments.
pub fn nearest(functions: &[&Function], types: &[Type]) -> Option<usize> {
    let mut best: Option<(usize, usize)> = None;
    let mut tied = false;
    for (place, function) in functions.iter().enumerate() {
        let definition = function.definition.as_ref()?;
        let pairs = || types.iter().zip(definition.inputs());
        let fits = pairs().all(|(own, p)| {
            *own == Type::Unknown || own.same_base(&p.ty) || own.coerces_to(&p.ty) || is_polymorphic(&p.ty)
        });
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
