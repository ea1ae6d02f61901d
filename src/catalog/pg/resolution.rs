//! Which operator or function a statement means.
//!
//! Input: a name and the types given. Output: the signature that parse analysis picks (func_get_detail, oper, func_select_candidate)
//! with concrete types, or why there is none. Invariants: an exact match wins; then the most exact arguments, then preferred types,
//! then what unknown literals can be read as; two left over are ambiguous.

use super::coercion::{converts, suits};
use super::polymorphic::unify;
use super::{Context, Function, Id, Kind, named, tables};

/// Why nothing was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing of the name takes these types.
    Missing,
    /// Several do, equally well.
    Ambiguous,
    /// A polymorphic type that only unknown literals would decide.
    Undetermined,
    /// A polymorphic type would have to be an array of this, and there is none.
    NoArray(Id),
}

/// A chosen operator: what its operands are converted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChosenOperator {
    /// Absent for a prefix operator.
    pub left: Option<Id>,
    /// Right operand.
    pub right: Id,
    /// Result.
    pub result: Id,
    /// Gives the same at any time.
    pub is_immutable: bool,
}

/// A function of the database, as far as resolution needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// Which it is, to whoever lists it.
    pub index: usize,
    /// Argument types.
    pub arguments: Vec<Id>,
    /// The element type of VARIADIC arguments.
    pub variadic: Option<Id>,
    /// How many of the last arguments have a default.
    pub defaults: usize,
    /// Names of the arguments, empty where they have none.
    pub names: Vec<String>,
    /// Result type.
    pub result: Id,
}

