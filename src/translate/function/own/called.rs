//! Calls of the database's own functions that can't be read in place: what they give is looked up, row by row.
//!
//! Input: a call. Output: DuckDB SQL of a look-up by the call's arguments. Invariant: the look-up is by the function's place in the
//! catalog and the texts of its arguments, so that equal arguments are one call. Left out: who has the functions run.

use pg_query::protobuf::FuncCall;

use super::choice::Chosen;
use crate::catalog::{Gives, Outcome, Problem};
use crate::translate::Output;
use crate::translate::expression::Site;
use crate::translate::query::Query;
use crate::translate::reader::Reader;
use crate::translate::typed::{Typed, physical};

impl Reader<'_> {
    /// A call as a value.
    pub(super) fn called_value(&mut self, chosen: &Chosen, call: &FuncCall, site: Site<'_>) -> Outcome<Typed> {
        let function = &chosen.function;
        let refused = |what: &str| Problem::unsupported(format!("the function {}(), {what},", function.name));
        let definition = function.definition.clone().ok_or_else(|| refused("which isn't known"))?;
        match &definition.gives {
            Gives::Value(ty) if definition.is_set => {
                if !(site.aggregates && site.windows && site.clause == "SELECT") {
                    return Err(refused("which gives rows, called in this place"));
                }
                let list = self.called_list(chosen, call, site.inside_rows())?;
                Ok(Typed::new(format!("CAST(unnest({list})[1] AS {})", physical(ty)), ty.clone()))
            }
            Gives::Value(ty) => {
                let text = self.looked_up(chosen, call, site)?;
                Ok(Typed::new(format!("CAST({text} AS {})", physical(ty)), ty.clone()))
            }
            _ => Err(refused("which gives no value")),
        }
    }

    /// A field of the row that a call gives: `(f(x)).a`.
    pub(in crate::translate) fn called_field(
        &mut self,
        call: &FuncCall,
        field: &str,
        site: Site<'_>,
    ) -> Outcome<Typed> {
        let chosen = self.chosen_function(call, site)?;
        let refused = |what: &str| Problem::unsupported(format!("the function {}(), {what},", chosen.function.name));
        let definition = chosen.function.definition.clone().ok_or_else(|| refused("which isn't known"))?;
        let Gives::Row(columns) = &definition.gives else {
            return Err(refused("of which a field is asked"));
        };
        let Some(at) = columns.iter().position(|(name, _)| name == field) else {
            return Err(Problem::rejected("42703", format!("column \"{field}\" not found in data type record")));
        };
        let ty = columns[at].1.clone();
        let call = &chosen.call;
        let list = self.called_list(&chosen, call, if definition.is_set { site.inside_rows() } else { site })?;
        let row = match definition.is_set {
            true if site.aggregates && site.windows && site.clause == "SELECT" => format!("unnest({list})"),
            true => return Err(refused("which gives rows, called in this place")),
            false => format!("({list})[1]"),
        };
        Ok(Typed::new(format!("CAST({row}[{}] AS {})", at + 1, physical(&ty)), ty))
    }

    /// A call in FROM: its rows under the function's own column names, and whether they are single values.
    pub(super) fn called_rows(&mut self, chosen: &Chosen, call: &FuncCall, site: Site<'_>) -> Outcome<(Query, bool)> {
        let function = &chosen.function;
        let refused = |what: &str| Problem::unsupported(format!("the function {}(), {what},", function.name));
        let definition = function.definition.clone().ok_or_else(|| refused("which isn't known"))?;
        let (columns, is_value) = match &definition.gives {
            Gives::Value(ty) => (vec![(function.name.clone(), ty.clone())], true),
            Gives::Row(columns) => (columns.clone(), false),
            _ => return Err(refused("whose columns aren't known")),
        };
        let list = self.called_list(chosen, call, site)?;
        let (mut items, mut outputs) = (Vec::new(), Vec::new());
        for (at, (name, ty)) in columns.into_iter().enumerate() {
            let column = format!("o{}", at + 1);
            items.push(format!("CAST(q.r[{}] AS {}) AS {column}", at + 1, physical(&ty)));
            outputs.push(Output { name, ty, column });
        }
        let sql = format!("SELECT {} FROM (SELECT unnest({list}) AS r) AS q", items.join(", "));
        Ok((Query { sql, outputs }, is_value))
    }

    /// The rows that a call gives: a list of lists of texts.
    fn called_list(&mut self, chosen: &Chosen, call: &FuncCall, site: Site<'_>) -> Outcome<String> {
        let text = self.looked_up(chosen, call, site)?;
        // A value that isn't a set of them is the one field of one row.
        let is_single =
            chosen.function.definition.as_ref().is_some_and(|d| !d.is_set && matches!(d.gives, Gives::Value(_)));
        Ok(match is_single {
            true => format!("[[CAST({text} AS VARCHAR)]]"),
            false => format!("CAST({text} AS VARCHAR[][])"),
        })
    }

    /// The text of what a call gives.
    fn looked_up(&mut self, chosen: &Chosen, call: &FuncCall, site: Site<'_>) -> Outcome<String> {
        let function = &chosen.function;
        let refused = |what: &str| Problem::unsupported(format!("the function {}(), {what},", function.name));
        let definition = function.definition.clone().ok_or_else(|| refused("which isn't known"))?;
        let runs = ["plpgsql", "sql"].contains(&function.language.as_str()) && definition.body.is_some();
        if !runs || definition.is_procedure {
            return Err(refused("which can't be run here"));
        }
        if call.over.is_some() || call.agg_filter.is_some() || call.agg_distinct || !call.agg_order.is_empty() {
            return Err(refused("called in this form"));
        }
        if chosen.is_settled_by_call {
            return Err(refused("whose types are those of its call"));
        }
        let level = self.settings().calls;
        if level == 0 {
            return Err(refused("called for each row"));
        }
        let arguments = self.own_arguments(function, &definition, call, site)?;
        let texts: Vec<String> = arguments
            .iter()
            .map(|argument| format!("CAST(CAST({} AS {}) AS VARCHAR)", argument.sql, physical(&argument.ty)))
            .collect();
        let texts = match texts.is_empty() {
            true => "CAST([] AS VARCHAR[])".to_owned(),
            false => format!("[{}]", texts.join(", ")),
        };
        self.is_mutable |= !definition.is_immutable;
        // A value that is new at every row keeps the engine from calling once for all of them.
        let (look_up, anew) = match definition.is_volatile {
            true => ("pg_call_anew", ", [CAST(random() AS VARCHAR)]"),
            false => ("pg_call", ""),
        };
        Ok(format!("{look_up}(['{level}', '{}'], {texts}{anew})", chosen.place))
    }
}
