//! Windows: OVER (…) as DuckDB needs it, with ties broken.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, WindowDef};

use super::order::{direction, shown};
use crate::catalog::{Outcome, Problem};
use crate::translate::equality;
use crate::translate::expression::{Site, integer_constant, required};
use crate::translate::reader::Reader;
use crate::translate::scope::Scope;

/// A window as DuckDB needs it.
pub(in crate::translate) struct Window {
    /// As written, without its frame: peers share a rank.
    pub ranked: String,
    /// With ties broken, without its frame.
    pub total: String,
    /// As written, with its frame; one of ROWS has ties broken.
    pub framed: String,
    /// With ties broken and with its frame.
    pub total_framed: String,
    /// All sort keys, with ties broken.
    pub keys: Vec<String>,
    /// The frame counts rows.
    pub in_rows: bool,
    /// The frame is the whole partition.
    pub is_whole: bool,
    /// The order as written leaves no ties.
    pub is_total: bool,
    /// For messages.
    pub shown: String,
}

/// Bits of `WindowDef::frame_options` (src/include/nodes/parsenodes.h).
mod frame {
    pub const NON_DEFAULT: i32 = 0x1;
    pub const ROWS: i32 = 0x4;
    pub const GROUPS: i32 = 0x8;
    pub const START_UNBOUNDED: i32 = 0x20;
    pub const END_UNBOUNDED: i32 = 0x100;
    pub const START_PRECEDING: i32 = 0x800;
    pub const END_PRECEDING: i32 = 0x1000;
    pub const START_FOLLOWING: i32 = 0x2000;
    pub const END_FOLLOWING: i32 = 0x4000;
    pub const EXCLUDE: i32 = 0x8000 | 0x10000 | 0x20000;
}

impl Reader<'_> {
    /// OVER (…)
    pub(in crate::translate) fn window(&mut self, over: &WindowDef, site: Site<'_>) -> Outcome<Window> {
        let over = &self.named_window(over)?;
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
        let frame = self.frame(over)?;
        let total = clause(&keys);
        let in_rows = frame.contains("ROWS");
        let framed = format!("{}{frame}", if in_rows { &total } else { &ranked });
        let is_whole = frame.ends_with("BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING");
        let total_framed = format!("{total}{frame}");
        Ok(Window { ranked, total, framed, total_framed, keys, in_rows, is_whole, is_total, shown })
    }

    /// The window that a name stands for, with what OVER adds to it.
    fn named_window(&self, over: &WindowDef) -> Outcome<WindowDef> {
        let name = if over.name.is_empty() { over.refname.as_str() } else { over.name.as_str() };
        if name.is_empty() {
            return Ok(over.clone());
        }
        let found = self.windows.iter().find(|window| window.name == name);
        let found = found
            .ok_or_else(|| Problem::rejected("42704", format!("window \"{name}\" does not exist")).at(over.location))?;
        let mut found = WindowDef { name: String::new(), ..found.clone() };
        if !found.refname.is_empty() {
            found = self.named_window(&found)?;
        }
        if over.name.is_empty() {
            let overridden = |what: &str| {
                Err(Problem::rejected("42P20", format!("cannot override {what} clause of window \"{name}\"")))
            };
            if !over.partition_clause.is_empty() {
                return overridden("PARTITION BY");
            }
            if !over.order_clause.is_empty() && !found.order_clause.is_empty() {
                return overridden("ORDER BY");
            }
            if found.frame_options & frame::NON_DEFAULT != 0 {
                let message = format!("cannot copy window \"{name}\" because it has a frame clause");
                return Err(Problem::rejected("42P20", message));
            }
            if !over.order_clause.is_empty() {
                found.order_clause.clone_from(&over.order_clause);
            }
            found.frame_options = over.frame_options;
            found.start_offset.clone_from(&over.start_offset);
            found.end_offset.clone_from(&over.end_offset);
        }
        Ok(found)
    }

    /// The frame, as both engines write it; empty where it is the usual one.
    fn frame(&mut self, over: &WindowDef) -> Outcome<String> {
        let has = |option: i32| over.frame_options & option != 0;
        if !has(frame::NON_DEFAULT) {
            return Ok(String::new());
        }
        if has(frame::EXCLUDE) || has(frame::GROUPS) {
            return Err(Problem::unsupported("a window frame of GROUPS or with EXCLUDE"));
        }
        let offsets = frame::START_PRECEDING | frame::START_FOLLOWING | frame::END_PRECEDING | frame::END_FOLLOWING;
        if has(offsets) && !has(frame::ROWS) {
            return Err(Problem::unsupported("a window frame of RANGE with an offset"));
        }
        let mut offset = |node: &Option<Box<Node>>| -> Outcome<String> {
            let scope = Scope::default();
            let value = self.expression(required(node)?, Site::new(&scope, "ROWS"))?;
            match integer_constant(&value) {
                Some(offset) if offset >= 0 => Ok(offset.to_string()),
                _ => Err(Problem::unsupported("a window frame whose offset isn't a constant")),
            }
        };
        let start = match () {
            () if has(frame::START_UNBOUNDED) => "UNBOUNDED PRECEDING".to_owned(),
            () if has(frame::START_PRECEDING) => format!("{} PRECEDING", offset(&over.start_offset)?),
            () if has(frame::START_FOLLOWING) => format!("{} FOLLOWING", offset(&over.start_offset)?),
            () => "CURRENT ROW".to_owned(),
        };
        let end = match () {
            () if has(frame::END_UNBOUNDED) => "UNBOUNDED FOLLOWING".to_owned(),
            () if has(frame::END_PRECEDING) => format!("{} PRECEDING", offset(&over.end_offset)?),
            () if has(frame::END_FOLLOWING) => format!("{} FOLLOWING", offset(&over.end_offset)?),
            () => "CURRENT ROW".to_owned(),
        };
        let unit = if has(frame::ROWS) { "ROWS" } else { "RANGE" };
        Ok(format!(" {unit} BETWEEN {start} AND {end}"))
    }
}
