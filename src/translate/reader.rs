//! The state of one translation: what has been found out, made and named on the way.

use std::collections::BTreeSet;
use std::rc::Rc;

use pg_query::protobuf::WindowDef;

use crate::catalog::{AttNum, Catalog, Oid, Outcome, Problem};

use super::arrival::Numberings;
use super::{Output, Remarks, Settings, Step, Tie, Translator, Variables, WritePlan};

/// One statement being read.
pub(super) struct Reader<'a> {
    translator: &'a Translator<'a>,
    /// Numbers aliases and temporary tables.
    last: usize,
    pub remarks: Remarks,
    pub steps: Vec<Step>,
    pub writes: Vec<WritePlan>,
    /// A statement inside WITH is read: what it returns is wanted.
    pub in_with: bool,
    /// Windows that the query being read has named.
    pub windows: Vec<WindowDef>,
    /// Common table expressions in scope, the innermost last.
    pub named: Vec<Named>,
    /// Depth of views being read, so that one that reads itself ends.
    pub view_depth: usize,
    /// Something was read that may give another value at another time: an index can't be made of it.
    pub is_mutable: bool,
    /// Counts what was read that depends on a row, a variable or another query.
    pub varying: usize,
    /// Columns read so far stand at least so many queries outward.
    pub nearest: Option<usize>,
    /// Columns of queries outward that were read, as DuckDB SQL.
    pub outward: BTreeSet<String>,
    /// The query that comes next is the statement's own, not one inside of it.
    pub is_whole: bool,
    /// The outputs of the query being read may never be computed: only a query around it could ask for them.
    pub outputs_unread: bool,
    /// A relation of the system's own is read, of which not every column is known.
    pub asks_system: bool,
    /// Inside of EXISTS, where nobody reads the columns.
    pub in_exists: bool,
    /// What isn't a column may be one of these.
    pub variables: Option<Rc<Variables>>,
    /// Tables that functions read which may see what the statement has written already.
    pub volatile_reads: BTreeSet<Oid>,
    /// The subquery in FROM that comes next, where the order of its rows may be asked for.
    pub numbered: Option<String>,
    /// The query being read has GROUP BY.
    pub in_groups: bool,
    /// Sources in FROM whose rows an aggregate may want in their order.
    pub numberings: Numberings,
}

/// A common table expression that later queries may read.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub name: String,
    /// The temporary table.
    pub table: String,
    pub outputs: Vec<Output>,
}

impl<'a> Reader<'a> {
    pub fn new(translator: &'a Translator<'a>) -> Reader<'a> {
        Reader {
            translator,
            last: 0,
            remarks: Remarks::default(),
            steps: Vec::new(),
            writes: Vec::new(),
            in_with: false,
            windows: Vec::new(),
            named: Vec::new(),
            view_depth: 0,
            is_mutable: false,
            varying: 0,
            nearest: None,
            outward: BTreeSet::new(),
            is_whole: true,
            outputs_unread: false,
            asks_system: false,
            in_exists: false,
            numbered: None,
            in_groups: false,
            numberings: Numberings::default(),
            variables: Some(&translator.settings.variables)
                .filter(|variables| !variables.is_empty())
                .map(|variables| Rc::new(variables.clone())),
            volatile_reads: BTreeSet::new(),
        }
    }

    /// Reads something of the schema's own, a default or a view, which sees none of the statement's variables.
    pub fn without_variables<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let variables = self.variables.take();
        let value = read(self);
        self.variables = variables;
        value
    }

    pub fn catalog(&self) -> &'a Catalog {
        self.translator.catalog
    }

    pub fn settings(&self) -> &'a Settings {
        self.translator.settings
    }

    /// Which way ties go.
    pub fn tie(&self) -> Tie {
        self.translator.tie
    }

    /// `ASC` or `DESC` for orders that PostgreSQL leaves open.
    pub fn tie_direction(&self) -> &'static str {
        match self.translator.tie {
            Tie::Least => "ASC NULLS LAST",
            Tie::Greatest => "DESC NULLS FIRST",
        }
    }

    pub fn number(&mut self) -> usize {
        self.last += 1;
        self.last
    }

    /// Notes a column that is read.
    pub fn reads(&mut self, origin: Option<(Oid, AttNum)>) {
        if let Some((table, column)) = origin {
            self.remarks.reads.entry(table).or_default().insert(column);
        }
    }

    /// Notes that text is ordered, which the database's collation decides.
    pub fn orders_text(&mut self) {
        if let Some(collation) = &self.settings().collation {
            self.caveat(format!(
                "text is ordered here by code point; the server orders it by the collation {collation}, which may differ"
            ));
        }
    }

    pub fn caveat(&mut self, text: String) {
        if !self.remarks.caveats.contains(&text) {
            self.remarks.caveats.push(text);
        }
    }

    pub fn volatile(&mut self, what: &str) {
        if !self.remarks.volatile.iter().any(|known| known == what) {
            self.remarks.volatile.push(what.to_owned());
        }
    }

    pub fn choice(&mut self, what: String) {
        if !self.remarks.choices.contains(&what) {
            self.remarks.choices.push(what);
        }
    }

    /// The server's time zone.
    pub fn zone(&self) -> &'a str {
        self.settings().time_zone.as_deref().unwrap_or("UTC")
    }

    /// Refuses what depends on the server's time zone where that isn't UTC.
    pub fn needs_utc(&self, what: &str) -> Outcome<()> {
        match &self.settings().time_zone {
            None => Ok(()),
            Some(zone) => Err(Problem::unsupported(format!("{what}, which depends on the server's time zone {zone},"))),
        }
    }
}
