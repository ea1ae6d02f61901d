//! Which of the database's own functions a call means, and its arguments in the order of that function's parameters.
//!
//! Input: a call. Output: the function with its place in the catalog, its arguments converted. Invariants: of several functions of a name
//! the one whose parameters' types the arguments have wins; where that leaves two, nothing is guessed.

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, Node};

use crate::catalog::pg::resolution::{self, Called, Origin, Own};
use crate::catalog::pg::{self, Id};
use crate::catalog::{Definition, Function, Outcome, Parameter, Problem, Type, overload};
use crate::translate::cast::{Context, convert};
use crate::translate::expression::{Site, required, words};
use crate::translate::reader::Reader;
use crate::translate::scope::Scope;
use crate::translate::typed::Typed;

/// A function, and where it stands in the catalog.
pub(super) struct Chosen {
    pub place: usize,
    pub function: Function,
    /// The call, with arguments for VARIADIC gathered.
    pub call: FuncCall,
    /// Its types are those of this call.
    pub is_settled_by_call: bool,
}

/// What a call gives for each parameter, in the parameters' order; `None` where names or numbers don't fit.
fn by_place<'c>(call: &'c FuncCall, definition: &Definition) -> Option<Vec<Option<&'c Node>>> {
    if call.func_variadic {
        return None;
    }
    let inputs: Vec<_> = definition.inputs().collect();
    let mut given = vec![None; inputs.len()];
    for (at, node) in call.args.iter().enumerate() {
        let (at, node) = match &node.node {
            Some(NodeEnum::NamedArgExpr(named)) => {
                (inputs.iter().position(|parameter| parameter.name == named.name)?, named.arg.as_deref()?)
            }
            _ => (at, node),
        };
        let place = given.get_mut(at)?;
        if place.replace(node).is_some() {
            return None;
        }
    }
    let complete = given.iter().zip(&inputs).all(|(given, parameter)| given.is_some() || parameter.default.is_some());
    complete.then_some(given)
}

/// A function beside those of the server's; none where its types aren't theirs.
fn as_rival(index: usize, function: &Function) -> Option<Own> {
    let definition = function.definition.as_ref()?;
    let inputs: Vec<&Parameter> = definition.inputs().collect();
    let arguments = inputs.iter().map(|parameter| Id::of(&parameter.ty)).collect::<Option<Vec<Id>>>()?;
    Some(Own {
        index,
        variadic: inputs.last().filter(|last| last.is_variadic).and_then(|last| Id::of(&last.ty)?.element()),
        arguments,
        defaults: inputs.iter().filter(|parameter| parameter.default.is_some()).count(),
        names: inputs.iter().map(|parameter| parameter.name.clone()).collect(),
        // Not asked for.
        result: pg::tables().by_name("record")?,
    })
}

