//! COPY … FROM STDIN: rows that stand in the file behind their statement.
//!
//! Input: the parser's statement and the lines up to `\.`. Output: the INSERT that stores the same rows: every field as a literal of no
//! type, which the column's type reads as COPY does. Invariant: a form or an option that isn't read to its last word leaves the
//! statement as it is, to be refused by name. Left out: the binary form, WHERE, and how `COPY` words the error of a row.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    self, AConst, CopyStmt, InsertStmt, LimitOption, List, Node, OverridingKind, ResTarget, SelectStmt, SetOperation,
    a_const::Val,
};

/// How the fields of a row stand in a line.
struct Form {
    csv: bool,
    delimiter: u8,
    null: String,
    header: bool,
    quote: u8,
    escape: u8,
}

/// The INSERT that a COPY with this data is; `None` where that can't be said.
pub(super) fn as_insert(copy: &CopyStmt, data: &str) -> Option<NodeEnum> {
    if !copy.is_from || copy.is_program || !copy.filename.is_empty() || copy.where_clause.is_some() {
        return None;
    }
    let form = form(copy)?;
    let mut rows = if form.csv { csv_rows(data, &form)? } else { text_rows(data, &form)? };
    if form.header && !rows.is_empty() {
        rows.remove(0);
    }
    let width = rows.first().map_or(copy.attlist.len(), Vec::len);
    let given = copy.attlist.len();
    if rows.iter().any(|row| row.len() != width) || (given > 0 && width != given) {
        return None;
    }
    let cols = copy.attlist.iter().filter_map(|name| match &name.node {
        Some(NodeEnum::String(name)) => Some(Node {
            node: Some(NodeEnum::ResTarget(Box::new(ResTarget { name: name.sval.clone(), ..ResTarget::default() }))),
        }),
        _ => None,
    });
    let cols: Vec<Node> = if given == 0 { vec![all_columns()] } else { cols.collect() };
    let select = SelectStmt {
        limit_option: LimitOption::Default as i32,
        op: SetOperation::SetopNone as i32,
        ..SelectStmt::default()
    };
    let select = if rows.is_empty() {
        // No row at all, of whatever columns.
        let target = |_| Node {
            node: Some(NodeEnum::ResTarget(Box::new(ResTarget {
                val: Some(Box::new(constant(None))),
                ..ResTarget::default()
            }))),
        };
        let never =
            AConst { isnull: false, location: -1, val: Some(Val::Boolval(protobuf::Boolean { boolval: false })) };
        SelectStmt {
            target_list: (0..given).map(target).collect(),
            where_clause: Some(Box::new(Node { node: Some(NodeEnum::AConst(never)) })),
            ..select
        }
    } else {
        let row = |row: Vec<Option<String>>| Node {
            node: Some(NodeEnum::List(List { items: row.into_iter().map(constant).collect() })),
        };
        SelectStmt { values_lists: rows.into_iter().map(row).collect(), ..select }
    };
    Some(NodeEnum::InsertStmt(Box::new(InsertStmt {
        relation: copy.relation.clone(),
        cols,
        select_stmt: Some(Box::new(Node { node: Some(NodeEnum::SelectStmt(Box::new(select))) })),
        // COPY writes identity columns whatever they say.
        r#override: OverridingKind::OverridingSystemValue as i32,
        ..InsertStmt::default()
    })))
}

/// The columns of a COPY that names none: all but generated ones. No INSERT can say so: a name that is written stands somewhere.
fn all_columns() -> Node {
    let all = ResTarget { name: "*".to_owned(), location: -1, ..ResTarget::default() };
    Node { node: Some(NodeEnum::ResTarget(Box::new(all))) }
}

fn constant(text: Option<String>) -> Node {
    let isnull = text.is_none();
    let val = text.map(|sval| Val::Sval(protobuf::String { sval }));
    Node { node: Some(NodeEnum::AConst(AConst { isnull, location: -1, val })) }
}

fn form(copy: &CopyStmt) -> Option<Form> {
    let options = copy.options.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::DefElem(option)) => Some(option),
        _ => None,
    });
    let options: Vec<_> = options.collect();
    let text = |name: &str| {
        options.iter().find(|o| o.defname == name).and_then(|o| match o.arg.as_deref()?.node.as_ref()? {
            NodeEnum::String(text) => Some(text.sval.clone()),
            _ => None,
        })
    };
    let known = ["format", "delimiter", "null", "header", "quote", "escape", "freeze"];
    if options.iter().any(|option| !known.contains(&option.defname.as_str())) {
        return None;
    }
    let csv = match text("format").as_deref() {
        None | Some("text") => false,
        Some("csv") => true,
        Some(_) => return None,
    };
    let byte = |name: &str, default: u8| match text(name) {
        None => Some(default),
        Some(text) => match text.as_bytes() {
            [byte] => Some(*byte),
            _ => None,
        },
    };
    let header = match options.iter().find(|option| option.defname == "header").map(|option| option.arg.as_deref()) {
        None => false,
        Some(None) => true,
        Some(Some(Node { node: Some(NodeEnum::Boolean(value)) })) => value.boolval,
        Some(Some(Node { node: Some(NodeEnum::String(value)) })) => match value.sval.to_lowercase().as_str() {
            "true" | "on" => true,
            "false" | "off" => false,
            _ => return None,
        },
        Some(Some(Node { node: Some(NodeEnum::Integer(value)) })) => value.ival != 0,
        _ => return None,
    };
    let quote = byte("quote", b'"')?;
    Some(Form {
        csv,
        delimiter: byte("delimiter", if csv { b',' } else { b'\t' })?,
        null: text("null").unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() }),
        header,
        quote,
        escape: byte("escape", quote)?,
    })
}

