//! A file's text becomes statements with their places and comments.
//!
//! Input: a file's name and text. Output: [`Statement`]s and [`Promise`]s, numbered within the file. Invariants: the parser reads
//! the text at its own offsets (psql lines are blanked, not cut), so a node's location is a byte offset in the file; a
//! statement's text is the file's, byte for byte. Left out: what the statements mean.

use anyhow::Result;
use pg_query::NodeEnum;

use super::copy;
use super::fault;
use super::lexer::{self, Piece, PieceKind};
use super::promises;
use super::sections;
use super::{Comment, Fault, Place, Promise, Statement};

/// Size of the parts in which a large text is parsed.
const PART_BYTES: usize = 256 << 10;

/// What one file holds.
pub(super) struct Content {
    /// Its statements, with `index` and `place.file` counted from this file alone: from 1, and 0.
    pub statements: Vec<Statement>,
    /// What its comments promise, with statements counted likewise.
    pub promises: Vec<Promise>,
    /// What was passed over, in whole sentences.
    pub warnings: Vec<String>,
}

/// Splits a text.
///
/// # Errors
/// A syntax error or a psql command, each with file, line and column.
pub(super) fn split(name: &str, text: &str) -> Result<Content> {
    let forward = sections::forward(text);
    let text = forward.as_deref().unwrap_or(text);
    let pieces = lexer::pieces(text);
    refuse_foreign(name, text, &pieces)?;
    let blanked = blank_psql(text, &pieces);
    let sql = blanked.as_deref().unwrap_or(text);
    let parsed = parse(sql, &pieces).map_err(|message| fault::syntax_error(name, sql, &pieces, &message))?;
    Ok(content(name, text, &pieces, parsed))
}

/// The same of a file among others, which are rehearsed whatever it holds: what can't be read stands in its place as a statement.
pub(super) fn split_one_of_many(name: &str, text: &str) -> Content {
    let forward = sections::forward(text);
    let text = forward.as_deref().unwrap_or(text);
    let pieces = lexer::pieces(text);
    let foreign: Vec<&Piece> =
        pieces.iter().filter(|p| p.kind == PieceKind::Psql && !is_harmless(&text[p.start..p.end])).collect();
    if let Some(inside) = foreign.iter().find(|piece| !begins(text, &pieces, piece)) {
        let what = format!("a statement that psql ends with {}", command(&text[inside.start..inside.end]));
        return only(text, inside.start, inside.end, Fault::Foreign(what));
    }
    let blanked = blank_psql(text, &pieces);
    let sql = blanked.as_deref().unwrap_or(text);
    let parsed = match parse(sql, &pieces) {
        Ok(parsed) => parsed,
        Err(message) => {
            let (start, end, fault) = fault::of_file(sql, &pieces, &message);
            return only(text, start, end, fault);
        }
    };
    let mut content = content(name, text, &pieces, parsed);
    let lines = Lines::new(text);
    for piece in foreign {
        let sql = text[piece.start..piece.end].trim_end();
        let what = format!("{}, a command of psql,", command(sql));
        let at = content.statements.partition_point(|statement| statement.offset < piece.start);
        content.statements.insert(at, stand_in(&lines, text, piece.start, sql, Fault::Foreign(what)));
        for promise in &mut content.promises {
            promise.statement = promise.statement.map(|index| if index > at { index + 1 } else { index });
        }
    }
    for (at, statement) in content.statements.iter_mut().enumerate() {
        statement.index = at + 1;
    }
    content
}

/// A file that is nothing but one fault.
fn only(text: &str, start: usize, end: usize, fault: Fault) -> Content {
    let sql = text[start..end].trim();
    let start = start + text[start..end].len() - text[start..end].trim_start().len();
    let statements = vec![stand_in(&Lines::new(text), text, start, sql, fault)];
    Content { statements, promises: Vec::new(), warnings: Vec::new() }
}

fn stand_in(lines: &Lines, text: &str, start: usize, sql: &str, fault: Fault) -> Statement {
    Statement {
        index: 1,
        place: lines.place(text, start),
        end_line: lines.line(start + sql.len().saturating_sub(1)),
        offset: start,
        sql: sql.to_owned(),
        comments: Vec::new(),
        node: NodeEnum::RawStmt(Box::default()),
        fault: Some(fault),
    }
}