impl Reader<'_> {
    /// Does a call mean a function of the database's own? A bare name may mean one of the server's: those are found first, unless
    /// the search path says otherwise, and the nearest to the arguments wins.
    pub(in crate::translate) fn means_own(&mut self, call: &FuncCall, site: Site<'_>) -> Outcome<bool> {
        let path = words(&call.funcname);
        let ([name], true) = (path.as_slice(), self.is_own(&path)) else { return Ok(self.is_own(&path)) };
        let catalog = self.catalog();
        if !catalog.may_mean_built_in(None, name) {
            return Ok(true);
        }
        let functions = catalog.functions_named(None, name).enumerate();
        let Some(own) = functions.map(|(index, function)| as_rival(index, function)).collect::<Option<Vec<Own>>>()
        else {
            return Ok(true);
        };
        // What can't be read here is told where the call is.
        let Ok(types) = self.types_of(call, site) else { return Ok(true) };
        let Some(given) = types.iter().map(Id::of).collect::<Option<Vec<Id>>>() else { return Ok(true) };
        let names = call.args.iter().filter_map(|node| match &node.node {
            Some(NodeEnum::NamedArgExpr(named)) => Some(named.name.clone()),
            _ => None,
        });
        let names: Vec<String> = names.collect();
        Ok(match resolution::function(name, &given, &names, call.func_variadic, &own) {
            Ok(Called::Function(chosen)) => matches!(chosen.origin, Origin::Own(_)),
            Ok(Called::Cast(_)) => false,
            Err(_) => true,
        })
    }

    /// The function that a call means.
    pub(super) fn chosen_function(&mut self, call: &FuncCall, site: Site<'_>) -> Outcome<Chosen> {
        let path = words(&call.funcname);
        let shown = path.join(".");
        let (schema, name) = match path.as_slice() {
            [name] => (None, *name),
            [.., schema, name] => (Some(*schema), *name),
            [] => (None, ""),
        };
        let catalog = self.catalog();
        let named: Vec<&Function> = catalog.functions_named(schema, name).collect();
        let fitting: Vec<&Function> = named
            .iter()
            .filter(|f| f.definition.as_ref().is_none_or(|d| by_place(&d.gathered(call), d).is_some()))
            .copied()
            .collect();
        let known = named.iter().all(|function| function.definition.is_some());
        let one = match fitting.as_slice() {
            [one] => *one,
            [] if known && !catalog.partial => return Err(self.no_own_function(&shown, call, site)?),
            [] => return Err(Problem::unsupported(format!("the function {shown}(), called this way,"))),
            several => self.by_types(several, call, site)?.ok_or_else(|| {
                Problem::unsupported(format!("the function {shown}(), of which the database defines several,"))
            })?,
        };
        let place = catalog.functions.iter().position(|function| std::ptr::eq(function, one)).unwrap_or(usize::MAX);
        let mut function = one.clone();
        let mut is_settled_by_call = false;
        let gathered = function.definition.as_ref().map(|definition| definition.gathered(call));
        let gathered = gathered.unwrap_or_else(|| call.clone());
        if let Some(definition) = function.definition.as_ref().filter(|definition| definition.is_polymorphic()) {
            let types = self.types_of(&gathered, site)?;
            if types
                .iter()
                .zip(definition.inputs())
                .all(|(ty, p)| *ty == Type::Unknown || !overload::is_polymorphic(&p.ty))
            {
                let message = "could not determine polymorphic type because input has type unknown";
                return Err(Problem::rejected("42804", message));
            }
            let refused = || Problem::unsupported(format!("the function {shown}() with arguments of these types"));
            function.definition = Some(std::sync::Arc::new(definition.concrete(&types).ok_or_else(refused)?));
            is_settled_by_call = true;
        }
        Ok(Chosen { place, function, call: gathered, is_settled_by_call })
    }

    /// The types of a call's arguments; what reading them finds out is found out when they are read for good.
    fn types_of(&mut self, call: &FuncCall, site: Site<'_>) -> Outcome<Vec<Type>> {
        let (remarks, steps) = (self.remarks.clone(), self.steps.len());
        let mut types = Vec::new();
        for node in &call.args {
            let node = match &node.node {
                Some(NodeEnum::NamedArgExpr(named)) => required(&named.arg)?,
                _ => node,
            };
            types.push(self.expression(node, site)?.ty);
        }
        self.remarks = remarks;
        self.steps.truncate(steps);
        Ok(types)
    }

    /// Of several functions the one whose parameters are nearest to the arguments; none where two are.
    fn by_types<'f>(
        &mut self,
        several: &[&'f Function],
        call: &FuncCall,
        site: Site<'_>,
    ) -> Outcome<Option<&'f Function>> {
        if call.args.iter().any(|node| matches!(node.node, Some(NodeEnum::NamedArgExpr(_)))) {
            return Ok(None);
        }
        let types = self.types_of(call, site)?;
        Ok(overload::nearest(several, &types).map(|place| several[place]))
    }

    fn no_own_function(&mut self, shown: &str, call: &FuncCall, site: Site<'_>) -> Outcome<Problem> {
        let types: Vec<String> = self.types_of(call, site)?.iter().map(|ty| self.shown(ty)).collect();
        Ok(Problem::rejected("42883", format!("function {shown}({}) does not exist", types.join(", ")))
            .hint("No function matches the given name and argument types. You might need to add explicit type casts."))
    }

    /// The arguments of a call, converted to the types of the function's parameters.
    pub(super) fn own_arguments(
        &mut self,
        function: &Function,
        definition: &Definition,
        call: &FuncCall,
        site: Site<'_>,
    ) -> Outcome<Vec<Typed>> {
        let refused = |what: &str| Problem::unsupported(format!("the function {}(), {what},", function.name));
        let volatile = self.remarks.new_at_every_call();
        let given = by_place(call, definition).ok_or_else(|| refused("called this way"))?;
        let mut arguments = Vec::new();
        for (node, parameter) in given.into_iter().zip(definition.inputs()) {
            let value = match (node, &parameter.default) {
                (Some(node), _) => self.expression(node, site)?,
                (None, Some(default)) => {
                    let scope = Scope::default();
                    self.without_variables(|reader| reader.expression(default, Site::new(&scope, "DEFAULT")))?
                }
                (None, None) => return Err(refused("called with too few arguments")),
            };
            let value = match value.ty == parameter.ty {
                true => value,
                false => match convert(value, &parameter.ty, Context::Implicit, None, self.catalog()) {
                    Ok(value) => value,
                    Err(Problem::Rejected(error)) if !["42846", "42804"].contains(&error.sqlstate) => {
                        return Err(Problem::Rejected(error));
                    }
                    Err(_) if self.catalog().partial => return Err(refused("called with arguments of other types")),
                    Err(_) => return Err(self.no_own_function(&words(&call.funcname).join("."), call, site)?),
                },
            };
            arguments.push(value);
        }
        if self.remarks.new_at_every_call() > volatile {
            return Err(refused("called with a value that is new at every call"));
        }
        Ok(arguments)
    }
}