/// Lines of the text form: a field ends at the delimiter, and a backslash makes a character of what follows.
fn text_rows(data: &str, form: &Form) -> Option<Vec<Vec<Option<String>>>> {
    let mut rows = Vec::new();
    for line in data.lines() {
        if line == "\\." {
            break;
        }
        let mut row = Vec::new();
        let mut raw = String::new();
        let mut letters = line.chars();
        loop {
            match letters.next() {
                Some('\\') => {
                    raw.push('\\');
                    raw.push(letters.next()?);
                }
                Some(letter) if letter != char::from(form.delimiter) => raw.push(letter),
                end => {
                    let field = std::mem::take(&mut raw);
                    row.push(if field == form.null { None } else { Some(unescaped(&field)?) });
                    if end.is_none() {
                        break;
                    }
                }
            }
        }
        rows.push(row);
    }
    Some(rows)
}

fn unescaped(field: &str) -> Option<String> {
    let mut text = String::with_capacity(field.len());
    let mut letters = field.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        text.push(match letters.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            // A character by its number, of which bytes beyond ASCII would have to be put together.
            'x' | '0'..='7' => return None,
            other => other,
        });
    }
    Some(text)
}

/// Rows of the CSV form, whose quoted fields may hold line breaks.
fn csv_rows(data: &str, form: &Form) -> Option<Vec<Vec<Option<String>>>> {
    let (delimiter, quote, escape) = (char::from(form.delimiter), char::from(form.quote), char::from(form.escape));
    let mut rows = Vec::new();
    let mut lines = data.split_inclusive('\n');
    while let Some(line) = lines.next() {
        if line.trim_end() == "\\." {
            break;
        }
        let mut text = line.to_owned();
        // A row goes on where a quote is still open at its line's end.
        while text.matches(quote).count() % 2 == 1 && escape == quote {
            text.push_str(lines.next()?);
        }
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let mut row = Vec::new();
        let mut letters = text.chars().peekable();
        loop {
            let mut field = String::new();
            let mut quoted = false;
            let mut inside = false;
            let more = loop {
                match letters.next() {
                    None if inside => return None,
                    None => break false,
                    Some(letter) if inside && letter == escape && letters.peek() == Some(&quote) => {
                        field.push(quote);
                        letters.next();
                    }
                    Some(letter) if letter == quote => {
                        quoted = true;
                        inside = !inside;
                    }
                    Some(letter) if !inside && letter == delimiter => break true,
                    Some(letter) => field.push(letter),
                }
            };
            row.push(if !quoted && field == form.null { None } else { Some(field) });
            if !more {
                break;
            }
        }
        rows.push(row);
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_an_insert() {
        fn check(sql: &str, data: &str, expected: Option<&str>) {
            let parsed = pg_query::parse(sql, 0).expect(sql).protobuf;
            let node = parsed.stmts[0].stmt.as_ref().and_then(|s| s.node.clone()).expect(sql);
            let NodeEnum::CopyStmt(copy) = node else { panic!("{sql}") };
            let insert = as_insert(&copy, data).map(|node| node.deparse(Default::default()).expect(sql));
            assert_eq!(insert.as_deref(), expected, "{sql}");
        }
        check(
            "COPY t (a, b) FROM stdin",
            "1\tit's\n\\N\ta\\tb\\\\\n\\.\n",
            Some("INSERT INTO t (a, b) OVERRIDING SYSTEM VALUE VALUES ('1', 'it''s'), (NULL, E'a\tb\\\\')"),
        );
        check(
            "COPY t FROM STDIN WITH (FORMAT csv, HEADER)",
            "a,b\n1,\"x \"\"y\"\",\n z\"\n,\"\"\n\\.\n",
            Some("INSERT INTO t (\"*\") OVERRIDING SYSTEM VALUE VALUES ('1', 'x \"y\",\n z'), (NULL, '')"),
        );
        check(
            "COPY t (a) FROM STDIN",
            "\\.\n",
            Some("INSERT INTO t (a) OVERRIDING SYSTEM VALUE SELECT NULL WHERE false"),
        );
        check("COPY t (a) FROM STDIN", "1\t2\n\\.\n", None);
        check("COPY t (a) FROM STDIN (FORMAT binary)", "", None);
        check("COPY t (a) TO STDOUT", "", None);
    }
}