/// The first word of a psql line.
fn command(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or("\\")
}

/// Does a psql line stand between statements, not within one that it would send?
fn begins(text: &str, pieces: &[Piece], piece: &Piece) -> bool {
    let before = pieces.iter().filter(|p| p.end <= piece.start);
    let ended = |p: &&Piece| matches!(p.kind, PieceKind::Semicolon | PieceKind::Psql | PieceKind::CopyData);
    let from = before.clone().filter(ended).map(|p| p.end).max().unwrap_or(0);
    let mut at = from;
    for comment in before.filter(|p| p.start >= from && !ended(p)) {
        if !text[at..comment.start].trim().is_empty() {
            return false;
        }
        at = comment.end;
    }
    text[at..piece.start].trim().is_empty()
}

/// The statements that the parser found, with their places and comments.
fn content(name: &str, text: &str, pieces: &[Piece], parsed: Vec<Parsed>) -> Content {
    let lines = Lines::new(text);
    let restricted = pieces.iter().find(|p| p.kind == PieceKind::Psql && is_restriction(&text[p.start..p.end]));
    let warnings = restricted.map(|piece| {
        let line = lines.line(piece.start);
        format!("{name}:{line}: \\restrict and \\unrestrict are for psql alone and are passed over")
    });
    let comments: Vec<Piece> = pieces.iter().copied().filter(|p| !matches!(p.kind, PieceKind::Semicolon)).collect();
    let mut statements: Vec<Statement> = Vec::with_capacity(parsed.len());
    let mut ends = Vec::with_capacity(parsed.len());
    let mut data = pieces.iter().filter(|p| p.kind == PieceKind::CopyData).peekable();
    for Parsed { node, from, to } in parsed {
        let (start, end) = trim(text, &comments, from, to);
        let node = match node {
            NodeEnum::CopyStmt(stored) => {
                // The data behind it; blank lines may stand for it where the parser begins the next statement.
                let rows = data.next_if(|piece| piece.start >= end);
                let rows = rows.and_then(|piece| copy::as_insert(&stored, &text[piece.start..piece.end]));
                rows.unwrap_or(NodeEnum::CopyStmt(stored))
            }
            other => other,
        };
        statements.push(Statement {
            index: statements.len() + 1,
            place: lines.place(text, start),
            end_line: lines.line(end.saturating_sub(1)),
            offset: start,
            sql: text[start..end].to_owned(),
            comments: Vec::new(),
            node,
            fault: None,
        });
        ends.push(end);
    }
    let groups = groups(text, &comments, &lines);
    let promises = assign(&groups, &mut statements, &ends, &lines);
    Content { statements, promises, warnings: warnings.into_iter().collect() }
}

/// A statement as the parser found it.
struct Parsed {
    node: NodeEnum,
    /// Byte range in the text, with what stands around it.
    from: usize,
    to: usize,
}

/// Parses a text, a large one in parts: a tree takes a hundred times the room of its text while it is handed over, and memory that
/// was used for one part is there for the next. Blanks stand for the parts before, so that locations hold.
fn parse(sql: &str, pieces: &[Piece]) -> std::result::Result<Vec<Parsed>, String> {
    let mut cuts = vec![0];
    for piece in pieces.iter().filter(|p| p.kind == PieceKind::Semicolon) {
        if piece.end >= cuts[cuts.len() - 1] + PART_BYTES && sql.len() > piece.end {
            cuts.push(piece.end);
        }
    }
    cuts.push(sql.len());
    let mut found = Vec::new();
    let mut padded = String::new();
    for part in cuts.windows(2) {
        padded.clear();
        padded.extend(std::iter::repeat_n(' ', part[0]));
        padded.push_str(&sql[part[0]..part[1]]);
        if let Err(error) = parse_part(&padded, part[0], &mut found) {
            if cuts.len() == 2 {
                return Err(error);
            }
            // The cut may have gone through a routine's body: then the whole parses, else it says what is wrong.
            found.clear();
            parse_part(sql, 0, &mut found)?;
            return Ok(found);
        }
    }
    Ok(found)
}

