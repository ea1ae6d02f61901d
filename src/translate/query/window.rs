//! Windows: OVER (…) as DuckDB needs it, with ties broken.

use pg_query::NodeEnum;
use pg_query::protobuf::WindowDef;

use super::order::{direction, shown};
use crate::catalog::{Outcome, Problem};
use crate::translate::equality;
use crate::translate::expression::{Site, required};
use crate::translate::reader::Reader;

/// A window as DuckDB needs it.
pub(in crate::translate) struct Window {
    /// As written: peers share a rank.
    pub ranked: String,
    /// With ties broken.
    pub total: String,
    /// The order as written leaves no ties.
    pub is_total: bool,
    /// For messages.
    pub shown: String,
}

impl Reader<'_> {
    /// OVER (…)
    pub(in crate::translate) fn window(&mut self, over: &WindowDef, site: Site<'_>) -> Outcome<Window> {
        const NON_DEFAULT: i32 = 1;
        if !over.name.is_empty() || !over.refname.is_empty() {
            return Err(Problem::unsupported("a named window"));
        }
        if over.frame_options & NON_DEFAULT != 0 {
            return Err(Problem::unsupported("a window frame"));
        }
        let inner = Site { windows: false, place: "window definitions", ..site };
        let mut partition = Vec::new();
        for node in &over.partition_clause {
            let value = self.expression(node, inner)?;
            self.has_equality(&value.ty)?;
            partition.push(equality::key(&value.sql, &value.ty));
        }
        let (mut keys, mut bare) = (Vec::new(), partition.clone());
        let mut names = Vec::new();
        for node in &over.order_clause {
            let Some(NodeEnum::SortBy(sort)) = &node.node else { continue };
            let value = self.expression(required(&sort.node)?, inner)?;
            let key = self.sort_key(&value.sql, &value.ty)?;
            keys.push(format!("{key} {}", direction(sort)));
            bare.push(value.sql);
            names.push(shown(sort));
        }
        let is_total = self.covers_key(site.scope, &bare);
        let prefix =
            if partition.is_empty() { String::new() } else { format!("PARTITION BY {} ", partition.join(", ")) };
        let clause = |keys: &[String]| match keys {
            [] => prefix.trim_end().to_owned(),
            keys => format!("{prefix}ORDER BY {}", keys.join(", ")),
        };
        let ranked = clause(&keys);
        if !is_total && site.grouping.is_none() {
            let tie = self.tie_direction();
            for source in &site.scope.sources {
                match &source.row {
                    Some(row) => keys.push(format!("{row} {tie}")),
                    None => keys.extend(source.columns.iter().map(|c| format!("{} {tie}", c.sql))),
                }
            }
        }
        let shown = match names.as_slice() {
            [] => "rows without ORDER BY".to_owned(),
            names => format!("ORDER BY {}", names.join(", ")),
        };
        Ok(Window { ranked, total: clause(&keys), is_total, shown })
    }
}