/// Where a chosen function comes from.
#[derive(Debug, Clone, Copy)]
pub enum Origin {
    /// pg_catalog.
    BuiltIn(&'static Function),
    /// The database, by [`Own::index`].
    Own(usize),
}

/// A chosen function.
#[derive(Debug, Clone)]
pub struct ChosenFunction {
    /// Which.
    pub origin: Origin,
    /// For each parameter, in its order: which of the given arguments it gets; none for a default.
    pub given: Vec<Option<usize>>,
    /// For each parameter, what its argument is converted to; `any` leaves it as it is.
    pub arguments: Vec<Id>,
    /// Result, concrete.
    pub result: Id,
}

/// What a call means.
#[derive(Debug, Clone)]
pub enum Called {
    /// A function.
    Function(Box<ChosenFunction>),
    /// A type's name used as a function: a cast.
    Cast(Id),
}

/// A signature that the given arguments might be for.
#[derive(Debug, Clone)]
struct Candidate {
    origin: Origin,
    /// For each parameter the argument it gets.
    given: Vec<Option<usize>>,
    /// The parameters' types in the order of the given arguments: what is compared.
    wanted: Vec<Id>,
    /// The parameters' types in their own order.
    parameters: Vec<Id>,
    result: Id,
    variadic: bool,
}

/// The operator for operands of these types.
///
/// # Errors
/// None fits, or several do.
pub fn operator(name: &str, left: Option<Id>, right: Id) -> Result<ChosenOperator, Failure> {
    let name = if name == "!=" { "<>" } else { name };
    let unknown = named("unknown");
    let listed = tables().operators(name).iter().filter(|operator| operator.left.is_some() == left.is_some());
    let given: Vec<Id> = left.into_iter().chain([right]).collect();
    // An operand of unknown type is first taken for the other's.
    let alike = match (left, right) {
        (Some(left), right) if left == unknown => vec![right, right],
        (Some(left), right) if right == unknown => vec![left, left],
        _ => given.clone(),
    };
    let all: Vec<Vec<Id>> = listed.clone().map(|o| o.left.into_iter().chain([o.right]).collect()).collect();
    let at = match all.iter().position(|wanted| *wanted == alike) {
        Some(at) => at,
        None => select(&given, &all)?,
    };
    let operator = listed.clone().nth(at).ok_or(Failure::Missing)?;
    let bound = unify(&given, &all[at]).ok_or(Failure::Missing)?;
    let concrete = |id: Id| bound.concrete(id).map_err(open);
    Ok(ChosenOperator {
        left: operator.left.map(concrete).transpose()?,
        right: concrete(operator.right)?,
        result: concrete(operator.result)?,
        is_immutable: operator.is_immutable,
    })
}

/// The function for arguments of these types; `names` are those of the last arguments, where they are given by name, and
/// `variadic` says that the last one is an array marked VARIADIC.
///
/// # Errors
/// None fits, or several do.
pub fn function(name: &str, given: &[Id], names: &[String], variadic: bool, own: &[Own]) -> Result<Called, Failure> {
    let candidates = candidates(name, given.len(), names, variadic, own);
    if let Some(exact) = candidates.iter().find(|candidate| candidate.wanted == given) {
        return chosen(exact, given);
    }
    if let ([one], true) = (given, names.is_empty())
        && let Some(target) = cast_by_name(name, *one)
    {
        return Ok(Called::Cast(target));
    }
    let all: Vec<Vec<Id>> = candidates.iter().map(|candidate| candidate.wanted.clone()).collect();
    let at = select(given, &all)?;
    chosen(&candidates[at], given)
}

fn chosen(candidate: &Candidate, given: &[Id]) -> Result<Called, Failure> {
    let bound = unify(given, &candidate.wanted).ok_or(Failure::Missing)?;
    let concrete = |id: &Id| bound.concrete(*id).map_err(open);
    Ok(Called::Function(Box::new(ChosenFunction {
        origin: candidate.origin,
        given: candidate.given.clone(),
        arguments: candidate.parameters.iter().map(concrete).collect::<Result<_, _>>()?,
        result: concrete(&candidate.result)?,
    })))
}

fn open(missing: Option<Id>) -> Failure {
    missing.map_or(Failure::Undetermined, Failure::NoArray)
}

/// `text(x)`, `int4(x)`: a type's name is a cast where the bytes stay the same, the text form is used, or a literal is read.
fn cast_by_name(name: &str, from: Id) -> Option<Id> {
    let target = tables().by_name(name).filter(|id| tables().row(*id).is_some_and(|row| row.kind != b'p'))?;
    if from.is_unknown() || from == target {
        return Some(target);
    }
    let is_cast = match tables().cast(from, target) {
        Some(cast) => cast.binary || cast.by_text,
        None => {
            (from.element().is_none() || target.element().is_none())
                && converts(from, target, Context::Explicit)
                && !(from == named("record") && target.category() == b'S')
        }
    };
    is_cast.then_some(target)
}

/// Signatures of a name that this many arguments suit (FuncnameGetCandidates).
fn candidates(name: &str, count: usize, names: &[String], variadic: bool, own: &[Own]) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let built_in = tables().functions(name).iter().filter(|f| f.kind != Kind::Procedure).map(|f| Signature {
        origin: Origin::BuiltIn(f),
        arguments: &f.arguments,
        variadic: f.variadic,
        defaults: f.defaults.len(),
        names: f.names.clone(),
        result: f.result,
    });
    let own = own.iter().map(|f| Signature {
        origin: Origin::Own(f.index),
        arguments: &f.arguments,
        variadic: f.variadic,
        defaults: f.defaults,
        names: f.names.iter().map(String::as_str).collect(),
        result: f.result,
    });
    for signature in built_in.chain(own) {
        let Some(candidate) = signature.for_call(count, names, variadic) else { continue };
        // Of two that look alike to the arguments, pg_catalog's comes first, and one without VARIADIC.
        match found.iter().position(|had| had.wanted == candidate.wanted) {
            Some(at) if found[at].variadic && !candidate.variadic => found[at] = candidate,
            Some(_) => {}
            None => found.push(candidate),
        }
    }
    found
}

/// A function as it is declared.
struct Signature<'s> {
    origin: Origin,
    arguments: &'s [Id],
    variadic: Option<Id>,
    defaults: usize,
    names: Vec<&'s str>,
    result: Id,
}

impl Signature<'_> {
    /// As a call of so many arguments sees it; none where it doesn't take so many.
    fn for_call(&self, count: usize, names: &[String], variadic: bool) -> Option<Candidate> {
        let declared = self.arguments.len();
        let (given, parameters, spread) = match self.variadic {
            Some(element) if !variadic && names.is_empty() && count >= declared => {
                let mut parameters = self.arguments[..declared - 1].to_vec();
                parameters.resize(count, element);
                ((0..count).map(Some).collect(), parameters, true)
            }
            None if variadic => return None,
            _ if count > declared || count + self.defaults < declared => return None,
            _ => (self.places(count, names)?, self.arguments.to_vec(), false),
        };
        let mut wanted = vec![None; count];
        for (parameter, place) in parameters.iter().zip(&given) {
            if let Some(place) = place {
                wanted[*place] = Some(*parameter);
            }
        }
        let wanted = wanted.into_iter().collect::<Option<Vec<Id>>>()?;
        Some(Candidate { origin: self.origin, given, wanted, parameters, result: self.result, variadic: spread })
    }

    /// Which argument each parameter gets, by place and by name.
    fn places(&self, count: usize, names: &[String]) -> Option<Vec<Option<usize>>> {
        let declared = self.arguments.len();
        let by_place = count - names.len();
        let mut places: Vec<Option<usize>> = (0..declared).map(|at| (at < by_place).then_some(at)).collect();
        for (index, name) in names.iter().enumerate() {
            let at = self.names.iter().position(|own| own == name)?;
            if self.names.len() != declared || places[at].is_some() {
                return None;
            }
            places[at] = Some(by_place + index);
        }
        let has_default = |at: usize| at + self.defaults >= declared;
        places.iter().enumerate().all(|(at, place)| place.is_some() || has_default(at)).then_some(places)
    }
}