fn parse_part(sql: &str, start: usize, found: &mut Vec<Parsed>) -> std::result::Result<(), String> {
    let parsed = pg_query::parse(sql, 0).map_err(|error| match error {
        pg_query::Error::Parse(message) => message,
        other => other.to_string(),
    })?;
    for raw in parsed.protobuf.stmts {
        let Some(node) = raw.stmt.and_then(|stmt| stmt.node) else { continue };
        let from = usize::try_from(raw.stmt_location).unwrap_or(0);
        let length = usize::try_from(raw.stmt_len).unwrap_or(0);
        let to = if length == 0 { sql.len() } else { from + length };
        found.push(Parsed { node, from: from.max(start), to });
    }
    Ok(())
}

/// psql commands that change nothing a rehearsal would see: they print or say how to print, or stop at an error as a rehearsal does
/// anyway, or are what `pg_dump` puts around a dump so that psql runs no other command in it.
fn is_harmless(command: &str) -> bool {
    let mut words = command.split_whitespace();
    match words.next() {
        Some("\\echo" | "\\qecho" | "\\warn" | "\\timing" | "\\pset" | "\\x" | "\\restrict" | "\\unrestrict") => true,
        Some("\\encoding") => {
            words.next().is_some_and(|name| ["utf8", "utf-8"].contains(&name.to_lowercase().as_str()))
        }
        Some("\\set") => match words.next() {
            Some("ON_ERROR_STOP") => {
                words.next().is_none_or(|value| ["on", "1", "true"].iter().any(|on| value.eq_ignore_ascii_case(on)))
            }
            Some("VERBOSITY" | "QUIET" | "SHOW_CONTEXT" | "ECHO" | "ECHO_HIDDEN" | "HISTFILE" | "HISTSIZE") => true,
            _ => false,
        },
        _ => false,
    }
}

/// What pg_dump puts around a dump, so that psql runs no command within it.
fn is_restriction(line: &str) -> bool {
    ["\\restrict", "\\unrestrict"].contains(&command(line))
}

fn refuse_foreign(name: &str, text: &str, pieces: &[Piece]) -> Result<()> {
    for piece in pieces {
        let content = &text[piece.start..piece.end];
        match piece.kind {
            PieceKind::Psql if !is_harmless(content) => {
                let command = command(content);
                let message = format!("{command} is a command of psql, not SQL, so it can't be rehearsed");
                let hint = match command {
                    "\\i" | "\\ir" | "\\include" | "\\include_relative" => {
                        "name the included files on the command line, in order"
                    }
                    "\\copy" => "rehearse on a snapshot that holds these rows already, or write them as INSERT",
                    "\\c" | "\\connect" => "rehearse what is behind it by itself, on a snapshot of that database",
                    _ => {
                        "take the line out; only those that print (\\echo, \\timing, \\pset …), \\set ON_ERROR_STOP on, \
                         \\encoding UTF8 and \\restrict may stay"
                    }
                };
                return Err(fault::at(name, text, piece.start, &message, hint));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The text with psql lines and data of COPY as spaces of the same length in bytes; nothing where there are none.
fn blank_psql(text: &str, pieces: &[Piece]) -> Option<String> {
    let foreign = |p: &&Piece| matches!(p.kind, PieceKind::Psql | PieceKind::CopyData);
    let psql: Vec<&Piece> = pieces.iter().filter(foreign).collect();
    if psql.is_empty() {
        return None;
    }
    let mut blanked = String::with_capacity(text.len());
    let mut at = 0;
    for piece in psql {
        blanked.push_str(&text[at..piece.start]);
        blanked.extend(std::iter::repeat_n(' ', piece.end - piece.start));
        at = piece.end;
    }
    blanked.push_str(&text[at..]);
    Some(blanked)
}

/// A statement's range without white space, comments and semicolons around it.
fn trim(text: &str, comments: &[Piece], mut start: usize, mut end: usize) -> (usize, usize) {
    loop {
        let rest = &text[start..end];
        let white = rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';').len();
        start += white;
        // Data of a COPY may begin with white space.
        let next = comments.partition_point(|c| c.end <= start);
        match comments.get(next) {
            Some(comment) if comment.start <= start && comment.end <= end => start = comment.end,
            _ => break,
        }
    }
    loop {
        end = start + text[start..end].trim_end_matches(|c: char| c.is_whitespace() || c == ';').len();
        let before = comments.partition_point(|c| c.end < end);
        match comments.get(before) {
            Some(comment) if comment.end == end && comment.start > start => end = comment.start,
            _ => break,
        }
    }
    (start, end)
}

/// Where lines start.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Lines {
        Lines(
            std::iter::once(0)
                .chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1))
                .collect(),
        )
    }

    /// Line of a byte, from 1.
    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }

    fn place(&self, text: &str, offset: usize) -> Place {
        let line = self.line(offset);
        let column = text[self.0[line - 1]..offset].chars().count() + 1;
        Place { file: 0, line, column }
    }
}

