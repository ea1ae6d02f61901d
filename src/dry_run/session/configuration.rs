//! Parameters of the session: `set_config`, and the time zone that SET has chosen.
//!
//! Input: a call's arguments, the settings of the catalog. Output: the catalog as SET would leave it, and the text that the server gives
//! back; times read and shown in the zone that holds. Invariants: the catalog alone says what is set, so that what is rolled back takes
//! its settings with it; a text that the server would write otherwise than it was given is refused. Left out: ranges and units.

use pg_query::NodeEnum;
use pg_query::protobuf::{AConst, Node, String as Text, VariableSetKind, VariableSetStmt, a_const::Val};
use serde_json::Value;

use super::Session;
use crate::catalog::ddl::TransactionState;
use crate::catalog::lookup::path_of;
use crate::catalog::pg::settings;
use crate::catalog::{LOCAL, Outcome, Problem};
use crate::dry_run::engine::{Halt, Ran};
use crate::native;

/// Zones that are the engine's own.
const PLAIN_ZONES: [&str; 3] = ["UTC", "Etc/UTC", "GMT"];

/// A zone, where times have to be brought to it.
pub(super) fn other_than_utc(zone: String) -> Option<String> {
    let plain = PLAIN_ZONES.iter().any(|plain| plain.eq_ignore_ascii_case(&zone));
    (!plain).then_some(zone)
}

impl Session<'_> {
    /// `set_config(name, value, is_local)`: as SET, and the value as the server shows it.
    pub(super) fn configure(&mut self, arguments: &[Value]) -> Ran<Value> {
        let [name, value, is_local] = arguments else {
            return Err(Problem::unsupported("set_config() with these arguments").into());
        };
        let Some(name) = name.as_str().map(str::to_lowercase) else {
            return Err(Problem::rejected("22004", "SET requires parameter name").into());
        };
        let value = value.as_str();
        let (kind, args) = match value {
            None => (VariableSetKind::VarSetDefault, Vec::new()),
            Some(value) if name == "search_path" => {
                let invalid = || {
                    Problem::rejected("22023", format!("invalid value for parameter \"search_path\": \"{value}\""))
                        .detail("List syntax is invalid.")
                };
                let path = path_of(value).ok_or_else(invalid)?;
                (VariableSetKind::VarSetValue, path.iter().map(|schema| constant(schema)).collect())
            }
            Some(value) => (VariableSetKind::VarSetValue, vec![constant(value)]),
        };
        let is_local = is_local.as_bool().unwrap_or(false);
        let set =
            VariableSetStmt { kind: kind as i32, name: name.clone(), args, is_local, ..VariableSetStmt::default() };
        self.expect_zone(&set)?;
        let state = TransactionState { in_block: self.in_block() || self.bodies > 0 };
        self.catalog.apply(&NodeEnum::VariableSetStmt(set), &state)?;
        let shown = match value {
            Some(value) if name == "search_path" => {
                // Kept as it was written, not as SET puts it together.
                for prefix in ["", LOCAL] {
                    if let Some(kept) = self.catalog.settings.get_mut(&format!("{prefix}search_path")) {
                        value.clone_into(kept);
                        break;
                    }
                }
                Some(value.to_owned())
            }
            Some(value) => settings::shown(&name, value),
            None if name.contains('.') => Some(String::new()),
            None if name == "search_path" && !self.catalog.partial => Some("\"$user\", public".to_owned()),
            None => None,
        };
        let refused = || Problem::unsupported(format!("the value of {name} as the server writes it"));
        Ok(Value::String(shown.ok_or_else(refused)?))
    }

    /// From here on times are read and shown in the zone that the settings name.
    pub(super) fn follow_zone(&mut self) -> Ran<()> {
        let of = |prefix: &str| self.catalog.settings.get(&format!("{prefix}timezone")).cloned();
        let zone = match of(LOCAL).or_else(|| of("")) {
            Some(zone) => other_than_utc(zone),
            None => self.server_zone.clone(),
        };
        if zone != self.settings.time_zone {
            self.store.engine.set_zone(zone.as_deref().unwrap_or("UTC")).map_err(Halt::Broken)?;
            self.settings.time_zone = zone;
        }
        Ok(())
    }

    /// The zone that SET names must be one, and one that is known here.
    pub(super) fn expect_zone(&self, set: &VariableSetStmt) -> Outcome<()> {
        if set.kind != VariableSetKind::VarSetValue as i32 || !set.name.eq_ignore_ascii_case("timezone") {
            return Ok(());
        }
        let name = match set.args.as_slice() {
            [Node { node: Some(NodeEnum::AConst(AConst { val: Some(Val::Sval(name)), .. })) }] => &name.sval,
            _ => return Err(Problem::unsupported("a time zone given as an interval or a number")),
        };
        native::time::expect_zone(name).map_err(native::Failure::into_problem).map_err(|problem| match problem {
            Problem::Rejected(_) => {
                Problem::rejected("22023", format!("invalid value for parameter \"TimeZone\": \"{name}\""))
            }
            other => other,
        })
    }
}

fn constant(text: &str) -> Node {
    let text = Text { sval: text.to_owned() };
    Node { node: Some(NodeEnum::AConst(AConst { isnull: false, location: -1, val: Some(Val::Sval(text)) })) }
}