/// Picks one of several signatures (func_match_argtypes, then func_select_candidate).
fn select(given: &[Id], all: &[Vec<Id>]) -> Result<usize, Failure> {
    let mut left: Vec<usize> = (0..all.len()).filter(|at| suits(given, &all[*at])).collect();
    let unknown = given.iter().filter(|id| id.is_unknown()).count();
    let done = |left: &[usize]| match left {
        [] => Some(Err(Failure::Missing)),
        [one] => Some(Ok(*one)),
        _ => None,
    };
    if let Some(result) = done(&left) {
        return result;
    }
    let known = |wanted: &[Id], fits: &dyn Fn(Id, Id) -> bool| {
        given.iter().zip(wanted).filter(|(from, to)| !from.is_unknown() && fits(**from, **to)).count()
    };
    most(&mut left, |at| known(&all[at], &|from, to| from == to));
    if let Some(result) = done(&left) {
        return result;
    }
    let preferred = |from: Id, to: Id| from == to || (to.category() == from.category() && to.is_preferred());
    most(&mut left, |at| known(&all[at], &preferred));
    if let Some(result) = done(&left) {
        return result;
    }
    if unknown == 0 {
        return Err(Failure::Ambiguous);
    }
    by_category(given, all, &mut left);
    if let Some(result) = done(&left) {
        return result;
    }
    by_known_type(given, all, &left).ok_or(Failure::Ambiguous)
}

/// Keeps those with the most matches.
fn most(left: &mut Vec<usize>, matches: impl Fn(usize) -> usize) {
    let best = left.iter().map(|at| matches(*at)).max().unwrap_or_default();
    left.retain(|at| matches(*at) == best);
}

/// Unknown literals are taken for strings where a candidate takes a string, else for the one category that all candidates take.
fn by_category(given: &[Id], all: &[Vec<Id>], left: &mut Vec<usize>) {
    let mut demands: Vec<(usize, u8, bool)> = Vec::new();
    for place in (0..given.len()).filter(|place| given[*place].is_unknown()) {
        let mut category = None;
        let (mut has_preferred, mut conflict) = (false, false);
        for at in left.iter() {
            let wanted = all[*at][place];
            match category {
                None => (category, has_preferred) = (Some(wanted.category()), wanted.is_preferred()),
                Some(had) if had == wanted.category() => has_preferred |= wanted.is_preferred(),
                Some(_) if wanted.category() == b'S' => {
                    (category, has_preferred) = (Some(b'S'), wanted.is_preferred());
                }
                Some(_) => conflict = true,
            }
        }
        let category = category.unwrap_or(b'U');
        if conflict && category != b'S' {
            return;
        }
        demands.push((place, category, has_preferred));
    }
    let meets = |at: &usize| {
        demands.iter().all(|(place, category, has_preferred)| {
            let wanted = all[*at][*place];
            wanted.category() == *category && (!has_preferred || wanted.is_preferred())
        })
    };
    let kept: Vec<usize> = left.iter().copied().filter(meets).collect();
    if !kept.is_empty() {
        *left = kept;
    }
}