/// Comment lines that follow each other without a gap.
struct Group {
    start: usize,
    comments: Vec<Comment>,
    first_line: usize,
    last_line: usize,
}

fn groups(text: &str, pieces: &[Piece], lines: &Lines) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut last_end = 0;
    for piece in pieces.iter().filter(|p| matches!(p.kind, PieceKind::LineComment | PieceKind::BlockComment)) {
        let first_line = lines.line(piece.start);
        let last_line = lines.line(piece.end - 1);
        let comments = words(&text[piece.start..piece.end], first_line);
        let follows = text[last_end..piece.start].trim().is_empty();
        last_end = piece.end;
        match groups.last_mut() {
            // A comment behind a statement and one on the next line are about different things.
            Some(group) if follows && first_line <= group.last_line + 1 && stands_alone(text, group.start) => {
                group.comments.extend(comments);
                group.last_line = last_line;
            }
            _ => groups.push(Group { start: piece.start, comments, first_line, last_line }),
        }
    }
    groups
}

/// Nothing but white space stands before it on its line.
fn stands_alone(text: &str, at: usize) -> bool {
    let line_start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    text[line_start..at].trim().is_empty()
}

/// A comment's lines without their marks.
fn words(comment: &str, first_line: usize) -> Vec<Comment> {
    let inner = match comment.strip_prefix("--") {
        Some(line) => line.trim_start_matches('-'),
        None => comment.strip_prefix("/*").and_then(|c| c.strip_suffix("*/")).unwrap_or(comment),
    };
    inner
        .lines()
        .enumerate()
        .map(|(index, line)| Comment {
            line: first_line + index,
            text: line.trim().trim_start_matches('*').trim().to_owned(),
        })
        .filter(|comment| !comment.text.is_empty())
        .collect()
}

