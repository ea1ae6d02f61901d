//! Sections: files that hold the way back beside the way there.
//!
//! Input: a file's text. Output: the same with the sections that undo left blank, so that every place stays. Known marks, each a comment
//! line of its own: `-- migrate:down` (dbmate), `-- +goose Down` and its like (goose, sql-migrate, micrate), `-- Down Migration`
//! (node-pg-migrate). Left out: marks of other tools, whose files are read as a whole.

/// Which way a section goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// The text without what undoes; `None` where it has no such section.
pub(super) fn forward(text: &str) -> Option<String> {
    let mut way = Way::Up;
    let mut kept = String::with_capacity(text.len());
    let mut blanked = false;
    for line in text.split_inclusive('\n') {
        way = mark(line).unwrap_or(way);
        match way {
            Way::Up => kept.push_str(line),
            Way::Down => {
                blanked = true;
                kept.extend(line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
            }
        }
    }
    blanked.then_some(kept)
}

/// The way that a line says begins with it.
fn mark(line: &str) -> Option<Way> {
    let words = line.trim().strip_prefix("--")?.trim().to_ascii_lowercase();
    let mut words = words.split_whitespace();
    let (first, second) = (words.next()?, words.next().unwrap_or_default());
    let way = |word: &str| match word {
        "up" => Some(Way::Up),
        "down" => Some(Way::Down),
        _ => None,
    };
    match first {
        "migrate:up" => Some(Way::Up),
        "migrate:down" => Some(Way::Down),
        "up" | "down" if second == "migration" => way(first),
        tool if tool.starts_with('+') => way(second),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_undoes_is_left_blank() {
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(forward(text).as_deref(), expected, "{text}");
        }
        check("SELECT 1;\n-- down with it\nSELECT 2", None);
        check("-- migrate:up\na\n-- migrate:down\nb é\n", Some("-- migrate:up\na\n               \n    \n"));
        check("-- +goose Up\na\n-- +goose Down\nb", Some("-- +goose Up\na\n              \n "));
        check("-- +goose Up\n-- +goose StatementBegin\na\n-- +goose StatementEnd", None);
        check("--migrate:down\nb\n--migrate:up\na", Some("              \n \n--migrate:up\na"));
        check("-- Up Migration\na\n-- Down Migration\nb", Some("-- Up Migration\na\n                 \n "));
    }
}