/// Where all known arguments are of one type, unknown ones are taken for that, too.
fn by_known_type(given: &[Id], all: &[Vec<Id>], left: &[usize]) -> Option<usize> {
    let mut known = given.iter().filter(|id| !id.is_unknown());
    let first = *known.next()?;
    if !known.all(|id| *id == first) {
        return None;
    }
    let assumed = vec![first; given.len()];
    let mut fitting = left.iter().copied().filter(|at| suits(&assumed, &all[*at]));
    let one = fitting.next()?;
    fitting.next().is_none().then_some(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<Id> {
        text.split_whitespace().map(named).collect()
    }

    #[test]
    fn operators_are_picked_as_the_server_does() {
        let check = |left: &str, name: &str, right: &str, expected: Result<&str, Failure>| {
            let left = (!left.is_empty()).then(|| named(left));
            let found = operator(name, left, named(right)).map(|chosen| {
                let shown = |id: Id| tables().row(id).expect("a known type").name;
                let left = chosen.left.map_or("", shown);
                format!("{left} {} {}", shown(chosen.right), shown(chosen.result))
            });
            assert_eq!(found.as_deref().map_err(|f| *f), expected, "{left:?} {name} {right}");
        };
        check("int4", "=", "int8", Ok("int4 int8 bool"));
        check("int4", "=", "text", Err(Failure::Missing));
        check("int4", "=", "unknown", Ok("int4 int4 bool"));
        check("varchar", "=", "unknown", Ok("text text bool"));
        check("int4", "+", "numeric", Ok("numeric numeric numeric"));
        check("unknown", "+", "unknown", Err(Failure::Ambiguous));
        check("unknown", "||", "unknown", Ok("text text text"));
        check("unknown", "||", "int4", Ok("text int4 text"));
        check("int4", "||", "int4", Err(Failure::Missing));
        check("_int4", "||", "int8", Ok("_int8 int8 _int8"));
        check("_int4", "=", "_int4", Ok("_int4 _int4 bool"));
        check("timestamptz", "-", "unknown", Ok("timestamptz timestamptz interval"));
        check("date", "+", "unknown", Err(Failure::Ambiguous));
        check("jsonb", "->", "unknown", Ok("jsonb text jsonb"));
        check("", "-", "int4", Ok(" int4 int4"));
        check("uuid", "=", "varchar", Err(Failure::Missing));
    }

    #[test]
    fn functions_are_picked_as_the_server_does() {
        let check = |name: &str, given: &str, expected: Result<&str, Failure>| {
            let shown = |id: Id| tables().row(id).expect("a known type").name;
            let found = function(name, &ids(given), &[], false, &[]).map(|called| match called {
                Called::Cast(id) => format!("::{}", shown(id)),
                Called::Function(chosen) => {
                    let arguments: Vec<&str> = chosen.arguments.iter().map(|id| shown(*id)).collect();
                    format!("({}) {}", arguments.join(" "), shown(chosen.result))
                }
            });
            assert_eq!(found.as_deref().map_err(|f| *f), expected, "{name}({given})");
        };
        check("lower", "unknown", Ok("(text) text"));
        check("lower", "int4", Err(Failure::Missing));
        check("round", "int4", Ok("(float8) float8"));
        check("round", "unknown", Ok("(float8) float8"));
        check("round", "float8 int4", Err(Failure::Missing));
        check("abs", "int2", Ok("(int2) int2"));
        check("concat", "int4 unknown", Ok("(any any) text"));
        check("text", "int4", Ok("::text"));
        check("int4", "unknown", Ok("::int4"));
        check("array_append", "_int4 int8", Ok("(_int8 int8) _int8"));
        check("array_length", "unknown int4", Err(Failure::Undetermined));
        check("date_trunc", "unknown date", Ok("(text timestamptz) timestamptz"));
        check("date_trunc", "unknown unknown", Err(Failure::Ambiguous));
        check("greatest", "int4", Err(Failure::Missing));
        check("count", "", Ok("() int8"));
        check("jsonb_set", "jsonb unknown unknown", Ok("(jsonb _text jsonb bool) jsonb"));
        check("sum", "unknown", Err(Failure::Ambiguous));
        check("now", "int4", Err(Failure::Missing));
    }

    #[test]
    fn arguments_go_where_their_names_say() {
        let named = function("make_interval", &ids("int4 unknown"), &["days".into(), "secs".into()], false, &[]);
        let Ok(Called::Function(chosen)) = named else { panic!("a function") };
        assert_eq!(chosen.given, [None, None, None, Some(0), None, None, Some(1)]);
        assert!(function("make_interval", &ids("int4"), &["nope".into()], false, &[]).is_err());
    }

    #[test]
    fn functions_of_the_database_take_part() {
        let own = |arguments: &str| Own {
            index: 3,
            arguments: ids(arguments),
            variadic: None,
            defaults: 0,
            names: Vec::new(),
            result: super::named("text"),
        };
        let origin = |given: &str, own: Own| match function("lower", &ids(given), &[], false, &[own]) {
            Ok(Called::Function(chosen)) => Some(matches!(chosen.origin, Origin::Own(3))),
            _ => None,
        };
        assert_eq!(origin("int4", own("int4")), Some(true));
        assert_eq!(origin("text", own("text")), Some(false));
        assert_eq!(origin("unknown", own("int4")), Some(false));
    }
}