/// Gives each group of comments to the statement it stands in, behind (on its last line) or right above, and reads promises.
fn assign(groups: &[Group], statements: &mut [Statement], ends: &[usize], lines: &Lines) -> Vec<Promise> {
    let mut found = Vec::new();
    for group in groups {
        let next = statements.partition_point(|s| s.offset < group.start);
        let previous = next.checked_sub(1);
        let within = previous.filter(|&i| group.start < ends[i] || lines.line(ends[i]) == group.first_line);
        let above = (next < statements.len() && statements[next].place.line <= group.last_line + 1).then_some(next);
        if let Some(owner) = within.or(above) {
            statements[owner].comments.extend(group.comments.iter().cloned());
        }
        // A promise is about what went before, unless it clings to what comes next and not to that.
        let clings = previous.is_some_and(|i| statements[i].end_line + 1 >= group.first_line);
        let about = within.or(if clings { previous } else { above }).or(previous);
        for comment in &group.comments {
            let figures = promises::figures(&comment.text);
            if !figures.is_empty() {
                let statement = about.map(|i| statements[i].index);
                found.push(Promise { line: comment.line, text: comment.text.clone(), figures, statement });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Content {
        split("m.sql", text).expect(text)
    }

    /// Each statement as line:column-end_line text | comments.
    fn check(text: &str, expected: &[&str]) {
        let content = read(text);
        let found: Vec<String> = content
            .statements
            .iter()
            .map(|s| {
                assert!(text[s.offset..].starts_with(&s.sql), "the text at {} is the file's", s.offset);
                let comments: Vec<&str> = s.comments.iter().map(|c| c.text.as_str()).collect();
                format!("{}:{}-{} {} | {}", s.place.line, s.place.column, s.end_line, s.sql, comments.join(" / "))
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn statements_have_places_and_their_own_text() {
        check(
            "SELECT 1;;\n\n  /* é */ SELECT 2 ;\r\nSELECT\n  3 -- three\n",
            &["1:1-1 SELECT 1 | ", "3:11-3 SELECT 2 | é", "4:1-5 SELECT\n  3 | three"],
        );
    }

    #[test]
    fn comments_belong_to_what_they_touch() {
        check(
            "-- header\n\n-- CreateTable\n-- (new)\nCREATE TABLE t (a int);  -- tail\n-- next\nSELECT -- inside\n 1;\n-- last\n",
            &[
                "5:1-5 CREATE TABLE t (a int) | CreateTable / (new) / tail",
                "7:1-8 SELECT -- inside\n 1 | next / inside",
            ],
        );
    }

    #[test]
    fn node_locations_are_offsets_in_the_file() {
        let text = "\\echo 'é\n-- é\nSELECT 1;\nSELECT é FROM t;";
        let content = read(text);
        let pg_query::NodeEnum::SelectStmt(select) = &content.statements[1].node else { panic!("a SELECT") };
        let Some(pg_query::NodeEnum::ResTarget(target)) = &select.target_list[0].node else { panic!("a target") };
        assert!(text[target.location as usize..].starts_with("é FROM"), "{}", target.location);
    }

    #[test]
    fn a_text_parsed_in_parts_is_read_as_a_whole() {
        let row = "INSERT INTO t VALUES (1); -- é\n";
        let body = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;\n";
        for middle in ["", body] {
            let mut text = row.repeat(PART_BYTES / row.len());
            text += &middle.repeat(2 * PART_BYTES / body.len());
            text += &row.repeat(PART_BYTES / row.len());
            text += "SELECT a;";
            let content = read(&text);
            assert_eq!(content.statements.len(), text.lines().count());
            for (line, statement) in text.lines().zip(&content.statements) {
                let expected = line.trim_end_matches(" -- é").trim_end_matches(';');
                assert_eq!((statement.sql.as_str(), statement.place.column), (expected, 1));
            }
            let last = content.statements.last().expect("a statement");
            let NodeEnum::SelectStmt(select) = &last.node else { panic!("a SELECT") };
            let Some(NodeEnum::ResTarget(target)) = &select.target_list[0].node else { panic!("a target") };
            assert_eq!(&text[target.location as usize..], "a;");
        }
    }

    fn check_promise(text: &str, statement: Option<usize>) {
        let promises = read(text).promises;
        assert_eq!(promises.iter().map(|p| p.statement).collect::<Vec<_>>(), [statement], "{text}");
    }

    #[test]
    fn a_promise_is_about_what_it_stands_at() {
        check_promise("SELECT 1;\n\n-- Expected: filled=1\n\nSELECT 2;", Some(1));
        check_promise("SELECT 1;\n-- Expected: filled=1\nSELECT 2;", Some(1));
        check_promise("SELECT 1;\n\n-- Expected: filled=1\nSELECT 2;", Some(2));
        check_promise("SELECT 1; -- Expected: filled=1\nSELECT 2;", Some(1));
        check_promise("SELECT 0;\nSELECT -- Expected: filled=1\n 1;", Some(2));
        check_promise("-- Expected: filled=1\n\nSELECT 2;", None);
    }

    fn check_error(text: &str, expected: &str) {
        let error = split("m.sql", text).map(|_| ()).expect_err(text).to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }

    #[test]
    fn what_is_not_sql_is_refused_by_name() {
        check_error("SELECT 1;\n\\i other.sql\n", "m.sql:2:1: \\i is a command of psql");
        check_error("SELECT 1 \\gset\n", "m.sql:1:10: \\gset is a command of psql");
        check_error("\\set ON_ERROR_STOP off\n", "m.sql:1:1: \\set is a command of psql");
        check("\\restrict aB1\nSELECT 1;\n\\unrestrict aB1\n", &["2:1-2 SELECT 1 | "]);
        check("\\set ON_ERROR_STOP on\n\\echo it's\nSELECT 1;", &["3:1-3 SELECT 1 | "]);
    }
}
